//! What there is to do in a step, and about how long a measured device takes for it.

use crate::models::memory::Work;
use crate::protocol::Probe;

/// The share of the rate of large square products that a step's own reach: they are narrower, and decode their weights.
/// `docs/log.md` has the measurements.
pub(super) const SHARE_OF_PRODUCTS: f64 = 0.6;
/// Bytes that a kernel moves for each byte that it writes, as in a sum of two tensors.
const MOVED_A_WRITTEN: f64 = 3.0;

/// What a step does.
#[derive(Debug, Clone)]
pub struct StepWork {
    /// Of one micro-batch, forward and backward.
    pub(super) micro_batch: Work,
    /// How many there are.
    pub(super) micro_batches: usize,
    /// Bytes that each kernel of the optimizer writes.
    pub(super) updates: Vec<u64>,
}

impl StepWork {
    /// Multiplications and additions of its matrix products.
    pub fn operations(&self) -> u64 {
        self.micro_batch.operations.saturating_mul(self.micro_batches as u64)
    }

    /// Kernels that are launched, about.
    pub fn launches(&self) -> u64 {
        (self.micro_batch.written.len() * self.micro_batches + self.updates.len()) as u64
    }

    /// About how long it takes on a device, in seconds:
    ///
    /// operations / (share · gflops) + Σ over kernels of max(launch, moved bytes / bandwidth) + await.
    pub fn seconds(&self, probe: &Probe) -> f64 {
        let launch = probe.launch_us * 1e-6;
        let kernels = |written: &[u64]| {
            let moving = |bytes: &u64| MOVED_A_WRITTEN * *bytes as f64 / (probe.gbytes_per_s * 1e9);
            written.iter().map(|bytes| moving(bytes).max(launch)).sum::<f64>()
        };
        self.operations() as f64 / (SHARE_OF_PRODUCTS * probe.gflops * 1e9)
            + kernels(&self.micro_batch.written) * self.micro_batches as f64
            + kernels(&self.updates)
            + probe.await_ms * 1e-3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_takes_its_products_its_launches_or_its_bytes_and_one_await() {
        let work = StepWork {
            micro_batch: Work {
                operations: 6_000_000_000,
                written: vec![4, 1_000_000_000],
            },
            micro_batches: 2,
            updates: vec![4; 3],
        };
        let probe = Probe {
            gflops: 100.0,
            gbytes_per_s: 10.0,
            await_ms: 250.0,
            launch_us: 1000.0,
        };
        assert_eq!((work.operations(), work.launches()), (12_000_000_000, 7));
        let products = 12.0 / (SHARE_OF_PRODUCTS * 100.0);
        let expected = products + 2.0 * (0.001 + 0.3) + 0.003 + 0.25;
        assert!((work.seconds(&probe) - expected).abs() < 1e-9);
    }
}
