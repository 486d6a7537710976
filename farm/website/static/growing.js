// The picture of training growing: still until it is asked to move.
"use strict";

(function () {
  const figure = document.querySelector(".growing");
  if (!figure) return;
  const [picture, button, link] = ["img", "button", "a"].map((name) => figure.querySelector(name));
  const still = picture.getAttribute("src");
  const word = button.querySelector(".word");
  function turn() {
    const moves = !figure.classList.contains("playing");
    figure.classList.toggle("playing", moves);
    picture.src = moves ? link.getAttribute("href") : still;
    word.textContent = moves ? "Stop" : "Play";
    button.setAttribute("aria-label", (moves ? "Stop" : "Play") + " the picture of training");
  }
  button.addEventListener("click", turn);
  button.hidden = false;
})();
