// Weights as float32 from a file's tensors: float32, float16, or int8 with float32 scales (farm/catalog/precision.py).

const SCALE = ".scale";

// Returns { weights: Map of name to { shape, values: Float32Array }, precision }.
function restoreWeights(tensors) {
  const weights = new Map();
  const kinds = new Set();
  for (const [name, tensor] of tensors) {
    if (name.endsWith(SCALE)) {
      if ((tensors.get(name.slice(0, -SCALE.length)) ?? tensor).type !== "I8")
        throw new Error(`${name} scales no int8 weight`);
      continue;
    }
    const values = floats(tensor);
    if (tensor.type === "I8") multiply(values, tensor.shape, scaleOf(name, tensors));
    if (!values.every(Number.isFinite)) throw new Error(`${name} holds numbers that are not finite`);
    weights.set(name, { shape: tensor.shape, values });
    if (tensor.shape.length > 1) kinds.add({ F32: "float32", F16: "float16", I8: "int8" }[tensor.type]);
  }
  if (kinds.size > 1) throw new Error(`weights are stored in several precisions: ${[...kinds].sort().join(", ")}`);
  return { weights, precision: kinds.size ? [...kinds][0] : "float32" };
}

function floats({ type, bytes }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(bytes.length / TYPE_BYTES[type]);
  if (type === "I8") values.set(new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  else if (type === "F32") for (let i = 0; i < values.length; i += 1) values[i] = view.getFloat32(4 * i, true);
  else for (let i = 0; i < values.length; i += 1) values[i] = half(view.getUint16(2 * i, true));
  return values;
}

// The number that 16 bits of IEEE 754 mean.
function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size =
    exponent === 31
      ? fraction
        ? NaN
        : Infinity
      : exponent
        ? (1 + fraction / 1024) * 2 ** (exponent - 15)
        : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

function scaleOf(name, tensors) {
  const scale = tensors.get(name + SCALE);
  const shape = tensors.get(name).shape;
  if (scale === undefined || scale.type !== "F32") throw new Error(`${name} is int8 without a scale`);
  if (scale.shape.length !== shape.length || scale.shape.some((size, axis) => size !== 1 && size !== shape[axis])) {
    throw new Error(`${name} has a scale of shape ${scale.shape}, the weight ${shape}`);
  }
  return { shape: scale.shape, values: floats(scale) };
}

// In place; an axis along which the scale has length 1 shares its numbers. Each product is rounded once, to float32.
function multiply(values, shape, scale) {
  let stride = 1;
  const strides = scale.shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    if (scale.shape[axis] > 1) strides[axis] = stride;
    stride *= scale.shape[axis];
  }
  const width = shape.length ? shape[shape.length - 1] : 1;
  const step = strides.length ? strides[strides.length - 1] : 0;
  for (let row = 0; row < values.length / width; row += 1) {
    let place = 0;
    for (let axis = shape.length - 2, left = row; axis >= 0; axis -= 1) {
      place += (left % shape[axis]) * strides[axis];
      left = Math.floor(left / shape[axis]);
    }
    for (let column = 0; column < width; column += 1)
      values[row * width + column] *= scale.values[place + column * step];
  }
}
