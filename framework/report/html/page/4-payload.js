// The layout of siginfo_t: each field with its bytes, and the bytes between fields.
const bytesOf = (p) => (p.hex.padEnd(2 * data.bytes, "0").match(/../g));

function drawPayload(p, other, beside) {
  if (!p.values) return el("p", { className: "quiet" }, "the payload cannot be decoded: ", el("code", {}, p.hex || "none"));
  const raw = bytesOf(p), theirs = other && other.values ? bytesOf(other) : null;
  const body = el("tbody", {});
  const add = (from, to, field) => {
    const own = raw.slice(from, to);
    const empty = !field && own.every((b) => b === "00");
    // Addresses are compared by what they point into, not by value.
    const differs = (at) => theirs && theirs[at] !== raw[at] && !(field && field.name === "si_addr" && p.means[field.at] === other.means[field.at]);
    const bytes = el("td", { className: "dump" });
    if (empty) bytes.append(own.length > 8 ? "00 … 00" : own.join(" "));
    else own.forEach((b, i) => bytes.append(i ? " " : "", differs(from + i) ? el("b", {}, b) : b));
    const changed = field && theirs && other.values[field.at] !== p.values[field.at] && own.some((b, i) => differs(from + i));
    body.append(el("tr", field ? {} : { className: "gap" },
      el("td", { className: "off" }, String(from)), bytes,
      field ? el("th", { scope: "row" }, field.type.endsWith("*") ? field.type : field.type + " ", el("b", {}, field.name)) : el("td", { className: "quiet" }, to === data.bytes ? "the rest" : "padding"),
      el("td", {}, field ? el("code", {}, text(p.values[field.at])) : empty ? own.length + " bytes, all 0" : ""),
      el("td", {}, field ? text(p.means[field.at]) : ""),
      ...(theirs ? [el("td", { className: "other" }, changed ? "≠ " + text(other.values[field.at]) + " " + text(other.means[field.at]) : "")] : [])));
  };
  let at = 0;
  (p.fields || data.fields).forEach((f, i) => {
    if (f.off > at) add(at, f.off, null);
    add(f.off, f.end, { ...f, at: i });
    at = f.end;
  });
  if (at < data.bytes) add(at, data.bytes, null);
  const head = ["offset", "bytes", "struct siginfo", "value", "meaning"].concat(theirs ? ["on " + short(beside.k)] : []);
  const thread = p.thread ? [el("p", { className: "quiet" }, "delivered to " + text(p.thread))] : [];
  return el("div", { className: "payload", tabIndex: 0, role: "group", ariaLabel: "Payload" }, ...thread, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))), body));
}
