// What the engine's GPU runtime does not expect of browsers, handled in the worker before it starts.

// Without timestamp queries the runtime would stop at its first tensor, although the engine never asks for times. An adapter
// that has none claims to have them, and they are taken out of what is asked of it.
const TIMESTAMPS = "timestamp-query";
// A GPU that has finished no submit for so long has hung. Software adapters take up to a minute for the submits of one sign.
const SILENCE_MS = 180_000;
// Submits between two signs of life.
const SUBMITS_A_SIGN = 4;

let lastSign = 0;
let submits = 0;

const sign = () => {
  lastSign = performance.now();
};

// The promise, or an error once the GPU has been silent for too long.
const answered = (promise) =>
  new Promise((resolve, reject) => {
    let timer;
    const look = () => {
      const left = lastSign + SILENCE_MS - performance.now();
      if (left > 0) timer = setTimeout(look, left);
      else reject(new DOMException("the GPU does not answer", "TimeoutError"));
    };
    sign();
    timer = setTimeout(look, SILENCE_MS);
    const settle = (end) => (value) => {
      clearTimeout(timer);
      sign();
      end(value);
    };
    promise.then(settle(resolve), settle(reject));
  });

// The runtime knows errors of validation and of memory, and panics at others.
const known = (error) =>
  self.GPUInternalError && error instanceof GPUInternalError
    ? new GPUValidationError(`internal error: ${error.message}`)
    : error;

// Buffers that were made and not destroyed. The runtime lets a buffer go by forgetting it, and the garbage collector, which
// does not know how much memory is behind it, may find it minutes later. What the engine does not forget stands in a table of
// its WebAssembly instance (engine.js puts its exports into self.engineExports).
const made = new Set();

const held = () => {
  const tables = Object.values(self.engineExports ?? {}).filter((one) => one instanceof WebAssembly.Table);
  const found = new Set();
  for (const table of tables) {
    // The other table is of functions.
    if (typeof table.get(1) === "function") continue;
    for (let i = 0; i < table.length; i += 1) {
      const value = table.get(i);
      if (value instanceof GPUBuffer) found.add(value);
    }
  }
  return found;
};

// Destroys the buffers that nobody holds. Nothing that uses one may be recorded and not submitted.
const destroyForgotten = () => {
  const kept = held();
  // Without one it is not known where the engine keeps them.
  if (kept.size === 0) return;
  for (const buffer of made) if (!kept.has(buffer)) buffer.destroy();
};

// Bind groups by what they bind. The runtime asks for one at each launch, and for its pipeline's layout before that; to make them
// is most of what a launch costs the browser, and a step binds what the steps before it bound.
const MOST_GROUPS = 4096;
// Those that were asked for lately, and before that. A group that nobody asks for, as one of a buffer that was destroyed, is forgotten
// with the older ones; a new buffer has a number of its own, so that it is never taken for another.
let groups = new Map();
let olderGroups = new Map();

const NUMBER = Symbol("number");
let numbered = 0;
const numberOf = (object) => (object[NUMBER] ??= numbered += 1);

// Two descriptors with the same key ask for the same group; none where something else than parts of buffers is bound.
const keyOf = ({ layout, entries }) => {
  let key = String(numberOf(layout));
  for (const { binding, resource } of entries) {
    const { buffer, offset = 0, size = "" } = resource;
    if (!buffer) return undefined;
    key += `,${binding}:${numberOf(buffer)}+${offset}:${size}`;
  }
  return key;
};

// The group of this key, made where there is none.
const groupOf = (key, make) => {
  let group = groups.get(key);
  if (group) return group;
  group = olderGroups.get(key) ?? make();
  if (groups.size >= MOST_GROUPS) {
    olderGroups = groups;
    groups = new Map();
  }
  groups.set(key, group);
  return group;
};

const LAYOUTS = Symbol("layouts");

const pretendTimestamps = (adapter) => {
  Object.defineProperty(adapter, "features", { value: new Set(adapter.features).add(TIMESTAMPS) });
  adapter.requestDevice = (descriptor) => {
    const requiredFeatures = descriptor.requiredFeatures.filter((name) => name !== TIMESTAMPS);
    return GPUAdapter.prototype.requestDevice.call(adapter, { ...descriptor, requiredFeatures });
  };
};

if (self.GPUAdapter) {
  const { requestAdapter } = GPU.prototype;
  GPU.prototype.requestAdapter = async function (options) {
    const adapter = await answered(requestAdapter.call(this, options));
    if (adapter && !adapter.features.has(TIMESTAMPS)) pretendTimestamps(adapter);
    return adapter;
  };

  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await answered(requestDevice.call(this, descriptor));
    device.addEventListener("uncapturederror", (event) => {
      const error = known(event.error);
      if (error === event.error) return;
      event.stopImmediatePropagation();
      device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error, cancelable: true }));
    });
    return device;
  };

  const { popErrorScope } = GPUDevice.prototype;
  GPUDevice.prototype.popErrorScope = async function () {
    return known(await popErrorScope.call(this));
  };

  const { submit } = GPUQueue.prototype;
  GPUQueue.prototype.submit = function (commands) {
    submit.call(this, commands);
    // Core's device/memory.rs submits nothing once it has submitted all and given memory back.
    if (commands.length === 0) destroyForgotten();
    submits += 1;
    if (submits % SUBMITS_A_SIGN === 0) this.onSubmittedWorkDone().then(sign, () => {});
  };

  const { createBuffer } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = createBuffer.call(this, descriptor);
    made.add(buffer);
    return buffer;
  };

  const { createBindGroup } = GPUDevice.prototype;
  GPUDevice.prototype.createBindGroup = function (descriptor) {
    const make = () => createBindGroup.call(this, descriptor);
    const key = keyOf(descriptor);
    return key === undefined ? make() : groupOf(key, make);
  };

  const { getBindGroupLayout } = GPUComputePipeline.prototype;
  GPUComputePipeline.prototype.getBindGroupLayout = function (index) {
    const layouts = (this[LAYOUTS] ??= []);
    return (layouts[index] ??= getBindGroupLayout.call(this, index));
  };

  const { destroy, mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.destroy = function () {
    made.delete(this);
    destroy.call(this);
  };
  GPUBuffer.prototype.mapAsync = function (...range) {
    return answered(mapAsync.apply(this, range));
  };
}
