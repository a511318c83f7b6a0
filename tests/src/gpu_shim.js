// Runs in the page's worker before engine.js (tests/src/gpu_shim.rs): takes features and limits from the adapter, counts what is
// asked of WebGPU, and makes the device fail on request. A test talks to it over a channel, between two steps of a run.
if (self.GPUAdapter) {
  const { hides_features: hidesFeatures, lowest_limits: lowestLimits, refused, memory_bytes: memoryBytes } = SHIM;
  // The defaults of the WebGPU specification, which every adapter has.
  const LOWEST = {
    maxBindGroups: 4,
    maxBindGroupsPlusVertexBuffers: 24,
    maxBindingsPerBindGroup: 1000,
    maxStorageBuffersPerShaderStage: 8,
    maxUniformBuffersPerShaderStage: 12,
    maxUniformBufferBindingSize: 65_536,
    maxStorageBufferBindingSize: 134_217_728,
    minUniformBufferOffsetAlignment: 256,
    minStorageBufferOffsetAlignment: 256,
    maxBufferSize: 268_435_456,
    maxComputeWorkgroupStorageSize: 16_384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    maxComputeWorkgroupSizeZ: 64,
    maxComputeWorkgroupsPerDimension: 65_535,
  };
  const counts = {
    launches: 0,
    submits: 0,
    maps: 0,
    pipelines: 0,
    bind_groups: 0,
    bytes_written: 0,
    buffers_created: 0,
    bytes_created: 0,
    buffers_destroyed: 0,
    bytes_destroyed: 0,
  };
  // The counts between one map and the next, a training step each where nothing else reads.
  const between = [];
  let seen = { ...counts };
  let device = null;
  let silent = false;

  const getter = (type, name, change) => {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, name);
    const changed = function () {
      return change(get.call(this));
    };
    Object.defineProperty(type.prototype, name, { configurable: true, get: changed });
  };
  const method = (type, name, around) => {
    const original = type.prototype[name];
    type.prototype[name] = function (...given) {
      return around.call(this, original, given);
    };
  };
  const counted = (type, name, note) =>
    method(type, name, function (original, given) {
      note.call(this, ...given);
      return original.apply(this, given);
    });

  if (hidesFeatures) getter(GPUAdapter, "features", () => new Set());
  if (lowestLimits) {
    getter(GPUAdapter, "limits", (limits) => {
      const lowered = {};
      for (const name of Object.keys(Object.getOwnPropertyDescriptors(GPUSupportedLimits.prototype))) {
        if (typeof limits[name] === "number") lowered[name] = LOWEST[name] ?? limits[name];
      }
      return lowered;
    });
  }
  // Workers come and go; what they count lies in the page's cache.
  method(GPU, "requestAdapter", async function (original, given) {
    const cache = await caches.open("lorakeet-gpu-shim");
    const before = await cache.match("/requests");
    const request = 1 + (before ? await before.json() : 0);
    await cache.put("/requests", new Response(JSON.stringify(request)));
    return refused.includes(request) ? null : original.apply(this, given);
  });
  method(GPUAdapter, "requestDevice", async function (original, given) {
    device = await original.apply(this, given);
    return device;
  });

  counted(GPUComputePassEncoder, "dispatchWorkgroups", () => (counts.launches += 1));
  counted(GPUDevice, "createComputePipeline", () => (counts.pipelines += 1));
  counted(GPUDevice, "createBindGroup", () => (counts.bind_groups += 1));
  // What was made and not destroyed, and the most of it since the last map; what the collector found does not count as gone.
  const alive = new Map();
  let aliveBytes = 0;
  let mostBytes = 0;
  let lacksMemory = false;
  method(GPUDevice, "createBuffer", function (original, [descriptor]) {
    const { size } = descriptor;
    if (aliveBytes + size > (memoryBytes ?? Infinity)) {
      lacksMemory = true;
      return original.call(this, { ...descriptor, size: 16 });
    }
    const buffer = original.call(this, descriptor);
    counts.buffers_created += 1;
    counts.bytes_created += size;
    alive.set(buffer, size);
    aliveBytes += size;
    mostBytes = Math.max(mostBytes, aliveBytes);
    return buffer;
  });
  method(GPUBuffer, "destroy", function (original, given) {
    const size = alive.get(this);
    if (size !== undefined) {
      counts.buffers_destroyed += 1;
      counts.bytes_destroyed += size;
      alive.delete(this);
      aliveBytes -= size;
    }
    return original.apply(this, given);
  });
  method(GPUDevice, "popErrorScope", async function (original, given) {
    const lacked = lacksMemory;
    lacksMemory = false;
    const error = await original.apply(this, given);
    return lacked ? new GPUOutOfMemoryError("a fake lack of memory") : error;
  });
  counted(GPUQueue, "submit", () => (counts.submits += 1));
  let mostWritten = 0;
  counted(GPUQueue, "writeBuffer", (_buffer, _offset, data, _from, size) => {
    const bytes = size ?? data.byteLength;
    counts.bytes_written += bytes;
    mostWritten = Math.max(mostWritten, bytes);
  });
  const never = new Promise(() => {});
  method(GPUBuffer, "mapAsync", function (original, given) {
    counts.maps += 1;
    between.push({
      ...Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count - seen[name]])),
      most_bytes: mostBytes,
      most_written: mostWritten,
    });
    mostWritten = 0;
    seen = { ...counts };
    mostBytes = aliveBytes;
    return silent ? never : original.apply(this, given);
  });
  method(GPUQueue, "onSubmittedWorkDone", function (original, given) {
    return silent ? never : original.apply(this, given);
  });

  // Long waits of a worker whose GPU is silent pass at once.
  const { setTimeout } = self;
  const now = performance.now.bind(performance);
  let skipped = 0;
  performance.now = () => now() + skipped;
  self.setTimeout = (call, wait, ...given) => {
    if (!silent || wait < 30_000) return setTimeout(call, wait, ...given);
    const passed = () => {
      skipped += wait;
      call(...given);
    };
    return setTimeout(passed, 100);
  };

  const fault = (error) => device.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error, cancelable: true }));
  const faults = {
    validation: () => fault(new GPUValidationError("a fake validation error")),
    memory: () => fault(new GPUOutOfMemoryError("a fake lack of memory")),
    internal: () => fault(new GPUInternalError("a fake internal error")),
    destroyed: () => device.destroy(),
    silent: () => (silent = true),
  };
  const channel = new BroadcastChannel("lorakeet-gpu-shim");
  channel.onmessage = ({ data }) => {
    faults[data]?.();
    channel.postMessage({
      counts: { ...counts, most_bytes: aliveBytes, most_written: mostWritten },
      between,
      features: device && [...device.features],
      limits: device && Object.fromEntries(Object.keys(LOWEST).map((name) => [name, device.limits[name]])),
    });
  };
}
