// Filters, panels and keys. The page is complete without them; text only ever enters it as text.
"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  const table = by("cells");
  const rows = all("tr[data-rule]", table);
  const heads = all("thead th.link", table);
  const cellsOf = (row) => all("td", row);

  // Filters: families hide rows, crates hide columns, verdicts dim cells and hide what is left
  // without any.
  const chips = all(".chip[data-verdict]");
  const attention = ["fail", "hang", "crash", "broken", "deviates", "inconclusive"];

  function filter() {
    const family = by("filter-family").value;
    const crate = by("filter-crate").value;
    const words = by("filter-text").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(chips.filter((c) => c.ariaPressed === "true").map((c) => c.dataset.verdict));
    const columns = heads.map(() => false);
    let any = false;
    for (const row of rows) {
      let shown = false;
      const inFamily = !family || row.parentElement.dataset.family === family;
      cellsOf(row).forEach((cell, i) => {
        const name = `${cell.dataset.link} ${row.dataset.rule}`.toLowerCase();
        const fits = (!crate || heads[i].dataset.crate === crate)
          && words.every((word) => name.includes(word));
        const verdict = wanted.size === 0
          || wanted.has("known" in cell.dataset ? "known" : cell.dataset.verdict);
        cell.classList.toggle("dim", fits && !verdict);
        cell.dataset.fits = fits ? "1" : "";
        if (inFamily && fits && verdict) {
          columns[i] = true;
          shown = true;
        }
      });
      row.hidden = !shown;
      any ||= shown;
    }
    // The line before the first column of a crate moves with what is shown.
    let before = null;
    const first = heads.map((head, i) => {
      if (!columns[i]) return false;
      const begins = head.dataset.crate !== before;
      before = head.dataset.crate;
      return begins;
    });
    heads.forEach((head, i) => {
      head.hidden = !columns[i];
      head.classList.toggle("first", first[i]);
    });
    for (const row of rows) cellsOf(row).forEach((cell, i) => {
      cell.hidden = !columns[i];
      cell.classList.toggle("first", first[i]);
      if (!cell.dataset.fits) cell.classList.add("dim");
    });
    for (const body of table.tBodies) {
      body.hidden = all("tr[data-rule]", body).every((row) => row.hidden);
      const filler = body.querySelector("tr.family td");
      filler.colSpan = Math.max(1, columns.filter(Boolean).length);
    }
    for (const card of all(".card, .claims tbody tr")) {
      card.hidden = Boolean(crate) && card.dataset.crate !== crate;
    }
    by("matrix-none").hidden = any;
    keepFocusable();
  }

  for (const chip of chips) chip.addEventListener("click", () => {
    chip.ariaPressed = chip.ariaPressed === "true" ? "false" : "true";
    filter();
  });
  by("filter-attention").addEventListener("click", () => {
    for (const chip of chips) chip.ariaPressed = String(attention.includes(chip.dataset.verdict));
    filter();
  });
  by("filters").addEventListener("input", filter);
  by("filters").addEventListener("submit", (event) => event.preventDefault());
  by("filters").addEventListener("reset", () => {
    for (const chip of chips) chip.ariaPressed = "false";
    // The fields are empty only after the event.
    setTimeout(filter);
  });

  // One cell of the grid is in the order of the Tab key; the arrows move it.
  const shownRows = () => rows.filter((row) => !row.hidden);
  const shownCells = (row) => cellsOf(row).filter((cell) => !cell.hidden);
  let current = null;

  function keepFocusable() {
    if (current && !current.hidden && !current.parentElement.hidden) return;
    if (current) current.tabIndex = -1;
    const row = shownRows()[0];
    current = row ? shownCells(row)[0] : null;
    if (current) current.tabIndex = 0;
  }

  function focus(cell) {
    if (!cell) return;
    if (current) current.tabIndex = -1;
    current = cell;
    cell.tabIndex = 0;
    cell.focus();
    // The header and the first column lie above the cells that scroll below them.
    const box = table.parentElement.getBoundingClientRect();
    const at = cell.getBoundingClientRect();
    const left = box.left + table.tHead.querySelector(".corner").offsetWidth + 4;
    const top = box.top + table.tHead.offsetHeight + 4;
    if (at.left < left) table.parentElement.scrollLeft -= left - at.left;
    if (at.top < top) table.parentElement.scrollTop -= top - at.top;
  }

  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td.cell");
    if (!cell || event.altKey || event.metaKey) return;
    const row = cell.parentElement;
    const across = shownCells(row);
    const down = shownRows();
    const x = across.indexOf(cell);
    const y = down.indexOf(row);
    const at = (line, place) => {
      const target = down[Math.min(Math.max(line, 0), down.length - 1)];
      const cells = shownCells(target);
      return cells[Math.min(Math.max(place, 0), cells.length - 1)];
    };
    const moves = {
      ArrowRight: () => at(y, x + 1),
      ArrowLeft: () => at(y, x - 1),
      ArrowDown: () => at(y + 1, x),
      ArrowUp: () => at(y - 1, x),
      PageDown: () => at(y + 10, x),
      PageUp: () => at(y - 10, x),
      Home: () => at(event.ctrlKey ? 0 : y, 0),
      End: () => at(event.ctrlKey ? down.length : y, across.length),
    };
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(cell);
    } else if (moves[event.key]) {
      event.preventDefault();
      focus(moves[event.key]());
    }
  });
  table.addEventListener("click", (event) => {
    const cell = event.target.closest("td.cell");
    if (!cell) return;
    focus(cell);
    open(cell);
  });

  // The panel shows the cell's article, or, for cells without one, what the cell itself knows.
  const panel = by("panel");

  // A cell that nobody asked for has no verdict to tell.
  const seen = ({ dataset }) => (dataset.verdict === "blank" ? "" : `${dataset.verdict}: `) + dataset.why;

  function open(cell) {
    hideTip();
    const rule = cell.parentElement.dataset.rule;
    const head = cell.parentElement.querySelector("th");
    const title = make("h3");
    title.append(make("span", cell.textContent, `sign ${cell.dataset.verdict}${"known" in cell.dataset ? " known" : ""}`),
      make("span", cell.dataset.link), make("code", rule));
    const article = by(cell.dataset.detail);
    const parts = [title];
    if (article) {
      parts.push(...[...article.querySelector(".body").childNodes].map((n) => n.cloneNode(true)));
    } else {
      const sources = by(`rule:${rule}`)?.querySelector(".sources")?.cloneNode(true);
      const says = make("p", head.dataset.says + " ");
      says.append(make("span", head.dataset.force, "tag"));
      parts.push(make("h4", "The rule"), says);
      if (sources) parts.push(sources);
      parts.push(make("h4", "What was seen"), make("p", seen(cell)));
      if (cell.dataset.observed) parts.push(make("h4", "Observed"), make("p", cell.dataset.observed));
    }
    by("panel-body").replaceChildren(...parts);
    panel.showModal();
    panel.scrollTop = 0;
  }
  panel.addEventListener("click", (event) => {
    // A click beside the panel lands on the dialog itself; a link leads out of it.
    if (event.target === panel || event.target.closest("a")) panel.close();
  });
  panel.addEventListener("close", () => current?.focus());

  // A link to a finding opens it.
  function openTarget() {
    const name = decodeURIComponent(location.hash.slice(1));
    const target = name && by(name);
    if (!target) return;
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", openTarget);

  // A page opened from a disk knows where its replay files are.
  if (location.protocol === "file:") {
    const folder = decodeURIComponent(location.pathname).replace(/[^/]*$/, "");
    for (const code of all("code[data-replay]")) {
      const path = folder + code.dataset.replay;
      const quoted = /^[\w\-./@:+,=%]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
      code.textContent = `ipc-conform replay --run ${quoted}`;
    }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      // No clipboard here: select it, so that the user's own keys copy it.
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  // Hints for cells and rules, on hover and on focus.
  const tip = by("tip");
  const hideTip = () => { tip.hidden = true; for (const h of heads) h.classList.remove("lit"); };

  function showTip(target) {
    const lines = [];
    if (target.matches("td.cell")) {
      const place = cellsOf(target.parentElement).indexOf(target);
      heads.forEach((head, i) => head.classList.toggle("lit", i === place));
      lines.push(make("b", target.dataset.link), seen(target));
      lines.push(make("small", target.parentElement.dataset.rule));
    } else {
      lines.push(make("b", target.parentElement.dataset.rule), target.dataset.says);
      lines.push(make("small", `${target.dataset.force}; rests on ${target.dataset.source}`));
    }
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const at = target.getBoundingClientRect();
    const width = tip.offsetWidth;
    const height = tip.offsetHeight;
    const below = at.bottom + 8 + height < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(at.left + 12, innerWidth - width - 8))}px`;
    tip.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - height - 6)}px`;
  }
  const hinted = (event) => event.target.closest?.("td.cell, th[data-says]");
  for (const kind of ["mouseover", "focusin"]) table.addEventListener(kind, (event) => {
    const target = hinted(event);
    if (target) showTip(target); else hideTip();
  });
  for (const kind of ["mouseleave", "focusout"]) table.addEventListener(kind, hideTip);
  table.parentElement.addEventListener("scroll", hideTip);

  keepFocusable();
  openTarget();
})();
