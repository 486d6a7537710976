// Plays the music of a page: one piece at a time, with a cursor over the roll and the score. Nothing is fetched: the
// tones are made here, by the scripts that stand before this one in the file (the piano of a pack's page).
// Notes are { onset, duration (beats), pitch, velocity }, by onset.

const BEATS_AHEAD = 6; // whose tones are made before the first of them sounds

// Makes tones on the page's own thread, for there is no worker: those that a piece needs, with a breath between.
class Tones {
  constructor() {
    this.made = new Set();
  }

  ask({ rate }, { progress }) {
    Object.assign(this, { rate, progress });
    return { answer: Promise.resolve() };
  }

  async makeFor(notes) {
    for (const { pitch } of notes) {
      const near = LOWEST_TONE + TONE_STEP * Math.round((pitch - LOWEST_TONE) / TONE_STEP);
      const heard = Math.min(Math.max(near, LOWEST_TONE), HIGHEST_TONE);
      if (this.made.has(heard)) continue;
      this.made.add(heard);
      this.progress({ pitch: heard, samples: tone(heard, this.rate) });
      await new Promise((resume) => setTimeout(resume));
    }
  }
}

// What all players of a page share: one piano, one tempo, and which of them plays.
class Stage {
  constructor() {
    this.players = [];
    this.playing = null;
    this.tempo = document.getElementById("tempo");
    if (this.tempo) this.listen();
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.playing) this.playing.stop();
    });
  }

  listen() {
    const shown = document.getElementById("tempo-shown");
    this.tempo.value = "100"; // some browsers bring back what the last visit set
    this.tempo.parentElement.hidden = false;
    this.tempo.addEventListener("input", () => {
      shown.textContent = this.tempo.value + " %";
      if (this.playing) this.playing.begin();
      this.players.forEach((player) => player.show());
    });
  }

  get speed() {
    return this.tempo ? Number(this.tempo.value) / 100 : 1;
  }

  // To be called while a press of the person is handled; done when the tones that come first are made.
  async wakePiano(notes, beat) {
    if (!this.piano) {
      this.tones = new Tones();
      this.piano = new Piano(this.tones);
    }
    this.piano.wake();
    const coming = notes.filter((note) => note.onset >= beat);
    await this.tones.makeFor(coming.filter((note) => note.onset < beat + BEATS_AHEAD));
    this.tones.makeFor(coming);
  }
}

const stage = new Stage();

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return Math.floor(whole / 60) + ":" + String(whole % 60).padStart(2, "0");
}

class Player {
  // `figure` holds a transport and a roll, and perhaps a score; `music` and `label` are as `load` wants them.
  constructor(figure, music, label) {
    this.figure = figure;
    this.presses = 0;
    this.button = figure.querySelector(".play");
    this.word = figure.querySelector(".word");
    this.seek = figure.querySelector(".seek");
    this.time = figure.querySelector(".time");
    this.button.addEventListener("click", () => (stage.playing === this ? this.stop() : this.start()));
    this.seek.addEventListener("input", () => this.moveTo((this.seek.value / 1000) * this.end));
    stage.players.push(this);
    this.load(music, label ?? this.button.getAttribute("aria-label").replace(/^Play /, ""));
  }

  // `music`: bpm, notes, and where there is a score the places of its onsets and its systems. The roll and the score
  // are those that stand in the figure now; `label` names what is played.
  load({ bpm, notes, places = [], systems = [] }, label) {
    Object.assign(this, { bpm, notes, places, systems, label });
    this.end = notes.reduce((end, note) => Math.max(end, note.onset + note.duration), 0);
    this.beat = 0; // where the cursor stands
    this.roll = this.figure.querySelector(".roll");
    this.score = this.figure.querySelector("svg.score");
    this.scale = Number(this.roll.dataset.scale); // units of the picture per beat
    this.left = this.roll.viewBox.baseVal.x;
    this.roll.addEventListener("click", (event) => {
      const box = this.roll.getBoundingClientRect();
      this.moveTo(((event.clientX - box.left) / this.zoom() + this.left) / this.scale);
    });
    this.figure.querySelector(".transport").hidden = notes.length === 0;
    this.name(stage.playing === this);
    this.show();
  }

  name(isPlaying) {
    this.figure.classList.toggle("playing", isPlaying);
    this.word.textContent = isPlaying ? "Stop" : "Play";
    this.button.setAttribute("aria-label", (isPlaying ? "Stop " : "Play ") + this.label);
  }

  get beatsPerMinute() {
    return this.bpm * stage.speed;
  }

  // Pixels on the screen per unit of the roll.
  zoom() {
    return this.roll.getBoundingClientRect().width / this.roll.viewBox.baseVal.width;
  }

  async start() {
    if (stage.playing) stage.playing.stop();
    stage.playing = this;
    const press = (this.presses += 1);
    if (this.beat >= this.end) this.beat = 0;
    this.name(true);
    await stage.wakePiano(this.notes, this.beat);
    if (stage.playing !== this || press !== this.presses) return; // pressed again before the tones were made
    this.begin();
    const frame = () => {
      if (stage.playing !== this || press !== this.presses) return;
      if (stage.piano.playing) {
        this.beat = stage.piano.beat();
        this.show();
        this.follow();
      }
      window.requestAnimationFrame(frame);
    };
    window.requestAnimationFrame(frame);
  }

  // (Re)starts the sound at the cursor, when the piano is there.
  begin() {
    if (!stage.piano) return;
    stage.tones.makeFor(this.notes);
    stage.piano.onend = () => this.rewind();
    stage.piano.start(this.notes, this.beat, this.beatsPerMinute);
  }

  stop() {
    if (stage.playing === this) stage.playing = null;
    if (stage.piano) stage.piano.stop();
    this.name(false);
  }

  rewind() {
    this.stop();
    this.beat = 0;
    this.show();
  }

  moveTo(beat) {
    this.beat = Math.min(Math.max(beat, 0), this.end);
    if (stage.playing === this) this.begin();
    this.show();
  }

  // Keeps the cursor in sight of a roll that is wider than its pane.
  follow() {
    const pane = this.roll.parentElement;
    const x = (this.beat * this.scale - this.left) * this.zoom();
    const seen = x - pane.scrollLeft;
    if (seen < 0 || seen > pane.clientWidth * 0.9) pane.scrollLeft = x - pane.clientWidth * 0.1;
  }

  show() {
    const beat = Math.min(this.beat, this.end);
    const isSeen = beat > 0 || stage.playing === this;
    drawCursor(this.roll, beat * this.scale, null, isSeen);
    if (this.score) this.showInScore(beat, isSeen);
    this.seek.value = String(this.end > 0 ? Math.round((beat / this.end) * 1000) : 0);
    const perSecond = this.beatsPerMinute / 60;
    const shown = clock(beat / perSecond) + " / " + clock(this.end / perSecond);
    this.time.textContent = shown;
    this.seek.setAttribute("aria-valuetext", shown);
  }

  // Between two onsets of a system the cursor moves evenly, after its last one to the end of the system.
  showInScore(beat, isSeen) {
    const places = this.places;
    const next = places.findIndex((place) => place[0] > beat);
    const at = (next < 0 ? places.length : next) - 1;
    if (at < 0 || (next < 0 && beat > places[at][0] + 4)) {
      drawCursor(this.score, 0, null, false);
      return;
    }
    const [from, x, system] = places[at];
    const [top, bottom, right] = this.systems[system];
    const [until, target] = next < 0 ? [from + 4, right] : [places[next][0], places[next][2] === system ? places[next][1] : right];
    drawCursor(this.score, x + ((beat - from) / (until - from)) * (target - x), [top, bottom], isSeen);
  }
}

function drawCursor(picture, x, heights, isSeen) {
  const line = picture.querySelector(".cursor");
  for (const name of ["x1", "x2"]) line.setAttribute(name, String(x));
  if (heights) ["y1", "y2"].forEach((name, index) => line.setAttribute(name, String(heights[index])));
  line.setAttribute("visibility", isSeen ? "visible" : "hidden");
}

(function () {
  const data = document.getElementById("samples");
  if (!data) return;
  const samples = JSON.parse(data.textContent);
  for (const figure of document.querySelectorAll("[data-sample]")) {
    const { notes, ...music } = samples[figure.dataset.sample];
    const told = notes.map(([onset, duration, pitch, velocity]) => ({ onset, duration, pitch, velocity }));
    new Player(figure, { ...music, notes: told });
  }
})();
