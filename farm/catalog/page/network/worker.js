// What the page asks of the worker, in which everything above runs so that the page itself never waits: open a model
// file, compose, stop, make the tones of the piano. Every answer carries the number of its question.

const PROGRESS_MS = 40;
const FORMAT = "1";
const models = new Map();
let stopped = -1; // the question whose composing shall end

self.addEventListener("message", (event) => {
  const question = event.data;
  const answers = { open, compose, tones, stop: ({ which }) => (stopped = which) };
  Promise.resolve()
    .then(() => answers[question.type](question))
    .then((answer) => self.postMessage({ number: question.number, type: "answer", answer }))
    .catch((error) =>
      self.postMessage({ number: question.number, type: "failed", message: String(error?.message ?? error) }),
    );
});

// Lets messages that have come in be read, and the next turn begin at once.
function breathe() {
  return new Promise((resume) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resume();
    };
    port2.postMessage(null);
  });
}

// Checks a model file and keeps it; `sha256` is what the pack says of it, null for a file from elsewhere.
function open({ name, data, sha256: told }) {
  const bytes = new Uint8Array(data);
  if (told !== null) {
    const found = sha256(bytes);
    if (found !== told) throw new Error(`its sha256 is ${found}, this pack says ${told}; get the pack again`);
  }
  const model = openModel(bytes);
  models.set(name, model);
  return model.facts;
}

function openModel(bytes) {
  try {
    const { tensors, metadata } = readContainer(bytes);
    const { weights, precision } = restoreWeights(tensors);
    const encoding = new Encoding(parseObject(metadata.encoding, "encoding"));
    const card = parseObject(metadata.card, "card");
    const player = new Player(parseObject(metadata.architecture, "architecture"), encoding, weights);
    return { player, facts: factsOf(card, encoding, precision) };
  } catch (error) {
    throw new Error(/; (get|use) /.test(error.message) ? error.message : `${error.message}; get the file again`);
  }
}

// What the page shows of a model, and what composing starts from; texts of sensible length whatever the card says.
function factsOf(card, encoding, precision) {
  const text = (value) => (typeof value === "string" ? value.slice(0, 2000) : "");
  const own = card.composing ?? {};
  const metre = encoding.metreClass(own.metre);
  const name = encoding.metres[metre];
  const tempo = Number(own.tempo_bpm);
  return {
    style: text(card.style),
    title: text(card.title) || text(card.style),
    licence: text(card.licence),
    attribution: text(card.attribution),
    precision,
    metre,
    metreName: name,
    barBeats: encoding.barSteps(metre) / encoding.stepsPerBeat,
    tempoBpm: tempo >= 4 && tempo <= 1000 ? tempo : 100,
  };
}

async function compose({ number, name, settings }) {
  const { player, facts } = models.get(name);
  const steps = composing(player, { ...settings, metre: facts.metre });
  let [since, told] = [performance.now(), 0];
  for (;;) {
    const step = steps.next();
    if (step.done) {
      const { events, stopped: byItself, interventions } = step.value;
      return {
        events: events.map((row) => [...row]),
        notes: player.encoding.decode(events),
        stopped: byItself,
        interventions,
      };
    }
    if (performance.now() - since < PROGRESS_MS) continue;
    const notes = player.encoding.decode(step.value);
    self.postMessage({ number, type: "progress", notes: notes.slice(told), count: notes.length });
    told = notes.length;
    await breathe();
    if (stopped === number) return null;
    since = performance.now();
  }
}

async function tones({ number, rate }) {
  for (let pitch = LOWEST_TONE; pitch <= HIGHEST_TONE; pitch += TONE_STEP) {
    const samples = tone(pitch, rate);
    self.postMessage({ number, type: "progress", pitch, samples }, [samples.buffer]);
    await breathe();
  }
  return null;
}
