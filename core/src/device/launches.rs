//! Kernels that are launched, counted by the runtime: what holds down their number in tests. And those that were compiled.

use burn_cubecl::cubecl::logging::{LaunchObservation, LaunchObserver};
use std::collections::BTreeMap;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// The engine's kernels whose source the runtime has asked for.
static COMPILED: AtomicU64 = AtomicU64::new(0);

/// What [`compile_ahead`] set.
static AHEAD: AtomicBool = AtomicBool::new(true);

/// Whether runs of this process have their kernels compiled before their first step, as they do unless this is told `false`: for
/// tests of what that changes.
pub fn compile_ahead(ahead: bool) {
    AHEAD.store(ahead, Relaxed);
}

/// What [`compile_ahead`] set.
pub(crate) fn compiles_ahead() -> bool {
    AHEAD.load(Relaxed)
}

/// A kernel's source is asked for: it is compiled for the first time.
pub(crate) fn note_compiled() {
    COMPILED.fetch_add(1, Relaxed);
}

/// The engine's kernels that this process has compiled, or begun to; burn's own are not among them. Natively the runtime compiles
/// on a thread of its own, so that the number lags behind the launches until something is read.
pub(crate) fn compiled() -> u64 {
    COMPILED.load(Relaxed)
}

/// Counts every launch of the process, burn's own included, as long as it lives.
#[derive(Debug)]
pub struct LaunchCount {
    counts: Arc<Counts>,
    _observation: LaunchObservation,
}

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl LaunchObserver for Counts {
    fn launched(&self, kernel: &'static str) {
        if let Ok(mut counts) = self.0.lock() {
            *counts.entry(kernel).or_default() += 1;
        }
    }
}

/// Starts counting. The process has one count at a time.
pub fn count_launches() -> LaunchCount {
    let counts = Arc::new(Counts::default());
    let _observation = LaunchObservation::new(counts.clone());
    LaunchCount { counts, _observation }
}

impl LaunchCount {
    /// The kernels that were launched since the last call, by their types' names.
    pub fn take(&self) -> BTreeMap<&'static str, u64> {
        let taken = self.counts.0.lock().map(|mut counts| std::mem::take(&mut *counts));
        taken.unwrap_or_default()
    }
}
