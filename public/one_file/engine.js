"use strict";
// The engine's worker as a classic script: xtask/src/one_file.rs puts the JavaScript of its WebAssembly, webgpu.js and
// engine.js in their places.
// Everything comes in messages, as bytes: first the WebAssembly, then commands with their files.

const glue = (() => {
/* glue */
})();

// A file in memory. Its own blob is empty, for WebKit reads none in a worker of a `file:` page.
class HeldFile extends File {
  constructor({ name, bytes }) {
    super([], name);
    this.bytes = bytes;
  }
  get size() {
    return this.bytes.byteLength;
  }
  slice(start, end) {
    return new HeldFile({ name: this.name, bytes: this.bytes.slice(start, end) });
  }
  async arrayBuffer() {
    return this.bytes;
  }
}

{
/* webgpu */
}

const start = async (program) => {
/* engine */
};

// Listens before the engine does.
self.addEventListener("message", ({ data }) => {
  if (data.program) {
    const headers = { "content-type": "application/wasm", "content-length": data.program.byteLength };
    start(new Response(data.program, { headers }));
  } else if (data.files) {
    data.files = data.files.map((file) => new HeldFile(file));
  }
});
