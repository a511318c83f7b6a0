//! A run file that says what to sweep: one with a key `sweep`, a map from knobs to lists of their values.
//!
//! ```yaml
//! model_name_or_path: gpt2
//! train_file: rows.csv
//! sweep:
//!   learning_rate: [1e-4, 3e-4]
//!   target_modules: [all-linear, [q_proj, v_proj]]
//! ```

use super::read::{self, Entry, Node};
use super::{Resolved, RunConfig, SweptKnob, trainers};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::tuning as msg;

/// The key.
const SWEEP: &str = "sweep";

impl RunConfig {
    /// Reads a run file as [`RunConfig::parse`] does, and what its key `sweep` names, where it has one. Whether the knobs take the
    /// values is for whoever puts them on top.
    ///
    /// # Errors
    /// As [`RunConfig::parse`]; a key `sweep` that is no map of lists.
    pub fn parse_sweep(text: &str, file_name: &str) -> Result<(Resolved, Vec<SweptKnob>)> {
        let (swept, entries): (Vec<Entry>, Vec<Entry>) = read::entries(text, file_name)?
            .into_iter()
            .partition(|entry| entry.key == SWEEP);
        let mut knobs = Vec::new();
        for entry in swept {
            let found = of_node(&entry.value);
            let wrong = || {
                let error = Error::config(msg::MapOfLists).field(SWEEP).row(entry.line);
                error.file(file_name).remedy(msg::SweepForExample)
            };
            knobs.extend(found.ok_or_else(wrong)?);
        }
        let dataset_dir = trainers::reading::dataset_dir(&entries);
        let (entries, notes) = trainers::reading::translated(entries).map_err(|error| error.file(file_name))?;
        let file = (!file_name.is_empty()).then(|| file_name.to_owned());
        let resolved = Self::of_entries(entries, notes, file)?;
        let resolved = Resolved {
            dataset_dir,
            ..resolved
        };
        Ok((resolved, knobs))
    }
}

fn of_node(node: &Node) -> Option<Vec<SweptKnob>> {
    let Node::Map(knobs) = node else { return None };
    let knob = |(name, values): &(String, Node)| {
        let Node::List(values) = values else { return None };
        let values = values.iter().map(written).collect::<Option<Vec<_>>>()?;
        (!values.is_empty()).then(|| (name.clone(), values))
    };
    knobs.iter().map(knob).collect()
}

/// A value as a flag has it: a text as it is, a list of texts in brackets, those in quotes that are in the file or have commas.
fn written(node: &Node) -> Option<String> {
    match node {
        Node::Plain(text) | Node::Quoted(text) => Some(text.clone()),
        Node::List(items) => {
            let items = items.iter().map(|item| match item {
                Node::Plain(text) if !text.contains(',') => Some(text.clone()),
                Node::Plain(text) | Node::Quoted(text) => Some(format!("'{}'", text.replace('\'', "''"))),
                _ => None,
            });
            Some(format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(", ")))
        }
        Node::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use serde_json::json;

    #[test]
    fn a_run_file_says_what_to_sweep() {
        let text = "train_file: rows.csv\nlora_r: 4\nsweep:\n  learning_rate: [1e-4, 3.0e-4]\n  target_modules: [all-linear, [q_proj, v_proj]]\n";
        let (resolved, knobs) = RunConfig::parse_sweep(text, "sweep.yaml").expect("a sweep");
        assert_eq!((resolved.config.lora_r, resolved.config.lora_alpha), (4, 8.0));
        let knob = |name: &str, values: [&str; 2]| (name.to_owned(), values.map(str::to_owned).to_vec());
        let wanted = [
            knob("learning_rate", ["1e-4", "3.0e-4"]),
            knob("target_modules", ["all-linear", "[q_proj, v_proj]"]),
        ];
        assert_eq!(knobs, wanted);
        // Commas of a pattern are its own.
        let (one, two) = (r".*layers\.(1|2){1,2}\..*q_proj", "it's.{1,2}");
        let quoted = two.replace('\'', "''");
        let text = format!("sweep:\n  target_modules: ['{one}', ['{quoted}', v_proj], 'q_proj, v_proj']\n");
        let (resolved, knobs) = RunConfig::parse_sweep(&text, "sweep.yaml").expect("a sweep");
        let [(knob, values)] = &knobs[..] else {
            panic!("one knob: {knobs:?}")
        };
        let modules = values.iter().map(|value| {
            let mut resolved = resolved.clone();
            let set = resolved.overlay([(knob.as_str(), value.as_str())], &Source::Flag);
            set.unwrap_or_else(|error| panic!("{value}: {error}"));
            resolved.config.get(knob)
        });
        let wanted = [json!(one), json!([two, "v_proj"]), json!(["q_proj", "v_proj"])];
        assert_eq!(modules.collect::<Vec<_>>(), wanted.map(Some));
        let (_, none) = RunConfig::parse_sweep("lora_r: 4\n", "run.yaml").expect("a run");
        assert!(none.is_empty());
    }

    #[test]
    fn what_is_no_map_of_lists_is_refused_with_its_line() {
        for sweep in ["4", "[1, 2]", "{lora_r: 4}", "{lora_r: []}", "{lora_r: [{a: 1}]}"] {
            let text = format!("lora_r: 4\nsweep: {sweep}\n");
            let error = RunConfig::parse_sweep(&text, "sweep.yaml").expect_err("no sweep");
            assert_eq!(
                (error.row, error.field_name()),
                (Some(2), Some("sweep")),
                "{sweep}: {error}"
            );
            assert_eq!(error.file.as_deref(), Some("sweep.yaml"));
        }
        let error = RunConfig::parse("sweep: {lora_r: [4, 8]}\n", "run.yaml").expect_err("it is no run file");
        assert_eq!(error.field_name(), Some("sweep"));
    }
}
