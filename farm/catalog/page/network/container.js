// The model file's container (safetensors), read with suspicion, as farm/catalog/container.py does: the file's own
// hash first, then the bounds of its header, then an allow-list of keys and types. Tensors are views on the bytes
// that were given; a header can claim what it likes, nothing is allocated for it.

const MAX_FILE_BYTES = 2 ** 30;
const MAX_HEADER_BYTES = 2 ** 20;
const MAX_TENSORS = 4096;
const MAX_DIMENSIONS = 4;
const TENSOR_NAME = /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}$/;
const TYPE_BYTES = { __proto__: null, F32: 4, F16: 2, I8: 1 };
const METADATA_KEYS = "architecture,card,encoding,format,sha256";

// Returns { tensors: Map of name to { type, shape, bytes }, metadata }.
function readContainer(data) {
  if (data.length < 8) throw new Error(`${data.length} bytes are too short for a model file`);
  if (data.length > MAX_FILE_BYTES) throw new Error(`${data.length} bytes are too long for a model file`);
  const claimed = new DataView(data.buffer, data.byteOffset).getBigUint64(0, true);
  if (claimed > Math.min(MAX_HEADER_BYTES, data.length - 8)) {
    throw new Error(`the header claims ${claimed} bytes of a file of ${data.length}`);
  }
  const end = 8 + Number(claimed);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data.subarray(8, end));
  } catch {
    throw new Error("its header is no text");
  }
  const header = parseObject(text, "header");
  const metadata = header.__metadata__;
  delete header.__metadata__;
  checkMetadata(metadata, data, end);
  return { tensors: tensorsOf(header, data.subarray(end)), metadata };
}

function checkMetadata(metadata, data, end) {
  const isObject = metadata !== null && typeof metadata === "object" && !Array.isArray(metadata);
  if (!isObject || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw new Error("it has no metadata of a model file");
  }
  // told before anything else, for another format may differ in all of it
  if (metadata.format !== undefined && metadata.format !== FORMAT) {
    throw new Error(`its format is '${metadata.format.slice(0, 20)}', this page reads '${FORMAT}'; use a newer pack`);
  }
  const keys = Object.keys(metadata).sort().join();
  if (keys !== METADATA_KEYS) throw new Error(`its metadata names ${keys.slice(0, 200)}; expected ${METADATA_KEYS}`);
  const own = new TextEncoder().encode(`"sha256":"${metadata.sha256}"`);
  const at = placeOf(own, data.subarray(0, end));
  if (at < 0 || placeOf(own, data.subarray(at + own.length, end)) >= 0) {
    throw new Error("its own hash is not where a model file has it");
  }
  const blank = new TextEncoder().encode(`"sha256":"${"0".repeat(64)}"`);
  const found = new Sha256()
    .update(data.subarray(0, at))
    .update(blank)
    .update(data.subarray(at + own.length))
    .hex();
  if (found !== metadata.sha256) throw new Error("its bytes do not have the hash that it names");
}

function placeOf(part, whole) {
  for (let at = whole.indexOf(part[0]); at >= 0; at = whole.indexOf(part[0], at + 1)) {
    if (part.every((byte, offset) => whole[at + offset] === byte)) return at;
  }
  return -1;
}

function tensorsOf(header, body) {
  const names = Object.keys(header);
  if (names.length < 1 || names.length > MAX_TENSORS) {
    throw new Error(`it holds ${names.length} weights, expected 1 to ${MAX_TENSORS}`);
  }
  // In the order of their places: a JavaScript object puts keys that are numbers first, whatever the file has.
  names.sort((one, other) => startOf(header[one]) - startOf(header[other]));
  const tensors = new Map();
  let reached = 0;
  for (const name of names) {
    const entry = header[name];
    if (!TENSOR_NAME.test(name) || entry === null || typeof entry !== "object") {
      throw new Error(`weight '${name.slice(0, 60)}' is not described as one`);
    }
    if (Object.keys(entry).sort().join() !== "data_offsets,dtype,shape" || !(entry.dtype in TYPE_BYTES)) {
      throw new Error(`weight '${name}' has another type or other keys than a model file's`);
    }
    const { dtype, shape, data_offsets: offsets } = entry;
    if (!areCounts(shape) || !areCounts(offsets) || offsets.length !== 2 || shape.length > MAX_DIMENSIONS) {
      throw new Error(`weight '${name}' has a shape or place that is none`);
    }
    const size = shape.reduce((product, length) => product * length, TYPE_BYTES[dtype]);
    const [start, end] = offsets;
    if (size === 0 || start !== reached || end - start !== size || end > body.length) {
      throw new Error(`weight '${name}' lies at ${start} to ${end}, expected ${size} bytes from ${reached}`);
    }
    tensors.set(name, { type: dtype, shape, bytes: body.subarray(start, end) });
    reached = end;
  }
  if (reached !== body.length) throw new Error(`${body.length - reached} bytes follow the last weight`);
  return tensors;
}

function startOf(entry) {
  const start = Array.isArray(entry?.data_offsets) ? entry.data_offsets[0] : 0;
  return Number.isInteger(start) ? start : 0;
}

function areCounts(values) {
  return (
    Array.isArray(values) && values.every((value) => Number.isInteger(value) && value >= 0 && value <= MAX_FILE_BYTES)
  );
}
