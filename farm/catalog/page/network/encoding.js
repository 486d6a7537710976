// The vocabulary and time base of a model, and its events as notes (farm/music/encoding.py). An event is a row:
// beats, step, pitch, duration, velocity, position, metre.

const [BEATS, STEP, PITCH, DURATION, VELOCITY, POSITION, METRE] = [0, 1, 2, 3, 4, 5, 6];
const PREDICTED = ["beats", "step", "pitch", "duration", "velocity"];
const COLUMN = { beats: BEATS, step: STEP, pitch: PITCH, duration: DURATION, velocity: VELOCITY };
const LONGEST_BAR_STEPS = 384;
const MAX_STEPS = 100000;
const COARSE = 12; // places to the beat that every grid can tell
const FREE = "free";
const ENCODING_KEYS = "duration_steps,grid,has_velocity,max_beats,metres,n_pitches,n_velocities,steps_per_beat";

class Encoding {
  // From what a model file says; an Error when a value is not of this format.
  constructor(data) {
    const problem = Encoding.problem(data);
    if (problem) throw new Error(`encoding: not one this version knows (${problem}); use a newer page`);
    this.grid = data.grid;
    this.hasVelocity = data.has_velocity;
    this.stepsPerBeat = data.steps_per_beat;
    this.durationSteps = data.duration_steps;
    this.metres = data.metres;
    this.nVelocities = data.n_velocities;
    this.stop = data.max_beats + 1; // the class of beats that ends a piece
    this.fields = data.has_velocity ? PREDICTED : PREDICTED.slice(0, -1);
    this.nClasses = {
      beats: this.stop + 1,
      step: data.steps_per_beat,
      pitch: data.n_pitches,
      duration: data.duration_steps.length,
      velocity: data.n_velocities,
    };
  }

  static problem(data) {
    if (Object.keys(data).sort().join() !== ENCODING_KEYS) return "its keys";
    const sizes = [data.steps_per_beat, data.n_pitches, data.max_beats, data.n_velocities, data.grid];
    if (!sizes.every((size) => Number.isInteger(size) && size > 0 && size <= 4096)) return "sizes out of range";
    const steps = data.duration_steps;
    if (!Array.isArray(steps) || !steps.length || !steps.every(Number.isInteger)) return "durations out of order";
    if (!steps.every((step, at) => at === 0 || steps[at - 1] < step)) return "durations out of order";
    if (steps[0] < 1 || steps.at(-1) > MAX_STEPS) return "durations out of range";
    if (Math.max(data.n_pitches, data.n_velocities) > 128 || typeof data.has_velocity !== "boolean")
      return "pitches or velocities out of range";
    if (data.steps_per_beat % data.grid || data.steps_per_beat % COARSE) return "steps off the grid";
    if (!Array.isArray(data.metres) || !data.metres.every((metre) => typeof metre === "string"))
      return "metres out of range";
    const bars = data.metres.map((metre) => barSteps(metre, data.steps_per_beat));
    if (!bars.every((bar) => bar > 0 && bar <= MAX_STEPS)) return "metres out of range";
    return data.metres.includes("other") && data.metres.includes(FREE) ? "" : "metres out of range";
  }

  startRow(metre) {
    return Int32Array.from([...PREDICTED.map((name) => this.nClasses[name]), 0, metre]);
  }

  // Distance of an event from the one before, in steps; START and STOP have none.
  gap(row) {
    return row[BEATS] < this.stop ? row[BEATS] * this.stepsPerBeat + row[STEP] : 0;
  }

  barSteps(metre) {
    return barSteps(this.metres[metre], this.stepsPerBeat);
  }

  position(steps, metre) {
    return this.metres[metre] === FREE ? 0 : Math.min(steps % this.barSteps(metre), LONGEST_BAR_STEPS - 1);
  }

  metreClass(timeSignature) {
    if (typeof timeSignature !== "string") return this.metres.indexOf(FREE);
    return this.metres.indexOf(this.metres.includes(timeSignature) ? timeSignature : "other");
  }

  // The notes of a piece: onset and duration in beats.
  decode(events) {
    const band = Math.floor(128 / this.nVelocities);
    let steps = 0;
    const notes = [];
    for (const row of events) {
      if (row[BEATS] >= this.stop) continue;
      steps += this.gap(row);
      notes.push({
        onset: steps / this.stepsPerBeat,
        duration: this.durationSteps[row[DURATION]] / this.stepsPerBeat,
        pitch: row[PITCH],
        velocity: this.hasVelocity ? row[VELOCITY] * band + Math.floor(band / 2) : 80,
      });
    }
    return notes;
  }
}

// Length of a bar in steps; four beats where the metre's name does not say, NaN where it says nonsense.
function barSteps(name, stepsPerBeat) {
  if (!name.includes("/")) return 4 * stepsPerBeat;
  const found = /^([0-9]{1,6})\/([0-9]{1,6})$/.exec(name);
  return found ? Math.floor((found[1] * 4 * stepsPerBeat) / found[2]) : NaN;
}
