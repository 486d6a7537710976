// SHA-256 (FIPS 180-4), so that one way of checking serves every browser: crypto.subtle is not there in all of them
// when a page was opened from a file manager.

const SHA256_ROUNDS = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32);
  return {
    start: primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime))),
    add: Uint32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
  };
})();

class Sha256 {
  constructor() {
    this.state = Uint32Array.from(SHA256_ROUNDS.start);
    this.words = new Uint32Array(64);
    this.rest = new Uint8Array(64); // what does not fill a block yet
    this.kept = 0;
    this.length = 0;
  }

  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      if (this.kept === 0 && bytes.length - at >= 64) {
        this.block(bytes, at);
        at += 64;
        continue;
      }
      const taken = Math.min(64 - this.kept, bytes.length - at);
      this.rest.set(bytes.subarray(at, at + taken), this.kept);
      this.kept += taken;
      at += taken;
      if (this.kept === 64) {
        this.kept = 0;
        this.block(this.rest, 0);
      }
    }
    return this;
  }

  hex() {
    const bits = this.length * 8;
    const end = new Uint8Array((this.kept < 56 ? 64 : 128) - this.kept);
    end[0] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits >>> 0);
    this.update(end);
    return [...this.state].map((word) => word.toString(16).padStart(8, "0")).join("");
  }

  block(bytes, at) {
    const { words, state } = this;
    const turned = (word, by) => (word >>> by) | (word << (32 - by));
    for (let t = 0; t < 16; t += 1, at += 4) {
      words[t] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let t = 16; t < 64; t += 1) {
      const early = words[t - 15];
      const late = words[t - 2];
      words[t] =
        words[t - 16] +
        words[t - 7] +
        (turned(early, 7) ^ turned(early, 18) ^ (early >>> 3)) +
        (turned(late, 17) ^ turned(late, 19) ^ (late >>> 10));
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let t = 0; t < 64; t += 1) {
      const one =
        (h + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + SHA256_ROUNDS.add[t] + words[t]) |
        0;
      const two = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, at) => (state[at] += word));
  }
}

function sha256(bytes) {
  return new Sha256().update(bytes).hex();
}
