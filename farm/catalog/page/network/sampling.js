// Composing: one event after the other from the network's chances (farm/composing/sampling.py), with the same lots in
// the same order, so that a seed gives the piece that `farm compose` gives.

const BELOW_ONE = 1 - 2 ** -52;

// A generator: it yields after each event, so that whoever runs it can pause, and returns
// { events, stopped, interventions }. settings: seed (BigInt), notes or bars, temperature, topP, metre (class).
function* composing(player, settings) {
  const { encoding } = player;
  const draft = new Draft(encoding, settings.metre, settings);
  const guard = new Guard(encoding, draft.barSteps);
  const lots = new Lots(settings.seed);
  const state = player.start();
  player.feed(state, draft.last);
  for (;;) {
    const row = nextRow(player, state, draft, guard, lots, settings);
    draft.add(row);
    yield draft.rows;
    if (draft.done) return { events: draft.events(), stopped: draft.stopped, interventions: guard.interventions };
    guard.observe(row);
    player.feed(state, row);
  }
}

function nextRow(player, state, draft, guard, lots, { temperature, topP }) {
  const row = new Int32Array(7);
  row[METRE] = draft.metre;
  // Two lots for each field, needed or not, so that a piece's lots never shift.
  const chances = PREDICTED.map(() => [lots.next(), lots.next()]);
  const heat = temperature * guard.heat;
  player.encoding.fields.forEach((name, at) => {
    const logits = player.logits(state, name, row);
    const legal = draft.legal(name, row);
    let drawn = draw(logits, legal, chances[at][0], heat, topP);
    const banned = guard.banned(name, row);
    if (banned !== null && banned(drawn)) {
      const free = (choice) => legal(choice) && !banned(choice) && logits[choice] > -Infinity;
      if (logits.some((_, choice) => free(choice))) {
        guard.count(name);
        drawn = draw(logits, free, chances[at][1], heat, topP);
      }
    }
    row[COLUMN[name]] = drawn;
    if (name === "step") draft.place(row);
  });
  if (row[BEATS] === player.encoding.stop) row.fill(0, STEP, METRE);
  return row;
}

function highest(logits, legal) {
  let best = -Infinity;
  logits.forEach((logit, choice) => {
    if (legal(choice) && logit > best) best = logit;
  });
  return best;
}

// The class that a number in [0, 1) falls on: of the likeliest that together reach the share topP, each as wide as its
// chance, in their own order (farm/composing/drawing.py).
function draw(logits, legal, chance, heat, topP) {
  const top = highest(logits, legal) / heat;
  const weights = Float64Array.from(logits, (logit, choice) => (legal(choice) ? Math.exp(logit / heat - top) : 0));
  const falling = weights.slice().sort().reverse();
  const total = sum(falling);
  let reached = 0;
  let cut = falling[0];
  for (const weight of falling) {
    reached += weight;
    if (reached - weight >= topP * total) break;
    cut = weight;
  }
  const kept = weights.map((weight) => (weight >= cut ? weight : 0));
  const target = chance * sum(kept) * BELOW_ONE;
  reached = 0;
  return kept.findIndex((weight) => (reached += weight) > target);
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
