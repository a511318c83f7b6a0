//! Runs side by side, by their records: which settings differ, what they read, and how good they became by the value of a setting.

use crate::config::{KNOBS, find};
use crate::protocol::RunRecord;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Settings that say where a run is, and nothing of what it learns.
pub const PLACES: [&str; 3] = ["output_dir", "overwrite_output_dir", "resume_from_checkpoint"];

/// A setting or a number by its name, one value a run.
pub type Line<T> = (String, Vec<Option<T>>);

/// The settings whose values are not the same in all runs, in the order of the table of knobs; those that this release does not
/// know stand behind.
pub fn differing(records: &[&RunRecord]) -> Vec<Line<Value>> {
    let known: Vec<&str> = KNOBS.iter().map(|knob| knob.name).collect();
    let others = records.iter().flat_map(|record| record.settings.keys());
    let others: BTreeSet<&str> = others
        .map(String::as_str)
        .filter(|name| !known.contains(name))
        .collect();
    let names = known.into_iter().chain(others).filter(|name| !PLACES.contains(name));
    let lines = names.map(|name| {
        // What a record of an older release does not have is what it was before there was the setting.
        let of = |record: &&RunRecord| {
            record
                .settings
                .get(name)
                .cloned()
                .or_else(|| find(name).map(|knob| knob.default()))
        };
        let values = records.iter().map(of);
        (name.to_owned(), values.collect::<Vec<_>>())
    });
    lines.filter(|(_, values)| differ(values)).collect()
}

/// The fingerprints (SHA-256) of what the runs read, of which not all are the same, by the setting that names each.
pub fn differing_inputs(records: &[&RunRecord]) -> Vec<Line<String>> {
    let names: BTreeSet<&String> = records.iter().flat_map(|record| record.inputs.keys()).collect();
    let lines = names.into_iter().map(|name| {
        let digests = records.iter().map(|record| record.inputs.get(name).cloned());
        (name.clone(), digests.collect::<Vec<_>>())
    });
    lines.filter(|(_, digests)| differ(digests)).collect()
}

fn differ<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).any(|pair| pair[0] != pair[1])
}

/// Runs that have one value of a setting in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The value; none of runs that do not have the setting.
    pub value: Option<Value>,
    /// The score of each of them.
    pub scores: Vec<f64>,
}

impl Group {
    /// The mean score.
    pub fn mean(&self) -> f64 {
        self.scores.iter().sum::<f64>() / self.scores.len().max(1) as f64
    }
}

/// The runs by their value of a setting, each with its score: numbers by their size, then everything else in the order in which it
/// is met.
pub fn grouped(setting: &str, runs: &[(&RunRecord, f64)]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (record, score) in runs {
        let value = record.settings.get(setting);
        match groups.iter_mut().find(|group| group.value.as_ref() == value) {
            Some(group) => group.scores.push(*score),
            None => groups.push(Group {
                value: value.cloned(),
                scores: vec![*score],
            }),
        }
    }
    let number = |group: &Group| group.value.as_ref().and_then(Value::as_f64);
    groups.sort_by(|a, b| match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use crate::protocol::{RunInput, RunState};
    use crate::task::Task;
    use serde_json::json;

    fn record(learning_rate: f64, scheduler: &str) -> RunRecord {
        let mut config = RunConfig {
            learning_rate,
            output_dir: format!("at-{learning_rate}"),
            ..RunConfig::default()
        };
        config.set_text("lr_scheduler_type", scheduler).expect("a knob");
        RunRecord {
            id: "a".into(),
            started_ms: 1.0,
            settings: RunRecord::settings_of(&config),
            task: Task::Generation,
            sample_prompt: None,
            model: RunInput::Bundled("model".into()),
            data: RunInput::Bundled("data".into()),
            validation: None,
            adapter: None,
            state: RunState::Finished,
            summary: None,
            max_steps: None,
            inputs: [("train_file".to_owned(), "abc".to_owned())].into(),
            failure: None,
            samples: Vec::new(),
            notes: Vec::new(),
            rate_changes: Vec::new(),
            score: None,
            labels: Default::default(),
        }
    }

    #[test]
    fn only_what_differs_is_told_and_no_places() {
        let (one, other) = (record(0.001, "cosine"), record(0.01, "cosine"));
        let names = |records: &[&RunRecord]| -> Vec<String> {
            let lines = differing(records).into_iter();
            lines.map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[&one, &other]), ["learning_rate"]);
        assert!(names(&[&one, &one]).is_empty() && names(&[]).is_empty());
        // One of another release lacks a setting, and has one that nobody knows.
        let mut third = record(0.001, "cosine");
        third.settings.remove("learning_rate");
        third.settings.insert("of_tomorrow".into(), 1.into());
        assert_eq!(names(&[&one, &third]), ["learning_rate", "of_tomorrow"]);
        assert!(differing_inputs(&[&one, &other]).is_empty());
        third.inputs.clear();
        let wanted = ("train_file".to_owned(), vec![Some("abc".to_owned()), None]);
        assert_eq!(differing_inputs(&[&one, &third]), [wanted]);
    }

    #[test]
    fn runs_are_grouped_by_the_values_of_a_setting() {
        let records = [
            record(0.01, "linear"),
            record(0.001, "cosine"),
            record(0.01, "cosine"),
            record(0.1, "cosine"),
        ];
        let scores = [1.0, 2.0, 4.0, 8.0];
        let runs: Vec<(&RunRecord, f64)> = records.iter().zip(scores).collect();
        let means = |setting: &str| -> Vec<(Option<Value>, usize, f64)> {
            let groups = grouped(setting, &runs).into_iter();
            groups
                .map(|group| (group.value.clone(), group.scores.len(), group.mean()))
                .collect()
        };
        assert_eq!(
            means("learning_rate"),
            [
                (Some(json!(0.001)), 1, 2.0),
                (Some(json!(0.01)), 2, 2.5),
                (Some(json!(0.1)), 1, 8.0)
            ]
        );
        assert_eq!(
            means("lr_scheduler_type"),
            [(Some(json!("linear")), 1, 1.0), (Some(json!("cosine")), 3, 14.0 / 3.0)]
        );
        assert_eq!(means("of_tomorrow"), [(None, 4, 15.0 / 4.0)]);
    }
}
