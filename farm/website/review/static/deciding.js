// The dock at the foot of a style's page: approve, overrule, reject, train again. What is sent names the model that this
// page shows, so that nobody decides about another one; what was written stays until it has been acknowledged.

const TOLD = "farm-review-told";

class Deciding {
  constructor(facts) {
    this.facts = facts;
    this.model = facts.model;
    this.isCurrent = page.seen === facts.seen;
    this.form = make("form", { class: "review-form", hidden: true, submit: (event) => this.send(event) });
    this.said = make("p", { class: "review-said", role: "status" });
    this.live = make("span", { class: "review-live" });
    this.dock = make(
      "aside",
      { class: "review-dock", id: "decide", "aria-label": `Decide about ${facts.title}`, tabindex: "-1" },
      make("div", { class: "review-row" }, this.summary(), make("div", { class: "review-buttons" }, ...this.buttons())),
      this.said,
      this.form,
    );
    document.body.append(this.dock);
    const skip = make("a", { class: "skip", href: "#decide" }, "Skip to the decision");
    document.querySelector(".skip").after(skip);
    this.tell(sessionStorage.getItem(TOLD) ?? "", "good");
    sessionStorage.removeItem(TOLD);
    if (!this.isCurrent) this.offerReload("This page does not show what is there now.");
  }

  summary() {
    const model = this.model;
    if (!model) return make("p", {}, make("b", {}, "Nothing is published"), this.live);
    const tone = { approved: "good", shipped: "good", rejected: "bad" }[model.status] ?? "";
    const named = make("b", {}, `Version ${model.version}, epoch ${model.epoch}`);
    return make("p", {}, named, " ", make("span", { class: `badge ${tone}` }, model.status), this.live);
  }

  buttons() {
    const waits = Object.keys(this.facts.retraining).length > 0;
    const again = this.opener("again", waits ? "Not anew…" : "Train anew…");
    const off = !this.isCurrent;
    const overrule = this.facts.epochs.length ? [this.opener("overrule", "Overrule…", off)] : [];
    if (!this.model) return [...overrule, again];
    const approve = this.opener("approve", "Approve…", off, "review-main");
    return [approve, ...overrule, this.opener("reject", "Reject…", off), again];
  }

  opener(kind, text, disabled = false, look = null) {
    const pressed = () => (this.kind === kind ? this.close() : this.open(kind));
    return button(text, pressed, { "data-kind": kind, "aria-expanded": "false", disabled, class: look });
  }

  open(kind) {
    this.kind = kind;
    this.mark();
    this.form.replaceChildren(...this.contents(kind));
    this.form.hidden = false;
    this.form.querySelector("select, textarea, button")?.focus();
  }

  close() {
    const opener = this.dock.querySelector(`[data-kind="${this.kind}"]`);
    this.kind = null;
    this.form.hidden = true;
    this.mark();
    opener?.focus();
  }

  mark() {
    for (const one of this.dock.querySelectorAll("[data-kind]"))
      one.setAttribute("aria-expanded", String(one.dataset.kind === this.kind));
  }

  contents(kind) {
    const model = this.model;
    const waits = Object.entries(this.facts.retraining);
    if (kind === "again" && waits.length) {
      const told = waits.map(([recipe, why]) => make("p", {}, `The next farm run trains ${recipe} anew: “${why}”`));
      return [...told, this.ending("Take that back")];
    }
    this.why = this.text(`why-${kind}`, { required: true, placeholder: PLACEHOLDERS[kind] });
    this.although = null;
    const parts = [...this.notes(kind)];
    if (kind === "overrule") {
      this.epoch = make("select", {}, ...this.facts.epochs.map((one) => this.option(one)));
      this.epoch.value = String(this.heardEpoch());
      parts.push(field("Epoch to ship", this.epoch, "Only epochs whose snapshot was kept can ship."));
    }
    parts.push(field(LABELS[kind], this.why));
    if (kind === "approve" && model.compared?.outcome === "worse") parts.push(this.askAlthough(true));
    if (kind === "overrule" && this.facts.ships) parts.push(this.askAlthough(false));
    return [...parts, this.ending(ENDINGS[kind](model))];
  }

  // The snapshot that the page's slider stands at, where it has one; else what is published or comes nearest to being fit.
  heardEpoch() {
    const heard = Number(document.getElementById("stop-epoch")?.textContent.match(/\d+/)?.[0]);
    const { epochs } = this.facts;
    const marked = epochs.find(({ marks }) => marks.includes("published") || marks.includes("comes nearest"));
    return (epochs.find(({ epoch }) => epoch === heard) ?? marked ?? epochs[0]).epoch;
  }

  option({ epoch, marks }) {
    return make("option", { value: String(epoch) }, marks.length ? `${epoch} – ${marks.join(", ")}` : String(epoch));
  }

  // What a person should know before the decision is made.
  notes(kind) {
    const { model } = this;
    const found = [];
    if (kind === "again")
      found.push("The next farm run trains the style anew with another seed. The model of now stays until then.");
    if (kind === "approve" && !model.fit)
      found.push(`The verdict is “${model.verdict}”: it is not called fit. Your reason overrules that and is kept with it.`);
    if (["approve", "overrule"].includes(kind) && model?.unlicensed.length)
      found.push(`It will not ship until the licence of ${model.unlicensed.join(", ")} is known.`);
    if (kind === "approve" && model.compared?.why) found.push(model.compared.why);
    return found.map((text) => make("p", { class: "review-note" }, text));
  }

  askAlthough(required) {
    const worse = "worse than the version that ships now";
    const needed = `It is ${worse}; this second reason is kept with the decision.`;
    this.although = this.text("although", { required });
    return field("Why all the same", this.although, required ? needed : `Only needed where it turns out ${worse}.`);
  }

  text(name, attributes) {
    const key = `farm-review-draft ${page.style} ${name}`;
    const area = make("textarea", { rows: "2", maxlength: "2000", "data-draft": key, ...attributes });
    area.value = sessionStorage.getItem(key) ?? "";
    area.addEventListener("input", () => sessionStorage.setItem(key, area.value));
    return area;
  }

  ending(text) {
    const send = make("button", { type: "submit", class: "review-main" }, text);
    return make("div", { class: "review-buttons" }, send, button("Cancel", () => this.close()));
  }

  async send(event) {
    event.preventDefault();
    const kind = this.kind;
    const controls = [...this.form.elements];
    controls.forEach((control) => (control.disabled = true));
    this.tell("Being written…", "");
    try {
      const { told } = await ask(...this.asked(kind));
      this.form.querySelectorAll("[data-draft]").forEach((area) => sessionStorage.removeItem(area.dataset.draft));
      sessionStorage.setItem(TOLD, told);
      location.reload();
    } catch (error) {
      controls.forEach((control) => (control.disabled = false));
      this.refused(error);
    }
  }

  asked(kind) {
    if (kind === "again") {
      const waits = Object.keys(this.facts.retraining).length > 0;
      return ["retrain", { style: page.style, ...(waits ? { take_back: true } : { why: this.why.value }) }];
    }
    const status = kind === "reject" ? "rejected" : "approved";
    const epoch = kind === "overrule" ? { epoch: Number(this.epoch.value) } : {};
    const although = this.although ? { although: this.although.value } : {};
    return ["decide", { style: page.style, status, why: this.why.value, ...epoch, ...although, seen: page.seen }];
  }

  refused(error) {
    const wantsAlthough = error.message.includes("--although");
    const isPublished = wantsAlthough && this.kind === "overrule"; // and waits: its page is another one now
    if (error.status === 409 || isPublished) this.offerReload(error.message);
    else this.tell(error.message, "bad");
    if (wantsAlthough && !isPublished && !this.although) {
      this.form.lastElementChild.before(this.askAlthough(true));
      this.although.focus();
    }
  }

  offerReload(text) {
    this.tell(text, "bad");
    this.said.append(" ", button("Load the page again", () => location.reload()));
  }

  tell(text, tone) {
    this.said.textContent = text;
    this.said.className = `review-said ${tone}`;
  }

  // What is at work on this style now, from the status.
  follow(status) {
    const own = status.styles.find((style) => style.style === page.style);
    const says = (own?.at_work ?? []).map((one) => one.says).filter(Boolean);
    this.live.textContent = says.length ? ` Now: ${says.join("; ")}` : "";
  }
}

const LABELS = {
  approve: "What did you hear?",
  overrule: "Why this epoch?",
  reject: "What is wrong with it?",
  again: "What is wrong with this one?",
};
const PLACEHOLDERS = {
  approve: "sounds like the corpus, no copies heard",
  overrule: "less wandering, and no copies",
  reject: "wanders off key",
  again: "every sample ends the same way",
};
const ENDINGS = {
  approve: (model) => `Approve version ${model.version}`,
  overrule: () => "Publish and approve this epoch",
  reject: (model) => `Reject version ${model.version}`,
  again: () => "Train it anew next run",
};
