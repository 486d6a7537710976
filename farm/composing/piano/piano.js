// Plays notes: tones that the worker made, bent to each pitch, damped when the key is let go, in a small room. Notes
// are handed to the audio clock a little ahead, so that a busy page does not stumble.

const AHEAD_SECONDS = 0.3;
const FEED_MS = 60;
const DAMPING_SECONDS = 0.09;
const ROOM_SECONDS = 1.3;

class Piano {
  constructor(composer) {
    this.tones = new Map(); // pitch to samples
    this.buffers = new Map();
    this.rate = 44100;
    const keep = ({ pitch, samples }) => this.tones.set(pitch, samples);
    this.ready = composer.ask({ type: "tones", rate: this.rate }, { progress: keep }).answer.catch(() => null);
    this.context = null; // made when a key is pressed: browsers allow no sound before
    this.playing = false;
    this.onend = () => {};
  }

  // To be called while a press of the person is handled.
  wake() {
    if (!this.context) {
      this.context = new AudioContext();
      this.out = this.context.createDynamicsCompressor();
      this.out.connect(this.context.destination);
      this.room = this.context.createConvolver();
      this.room.buffer = this.echo();
      const wet = this.context.createGain();
      wet.gain.value = 0.16;
      this.room.connect(wet).connect(this.out);
    }
    if (this.context.state !== "running") this.context.resume();
  }

  // Noise that dies away, another in each ear; always the same.
  echo() {
    const length = Math.ceil(ROOM_SECONDS * this.context.sampleRate);
    const buffer = this.context.createBuffer(2, length, this.context.sampleRate);
    let state = 1;
    for (const channel of [0, 1]) {
      const samples = buffer.getChannelData(channel);
      for (let at = 0; at < length; at += 1) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        samples[at] = (state / 2 ** 31 - 1) * Math.exp((-6 * at) / length);
      }
    }
    return buffer;
  }

  // Plays from a beat on; notes as { onset, duration (beats), pitch, velocity }, by onset.
  start(notes, beat, tempoBpm) {
    this.stop();
    this.wake();
    this.notes = notes;
    this.speed = tempoBpm / 60;
    this.from = beat;
    this.end = notes.reduce((end, note) => Math.max(end, note.onset + note.duration), 0);
    this.bus = this.context.createGain();
    this.bus.gain.value = 0.34;
    this.bus.connect(this.out);
    this.bus.connect(this.room);
    this.origin = this.context.currentTime + 0.08;
    this.next = notes.findIndex((note) => note.onset >= beat - 1e-6);
    if (this.next < 0) this.next = notes.length;
    this.playing = true;
    this.timer = setInterval(() => this.feed(), FEED_MS);
    this.feed();
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    clearInterval(this.timer);
    const bus = this.bus;
    bus.gain.setTargetAtTime(0, this.context.currentTime, 0.04);
    setTimeout(() => bus.disconnect(), 400);
  }

  // Where the music is, in beats.
  beat() {
    const passed = this.context.currentTime - this.origin;
    return Math.min(Math.max(this.from, this.from + passed * this.speed), this.end);
  }

  feed() {
    const now = this.context.currentTime;
    for (; this.next < this.notes.length; this.next += 1) {
      const note = this.notes[this.next];
      const when = this.origin + (note.onset - this.from) / this.speed;
      if (when > now + AHEAD_SECONDS) break;
      this.strike(note, Math.max(when, now), note.duration / this.speed);
    }
    if (now > this.origin + (this.end - this.from) / this.speed + 0.6) {
      this.stop();
      this.onend();
    }
  }

  strike({ pitch, velocity }, when, seconds) {
    const near = [...this.tones.keys()].reduce(
      (best, one) => (Math.abs(one - pitch) < Math.abs(best - pitch) ? one : best),
      Infinity,
    );
    if (near === Infinity) return; // the first tones are still being made
    const source = this.context.createBufferSource();
    source.buffer = this.bufferOf(near);
    source.playbackRate.value = 2 ** ((pitch - near) / 12);
    const bright = this.context.createBiquadFilter();
    bright.type = "lowpass";
    bright.frequency.value = 1200 + 9000 * (velocity / 127) ** 1.5;
    const key = this.context.createGain();
    key.gain.setValueAtTime((velocity / 127) ** 1.5, when);
    key.gain.setTargetAtTime(0, when + Math.max(seconds, 0.06), DAMPING_SECONDS);
    source.connect(bright).connect(key).connect(this.bus);
    source.start(when);
    source.stop(when + seconds + 8 * DAMPING_SECONDS);
  }

  bufferOf(pitch) {
    if (!this.buffers.has(pitch)) {
      const samples = this.tones.get(pitch);
      const buffer = this.context.createBuffer(1, samples.length, this.rate);
      buffer.copyToChannel(samples, 0);
      this.buffers.set(pitch, buffer);
    }
    return this.buffers.get(pitch);
  }
}
