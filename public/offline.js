// Has the browser keep this page for use without a network (sw.js), once the page is there, and tells it of a newer version:
// `data-update` of the document is "waiting", or "elsewhere" where another tab keeps the newer version from being taken.
const UPDATE = "lorakeet-update";
const { documentElement } = document;
let isAsked = false;

function tell(state) {
  documentElement.dataset.update = state;
  dispatchEvent(new Event(UPDATE));
}

function take(worker) {
  const { port1, port2 } = new MessageChannel();
  // The newer worker may take over before its answer is here.
  isAsked = true;
  port1.onmessage = ({ data: isAlone }) => {
    isAsked = isAlone;
    if (!isAlone) tell("elsewhere");
  };
  worker.postMessage("take", [port2]);
}

// A first version is nothing new.
function look(registration) {
  if (registration.waiting && registration.active) tell("waiting");
}

async function keep() {
  const { serviceWorker } = navigator;
  const registration = await serviceWorker.register("./sw.js", { updateViaCache: "none" });
  look(registration);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => look(registration));
  });
  addEventListener("lorakeet-take-update", () => registration.waiting && take(registration.waiting));
  serviceWorker.addEventListener("controllerchange", () => {
    if (isAsked) location.reload();
  });
}

// Frames show a part of the page, with storage of their own where they have any.
if ("serviceWorker" in navigator && window === window.top) {
  const start = () => keep().catch((error) => console.info("This page cannot be kept for use without a network:", error));
  if (document.readyState === "complete") start();
  else addEventListener("load", start, { once: true });
}
