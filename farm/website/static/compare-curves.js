// Draws the curves of two runs over each other: bits per note after each epoch, training and held out, with the n-gram
// lines and the picks. Colours are the page's; A's lines are whole and B's dashed, so that nothing depends on colour.
"use strict";

const SVG = document.getElementById("drawing").namespaceURI;
const FRAME = { width: 880, height: 380, left: 46, right: 132, top: 22, bottom: 38 };

// An SVG element with attributes and, where given, a text.
function drawn(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

// The lowest and highest bits to show: the whole descent, but not how high a run goes that broke.
function bitsRange(runs) {
  const known = runs.flatMap((run) => [...run.train, ...run.heldout]).filter(Number.isFinite);
  const starts = runs.flatMap((run) => [...run.train.slice(0, 3), ...run.heldout.slice(0, 3)]).filter(Number.isFinite);
  const lines = runs.map((run) => run.quality.ngram).filter(Number.isFinite);
  if (!known.length) return [0, 1];
  const top = Math.min(Math.max(...known), 1.15 * Math.max(...(starts.length ? starts : known)));
  const low = Math.min(...known, ...lines);
  const high = Math.max(top, ...lines);
  const room = 0.05 * (high - low) || 0.5;
  return [Math.max(low - room, 0), high + room];
}

// About `most` round numbers from low to high.
function ticks(low, high, most) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high + 1e-9; at += 1) found.push(Number((at * step).toFixed(6)));
  return found;
}

// The path through the known points; a gap or a point beyond the frame interrupts it.
function pathOf(epochs, values, x, y, highest) {
  let path = "";
  let broken = true;
  epochs.forEach((epoch, index) => {
    const value = values[index];
    if (!Number.isFinite(value) || value > highest) {
      broken = true;
      return;
    }
    path += (broken ? "M" : "L") + x(epoch).toFixed(1) + " " + y(value).toFixed(1);
    if (broken && epochs.length === 1) path += "h4";
    broken = false;
  });
  return path;
}

// Names at the right end of the lines, moved apart where they would touch.
function endLabels(ends, y, bottom) {
  const gap = 15;
  const placed = ends
    .filter((end) => Number.isFinite(end.value))
    .map((end) => ({ ...end, at: y(end.value) }))
    .sort((one, other) => one.at - other.at);
  placed.forEach((end, index) => {
    if (index) end.at = Math.max(end.at, placed[index - 1].at + gap);
  });
  const over = placed.length ? placed[placed.length - 1].at - bottom : 0;
  placed.forEach((end) => {
    end.at -= Math.max(over, 0);
  });
  return placed.map((end) =>
    drawn("text", { x: FRAME.width - FRAME.right + 8, y: end.at + 4, class: "end " + end.side }, end.text),
  );
}

function lastOf(values) {
  return values.filter(Number.isFinite).pop();
}

function drawCurves(runs) {
  const { width, height, left, right, top, bottom } = FRAME;
  const [low, high] = bitsRange(runs);
  const last = Math.max(...runs.map((run) => run.epochs[run.epochs.length - 1]));
  const x = (epoch) => left + ((epoch - 1) / Math.max(last - 1, 1)) * (width - left - right);
  const y = (bits) => height - bottom - ((bits - low) / (high - low)) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "curves" });
  svg.setAttribute(
    "aria-label",
    "Bits per note after each epoch of both runs; the table below the picture has the numbers",
  );
  for (const bits of ticks(low, high, 6)) {
    svg.append(drawn("path", { class: "rule", d: `M${left} ${y(bits).toFixed(1)}H${width - right}` }));
    svg.append(drawn("text", { class: "tick", x: left - 7, y: y(bits) + 4, "text-anchor": "end" }, bits));
  }
  for (const epoch of ticks(1, Math.max(last, 2), 10).filter(Number.isInteger)) {
    svg.append(drawn("text", { class: "tick", x: x(epoch), y: height - bottom + 17, "text-anchor": "middle" }, epoch));
  }
  svg.append(drawn("text", { class: "tick", x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"));
  svg.append(drawn("text", { class: "tick", x: 4, y: 12 }, "bits per note"));
  const ends = [];
  runs.forEach((run, index) => {
    const side = "ab"[index];
    const name = side.toUpperCase();
    const { ngram } = run.quality;
    if (Number.isFinite(ngram)) {
      svg.append(drawn("path", { class: "line ngram " + side, d: `M${left} ${y(ngram).toFixed(1)}H${width - right}` }));
      ends.push({ side, value: ngram, text: `${name} n-gram ${ngram.toFixed(2)}` });
    }
    svg.append(drawn("path", { class: "line train " + side, d: pathOf(run.epochs, run.train, x, y, high) }));
    svg.append(drawn("path", { class: "line held " + side, d: pathOf(run.epochs, run.heldout, x, y, high) }));
    const within = (value) => (Number.isFinite(value) ? Math.min(value, high) : NaN);
    ends.push({ side, value: within(lastOf(run.train)), text: `${name} training` });
    ends.push({ side, value: within(lastOf(run.heldout)), text: `${name} held out` });
    if (run.epoch !== null && run.epoch <= last) {
      const at = x(run.epoch);
      svg.append(drawn("path", { class: "pick " + side, d: `M${at.toFixed(1)} ${top}V${height - bottom}` }));
      const anchor = at < left + 60 ? "start" : at > width - right - 60 ? "end" : "middle";
      const label = { class: "picked " + side, x: at, y: top - 6 + 14 * index, "text-anchor": anchor };
      svg.append(drawn("text", label, `${name}: epoch ${run.epoch}`));
    }
  });
  svg.append(...endLabels(ends, y, height - bottom));
  return svg;
}
