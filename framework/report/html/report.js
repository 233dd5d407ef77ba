"use strict";
(() => {
  const rows = [...document.querySelectorAll("tr.row")];
  const filter = document.getElementById("filter");
  const only = document.getElementById("only");
  const shown = document.getElementById("shown");
  const detailOf = (row) => row.nextElementSibling;

  // open shows a row's detail with one kernel's side marked; null closes it.
  function open(row, kernel) {
    const detail = detailOf(row);
    detail.hidden = kernel === null;
    for (const b of row.querySelectorAll("button.cell"))
      b.setAttribute("aria-expanded", String(b.dataset.kernel === kernel));
    for (const s of detail.querySelectorAll(".side"))
      s.classList.toggle("chosen", s.dataset.kernel === kernel);
  }

  function apply() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const row of rows) {
      const on = words.every((w) => row.dataset.search.includes(w)) && (!only.checked || "notable" in row.dataset);
      row.hidden = !on;
      if (on) n++; else open(row, null);
    }
    for (const body of document.querySelectorAll(".matrix > tbody"))
      body.hidden = ![...body.querySelectorAll("tr.row")].some((r) => !r.hidden);
    shown.textContent = n === rows.length ? n + " scenarios" : n + " of " + rows.length + " scenarios";
  }

  // A link to #scenario opens it, whatever the filter hides.
  function follow() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { /* a stray % in the address: take it as it is */ }
    const row = rows.find((r) => r.dataset.id === id);
    if (!row) return;
    if (row.hidden) { filter.value = ""; only.checked = false; apply(); }
    const first = row.querySelector("button.cell");
    open(row, first ? first.dataset.kernel : "");
    if (first) first.focus({ preventScroll: true });
    row.scrollIntoView({ block: "start" });
  }

  document.addEventListener("click", (e) => {
    const b = e.target.closest("button.cell");
    if (b) open(b.closest("tr"), b.getAttribute("aria-expanded") === "true" ? null : b.dataset.kernel);
    const a = e.target.closest('a[href^="#"]');
    if (a && a.hash === location.hash) follow();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key !== "Escape") return;
    const detail = e.target.closest("tr.detail");
    const row = detail ? detail.previousElementSibling : e.target.closest("tr.row");
    if (!row || detailOf(row).hidden) return;
    const b = row.querySelector('button.cell[aria-expanded="true"]');
    open(row, null);
    if (b) b.focus();
  });
  filter.addEventListener("input", apply);
  only.addEventListener("change", apply);
  filter.form.addEventListener("submit", (e) => e.preventDefault());
  window.addEventListener("hashchange", follow);
  apply();
  follow();
})();
