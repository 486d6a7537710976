// What the page knows, and what it says.

const at = (id) => document.getElementById(id);
const composer = new Composer();
const models = new Models(composer);
const piano = new Piano(composer);
const roll = new Roll(at("pane"));
let chosen = null; // the model that is to compose
let piece = null; // { model, notes, tempoBpm, ... } once there is one
let composing = null; // the number of the question while the worker composes, -1 while its model is opened
let stopping = false; // whether Stop was pressed since
let beat = 0; // where the cursor stands

function say(text) {
  at("said").textContent = text;
}

function complain(problems) {
  at("problem-list").replaceChildren(
    ...problems.map((problem) => Object.assign(document.createElement("li"), { textContent: problem })),
  );
  at("problems").hidden = problems.length === 0;
}

// What can be pressed now, and what it is called.
function showState() {
  const busy = composing !== null;
  at("compose").textContent = busy ? "Stop" : "Compose";
  at("said").setAttribute("aria-busy", String(busy)); // not every note is read aloud
  document.body.classList.toggle("composing", busy);
  document.body.classList.toggle("playing", piano.playing);
  at("play-word").textContent = piano.playing ? "Pause" : "Play";
  for (const id of ["play", "seek", "save"]) at(id).disabled = busy || !piece?.notes.length;
  at("progress").value = busy ? at("progress").value : 0;
}
