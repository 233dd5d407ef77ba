// The dialog that shows a cell.
const dialog = document.getElementById("cell");
let opened = null;

function show(row, k, push) {
  const cell = data.cells[data.rows[row].cells[k].cell];
  const go = (step, label, sign) => {
    const to = neighbour(row, k, step);
    const b = el("button", { type: "button", className: step < 0 ? "before" : "behind", disabled: to < 0, title: to < 0 ? "" : data.kernels[to].name }, sign, sr(label));
    b.addEventListener("click", () => turn(step));
    return b;
  };
  const close = el("button", { type: "button", className: "close" }, "close");
  close.addEventListener("click", () => dialog.close());
  const title = el("h2", { id: "cell-title", tabIndex: -1 }, el("code", {}, data.rows[row].id), " on ", el("span", {}, short(k)), " ",
    el("span", { className: "verdict " + cell.verdict }, text(cell.state)));
  const held = dialog.contains(document.activeElement) ? document.activeElement.className : "";
  dialog.replaceChildren(el("div", { className: "tools" }, go(-1, " the previous kernel", "←"), go(1, " the next kernel", "→"), close), title, ...drawCell(row, k));
  opened = { row, k };
  state.cell = cellName(row, k);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  const again = held && dialog.querySelector(".tools ." + held + ":not([disabled])");
  (again || title).focus();
  remember(push);
}

// neighbour returns the next column in that direction that has a cell; -1 if none.
function neighbour(row, k, step) {
  for (let i = k + step; i >= 0 && i < data.kernels.length; i += step) if (data.rows[row].cells[i]) return i;
  return -1;
}

function turn(step) {
  const to = neighbour(opened.row, opened.k, step);
  if (to >= 0) show(opened.row, to, false);
}

// shut closes the dialog when the address refers to something else, which gets the focus.
function shut() {
  opened = null;
  state.cell = "";
  if (dialog.open) dialog.close();
}

function closed() {
  const was = opened;
  if (!was || dialog.open) return;
  opened = null;
  state.cell = "";
  remember(false);
  const button = was && buttonOf(was.row, was.k);
  if (button && !button.closest("[hidden]")) { hold(button); button.focus(); }
}
