// The page itself: what is chosen, what is said, and what happens when something is pressed.

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

// Styles and their files

function showStyles() {
  const list = at("styles");
  list.replaceChildren();
  const sorted = [...models.all.values()].sort((a, b) => a.title.localeCompare(b.title));
  chosen ??= sorted.find(Models.isHere) ?? sorted[0];
  for (const model of sorted) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: model.file, checked: model === chosen });
    radio.addEventListener("change", () => choose(model));
    const title = Object.assign(document.createElement("span"), { className: "title", textContent: model.title });
    label.append(radio, title);
    if (!Models.isHere(model) && anyIsHere()) {
      label.append(Object.assign(document.createElement("span"), { className: "needs", textContent: "needs its file" }));
    }
    list.append(label);
  }
  showFiles();
}

const anyIsHere = () => [...models.all.values()].some(Models.isHere);

function choose(model) {
  chosen = model;
  const radio = [...document.getElementsByName("style")].find((one) => one.value === model.file);
  if (radio) radio.checked = true;
  showFiles();
}

function showFiles() {
  const all = [...models.all.values()];
  const away = all.filter((model) => !Models.isHere(model));
  at("missing").hidden = !chosen || Models.isHere(chosen);
  if (anyIsHere()) {
    at("style-list").after(at("missing"));
    at("missing-why").textContent =
      `${chosen.title} is not inside this page, to keep the pack small, and browsers let no page read the files beside it. ` +
      `Show it ${chosen.file}, or the whole folder that this page lies in.`;
    at("empty-said").textContent = "Press Compose, and the notes appear here.";
  } else {
    at("wish").prepend(at("missing"));
    at("missing-why").textContent =
      "The models are not inside this page, to keep the pack small, and browsers let no page read the files beside it. " +
      "Show it the folder that it lies in, once, and every style can compose.";
    at("empty-said").textContent = "First show this page the pack’s folder; then press Compose.";
  }
  const count = (number) => (number === 1 ? "1 model" : `${number} models`);
  at("files-said").textContent = away.length
    ? `${count(all.length - away.length)} can compose now; ${count(away.length)} must be shown first. The files lie beside this page.`
    : `${count(all.length)} can compose. You can open others too.`;
  showFacts();
}

async function take(files) {
  if (!files.length) return;
  say("Checking the files…");
  const { opened, problems } = await models.take(files);
  if (opened.length && !(chosen && Models.isHere(chosen) && !opened.includes(chosen))) {
    chosen = opened.includes(chosen) ? chosen : opened[0];
  }
  const asked = at("missing").contains(document.activeElement);
  showStyles();
  if (asked && at("missing").hidden) at("compose").focus();
  if (opened.length === 1) say(`${opened[0].title} is checked and ready.`);
  else say(opened.length ? `${opened.length} models are checked and ready.` : "No model was opened.");
  complain(problems);
}

// Messages

function say(text) {
  at("said").textContent = text;
}

function complain(problems) {
  at("problem-list").replaceChildren(...problems.map((problem) => Object.assign(document.createElement("li"), { textContent: problem })));
  at("problems").hidden = problems.length === 0;
}

// Composing

// What is asked for; null after telling what is wrong.
function wishes() {
  const wrong = (id, text) => {
    complain([text]);
    at(id).setAttribute("aria-invalid", "true");
    at(id).focus();
    return null;
  };
  ["length", "seed"].forEach((id) => at(id).removeAttribute("aria-invalid"));
  const length = Number(at("length").value);
  const unit = at("unit").value;
  const most = unit === "notes" ? 10000 : 1000;
  if (!Number.isInteger(length) || length < 1 || length > most) return wrong("length", `Length: give a whole number of ${unit} from 1 to ${most}.`);
  if (at("fresh").checked) rollSeed();
  const seed = at("seed").value.trim();
  if (!/^[0-9]{1,30}$/.test(seed)) return wrong("seed", "Seed: give a whole number, 0 or more, of at most 30 digits.");
  return { [unit]: length, seed: BigInt(seed), temperature: Number(at("temperature").value), topP: Number(at("top-p").value) };
}

function rollSeed() {
  at("seed").value = String(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
}

async function compose() {
  if (!chosen) return;
  if (!Models.isHere(chosen)) {
    complain([`${chosen.title} needs its file first: open ${chosen.file}, or the folder that this page lies in.`]);
    return at("show-files").focus();
  }
  const settings = wishes();
  if (!settings) return;
  complain([]);
  piano.stop();
  piano.wake();
  [composing, stopping] = [-1, false];
  showState();
  const model = chosen;
  say(`Opening ${model.title}…`);
  try {
    await models.opened(model);
    if (stopping) say("Stopped.");
    else await composeWith(model, settings);
  } catch (error) {
    say("Nothing was composed.");
    complain([`${model.file}: ${error.message}`]);
  }
  composing = null;
  showState();
  if (piece?.isNew) await playNew();
}

async function composeWith(model, settings) {
  const most = settings.notes ?? settings.bars * model.facts.barBeats;
  const notes = [];
  const progress = (told) => {
    notes.push(...told.notes);
    const share = settings.notes ? told.count / most : (notes.at(-1)?.onset ?? 0) / most;
    at("progress").value = Math.min(share, 1);
    say(`Composing: ${told.count} notes`);
    at("empty").hidden = true;
    roll.cursor = null;
    roll.show(notes, model.facts.barBeats);
    roll.follow(roll.end());
  };
  at("name").textContent = model.title;
  if (innerWidth < 800) at("piece").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  const { number, answer } = composer.ask({ type: "compose", name: model.file, settings }, { progress });
  composing = number;
  const made = await answer;
  if (made === null) {
    showPiece();
    return say(piece ? "Stopped. The piece before is still here." : "Stopped.");
  }
  const changed = piece?.model !== model;
  piece = { model, settings, ...made, isNew: true };
  if (changed) at("tempo").value = String(model.facts.tempoBpm);
  beat = 0;
  roll.pane.scrollLeft = 0;
  showPiece();
}

async function playNew() {
  piece.isNew = false;
  await piano.ready;
  if (composing === null && !piano.playing) play();
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function stopComposing() {
  stopping = true;
  if (composing > 0) composer.ask({ type: "stop", which: composing });
}

// The piece

// The notes as they sound and are saved: moved, and one key at a time; in beats.
function sounding() {
  return playable(piece.notes, transposition()).map(({ onset, length, pitch, velocity }) => ({
    onset: onset / TICKS_PER_BEAT,
    duration: length / TICKS_PER_BEAT,
    pitch,
    velocity,
  }));
}

// Semitones that this piece can be moved by; what is out of range is told and brought back.
function transposition() {
  const wanted = Math.round(Number(at("transpose").value)) || 0;
  const [down, up] = transposable(piece.notes);
  const given = Math.min(Math.max(wanted, down), up);
  if (given !== wanted) {
    complain([`Transpose: ${wanted} semitones leave the range of MIDI; this piece can be moved by ${down} to ${up}.`]);
    at("transpose").value = String(given);
  }
  return given;
}

function tempo() {
  const wanted = Number(at("tempo").value);
  if (wanted >= 4 && wanted <= 1000) return wanted;
  complain([`Tempo: give 4 to 1000 beats a minute.`]);
  at("tempo").value = String(piece ? piece.model.facts.tempoBpm : 100);
  return Number(at("tempo").value);
}

function showPiece() {
  at("empty").hidden = piece !== null;
  if (!piece) return roll.show([], 4);
  const { model, settings, stopped, interventions } = piece;
  at("name").textContent = model.title;
  piece.sounding = sounding();
  piece.tempoBpm = tempo();
  roll.show(piece.sounding, model.facts.barBeats);
  piece.end = roll.end();
  const bars = Math.ceil(piece.end / model.facts.barBeats - 1e-9);
  const metre = model.facts.metreName.includes("/") ? `${bars} bars of ${model.facts.metreName}` : `${Math.round(piece.end)} beats`;
  const guarded = Object.entries(interventions).filter(([, times]) => times).map(([kind, times]) => `${kind} ${times}×`);
  const told = [
    `${piece.notes.length} notes, ${metre}, ${clock(piece.end)}`,
    stopped ? "ended by itself" : "ended at the asked length",
    `seed ${settings.seed}`,
    ...(guarded.length ? [`the guard stepped in: ${guarded.join(", ")}`] : []),
  ];
  say(`${told.join("; ")}.`);
  roll.canvas.setAttribute("aria-label", `Piano roll of ${model.title}: ${piece.notes.length} notes, ${metre}`);
  showFacts();
  showPlace();
}

// The command that composes the same piece elsewhere.
function command() {
  const { model, settings } = piece;
  const length = settings.notes ? `--notes ${settings.notes}` : `--bars ${settings.bars}`;
  const moved = transposition() ? ` --transpose ${transposition()}` : "";
  return (
    `farm compose ${model.file} -o ${fileName()} ${length} --seed ${settings.seed} ` +
    `--temperature ${settings.temperature} --top-p ${settings.topP} --tempo ${piece.tempoBpm}${moved}`
  );
}

// What is known of the chosen model, and how its piece is composed elsewhere.
function showFacts() {
  if (!chosen) return;
  const facts = [
    ["file", `${chosen.file}${chosen.bytes ? `, ${chosen.precision}, ${(chosen.bytes / 1e6).toFixed(2)} MB` : ""}`],
    ["licence", chosen.licence],
    ["learnt from", chosen.attribution],
    ["sha256", chosen.sha256 ?? "not of this pack; whole by its own hash"],
    ["in a shell", piece?.model === chosen ? command() : ""],
  ];
  const element = (name, textContent) => Object.assign(document.createElement(name), { textContent });
  const rows = facts.filter(([, value]) => value).map(([name, value]) => {
    const row = document.createElement("div");
    row.append(element("dt", name), element("dd", value));
    return row;
  });
  at("facts").replaceChildren(...rows);
}

function clock(beats) {
  const seconds = Math.max(0, Math.floor((beats * 60) / piece.tempoBpm));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function fileName() {
  const style = (piece.model.style || piece.model.file.split(".")[0]).replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);
  return `${style}-${piece.settings.seed}.mid`;
}

function save() {
  const { model } = piece;
  const ticks = playable(piece.notes, transposition());
  const data = midiFile(ticks, { title: model.facts.title, tempoBpm: piece.tempoBpm, metre: model.facts.metreName });
  const address = URL.createObjectURL(new Blob([data], { type: "audio/midi" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: fileName() });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// Playing

function play() {
  if (!piece?.sounding.length) return;
  if (beat >= piece.end - 1e-6) beat = 0;
  piano.start(piece.sounding, beat, piece.tempoBpm);
  showState();
  requestAnimationFrame(frame);
}

function frame() {
  if (!piano.playing) return;
  beat = piano.beat();
  showPlace();
  roll.follow(beat);
  requestAnimationFrame(frame);
}

function pause() {
  piano.stop();
  showState();
}

function goTo(place) {
  beat = place;
  if (piano.playing) piano.start(piece.sounding, beat, piece.tempoBpm);
  showPlace();
}

function showPlace() {
  const told = `${clock(beat)} / ${clock(piece.end)}`;
  at("time").textContent = told;
  at("seek").value = String(piece.end ? Math.round((beat / piece.end) * 1000) : 0);
  at("seek").setAttribute("aria-valuetext", told);
  roll.moveTo(beat);
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

// When something changes how the piece sounds.
function sound() {
  complain([]);
  if (!piece) return;
  showPiece();
  if (piano.playing) piano.start(piece.sounding, beat, piece.tempoBpm);
}

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
