// Works the page of one checked history as a user would, and writes down what it saw.
"use strict";

async function measure(frame) {
  const doc = frame.contentDocument;
  const win = frame.contentWindow;
  const seen = { width: frame.clientWidth, errors: frame.errors };
  const all = (selector) => [...doc.querySelectorAll(selector)];
  const tip = doc.getElementById("tip");
  const told = () => (tip.hidden ? null : [...tip.children].map((line) => line.textContent));
  const key = (target, name) => target.dispatchEvent(
    new win.KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));

  seen.title = doc.querySelector("h1").textContent.trim();
  seen.shape = doc.querySelector(".tag.differ").textContent;
  const viewers = all(".viewer");
  seen.calls = viewers.map((v) => v.querySelectorAll("g.operation").length);
  seen.proof = viewers.map((v) => v.querySelectorAll("g.operation.proof").length);
  seen.wrong = viewers.map((v) => v.querySelectorAll("g.operation.wrong").length);
  seen.untitled = all("g.operation").every((o) => !o.querySelector("title") && o.ariaLabel);
  seen.pageFits = doc.documentElement.scrollWidth <= frame.clientWidth;

  // Every call is drawn: its bar is as long as it took, and the texts lie inside the picture.
  const viewer = viewers.at(-1);
  const svg = viewer.querySelector("svg");
  const inside = (e) => {
    const [a, b] = [e.getBoundingClientRect(), svg.getBoundingClientRect()];
    return a.width > 0 && a.height > 0 && a.left >= b.left - 1 && a.right <= b.right + 1
      && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
  };
  seen.drawn = [...svg.querySelectorAll("g.operation rect, g.operation text")].every(inside);

  // Hover tells all that is known of a call, and shows the other call on its message.
  const operations = [...svg.querySelectorAll("g.operation")];
  const wrong = svg.querySelector("g.operation.wrong");
  const pointer = (target, type) => target.dispatchEvent(
    new win.PointerEvent(type, { clientX: 100, clientY: 100, bubbles: true }));
  pointer(wrong, "pointermove");
  seen.hover = told();
  seen.same = [...svg.querySelectorAll("g.same")].map((o) => o.querySelector("text.op").textContent);
  const box = tip.getBoundingClientRect();
  seen.tipFits = box.left >= 0 && box.right <= frame.clientWidth;
  pointer(wrong, "pointerleave");
  seen.left = [told(), svg.querySelectorAll("g.same").length];

  // Zoom, by button, key and wheel.
  const press = (name) => viewer.querySelector(`[data-do=${name}]`).click();
  const width = () => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  const zoom = () => Math.round(width() * 1000) / 1000;
  const scroll = viewer.querySelector(".scroll");
  press("whole");
  seen.zoom = [zoom()];
  press("in");
  seen.zoom.push(zoom());
  press("out");
  seen.zoom.push(zoom());
  key(scroll, "+");
  seen.zoom.push(zoom());
  press("whole");
  const at = scroll.getBoundingClientRect();
  scroll.dispatchEvent(new win.WheelEvent("wheel", {
    deltaY: -400 * Math.log(2), ctrlKey: true, cancelable: true, clientX: at.left, clientY: at.top,
  }));
  seen.zoom.push(zoom());
  for (let i = 0; i < 30; i += 1) press("in");
  seen.zoom.push(zoom());
  press("fit");
  seen.fits = scroll.scrollWidth <= scroll.clientWidth + 1;
  press("whole");

  // Keys: the wrong call from anywhere, then the calls in their order.
  key(doc.body, "w");
  seen.byKey = told();
  viewer.querySelector("[data-do=wrong]").click();
  seen.byButton = [doc.activeElement === wrong, told()?.[0]];
  key(wrong, "p");
  seen.before = told()?.[0];
  key(doc.activeElement, "n");
  key(doc.activeElement, "n");
  seen.after = [told()?.[0], doc.activeElement === operations.at(-1)];
  key(doc.activeElement, "Escape");
  seen.escaped = told();
  return seen;
}
