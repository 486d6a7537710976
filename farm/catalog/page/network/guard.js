// The guard against loops, silence and clusters (farm/composing/guard.py): it watches the events, bans the next step
// of such a course and says how often it stepped in. A guard that has nothing to do changes nothing.

const MAX_SILENT_BARS = 2;
const MAX_CHORD_NOTES = 16;
const LONGEST_LOOP_NOTES = 64;
const LOOP_ROUNDS = 4; // a figure may return three times; people do that, and seldom more
const LOOP_MIN_NOTES = 20; // tremolo and drum basses repeat short figures for a bar; this is longer
const HEAT = 1.5; // each time a piece loops again the temperature goes up by this much more
const MAX_HEAT = 4;
const HEAT_EVENTS = 16;

class Guard {
  constructor(encoding, barSteps) {
    this.encoding = encoding;
    this.barSteps = barSteps;
    this.interventions = { loop: 0, silence: 0, cluster: 0 };
    this.chordNotes = 0;
    this.heatNow = 1;
    this.heatLeft = 0;
    this.avoid = -1;
    this.figure = new Array(LONGEST_LOOP_NOTES).fill(-1); // what the last notes were, the newest first
    this.pitches = new Array(LONGEST_LOOP_NOTES).fill(-1);
    this.same = new Int32Array(LONGEST_LOOP_NOTES); // how many notes in a row came back after 1, 2, ... notes
  }

  get heat() {
    return this.heatLeft > 0 ? this.heatNow : 1;
  }

  // Whether a class of a field must not come next, as a function of the class; null when all are free.
  banned(field, row) {
    const { encoding } = this;
    if (field === "beats") {
      return (beats) => beats < encoding.stop && beats * encoding.stepsPerBeat > MAX_SILENT_BARS * this.barSteps;
    }
    if (field === "step") return (step) => step === 0 && row[BEATS] === 0 && this.chordNotes >= MAX_CHORD_NOTES;
    if (field === "pitch" && this.avoid >= 0) return (pitch) => pitch === this.avoid;
    return null;
  }

  // Notes that a banned class was drawn; a loop is counted once, when it is found.
  count(field) {
    if (field === "beats") this.interventions.silence += 1;
    if (field === "step") this.interventions.cluster += 1;
  }

  observe(row) {
    this.heatLeft = Math.max(this.heatLeft - 1, 0);
    this.avoid = -1;
    const gap = this.encoding.gap(row);
    this.chordNotes = gap === 0 ? this.chordNotes + 1 : 1;
    const { pitch, duration } = this.encoding.nClasses;
    const code = (gap * pitch + row[PITCH]) * duration + row[DURATION];
    this.same.forEach((times, at) => (this.same[at] = this.figure[at] === code ? times + 1 : 0));
    this.figure = [code, ...this.figure.slice(0, -1)];
    this.pitches = [row[PITCH], ...this.pitches.slice(0, -1)];
    this.breakLoop();
  }

  breakLoop() {
    const looping = this.same.findIndex((times, at) => {
      const period = at + 1;
      return times >= Math.max((LOOP_ROUNDS - 1) * period, LOOP_MIN_NOTES - period);
    });
    if (looping < 0) return;
    this.avoid = this.pitches[looping];
    this.interventions.loop += 1;
    this.heatNow = Math.min(HEAT ** this.interventions.loop, MAX_HEAT);
    this.heatLeft = HEAT_EVENTS;
    this.same.fill(0);
  }
}
