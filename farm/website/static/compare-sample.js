// One sample of a run: its piano roll, and the buttons that play it with a cursor over the roll. One plays at a time.
// Notes are [onset, duration, pitch, velocity] in beats.
"use strict";

const SEMITONE = 4;
const ROLL = { width: 480, narrowest: 5, widest: 26, foot: 14, gutter: 24 };
const PITCHES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

// Makes the tones of the piano one after the other, between what the page has to do.
const tones = {
  ask(_question, { progress }) {
    const pitches = [];
    for (let pitch = LOWEST_TONE; pitch <= HIGHEST_TONE; pitch += TONE_STEP) pitches.push(pitch);
    pitches.sort((one, other) => Math.abs(one - 64) - Math.abs(other - 64)); // those in the middle are needed first
    const answer = new Promise((done) => {
      function next() {
        if (!pitches.length) return done();
        const pitch = pitches.shift();
        progress({ pitch, samples: tone(pitch, 44100) });
        window.setTimeout(next);
      }
      next();
    });
    return { answer };
  },
};
let piano = null; // made by the first press of a button
let sounding = null; // the player that is heard

function pitchName(pitch) {
  return (PITCHES[pitch % 12] + (Math.floor(pitch / 12) - 1)).replace("-", "−");
}

function barBeats(metre) {
  const [over, under] = metre.split("/").map(Number);
  return over > 0 && under > 0 ? (over * 4) / under : 4;
}

function endBeat(notes) {
  return notes.reduce((end, note) => Math.max(end, note[0] + note[1]), 0);
}

function drawRoll(notes, metre, spoken) {
  const bar = barBeats(metre);
  const beats = Math.max(endBeat(notes), bar);
  const pitches = notes.map((note) => note[2]);
  let low = pitches.reduce((least, pitch) => Math.min(least, pitch), pitches.length ? 127 : 60) - 2;
  let high = pitches.reduce((most, pitch) => Math.max(most, pitch), pitches.length ? 0 : 60) + 2;
  if (high - low < 16) [low, high] = [Math.floor((low + high) / 2) - 8, Math.floor((low + high) / 2) + 8];
  const scale = Math.min(Math.max(ROLL.width / beats, ROLL.narrowest), ROLL.widest);
  const width = beats * scale + 1;
  const foot = (high - low + 1) * SEMITONE;
  const svg = drawn("svg", {
    class: "roll",
    role: "img",
    width: width + ROLL.gutter,
    height: foot + ROLL.foot,
    viewBox: `${-ROLL.gutter} 0 ${width + ROLL.gutter} ${foot + ROLL.foot}`,
    "data-scale": scale,
    "aria-label": `Piano roll of ${spoken}: ${notes.length} notes`,
  });
  for (let pitch = Math.ceil(low / 12) * 12; pitch <= high; pitch += 12) {
    const y = (high - pitch + 1) * SEMITONE;
    svg.append(drawn("path", { class: "octave", d: `M0 ${y}H${width}` }));
    svg.append(drawn("text", { class: "key", x: 3 - ROLL.gutter, y: y - 2 }, pitchName(pitch)));
  }
  const nBars = Math.floor(beats / bar + 1e-9) + 1;
  const every = [1, 2, 4, 8, 16, 32].find((step) => step * bar * scale >= 36) || 64;
  let lines = "";
  for (let index = 0; index < nBars; index += 1) {
    const x = index * bar * scale;
    lines += `M${x.toFixed(1)} 0V${foot}`;
    if (index % every === 0 && x < beats * scale - 12) {
      svg.append(drawn("text", { class: "bar", x: x + 2, y: foot + ROLL.foot - 3 }, index + 1));
    }
  }
  svg.append(drawn("path", { class: "bars", d: lines }));
  const bands = ["", "", "", ""];
  for (const [onset, duration, pitch, velocity] of notes) {
    const length = Math.max(duration * scale - 0.8, 1.5).toFixed(1);
    const y = (high - pitch) * SEMITONE;
    bands[Math.min(velocity >> 5, 3)] += `M${(onset * scale).toFixed(1)} ${y}h${length}v${SEMITONE}h-${length}z`;
  }
  bands.forEach((d, band) => d && svg.append(drawn("path", { class: "notes v" + band, d })));
  svg.append(drawn("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: foot, visibility: "hidden" }));
  return svg;
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
}

// The figure of a sample, which plays it.
class SamplePlayer {
  constructor(sample, take, title, spoken) {
    this.notes = sample.notes.map(([onset, duration, pitch, velocity]) => ({ onset, duration, pitch, velocity }));
    this.bpm = take.bpm;
    this.end = endBeat(sample.notes);
    this.spoken = spoken;
    this.beat = 0;
    this.figure = made("figure", "sample");
    const caption = made("figcaption", "");
    const bars = Math.ceil(this.end / barBeats(take.metre));
    const ending = sample.stopped ? "ends by itself" : "cut off at the length asked for";
    caption.append(made("span", "name", title), " ", made("span", "said", `${sample.notes.length} notes, ${bars} bars, ${ending}`));
    this.button = made("button", "play");
    this.button.type = "button";
    this.word = made("span", "word", "Play");
    const symbol = made("span", "symbol");
    symbol.setAttribute("aria-hidden", "true");
    this.button.append(symbol, this.word);
    this.seek = made("input", "seek");
    Object.assign(this.seek, { type: "range", min: "0", max: "1000", value: "0" });
    this.seek.setAttribute("aria-label", "Position in " + spoken);
    this.time = made("span", "time");
    this.time.setAttribute("aria-hidden", "true");
    const transport = made("div", "transport");
    transport.hidden = this.notes.length === 0;
    transport.append(this.button, this.seek, this.time);
    this.roll = drawRoll(sample.notes, take.metre, spoken);
    this.cursor = this.roll.querySelector(".cursor");
    const pane = made("div", "scroll");
    pane.tabIndex = 0;
    pane.setAttribute("role", "region");
    pane.setAttribute("aria-label", "Piano roll of " + spoken);
    pane.append(this.roll);
    this.figure.append(caption, transport, pane);
    this.button.addEventListener("click", () => (sounding === this ? this.stop() : this.start()));
    this.seek.addEventListener("input", () => this.moveTo((this.seek.value / 1000) * this.end));
    this.roll.addEventListener("click", (event) => {
      const box = this.roll.getBoundingClientRect();
      const view = this.roll.viewBox.baseVal;
      this.moveTo((((event.clientX - box.left) / box.width) * view.width + view.x) / Number(this.roll.dataset.scale));
    });
    this.show();
  }

  start() {
    if (sounding) sounding.stop();
    if (!piano) piano = new Piano(tones);
    piano.wake();
    sounding = this;
    if (this.beat >= this.end) this.beat = 0;
    this.figure.classList.add("playing");
    piano.onend = () => {
      this.beat = 0;
      this.stop();
    };
    piano.start(this.notes, this.beat, this.bpm);
    this.show();
    const follow = () => {
      if (sounding !== this) return;
      this.beat = piano.beat();
      this.show();
      window.requestAnimationFrame(follow);
    };
    window.requestAnimationFrame(follow);
  }

  stop() {
    if (sounding === this) {
      sounding = null;
      piano.stop();
    }
    this.figure.classList.remove("playing");
    this.show();
  }

  moveTo(beat) {
    this.beat = Math.min(Math.max(beat, 0), this.end);
    if (sounding === this) piano.start(this.notes, this.beat, this.bpm);
    this.show();
  }

  show() {
    const x = String(this.beat * Number(this.roll.dataset.scale));
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.cursor.setAttribute("visibility", this.beat > 0 || sounding === this ? "visible" : "hidden");
    this.seek.value = String(this.end > 0 ? Math.round((this.beat / this.end) * 1000) : 0);
    const shown = clock((this.beat / this.bpm) * 60) + " / " + clock((this.end / this.bpm) * 60);
    this.time.textContent = shown;
    this.seek.setAttribute("aria-valuetext", shown);
    this.word.textContent = sounding === this ? "Stop" : "Play";
    this.button.setAttribute("aria-label", (sounding === this ? "Stop " : "Play ") + this.spoken);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && sounding) sounding.stop();
});
