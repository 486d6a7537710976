// Sorts the table of styles by its columns, and shows only those that are asked for. What is asked for stands in the
// address (#sort=bits&order=down&verdict=healthy&status=approved&text=bach), so that it can be kept and sent.
// Without this script the table stands in the catalog's order.
"use strict";

(function () {
  const table = document.getElementById("styles-table");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  const rows = [...body.rows]; // in the catalog's order
  const columns = heads.map((head) => head.dataset.key);
  const verdict = document.getElementById("verdict");
  const status = document.getElementById("status");
  const text = document.getElementById("text");
  const said = document.getElementById("shown");
  const told = (row, key) => row.cells[columns.indexOf(key)].querySelector(".badge").textContent;
  const facts = rows.map((row) => ({
    row,
    verdict: told(row, "verdict"),
    status: told(row, "status"),
    words: row.textContent.toLowerCase(),
  }));
  let sort = "";
  let down = false;

  // A missing value goes last, whichever way the column runs.
  function compare(a, b) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN)
      ? a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" })
      : numbers[0] - numbers[1];
    return down ? -order : order;
  }

  function show() {
    const column = columns.indexOf(sort);
    heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const value = (row) => row.cells[column].dataset.sort || "";
    const ordered = column < 0 ? rows : [...rows].sort((a, b) => compare(value(a), value(b)));
    body.append(...ordered);
    const asked = text.value.trim().toLowerCase().split(/\s+/);
    let shown = 0;
    for (const fact of facts) {
      const fits =
        (!verdict.value || fact.verdict === verdict.value) &&
        (!status.value || fact.status === status.value) &&
        asked.every((word) => fact.words.includes(word));
      fact.row.hidden = !fits;
      shown += fits;
    }
    said.textContent = shown === rows.length ? "All " + shown + " shown" : shown + " of " + rows.length + " shown";
    document.getElementById("none").hidden = shown > 0;
  }

  // What is asked for, as it stands in the address and as it is read from there; unknown words are no one's choice.
  function remember() {
    const asked = new URLSearchParams();
    if (sort) asked.set("sort", sort);
    if (sort && down) asked.set("order", "down");
    if (verdict.value) asked.set("verdict", verdict.value);
    if (status.value) asked.set("status", status.value);
    if (text.value.trim()) asked.set("text", text.value.trim());
    const state = asked.toString();
    if (state !== window.location.hash.slice(1)) window.history.replaceState(null, "", "#" + state);
  }

  function recall() {
    const asked = new URLSearchParams(window.location.hash.slice(1));
    sort = columns.includes(asked.get("sort")) ? asked.get("sort") : "";
    down = asked.get("order") === "down";
    for (const [field, name] of [[verdict, "verdict"], [status, "status"]]) {
      field.value = asked.get(name) || "";
      if (field.selectedIndex < 0) field.value = "";
    }
    text.value = asked.get("text") || "";
    show();
  }

  function change() {
    show();
    remember();
  }

  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      down = sort === head.dataset.key && !down;
      sort = head.dataset.key;
      change();
    });
    head.replaceChildren(button);
  });
  const form = document.getElementById("choose");
  form.hidden = false;
  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", (event) => {
    event.preventDefault(); // the fields would be emptied only after this
    for (const field of [verdict, status, text]) field.value = "";
    sort = "";
    down = false;
    change();
  });
  // An address such as #summary leads to a part of the page and asks for nothing.
  window.addEventListener("hashchange", () => {
    if (!document.getElementById(window.location.hash.slice(1))) recall();
  });
  recall();
})();
