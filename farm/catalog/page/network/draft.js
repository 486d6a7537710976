// A piece while it is composed: what is written, what may follow, where it ends (farm/composing/draft.py).

const MIN_SHARE = 0.25; // no end before this share of the asked length
const NOTES_PER_BAR = 128; // the end of a bar that a network would fill for ever

class Draft {
  // `length` is { notes } or { bars }.
  constructor(encoding, metre, length) {
    this.encoding = encoding;
    this.metre = metre;
    this.barSteps = encoding.barSteps(metre);
    this.bars = length.bars ?? null;
    this.maxNotes = length.notes ?? length.bars * NOTES_PER_BAR;
    this.last = encoding.startRow(metre);
    this.rows = [];
    this.done = false;
    this.stopped = false; // whether the network ended the piece itself
    this.inBar = 0;
    this.bar = 0;
    this.started = false;
    this.coarse = encoding.stepsPerBeat / encoding.grid;
  }

  // Whether a class of a field may follow.
  legal(name, row) {
    const { encoding, last } = this;
    const perBeat = encoding.stepsPerBeat;
    if (name === "beats") {
      const mayStop = this.mayStop();
      return (beats) => (beats === encoding.stop ? mayStop : this.started || beats * perBeat < this.barSteps);
    }
    if (name === "step") {
      return (step) => step % this.coarse === 0 && (this.started || row[BEATS] * perBeat + step < this.barSteps);
    }
    const inChord = row[BEATS] === 0 && row[STEP] === 0 && this.started;
    if (name === "pitch" && inChord) return (pitch) => pitch >= last[PITCH];
    if (name === "duration" && inChord && row[PITCH] === last[PITCH]) return (duration) => duration >= last[DURATION];
    return () => true;
  }

  // Fills in the position in the bar that the chosen time leads to.
  place(row) {
    row[POSITION] = this.encoding.position(this.inBar + this.encoding.gap(row), this.metre);
  }

  add(row) {
    const reached = this.inBar + this.encoding.gap(row);
    this.bar += Math.floor(reached / this.barSteps);
    this.inBar = reached % this.barSteps;
    this.stopped = row[BEATS] === this.encoding.stop;
    this.done = this.stopped || (this.bars !== null && this.bar >= this.bars);
    if (!this.done) this.rows.push(row);
    this.done ||= this.rows.length >= this.maxNotes;
    this.last = row;
    this.started = true;
  }

  // The events of the piece, without START and STOP.
  events() {
    if (this.bars === null || this.stopped) return this.rows;
    let onset = 0;
    return this.rows.map((row) => {
      onset += this.encoding.gap(row);
      return this.cut(row, this.bars * this.barSteps - onset);
    });
  }

  // A copy that does not sound longer than `room` steps, or as short as can be.
  cut(row, room) {
    const fitting = this.encoding.durationSteps.findLastIndex((steps) => steps <= room);
    const copy = row.slice();
    copy[DURATION] = Math.min(row[DURATION], Math.max(fitting, 0));
    return copy;
  }

  mayStop() {
    if (this.bars === null) return this.rows.length >= Math.max(MIN_SHARE * this.maxNotes, 1);
    return this.rows.length > 0 && this.bar + 1 >= MIN_SHARE * this.bars;
  }
}
