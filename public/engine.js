// The worker's first lines: load the engine's WebAssembly with progress, start it, and tell the page if that fails or if the
// engine breaks in a way that Rust cannot report. Everything else is app/src/bin/worker/main.rs.
const post = (event, fatal) => self.postMessage({ message: JSON.stringify(event), fatal });

// `key` is a message of i18n/src/messages/page.rs that has a place {error}.
const fail = (kind, key, error, file) => {
  const what = { key, fields: [["error", error]] };
  post({ type: "failed", kind, what, file: file ?? null, row: null, field: null, remedy: null }, true);
};

const said = (error) => (error && error.message ? error.message : String(error));

// WebAssembly traps surface here. A panic has said before what broke (worker.rs sets saidWhatBroke); an `unreachable` without
// a word is an allocation that failed, and a RangeError is one, too, unless the stack is full (Firefox: too much recursion).
const broke = (error) => {
  if (self.saidWhatBroke) return;
  const text = said(error);
  if (/call stack|too much recursion/i.test(text)) {
    return fail("internal", "page.NestedTooDeep", text);
  }
  const stopped = error instanceof WebAssembly.RuntimeError && /unreachable/i.test(text);
  if (stopped || error instanceof RangeError) {
    return fail("out_of_memory", "page.MemoryFull", text);
  }
  fail("internal", "page.BrokeOff", text);
};
self.addEventListener("error", (event) => broke(event.error ?? event.message));
self.addEventListener("unhandledrejection", (event) => broke(event.reason));

// Counts a copy of the response, so that the browser still compiles the original while it arrives.
const count = async (response) => {
  // With a content encoding the length is that of the packed bytes, which are not what the reader sees.
  const packed = response.headers.get("content-encoding");
  const total = packed ? 0 : Number(response.headers.get("content-length")) || 0;
  const reader = response.body.getReader();
  let done = 0;
  let reported = 0;
  for (;;) {
    const { done: end, value } = await reader.read();
    if (end) break;
    done += value.length;
    if (performance.now() - reported > 100) {
      reported = performance.now();
      post({ type: "progress", stage: "download", done, total });
    }
  }
  post({ type: "progress", stage: "download", done, total: done });
};

// Where files beside the page are fetched from; a worker's own address may be a blob's.
self.engineAddress = import.meta.url;

// What keeps runs; fetched when one is to be kept.
self.openShelf = async () => (await import("./shelf.js")).openShelf();

// What opens spreadsheets, Parquet files and archives: fetched when one was given, by a worker that ends when it is done.
self.openTable = (file) =>
  new Promise((done, failed) => {
    const worker = new Worker(new URL("./tables_worker.js", import.meta.url), { type: "module" });
    const end = (answer, value) => {
      worker.terminate();
      answer(value);
    };
    worker.onmessage = ({ data }) => (data.rows ? end(done, data.rows) : end(failed, data.error));
    // A script that could not be fetched is told by a plain event, which has no message.
    worker.onerror = (event) => {
      event.preventDefault();
      end(failed, event.message || "tables_worker.js");
    };
    worker.postMessage(file);
  });

// What asks a hub for a model; fetched when one was named.
self.askHub = async (...request) => (await import("./hub.js")).ask(...request);
self.letPass = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

try {
  const [engine, response] = await Promise.all([
    import("./worker.js"),
    fetch(new URL("./worker_bg.wasm", import.meta.url)),
    import("./webgpu.js"),
  ]);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  count(response.clone()).catch(() => {});
  // webgpu.js finds there which buffers the engine holds.
  self.engineExports = await engine.default({ module_or_path: response });
} catch (error) {
  fail("file", "page.CodeNotLoaded", said(error), "worker_bg.wasm");
}
