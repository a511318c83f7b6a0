//! Advice on the settings as the page knows it: what is recommended and what was taken of it, cautions, and the search for a
//! learning rate.

use crate::settings::Settings;
use leptos::prelude::*;
use lorakeet_core::advice::{Advice, Caution, Doubt, Recommendation};
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{RateSearch, StepInfo};
use serde_json::Value;
use std::collections::BTreeMap;

/// What the engine advises for the model, the data and the settings.
#[derive(Clone, Copy)]
pub struct Advised {
    /// The newest, where there is one.
    pub found: RwSignal<Option<Advice>>,
    /// Rows that a run would train on.
    pub rows: RwSignal<Option<usize>>,
    /// The search for a learning rate.
    pub search: RwSignal<Search>,
    /// The settings that it was begun with.
    pub searched: RwSignal<Option<RunConfig>>,
    /// What stood in the knobs that were set as recommended.
    used: RwSignal<BTreeMap<&'static str, Value>>,
}

/// Where the search for a learning rate stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Search {
    /// There is none, or it was stopped.
    #[default]
    None,
    /// Another tab trains.
    Elsewhere,
    /// It goes; its newest step.
    UnderWay(Option<StepInfo>),
    /// What it found.
    Done(RateSearch),
}

impl Advised {
    /// None yet.
    pub fn new() -> Self {
        Self {
            found: RwSignal::new(None),
            rows: RwSignal::new(None),
            search: RwSignal::new(Search::None),
            searched: RwSignal::new(None),
            used: RwSignal::new(BTreeMap::new()),
        }
    }

    /// There is none for what is loaded now.
    pub fn forget(self) {
        self.found.set(None);
        self.rows.set(None);
        self.forget_used();
    }

    /// The settings are others: nothing is taken back.
    pub fn forget_used(self) {
        self.used.set(BTreeMap::new());
    }

    /// Whether a search is under way.
    pub fn is_searching(self) -> bool {
        self.search.with(|search| matches!(search, Search::UnderWay(_)))
    }

    /// Whether the settings are those that the search was begun with, but for the rate that it is about.
    pub fn is_of(self, settings: Settings) -> bool {
        let is_it = |searched: &RunConfig| settings.with(|now| is_same_but_for_rate(now, searched));
        self.searched.with(|searched| searched.as_ref().is_some_and(is_it))
    }

    /// The names of the knobs that there is a recommendation for.
    pub fn knobs(self) -> Vec<&'static str> {
        let names = |found: &Advice| found.settings.iter().map(|one| one.knob).collect::<Vec<_>>();
        self.found.with(|found| found.as_ref().map(names).unwrap_or_default())
    }

    /// What is recommended for a knob.
    pub fn of(self, knob: &str) -> Option<Recommendation> {
        let one = |found: &Advice| found.settings.iter().find(|one| one.knob == knob).cloned();
        self.found.with(|found| found.as_ref().and_then(one))
    }

    /// The cautions.
    pub fn cautions(self) -> Vec<Caution> {
        self.found
            .with(|found| found.as_ref().map(|found| found.cautions.clone()).unwrap_or_default())
    }

    /// The recommendations that the settings differ from.
    pub fn differing(self, settings: Settings) -> Vec<(&'static str, Value)> {
        let differs = |one: &&Recommendation| settings.value(one.knob) != one.value;
        let wanted = |found: &Advice| {
            let differing = found.settings.iter().filter(differs);
            differing.map(|one| (one.knob, one.value.clone())).collect::<Vec<_>>()
        };
        self.found.with(|found| found.as_ref().map(wanted).unwrap_or_default())
    }

    /// Sets knobs as recommended, or as a caution has it.
    pub fn take(self, settings: Settings, values: &[(&'static str, Value)]) {
        untrack(|| {
            self.used.update(|used| {
                for (knob, _) in values {
                    used.insert(*knob, settings.value(knob));
                }
            });
        });
        settings.put(values);
    }

    /// Sets a knob back to what it was, or all of them.
    pub fn undo(self, settings: Settings, knob: Option<&'static str>) {
        let (mut back, mut left) = (Vec::new(), BTreeMap::new());
        for (name, value) in self.used.get_untracked() {
            if knob.is_none_or(|knob| knob == name) {
                back.push((name, value));
            } else {
                left.insert(name, value);
            }
        }
        self.used.set(left);
        settings.put(&back);
    }

    /// Whether a knob was set as recommended; of none, any.
    pub fn is_used(self, knob: Option<&str>) -> bool {
        self.used.with(|used| match knob {
            Some(knob) => used.contains_key(knob),
            None => !used.is_empty(),
        })
    }

    /// Why tuning may not be worth it, by what is loaded.
    pub fn doubts(self) -> Vec<Doubt> {
        self.found
            .with(|found| found.as_ref().map(|found| found.doubts.clone()).unwrap_or_default())
    }

    /// A step of the search is done.
    pub fn stepped(self, step: StepInfo) {
        self.search.update(|search| {
            if let Search::UnderWay(newest) = search {
                *newest = Some(step);
            }
        });
    }
}

fn is_same_but_for_rate(one: &RunConfig, other: &RunConfig) -> bool {
    let learning_rate = other.learning_rate;
    let one = RunConfig {
        learning_rate,
        ..one.clone()
    };
    one == *other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_settings_that_it_was_searched_with_whatever_the_rate_is_now() {
        let searched = RunConfig::default();
        let rate = RunConfig {
            learning_rate: 0.5,
            ..searched.clone()
        };
        let rank = RunConfig {
            lora_r: searched.lora_r + 1,
            ..searched.clone()
        };
        assert!(is_same_but_for_rate(&rate, &searched));
        assert!(!is_same_but_for_rate(&rank, &searched));
    }
}
