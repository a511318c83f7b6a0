//! How many steps a run has and when things happen in it: transformers' `Trainer` rules.

use super::{Interval, RunConfig};

/// The steps of a run over a known number of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Optimizer steps in one pass through the data; the last may have fewer batches.
    pub steps_per_epoch: usize,
    /// Optimizer steps in all.
    pub max_steps: usize,
    /// Of these, steps that warm up.
    pub warmup_steps: usize,
}

impl Plan {
    /// Steps between two times of something that a run file wants every so many steps: below 1 that is a share of the run,
    /// ⌈share · steps⌉ as in transformers' `TrainerState.compute_steps`; 0 is never.
    pub fn every(&self, steps: f64) -> usize {
        match steps < 1.0 {
            true => (steps * self.max_steps as f64).ceil() as usize,
            false => steps as usize,
        }
    }
}

impl RunConfig {
    /// Steps that warm up in a run of `max_steps`: warmup_steps if above 0, else ⌈warmup_ratio · max_steps⌉.
    pub fn planned_warmup(&self, max_steps: usize) -> usize {
        if self.warmup_steps > 0 {
            return self.warmup_steps;
        }
        (self.warmup_ratio * max_steps as f64).ceil() as usize
    }

    /// The steps of a run over `train_examples` examples; none where `max_steps` is 0.
    ///
    /// Steps per epoch are ⌈⌈examples / batch⌉ / accumulation⌉ and at least 1: an epoch's last batch and last accumulation
    /// may be smaller than the others, none is dropped.
    pub fn plan(&self, train_examples: usize) -> Plan {
        let batches = train_examples.div_ceil(self.per_device_train_batch_size.max(1));
        let steps_per_epoch = batches.div_ceil(self.gradient_accumulation_steps.max(1)).max(1);
        let max_steps = match usize::try_from(self.max_steps) {
            Ok(steps) => steps,
            Err(_) => ((self.num_train_epochs * steps_per_epoch as f64).ceil() as usize).max(1),
        };
        Plan {
            steps_per_epoch,
            max_steps,
            warmup_steps: self.planned_warmup(max_steps),
        }
    }

    /// Rows that a run of `plan` goes through, each as often as it comes.
    pub fn planned_rows(&self, plan: &Plan) -> usize {
        plan.max_steps
            .saturating_mul(self.gradient_accumulation_steps)
            .saturating_mul(self.per_device_train_batch_size)
    }

    /// Whether `step` (from 1) is reported; where anything is, the last one is.
    pub fn logs_at(&self, step: usize, plan: &Plan) -> bool {
        let is_last = step == plan.max_steps && self.logging_strategy != Interval::No;
        is_last || due(self.logging_strategy, self.logging_steps, step, plan)
    }
    /// Whether the validation split is scored after `step` (from 1); apart from this it is scored before and after the run.
    pub fn evaluates_at(&self, step: usize, plan: &Plan) -> bool {
        due(self.eval_strategy, self.eval_steps, step, plan)
    }
    /// Whether a checkpoint is saved after `step` (from 1); apart from this the end is saved.
    pub fn saves_at(&self, step: usize, plan: &Plan) -> bool {
        due(self.save_strategy, self.save_steps, step, plan)
    }
}

fn due(interval: Interval, every: f64, step: usize, plan: &Plan) -> bool {
    let every = match interval {
        Interval::Steps => plan.every(every),
        Interval::Epoch => plan.steps_per_epoch,
        Interval::No => 0,
    };
    every > 0 && step > 0 && step.is_multiple_of(every)
}
