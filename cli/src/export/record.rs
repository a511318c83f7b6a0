//! What is known of a run from its folder, for the model card of an export.

use super::{Found, SETTINGS, STATE, events, read_json, read_text};
use crate::commands::name_of;
use crate::log::cannot_read;
use lorakeet_core::error::Result;
use lorakeet_core::export::RunRecord;
use lorakeet_core::task::Task;
use lorakeet_core::train::checkpoint;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// What the run's folder says: settings, the step of the weights, scores, digests of the data.
pub(super) fn record(found: &Found) -> Result<RunRecord> {
    let mut record = RunRecord {
        task: found.run.as_ref().and_then(|run| run.task),
        pooling: found.run.as_ref().and_then(|run| run.classifier_pooling),
        most_tokens: found.run.as_ref().map(|run| run.cutoff_len),
        ..RunRecord::default()
    };
    let Some(folder) = &found.folder else {
        return Ok(record);
    };
    record.settings = read_text(&folder.join(SETTINGS))?.map(|text| without_comments(&text));
    let name = name_of(&found.path);
    record.step = checkpoint::step_of(&name).map(|step| step as u64);
    let events = events(folder)?;
    let last = |kind: &str| events.iter().rev().find(|event| event["type"] == kind);
    // Where the settings do not say it, the data did.
    let task = last("started").and_then(|event| event["task"].as_str());
    let task = task.and_then(|name| Task::ALL.into_iter().find(|task| task.name() == name));
    record.task = task.or(record.task);
    let wanted = record.step;
    let scored = events
        .iter()
        .rev()
        .find(|event| event["type"] == "eval" && wanted.is_none_or(|step| event["step"].as_u64() == Some(step)));
    if record.step.is_none() {
        let keeps_best = found.run.as_ref().is_some_and(|run| run.load_best_model_at_end);
        let of_score = scored.filter(|_| keeps_best).and_then(|score| score["step"].as_u64());
        let last_step = last("done").and_then(|event| event["steps"].as_u64());
        record.step = of_score.or(last_step);
        record.is_best = keeps_best && of_score.is_some() && of_score != last_step;
    }
    let last_step = last("done").and_then(|event| event["steps"].as_u64());
    record.is_last = record.step.is_some() && record.step == last_step;
    if let Some(score) = scored {
        record
            .scores
            .extend(score["loss"].as_f64().map(|loss| ("loss".to_owned(), loss)));
        for metric in score["metrics"].as_array().into_iter().flatten() {
            let name = metric["name"].as_str().map(str::to_owned);
            record.scores.extend(name.zip(metric["value"].as_f64()));
        }
    }
    if let Some(state) = newest_state(&found.path, folder)? {
        let inputs = &state["stateful_callbacks"]["Lorakeet"]["fingerprint"]["inputs"];
        for part in ["train_file", "validation_file"] {
            record
                .data
                .extend(inputs[part].as_str().map(|digest| (part.to_owned(), digest.to_owned())));
        }
    }
    Ok(record)
}

/// The state in a checkpoint, or in the newest one of a run.
fn newest_state(path: &Path, folder: &Path) -> Result<Option<Value>> {
    if let Some(state) = read_json(&path.join(STATE))? {
        return Ok(Some(state));
    }
    let entries = fs::read_dir(folder).map_err(|error| cannot_read(folder, &error))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let newest = names.filter_map(|name| checkpoint::step_of(&name)).max();
    match newest {
        Some(step) => read_json(&folder.join(checkpoint::folder(step)).join(STATE)),
        None => Ok(None),
    }
}

/// A YAML text without lines that are comments alone, and without paths of this machine.
fn without_comments(text: &str) -> String {
    let is_path = |line: &str| {
        let value = line
            .split_once(": ")
            .map_or("", |(_, value)| value.trim_matches(['"', '\'']));
        value.starts_with('/') || value.starts_with('~') || value.contains(":\\")
    };
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !is_path(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_machine_stay_out_of_the_card() {
        let text = "# Written by\nmodel_name_or_path: /models/mine\nlora_r: 8\ntrain_file: \"/data/x.csv\"\n";
        assert_eq!(without_comments(text), "lora_r: 8");
    }
}
