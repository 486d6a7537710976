// The piece that was composed: what is told of it, how it sounds, how it is saved.

const SILENT_MS = 3000; // no clock of a sound output starts later

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
  const metre = model.facts.metreName.includes("/")
    ? `${bars} bars of ${model.facts.metreName}`
    : `${Math.round(piece.end)} beats`;
  const guarded = Object.entries(interventions)
    .filter(([, times]) => times)
    .map(([kind, times]) => `${kind} ${times}×`);
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
  const rows = facts
    .filter(([, value]) => value)
    .map(([name, value]) => {
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

function play() {
  if (!piece?.sounding.length) return;
  if (beat >= piece.end - 1e-6) beat = 0;
  piano.start(piece.sounding, beat, piece.tempoBpm);
  showState();
  requestAnimationFrame(frame);
  const begun = piano.context.currentTime;
  setTimeout(() => {
    if (!piano.playing || piano.context.currentTime !== begun) return;
    pause();
    complain(["The browser gives no sound here; check the sound output of this machine. The MIDI can be saved."]);
  }, SILENT_MS);
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

// When something changes how the piece sounds.
function sound() {
  complain([]);
  if (!piece) return;
  showPiece();
  if (piano.playing) piano.start(piece.sounding, beat, piece.tempoBpm);
}
