//! What the GPU's allocator holds beyond what is in use: kept within a fifth of what a run is said to take.
//!
//! In a browser each allocation is a buffer of its own, and by default a small tensor may take any larger one that is free:
//! three times what is in use is reserved then, and more with longer rows. So the runtime is told to reuse buffers for
//! allocations of their own size only ([`exact_pages`]): a step of the same shapes as the last one finds all of its buffers
//! there, and holds little more than its peak. What other shapes left behind is given back before it adds up ([`make_room`]
//! before a pass over a batch, [`trim`] between the tokens of a text); in a browser `public/webgpu.js` destroys it.
//!
//! A GPU that has less memory than a run is said to take is found out before the first step ([`try_memory`]).

use super::{GPU, fault, is_gpu, report};
use crate::data::{Batch, TARGET_PARTS};
use crate::error::{Error, Kind, Result};
use burn::tensor::{Device, wgpu::wgpu};
use burn_cubecl::cubecl::{
    MemoryReport,
    config::{CubeClRuntimeConfig, RuntimeConfig, memory::PersistentMemory},
};
use lorakeet_i18n::messages::device as msg;
use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// What the run under way is said to take at most; 0 where nobody said.
static EXPECTED_BYTES: AtomicU64 = AtomicU64::new(0);
/// The passes whose buffers the allocator holds.
static HELD: Mutex<Held> = Mutex::new(Held {
    passes: Vec::new(),
    largest: 1,
});

/// Whether somebody watches the memory, and the most that was counted.
static WATCHED: AtomicBool = AtomicBool::new(false);
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);
static PEAK_RESERVED_BYTES: AtomicU64 = AtomicU64::new(0);
static LARGEST_BYTES: AtomicU64 = AtomicU64::new(0);

/// How much may be reserved, of what is said to be taken. What is promised is 1.3: the rest is for buffers of the runtime's own,
/// and for a pass whose buffers come to more than its peak, as they are not all of its tensors' sizes at once.
const RESERVED: f64 = 1.2;
/// What may be reserved whatever a run takes, and beyond what is in use where nobody said what it takes: buffers that are given
/// back cost time when they are made anew, and nobody lacks so little.
const SLACK_BYTES: u64 = 8 << 20;
/// A run that is said to take less is not tried: any GPU has as much, and small runs shall start at once.
const TRIED_BYTES: u64 = 256 << 20;
/// The buffers that are tried are as large as this at most, as those of a run are.
const PIECE_BYTES: u64 = 64 << 20;

/// The most rows of a training pass that there is said to be memory for, as [`limit_pass_rows`] set it.
static PASS_ROWS: AtomicUsize = AtomicUsize::new(usize::MAX);

struct Held {
    passes: Vec<Pass>,
    /// The most positions of a pass since the run began.
    largest: usize,
}

/// What decides the sizes of a pass's tensors, and which kernels it launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Rows, and positions of each.
    rows: usize,
    tokens: usize,
    /// Labels, features, positions that are told, and parts of the positions that count.
    others: [usize; 4],
    /// Whether it goes backward, too.
    trains: bool,
}

impl Pass {
    /// The pass over `batch`, of a step where it `trains`.
    pub(crate) fn over(batch: &Batch, trains: bool) -> Self {
        let counted = (batch.target_tokens * TARGET_PARTS).div_ceil((batch.rows * batch.tokens).max(1));
        Self {
            rows: batch.rows,
            tokens: batch.tokens,
            others: [
                batch.labels.len(),
                batch.features.len(),
                batch.position_ids.len(),
                counted,
            ],
            trains,
        }
    }

    fn positions(&self) -> usize {
        self.rows.saturating_mul(self.tokens).max(1)
    }
}

/// Tells the runtime, before it is opened, to reuse buffers for allocations of the same size only.
pub(super) fn exact_pages() {
    let mut config = CubeClRuntimeConfig::default();
    #[cfg(not(target_family = "wasm"))]
    {
        config = config.override_from_env();
    }
    config.memory.persistent_memory = PersistentMemory::Enforced;
    // A host program that configured the runtime itself knows what it does.
    CubeClRuntimeConfig::try_set(config);
}

/// Bytes that the allocator holds on the device, in use or not, where it counts them.
pub fn reserved_bytes(device: &Device) -> Option<u64> {
    device.memory_pool_usage().map(|usage| usage.bytes_reserved)
}

/// A run is under way that is said to take so much; over when this is dropped.
#[derive(Debug)]
pub struct ExpectedMemory(());

/// What runs from here on is said to take `bytes` at most. The books are the process's: one run at a time.
pub fn expect_memory(bytes: u64) -> ExpectedMemory {
    EXPECTED_BYTES.store(bytes, Ordering::Relaxed);
    if let Ok(mut held) = HELD.lock() {
        held.largest = 1;
    }
    ExpectedMemory(())
}

impl Drop for ExpectedMemory {
    fn drop(&mut self) {
        EXPECTED_BYTES.store(0, Ordering::Relaxed);
    }
}

/// From now on the memory of this process's device is said to be full in every training pass over more than `rows` rows, as a GPU
/// reports it: for tests of what a run does then, on devices whose memory nobody fills.
pub fn limit_pass_rows(rows: usize) {
    PASS_ROWS.store(rows, Ordering::Relaxed);
}

/// Bytes that are reserved on `device`, where it is the GPU.
pub(crate) fn reserved_of_gpu(device: &Device) -> Option<u64> {
    usage_of_gpu(device).map(|(reserved, _)| reserved)
}

/// A pass over a batch is about to begin on `device`: gives back what passes of other shapes left, where it would come to too
/// much with this one's buffers. A pass like one before it finds its buffers there, and costs nothing here.
pub(crate) fn make_room(device: &Device, pass: Pass) {
    if pass.trains && pass.rows > PASS_ROWS.load(Ordering::Relaxed) {
        let source = Box::from("the rows of a pass are limited");
        report(fault(&wgpu::Error::OutOfMemory { source }));
    }
    let Ok(mut held) = HELD.lock() else { return };
    held.largest = held.largest.max(pass.positions());
    if held.passes.contains(&pass) {
        return;
    }
    let Some((reserved, in_use)) = usage_of_gpu(device) else {
        return;
    };
    let expected = EXPECTED_BYTES.load(Ordering::Relaxed);
    let share = pass.positions() as f64 / held.largest as f64;
    let wanted = expected.saturating_sub(in_use) as f64 * share;
    if is_too_much(reserved + wanted as u64, expected) {
        give_back(device);
        held.passes.clear();
    }
    held.passes.push(pass);
}

/// An operation is about to begin on `device` that takes `bytes` in tensors of sizes that no pass has: gives back what passes
/// left, where it would come to too much. Does nothing where nobody said what the run takes: its passes need what they left.
pub(crate) fn make_room_for(device: &Device, bytes: u64) {
    let expected = EXPECTED_BYTES.load(Ordering::Relaxed);
    let is_due = |(reserved, _)| expected > 0 && is_too_much(reserved + bytes, expected);
    if usage_of_gpu(device).is_some_and(is_due) {
        release(device);
    }
}

fn is_too_much(reserved: u64, due: u64) -> bool {
    reserved > SLACK_BYTES.max((RESERVED * due as f64) as u64)
}

/// Bytes that are reserved and bytes in use, where `device` is the GPU.
fn usage_of_gpu(device: &Device) -> Option<(u64, u64)> {
    let usage = is_gpu(device).then(|| device.memory_pool_usage()).flatten()?;
    Some((usage.bytes_reserved, usage.bytes_in_use))
}

/// Gives back what is reserved on `device` and not used, where it is too much: between operations whose tensors grow, as those
/// of a text that is generated do, and after those that are done once.
pub(crate) fn trim(device: &Device) {
    let expected = EXPECTED_BYTES.load(Ordering::Relaxed);
    let is_due = |(reserved, in_use)| is_too_much(reserved, expected.max(in_use + SLACK_BYTES));
    if usage_of_gpu(device).is_some_and(is_due) {
        release(device);
    }
}

/// Gives back all that is reserved on `device` and not used.
pub(crate) fn release(device: &Device) {
    if !is_gpu(device) {
        return;
    }
    give_back(device);
    if let Ok(mut held) = HELD.lock() {
        held.passes.clear();
    }
}

fn give_back(device: &Device) {
    // What is recorded may use what is given back; all of it is submitted first. A lost device fails elsewhere.
    if device.flush().is_err() {
        return;
    }
    device.memory_cleanup();
    // A sign for `public/webgpu.js`: what nobody holds now can be destroyed.
    if let Some(gpu) = GPU.get() {
        gpu.setup.queue.submit([]);
    }
}

/// Keeps the most memory that was taken whenever a kernel was launched, as long as it lives: for the tests of
/// [`crate::estimate`] and of this module. Asking at each launch is slow, so that nobody is asked where nobody watches.
#[derive(Debug)]
pub struct MemoryWatch(());

/// Starts watching. The books are the process's: two watches at a time are one.
pub fn watch_memory() -> MemoryWatch {
    for peak in [&PEAK_BYTES, &PEAK_RESERVED_BYTES, &LARGEST_BYTES] {
        peak.store(0, Ordering::Relaxed);
    }
    WATCHED.store(true, Ordering::Relaxed);
    MemoryWatch(())
}

impl MemoryWatch {
    /// The most bytes of live tensors so far.
    pub fn peak_bytes(&self) -> u64 {
        PEAK_BYTES.load(Ordering::Relaxed)
    }
    /// The most bytes that the allocator held so far, in use or not.
    pub fn peak_reserved_bytes(&self) -> u64 {
        PEAK_RESERVED_BYTES.load(Ordering::Relaxed)
    }
    /// The bytes of the largest allocation that the device still holds or held when a kernel was launched.
    pub fn largest_bytes(&self) -> u64 {
        LARGEST_BYTES.load(Ordering::Relaxed)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        WATCHED.store(false, Ordering::Relaxed);
    }
}

/// A kernel was launched; `report` tells what the device holds, the kernel's own tensors included.
pub(crate) fn note_memory(report: impl FnOnce() -> MemoryReport) {
    if !WATCHED.load(Ordering::Relaxed) {
        return;
    }
    let report = report();
    let usage = report.usage();
    let pools = report.streams.iter().map(|stream| &stream.pools);
    let pools = pools.flat_map(|pools| pools.dynamic.iter().chain([&pools.persistent, &pools.dedicated]));
    let largest = pools.map(|pool| pool.largest_alloc).max().unwrap_or(0);
    for (peak, bytes) in [
        (&PEAK_BYTES, usage.bytes_in_use),
        (&PEAK_RESERVED_BYTES, usage.bytes_reserved),
        (&LARGEST_BYTES, largest),
    ] {
        peak.fetch_max(bytes, Ordering::Relaxed);
    }
}

/// Whether the GPU gives the memory of a run that is said to take `bytes`: takes what is not reserved yet, and gives it back at
/// once. WebGPU does not tell how much a GPU has. Small runs are not tried, nor is the CPU.
///
/// # Errors
/// [`Kind::OutOfMemory`] where it does not.
pub(crate) async fn try_memory(device: &Device, bytes: u64) -> Result<()> {
    let Some(gpu) = GPU.get().filter(|_| is_gpu(device) && bytes > TRIED_BYTES) else {
        return Ok(());
    };
    release(device);
    let reserved = reserved_bytes(device).unwrap_or(0);
    match refused(&gpu.setup.device, bytes.saturating_sub(reserved)).await {
        None => Ok(()),
        Some(_) => {
            let size = bytes >> 20;
            Err(Error::new(Kind::OutOfMemory, msg::GpuTooSmall { size }).remedy(msg::LowerMemory))
        }
    }
}

/// Takes `bytes` of the GPU and gives them back: the error, if it did not give them.
async fn refused(gpu: &wgpu::Device, bytes: u64) -> Option<wgpu::Error> {
    // Nothing else is asked of the device before the scope is closed: a scope is the thread's.
    let scope = gpu.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let piece = PIECE_BYTES.min(gpu.limits().max_buffer_size);
    let pieces = (0..bytes).step_by(piece as usize);
    let buffers: Vec<wgpu::Buffer> = pieces
        .map(|start| {
            gpu.create_buffer(&wgpu::BufferDescriptor {
                label: Some("trial"),
                size: piece.min(bytes - start).next_multiple_of(4),
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
        .collect();
    let answer = scope.pop();
    let error = answer.await;
    buffers.iter().for_each(wgpu::Buffer::destroy);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_over_rows_of_several_examples_are_others() {
        let plain = Batch {
            rows: 2,
            tokens: 4,
            labels: vec![1; 8],
            target_tokens: 6,
            ..Batch::default()
        };
        let several = Batch {
            position_ids: vec![0, 1, 0, 1, 0, 1, 2, 3],
            ..plain.clone()
        };
        let of = |batch: &Batch| Pass::over(batch, true);
        assert_eq!(of(&plain), of(&plain.clone()));
        assert_ne!(of(&plain), of(&several));
        let others = Batch {
            position_ids: (0..8).map(|place| place % 4).collect(),
            ..plain
        };
        assert_eq!(of(&several), of(&others), "whatever their places");
    }
}
