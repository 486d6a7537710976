// Notes as a Standard MIDI File, byte for byte the one that `farm compose` writes (farm/composing/midi_file.py).

const TICKS_PER_BEAT = 480;

// Half to even, as numpy rounds.
function rounded(value) {
  const whole = Math.floor(value);
  return value - whole === 0.5 ? whole + (whole % 2) : Math.round(value);
}

// How far notes may be moved, in semitones: [down, up].
function transposable(notes) {
  const pitches = notes.map((note) => note.pitch);
  return notes.length ? [-Math.min(...pitches), 127 - Math.max(...pitches)] : [-127, 127];
}

// The notes as one keyboard can play them, in ticks: a key struck again while it sounds ends there, and of equal notes
// struck together the longest stays.
function playable(notes, semitones) {
  const ticks = notes.map(({ onset, duration, pitch, velocity }) => ({
    onset: rounded(onset * TICKS_PER_BEAT),
    length: Math.max(rounded(duration * TICKS_PER_BEAT), 1),
    pitch: pitch + semitones,
    velocity,
  }));
  ticks.sort((a, b) => a.pitch - b.pitch || a.onset - b.onset || b.length - a.length);
  const single = ticks.filter(
    (note, at) => at === 0 || note.pitch !== ticks[at - 1].pitch || note.onset !== ticks[at - 1].onset,
  );
  single.forEach((note, at) => {
    const next = single[at + 1];
    if (next?.pitch === note.pitch) note.length = Math.min(note.length, next.onset - note.onset);
  });
  return single.sort((a, b) => a.onset - b.onset || a.pitch - b.pitch);
}

// `ticks` as `playable` gives them; metre such as "3/4".
function midiFile(ticks, { title, tempoBpm, metre }) {
  const [beats, unit] = /^[1-9][0-9]?\/(1|2|4|8|16|32)$/.test(metre) ? metre.split("/").map(Number) : [4, 4];
  const mspq = rounded(60e6 / tempoBpm);
  const name = [...new TextEncoder().encode(title)];
  const head = [
    ...[0, 0xff, 0x03, ...variable(name.length), ...name],
    ...[0, 0xff, 0x51, 3, (mspq >> 16) & 255, (mspq >> 8) & 255, mspq & 255],
    ...[0, 0xff, 0x58, 4, beats, Math.log2(unit), 24, 8],
    ...[0, 0xc0, 0],
  ];
  const strokes = ticks.flatMap(({ onset, length, pitch, velocity }) => [
    { tick: onset, pitch, velocity },
    { tick: onset + length, pitch, velocity: 0 }, // lets the key go
  ]);
  strokes.sort((a, b) => a.tick - b.tick || Math.sign(a.velocity) - Math.sign(b.velocity) || a.pitch - b.pitch);
  const body = [];
  let now = 0;
  for (const { tick, pitch, velocity } of strokes) {
    // The status byte of the first serves for all.
    body.push(...variable(tick - now), ...(body.length ? [] : [0x90]), pitch, velocity);
    now = tick;
  }
  const track = Uint8Array.from([...head, ...body, 0, 0xff, 0x2f, 0]);
  const file = new Uint8Array(22 + track.length);
  const intro = [0x4d, 0x54, 0x68, 0x64, 0, 0, 0, 6, 0, 0, 0, 1, TICKS_PER_BEAT >> 8, TICKS_PER_BEAT & 255];
  file.set([...intro, 0x4d, 0x54, 0x72, 0x6b]);
  new DataView(file.buffer).setUint32(18, track.length);
  file.set(track, 22);
  return file;
}

// A number in MIDI's variable length: seven bits a byte, the highest first.
function variable(number) {
  const bytes = [number & 127];
  for (let rest = number >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 127) | 128);
  return bytes;
}
