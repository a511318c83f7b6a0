//! What a run had said by the step of its checkpoint, read back from transformers' `log_history`.

use super::Progress;
use crate::protocol::{EvalInfo, Metric, StepInfo};
use serde_json::Value;
use std::collections::BTreeMap;

/// What every score's name begins with.
const EVAL: &str = "eval_";

impl Progress {
    /// The steps that were reported and the scores. Speed and memory are not written down and are 0; nor were tokens and time in
    /// earlier releases.
    pub(crate) fn history(&self) -> (Vec<StepInfo>, Vec<EvalInfo>) {
        let steps = self.log_history.iter().filter(|entry| entry.contains_key("loss"));
        let scores = self.log_history.iter().filter(|entry| entry.contains_key("eval_loss"));
        (steps.map(step).collect(), scores.map(score).collect())
    }
}

type Entry = BTreeMap<String, Value>;

/// A number of an entry; one that is not finite was written as null.
fn number(entry: &Entry, name: &str) -> f64 {
    entry.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn step_of(entry: &Entry) -> usize {
    let step = entry.get("step").and_then(Value::as_u64);
    step.and_then(|step| step.try_into().ok()).unwrap_or_default()
}

fn step(entry: &Entry) -> StepInfo {
    StepInfo {
        step: step_of(entry),
        epoch: number(entry, "epoch"),
        loss: number(entry, "loss"),
        learning_rate: number(entry, "learning_rate"),
        grad_norm: number(entry, "grad_norm"),
        tokens_per_second: 0.0,
        num_input_tokens_seen: entry
            .get("num_input_tokens_seen")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
        eta_seconds: 0.0,
        seconds: number(entry, "train_runtime"),
        device_bytes: None,
    }
}

fn score(entry: &Entry) -> EvalInfo {
    let loss = number(entry, "eval_loss");
    let metrics = entry.keys().filter_map(|key| key.strip_prefix(EVAL));
    let metrics = metrics.filter(|name| *name != "loss").map(|name| Metric {
        name: name.to_owned(),
        value: number(entry, &format!("{EVAL}{name}")),
    });
    EvalInfo {
        step: step_of(entry),
        loss,
        perplexity: loss.exp(),
        tokens: 0,
        metrics: metrics.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_logged_is_read_back() {
        let mut progress = Progress::default();
        progress.log(0.0, &[("eval_loss", 3.0), ("eval_accuracy", 0.25)]);
        (progress.step, progress.tokens_seen, progress.seconds) = (5, 640, 2.5004);
        progress.log(0.5, &[("loss", 2.25), ("learning_rate", 1e-4), ("grad_norm", f64::NAN)]);
        let (steps, scores) = progress.history();
        assert_eq!(
            (steps.len(), steps[0].step, steps[0].loss, steps[0].epoch),
            (1, 5, 2.25, 0.5)
        );
        assert!(steps[0].grad_norm.is_nan());
        assert_eq!((steps[0].num_input_tokens_seen, steps[0].seconds), (640, 2.5));
        progress.log_history[1].remove("train_runtime");
        assert!(progress.history().0[0].seconds.is_nan(), "of an earlier release");
        assert_eq!((scores.len(), scores[0].step, scores[0].loss), (1, 0, 3.0));
        assert_eq!(
            (scores[0].metrics[0].name.as_str(), scores[0].metrics[0].value),
            ("accuracy", 0.25)
        );
    }
}
