//! The learning rate of each optimizer step, by the formulas of transformers' `optimization.py` (`get_*_schedule*`).
//!
//! With w warm-up steps of T in all, and the step s counted from 0, the rate is peak · λ(s). During the warm-up (s < w)
//! λ = s / w, so the first step of a warmed-up run has the rate 0 and only fills the optimizer's moments. Everything is f64:
//! the rate is computed on the host, once a step.

use crate::config::{Plan, RunConfig, SchedulerType};
use std::f64::consts::PI;

/// The course of the learning rate over a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The course's name.
    pub kind: SchedulerType,
    /// The rate at λ = 1.
    pub peak: f64,
    /// w: steps that warm up.
    pub warmup: usize,
    /// T: steps in all.
    pub total: usize,
    /// Waves of `cosine` (½: from the peak to 0 once) and restarts of `cosine_with_restarts`.
    pub cycles: f64,
    /// Exponent of `polynomial`.
    pub power: f64,
    /// Final rate of `polynomial`.
    pub end: f64,
}

/// transformers' `num_cycles` of the plain cosine: half a wave.
const HALF_WAVE: f64 = 0.5;

/// transformers' timescale of `inverse_sqrt` where nothing warms up.
const DEFAULT_TIMESCALE: usize = 10_000;

impl Schedule {
    /// The course that `config` asks for over the steps of `plan`.
    pub fn new(config: &RunConfig, plan: &Plan) -> Self {
        Self {
            kind: config.lr_scheduler_type,
            peak: config.learning_rate,
            warmup: plan.warmup_steps,
            total: plan.max_steps,
            cycles: match config.lr_scheduler_type {
                SchedulerType::CosineWithRestarts => config.num_cycles,
                _ => HALF_WAVE,
            },
            power: config.power,
            end: config.lr_end,
        }
    }

    /// The rate of optimizer step `step`, from 0: peak · λ(step).
    pub fn learning_rate(&self, step: usize) -> f64 {
        self.peak * self.factor(step)
    }

    /// λ(s).
    fn factor(&self, step: usize) -> f64 {
        let (s, w) = (step as f64, self.warmup as f64);
        let warms_up = self.kind != SchedulerType::Constant;
        if warms_up && step < self.warmup {
            return s / w.max(1.0);
        }
        // How much of the way from the end of the warm-up to the last step is done.
        let decay_steps = (self.total as f64 - w).max(1.0);
        let progress = (s - w) / decay_steps;
        match self.kind {
            SchedulerType::Constant | SchedulerType::ConstantWithWarmup => 1.0,
            SchedulerType::Linear => ((self.total as f64 - s) / decay_steps).max(0.0),
            SchedulerType::Cosine => (0.5 * (1.0 + (PI * self.cycles * 2.0 * progress).cos())).max(0.0),
            SchedulerType::CosineWithRestarts if progress >= 1.0 => 0.0,
            SchedulerType::CosineWithRestarts => (0.5 * (1.0 + (PI * ((self.cycles * progress) % 1.0)).cos())).max(0.0),
            SchedulerType::Polynomial if step > self.total => self.end / self.peak,
            SchedulerType::Polynomial => {
                let range = self.peak - self.end;
                (range * (1.0 - progress).powf(self.power) + self.end) / self.peak
            }
            SchedulerType::InverseSqrt => {
                let timescale = if self.warmup > 0 {
                    self.warmup
                } else {
                    DEFAULT_TIMESCALE
                } as f64;
                let shift = timescale - w;
                1.0 / ((s + shift) / timescale).sqrt()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn golden() -> Value {
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden").to_owned();
        let folder = std::env::var("LORAKEET_GOLDEN").unwrap_or(own);
        let text = std::fs::read_to_string(format!("{folder}/C/schedules/case.json")).expect("the golden schedules");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A run file knows no `timescale` and no schedules that transformers keeps outside of its seven plain names.
    fn read(case: &Value) -> Option<Schedule> {
        let kind = match case["function"].as_str()? {
            "get_linear_schedule_with_warmup" => SchedulerType::Linear,
            "get_cosine_schedule_with_warmup" => SchedulerType::Cosine,
            "get_cosine_with_hard_restarts_schedule_with_warmup" => SchedulerType::CosineWithRestarts,
            "get_polynomial_decay_schedule_with_warmup" => SchedulerType::Polynomial,
            "get_constant_schedule" => SchedulerType::Constant,
            "get_constant_schedule_with_warmup" => SchedulerType::ConstantWithWarmup,
            "get_inverse_sqrt_schedule" if case["timescale"].is_null() => SchedulerType::InverseSqrt,
            "get_inverse_sqrt_schedule" | "get_cosine_with_min_lr_schedule_with_warmup" | "get_wsd_schedule" => {
                return None;
            }
            other => panic!("no schedule {other}"),
        };
        let default_cycles = if kind == SchedulerType::Cosine { 0.5 } else { 1.0 };
        Some(Schedule {
            kind,
            peak: case["lr"].as_f64()?,
            warmup: case["num_warmup_steps"].as_u64().unwrap_or(0) as usize,
            total: case["num_training_steps"].as_u64().unwrap_or(0) as usize,
            cycles: case["num_cycles"].as_f64().unwrap_or(default_cycles),
            power: case["power"].as_f64().unwrap_or(1.0),
            end: case["lr_end"].as_f64().unwrap_or(1e-7),
        })
    }

    #[test]
    fn every_schedule_gives_the_rates_of_transformers() {
        let golden = golden();
        let tolerance = golden["tolerance"]["rel"].as_f64().expect("a tolerance");
        let mut compared = 0;
        for (name, case) in golden["schedules"].as_object().expect("cases") {
            let Some(schedule) = read(case) else { continue };
            compared += 1;
            for (step, want) in case["values"].as_array().expect("values").iter().enumerate() {
                let (want, got) = (want.as_f64().expect("a number"), schedule.learning_rate(step));
                let close = (got - want).abs() <= tolerance * want.abs().max(1e-12);
                assert!(close, "{name}, step {step}: {got} instead of {want}");
            }
        }
        assert!(compared > 0, "no schedule was tested");
    }
}
