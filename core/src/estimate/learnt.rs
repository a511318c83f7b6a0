//! What a run took tells what the next one on the same model and device will take: its forecast is scaled by how far the last one
//! was off.

use super::StepWork;
use crate::protocol::{Learnt, Probe};
use crate::train::throughput::Pace;

/// A run that took steps, with what was known of it before.
#[derive(Debug)]
pub(crate) struct LastPace {
    /// What its last steps took.
    pub(crate) pace: Pace,
    /// What there was to do in a step.
    pub(crate) work: StepWork,
    /// Its peak as it was forecast.
    pub(crate) peak_bytes: Option<u64>,
}

impl LastPace {
    /// About how long a step of another run takes, in seconds, and what else is learnt of it; `work` is what there is to do in its
    /// step, `peak_bytes` its forecast.
    ///
    /// Seconds are measured seconds · forecast of the step / forecast of the measured step. Without a `probe` operations stand in
    /// for both forecasts. The peak is scaled by held / forecast in the same way, where the device tells what it held.
    pub(crate) fn forecast(&self, work: &StepWork, peak_bytes: Option<u64>, probe: Option<&Probe>) -> (f64, Learnt) {
        let share = match probe {
            Some(probe) => work.seconds(probe) / self.work.seconds(probe),
            None => work.operations() as f64 / self.work.operations().max(1) as f64,
        };
        let of_held = |held: u64| {
            let own = self.peak_bytes.filter(|&bytes| bytes > 0)?;
            Some((peak_bytes? as f64 * held as f64 / own as f64) as u64)
        };
        let learnt = Learnt {
            steps: self.pace.steps,
            peak_bytes: self.pace.held_bytes.and_then(of_held),
        };
        (self.pace.seconds_per_step * share, learnt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::memory::Work;

    fn work(operations: u64, micro_batches: usize) -> StepWork {
        StepWork {
            micro_batch: Work {
                operations,
                written: Vec::new(),
            },
            micro_batches,
            updates: Vec::new(),
        }
    }

    #[test]
    fn a_step_takes_as_much_longer_as_it_is_forecast_to() {
        let last = LastPace {
            pace: Pace {
                steps: 5,
                seconds_per_step: 0.5,
                held_bytes: Some(300),
            },
            work: work(1000, 1),
            peak_bytes: Some(200),
        };
        let (seconds, learnt) = last.forecast(&work(1000, 4), Some(400), None);
        assert_eq!((seconds, learnt.steps, learnt.peak_bytes), (2.0, 5, Some(600)));
        let probe = Probe {
            gflops: 1e-6,
            gbytes_per_s: 1.0,
            await_ms: 0.0,
            launch_us: 0.0,
        };
        let (seconds, learnt) = last.forecast(&work(3000, 1), None, Some(&probe));
        assert!((seconds - 1.5).abs() < 1e-12, "{seconds}");
        assert_eq!(learnt.peak_bytes, None);
    }
}
