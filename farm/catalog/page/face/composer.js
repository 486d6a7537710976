// The door to the worker. A page opened from a file manager may start no worker from a file, so it is started from
// the text that this page carries.

class Composer {
  constructor() {
    const text = document.getElementById("network").textContent;
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.asked = new Map();
    this.number = 0;
    this.broken = null; // why the worker cannot answer any more
    this.worker.addEventListener("message", ({ data }) => this.hear(data));
    this.worker.addEventListener("error", (event) => this.fail(event.message || "this browser cannot run it"));
  }

  // Asks the worker; the promise holds its answer. `progress` is called with what it tells before.
  ask(question, { progress = () => {}, moved = [] } = {}) {
    this.number += 1;
    const number = this.number;
    if (this.broken) return { number, answer: Promise.reject(new Error(this.broken)) };
    const answer = new Promise((resolve, reject) => this.asked.set(number, { resolve, reject, progress }));
    this.worker.postMessage({ ...question, number }, moved);
    return { number, answer };
  }

  hear(told) {
    const asked = this.asked.get(told.number);
    if (!asked) return;
    if (told.type === "progress") return asked.progress(told);
    this.asked.delete(told.number);
    if (told.type === "answer") asked.resolve(told.answer);
    else asked.reject(new Error(told.message));
  }

  fail(message) {
    this.broken = `composing cannot go on (${message}); open this page again, or in another browser`;
    for (const { reject } of this.asked.values()) reject(new Error(this.broken));
    this.asked.clear();
  }
}
