// The styles to choose from, and the files that some of them need first.

function showStyles() {
  const list = at("styles");
  list.replaceChildren();
  const sorted = [...models.all.values()].sort((a, b) => a.title.localeCompare(b.title));
  chosen ??= sorted.find(Models.isHere) ?? sorted[0];
  for (const model of sorted) {
    const label = document.createElement("label");
    const radio = Object.assign(document.createElement("input"), {
      type: "radio",
      name: "style",
      value: model.file,
      checked: model === chosen,
    });
    radio.addEventListener("change", () => choose(model));
    const title = Object.assign(document.createElement("span"), { className: "title", textContent: model.title });
    label.append(radio, title);
    if (!Models.isHere(model) && anyIsHere()) {
      label.append(
        Object.assign(document.createElement("span"), { className: "needs", textContent: "needs its file" }),
      );
    }
    list.append(label);
  }
  showFiles();
}

const anyIsHere = () => [...models.all.values()].some(Models.isHere);

function choose(model) {
  chosen = model;
  const radio = [...document.getElementsByName("style")].find((one) => one.value === model.file);
  if (radio) radio.checked = true;
  showFiles();
}

function showFiles() {
  const all = [...models.all.values()];
  const away = all.filter((model) => !Models.isHere(model));
  at("missing").hidden = !chosen || Models.isHere(chosen);
  const why = "to keep the pack small, and browsers let no page read the files beside it.";
  if (anyIsHere()) {
    at("style-list").after(at("missing"));
    at("missing-why").textContent =
      `${chosen.title} is not inside this page, ${why} Show it ${chosen.file}, or the folder that it lies in.`;
    at("empty-said").textContent = "Press Compose, and the notes appear here.";
  } else {
    at("wish").prepend(at("missing"));
    at("missing-why").textContent =
      `The models are not inside this page, ${why} Show it the folder that it lies in, once, and every style can compose.`;
    at("empty-said").textContent = "First show this page the pack’s folder; then press Compose.";
  }
  const count = (number) => (number === 1 ? "1 model" : `${number} models`);
  const ready = count(all.length - away.length);
  at("files-said").textContent = away.length
    ? `${ready} can compose now; ${count(away.length)} must be shown first. The files lie beside this page.`
    : `${ready} can compose. You can open others too.`;
  showFacts();
}

async function take(files) {
  if (!files.length) return;
  say("Checking the files…");
  const { opened, problems } = await models.take(files);
  if (opened.length && !(chosen && Models.isHere(chosen) && !opened.includes(chosen))) {
    chosen = opened.includes(chosen) ? chosen : opened[0];
  }
  const asked = at("missing").contains(document.activeElement);
  showStyles();
  if (asked && at("missing").hidden) at("compose").focus();
  if (opened.length === 1) say(`${opened[0].title} is checked and ready.`);
  else say(opened.length ? `${opened.length} models are checked and ready.` : "No model was opened.");
  complain(problems);
}
