
// Measures every frame, and leaves what was seen in the document.
const frames = [...document.querySelectorAll("iframe")];

// Errors of the page and requests that its policy has stopped, from the beginning on.
for (const frame of frames) {
  frame.errors = [];
  const listen = () => {
    frame.contentWindow.addEventListener("error", (e) => frame.errors.push(e.message));
    frame.contentDocument.addEventListener("securitypolicyviolation",
      (e) => frame.errors.push(e.violatedDirective));
  };
  listen();
}
window.addEventListener("load", async () => {
  const seen = [];
  for (const frame of frames) seen.push(await measure(frame));
  const pre = document.createElement("pre");
  pre.id = "measured";
  pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
});
