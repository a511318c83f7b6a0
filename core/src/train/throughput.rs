//! How fast a run goes, and when it will be over.

use std::collections::VecDeque;

/// Steps that the speed is averaged over.
const WINDOW: usize = 20;

/// Throughput over the last steps. Only time inside steps counts: evaluations, samples and pauses do not slow it.
#[derive(Debug, Default)]
pub struct Throughput {
    /// (seconds, tokens) of each step.
    steps: VecDeque<(f64, u64)>,
}

impl Throughput {
    /// Takes note of a step.
    pub fn add(&mut self, seconds: f64, tokens: u64) {
        if self.steps.len() == WINDOW {
            self.steps.pop_front();
        }
        self.steps.push_back((seconds, tokens));
    }

    /// Tokens a second.
    pub fn tokens_per_second(&self) -> f64 {
        let tokens: u64 = self.steps.iter().map(|step| step.1).sum();
        if tokens == 0 {
            0.0
        } else {
            tokens as f64 / self.seconds().max(1e-9)
        }
    }

    /// Time that `steps` more steps will take, in seconds.
    pub fn eta_seconds(&self, steps: usize) -> f64 {
        self.seconds() / self.steps.len().max(1) as f64 * steps as f64
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
        assert_eq!(speed.tokens_per_second(), 0.0);
        speed.add(100.0, 10);
        for _ in 0..WINDOW {
            speed.add(0.5, 50);
        }
        assert!(
            (speed.tokens_per_second() - 100.0).abs() < 1e-9,
            "the slow first step is forgotten"
        );
        assert!((speed.eta_seconds(8) - 4.0).abs() < 1e-9);
    }
}
