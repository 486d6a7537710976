// Composing: one event after the other from the network's chances (farm/composing/sampling.py), with the same lots in
// the same order, so that a seed gives the piece that `farm compose` gives.

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
    if (!Number.isFinite(highest(logits, legal)))
      throw new Error(`the network's answer for ${name} is not finite; get the model file again`);
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
    if (legal(choice) && !(logit <= best)) best = logit; // NaN is carried on, and found
  });
  return best;
}

// The class that a number in [0, 1) falls on, of the likeliest that together reach the share topP.
function draw(logits, legal, chance, heat, topP) {
  const top = highest(logits, legal) / heat;
  const weights = Float64Array.from(logits, (logit, choice) => (legal(choice) ? Math.exp(logit / heat - top) : 0));
  const order = [...weights.keys()]
    .filter((choice) => weights[choice] > 0)
    .sort((a, b) => weights[b] - weights[a] || a - b);
  let total = 0;
  for (const choice of order) total += weights[choice];
  let reached = 0;
  const kept = order.map((choice) => {
    reached += weights[choice];
    return reached - weights[choice] < topP * total ? weights[choice] : 0;
  });
  const share = chance * kept.reduce((sum, weight) => sum + weight, 0);
  const last = kept.filter((weight) => weight > 0).length - 1;
  let at = 0;
  reached = 0;
  for (const weight of kept) {
    reached += weight;
    if (reached > share) break;
    at += 1;
  }
  return order[Math.min(at, last)];
}
