//! What to do after a run: by its verdict, its curves and its settings, the one thing that is most likely to help.

use crate::curves::Curves;
use lorakeet_core::config::{HeadInit, RunConfig};
use lorakeet_core::protocol::{Baseline, BaselineKind, Report, Verdict};
use std::cmp::Ordering;

/// What a rise of the validation loss has to be, as a share of the lowest, before it counts.
const RISE: f64 = 0.02;
/// What the training loss has to fall by from the third quarter of the run to the last, as a share, to be still falling.
const FALL: f64 = 0.02;
/// Fewer steps than these make no quarters.
const LEAST_STEPS: usize = 8;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Take it: it is better.
    Export,
    /// A probe on the base model was as good: start from it, or keep it.
    Probe,
    /// The loss did not fall.
    LowerRate,
    /// The validation loss had been lower: the best weights, or fewer epochs.
    Best,
    /// Both losses were still falling.
    Longer,
    /// None of this: another learning rate.
    SearchRate,
}

impl Next {
    /// The knob that it turns.
    pub fn knob(self) -> Option<&'static str> {
        match self {
            Self::Export => None,
            Self::Probe => Some("head_init"),
            Self::LowerRate | Self::SearchRate => Some("learning_rate"),
            Self::Best => Some("load_best_model_at_end"),
            Self::Longer => Some("num_train_epochs"),
        }
    }
}

/// What to do after a run with this report, these curves and these settings.
pub fn after(report: &Report, curves: &Curves, settings: &RunConfig) -> Next {
    if report.verdict == Some(Verdict::Better) {
        return Next::Export;
    }
    let is_probe = |kind| matches!(kind, BaselineKind::LinearProbe | BaselineKind::NearestCentroid);
    match quarters(curves) {
        _ if rival(report).is_some_and(|rival| is_probe(rival.kind)) && settings.head_init != HeadInit::Probe => {
            Next::Probe
        }
        // What is no number is not below anything.
        Some([first, _, last]) if last.partial_cmp(&first) != Some(Ordering::Less) => Next::LowerRate,
        _ if has_risen(curves) && !settings.load_best_model_at_end => Next::Best,
        Some([_, third, last]) if third - last > FALL * third.abs() && !has_risen(curves) => Next::Longer,
        _ => Next::SearchRate,
    }
}

/// The best of the baselines.
pub fn rival(report: &Report) -> Option<&Baseline> {
    // A report that came with a link names it by its name in events.
    let is_it = |one: &&Baseline| one.kind.to_string() == report.against || one.name == report.against;
    report.baselines.iter().find(is_it)
}

/// The mean training losses of the first, the third and the last quarter of the steps.
fn quarters(curves: &Curves) -> Option<[f64; 3]> {
    let losses: Vec<f64> = curves.steps.iter().map(|step| step.loss).collect();
    if losses.len() < LEAST_STEPS {
        return None;
    }
    let quarter = |place: usize| {
        let part = &losses[losses.len() * place / 4..losses.len() * (place + 1) / 4];
        part.iter().sum::<f64>() / part.len() as f64
    };
    Some([quarter(0), quarter(2), quarter(3)])
}

/// Whether the validation loss ended above its lowest.
fn has_risen(curves: &Curves) -> bool {
    let losses = curves.evals.iter().map(|eval| eval.loss);
    let lowest = losses.clone().fold(f64::INFINITY, f64::min);
    let mut newest_first = losses.rev();
    newest_first
        .next()
        .is_some_and(|last| last > lowest + RISE * lowest.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::{EvalInfo, StepInfo};
    use serde_json::json;

    fn report(verdict: Verdict, against: BaselineKind) -> Report {
        let baseline = Baseline {
            kind: against,
            name: against.name().to_owned(),
            metrics: Vec::new(),
        };
        let sentence = against.message();
        let value = json!({
            "task": "classification", "metric": "accuracy", "metrics": [], "baselines": [baseline],
            "against": against.to_string(), "comparison": null, "verdict": verdict, "sentence": sentence,
        });
        serde_json::from_value(value).expect("a report")
    }

    fn curves(losses: &[f64], evals: &[f64]) -> Curves {
        let step = |(place, loss): (usize, &f64)| StepInfo {
            step: place + 1,
            epoch: 0.0,
            loss: *loss,
            learning_rate: 1e-3,
            grad_norm: 1.0,
            tokens_per_second: 1.0,
            num_input_tokens_seen: 1,
            eta_seconds: 0.0,
            seconds: 0.0,
            device_bytes: None,
        };
        let eval = |(place, loss): (usize, &f64)| EvalInfo {
            step: place,
            loss: *loss,
            perplexity: loss.exp(),
            tokens: 1,
            metrics: Vec::new(),
        };
        Curves {
            steps: losses.iter().enumerate().map(step).collect(),
            evals: evals.iter().enumerate().map(eval).collect(),
            max_steps: losses.len(),
        }
    }

    const FALLING: [f64; 8] = [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0];
    const SETTLED: [f64; 8] = [8.0, 4.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0];

    #[test]
    fn what_is_better_is_taken_and_a_probe_that_wins_is_kept() {
        let settings = RunConfig::default();
        let curves = curves(&FALLING, &[]);
        let better = report(Verdict::Better, BaselineKind::LinearProbe);
        assert_eq!(after(&better, &curves, &settings), Next::Export);
        let open = report(Verdict::NotDistinguishable, BaselineKind::LinearProbe);
        assert_eq!(after(&open, &curves, &settings), Next::Probe);
        // It starts from the probe already.
        let from_probe = RunConfig {
            head_init: HeadInit::Probe,
            ..settings
        };
        assert_eq!(after(&open, &curves, &from_probe), Next::Longer);
    }

    #[test]
    fn the_curves_tell_what_to_turn() {
        let settings = RunConfig::default();
        let worse = report(Verdict::Worse, BaselineKind::MajorityClass);
        let of = |losses: &[f64], evals: &[f64]| after(&worse, &curves(losses, evals), &settings);
        assert_eq!(of(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[]), Next::LowerRate);
        assert_eq!(of(&[f64::NAN; 8], &[]), Next::LowerRate);
        assert_eq!(of(&FALLING, &[3.0, 1.0, 2.0]), Next::Best);
        assert_eq!(of(&FALLING, &[3.0, 2.0, 1.0]), Next::Longer);
        assert_eq!(of(&SETTLED, &[3.0, 1.0, 1.0]), Next::SearchRate);
        assert_eq!(of(&FALLING[..3], &[]), Next::SearchRate);
        let keeps_best = RunConfig {
            load_best_model_at_end: true,
            ..RunConfig::default()
        };
        let curves = curves(&FALLING, &[3.0, 1.0, 2.0]);
        assert_eq!(after(&worse, &curves, &keeps_best), Next::SearchRate);
    }

    #[test]
    fn what_is_to_be_turned_is_a_knob() {
        for next in [Next::Probe, Next::LowerRate, Next::Best, Next::Longer, Next::SearchRate] {
            let knob = next.knob().expect("it turns one");
            assert!(lorakeet_core::config::find(knob).is_some(), "{knob}");
        }
    }
}
