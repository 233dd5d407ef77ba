// The content of a cell. All of it may be a guest's text: it becomes text nodes only.
function el(tag, props, ...children) {
  const out = Object.assign(document.createElement(tag), props);
  out.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return out;
}
const sr = (words) => el("span", { className: "sr" }, words);
const unseen = (sign) => { const s = el("span", { className: "sign" }, sign); s.ariaHidden = "true"; return s; };
const log = (label, words) => [el("h3", {}, label), el("pre", { className: "log", tabIndex: 0, ariaLabel: label }, words)];

// short returns a column's name.
const short = (k) => data.kernels[k].short;

function changeLink(id) { return el("a", { className: "badge", href: "#about=" + encodeURIComponent(id) }, id); }

// drawCell returns everything recorded about a cell, as nodes.
function drawCell(row, k) {
  const scenario = data.rows[row], place = scenario.cells[k], cell = data.cells[place.cell];
  const beside = place.beside >= 0 ? { k: place.beside, cell: data.cells[scenario.cells[place.beside].cell] } : null;
  const facts = [data.kernels[k].name, text(place.facts)];
  if (beside) facts.push("compared with " + short(beside.k));
  const out = [
    el("p", { className: "doc" }, text(scenario.doc) + " ", scenario.needs ? el("span", { className: "quiet" }, "Needs " + text(scenario.needs) + ".") : ""),
    el("p", { className: "quiet" }, facts.join(" · ")),
  ];
  if (cell.message) out.push(el("p", { className: "message " + cell.verdict }, text(cell.message)));
  for (const f of (scenario.findings || []).filter((f) => f.on.includes(k)))
    out.push(el("p", { className: "finding" }, el("b", { className: "kind" }, text(f.kind)), text(f.message)));
  out.push(...drawDifferences(scenario, k), ...drawSteps(cell, beside));
  if (cell.witnesses) {
    out.push(el("h3", {}, "Witnesses"), el("dl", { className: "witnesses" }, ...cell.witnesses.flatMap(([name, value]) =>
      [el("dt", {}, text(name)), el("dd", {}, el("pre", {}, text(value)))])));
  }
  for (const l of cell.left_out || []) out.push(el("p", { className: "quiet" }, text(l)));
  if (place.log) out.push(...log("Kernel log", text(place.log)));
  if (place.tail) out.push(...log("End of the console", text(place.tail)));
  out.push(el("h3", {}, "Repeat"),
    el("pre", { className: "command", tabIndex: 0, ariaLabel: "Command to observe the cell again" }, text(place.repeat)),
    el("p", { className: "quiet" }, "or paused before the step that matters, with ssh, QMP and gdb access to the guest:"),
    el("pre", { className: "command", tabIndex: 0, ariaLabel: "The same, with a pause" }, text(place.repeat) + " --pause"),
    el("pre", { className: "command", tabIndex: 0, ariaLabel: "The same, with gdb before the step that matters" }, text(place.repeat) + " --gdb"));
  return out;
}

function drawDifferences(scenario, k) {
  const own = (scenario.differences || []).filter((d) => d.on.includes(k));
  if (!own.length) return [];
  const head = ["where", "field", "on " + short(own[0].from), "on " + short(k), "explained by"];
  return [el("h3", {}, "Differences"), el("table", { className: "differences" },
    el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col" }, h)))),
    el("tbody", {}, ...own.map((d) => el("tr", {},
      el("td", { className: "quiet" }, text(d.where)), el("td", {}, el("code", {}, text(d.field))),
      el("td", {}, el("pre", {}, text(d.a))), el("td", {}, el("pre", {}, text(d.b))),
      el("td", {}, d.by ? changeLink(d.by) : "", d.why ? el("span", { className: "badge unexplained" }, " " + d.why) : "")))))];
}

// drawSteps returns a timeline: a lane for bad memory, one for each actor, and next to
// them the actions and outcomes.
function drawSteps(cell, beside) {
  if (!cell.steps) return [];
  const steps = cell.steps.map((i) => data.steps[i]);
  const actors = [...new Set(steps.map((s) => text(s.actor)))];
  const injected = steps.some((s) => s.poisons);
  const list = el("ol", { className: "steps" });
  let bad = [];
  steps.forEach((s, i) => {
    if (s.poisons) bad.push(text(s.poisons));
    const lanes = el("span", { className: "lanes", ariaHidden: "true" });
    if (injected) lanes.append(el("span", { className: "lane poison" + (bad.length ? " on" : "") + (s.poisons ? " begins" : "") + (s.heals ? " ends" : "") }));
    for (const a of actors) {
      const at = a === text(s.actor);
      lanes.append(el("span", { className: "lane" + (at ? " at" : "") }, at ? s.poisons ? "◆" : s.touches ? "●" : "○" : ""));
    }
    list.append(el("li", { className: "step" + (s.poisons ? " poisons" : s.touches ? " touches" : "") }, lanes, drawStep(s, i, beside)));
    if (s.heals) bad = bad.filter((b) => b !== text(s.heals));
  });
  const legend = el("p", { className: "lanes head", ariaHidden: "true" },
    ...(injected ? ["bad"] : []).concat(actors).map((a) => el("span", { className: "lane" }, el("span", {}, a))));
  return [el("h3", {}, "Steps"), legend, list];
}

function drawStep(s, i, beside) {
  const out = el("div", {}, el("p", {}, el("span", { className: "actor" }, text(s.actor)), " ", el("code", {}, text(s.action)), " ",
    el("b", { className: "outcome" }, "→ " + text(s.outcome))));
  if (s.poisons) out.append(el("p", { className: "poison" }, "makes " + text(s.poisons) + " bad"));
  if (s.heals) out.append(el("p", { className: "poison" }, "makes " + text(s.heals) + " good again"));
  if (s.touches) out.append(el("p", { className: "poison" }, "accesses bad memory, " + text(s.touches)));
  const other = beside && beside.cell.steps && data.steps[beside.cell.steps[i]];
  const same = other && other.actor === s.actor && other.action === s.action;
  if (same && other.outcome !== s.outcome) out.append(el("p", { className: "other" }, "on " + short(beside.k) + ": ", el("code", {}, text(other.outcome))));
  if (s.how) out.append(el("p", { className: s.unmet ? "unmet" : "met" }, (s.unmet ? "✗ " : "✓ ") + text(s.how), s.wanted ? el("span", { className: "quiet" }, s.unmet ? "; expected: " + text(s.wanted) : " (" + text(s.wanted) + ")") : ""));
  if (s.details) out.append(el("dl", { className: "facts" }, ...s.details.map(([name, value]) => el("div", {}, el("dt", {}, text(name)), el("dd", {}, el("code", {}, text(value)))))));
  (s.payloads || []).forEach((p, j) => {
    const theirs = same && other.payloads && other.payloads[j];
    out.append(drawPayload(data.payloads[p], theirs === undefined || theirs === false ? null : data.payloads[theirs], beside));
  });
  return out;
}
