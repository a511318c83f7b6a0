// The bench's worker: its program (app/src/bin/bench.rs) reads from the worker's name what to measure.
import "./count.js";
import "./webgpu.js";
import start from "./bench.js";

try {
  // webgpu.js finds there which buffers the engine holds.
  self.engineExports = await start();
} catch (error) {
  self.postMessage(`the bench could not be started: ${error}`);
}
