// follow applies the address to the page.
function follow() {
  const asked = fragment();
  if (asked.row !== undefined) return reveal(asked.row);
  if (asked.about !== undefined || location.hash && !keys.some((k) => k in asked)) { // a place in the page
    shut();
    document.getElementById(decode(location.hash.slice(1)))?.scrollIntoView();
    return;
  }
  state = asked;
  for (const name of ["q", "group", "change", "kernel"]) {
    const control = form.elements[name];
    if (!control) continue;
    const k = name === "kernel" && state.kernel ? kernelOf(state.kernel) : -1;
    control.value = k >= 0 ? data.kernels[k].by : state[name] || "";
    state[name] = control.value; // a select takes listed values only
  }
  form.elements.differences.checked = Boolean(state.differences);
  filter();
  const cell = state.cell && cellAt(state.cell);
  if (cell) show(cell.row, cell.k, false);
  else shut();
  if (asked.change && !cell) document.getElementById("scenarios").scrollIntoView();
}

// reveal shows a row, even if the filters hide it.
function reveal(id) {
  const i = data.rows.findIndex((r) => r.id === id);
  shut();
  if (i < 0) return;
  if (lines[i].hidden) {
    state = {};
    form.reset();
    filter();
  }
  const b = lines[i].querySelector("td:not([hidden]) button");
  if (b) { hold(b); b.focus(); }
  lines[i].scrollIntoView({ block: "center" });
}

prepare();
form.addEventListener("submit", (e) => e.preventDefault());
form.addEventListener("input", () => {
  for (const name of ["q", "group", "change", "kernel"]) state[name] = form.elements[name]?.value || "";
  state.differences = form.elements.differences.checked ? "1" : "";
  filter();
  remember(false);
});
table.addEventListener("click", (e) => {
  const b = e.target.closest("tbody button");
  if (!b) return;
  hold(b);
  show(lines.indexOf(b.closest("tr")), columns[b.closest("td").cellIndex - 1].k, true);
});
table.addEventListener("keydown", steer);
table.addEventListener("focusin", (e) => { if (e.target.closest("tbody button, tbody a")) hold(e.target); });
dialog.addEventListener("close", closed);
dialog.addEventListener("click", (e) => { if (e.target === dialog) dialog.close(); });
dialog.addEventListener("keydown", (e) => {
  if (e.target.closest(".log, .payload, .command") || e.altKey || e.ctrlKey || e.metaKey) return;
  if (e.key === "ArrowLeft") turn(-1); else if (e.key === "ArrowRight") turn(1);
});
// A link to the current address.
document.addEventListener("click", (e) => { if (e.target.closest('a[href^="#"]')?.hash === location.hash) follow(); });
window.addEventListener("hashchange", follow);
follow();
