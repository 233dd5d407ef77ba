// The matrix: its columns, which may be folded; its rows, which may be filtered; and
// keyboard navigation between its cells.
const table = document.querySelector(".matrix");
const lines = [...table.querySelectorAll("tr.row")]; // as data.rows
const form = document.querySelector(".controls");
const columns = [...table.querySelectorAll("thead th[data-k]")].map((th) => ({
  k: Number(th.dataset.k), th, members: (th.dataset.fold || th.dataset.k).split(" ").map(Number),
}));

// hold makes one cell the target of Tab; the arrow keys move to the others.
let held = null;
function hold(target) {
  if (held) held.tabIndex = -1;
  held = target;
  if (held) held.tabIndex = 0;
}

function prepare() {
  table.setAttribute("role", "grid");
  for (const b of table.querySelectorAll("tbody button, tbody a")) b.tabIndex = -1;
  hold(table.querySelector("tbody button"));
  for (const c of columns) if (c.members.length > 1) foldButton(c);
  data.kernels.forEach((k) => form.elements.kernel.append(el("option", { value: k.by, title: k.name }, k.short)));
  form.hidden = false;
}

function foldButton(column) {
  const n = column.members.length;
  const button = el("button", { className: "fold", type: "button", ariaExpanded: "false" }, n + " alike, unfold");
  button.addEventListener("click", () => {
    const open = button.ariaExpanded === "true";
    if (open) fold(column); else unfold(column);
    button.ariaExpanded = String(!open);
    button.textContent = open ? n + " alike, unfold" : "fold " + n;
    narrow();
  });
  column.th.append(button);
}

// unfold gives each kernel of a column a column of its own.
function unfold(column) {
  const names = [...column.th.querySelectorAll("span")];
  column.folded = [...column.th.childNodes].filter((n) => n.nodeName !== "BUTTON");
  const rest = column.members.slice(1);
  const at = columns.indexOf(column);
  for (const n of column.folded) if (n !== names[0]) n.remove();
  const added = rest.map((k, i) => {
    const th = el("th", { scope: "col" }, names[i + 1].cloneNode(true));
    return { k, th, members: [k], of: column };
  });
  column.th.after(...added.map((c) => c.th));
  column.members = [column.k];
  columns.splice(at + 1, 0, ...added);
  for (const line of lines) {
    const cell = line.children[at + 1];
    cell.after(...rest.map(() => cell.cloneNode(true)));
  }
  for (const th of table.querySelectorAll(".group th")) th.colSpan += rest.length;
  for (const line of lines) for (const b of line.querySelectorAll("button")) b.tabIndex = b === held ? 0 : -1;
}

function fold(column) {
  const added = columns.filter((c) => c.of === column);
  const at = columns.indexOf(column);
  for (const line of lines) for (const c of added) {
    const cell = line.children[at + 2];
    if (cell.contains(held)) hold(line.children[at + 1].querySelector("button"));
    cell.remove();
  }
  for (const c of added) c.th.remove();
  columns.splice(at + 1, added.length);
  column.members.push(...added.map((c) => c.k));
  column.th.prepend(...column.folded);
  for (const th of table.querySelectorAll(".group th")) th.colSpan -= added.length;
}

// narrow hides all columns except the chosen kernel's and the first kernel's, which it is
// compared with.
function narrow() {
  const k = state.kernel ? kernelOf(state.kernel) : -1;
  const out = columns.map((c) => k >= 0 && !c.members.includes(k) && !c.members.includes(0));
  columns.forEach((c, i) => { c.th.hidden = out[i]; });
  for (const line of lines) out.forEach((o, i) => { line.children[i + 1].hidden = o; });
}

// words returns the text that the filter searches.
function words(i) {
  const row = data.rows[i];
  if (!row.words) {
    const about = (row.changes || []).map((id) => document.getElementById("change=" + id)?.textContent);
    row.words = [lines[i].textContent, text(row.doc), ...about].join(" ").toLowerCase();
  }
  return row.words;
}

// fits reports whether a row passes the filters.
function fits(i) {
  const row = data.rows[i];
  const k = state.kernel ? kernelOf(state.kernel) : -1;
  const own = (row.differences || []).filter((d) => k < 0 || d.on.includes(k));
  const troubled = k < 0 ? row.notable : own.length > 0 || ["unexpected", "infra"].includes(data.cells[row.cells[k]?.cell]?.verdict);
  return (!state.q || state.q.toLowerCase().split(/\s+/).every((w) => words(i).includes(w))) &&
    (!state.group || lines[i].parentNode.dataset.group === state.group) &&
    (!state.change || own.some((d) => d.by === state.change)) &&
    (k < 0 || row.cells[k]) && (!state.differences || troubled);
}

function filter() {
  let n = 0;
  const shown = new Set();
  lines.forEach((line, i) => {
    line.hidden = !fits(i);
    if (!line.hidden) { n++; shown.add(data.rows[i].id); }
  });
  for (const body of table.tBodies) body.hidden = ![...body.rows].some((r) => r.matches(".row:not([hidden])"));
  for (const body of document.querySelectorAll(".differences tbody")) body.hidden = !shown.has(body.dataset.id);
  form.querySelector("output").textContent = n === lines.length ? n + " scenarios" : n + " of " + lines.length + " scenarios";
  narrow();
  if (!held || held.closest("[hidden]")) hold(table.querySelector("tr.row:not([hidden]) td:not([hidden]) button"));
}

// buttonOf returns the cell's button in the matrix; a folded column has one for all.
function buttonOf(row, k) {
  const at = columns.findIndex((c) => c.members.includes(k));
  return lines[row].children[at + 1].querySelector("button");
}

const reach = (cell) => cell && !cell.hidden ? cell.querySelector("button, a") : null;

// walk moves the focus by rows and columns, skipping cells that cannot be opened.
function walk(from, down, right) {
  const rows = lines.filter((l) => !l.hidden);
  const cell = from.closest("td");
  let y = rows.indexOf(cell.parentNode), x = cell.cellIndex;
  for (;;) {
    y += down; x += right;
    if (!rows[y] || x < 1 || x >= rows[y].children.length) return;
    const found = reach(rows[y].children[x]);
    if (found) { hold(found); found.focus(); return; }
  }
}

function edge(from, last, whole) {
  const rows = lines.filter((l) => !l.hidden);
  const line = whole ? rows.at(last ? -1 : 0) : from.closest("tr");
  const found = [...line.children].slice(1).map(reach).filter(Boolean).at(last ? -1 : 0);
  if (found) { hold(found); found.focus(); }
}

const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-1, 0, 12], PageDown: [1, 0, 12] };

function steer(e) {
  const from = e.target.closest("tbody td button, tbody td a");
  if (!from || e.altKey || e.metaKey) return;
  if (e.key === "Home" || e.key === "End") edge(from, e.key === "End", e.ctrlKey);
  else if (arrows[e.key] && !e.ctrlKey) {
    const [down, right, times] = arrows[e.key];
    for (let i = 0; i < (times || 1); i++) walk(document.activeElement, down, right);
  } else return;
  e.preventDefault();
}
