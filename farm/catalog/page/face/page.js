// What happens when something is pressed, typed or dropped.

function listen() {
  at("wish").addEventListener("submit", (event) => {
    event.preventDefault();
    if (composing !== null) stopComposing();
    else compose();
  });
  at("dice").addEventListener("click", rollSeed);
  at("seed").addEventListener("input", () => (at("fresh").checked = false));
  for (const id of ["temperature", "top-p"]) {
    const show = () => (at(`${id}-shown`).textContent = Number(at(id).value).toFixed(2));
    at(id).addEventListener("input", show);
  }
  at("unit").addEventListener("change", () => (at("length").value = at("unit").value === "bars" ? "16" : "200"));
  at("play").addEventListener("click", () => (piano.playing ? pause() : play()));
  at("seek").addEventListener("input", () => goTo((Number(at("seek").value) / 1000) * piece.end));
  at("save").addEventListener("click", save);
  for (const id of ["tempo", "transpose"]) at(id).addEventListener("change", sound);
  roll.onseek = (place) => piece && composing === null && goTo(place);
  piano.onend = () => {
    beat = 0;
    showState();
    showPlace();
  };
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    complain([]);
    if (composing !== null) stopComposing();
    else pause();
  });
}

function listenForFiles() {
  for (const name of ["open", "show"]) {
    at(`${name}-files`).addEventListener("click", () => at("files").click());
    at(`${name}-folder`).addEventListener("click", () => at("folder").click());
  }
  for (const id of ["files", "folder"]) {
    at(id).addEventListener("change", () => {
      const files = [...at(id).files];
      at(id).value = ""; // so that the same file can be chosen again
      take(files);
    });
  }
  if (!("webkitdirectory" in at("folder"))) for (const name of ["open", "show"]) at(`${name}-folder`).hidden = true;
  at("dismiss").addEventListener("click", () => complain([]));
  let over = 0; // how many elements the dragged files have entered and not left
  const lift = (change) => {
    over = Math.max(over + change, 0);
    at("drop").hidden = over === 0;
  };
  addEventListener("dragenter", (event) => event.dataTransfer?.types.includes("Files") && lift(1));
  addEventListener("dragleave", () => lift(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", async (event) => {
    event.preventDefault();
    lift(-over);
    take(await droppedFiles(event.dataTransfer));
  });
}

rollSeed();
showStyles();
showState();
listen();
listenForFiles();
