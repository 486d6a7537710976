// Makes the columns of the table of styles sortable. Without this script the table stands in the catalog's order.
"use strict";

(function () {
  const table = document.getElementById("styles-table");
  if (!table) return;
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];

  // A missing value goes last, whichever way the column runs.
  function compare(a, b, direction) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const numbers = [Number(a), Number(b)];
    const order = numbers.some(Number.isNaN)
      ? a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" })
      : numbers[0] - numbers[1];
    return direction * order;
  }

  function sortBy(column) {
    const ascending = heads[column].getAttribute("aria-sort") !== "ascending";
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const value = (row) => row.cells[column].dataset.sort || "";
    [...body.rows]
      .sort((a, b) => compare(value(a), value(b), ascending ? 1 : -1))
      .forEach((row) => body.append(row));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () => sortBy(column));
    head.replaceChildren(button);
  });
})();
