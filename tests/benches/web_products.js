// Times kernels on WebGPU; web_products.rs sends them. Every word of every input is 0x2E662E66: two halves near 0.1, or a tiny
// normal f32, so that no format decodes to what is slow to compute with (denormal numbers, NaN).
const WORD = 0x2e662e66;

async function open() {
  const adapter = await navigator.gpu.requestAdapter();
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  return adapter.requestDevice({ requiredLimits: { maxBufferSize, maxStorageBufferBindingSize } });
}

function buffer(device, words, usage) {
  const made = device.createBuffer({ size: 4 * words.length, usage, mappedAtCreation: true });
  new Uint32Array(made.getMappedRange()).set(words);
  made.unmap();
  return made;
}

async function median(run) {
  await run();
  const begun = performance.now();
  const times = [];
  while (times.length < 3 || (times.length < 15 && performance.now() - begun < 1000)) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  return times[times.length >> 1];
}

// Seconds of one run. Several are handed over at a time, as in training, so that the way to the GPU does not count.
window.seconds = async (kernel) => {
  window.device ??= await open();
  const { device } = window;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code: kernel.wgsl });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: "main" } });
  const filled = (length) => buffer(device, new Uint32Array(length).fill(WORD), GPUBufferUsage.STORAGE);
  const buffers = [...kernel.inputs, ...kernel.outputs].map(filled);
  buffers.push(buffer(device, kernel.info, GPUBufferUsage.UNIFORM));
  const entries = buffers.map((held, binding) => ({ binding, resource: { buffer: held } }));
  const bindings = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const repeat = (times) => {
    const encoder = device.createCommandEncoder();
    for (let i = 0; i < times; i++) {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(...kernel.workgroups);
      pass.end();
    }
    device.queue.submit([encoder.finish()]);
    return device.queue.onSubmittedWorkDone();
  };
  const alone = await median(() => repeat(1));
  const repeats = Math.floor(Math.min(Math.max(50 / alone, 1), 200));
  const time = (await median(() => repeat(repeats))) / repeats;
  buffers.forEach((held) => held.destroy());
  const error = await device.popErrorScope();
  if (error) {
    throw new Error(`${kernel.key}: ${error.message}`);
  }
  return time / 1000;
};
