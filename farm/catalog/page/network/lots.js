// Numbers in [0, 1) by lot: the same as numpy's Generator(PCG64(seed)).random, so that a seed means the same piece
// here and there. The seed is spread as numpy's SeedSequence does it (M. O'Neill, "PCG", 2014; seed_seq_fe).

const MASK64 = (1n << 64n) - 1n;
const MASK128 = (1n << 128n) - 1n;
const PCG_MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

class Lots {
  constructor(seed) {
    const words = spread(seed, 8);
    const [stateHigh, stateLow, incHigh, incLow] = [0, 2, 4, 6].map(
      (at) => BigInt(words[at]) | (BigInt(words[at + 1]) << 32n),
    );
    this.increment = ((((incHigh << 64n) | incLow) << 1n) | 1n) & MASK128;
    this.state = 0n;
    this.step();
    this.state = (this.state + ((stateHigh << 64n) | stateLow)) & MASK128;
    this.step();
  }

  step() {
    this.state = (this.state * PCG_MULTIPLIER + this.increment) & MASK128;
  }

  next() {
    this.step();
    const turn = this.state >> 122n;
    const mixed = (this.state >> 64n) ^ (this.state & MASK64);
    const word = ((mixed >> turn) | (mixed << (64n - turn))) & MASK64;
    return Number(word >> 11n) / 2 ** 53;
  }
}

// `count` words of 32 bits from a BigInt seed >= 0.
function spread(seed, count) {
  const entropy = [];
  for (let rest = seed; rest > 0n || !entropy.length; rest >>= 32n) entropy.push(Number(rest & 0xffffffffn));
  let constant = 0x43b0d7e5;
  const hash = (value) => {
    value = (value ^ constant) >>> 0;
    constant = Math.imul(constant, 0x931e8875) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (one, other) => {
    const mixed = (Math.imul(0xca01f9dd, one) - Math.imul(0x4973f715, other)) >>> 0;
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  const pool = [0, 1, 2, 3].map((at) => hash(entropy[at] ?? 0));
  for (let from = 0; from < 4; from += 1) {
    for (let to = 0; to < 4; to += 1) if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
  }
  for (const word of entropy.slice(4)) for (let to = 0; to < 4; to += 1) pool[to] = mix(pool[to], hash(word));
  constant = 0x8b51f9dd;
  return Array.from({ length: count }, (_, at) => {
    let value = (pool[at % 4] ^ constant) >>> 0;
    constant = Math.imul(constant, 0x58f38ded) >>> 0;
    value = Math.imul(value, constant) >>> 0;
    return (value ^ (value >>> 16)) >>> 0;
  });
}
