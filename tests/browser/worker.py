"""The worker of a pack's page, asked directly: its own text, with a few lines added that call its functions by name."""

import base64

# What is added to the worker's own text: calls of its functions by name.
CALLS = """
const base64 = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const tests = {
  sha256: ({ data }) => sha256(base64(data)),
  lots: ({ seed, count }) => {
    const lots = new Lots(BigInt(seed));
    return Array.from({ length: count }, () => lots.next());
  },
  open: ({ data }) => { self.model = openModel(base64(data)); return self.model.facts; },
  compose: ({ seed, notes, bars, temperature, topP, metre }) => {
    const steps = composing(self.model.player, { seed: BigInt(seed), notes, bars, temperature, topP, metre });
    for (;;) {
      const { value, done } = steps.next();
      if (done) return { ...value, events: value.events.map((row) => [...row]) };
    }
  },
  logits: ({ rows }) => {
    const { player } = self.model;
    const state = player.start();
    return rows.slice(0, -1).map((row, at) => {
      player.feed(state, Int32Array.from(row));
      return player.encoding.fields.flatMap((field) => [...player.logits(state, field, Int32Array.from(rows[at + 1]))]);
    });
  },
  draw: ({ logits, legal, chance, heat, topP }) =>
    draw(Float64Array.from(logits), (choice) => legal[choice], chance, heat, topP),
};
self.onmessage = ({ data }) => {
  if (!data.test) return;
  const answer = {};
  try { answer.value = tests[data.test](data); } catch (error) { answer.error = String(error.message); }
  self.postMessage({ ...answer, tested: true });
};
"""

START = """calls => {
  const text = document.getElementById("network").textContent + calls;
  window.tested = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
}"""
ASK = """question => new Promise(resolve => {
  tested.onmessage = ({ data }) => data.tested && resolve(data);
  tested.postMessage(question);
})"""


class Network:
    """The worker of the page, asked directly."""

    def __init__(self, page, pack):
        self._page = page
        page.goto((pack / "compose.html").as_uri())
        page.evaluate(START, CALLS)

    def ask(self, test, **question):
        answer = self._page.evaluate(ASK, {"test": test, **question})
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def open(self, data):
        return self.ask("open", data=text(data))


def text(data):

    return base64.b64encode(data).decode()
