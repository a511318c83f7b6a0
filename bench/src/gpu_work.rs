//! What a training step asks of WebGPU, from what `app/bench/count.js` counts.

use serde::{Deserialize, Serialize};

/// What was asked of WebGPU up to some moment.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct GpuCounts {
    /// Kernels launched.
    pub launches: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Calls of `submit`.
    pub submits: u64,
    /// Calls of `mapAsync`.
    pub maps: u64,
    /// Bytes uploaded by `writeBuffer`.
    pub bytes_written: u64,
    /// Milliseconds since the worker started.
    pub now_ms: f64,
    /// Of those, how many went by while nothing could be done until a map was there.
    pub waited_ms: f64,
}

/// What a step asks of WebGPU: the median of the measured steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuWork {
    /// Kernels launched.
    pub launches: u64,
    /// Bind groups made; lines of before do not have them.
    #[serde(default)]
    pub bind_groups: u64,
    /// Calls of `submit`.
    pub submits: u64,
    /// Calls of `mapAsync`.
    pub maps: u64,
    /// Bytes uploaded by `writeBuffer`.
    pub bytes_written: u64,
    /// Microseconds in which the worker computed instead of waiting for the GPU.
    pub host_us: u64,
}

impl GpuWork {
    /// Of the last `steps` steps, where `counts` were taken before the first and after each; `None` where no kernel was
    /// launched in them.
    pub fn of(counts: &[GpuCounts], steps: usize) -> Option<Self> {
        let measured = &counts[counts.len().saturating_sub(steps + 1)..];
        let median = |of: &dyn Fn(&GpuCounts) -> f64| {
            let mut values: Vec<f64> = measured.windows(2).map(|pair| of(&pair[1]) - of(&pair[0])).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).map_or(0, |value| value.round() as u64)
        };
        let work = Self {
            launches: median(&|counts| counts.launches as f64),
            bind_groups: median(&|counts| counts.bind_groups as f64),
            submits: median(&|counts| counts.submits as f64),
            maps: median(&|counts| counts.maps as f64),
            bytes_written: median(&|counts| counts.bytes_written as f64),
            host_us: median(&|counts| 1e3 * (counts.now_ms - counts.waited_ms)),
        };
        (work.launches > 0).then_some(work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_what_was_counted_from_one_to_the_next_and_the_warm_up_is_left_out() {
        // The first step compiles, and takes 5 s; each of the others waits 3 of its 10 ms.
        let after = |step: u64| GpuCounts {
            launches: 544 * step,
            bind_groups: 540 + 4 * step,
            submits: 21 * step,
            maps: step,
            bytes_written: 900_000 + 12_000 * step,
            now_ms: if step == 0 { 0.0 } else { 5000.0 + 10.0 * step as f64 },
            waited_ms: 3.0 * step as f64,
        };
        let counts: Vec<GpuCounts> = (0..=25).map(after).collect();
        let work = GpuWork {
            launches: 544,
            bind_groups: 4,
            submits: 21,
            maps: 1,
            bytes_written: 12_000,
            host_us: 7000,
        };
        assert_eq!(GpuWork::of(&counts, 20), Some(work));
        assert_eq!(GpuWork::of(&counts[..1], 20), None);
    }
}
