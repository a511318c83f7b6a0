//! The device that a run computes on: chosen once, asked for its limits here and nowhere else.
//!
//! A GPU comes through wgpu (WebGPU in a browser; Vulkan, Metal or DX12 natively); the CPU is burn's Flex, everywhere. What
//! the rest of the engine learns of an adapter is its [`Tier`] and its [`DeviceInfo`].
//!
//! What is known of the GPU is the process's, not a session's: burn keeps one runtime a device and process, its operations reach
//! the device by a handle that carries nothing else (so a launch has to find the tier here), and wgpu reports errors to a
//! callback that knows no session.

mod launches;
mod memory;
mod work;

pub use launches::{LaunchCount, compile_ahead, count_launches};
pub(crate) use launches::{compiled, compiles_ahead, note_compiled};
pub use memory::{ExpectedMemory, MemoryWatch, expect_memory, limit_pass_rows, reserved_bytes, watch_memory};
pub(crate) use memory::{Pass, make_room, make_room_for, note_memory, release, reserved_of_gpu, trim, try_memory};
pub use work::{assume_rate, longest_launch, most_operations, most_queued, read_every};
pub(crate) use work::{
    expect_latency, expect_rate, is_due, latency_ms, note_at_least, note_done, note_time, note_work, queued,
    steps_a_read,
};

use crate::{
    error::{Error, Kind, Result},
    protocol::{DeviceChoice, DeviceInfo, DeviceKind},
};
use burn::tensor::{
    Device,
    wgpu::{WgpuSetup, wgpu},
};
use lorakeet_i18n::{Message, messages::device as msg};
use lorakeet_shaders::Tier;
use std::sync::{
    Arc, Mutex, OnceLock, RwLock,
    atomic::{AtomicU64, Ordering},
};

/// The GPU is opened once a process: burn's runtime cannot be opened twice.
static GPU: OnceLock<Gpu> = OnceLock::new();
/// What [`tier`] says.
static TIER: RwLock<Tier> = RwLock::new(Tier::Software);
/// The first error that the GPU reported on its own account.
static FAULT: Mutex<Option<Error>> = Mutex::new(None);
/// The most bytes that a run may take, as [`limit_memory`] set it.
static MEMORY_LIMIT: AtomicU64 = AtomicU64::new(u64::MAX);

/// How many lines of a driver's report are shown.
const REPORT_LINES: usize = 3;

/// The GPU of this process, as burn and as wgpu know it.
struct Gpu {
    device: Device,
    info: DeviceInfo,
    setup: WgpuSetup,
}

/// What kernels are tuned for on the GPU of this process.
pub fn tier() -> Tier {
    TIER.read().map_or(Tier::Software, |tier| *tier)
}

/// Has kernels tuned for `tier` from here on, whatever the GPU of this process is, which is open already: for tests of what
/// hardware is given, on a software adapter.
pub fn assume_tier(tier: Tier) {
    if let Ok(mut chosen) = TIER.write() {
        *chosen = tier;
    }
}

/// Opens the device that `choice` asks for.
///
/// `Auto` takes a hardware GPU; else the CPU, and the note says why. A software adapter computes on the CPU, too, and more
/// slowly than the engine's own code for it (six times in Chromium, `docs/log.md`); `Gpu` takes it all the same.
///
/// # Errors
/// `Gpu` where there is no adapter.
pub async fn open(choice: DeviceChoice) -> Result<(Device, DeviceInfo)> {
    #[cfg(target_family = "wasm")]
    run_constructors();
    if choice == DeviceChoice::Cpu {
        return Ok(cpu(None));
    }
    match (gpu().await, choice) {
        (Ok((_, info)), DeviceChoice::Auto) if tier() == Tier::Software => {
            let DeviceInfo { backend, name, .. } = info;
            Ok(cpu(Some(msg::OnlySoftwareAdapter { backend, name }.into())))
        }
        (Ok(gpu), _) => Ok(gpu),
        (Err(error), DeviceChoice::Auto) => Ok(cpu(Some(msg::NoGpuSoCpu { why: error.what }.into()))),
        (Err(error), _) => Err(error),
    }
}

/// Refuses a tensor of `bytes` where one buffer may have `limit` ([`largest_buffer_bytes`]): a GPU limits what a kernel can
/// be given at once, and browsers often set that limit far below the GPU's memory.
///
/// # Errors
/// The tensor named `name` is too large.
pub fn check_size(limit: u64, name: &str, bytes: u64) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    let what = msg::TensorTooLarge {
        size: bytes.div_ceil(1 << 20),
        limit: limit >> 20,
    };
    Err(Error::new(Kind::OutOfMemory, what)
        .field(name)
        .remedy(msg::TakeSmallerVocabulary))
}

/// Whether `device` is the GPU of this process.
pub(crate) fn is_gpu(device: &Device) -> bool {
    GPU.get().is_some_and(|gpu| gpu.device == *device)
}

/// The most bytes that a kernel can be given in one buffer of `device`.
pub fn largest_buffer_bytes(device: &Device) -> u64 {
    match GPU.get() {
        Some(gpu) if gpu.device == *device => gpu.info.max_binding_bytes,
        _ => u64::MAX,
    }
}

/// The most bytes that the device can give, where that is known: [`memory_limit`], and WebAssembly has an address space of
/// 4 GiB, in which the CPU's tensors are. What a GPU has, WebGPU does not tell.
pub fn available_bytes(device: &Device) -> Option<u64> {
    let of_address_space = (cfg!(target_pointer_width = "32") && !is_gpu(device)).then_some(1 << 32);
    [of_address_space, memory_limit()].into_iter().flatten().min()
}

/// Sets the most bytes that a run may take in this process: runs whose estimate is above it are refused. For hosts that end
/// a program without a word when it takes more, as the browsers of phones do.
pub fn limit_memory(bytes: u64) {
    MEMORY_LIMIT.store(bytes, Ordering::Relaxed);
}

/// What [`limit_memory`] set, if anything.
pub fn memory_limit() -> Option<u64> {
    Some(MEMORY_LIMIT.load(Ordering::Relaxed)).filter(|&bytes| bytes < u64::MAX)
}

/// Bytes that live tensors take on the device, where it counts them.
pub fn memory_bytes(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_in_use)
}

/// Waits until the GPU of this process, where one is open, has done all that it was given: for the end of a program, which
/// has failed if it ends by a signal. A driver is unloaded at that end, and crashes if another thread still hands it work.
#[cfg(not(target_family = "wasm"))]
pub fn finish() {
    if let Some(gpu) = GPU.get() {
        // No number is read any more, so that an error changes no result.
        let _ = gpu.device.sync();
    }
}

/// What the GPU reported on its own account since the last call, if anything: it was lost, it refused a shader, its memory
/// is full. Numbers that it gives after that are not to be trusted.
pub fn take_fault() -> Option<Error> {
    FAULT.lock().ok()?.take()
}

/// After the device's memory was full: gives back what is not in use, and forgets what was reported as its consequence.
pub(crate) fn recover(device: &Device) {
    release(device);
    take_fault();
}

/// What to say of a read that failed for `reason`, where the GPU itself reported nothing.
pub fn failure(reason: &str) -> Error {
    // A device that was lost poisons what waited for it, and its buffers cannot be mapped; its own report may come later than
    // that, and never comes of a device that hangs.
    let of_lost = ["lost", "poisoned", "could not be mapped", "map never completed"];
    if of_lost.iter().any(|words| reason.contains(words)) {
        return lost();
    }
    let reason = first_lines(reason);
    Error::device(msg::ReadFailed { reason }).remedy(msg::StartAgain)
}

fn lost() -> Error {
    Error::device(msg::Lost).remedy(msg::StartAgain)
}

/// What an error that belongs to no call of ours means to the person.
fn fault(error: &wgpu::Error) -> Error {
    let description = match error {
        wgpu::Error::OutOfMemory { .. } => {
            return Error::new(Kind::OutOfMemory, msg::GpuMemoryFull).remedy(msg::LowerMemory);
        }
        wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => description,
    };
    let error = first_lines(description);
    // Drivers report a lack of memory as errors of other classes, too.
    if error.to_lowercase().contains("memory") {
        Error::new(Kind::OutOfMemory, msg::Reported { error }).remedy(msg::LowerMemory)
    } else {
        Error::device(msg::Reported { error }).remedy(msg::StartAgain)
    }
}

/// The first lines of a report, without those of a backtrace behind them.
fn first_lines(report: &str) -> String {
    let lines = report.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.take(REPORT_LINES).collect::<Vec<_>>().join(" ")
}

/// Keeps the first error until the work that it broke is looked at.
fn report(error: Error) {
    if let Ok(mut fault) = FAULT.lock() {
        fault.get_or_insert(error);
    }
}

fn cpu(note: Option<Message>) -> (Device, DeviceInfo) {
    let info = DeviceInfo {
        kind: DeviceKind::Cpu,
        name: "CPU".into(),
        backend: "CPU".into(),
        max_binding_bytes: u64::MAX,
        note,
    };
    (Device::flex(), info)
}

async fn gpu() -> Result<(Device, DeviceInfo)> {
    if let Some(gpu) = GPU.get() {
        return Ok((gpu.device.clone(), gpu.info.clone()));
    }
    memory::exact_pages();
    let (device, setup) = setup().await?;
    Ok(register(device, setup))
}

/// Takes a GPU that the host program opened itself, with the limits of its choosing: what [`open`] gives from then on.
///
/// # Errors
/// A GPU is open already, or this one cannot be computed with.
pub fn adopt(setup: WgpuSetup) -> Result<()> {
    if GPU.get().is_some() {
        return Err(Error::device(msg::OpenAlready).remedy(msg::HandOverFirst));
    }
    memory::exact_pages();
    let options = Device::wgpu_options().tasks_max(work::TASKS_A_SUBMIT);
    let device = options.setup(setup.clone()).init();
    let device = device.map_err(|error| Error::device(msg::UnusableGpu { error }))?;
    register(device, setup);
    Ok(())
}

/// Keeps the GPU of this process, and listens to what it reports on its own account.
fn register(device: Device, setup: WgpuSetup) -> (Device, DeviceInfo) {
    let info = describe(&setup);
    setup
        .device
        .on_uncaptured_error(Arc::new(|error: wgpu::Error| report(fault(&error))));
    setup.device.set_device_lost_callback(|reason, _| {
        // A device that is destroyed in good order is missed by nobody.
        if reason != wgpu::DeviceLostReason::Destroyed {
            report(lost());
        }
    });
    let gpu = GPU.get_or_init(|| Gpu { device, info, setup });
    (gpu.device.clone(), gpu.info.clone())
}

#[cfg(not(target_family = "wasm"))]
async fn setup() -> Result<(Device, WgpuSetup)> {
    // Tests open the device from several threads; the runtime must be made once.
    static OPENING: Mutex<Option<Result<(Device, WgpuSetup), Message>>> = Mutex::new(None);
    let mut opening = OPENING.lock().map_err(|_| no_gpu(msg::EarlierAttemptFailed))?;
    let opened = opening.get_or_insert_with(|| open_native().map_err(|error| error.what));
    opened.clone().map_err(no_gpu)
}

#[cfg(not(target_family = "wasm"))]
fn open_native() -> Result<(Device, WgpuSetup)> {
    use burn::tensor::DeviceKind as Adapter;
    let hardware = adapters()
        .iter()
        .any(|adapter| adapter.kind == DeviceKind::Gpu && adapter.note.is_none());
    let any = adapters().iter().any(|adapter| adapter.kind == DeviceKind::Gpu);
    if !any {
        return Err(no_gpu(msg::NoNativeAdapter));
    }
    let kind = if hardware { Adapter::DefaultDevice } else { Adapter::Cpu };
    Device::wgpu_options()
        .tasks_max(work::TASKS_A_SUBMIT)
        .device_kind(kind)
        .init_with_setup()
        .map_err(|error| no_gpu(Message::verbatim(error.to_string())))
}

/// Runs the constructors by which cubecl's compiler registers its parts, once.
///
/// Where no code calls them, the linker takes a program for one that is entered a single time, and has *every* exported
/// function call all of them first. wasm-bindgen enters for each JavaScript object that it keeps, several times a kernel:
/// two thirds of a small step went there.
#[cfg(target_family = "wasm")]
#[allow(
    unsafe_code,
    reason = "the linker's own function can only be declared as a foreign one"
)]
fn run_constructors() {
    unsafe extern "C" {
        // Safe: it takes nothing, and is called once.
        safe fn __wasm_call_ctors();
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| __wasm_call_ctors());
}

#[cfg(target_family = "wasm")]
async fn setup() -> Result<(Device, WgpuSetup)> {
    let options = Device::wgpu_options().tasks_max(work::TASKS_A_SUBMIT);
    let opened = options.init_with_setup_async().await;
    opened.map_err(|error| {
        let reason = error.to_string();
        if reason.contains("adapter") {
            no_gpu(msg::NoBrowserAdapter)
        } else {
            no_gpu(Message::verbatim(reason))
        }
    })
}

fn no_gpu(why: impl Into<Message>) -> Error {
    let error = Error::device(why);
    if cfg!(target_family = "wasm") {
        error.remedy(msg::UseBrowserWithWebGpu)
    } else {
        error.remedy(msg::InstallDriver)
    }
}

fn describe(setup: &WgpuSetup) -> DeviceInfo {
    let adapter = setup.adapter.get_info();
    if let Ok(mut tier) = TIER.write() {
        *tier = choose_tier(&adapter, setup.device.features());
    }
    let mut info = describe_adapter(&adapter, &setup.device.limits());
    if cfg!(target_family = "wasm") {
        info.backend = "WebGPU".into();
    }
    info
}

/// What suits an adapter whose device was opened with `features`: burn's runtime asks for all that the adapter has, a host
/// program ([`adopt`]) for those that it likes.
fn choose_tier(adapter: &wgpu::AdapterInfo, features: wgpu::Features) -> Tier {
    if is_software(adapter) {
        return Tier::Software;
    }
    Tier::Gpu {
        // Sums by subgroups of eight would leave most of a workgroup idle. In a browser naga's texts cannot ask for them.
        subgroups: features.contains(wgpu::Features::SUBGROUP)
            && adapter.subgroup_min_size >= 32
            && cfg!(not(target_family = "wasm")),
        f16: features.contains(wgpu::Features::SHADER_F16),
    }
}

fn is_software(adapter: &wgpu::AdapterInfo) -> bool {
    let name = adapter.name.to_lowercase();
    adapter.device_type == wgpu::DeviceType::Cpu
        || ["swiftshader", "llvmpipe", "lavapipe"].iter().any(|s| name.contains(s))
}

fn describe_adapter(adapter: &wgpu::AdapterInfo, limits: &wgpu::Limits) -> DeviceInfo {
    let backend = match adapter.backend {
        wgpu::Backend::BrowserWebGpu => "WebGPU",
        wgpu::Backend::Vulkan => "Vulkan",
        wgpu::Backend::Metal => "Metal",
        wgpu::Backend::Dx12 => "DX12",
        _ => "other",
    };
    DeviceInfo {
        kind: DeviceKind::Gpu,
        name: if adapter.name.is_empty() {
            "GPU".into()
        } else {
            adapter.name.clone()
        },
        backend: backend.into(),
        max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        note: is_software(adapter).then(|| msg::SoftwareAdapter.into()),
    }
}

/// All adapters that wgpu finds natively; software ones carry a note.
#[cfg(not(target_family = "wasm"))]
pub fn adapters() -> Vec<DeviceInfo> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let found = poll_once(instance.enumerate_adapters(backends));
    found
        .iter()
        .map(|adapter| describe_adapter(&adapter.get_info(), &adapter.limits()))
        .collect()
}

/// The value of a future that is ready at once, as wgpu's native enumeration is.
#[cfg(not(target_family = "wasm"))]
fn poll_once<T: Default>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => T::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_that_no_buffer_can_hold_is_named_with_both_sizes() {
        assert!(check_size(1 << 27, "lm_head.weight", 1 << 27).is_ok());
        let error = check_size(1 << 27, "lm_head.weight", 544_538_624).expect_err("too large");
        assert_eq!(error.kind, Kind::OutOfMemory);
        let text = error.to_string();
        assert!(
            ["lm_head.weight", "520 MiB", "128 MiB", "CPU"]
                .iter()
                .all(|part| text.contains(part)),
            "{text}"
        );
    }

    #[test]
    fn texts_use_what_a_hardware_device_was_opened_with_and_nothing_else() {
        use wgpu::{AdapterInfo, Backend, DeviceType, Features};
        let with = |device_type, subgroup_min_size, features| {
            let adapter = AdapterInfo {
                subgroup_min_size,
                ..AdapterInfo::new(device_type, Backend::Vulkan)
            };
            choose_tier(&adapter, features)
        };
        let gpu = |subgroups, f16| Tier::Gpu { subgroups, f16 };
        let (hardware, both) = (DeviceType::DiscreteGpu, Features::SUBGROUP | Features::SHADER_F16);
        assert_eq!(with(hardware, 32, Features::empty()), gpu(false, false));
        assert_eq!(with(hardware, 32, Features::SUBGROUP), gpu(true, false));
        assert_eq!(with(hardware, 32, Features::SHADER_F16), gpu(false, true));
        assert_eq!(with(hardware, 8, both), gpu(false, true));
        assert_eq!(with(hardware, 64, both), gpu(true, true));
        assert_eq!(with(DeviceType::Cpu, 32, both), Tier::Software);
    }

    #[test]
    fn the_runtime_opens_the_device_with_f16_where_the_adapter_has_it() {
        let setup = poll_once(async { setup().await.ok() });
        let (_, setup) = setup.expect("no Vulkan adapter: install mesa-vulkan-drivers (lavapipe)");
        let f16 = wgpu::Features::SHADER_F16;
        assert_eq!(
            setup.device.features().contains(f16),
            setup.adapter.features().contains(f16)
        );
    }

    #[test]
    fn a_lost_device_is_told_from_other_failures() {
        let what = |reason: &str| failure(reason).what.english();
        assert!(what("The device is poisoned").contains("was lost"));
        assert!(what("Caused by:\nthe staging buffer could not be mapped: error").contains("was lost"));
        assert!(what("a buffer is gone").contains("a buffer is gone"));
    }

    #[test]
    fn every_class_of_error_has_a_way_out() {
        let source = || Box::<dyn std::error::Error + Send + Sync>::from("none");
        let description = |text: &str| text.to_owned();
        let errors = [
            (wgpu::Error::OutOfMemory { source: source() }, Kind::OutOfMemory),
            (
                wgpu::Error::Validation {
                    source: source(),
                    description: description("In create_buffer\n  Not enough memory left."),
                },
                Kind::OutOfMemory,
            ),
            (
                wgpu::Error::Validation {
                    source: source(),
                    description: description("no such binding"),
                },
                Kind::Device,
            ),
            (
                wgpu::Error::Internal {
                    source: source(),
                    description: description("a pipeline\n\nfailed\n 0: main\n 1: start"),
                },
                Kind::Device,
            ),
        ];
        for (error, kind) in errors {
            let fault = fault(&error);
            assert_eq!(fault.kind, kind, "{error:?}");
            assert!(fault.remedy.is_some(), "{error:?}");
            assert!(!fault.to_string().contains("1: start"), "{fault}");
        }
        assert!(failure("a buffer is gone").remedy.is_some());
    }
}
