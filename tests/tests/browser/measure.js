// Works the report as a user would, in frames of several widths, and writes down what it saw.
"use strict";
const pause = () => new Promise((done) => setTimeout(done, 30));

async function measure(frame) {
  const doc = frame.contentDocument;
  const win = frame.contentWindow;
  const seen = { width: frame.clientWidth, errors: frame.errors };
  const all = (selector) => [...doc.querySelectorAll(selector)];
  const by = (id) => doc.getElementById(id);
  const visible = (selector) => all(selector).filter((e) => e.getClientRects().length > 0);
  const key = (target, name, ctrlKey = false) => target.dispatchEvent(
    new win.KeyboardEvent("keydown", { key: name, ctrlKey, bubbles: true, cancelable: true }));

  seen.title = doc.title;
  seen.injected = all("img").length + (all("script").length - 1);
  const cells = all("#cells td.cell");
  seen.cells = cells.length;
  seen.pairs = new Set(cells.map((c) => `${c.dataset.link} ${c.parentElement.dataset.rule}`)).size;
  seen.heads = all("#cells thead th.link").length;
  seen.cards = all(".card").length;
  seen.families = all("#filter-family option").length;
  seen.findings = all(".finding").length;
  seen.pictures = all(".finding svg.lanes").length;
  seen.copy = all(".finding .command button.copy").length;
  seen.legend = all(".legend dt").length;
  seen.differ = all("#differ .tag.differ").map((t) => t.closest("tr").dataset.rule).sort();

  // Everything unfolded, so that what is hidden by default is measured, too.
  all("details").forEach((d) => { d.open = true; });
  const inScroller = (e) => e.closest(".scroll, pre, .skip") !== null && !e.matches(".scroll, pre");
  seen.overflow = all("body *")
    .filter((e) => e.getClientRects().length > 0 && !inScroller(e))
    .filter((e) => e.getBoundingClientRect().right > frame.clientWidth + 0.5)
    .map((e) => `${e.tagName}.${e.className} ${e.textContent.slice(0, 40)}`);
  if (doc.documentElement.scrollWidth > frame.clientWidth) seen.overflow.push("the page itself");
  const scroller = doc.querySelector(".scroll.matrix");
  seen.tableScrolls = scroller.scrollWidth > scroller.clientWidth;
  const name = doc.querySelector("#cells th[scope=row]");
  const left = name.getBoundingClientRect().left;
  scroller.scrollLeft = 150;
  seen.sticky = Math.abs(name.getBoundingClientRect().left - left) < 2;
  scroller.scrollLeft = 0;

  const rows = () => visible("#cells tr[data-rule]").length;
  const chip = (verdict) => doc.querySelector(`.chip[data-verdict=${verdict}]`);
  chip("crash").click();
  seen.crashShown = rows();
  chip("crash").click();
  const choose = (id, value) => {
    by(id).value = value;
    by(id).dispatchEvent(new win.Event("input", { bubbles: true }));
  };
  choose("filter-family", "delivery");
  choose("filter-family", "send");
  seen.familyShown = rows() - 1;
  choose("filter-family", "");
  choose("filter-crate", "crossbeam-channel");
  seen.crateShown = visible("#cells thead th.link").length;
  choose("filter-crate", "");
  choose("filter-text", "fifo");
  seen.textShown = rows();
  by("filter-reset").click();
  await pause();
  seen.reset = rows();

  seen.tabStops = all("#cells td[tabindex='0']").length;
  const first = doc.querySelector("#cells td[tabindex='0']");
  first.focus();
  key(first, "Home", true);
  key(doc.activeElement, "ArrowDown");
  key(doc.activeElement, "ArrowRight");
  const at = doc.activeElement;
  seen.moved = [at.parentElement.dataset.rule, at.dataset.link];
  key(at, "ArrowRight");
  key(doc.activeElement, "ArrowRight");
  const crash = doc.activeElement;
  key(crash, "Enter");
  const panel = by("panel");
  seen.opened = panel.open;
  seen.panel = panel.textContent;
  const box = panel.getBoundingClientRect();
  seen.panelFits = box.left >= 0 && box.right <= frame.clientWidth;
  panel.close();
  await pause();
  seen.focusBack = doc.activeElement === crash;
  return seen;
}
