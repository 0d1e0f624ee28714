// Charts, and tables to sort, filter and take away. The tables are in the page already, so that they can be read and
// printed without this file, and by whatever reads a page aloud.
"use strict";

const language = document.documentElement.lang;

async function drawAll() {
  let drawn = 0;
  for (const figure of document.querySelectorAll("figure.chart")) {
    const place = figure.querySelector(".drawing");
    try {
      const spec = JSON.parse(figure.querySelector(".spec").textContent);
      if (place.clientWidth < 420) spec.config.legend.columns = place.clientWidth < 300 ? 1 : 2;
      // `ast` has expressions interpreted, so that the page works where a server forbids to make code from text.
      await vegaEmbed(place, spec, { mode: "vega-lite", renderer: "svg", actions: false, ast: true, tooltip: { disableDefaultStyle: true } });
      drawn += 1;
    } catch (error) {
      console.error(figure.id, error);
      figure.classList.add("failed");
    }
  }
  document.documentElement.dataset.drawn = drawn;
}

function number(cell) {
  const value = cell.dataset.value;
  return value === undefined || value === "" ? NaN : Number(value);
}

function said(cell) {
  return cell.dataset.value ?? cell.textContent.trim();
}

function compared(column, numeric) {
  const words = new Intl.Collator(language, { numeric: true });
  return (one, other) => {
    const a = one.cells[column], b = other.cells[column];
    if (!numeric) return words.compare(said(a), said(b));
    const x = number(a), y = number(b);
    return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : Number.isNaN(y) ? -1 : x - y;
  };
}

function sortable(box, table) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.title = `${box.dataset.sort} ${head.textContent}`;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const now = head.getAttribute("aria-sort");
      const falling = now === "none" ? numeric : now === "ascending"; // much is looked for more often than little
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const order = compared(column, numeric);
      const missing = (row) => numeric && Number.isNaN(number(row.cells[column]));
      const rows = [...body.rows].sort((a, b) => (missing(a) || missing(b) || !falling ? order(a, b) : order(b, a)));
      body.append(...rows);
    });
  });
}

function csv(table) {
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [[...table.tHead.rows[0].cells].map((cell) => quoted(cell.textContent.trim()))];
  for (const row of table.tBodies[0].rows) if (!row.hidden) lines.push([...row.cells].map((cell) => quoted(said(cell))));
  return lines.map((line) => line.join(",")).join("\r\n") + "\r\n";
}

function takenAway(box, table) {
  // The mark at the beginning tells spreadsheets that the text is UTF-8.
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", csv(table)], { type: "text/csv" }));
  link.download = `${box.id}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

function counted(box, table) {
  const rows = [...table.tBodies[0].rows], left = rows.filter((row) => !row.hidden).length;
  box.querySelector(".count").textContent = box.dataset.said.replace("{n}", left).replace("{all}", rows.length);
}

function prepared(box) {
  const table = box.querySelector("table"), search = box.querySelector("input");
  box.querySelector(".tools").hidden = false;
  if (table.tBodies[0].rows.length > 1) sortable(box, table);
  box.querySelector(".download").addEventListener("click", () => takenAway(box, table));
  search?.addEventListener("input", () => {
    const words = search.value.toLocaleLowerCase(language).split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLocaleLowerCase(language);
      row.hidden = !words.every((word) => text.includes(word));
    }
    counted(box, table);
  });
  counted(box, table);
}

function aged(time) {
  // A page does not know when it is read; the browser does.
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  time.textContent = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(Math.round(seconds / size), unit);
  time.title = time.dateTime;
}

document.querySelectorAll(".table").forEach(prepared);
document.querySelectorAll("time[data-age]").forEach(aged);
// Data Docs show values of rows, so a server does not offer them: there the link would lead nowhere.
if (location.protocol !== "file:") document.querySelectorAll("a[data-file]").forEach((link) => link.replaceWith(link.textContent));
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
drawAll();
