// Keeps the word by which this browser may change something, and goes on to the report. No other port can read it.
"use strict";

localStorage.setItem("farm-review", document.querySelector("meta[name=farm-review-word]").dataset.word);
location.replace("/site/index.html");
