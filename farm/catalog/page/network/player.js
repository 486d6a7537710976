// The trained network, played event by event (farm/composing/player.py), in double precision throughout: what is drawn
// from its answers is what `farm compose` draws.

const MAX_UNITS = 4096;
const MAX_LAYERS = 8;
const ARCHITECTURE_KEYS = "embedding,head,kind,layers";

// Name and shape of every weight; an Error when the architecture is not one of this version.
function weightShapes(architecture, encoding) {
  const { embedding, layers, head } = checkedArchitecture(architecture);
  const features = new Features(encoding);
  const shapes = new Map([
    ["input.kernel", [features.nColumns, embedding]],
    ["input.bias", [embedding]],
  ]);
  let width = embedding;
  layers.forEach((units, at) => {
    shapes.set(`lstm${at + 1}.kernel`, [width, 4 * units]);
    shapes.set(`lstm${at + 1}.recurrent`, [units, 4 * units]);
    shapes.set(`lstm${at + 1}.bias`, [4 * units]);
    width = units;
  });
  for (const field of encoding.fields) {
    let before = layers.at(-1);
    if (field !== PREDICTED[0]) {
      shapes.set(`${field}.memory.kernel`, [before, head]);
      shapes.set(`${field}.memory.bias`, [head]);
      shapes.set(`${field}.known.kernel`, [features.known(field), head]);
      before = head;
    }
    shapes.set(`${field}.out.kernel`, [before, encoding.nClasses[field]]);
    shapes.set(`${field}.out.bias`, [encoding.nClasses[field]]);
  }
  return shapes;
}

function checkedArchitecture(architecture) {
  if (Object.keys(architecture).sort().join() !== ARCHITECTURE_KEYS || architecture.kind !== "lstm") {
    throw new Error("architecture: it is not one this version knows; use a newer page");
  }
  const { embedding, layers, head } = architecture;
  if (!Array.isArray(layers) || layers.length < 1 || layers.length > MAX_LAYERS) {
    throw new Error(`architecture: expected 1 to ${MAX_LAYERS} layers; get the file again`);
  }
  if (![embedding, head, ...layers].every((size) => Number.isInteger(size) && size >= 1 && size <= MAX_UNITS)) {
    throw new Error(`architecture: a size is not from 1 to ${MAX_UNITS}; get the file again`);
  }
  return architecture;
}

class Player {
  constructor(architecture, encoding, weights) {
    const shapes = weightShapes(architecture, encoding);
    for (const name of shapes.keys())
      if (!weights.has(name)) throw new Error(`weights: '${name}' is missing; get the model file again`);
    for (const [name, { shape }] of weights) {
      if (!shapes.has(name))
        throw new Error(`weights: '${name}' is not one of this network's; get the model file again`);
      if (shape.join() !== shapes.get(name).join()) {
        throw new Error(
          `weights: '${name}' has shape ${shape}, expected ${shapes.get(name)}; get the model file again`,
        );
      }
    }
    this.encoding = encoding;
    this.features = new Features(encoding);
    this.layers = architecture.layers;
    this.weights = {};
    for (const [name, { values }] of weights) this.weights[name] = values;
  }

  // Where a piece stands before anything was fed.
  start() {
    const silent = () => this.layers.map((units) => new Float64Array(units));
    return {
      left: this.features.silence(),
      outputs: silent(),
      cells: silent(),
      memory: new Float64Array(this.layers.at(-1)),
    };
  }

  // Moves `state` on by one event.
  feed(state, row) {
    const { weights } = this;
    let flow = Float64Array.from(weights["input.bias"]);
    for (const column of this.features.follow(state.left, row)) addRow(flow, weights["input.kernel"], column);
    this.layers.forEach((units, at) => {
      const [output, cell] = [state.outputs[at], state.cells[at]];
      const gates = Float64Array.from(weights[`lstm${at + 1}.bias`]);
      addProduct(gates, flow, weights[`lstm${at + 1}.kernel`]);
      addProduct(gates, output, weights[`lstm${at + 1}.recurrent`]);
      stepLayer(gates, output, cell);
      flow = flow.length === units ? output.map((value, unit) => value + flow[unit]) : Float64Array.from(output);
    });
    state.memory = flow;
  }

  // Unnormalised log chances of a field of the next event, as far as `row` is decided.
  logits(state, field, row) {
    const { weights } = this;
    let flow = state.memory;
    if (field !== PREDICTED[0]) {
      const hidden = Float64Array.from(weights[`${field}.memory.bias`]);
      addProduct(hidden, flow, weights[`${field}.memory.kernel`]);
      for (const column of this.features.columns(state.left, row, this.features.known(field))) {
        addRow(hidden, weights[`${field}.known.kernel`], column);
      }
      flow = hidden.map((value) => Math.max(value, 0));
    }
    const logits = Float64Array.from(weights[`${field}.out.bias`]);
    addProduct(logits, flow, weights[`${field}.out.kernel`]);
    return logits;
  }
}

// Output and cell of an LSTM layer after one step, in place. Gates: input, forget, candidate, output.
function stepLayer(gates, output, cell) {
  const units = cell.length;
  const opening = (gate) => 0.5 * Math.tanh(0.5 * gate) + 0.5;
  for (let unit = 0; unit < units; unit += 1) {
    const kept = opening(gates[units + unit]) * cell[unit];
    cell[unit] = kept + opening(gates[unit]) * Math.tanh(gates[2 * units + unit]);
    output[unit] = opening(gates[3 * units + unit]) * Math.tanh(cell[unit]);
  }
}

function addRow(sums, matrix, row) {
  const start = row * sums.length;
  for (let at = 0; at < sums.length; at += 1) sums[at] += matrix[start + at];
}

// sums += vector @ matrix, eight rows of the matrix at a time: most of a piece's time is spent here.
function addProduct(sums, vector, matrix) {
  const width = sums.length;
  let row = 0;
  for (; row + 8 <= vector.length; row += 8) {
    const [a, b, c, d, e, f, g, h] = vector.subarray(row, row + 8);
    const start = row * width;
    for (let column = 0; column < width; column += 1) {
      let at = start + column;
      let upper = a * matrix[at];
      upper += b * matrix[(at += width)];
      upper += c * matrix[(at += width)];
      upper += d * matrix[(at += width)];
      let lower = e * matrix[(at += width)];
      lower += f * matrix[(at += width)];
      lower += g * matrix[(at += width)];
      lower += h * matrix[(at += width)];
      sums[column] += upper + lower;
    }
  }
  for (; row < vector.length; row += 1) {
    for (let column = 0; column < width; column += 1) sums[column] += vector[row] * matrix[row * width + column];
  }
}
