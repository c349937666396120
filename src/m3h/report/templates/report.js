"use strict";
// The page is complete without this: it sorts and filters tables, and saves figures.
const minus = "\u2212", nothing = "\u2013";

// what a cell says first: a number where it can be read as one, "" where nothing is known, else its words
const valueOf = (row, place) => {
  const cell = row.cells[place];
  const own = [...(cell?.childNodes ?? [])].filter((node) => node.nodeName !== "SMALL");
  const text = own.map((node) => node.textContent).join("").trim();
  if (text === "" || text === nothing) return "";
  const plain = text.replaceAll(minus, "-").replace(/^[\u25b2\u25bc]\s*/, "").replaceAll(",", "");
  const found = /^([+-]?\d+(?:\.\d+)?)(?:\u00a0?%|\s*\(|$)/.exec(plain);
  return found ? Number(found[1]) : text;
};

const compare = (a, b) => {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
};

// rows under one heading stay under it
const partsOf = (body) => {
  const parts = [[]];
  for (const row of body.rows) {
    if (row.classList.contains("group")) parts.push([row]);
    else parts.at(-1).push(row);
  }
  return parts;
};

const sort = (heading) => {
  const [row, body] = [heading.parentElement, heading.closest("table").tBodies[0]];
  const place = [...row.cells].indexOf(heading);
  const rising = heading.getAttribute("aria-sort") === "descending" ||
    (heading.classList.contains("text") && heading.getAttribute("aria-sort") !== "ascending");
  for (const other of row.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  for (const part of partsOf(body)) {
    const head = part[0]?.classList.contains("group") ? [part.shift()] : [];
    part.sort((first, second) => {
      const [a, b] = [valueOf(first, place), valueOf(second, place)];
      if (a === "" || b === "") return (a === "") - (b === ""); // what is missing stays last
      return rising ? compare(a, b) : compare(b, a);
    });
    body.append(...head, ...part);
  }
};

const filter = (table) => {
  const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("group"));
  const box = document.createElement("p");
  const label = document.createElement("label");
  const field = document.createElement("input");
  const count = document.createElement("output");
  box.className = "filter";
  field.type = "search";
  label.append("Show questions with ", field);
  box.append(label, " ", count);
  table.parentElement.before(box);
  field.addEventListener("input", () => {
    const wanted = field.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
    for (const part of partsOf(table.tBodies[0])) {
      if (part[0]?.classList.contains("group")) part[0].hidden = part.slice(1).every((row) => row.hidden);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = wanted ? `${shown} of ${rows.length} rows` : "";
  });
};

for (const heading of document.querySelectorAll("thead th")) {
  const table = heading.closest("table");
  if (table.tBodies[0].rows.length < 3 || !heading.textContent.trim()) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => sort(heading));
}

for (const table of document.querySelectorAll("table[data-filter]")) filter(table);

for (const drawn of document.querySelectorAll("figure svg[data-name]")) {
  const link = document.createElement("a");
  link.className = "save";
  link.download = `${drawn.dataset.name}.svg`;
  link.textContent = "Save this figure (SVG)";
  link.href = "#";
  link.setAttribute("aria-label", `Save the figure ${drawn.dataset.name} as SVG`);
  link.addEventListener("click", () => {
    const copy = drawn.cloneNode(true);
    const [, , width, height] = copy.getAttribute("viewBox").split(" ");
    copy.setAttribute("width", `${width}pt`);
    copy.setAttribute("height", `${height}pt`);
    copy.setAttribute("style", "background: #fff");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  });
  drawn.closest("figure").append(link);
}
