// Keeps what a page with labs was told: events that bubble to the document, all that were dispatched, warnings, and how far
// things moved.
const NAMES = ["ready", "progress", "phase", "step", "predict", "lesson", "done", "error"];
window.told = [];
for (const name of NAMES) {
  document.addEventListener(`lorakeet-${name}`, ({ target, detail, composed }) => {
    told.push({ name, lab: target.id, detail, composed, at: performance.now() });
  });
}
window.dispatched = new Set();
const { dispatchEvent } = EventTarget.prototype;
EventTarget.prototype.dispatchEvent = function (event) {
  dispatched.add(event.type);
  return dispatchEvent.call(this, event);
};
// Each lab by its id, also while it is not in the page.
document.addEventListener("DOMContentLoaded", () => {
  for (const lab of document.querySelectorAll("lorakeet-lab")) window[lab.id] = lab;
});
window.warned = [];
const { warn } = console;
console.warn = (...words) => {
  warned.push(words.join(" "));
  warn.apply(console, words);
};
window.moved = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) moved += entry.value;
}).observe({ type: "layout-shift", buffered: true });
