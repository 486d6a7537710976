// The sound of a struck string that is never let go: partials, slightly stretched, that die away, high ones sooner, and
// of two strings that are a trifle out of tune, as in a piano. One tone for every third key; the player bends them.

const LOWEST_TONE = 24;
const HIGHEST_TONE = 108;
const TONE_STEP = 3;
const LONGEST_TONE_SECONDS = 6;
const ATTACK_SECONDS = 0.004;
const MAX_PARTIALS = 9;
const DETUNED = 1.0006;

function tone(pitch, rate) {
  const frequency = 440 * 2 ** ((pitch - 69) / 12);
  const lasting = 2.4 * 2 ** ((60 - pitch) / 24); // seconds until 1/e
  const samples = new Float32Array(Math.ceil(Math.min(LONGEST_TONE_SECONDS, 6 * lasting) * rate));
  for (let partial = 1; partial <= MAX_PARTIALS; partial += 1) {
    const heard = frequency * partial * Math.sqrt(1 + 4e-4 * partial ** 2);
    if (heard > rate / 2.5) break;
    const fading = lasting / partial ** 0.7;
    ring(samples, heard / rate, fading * rate, 0.7 * partial ** -1.3);
    ring(samples, (heard * DETUNED) / rate, fading * 1.6 * rate, 0.3 * partial ** -1.3);
  }
  const attack = ATTACK_SECONDS * rate;
  const release = 0.05 * rate; // so that the end of the buffer is silent
  for (let at = 0; at < attack; at += 1) samples[at] *= at / attack;
  for (let at = 0; at < release; at += 1) samples[samples.length - 1 - at] *= at / release;
  return samples;
}

// Adds a sine that dies away: a resonator, two products a sample. Frequency in turns a sample, fading in samples.
function ring(samples, frequency, fading, loudness) {
  const decay = Math.exp(-1 / fading);
  const turn = 2 * Math.PI * frequency;
  const again = 2 * decay * Math.cos(turn);
  const back = decay * decay;
  let before = 0;
  let now = loudness * decay * Math.sin(turn);
  for (let at = 1; at < samples.length; at += 1) {
    samples[at] += now;
    [before, now] = [now, again * now - back * before];
  }
}
