// What is wished for, and its way through the worker to a piece.

// What is asked for; null after telling what is wrong.
function wishes() {
  const wrong = (id, text) => {
    complain([text]);
    at(id).setAttribute("aria-invalid", "true");
    at(id).focus();
    return null;
  };
  ["length", "seed"].forEach((id) => at(id).removeAttribute("aria-invalid"));
  const length = Number(at("length").value);
  const unit = at("unit").value;
  const most = unit === "notes" ? 10000 : 1000;
  if (!Number.isInteger(length) || length < 1 || length > most)
    return wrong("length", `Length: give a whole number of ${unit} from 1 to ${most}.`);
  if (at("fresh").checked) rollSeed();
  const seed = at("seed").value.trim();
  if (!/^[0-9]{1,30}$/.test(seed)) return wrong("seed", "Seed: give a whole number, 0 or more, of at most 30 digits.");
  return {
    [unit]: length,
    seed: BigInt(seed),
    temperature: Number(at("temperature").value),
    topP: Number(at("top-p").value),
  };
}

function rollSeed() {
  at("seed").value = String(crypto.getRandomValues(new Uint32Array(1))[0] % 1000000);
}

async function compose() {
  if (!chosen) return;
  if (!Models.isHere(chosen)) {
    complain([`${chosen.title} needs its file first: open ${chosen.file}, or the folder that this page lies in.`]);
    return at("show-files").focus();
  }
  const settings = wishes();
  if (!settings) return;
  complain([]);
  piano.stop();
  piano.wake();
  [composing, stopping] = [-1, false];
  showState();
  const model = chosen;
  say(`Opening ${model.title}…`);
  try {
    await models.opened(model);
    if (stopping) say("Stopped.");
    else await composeWith(model, settings);
  } catch (error) {
    say("Nothing was composed.");
    complain([`${model.file}: ${error.message}`]);
  }
  composing = null;
  showState();
  if (piece?.isNew) await playNew();
}

async function composeWith(model, settings) {
  const most = settings.notes ?? settings.bars * model.facts.barBeats;
  const notes = [];
  const progress = (told) => {
    notes.push(...told.notes);
    const share = settings.notes ? told.count / most : (notes.at(-1)?.onset ?? 0) / most;
    at("progress").value = Math.min(share, 1);
    say(`Composing: ${told.count} notes`);
    at("empty").hidden = true;
    roll.cursor = null;
    roll.show(notes, model.facts.barBeats);
    roll.follow(roll.end());
  };
  at("name").textContent = model.title;
  if (innerWidth < 800) at("piece").scrollIntoView({ behavior: calm() ? "auto" : "smooth" });
  const { number, answer } = composer.ask({ type: "compose", name: model.file, settings }, { progress });
  composing = number;
  const made = await answer;
  if (made === null) {
    showPiece();
    return say(piece ? "Stopped. The piece before is still here." : "Stopped.");
  }
  const changed = piece?.model !== model;
  piece = { model, settings, ...made, isNew: true };
  if (changed) at("tempo").value = String(model.facts.tempoBpm);
  beat = 0;
  roll.pane.scrollLeft = 0;
  showPiece();
}

async function playNew() {
  piece.isNew = false;
  await piano.ready;
  if (composing === null && !piano.playing) play();
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function stopComposing() {
  stopping = true;
  if (composing > 0) composer.ask({ type: "stop", which: composing });
}
