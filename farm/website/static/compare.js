// Compares two runs: loads the scripts of their styles, and shows curves, measures and samples side by side. The pair
// stands in the address (#a=bach&b=chopin~2); what is no run there is not loaded.
"use strict";

const known = new Map(); // name of a style to its runs
const waiting = new Map(); // name of a style to a promise of them

// Called by the scripts in data/.
function compared(name, runs) {
  known.set(name, runs);
}

(function () {
  const form = document.getElementById("pair");
  if (!form) return;
  const sides = [document.getElementById("a"), document.getElementById("b")];
  const problem = document.getElementById("problem");
  const comparison = document.getElementById("comparison");
  const choices = [...sides[0].options].map((option) => option.value);

  function load(style) {
    if (!waiting.has(style)) {
      const script = document.createElement("script");
      script.src = `data/${style}.js`;
      const loaded = new Promise((done, fail) => {
        script.addEventListener("load", () => (known.has(style) ? done(known.get(style)) : fail(new Error(style))));
        script.addEventListener("error", () => fail(new Error(style)));
      });
      loaded.catch(() => waiting.delete(style)); // it may be tried again
      waiting.set(style, loaded);
      document.head.append(script);
    }
    return waiting.get(style);
  }

  async function runOf(choice) {
    const [style, number] = choice.split("~");
    const run = (await load(style))[Number(number || 1) - 1];
    if (!run) throw new Error(style);
    return run;
  }

  function recall() {
    const asked = new URLSearchParams(window.location.hash.slice(1));
    sides.forEach((side, index) => {
      const choice = asked.get("ab"[index]);
      side.value = choices.includes(choice) ? choice : choices[Math.min(index, choices.length - 1)];
    });
    show();
  }

  function change() {
    const asked = new URLSearchParams({ a: sides[0].value, b: sides[1].value });
    window.history.replaceState(null, "", "#" + asked);
    show();
  }

  async function show() {
    const pair = sides.map((side) => side.value);
    const styles = pair.map((choice) => choice.split("~")[0]);
    try {
      const runs = await Promise.all(pair.map(runOf));
      if (sides.some((side, index) => side.value !== pair[index])) return; // another pair was chosen meanwhile
      problem.hidden = true;
      comparison.hidden = false;
      showCurves(runs);
      showMeasures(runs, styles[0] === styles[1]);
      showSamples(runs);
      document.title = `${nameOf(runs[0])} and ${nameOf(runs[1])} · model farm`;
    } catch (error) {
      comparison.hidden = true;
      problem.hidden = false;
      problem.textContent = `data/${error.message}.js does not tell of this run; 'farm run' writes it again.`;
    }
  }

  function showCurves(runs) {
    document.getElementById("curves-figure").replaceChildren(drawCurves(runs));
    document.getElementById("curves-caption").textContent =
      "Bits per note after each epoch; lower is better. A’s lines are whole, B’s dashed; the thin ones are on the " +
      "training music, the bold ones on music held out, the dotted ones what an n-gram model reaches. Upright lines " +
      "are the picked epochs." +
      (runs[0].title === runs[1].title ? "" : " These are different styles: how a curve falls can be compared, its height cannot.");
    const details = document.getElementById("epochs");
    const place = details.querySelector(".scroll");
    place.replaceChildren();
    details.ontoggle = () => details.open && !place.firstChild && place.append(epochsTable(runs));
    details.ontoggle();
  }

  function showMeasures(runs, isSameStyle) {
    const [table, [first, second]] = measuresTable(runs, isSameStyle);
    document.getElementById("measures-table").replaceChildren(table);
    const times = (number) => (number === 1 ? "1 measure" : number + " measures");
    document.getElementById("measures-said").textContent =
      `A is better by ${times(first)}, B by ${times(second)}. What is copied or repeated counts as far as it goes ` +
      "beyond people’s own level in the style.";
  }

  function showSamples(runs) {
    if (sounding) sounding.stop();
    const takes = runs.map((run) => run.take);
    const said = document.getElementById("samples-said");
    const pairs = document.getElementById("pairs");
    pairs.replaceChildren();
    said.textContent = saidOf(takes);
    const most = Math.max(...takes.map((take) => (take ? take.samples.length : 0)));
    for (let number = 0; number < most; number += 1) {
      const row = made("div", "two");
      runs.forEach((run, index) => {
        const name = "AB"[index];
        const sample = run.take && run.take.samples[number];
        if (!sample) {
          row.append(made("p", "absent", `${name} has no sample ${number + 1}.`));
          return;
        }
        const spoken = `sample ${number + 1} of ${name}, ${nameOf(run)}`;
        const { figure } = new SamplePlayer(sample, run.take, `${name}, sample ${number + 1}`, spoken);
        figure.classList.add("ab"[index]);
        row.append(figure);
      });
      pairs.append(row);
    }
  }

  function saidOf(takes) {
    if (takes.every((take) => !take)) return "No samples were kept of either.";
    const [first, second] = takes;
    const told = takes.map((take, index) => `${"AB"[index]}: ${take ? `epoch ${take.epoch}, ${take.asked}` : "no samples were kept"}.`);
    if (!first || !second) return told.join(" ");
    const isSame = first.seed !== null && first.seed === second.seed;
    const seeds = isSame
      ? `Both were asked with the same seed, ${first.seed}: the samples beside each other were drawn by the same chance.`
      : "They were asked with different seeds.";
    return [seeds, ...told].join(" ");
  }

  document.getElementById("swap").addEventListener("click", () => {
    [sides[0].value, sides[1].value] = [sides[1].value, sides[0].value];
    change();
  });
  form.addEventListener("change", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", recall);
  form.hidden = false;
  recall();
})();
