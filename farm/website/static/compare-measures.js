// The measures of two runs side by side, and which is better where that can be said: bits of different music cannot be
// compared, what was copied and repeated counts only as far as it goes beyond people's own level.
"use strict";

const MISSING = "—";

// An HTML element with a class and, where given, a text.
function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function decimals(value, places = 2) {
  return Number.isFinite(value) ? value.toFixed(places) : MISSING;
}

function share(value) {
  if (!Number.isFinite(value)) return MISSING;
  return (value === 0 || Math.abs(value) >= 0.1 ? (100 * value).toFixed(0) : (100 * value).toFixed(1)) + " %";
}

function fileSize(value) {
  if (!Number.isFinite(value)) return MISSING;
  return value >= 1e6 ? (value / 1e6).toFixed(2) + " MB" : (value / 1e3).toFixed(0) + " kB";
}

function lasting(value) {
  if (!Number.isFinite(value)) return MISSING;
  const seconds = Math.round(value);
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function gain({ bits, ngram }) {
  return Number.isFinite(bits) && ngram > 0 ? (ngram - bits) / ngram : NaN;
}

function beyond(value, people) {
  if (!Number.isFinite(value)) return NaN;
  return Number.isFinite(people) ? Math.max(0, value - people) : value;
}

// Each row: what it is called, how a run's value is told, what counts (lower is better), and the least difference that
// is one. Without `counts` nothing is better. `sameMusic` rows are compared within a style only.
const MEASURES = [
  { name: "Verdict", told: (run) => run.verdict },
  { name: "Picked epoch", told: (run) => `${run.epoch ?? "none"} of ${run.epochs[run.epochs.length - 1]}` },
  { name: "Bits per note, held out", told: (run) => decimals(run.quality.bits), counts: (run) => run.quality.bits, least: 0.01, sameMusic: true },
  { name: "n-gram’s bits on the same", told: (run) => decimals(run.quality.ngram) },
  { name: "Fewer bits than the n-gram", told: (run) => share(gain(run.quality)), counts: (run) => -gain(run.quality), least: 0.005 },
  {
    name: "Copied",
    told: (run) => `${share(run.quality.copied)} (people ${share(run.quality.copied_human)})`,
    counts: (run) => beyond(run.quality.copied, run.quality.copied_human),
    least: 0.005,
  },
  {
    name: "Repetition",
    told: (run) => `${share(run.quality.repetition)} (people ${share(run.quality.repetition_human)})`,
    counts: (run) => beyond(run.quality.repetition, run.quality.repetition_human),
    least: 0.005,
  },
  {
    name: "Longest passage that also stands in the corpus",
    told: (run) => (Number.isFinite(run.quality.longest) ? run.quality.longest + " notes" : MISSING),
    counts: (run) => run.quality.longest,
    least: 1,
  },
  { name: "Valid samples", told: (run) => share(run.quality.validity), counts: (run) => -run.quality.validity, least: 0.005, known: (run) => run.quality.validity },
  { name: "Model file", told: (run) => fileSize(run.quality.bytes), counts: (run) => run.quality.bytes, least: 10000 },
  { name: "Time it took", told: (run) => lasting(run.quality.seconds), counts: (run) => run.quality.seconds, least: 1 },
];

// Which of two runs a row favours: 0, 1, or none, and the words for it.
function better(row, runs, isSameStyle) {
  if (!row.counts) return [null, ""];
  const known = row.known || row.counts;
  if (!runs.every((run) => Number.isFinite(known(run)) && known(run) !== null)) return [null, "not known of both"];
  if (row.sameMusic && !isSameStyle) return [null, "other music: cannot be compared"];
  const [first, second] = runs.map(row.counts);
  if (Math.abs(first - second) < row.least) return [null, "alike"];
  return first < second ? [0, "A"] : [1, "B"];
}

function measuresTable(runs, isSameStyle) {
  const table = made("table", "grid against");
  const head = made("tr", "");
  for (const text of ["Measure", "A: " + nameOf(runs[0]), "B: " + nameOf(runs[1]), "Better"]) {
    const cell = made("th", "", text);
    cell.scope = "col";
    head.append(cell);
  }
  const top = made("thead", "");
  top.append(head);
  const body = made("tbody", "");
  const won = [0, 0];
  for (const row of MEASURES) {
    const [best, words] = better(row, runs, isSameStyle);
    if (best !== null) won[best] += 1;
    const line = made("tr", "");
    const name = made("th", "", row.name);
    name.scope = "row";
    const cells = runs.map((run, index) => made("td", index === best ? "best" : "", row.told(run)));
    line.append(name, ...cells, made("td", "words", words));
    body.append(line);
  }
  table.append(top, body);
  return [table, won];
}

function nameOf(run) {
  return run.recipe ? `${run.title}, ${run.recipe}` : run.title;
}

// Every epoch of both runs, in numbers.
function epochsTable(runs) {
  const table = made("table", "grid");
  const head = made("tr", "");
  for (const text of ["Epoch", "A, training", "A, held out", "B, training", "B, held out"]) {
    const cell = made("th", "", text);
    cell.scope = "col";
    head.append(cell);
  }
  const top = made("thead", "");
  top.append(head);
  const places = runs.map((run) => new Map(run.epochs.map((epoch, index) => [epoch, index])));
  const epochs = [...new Set(runs.flatMap((run) => run.epochs))].sort((one, other) => one - other);
  const body = made("tbody", "");
  for (const epoch of epochs) {
    const line = made("tr", "");
    const name = made("th", "", epoch);
    name.scope = "row";
    line.append(name);
    runs.forEach((run, index) => {
      const at = places[index].get(epoch);
      for (const column of [run.train, run.heldout]) line.append(made("td", "", decimals(column[at], 3)));
    });
    body.append(line);
  }
  table.append(top, body);
  return table;
}
