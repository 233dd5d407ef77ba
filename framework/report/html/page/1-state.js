// unpack decodes the cells: base64 of compressed JSON (store.encode).
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.trim()), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

// The filters and the open cell are in the fragment of the page's address, so that a
// link keeps them: #group=dax&differences=1&cell=SCENARIO@KERNEL.
const data = await unpack(document.getElementById("data").content.textContent);
const text = (i) => data.text[i || 0];
const keys = ["q", "group", "change", "kernel", "differences", "cell"];
let state = {};

function decode(part) {
  try { return decodeURIComponent(part); } catch { return part; } // a stray %: unchanged
}

// fragment reads the address: key=value, joined by &.
function fragment() {
  const out = {};
  for (const part of location.hash.slice(1).split("&")) {
    const at = part.indexOf("=");
    if (at > 0) out[part.slice(0, at)] = decode(part.slice(at + 1));
  }
  return out;
}

// remember writes the state into the address; push makes it an entry of the browser's
// history.
function remember(push) {
  const parts = keys.filter((k) => state[k])
    .map((k) => k + "=" + encodeURIComponent(state[k]).replace(/%(2F|3A|40|2C)/g, decodeURIComponent));
  const to = "#" + parts.join("&");
  if (to === (location.hash || "#")) return;
  history[push ? "pushState" : "replaceState"](null, "", to);
}

// kernelOf finds a column by a name that only its kernel has; -1 if none.
function kernelOf(name) {
  for (const named of [(k) => k.by === name, (k) => k.name === name, (k) => k.names.includes(name)]) {
    const found = data.kernels.filter(named);
    if (found.length === 1) return data.kernels.indexOf(found[0]);
  }
  return -1;
}

const cellName = (row, k) => data.rows[row].id + "@" + data.kernels[k].by;

// cellAt finds a cell by its name; null if there is none.
function cellAt(name) {
  const at = name.indexOf("@");
  const row = data.rows.findIndex((r) => r.id === name.slice(0, at));
  const k = kernelOf(name.slice(at + 1));
  return at > 0 && row >= 0 && k >= 0 && data.rows[row].cells[k] ? { row, k } : null;
}
