// What happens now: asked for every other second while a farm runs, seldom while none does, never while nobody looks.

const RUNNING_MS = 2000;
const QUIET_MS = 10000;

// Calls `tell` with every new status, for as long as the page is there.
function watch(tell) {
  let timer = 0;
  async function look() {
    clearTimeout(timer);
    if (document.hidden) return;
    let wait = QUIET_MS;
    try {
      const status = await ask("status");
      if (status.running) wait = RUNNING_MS;
      tell(status, "");
    } catch (error) {
      tell(null, error.message);
    }
    timer = setTimeout(look, wait);
  }
  document.addEventListener("visibilitychange", look);
  look();
}

// The panel on the index: what is at work, what waits for a person, what waits for the next run.
class Progress {
  constructor() {
    this.heading = make("h2", { id: "review-now" }, "Now");
    this.body = make("div", {});
    this.panel = make("section", { class: "review-panel", "aria-labelledby": "review-now" }, this.heading, this.body);
    document.querySelector(".notice.work")?.remove(); // what the page told when it was written
    document.querySelector("main h1").after(this.panel);
    this.first = null;
    this.shown = "";
  }

  follow(status, problem) {
    if (!status) {
      this.shown = "";
      this.body.replaceChildren(make("p", { class: "review-said bad", role: "status" }, problem));
      return;
    }
    const standing = JSON.stringify(status.styles.map(({ style, epoch, model, failed }) => [style, epoch, model, failed]));
    this.first ??= standing;
    const whole = JSON.stringify(status);
    if (whole === this.shown) return; // what has not changed is not read out again
    this.shown = whole;
    this.body.replaceChildren(...this.contents(status, standing !== this.first));
  }

  contents({ running, styles, bases }, isOld) {
    const reload = button("Load it again", () => location.reload());
    const news = isOld ? make("p", { class: "review-said good", role: "status" }, "The report has changed. ", reload) : null;
    const working = [
      ...bases.flatMap((base) => base.at_work.map((work) => [`base ${base.recipe}`, work])),
      ...styles.flatMap((style) => style.at_work.map((work) => [style.title, work])),
    ].filter(([, work]) => work.says);
    const done = styles.filter((style) => style.done.includes("publish")).length;
    const state = running ? `A farm is running; ${done} of ${styles.length} styles are published.` : "No farm is running.";
    const failed = styles.filter((style) => style.failed);
    const waiting = styles.filter((style) => style.model === "candidate");
    const again = styles.flatMap((style) => Object.entries(style.retraining).map((one) => [style, ...one]));
    return [
      news,
      make("p", { class: "review-state" }, make("span", { class: running ? "review-dot on" : "review-dot" }), state),
      working.length ? make("ul", { class: "review-work" }, ...working.map((one) => this.work(...one))) : null,
      this.links("Failed", failed),
      this.links("Waiting for your decision", waiting),
      again.length ? make("p", {}, make("b", {}, "Trained anew by the next run: "), again.map(this.wish).join("; ")) : null,
    ].filter((part) => part !== null);
  }

  work(name, { says, done, total }) {
    const bar = total ? make("progress", { max: total, value: done ?? 0, "aria-label": name }) : null;
    return make("li", {}, make("b", {}, name), make("span", {}, says), bar);
  }

  wish([style, recipe, why]) {
    return `${style.title} by ${recipe} (“${why}”)`;
  }

  links(label, styles) {
    if (!styles.length) return null;
    const named = styles.flatMap((style, at) => [
      at ? ", " : "",
      style.page ? make("a", { href: `styles/${style.page}#decide` }, style.title) : style.title,
    ]);
    return make("p", {}, make("b", {}, `${label}: `), ...named);
  }
}
