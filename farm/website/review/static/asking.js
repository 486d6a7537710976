// How the review's scripts ask its server, and how they put elements together: texts are set as texts, never as markup.

const about = document.querySelector("meta[name=farm-review]").dataset;
const page = { style: about.style, seen: about.seen };

// Returns the answer; an Error with the server's sentence and `status` where it refuses. With a body it is a change.
async function ask(what, body) {
  const word = localStorage.getItem("farm-review") ?? "";
  const headers = { "content-type": "application/json", "x-farm-review": word };
  const change = body === undefined ? {} : { method: "POST", headers, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(`/review/${what}`, change);
  } catch {
    throw new Error("'farm review' does not answer; has it ended? Nothing was changed.");
  }
  const told = await answer.json().catch(() => ({ error: `'farm review' answers ${answer.status}.` }));
  if (!answer.ok) throw Object.assign(new Error(told.error), { status: answer.status });
  return told;
}

// make("p", { class: "x" }, "text", element): null attributes and children are left out.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function button(text, pressed, attributes = {}) {
  return make("button", { type: "button", click: pressed, ...attributes }, text);
}

// A label over its control, with a hint below.
function field(text, control, hint = "") {
  control.id ||= `review-${text.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const below = hint ? make("small", { id: `${control.id}-hint` }, hint) : null;
  if (below) control.setAttribute("aria-describedby", below.id);
  return make("div", { class: "review-field" }, make("label", { for: control.id }, text), control, below);
}
