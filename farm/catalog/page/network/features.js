// What the network is shown of an event (farm/music/features.py): which columns of its row are ones. `left` is for
// every pitch how many steps it still sounds after the last onset.

const LONGEST_ENDING = 49;

class Features {
  constructor(encoding) {
    this.encoding = encoding;
    this.perPlace = encoding.stepsPerBeat / COARSE;
    const size = (name) => encoding.nClasses[name] + 1; // one more for START
    const later = encoding.fields.slice(2).map((name) => [name, size(name)]);
    const blocks = [
      ["metre", encoding.metres.length],
      ["beats", size("beats")],
      ["step", size("step")],
      ["position", Math.ceil(LONGEST_BAR_STEPS / this.perPlace)],
      ["phase", this.perPlace],
      ["held", encoding.nClasses.pitch],
      ...later,
      ["ending", LONGEST_ENDING + 1],
    ];
    this.starts = {};
    this.nColumns = 0;
    for (const [name, width] of blocks) {
      this.starts[name] = this.nColumns;
      this.nColumns += width;
    }
  }

  // How many columns are known when a field is to be chosen; the first is chosen before its event.
  known(field) {
    return field === PREDICTED[0] ? 0 : this.starts[field];
  }

  silence() {
    return new Int32Array(this.encoding.nClasses.pitch);
  }

  // The columns below `limit` that are ones for the next event, as far as it is decided.
  columns(left, row, limit) {
    const { starts, encoding } = this;
    const ones = [starts.metre + row[METRE], starts.beats + row[BEATS], starts.step + row[STEP]];
    ones.push(
      starts.position + Math.floor(row[POSITION] / this.perPlace),
      starts.phase + (row[POSITION] % this.perPlace),
    );
    if (limit > starts.held) {
      const gap = encoding.gap(row);
      for (let pitch = 0; pitch < left.length; pitch += 1) if (left[pitch] > gap) ones.push(starts.held + pitch);
    }
    for (const name of encoding.fields.slice(2)) ones.push(starts[name] + row[COLUMN[name]]);
    return ones.filter((column) => column < limit);
  }

  // All columns of an event that is decided; moves `left` on to its onset.
  follow(left, row) {
    const ones = this.columns(left, row, this.starts.ending);
    const gap = this.encoding.gap(row);
    for (let pitch = 0; pitch < left.length; pitch += 1) left[pitch] = Math.max(left[pitch] - gap, 0);
    if (row[BEATS] < this.encoding.stop) {
      left[row[PITCH]] = Math.max(left[row[PITCH]], this.encoding.durationSteps[row[DURATION]]);
    }
    let soonest = Infinity;
    for (const steps of left) if (steps > 0 && steps < soonest) soonest = steps;
    const ending = soonest < Infinity ? Math.min(Math.ceil(soonest / this.perPlace), LONGEST_ENDING) : 0;
    ones.push(this.starts.ending + ending);
    return ones;
  }
}
