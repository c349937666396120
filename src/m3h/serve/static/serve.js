"use strict";
// Nothing here is needed to read a page: it sorts tables, and tells the cell of a matrix that is pointed at.

const valueOf = (row, place) => {
  const cell = row.cells[place];
  return cell.dataset.value ?? cell.textContent.trim();
};

const compare = (one, other) => {
  if (one === "" || other === "") return (one === "") - (other === "");
  const numbers = [Number(one), Number(other)];
  return numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] - numbers[1];
};

const sort = (heading) => {
  const row = heading.parentElement;
  const body = row.closest("table").tBodies[0];
  const place = [...row.cells].indexOf(heading);
  const falling = heading.getAttribute("aria-sort") !== "descending";
  for (const other of row.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...body.rows];
  rows.sort((a, b) => {
    const [one, other] = [valueOf(a, place), valueOf(b, place)];
    if (one === "" || other === "") return compare(one, other); // what is missing stays last
    return falling ? compare(other, one) : compare(one, other);
  });
  body.append(...rows);
};

for (const heading of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => sort(heading));
}

for (const table of document.querySelectorAll("table.matrix")) {
  const readout = document.getElementById(table.dataset.readout);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].slice(1));
  let current = rows[0][0];
  const tell = (cell) => {
    if (cell?.dataset.told) readout.textContent = cell.dataset.told;
  };
  const go = (cell) => {
    current.tabIndex = -1;
    current = cell;
    current.tabIndex = 0;
    current.focus();
  };
  for (const cell of rows.flat()) cell.tabIndex = -1;
  current.tabIndex = 0;
  table.addEventListener("pointerover", (event) => tell(event.target.closest("td")));
  table.addEventListener("focusin", (event) => tell(event.target.closest("td")));
  table.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    const row = rows.findIndex((cells) => cells.includes(current));
    const next = rows[row + step[0]]?.[rows[row].indexOf(current) + step[1]];
    if (next) go(next);
    event.preventDefault();
  });
}

for (const select of document.querySelectorAll("select[data-send]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
