//! Runs a kernel's text on a Vulkan driver, through wgpu alone.
#![allow(dead_code, reason = "tests and benches each use a part of it")]

use std::cell::RefCell;
use std::collections::HashMap;

use lorakeet_shaders::{Cut, Kernel, Tier};
use wgpu::util::DeviceExt;

/// A device of the software adapter.
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    // Compiled once a key, as the engine does; so a key that said too little would show.
    pipelines: RefCell<HashMap<String, wgpu::ComputePipeline>>,
    /// The adapter's name.
    pub name: String,
    /// What the engine would take it for, were it hardware.
    pub tier: Tier,
    /// Whether it is hardware.
    pub is_real: bool,
}

/// A kernel made ready: text compiled, buffers filled.
pub struct Launch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    outputs: Vec<wgpu::Buffer>,
    workgroups: [u32; 3],
    info: wgpu::Buffer,
}

impl Gpu {
    /// The first software Vulkan adapter; panics with the remedy where there is none.
    pub fn open() -> Self {
        Self::choose(false)
    }

    /// The first hardware adapter, else the first software one.
    pub fn open_best() -> Self {
        Self::choose(true)
    }

    fn choose(take_real: bool) -> Self {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = wgpu::Backends::VULKAN;
        let instance = wgpu::Instance::new(descriptor);
        let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        adapters.sort_by_key(is_software);
        let adapter = adapters
            .into_iter()
            .find(|adapter| is_software(adapter) || take_real)
            .expect(
                "no software Vulkan adapter: install mesa-vulkan-drivers (lavapipe), or name one in VK_ICD_FILENAMES",
            );
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            required_features: adapter.features() & (wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16),
            required_limits: adapter.limits(),
            ..Default::default()
        }))
        .expect("the software adapter refused a device");
        Self {
            device,
            queue,
            pipelines: RefCell::default(),
            name: adapter.get_info().name,
            tier: Tier::Gpu {
                subgroups: adapter.features().contains(wgpu::Features::SUBGROUP)
                    && adapter.get_info().subgroup_min_size >= 32,
                f16: adapter.features().contains(wgpu::Features::SHADER_F16),
            },
            is_real: !is_software(&adapter),
        }
    }

    fn compile(&self, key: &str, text: String) -> wgpu::ComputePipeline {
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(key),
            source: wgpu::ShaderSource::Wgsl(text.into()),
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(key),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        })
    }

    /// Compiles the text and uploads the inputs.
    pub fn prepare(&self, kernel: &dyn Kernel, tier: Tier, inputs: &[&[f32]]) -> Launch {
        use wgpu::BufferUsages as Usage;
        let pipeline = self
            .pipelines
            .borrow_mut()
            .entry(kernel.key(tier))
            .or_insert_with(|| self.compile(&kernel.key(tier), kernel.wgsl(tier)))
            .clone();
        let fill = |bytes: &[u8], usage| {
            self.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
                label: None,
                contents: bytes,
                usage,
            })
        };
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<_>>();
        let mut buffers: Vec<_> = inputs
            .iter()
            .map(|values| fill(&bytes(values), Usage::STORAGE))
            .collect();
        let outputs: Vec<_> = kernel
            .output_lens()
            .iter()
            // Not zeros: a kernel must write all of its outputs.
            .map(|&len| fill(&bytes(&vec![f32::NAN; len]), Usage::STORAGE | Usage::COPY_SRC))
            .collect();
        buffers.extend(outputs.iter().cloned());
        let info: Vec<u8> = kernel.info().iter().flat_map(|word| word.to_ne_bytes()).collect();
        let info = fill(&info, Usage::UNIFORM | Usage::COPY_DST);
        buffers.push(info.clone());
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        Launch {
            pipeline,
            bindings,
            outputs,
            workgroups: kernel.workgroups(tier),
            info,
        }
    }

    /// Runs a launch so many times, and waits for the end.
    pub fn repeat(&self, launch: &Launch, times: usize) {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for _ in 0..times {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&launch.pipeline);
            pass.set_bind_group(0, &launch.bindings, &[]);
            let [x, y, z] = launch.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        self.queue.submit([encoder.finish()]);
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .expect("the device was lost");
    }

    /// Runs a launch and reads its outputs back.
    pub fn run(&self, launch: &Launch) -> Vec<Vec<f32>> {
        self.dispatch(launch, launch.workgroups);
        self.read(launch)
    }

    /// Runs a launch some workgroups at a time, as `cut` says, and reads its outputs back.
    pub fn run_in_stretches(&self, launch: &Launch, cut: Cut, most: u64) -> Vec<Vec<f32>> {
        for stretch in cut.stretches(most) {
            let first = (stretch.start as u32).to_ne_bytes();
            self.queue.write_buffer(&launch.info, 4 * cut.word as u64, &first);
            self.dispatch(launch, [stretch.len() as u32, 1, 1]);
        }
        self.read(launch)
    }

    fn dispatch(&self, launch: &Launch, [x, y, z]: [u32; 3]) {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&launch.pipeline);
            pass.set_bind_group(0, &launch.bindings, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
        self.queue.submit([encoder.finish()]);
    }

    fn read(&self, launch: &Launch) -> Vec<Vec<f32>> {
        let mut encoder = self
            .device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let landings: Vec<_> = launch
            .outputs
            .iter()
            .map(|output| {
                let landing = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: None,
                    size: output.size(),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                encoder.copy_buffer_to_buffer(output, 0, &landing, 0, output.size());
                landing
            })
            .collect();
        self.queue.submit([encoder.finish()]);
        for landing in &landings {
            landing.map_async(wgpu::MapMode::Read, .., |result| {
                result.expect("a result could not be mapped")
            });
        }
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .expect("the device was lost");
        landings
            .iter()
            .map(|landing| {
                let view = landing.get_mapped_range(..).expect("a result could not be read");
                view.chunks_exact(4)
                    .map(|word| f32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
                    .collect()
            })
            .collect()
    }
}

fn is_software(adapter: &wgpu::Adapter) -> bool {
    adapter.get_info().device_type == wgpu::DeviceType::Cpu
}
