// The piano-roll: a canvas as wide as what is seen of it, drawn anew when it is scrolled, so that long pieces cost no
// more than short ones.

const PIXELS_PER_BEAT = 26;
const KEYS_WIDTH = 34; // for the names of the octaves
const RULER_HEIGHT = 20;
const BLACK_KEYS = [1, 3, 6, 8, 10];

class Roll {
  constructor(pane) {
    this.pane = pane; // scrolls
    this.canvas = pane.querySelector("canvas");
    this.sheet = pane.querySelector(".sheet"); // gives the pane its width
    this.notes = [];
    this.barBeats = 4;
    this.cursor = null; // beats
    this.onseek = () => {};
    this.drawn = false;
    const again = () => this.draw();
    pane.addEventListener("scroll", again);
    new ResizeObserver(again).observe(pane);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    this.canvas.addEventListener("pointerdown", (event) => (this.pressed = event.clientX));
    this.canvas.addEventListener("click", (event) => this.click(event));
  }

  click(event) {
    if (!this.notes.length || Math.abs(event.clientX - (this.pressed ?? event.clientX)) > 6) return; // it was a drag
    const x = event.clientX - this.canvas.getBoundingClientRect().left + this.pane.scrollLeft - KEYS_WIDTH;
    this.onseek(Math.min(Math.max(x / PIXELS_PER_BEAT, 0), this.end()));
  }

  end() {
    return this.notes.reduce((end, note) => Math.max(end, note.onset + note.duration), 0);
  }

  show(notes, barBeats) {
    this.notes = notes;
    this.barBeats = barBeats;
    const pitches = notes.map((note) => note.pitch);
    this.low = Math.min(55, ...pitches) - 2;
    this.high = Math.max(77, ...pitches) + 2;
    this.sheet.style.width = `${KEYS_WIDTH + Math.ceil(this.end() * PIXELS_PER_BEAT) + 24}px`;
    this.draw();
  }

  moveTo(beat) {
    this.cursor = beat;
    this.draw();
  }

  // Scrolls so that a beat is seen, a page at a time, as one turns pages.
  follow(beat) {
    const x = KEYS_WIDTH + beat * PIXELS_PER_BEAT - this.pane.scrollLeft;
    if (x < KEYS_WIDTH || x > this.pane.clientWidth * 0.92)
      this.pane.scrollLeft = beat * PIXELS_PER_BEAT - this.pane.clientWidth * 0.08;
  }

  // Draws at the next frame, once however often it is asked for.
  draw() {
    if (this.drawn) return;
    this.drawn = true;
    requestAnimationFrame(() => {
      this.drawn = false;
      this.drawNow();
    });
  }

  drawNow() {
    const [width, height, sharp] = [this.pane.clientWidth, this.pane.clientHeight, devicePixelRatio || 1];
    if (this.canvas.width !== Math.round(width * sharp) || this.canvas.height !== Math.round(height * sharp)) {
      this.canvas.width = Math.round(width * sharp);
      this.canvas.height = Math.round(height * sharp);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!this.notes.length) return;
    const style = getComputedStyle(this.pane);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const row = (height - RULER_HEIGHT) / (this.high - this.low + 1);
    const x = (beat) => KEYS_WIDTH + beat * PIXELS_PER_BEAT - this.pane.scrollLeft;
    const y = (pitch) => RULER_HEIGHT + (this.high - pitch) * row;
    pen.font = `11px ${style.fontFamily}`;
    this.drawPaper(pen, { width, height, row, x, y, colour });
    for (const { onset, duration, pitch, velocity } of this.notes) {
      if (x(onset) > width || x(onset + duration) < KEYS_WIDTH) continue;
      const sounds = this.cursor !== null && this.cursor >= onset && this.cursor < onset + duration;
      pen.globalAlpha = sounds ? 1 : 0.55 + 0.45 * (velocity / 127);
      pen.fillStyle = colour(sounds ? "sounding" : "accent");
      pen.beginPath();
      pen.roundRect(
        x(onset),
        y(pitch) + 0.5,
        Math.max(duration * PIXELS_PER_BEAT - 1, 2),
        Math.max(row - 1, 2),
        Math.min(3, row / 3),
      );
      pen.fill();
    }
    pen.globalAlpha = 1;
    this.drawMargin(pen, { height, row, y, colour });
    if (this.cursor !== null && x(this.cursor) >= KEYS_WIDTH - 1) {
      pen.fillStyle = colour("sounding");
      pen.fillRect(x(this.cursor) - 1, 0, 2, height);
    }
  }

  drawPaper(pen, { width, height, row, x, y, colour }) {
    pen.fillStyle = colour("stripe");
    for (let pitch = this.low; pitch <= this.high; pitch += 1) {
      if (BLACK_KEYS.includes(pitch % 12)) pen.fillRect(0, y(pitch), width, row);
    }
    const every = Math.max(1, Math.ceil(44 / (this.barBeats * PIXELS_PER_BEAT))); // numbers need room
    const first = Math.max(0, Math.floor(this.pane.scrollLeft / PIXELS_PER_BEAT / this.barBeats));
    for (let bar = first; x(bar * this.barBeats) < width && bar * this.barBeats <= this.end(); bar += 1) {
      const at = Math.round(x(bar * this.barBeats));
      if (at < KEYS_WIDTH) continue;
      pen.fillStyle = colour("line");
      pen.fillRect(at, 0, 1, height);
      pen.fillStyle = colour("muted");
      if (bar % every === 0) pen.fillText(String(bar + 1), at + 4, 14);
    }
  }

  // The names of the octaves stay where they are while the notes move below.
  drawMargin(pen, { height, row, y, colour }) {
    pen.fillStyle = colour("sheet");
    pen.fillRect(0, 0, KEYS_WIDTH, height);
    pen.fillStyle = colour("line");
    pen.fillRect(KEYS_WIDTH - 1, 0, 1, height);
    pen.fillStyle = colour("muted");
    for (let pitch = this.low; pitch <= this.high; pitch += 1) {
      if (pitch % 12 === 0) pen.fillText(`C${pitch / 12 - 1}`, 8, y(pitch) + row / 2 + 4);
    }
  }
}
