//! The baselines that were measured before a run, as the page knows them.

use crate::settings::Settings;
use leptos::prelude::*;
use lorakeet_core::config::{Group, KNOBS, RunConfig};
use lorakeet_core::protocol::{Baseline, MeasuredBaselines};

/// Of the knobs beside those of model and data, the ones that have a part in rows, metrics or scores.
const OTHERS_IN_SCORES: [&str; 5] = [
    "loss",
    "seed",
    "metric_for_best_model",
    "predict_with_generate",
    "max_predict_samples",
];
/// Of the knobs of the model, those that change how a run begins and not what it has to beat.
const OF_START: [&str; 2] = ["head_init", "classifier_dropout"];

/// What was measured.
#[derive(Clone, Copy)]
pub struct Measured {
    /// Where it stands.
    pub state: RwSignal<Measuring>,
    /// The settings that it was begun with.
    pub settings: RwSignal<Option<RunConfig>>,
}

/// Where the measuring stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Measuring {
    /// There is none, or it was stopped.
    #[default]
    None,
    /// Another tab trains.
    Elsewhere,
    /// It goes; what is there already.
    UnderWay(Vec<Baseline>),
    /// What it came to.
    Done(MeasuredBaselines),
}

impl Measured {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            state: RwSignal::new(Measuring::None),
            settings: RwSignal::new(None),
        }
    }

    /// Whether it is under way.
    pub fn is_under_way(self) -> bool {
        self.state.with(|state| matches!(state, Measuring::UnderWay(_)))
    }

    /// Some of the scores are there.
    pub fn scored(self, scores: Vec<Baseline>) {
        self.state.update(|state| {
            if let Measuring::UnderWay(known) = state {
                known.extend(scores);
            }
        });
    }

    /// What it came to, as long as the settings that matter are those that it was begun with.
    pub fn found(self, settings: Settings) -> Option<MeasuredBaselines> {
        let is_of_these = self.settings.with(|measured| {
            let measured = measured.as_ref();
            measured.is_some_and(|measured| settings.with(|now| what_matters(now) == what_matters(measured)))
        });
        match self.state.get() {
            Measuring::Done(found) if is_of_these => Some(found),
            _ => None,
        }
    }

    /// The scores that are there, of these settings.
    pub fn scores(self, settings: Settings) -> Vec<Baseline> {
        match self.state.get() {
            Measuring::UnderWay(scores) => scores,
            _ => self.found(settings).map(|found| found.scores).unwrap_or_default(),
        }
    }
}

/// The settings with what changes no score at its default.
fn what_matters(config: &RunConfig) -> RunConfig {
    let mut kept = config.clone();
    for knob in KNOBS {
        let is_of_input = matches!(knob.group, Group::Model | Group::Data) && !OF_START.contains(&knob.name);
        if !is_of_input && !OTHERS_IN_SCORES.contains(&knob.name) {
            // Its default is a value of each knob.
            let _ = kept.set(knob.name, &knob.default());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::config::HeadInit;

    #[test]
    fn scores_stay_until_what_they_are_made_of_changes() {
        let measured = RunConfig::default();
        let same = RunConfig {
            learning_rate: 0.5,
            lora_r: measured.lora_r + 1,
            max_steps: 0,
            head_init: HeadInit::Probe,
            ..measured.clone()
        };
        assert_eq!(what_matters(&same), what_matters(&measured));
        let cut = RunConfig {
            cutoff_len: measured.cutoff_len + 1,
            ..measured.clone()
        };
        let seed = RunConfig {
            seed: measured.seed + 1,
            ..measured.clone()
        };
        let metric = RunConfig {
            metric_for_best_model: Some("f1_macro".to_owned()),
            ..measured.clone()
        };
        for other in [cut, seed, metric] {
            assert_ne!(what_matters(&other), what_matters(&measured));
        }
    }

    #[test]
    fn the_knobs_that_are_named_are_knobs() {
        for name in OTHERS_IN_SCORES.iter().chain(&OF_START) {
            assert!(KNOBS.iter().any(|knob| knob.name == *name), "{name}");
        }
    }
}
