//! How fast a run goes, and when it will be over.

use std::collections::VecDeque;

/// Steps that the speed is averaged over.
const WINDOW: usize = 20;

/// Steps that waited for kernels to be compiled and are left out, at most: a run that goes on compiling, as rows of ever new
/// lengths may have it do, is that slow.
const LEFT_OUT: usize = 3;

/// Fewer steps say too little of those to come.
const FEWEST: usize = 3;

/// What the last steps of a run took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// How many they are.
    pub(crate) steps: usize,
    /// The mean time of one.
    pub(crate) seconds_per_step: f64,
    /// What the GPU's allocator held, where that is counted.
    pub(crate) held_bytes: Option<u64>,
}

/// Throughput over the last steps. Only time inside steps counts: evaluations, samples and pauses do not slow it, nor do the first
/// steps that waited for kernels to be compiled.
#[derive(Debug, Default)]
pub struct Throughput {
    /// (seconds, tokens) of each step.
    steps: VecDeque<(f64, u64)>,
    /// Steps that were left out.
    left_out: usize,
}

impl Throughput {
    /// Takes note of a step.
    pub fn add(&mut self, seconds: f64, tokens: u64) {
        if self.steps.len() == WINDOW {
            self.steps.pop_front();
        }
        self.steps.push_back((seconds, tokens));
    }

    /// Takes note of a step that waited for kernels to be compiled.
    pub fn add_compiling(&mut self, seconds: f64, tokens: u64) {
        match self.left_out < LEFT_OUT {
            true => self.left_out += 1,
            false => self.add(seconds, tokens),
        }
    }

    /// Steps that count.
    pub fn steps(&self) -> usize {
        self.steps.len()
    }

    /// Tokens a second; NaN as long as no step counts.
    pub fn tokens_per_second(&self) -> f64 {
        let tokens: u64 = self.steps.iter().map(|step| step.1).sum();
        match (self.steps.is_empty(), tokens) {
            (true, _) => f64::NAN,
            (false, 0) => 0.0,
            (false, tokens) => tokens as f64 / self.seconds().max(1e-9),
        }
    }

    /// Time that `steps` more steps will take, in seconds; NaN as long as no step counts.
    pub fn eta_seconds(&self, steps: usize) -> f64 {
        match (steps, self.steps.len()) {
            (0, _) => 0.0,
            (_, 0) => f64::NAN,
            (steps, taken) => self.seconds() / taken as f64 * steps as f64,
        }
    }

    /// What the steps took that count; none where they are few, or the clock stands still.
    pub(crate) fn pace(&self, held_bytes: Option<u64>) -> Option<Pace> {
        let (steps, seconds) = (self.steps.len(), self.seconds());
        (steps >= FEWEST && seconds > 0.0).then(|| Pace {
            steps,
            seconds_per_step: seconds / steps as f64,
            held_bytes,
        })
    }

    fn seconds(&self) -> f64 {
        self.steps.iter().map(|step| step.0).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_is_that_of_the_last_steps() {
        let mut speed = Throughput::default();
        assert!(speed.tokens_per_second().is_nan() && speed.eta_seconds(8).is_nan());
        assert_eq!(speed.eta_seconds(0), 0.0, "nothing is left to do");
        speed.add(100.0, 10);
        assert_eq!(speed.pace(None), None, "one step says little");
        for _ in 0..WINDOW {
            speed.add(0.5, 50);
        }
        assert!(
            (speed.tokens_per_second() - 100.0).abs() < 1e-9,
            "the slow first step is forgotten"
        );
        assert!((speed.eta_seconds(8) - 4.0).abs() < 1e-9);
        let pace = speed.pace(Some(7)).expect("many steps");
        assert_eq!((pace.steps, pace.held_bytes), (WINDOW, Some(7)));
        assert!((pace.seconds_per_step - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_first_steps_that_compile_do_not_count_and_a_run_of_them_does() {
        let mut speed = Throughput::default();
        speed.add_compiling(30.0, 100);
        assert!(speed.tokens_per_second().is_nan() && speed.eta_seconds(1).is_nan());
        speed.add(0.5, 50);
        speed.add_compiling(10.0, 100);
        assert_eq!((speed.tokens_per_second(), speed.eta_seconds(8)), (100.0, 4.0));
        let mut slow = Throughput::default();
        (0..=LEFT_OUT).for_each(|_| slow.add_compiling(2.0, 100));
        assert_eq!((slow.tokens_per_second(), slow.eta_seconds(8)), (50.0, 16.0));
    }
}
