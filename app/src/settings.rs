//! Every knob's value: the last good settings, and what stands in a field that cannot be used yet.

use crate::bundled;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::{Group, KNOBS, Knob, PageQuery, RunConfig};
use lorakeet_i18n::Message;
use serde_json::Value;
use std::collections::BTreeMap;

/// Knobs that the page answers by itself (where the model, the data and the adapter are), or that need a file system.
const NOT_SHOWN: [&str; 10] = [
    "model_name_or_path",
    "adapter_name_or_path",
    "train_file",
    "validation_file",
    "output_dir",
    "overwrite_output_dir",
    "save_steps",
    "save_strategy",
    "save_total_limit",
    "resume_from_checkpoint",
];

/// The knob of the task.
const TASK: &str = "task";

/// Knobs that stand with the choice of the task.
const OF_TASK: [&str; 7] = [
    "text_columns",
    "label_columns",
    "loss",
    "metric_for_best_model",
    "load_best_model_at_end",
    "scale_targets",
    "problem_type",
];

/// Which model the start values are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// The tiny one of the page.
    Bundled,
    /// One that the person brings.
    Own,
    /// A small one that starts from fresh weights.
    Small,
}

/// A field that cannot be used: its text, and why.
type Refused = BTreeMap<&'static str, (String, Error)>;

/// The settings.
#[derive(Clone, Copy)]
pub struct Settings {
    config: RwSignal<RunConfig>,
    start: RwSignal<RunConfig>,
    refused: RwSignal<Refused>,
    /// What is wrong with the settings together.
    conflict: Memo<Option<Error>>,
}

impl Settings {
    /// The settings for the tiny model.
    pub fn new() -> Self {
        let config = RwSignal::new(start(Preset::Bundled));
        Self {
            config,
            start: RwSignal::new(start(Preset::Bundled)),
            refused: RwSignal::new(Refused::new()),
            conflict: Memo::new(move |_| config.with(|config| config.validate().err())),
        }
    }

    /// Start values that suit a model; settings that were changed stay.
    pub fn start_for(self, preset: Preset) {
        let next = start(preset);
        if self.start.get_untracked() == self.config.get_untracked() {
            self.config.set(next.clone());
        }
        self.start.set(next);
    }

    /// Back to the start values.
    pub fn reset(self) {
        self.refused.set(Refused::new());
        self.config.set(self.start.get_untracked());
    }

    /// Whether a run can be made of them.
    pub fn is_valid(self) -> bool {
        self.refused.with(BTreeMap::is_empty) && self.conflict.with(Option::is_none)
    }

    /// The settings, where a run can be made of them.
    pub fn config_untracked(self) -> Option<RunConfig> {
        untrack(|| self.is_valid()).then(|| self.config.get_untracked())
    }

    /// Part of the settings; changes with them.
    pub fn with<T>(self, read: impl FnOnce(&RunConfig) -> T) -> T {
        self.config.with(read)
    }

    /// What stands in a knob's field.
    pub fn text(self, knob: &'static Knob) -> String {
        let refused = self
            .refused
            .with(|refused| refused.get(knob.name).map(|(text, _)| text.clone()));
        refused.unwrap_or_else(|| self.config.with(|config| written(config, knob)))
    }

    /// What a knob starts with.
    pub fn start_text(self, knob: &'static Knob) -> String {
        self.start.with(|start| written(start, knob))
    }

    /// What is wrong with a knob.
    pub fn error(self, knob: &'static Knob) -> Option<Error> {
        let alone = self
            .refused
            .with(|refused| refused.get(knob.name).map(|(_, error)| error.clone()));
        alone.or_else(|| {
            self.conflict
                .get()
                .filter(|error| error.field_name() == Some(knob.name))
        })
    }

    /// Takes what stands in a knob's field.
    pub fn set(self, knob: &'static Knob, text: &str) {
        let mut next = self.config.get_untracked();
        let text = text.trim();
        let set = if text.is_empty() && knob.optional() {
            next.set(knob.name, &Value::Null)
        } else {
            next.set_text(knob.name, text)
        };
        match set {
            Ok(()) => {
                self.refused.update(|refused| drop(refused.remove(knob.name)));
                self.config.set(next);
            }
            Err(error) => self
                .refused
                .update(|refused| drop(refused.insert(knob.name, (text.to_owned(), error)))),
        }
    }

    /// A knob's value; null where it is not set.
    pub fn value(self, knob: &str) -> Value {
        self.config.with(|config| config.get(knob).unwrap_or_default())
    }

    /// Sets knobs to values, all at once; what is no value of its knob is left out.
    pub fn put(self, values: &[(&'static str, Value)]) {
        let mut next = self.config.get_untracked();
        let mut taken = Vec::new();
        for (knob, value) in values {
            if next.set(knob, value).is_ok() {
                taken.push(*knob);
            }
        }
        self.refused
            .update(|refused| refused.retain(|knob, _| !taken.contains(knob)));
        self.config.set(next);
    }

    /// The run file of these settings, for a model and data of these names.
    pub fn run_file(self, model: &str, data: &str, validation: Option<String>) -> String {
        let mut config = self.config.get();
        config.model_name_or_path = model.to_owned();
        config.train_file = data.to_owned();
        config.validation_file = validation;
        config.to_yaml()
    }

    /// Writes the settings into a link, for a model and data of these names.
    pub fn put_link(self, query: &mut PageQuery, model: &str, data: &str, validation: Option<String>) {
        let mut config = self.config.get();
        config.model_name_or_path = model.to_owned();
        config.train_file = data.to_owned();
        config.validation_file = validation;
        query.put_settings(&config, &self.start.get());
    }

    /// Writes what differs from the start values into the state of a lesson, and what `opened`, its state before, had; its model and
    /// data are the lesson's own.
    pub fn put_lesson(self, query: &mut PageQuery, opened: &PageQuery) {
        let (config, start) = (self.config.get(), self.start.get());
        query.put_settings(&config, &start);
        for knob in KNOBS {
            let is_changed = config.get(knob.name) != start.get(knob.name) || opened.get(knob.name).is_some();
            if !is_changed || NOT_SHOWN.contains(&knob.name) {
                query.set(knob.name, None);
            }
        }
    }

    /// Takes the settings of a stored run.
    pub fn take(self, config: RunConfig) {
        self.refused.set(Refused::new());
        // Which model and data they are is the page's to say.
        self.config.set(RunConfig {
            model_name_or_path: String::new(),
            train_file: String::new(),
            validation_file: None,
            ..config
        });
    }

    /// Takes the settings of a link; gives back what is wrong with it.
    pub fn take_link(self, query: &PageQuery) -> Vec<Error> {
        let (config, errors) = query.settings(&self.start.get_untracked());
        self.refused.set(Refused::new());
        // Which model and data they are is the page's to say.
        self.config.set(RunConfig {
            model_name_or_path: String::new(),
            train_file: String::new(),
            ..config
        });
        errors
    }

    /// Takes the settings of a run file; gives back its remarks.
    ///
    /// # Errors
    /// What is wrong with it; the settings are then as they were.
    pub fn read_run_file(self, text: &str, name: &str) -> Result<Vec<Message>, Error> {
        let resolved = RunConfig::parse(text, name)?;
        self.refused.set(Refused::new());
        self.config.set(resolved.config);
        Ok(resolved.warnings)
    }
}

/// The few knobs that matter in every run.
pub fn essential() -> impl Iterator<Item = &'static Knob> {
    shown().filter(|knob| knob.essential)
}

/// Those that the task decides about; the task itself is chosen in words.
pub fn of_task() -> impl Iterator<Item = &'static Knob> {
    OF_TASK
        .iter()
        .filter_map(|name| shown().find(|knob| knob.name == *name))
}

/// The others, of one group.
pub fn others(group: Group) -> impl Iterator<Item = &'static Knob> {
    let of_task = |knob: &Knob| knob.name == TASK || OF_TASK.contains(&knob.name);
    shown().filter(move |knob| !knob.essential && !of_task(knob) && knob.group == group)
}

/// The knob of the task.
pub fn task() -> Option<&'static Knob> {
    KNOBS.iter().find(|knob| knob.name == TASK)
}

/// The knob that says which rows are held out where `data_seed` does not.
const SEED: &str = "seed";

/// Whether a knob has a say in the examples and in what is to be done with them.
pub fn shapes_examples(knob: &Knob) -> bool {
    knob.group == Group::Data || OF_TASK.contains(&knob.name) || knob.name == SEED
}

/// All that the page has a field for.
pub fn shown() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(|knob| !NOT_SHOWN.contains(&knob.name))
}

fn start(preset: Preset) -> RunConfig {
    let mut config = RunConfig::default();
    let settings: &[(&str, &str)] = match preset {
        Preset::Bundled => &bundled::SETTINGS,
        Preset::Own => &bundled::OWN_SETTINGS,
        Preset::Small => &bundled::SMALL_SETTINGS,
    };
    for (name, text) in settings {
        // The table is checked by a test.
        let _ = config.set_text(name, text);
    }
    config
}

fn written(config: &RunConfig, knob: &Knob) -> String {
    show(&config.get(knob.name).unwrap_or(Value::Null))
}

/// A value as a field shows it and `set_text` reads it.
pub fn show(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        Value::Object(entries) if entries.is_empty() => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    #[test]
    fn the_start_values_are_settings_that_a_run_can_be_made_of() {
        for settings in [
            &bundled::SETTINGS[..],
            &bundled::OWN_SETTINGS[..],
            &bundled::SMALL_SETTINGS[..],
        ] {
            let mut config = RunConfig::default();
            for (name, text) in settings {
                config.set_text(name, text).unwrap_or_else(|error| panic!("{error}"));
            }
            config.validate().unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn the_knobs_that_the_page_names_exist() {
        for name in NOT_SHOWN.iter().chain(&OF_TASK).chain([&TASK, &SEED]) {
            assert!(KNOBS.iter().any(|knob| knob.name == *name), "{name}");
        }
    }

    #[test]
    fn every_knob_that_is_shown_has_its_reasons_in_every_language() {
        for knob in shown() {
            for language in Language::ALL {
                let reasons = knob.reasons(language).unwrap_or_default();
                assert!(reasons.chars().count() > 40, "{}: {reasons}", knob.name);
            }
        }
    }

    #[test]
    fn every_knob_is_in_one_place_of_the_page() {
        let groups: std::collections::BTreeSet<Group> = KNOBS.iter().map(|knob| knob.group).collect();
        let elsewhere = groups.into_iter().flat_map(others);
        let mut placed: Vec<&str> = essential()
            .chain(of_task())
            .chain(task())
            .chain(elsewhere)
            .map(|knob| knob.name)
            .collect();
        placed.sort_unstable();
        let mut all: Vec<&str> = shown().map(|knob| knob.name).collect();
        all.sort_unstable();
        assert_eq!(placed, all);
    }

    #[test]
    fn what_a_field_shows_is_read_back_to_the_same_value() {
        let config = start(Preset::Bundled);
        for knob in shown() {
            let text = written(&config, knob);
            if text.is_empty() {
                continue;
            }
            let mut again = RunConfig::default();
            again
                .set_text(knob.name, &text)
                .unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(again.get(knob.name), config.get(knob.name), "{}", knob.name);
        }
    }
}
