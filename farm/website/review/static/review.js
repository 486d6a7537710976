// Puts the review's parts into a page of the report: on a style's page the dock, on the index what happens now, on both
// the part that composes.

async function review() {
  const facts = await ask(`style?name=${encodeURIComponent(page.style)}`);
  const part = page.style ? new Deciding(facts) : isIndex() ? new Progress() : null;
  if (facts.composers.length && (page.style || isIndex())) new Composing(facts.composers, page.style);
  if (part) watch((status, problem) => (status || !page.style ? part.follow(status, problem) : null));
  if (location.hash === "#decide") document.getElementById("decide")?.focus();
}

function isIndex() {
  return location.pathname === "/site/index.html";
}

review().catch((error) => {
  const told = make("p", { class: "review-said bad", role: "alert" }, `The review's controls are missing: ${error.message}`);
  document.getElementById("main").prepend(told);
});
