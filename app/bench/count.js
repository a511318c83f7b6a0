// Counts what the bench asks of WebGPU (bench/src/gpu_work.rs); its program takes the counts between two steps.
const counts = { launches: 0, bind_groups: 0, submits: 0, maps: 0, bytes_written: 0, waited_ms: 0 };

const around = (type, name, call) => {
  const original = type.prototype[name];
  type.prototype[name] = function (...given) {
    return call.call(this, original, given);
  };
};
const counted = (type, name, note) =>
  around(type, name, function (original, given) {
    note(...given);
    return original.apply(this, given);
  });

if (self.GPUAdapter) {
  counted(GPUComputePassEncoder, "dispatchWorkgroups", () => (counts.launches += 1));
  counted(GPUDevice, "createBindGroup", () => (counts.bind_groups += 1));
  counted(GPUQueue, "submit", () => (counts.submits += 1));
  counted(GPUQueue, "writeBuffer", (_buffer, _offset, data, _from, size) => (counts.bytes_written += size ?? data.byteLength));
  around(GPUBuffer, "mapAsync", async function (original, given) {
    counts.maps += 1;
    const start = performance.now();
    await original.apply(this, given);
    counts.waited_ms += performance.now() - start;
  });
}

self.gpuCounts = () => JSON.stringify({ ...counts, now_ms: performance.now() });
