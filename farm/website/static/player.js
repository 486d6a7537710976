// Plays the samples of a style's page: a small synthesised piano, a cursor over the roll, one sample at a time.
// Sound is made here from sine waves; nothing is fetched. Notes are [onset, duration, pitch, velocity] in beats.
"use strict";

(function () {
  const data = document.getElementById("samples");
  if (!data) return;
  const samples = JSON.parse(data.textContent);
  const AHEAD_SECONDS = 0.25; // how far notes are handed to the audio clock before they sound
  const TICK_MS = 60;
  const HARMONICS = [0, 1, 0.55, 0.28, 0.16, 0.09, 0.05, 0.03];

  const tempo = document.getElementById("tempo");
  const tempoShown = document.getElementById("tempo-shown");
  const players = [];
  let audio = null; // made by the first press of a button: browsers allow no sound before
  let playing = null;

  function openAudio() {
    const context = new (window.AudioContext || window.webkitAudioContext)();
    const out = context.createDynamicsCompressor();
    out.connect(context.destination);
    const wave = context.createPeriodicWave(new Float32Array(HARMONICS.length), Float32Array.from(HARMONICS));
    return { context, out, wave };
  }

  // One note: a fast attack, a decay that is longer for low strings, and a low-pass that closes as the note fades.
  function sound(bus, note, when, seconds) {
    const [, , pitch, velocity] = note;
    const { context, wave } = audio;
    const frequency = 440 * 2 ** ((pitch - 69) / 12);
    const loud = 0.05 + 0.2 * (velocity / 127) ** 1.5;
    const decay = Math.min(Math.max(2.6 * 2 ** ((55 - pitch) / 26), 0.35), 5);
    const string = context.createOscillator();
    const filter = context.createBiquadFilter();
    const gain = context.createGain();
    string.setPeriodicWave(wave);
    string.frequency.value = frequency;
    filter.type = "lowpass";
    filter.frequency.setValueAtTime(Math.min(frequency * (3 + (5 * velocity) / 127), 11000), when);
    filter.frequency.setTargetAtTime(Math.min(frequency * 2, 6000), when, decay / 2);
    gain.gain.setValueAtTime(0, when);
    gain.gain.linearRampToValueAtTime(loud, when + 0.006);
    gain.gain.setTargetAtTime(0, when + 0.006, decay / 3);
    const release = when + Math.max(seconds, 0.06);
    gain.gain.setTargetAtTime(0, release, 0.09);
    string.connect(filter).connect(gain).connect(bus);
    string.start(when);
    string.stop(release + 0.7);
  }

  function clock(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
  }

  class Player {
    constructor(figure) {
      const sample = samples[figure.dataset.sample];
      this.figure = figure;
      this.notes = sample.notes;
      this.bpm = sample.bpm;
      this.end = this.notes.reduce((end, note) => Math.max(end, note[0] + note[1]), 0);
      this.beat = 0; // where the cursor stands
      this.button = figure.querySelector(".play");
      this.word = figure.querySelector(".word");
      this.seek = figure.querySelector(".seek");
      this.time = figure.querySelector(".time");
      this.roll = figure.querySelector(".roll");
      this.cursor = figure.querySelector(".cursor");
      this.scale = Number(this.roll.dataset.scale); // units of the picture per beat
      this.left = this.roll.viewBox.baseVal.x;
      this.label = this.button.getAttribute("aria-label").replace(/^Play /, "");
      this.button.addEventListener("click", () => (playing === this ? this.stop() : this.start()));
      this.seek.addEventListener("input", () => this.moveTo((this.seek.value / 1000) * this.end));
      this.roll.addEventListener("click", (event) => {
        const box = this.roll.getBoundingClientRect();
        this.moveTo(((event.clientX - box.left) / this.zoom() + this.left) / this.scale);
      });
      figure.querySelector(".transport").hidden = this.notes.length === 0;
      this.show();
    }

    beatsPerSecond() {
      return ((this.bpm / 60) * Number(tempo.value)) / 100;
    }

    // Pixels on the screen per unit of the picture.
    zoom() {
      return this.roll.getBoundingClientRect().width / this.roll.viewBox.baseVal.width;
    }

    start() {
      if (playing) playing.stop();
      if (!audio) audio = openAudio();
      audio.context.resume();
      playing = this;
      if (this.beat >= this.end) this.beat = 0;
      this.figure.classList.add("playing");
      this.word.textContent = "Stop";
      this.button.setAttribute("aria-label", "Stop " + this.label);
      this.begin();
      this.timer = window.setInterval(() => this.feed(), TICK_MS);
      const frame = () => {
        if (playing !== this) return;
        this.follow();
        window.requestAnimationFrame(frame);
      };
      window.requestAnimationFrame(frame);
    }

    // (Re)starts the audio at the cursor: a new bus, so that what was already handed over falls silent.
    begin() {
      this.hush();
      this.bus = audio.context.createGain();
      this.bus.connect(audio.out);
      this.origin = audio.context.currentTime + 0.08;
      this.originBeat = this.beat;
      this.speed = this.beatsPerSecond();
      this.next = this.notes.findIndex((note) => note[0] >= this.beat - 1e-6);
      if (this.next < 0) this.next = this.notes.length;
      this.feed();
    }

    hush() {
      if (!this.bus) return;
      const bus = this.bus;
      bus.gain.setTargetAtTime(0, audio.context.currentTime, 0.03);
      window.setTimeout(() => bus.disconnect(), 300);
      this.bus = null;
    }

    feed() {
      const until = audio.context.currentTime + AHEAD_SECONDS;
      while (this.next < this.notes.length) {
        const note = this.notes[this.next];
        const when = this.origin + (note[0] - this.originBeat) / this.speed;
        if (when > until) break;
        sound(this.bus, note, Math.max(when, audio.context.currentTime), note[1] / this.speed);
        this.next += 1;
      }
    }

    follow() {
      const passed = audio.context.currentTime - this.origin;
      this.beat = Math.max(this.originBeat, this.originBeat + passed * this.speed);
      if (this.beat >= this.end + 0.5) {
        this.stop();
        this.beat = 0;
      }
      this.show();
      const pane = this.roll.parentElement;
      const x = (this.beat * this.scale - this.left) * this.zoom();
      const seen = x - pane.scrollLeft;
      if (playing === this && (seen < 0 || seen > pane.clientWidth * 0.9)) pane.scrollLeft = x - pane.clientWidth * 0.1;
    }

    stop() {
      window.clearInterval(this.timer);
      if (playing === this) playing = null;
      this.hush();
      this.figure.classList.remove("playing");
      this.word.textContent = "Play";
      this.button.setAttribute("aria-label", "Play " + this.label);
    }

    moveTo(beat) {
      this.beat = Math.min(Math.max(beat, 0), this.end);
      if (playing === this) this.begin();
      this.show();
    }

    show() {
      const beat = Math.min(this.beat, this.end);
      const x = String(beat * this.scale);
      this.cursor.setAttribute("x1", x);
      this.cursor.setAttribute("x2", x);
      this.cursor.setAttribute("visibility", beat > 0 || playing === this ? "visible" : "hidden");
      this.seek.value = String(this.end > 0 ? Math.round((beat / this.end) * 1000) : 0);
      const speed = this.beatsPerSecond();
      const shown = clock(beat / speed) + " / " + clock(this.end / speed);
      this.time.textContent = shown;
      this.seek.setAttribute("aria-valuetext", shown);
    }
  }

  tempo.value = "100"; // some browsers bring back what the last visit set
  document.querySelectorAll(".sample").forEach((figure) => players.push(new Player(figure)));
  tempo.parentElement.hidden = false;
  tempo.addEventListener("input", () => {
    tempoShown.textContent = tempo.value + " %";
    if (playing) playing.begin();
    players.forEach((player) => player.show());
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && playing) playing.stop();
  });
})();
