//! The software Vulkan driver as a GPU with fewer features and lower limits, for [`lorakeet_core::device::adopt`].

use crate::golden::block_on;
use burn::tensor::wgpu::{WgpuSetup, wgpu};

/// The first software adapter, opened with the features and limits that `choose` names; of the features, none that are
/// experimental.
///
/// # Panics
/// If there is no software adapter, or it does not have them.
pub fn open(choose: impl FnOnce(&wgpu::Adapter) -> (wgpu::Features, wgpu::Limits)) -> WgpuSetup {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapters = block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let adapter = adapters
        .into_iter()
        .find(|adapter| adapter.get_info().device_type == wgpu::DeviceType::Cpu)
        .expect("a software Vulkan driver");
    let (features, required_limits) = choose(&adapter);
    let descriptor = wgpu::DeviceDescriptor {
        required_features: features & !wgpu::Features::all_experimental_mask(),
        required_limits,
        ..Default::default()
    };
    let (device, queue) = block_on(adapter.request_device(&descriptor)).expect("a device");
    let backend = adapter.get_info().backend;
    WgpuSetup {
        instance,
        adapter,
        device,
        queue,
        backend,
    }
}
