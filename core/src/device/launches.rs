//! Kernels that are launched, counted by the runtime: what holds down their number in tests.

use burn_cubecl::cubecl::logging::{LaunchObservation, LaunchObserver};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
