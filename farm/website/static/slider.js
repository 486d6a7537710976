// One snapshot at a time: what it composed, drawn, played and measured. The slider, its buttons and the arrow keys go
// from one to the next; all rolls of a sample have one frame, so that what changes is the music.
"use strict";

(function () {
  const data = document.getElementById("snapshots");
  if (!data) return;
  const { ticks, stops } = JSON.parse(data.textContent);
  const SEMITONE = 4;
  const FOOT = 14;
  const GUTTER = 24;
  const WIDTH = 880;
  const [NARROWEST, WIDEST] = [3, 90];
  const RESTART_MS = 150; // a slider that is dragged passes many snapshots

  const box = document.getElementById("hearing");
  const slider = document.getElementById("stop");
  const figure = document.getElementById("heard");
  const pane = figure.querySelector(".scroll");
  const cells = document.querySelectorAll("#told-of-stop .now");
  const choices = [...document.querySelectorAll("input[name=which]")];
  const jumps = [...document.querySelectorAll(".jumps button")];
  const svg = box.querySelector(".stops").namespaceURI;
  const frames = new Map(); // by sample
  let player = null;
  let restarting = 0;

  function notesOf(sample) {
    let onset = 0;
    return sample.t.map((passed, index) => {
      onset += passed;
      const velocity = typeof sample.v === "number" ? sample.v : sample.v[index];
      return { onset: onset / ticks, duration: sample.d[index] / ticks, pitch: sample.p[index], velocity };
    });
  }

  // Range and length of one sample over all snapshots.
  function frameOf(which) {
    if (frames.has(which)) return frames.get(which);
    const frame = { low: 127, high: 0, beats: 1 };
    for (const stop of stops) {
      if (!stop.samples[which]) continue;
      for (const { onset, duration, pitch } of notesOf(stop.samples[which])) {
        frame.low = Math.min(frame.low, pitch - 1);
        frame.high = Math.max(frame.high, pitch + 1);
        frame.beats = Math.max(frame.beats, onset + duration);
      }
    }
    if (frame.high < frame.low) [frame.low, frame.high] = [52, 68];
    frames.set(which, frame);
    return frame;
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(svg, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(notes, frame, bar, label) {
    const scale = Math.min(Math.max(WIDTH / frame.beats, NARROWEST), WIDEST);
    const width = Math.round(frame.beats * scale) + 1;
    const foot = (frame.high - frame.low + 1) * SEMITONE;
    const size = { width: width + GUTTER, height: foot + FOOT };
    const box = `${-GUTTER} 0 ${size.width} ${size.height}`;
    const said = { role: "img", "aria-label": label, viewBox: box, "data-scale": scale };
    const roll = element("svg", { class: "roll", ...size, ...said });
    for (let pitch = frame.low; pitch <= frame.high; pitch += 1) {
      if (pitch % 12) continue;
      const y = (frame.high - pitch + 1) * SEMITONE;
      roll.append(element("path", { class: "octave", d: `M0 ${y}H${width}` }));
      if (y > 10) roll.append(element("text", { class: "key", x: 3 - GUTTER, y: y - 2 }, "C" + (pitch / 12 - 1)));
    }
    let lines = "";
    const every = [1, 2, 4, 8, 16, 32].find((step) => step * bar * scale >= 36) ?? 64;
    for (let index = 0; index * bar <= frame.beats; index += 1) {
      const x = index * bar * scale;
      lines += `M${x.toFixed(1)} 0V${foot}`;
      if (index % every === 0 && x + 14 < width)
        roll.append(element("text", { class: "bar", x: (x + 2).toFixed(1), y: foot + FOOT - 3 }, index + 1));
    }
    roll.append(element("path", { class: "bars", d: lines }));
    const bands = ["", "", "", ""];
    for (const { onset, duration, pitch, velocity } of notes) {
      const wide = Math.max(duration * scale - 0.8, 1.5).toFixed(1);
      const place = `M${(onset * scale).toFixed(1)} ${(frame.high - pitch) * SEMITONE}`;
      bands[Math.min(velocity >> 5, 3)] += `${place}h${wide}v${SEMITONE}h-${wide}z`;
    }
    bands.forEach((drawn, band) => drawn && roll.append(element("path", { class: `notes v${band}`, d: drawn })));
    roll.append(element("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: foot, visibility: "hidden" }));
    return roll;
  }

  function show() {
    const at = Number(slider.value);
    const stop = stops[at];
    const which = Math.max(choices.findIndex((choice) => choice.checked), 0);
    const sample = stop.samples[which];
    const spoken = `sample ${which + 1} of epoch ${stop.epoch}`;
    slider.setAttribute("aria-valuetext", `epoch ${stop.epoch}, ${stop.said}`);
    document.getElementById("stop-epoch").textContent = `Epoch ${stop.epoch}`;
    document.getElementById("stop-said").textContent = stop.said;
    document.getElementById("stop-asked").textContent = stop.asked;
    for (const told of document.querySelectorAll(".stop-now")) told.textContent = String(stop.epoch);
    figure.querySelector(".said").textContent = sample ? sample.said : "this snapshot composed fewer samples";
    stop.values.forEach((value, index) => (cells[index].textContent = value));
    jumps.forEach((jump) => jump.setAttribute("aria-pressed", String(Number(jump.dataset.stop) === at)));
    const notes = sample ? notesOf(sample) : [];
    pane.replaceChildren(draw(notes, frameOf(which), stop.bar, `Piano roll of ${spoken}: ${notes.length} notes`));
    figure.querySelector(".seek").setAttribute("aria-label", `Position in ${spoken}`);
    const wasPlaying = player !== null && stage.playing === player;
    if (player) player.load({ bpm: stop.bpm, notes }, spoken);
    else player = new Player(figure, { bpm: stop.bpm, notes }, spoken);
    if (!wasPlaying) return;
    if (stage.piano) stage.piano.stop();
    clearTimeout(restarting);
    if (notes.length) restarting = setTimeout(() => stage.playing === player && player.begin(), RESTART_MS);
    else player.stop();
  }

  function goTo(at) {
    slider.value = String(at);
    show();
  }

  slider.value = slider.getAttribute("value"); // some browsers bring back where the last visit left it
  if (choices.length) choices[0].checked = true;
  slider.addEventListener("input", show);
  choices.forEach((choice) => choice.addEventListener("change", show));
  jumps.forEach((jump) => jump.addEventListener("click", () => goTo(jump.dataset.stop)));
  box.hidden = false;
  show();
})();
