// The filter.  The page is complete without it.  No less-than sign and no ampersand here: the page is XML, too.
"use strict";
(function () {
  const form = document.getElementById("filter");
  const findings = Array.from(document.querySelectorAll(".finding"));
  const details = Array.from(document.querySelectorAll("details"));

  addEventListener("beforeprint", function () { for (const d of details) { d.open = true; } });
  if (form === null) { return; }

  const words = document.getElementById("words");
  const selects = { object: document.getElementById("object"), kind: document.getElementById("kind"), program: document.getElementById("program") };
  const rows = findings.map(function (element) {
    const object = element.closest(".object").dataset.object;
    return { element: element, text: null, object: object, kind: element.dataset.kind, program: element.dataset.program };
  });

  function fill(name) {
    for (const value of Array.from(new Set(rows.map(function (row) { return row[name]; }))).sort()) {
      selects[name].append(new Option(value.slice(0, 60), value));
    }
  }

  function matches(row, wanted) {
    for (const name of Object.keys(selects)) {
      if (selects[name].value !== "") {
        if (selects[name].value !== row[name]) { return false; }
      }
    }
    if (row.text === null) { row.text = (row.object + " " + row.element.textContent).toLowerCase(); }
    return wanted.every(function (word) { return row.text.includes(word); });
  }

  function show() {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const shown = matches(row, wanted);
      row.element.hidden = !shown;
      count += shown ? 1 : 0;
    }
    for (const group of document.querySelectorAll(".caller, .object")) {
      group.hidden = group.querySelector(".finding:not([hidden])") === null;
    }
    document.getElementById("count").textContent = count + " of " + rows.length + " shown";
  }

  function fold(open) {
    for (const d of details) {
      if (d.closest(".object") !== null) { d.open = open; }
    }
  }

  // A link to a finding that is filtered out shows all again; #find=WORDS fills the filter in.
  function follow() {
    const at = decodeURIComponent(location.hash.slice(1));
    if (at.startsWith("find=")) {
      words.value = at.slice(5);
      show();
      return;
    }
    const target = document.getElementById(at);
    if (target === null) { return; }
    if (target.closest("[hidden]") !== null) {
      form.reset();
      show();
    }
    target.scrollIntoView();
  }

  Object.keys(selects).forEach(fill);
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  document.getElementById("unfold").addEventListener("click", function () { fold(true); });
  document.getElementById("fold").addEventListener("click", function () { fold(false); });
  addEventListener("hashchange", follow);
  show();
  follow();
})();
