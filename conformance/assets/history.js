"use strict";
// Zoom, hover and keys for the pictures of one checked history. Without it they can be scrolled,
// and the browser shows what is known of a call when the pointer rests on it.
(() => {
  const tip = document.getElementById("tip");
  document.getElementById("keys").hidden = false;

  const place = (x, y) => {
    const { offsetWidth: width, offsetHeight: height } = tip;
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
    const below = y + 16 + height < innerHeight;
    tip.style.top = `${below ? y + 16 : Math.max(8, y - height - 10)}px`;
  };
  const show = (operation, x, y) => {
    const lines = operation.dataset.tip.split("\n").map((line, i) => {
      const element = document.createElement(i === 0 ? "b" : "span");
      element.textContent = line;
      element.style.display = "block";
      return element;
    });
    tip.replaceChildren(...lines);
    tip.hidden = false;
    place(x, y);
    const message = operation.dataset.message;
    const svg = operation.ownerSVGElement;
    for (const other of svg.querySelectorAll("g.same")) other.classList.remove("same");
    if (!message) return;
    for (const other of svg.querySelectorAll("g.operation")) {
      if (other !== operation && other.dataset.message === message) other.classList.add("same");
    }
  };
  const hide = (svg) => {
    tip.hidden = true;
    for (const other of svg.querySelectorAll("g.same")) other.classList.remove("same");
  };

  const viewer = (frame) => {
    const box = frame.querySelector(".scroll");
    const svg = box.querySelector("svg");
    const size = svg.viewBox.baseVal;
    let zoom = 1;
    const operations = [...svg.querySelectorAll("g.operation")];
    for (const operation of operations) {
      const title = operation.querySelector("title");
      operation.dataset.tip = title.textContent;
      operation.setAttribute("aria-label", title.textContent.replaceAll("\n", ", "));
      operation.setAttribute("tabindex", "-1");
      title.remove();
      operation.addEventListener("pointermove", (e) => show(operation, e.clientX, e.clientY));
      operation.addEventListener("pointerleave", () => hide(svg));
      operation.addEventListener("blur", () => hide(svg));
      operation.addEventListener("focus", () => {
        const bar = operation.querySelector("rect").getBoundingClientRect();
        show(operation, bar.right, Math.min(bar.top + 20, innerHeight / 2));
      });
    }
    // What is at this place of the frame stays there.
    const zoomTo = (to, x = box.clientWidth / 2, y = box.clientHeight / 2) => {
      to = Math.min(4, Math.max(0.1, to));
      const left = (box.scrollLeft + x) * to / zoom - x;
      const top = (box.scrollTop + y) * to / zoom - y;
      zoom = to;
      svg.setAttribute("width", size.width * zoom);
      svg.setAttribute("height", size.height * zoom);
      box.scrollTo(left, top);
    };
    const fit = () => zoomTo(Math.min(box.clientWidth / size.width, innerHeight * 0.8 / size.height));
    const go = (operation) => {
      if (!operation) return;
      operation.focus({ preventScroll: true });
      operation.querySelector("rect").scrollIntoView({ block: "nearest", inline: "nearest" });
      operation.dispatchEvent(new Event("focus"));
    };
    const wrong = () => go(svg.querySelector("g.operation.wrong") ?? svg.querySelector("g.operation.proof"));
    const step = (by) => {
      const at = operations.indexOf(document.activeElement);
      go(operations[at < 0 ? 0 : Math.min(operations.length - 1, Math.max(0, at + by))]);
    };
    const actions = {
      in: () => zoomTo(zoom * 1.25), out: () => zoomTo(zoom / 1.25), fit, whole: () => zoomTo(1), wrong,
    };
    const tools = frame.querySelector(".tools");
    tools.hidden = false;
    tools.querySelector("[data-do=wrong]").hidden = !svg.querySelector("g.wrong, g.proof");
    tools.addEventListener("click", (e) => actions[e.target.dataset.do]?.());
    const keys = { "+": actions.in, "=": actions.in, "-": actions.out, "0": fit, n: () => step(1), p: () => step(-1), w: wrong };
    frame.addEventListener("keydown", (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.key === "Escape") hide(svg);
      const action = keys[e.key];
      if (!action) return;
      e.preventDefault();
      action();
    });
    box.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const at = box.getBoundingClientRect();
      zoomTo(zoom * Math.exp(-e.deltaY / 400), e.clientX - at.left, e.clientY - at.top);
    }, { passive: false });
    let from = null;
    box.addEventListener("pointerdown", (e) => {
      if (e.button !== 0 || e.pointerType === "touch") return;
      from = { x: e.clientX + box.scrollLeft, y: e.clientY + box.scrollTop };
      box.setPointerCapture(e.pointerId);
      box.classList.add("dragged");
    });
    box.addEventListener("pointermove", (e) => {
      if (from) box.scrollTo(from.x - e.clientX, from.y - e.clientY);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      box.addEventListener(end, () => { from = null; box.classList.remove("dragged"); });
    }
    // What is wrong is in sight from the beginning.
    const first = svg.querySelector("g.operation.wrong rect") ?? svg.querySelector("text.frontier");
    if (first) {
      const at = first.getBoundingClientRect();
      const frame = box.getBoundingClientRect();
      box.scrollTop = Math.max(0, at.bottom - frame.top - box.clientHeight * 0.7);
    }
    return wrong;
  };
  const all = [...document.querySelectorAll(".viewer")].map(viewer);
  // Wherever the focus is, `w` shows what is wrong.
  document.addEventListener("keydown", (e) => {
    if (e.key === "w" && e.target === document.body && all.length > 0) all[0]();
  });
})();
