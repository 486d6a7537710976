// The part of a page that composes: asks for a piece, draws it, plays it, saves it. The piano is everybody's, the roll that
// of a pack's page (farm/catalog/page/face).

const SPAN = { notes: ["200", "4000"], bars: ["16", "400"] }; // usual and longest

class Composing {
  constructor(composers, style) {
    this.composers = composers;
    this.controls(style);
    this.said = make("p", { class: "review-said", role: "status" });
    this.go = make("button", { type: "submit", class: "review-main" }, "Compose");
    const submit = (event) => {
      event.preventDefault();
      this.compose();
    };
    const form = make("form", { class: "review-compose", submit }, ...this.fields(), this.go);
    this.stage = this.makeStage();
    const heading = make("h2", { id: "review-compose" }, "Compose something new");
    this.section = make("section", { "aria-labelledby": "review-compose" }, heading, form, this.said, this.stage);
    const listen = document.getElementById("listen")?.closest("section");
    if (listen) listen.after(this.section);
    else document.getElementById("main").append(this.section);
    document.addEventListener("click", (event) => {
      if (event.target.closest(".sample")) this.pause(); // one thing sounds at a time
    });
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.pause());
  }

  controls(style) {
    const number = (attributes) => make("input", { type: "number", inputmode: "numeric", ...attributes });
    const slider = (attributes) => make("input", { type: "range", ...attributes });
    this.style = make("select", {}, ...this.composers.map((one) => make("option", { value: one.style }, one.title)));
    if (this.composers.some((one) => one.style === style)) this.style.value = style;
    this.length = number({ min: "1", max: SPAN.notes[1], value: SPAN.notes[0], required: true });
    this.unit = make("select", { "aria-label": "Unit of the length" }, new Option("notes"), new Option("bars"));
    this.unit.addEventListener("change", () => ([this.length.value, this.length.max] = SPAN[this.unit.value]));
    this.seed = number({ min: "0", max: String(2 ** 53 - 1), required: true });
    this.roll();
    this.temperature = slider({ min: "0.1", max: "2", step: "0.05", value: "1" });
    this.topP = slider({ min: "0.05", max: "1", step: "0.01", value: "0.95" });
    this.transpose = number({ min: "-36", max: "36", step: "1", value: "0", required: true });
    this.tempo = number({ min: "4", max: "1000", step: "any", placeholder: "its own" });
  }

  fields() {
    const dice = button("New", () => this.roll(), { "aria-label": "Another seed" });
    const beside = (control, other) => {
      const whole = make("span", { class: "review-beside" });
      control.replaceWith(whole);
      whole.append(control, other);
    };
    const shown = (control) => {
      const output = make("output", {}, Number(control.value).toFixed(2));
      control.addEventListener("input", () => (output.textContent = Number(control.value).toFixed(2)));
      return output;
    };
    const all = [
      field("Style", this.style),
      field("Length", this.length),
      field("Seed", this.seed),
      field("Temperature", this.temperature),
      field("Top-p", this.topP),
      field("Transpose (semitones)", this.transpose),
      field("Tempo (beats a minute)", this.tempo),
    ];
    beside(this.length, this.unit);
    beside(this.seed, dice);
    beside(this.temperature, shown(this.temperature));
    beside(this.topP, shown(this.topP));
    return all;
  }

  roll() {
    this.seed.value = String(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
  }

  makeStage() {
    const canvas = make("canvas", { role: "img" });
    const sheet = make("div", { class: "sheet" }, canvas);
    const pane = make("div", { class: "review-pane", role: "region", tabindex: "0" }, sheet);
    pane.setAttribute("aria-label", "Piano roll of the piece; scrolls sideways");
    this.canvas = canvas;
    this.pane = pane;
    this.word = make("span", {}, "Play");
    this.play = button("", () => (this.piano?.playing ? this.pause() : this.start()), { class: "play" });
    this.play.append(make("span", { class: "symbol", "aria-hidden": "true" }), this.word);
    const seek = { type: "range", class: "seek", min: "0", max: "1000", value: "0", "aria-label": "Where in the piece" };
    this.seek = make("input", { ...seek, input: () => this.goTo((Number(this.seek.value) / 1000) * this.end) });
    this.time = make("span", { class: "time", "aria-hidden": "true" });
    this.save = make("a", { class: "review-save" }, "Save MIDI");
    const transport = make("div", { class: "transport" }, this.play, this.seek, this.time, this.save);
    return make("div", { class: "review-stage", hidden: true }, pane, transport);
  }

  wish() {
    return {
      style: this.style.value,
      [this.unit.value]: Number(this.length.value),
      seed: Number(this.seed.value),
      temperature: Number(this.temperature.value),
      top_p: Number(this.topP.value),
      transpose: Number(this.transpose.value),
      ...(this.tempo.value ? { tempo_bpm: Number(this.tempo.value) } : {}),
    };
  }

  async compose() {
    this.pause();
    this.go.disabled = true;
    this.tell("Composing…", "");
    try {
      this.show(await ask("compose", this.wish()));
    } catch (error) {
      this.tell(error.message, "bad");
    } finally {
      this.go.disabled = false;
    }
  }

  show(piece) {
    this.piece = piece;
    this.notes = piece.notes.map(([onset, duration, pitch, velocity]) => ({ onset, duration, pitch, velocity }));
    this.end = this.notes.reduce((end, note) => Math.max(end, note.onset + note.duration), 0);
    this.beat = 0;
    const { notes, bars, seconds, ending, seed } = piece.facts;
    const length = `${notes} notes, ${bars} bars, ${clock(seconds)} at ${Math.round(piece.tempo_bpm)} beats a minute`;
    this.tell(`${piece.title}, version ${piece.version}, seed ${seed}: ${length}; ${ending}.`, "");
    this.stage.hidden = false;
    this.drawn ??= this.makeRoll();
    this.drawn.show(this.notes, piece.bar_beats);
    this.drawn.moveTo(null);
    this.canvas.setAttribute("aria-label", `Piano roll: ${length}`);
    this.pane.scrollLeft = 0;
    if (this.save.href) URL.revokeObjectURL(this.save.href);
    const bytes = Uint8Array.from(atob(piece.midi), (sign) => sign.charCodeAt(0));
    this.save.href = URL.createObjectURL(new Blob([bytes], { type: "audio/midi" }));
    this.save.download = piece.name;
    this.showPlace();
  }

  makeRoll() {
    const drawn = new Roll(this.pane);
    drawn.onseek = (beat) => this.goTo(beat);
    return drawn;
  }

  makePiano() {
    const piano = new Piano({ ask: makeTones });
    piano.onend = () => {
      this.beat = 0;
      this.pause();
    };
    return piano;
  }

  async start() {
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); // the samples' player stops at it
    this.piano ??= this.makePiano();
    this.piano.wake();
    if (this.piano.tones.size === 0) await this.piano.ready;
    this.piano.start(this.notes, this.beat >= this.end ? 0 : this.beat, this.piece.tempo_bpm);
    this.word.textContent = "Stop";
    this.stage.classList.add("playing");
    const frame = () => {
      if (!this.piano.playing) return;
      this.beat = this.piano.beat();
      this.drawn.follow(this.beat);
      this.showPlace();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause() {
    this.piano?.stop();
    this.word.textContent = "Play";
    this.stage.classList.remove("playing");
    if (this.piece) this.showPlace();
  }

  goTo(beat) {
    this.beat = beat;
    if (this.piano?.playing) this.piano.start(this.notes, beat, this.piece.tempo_bpm);
    this.showPlace();
  }

  showPlace() {
    const seconds = (beats) => (beats * 60) / this.piece.tempo_bpm;
    this.seek.value = String(this.end > 0 ? Math.round((this.beat / this.end) * 1000) : 0);
    this.time.textContent = `${clock(seconds(this.beat))} / ${clock(seconds(this.end))}`;
    this.seek.setAttribute("aria-valuetext", this.time.textContent);
    this.drawn.moveTo(this.beat > 0 || this.piano?.playing ? this.beat : null);
  }

  tell(text, tone) {
    this.said.textContent = text;
    this.said.className = `review-said ${tone}`;
  }
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

// What the piano asks of a pack's worker; here a worker that makes tones and nothing else.
function makeTones({ rate }, { progress }) {
  const worker = new Worker("/review/static/tones.js");
  const answer = new Promise((done, fail) => {
    worker.addEventListener("error", fail);
    worker.addEventListener("message", ({ data }) => {
      if (data) return progress(data);
      worker.terminate();
      return done(null);
    });
    worker.postMessage(rate);
  });
  return { answer };
}
