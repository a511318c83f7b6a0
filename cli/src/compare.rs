//! `lorakeet compare`: runs side by side, by the records in their folders: the settings that differ, the final scores, and the
//! losses at the steps that all of them have.

use crate::commands::unwritable;
use crate::json;
use crate::runs::{Found, opened, table};
use crate::screen::{hand_out, hand_out_json};
use lorakeet_core::comparison::{Line, differing, differing_inputs};
use lorakeet_core::error::Result;
use lorakeet_core::protocol::{Comparison, RunRecord};
use lorakeet_i18n::messages::tuning as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// Steps at which losses are shown, at most.
const MOST_STEPS: usize = 10;

/// Shows the runs at these paths side by side.
pub async fn run(paths: &[PathBuf], json: bool) -> Result<ExitCode> {
    let mut runs = Vec::new();
    for path in paths {
        runs.push(opened(path).await?);
    }
    match json {
        true => hand_out_json(&json::line(&told(&runs)).map_err(unwritable)?)?,
        false => hand_out(&text(&runs))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a run came to on its held-out rows: the loss of the weights that it kept, and the task's metrics; of one that wrote no
/// report, its last score.
pub fn final_scores(run: &Found) -> Vec<(String, f64)> {
    let last = run.last("eval");
    let summary = run.record.summary.as_ref();
    let loss = summary.and_then(|summary| summary.eval_loss_after);
    let loss = loss
        .or_else(|| last?["loss"].as_f64())
        .map(|loss| ("eval_loss".to_owned(), loss));
    let metrics = run.last("report").or(last).map(|event| &event["metrics"]);
    let metrics = metrics.and_then(Value::as_array).into_iter().flatten();
    let metrics = metrics.filter_map(|metric| Some((metric["name"].as_str()?.to_owned(), metric["value"].as_f64()?)));
    loss.into_iter().chain(metrics).collect()
}

/// A metric of a run's report against the best baseline, and the interval of the difference.
fn gain(run: &Found) -> Option<(&str, &str, Comparison)> {
    let report = run.last("report")?;
    let comparison = serde_json::from_value(report["comparison"].clone()).ok()?;
    Some((report["metric"].as_str()?, report["against"].as_str()?, comparison))
}

/// The scores of all runs by their names, in the order in which they are met.
fn scores(runs: &[Found]) -> Vec<Line<f64>> {
    let all: Vec<Vec<(String, f64)>> = runs.iter().map(final_scores).collect();
    let mut names: Vec<String> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let line = |name: String| {
        let values = all.iter().map(|of_run| {
            let found = of_run.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| *value)
        });
        let values: Vec<Option<f64>> = values.collect();
        (name, values)
    };
    names.into_iter().map(line).collect()
}

/// The losses of events of a kind at steps that all runs have, at most ten of them.
fn losses(runs: &[Found], kind: &str) -> Vec<(u64, Vec<f64>)> {
    let of_run = |run: &Found| -> BTreeMap<u64, f64> {
        let events = run.events.iter().filter(|event| event["type"] == kind);
        events
            .filter_map(|event| Some((event["step"].as_u64()?, event["loss"].as_f64()?)))
            .collect()
    };
    let all: Vec<BTreeMap<u64, f64>> = runs.iter().map(of_run).collect();
    let Some((first, others)) = all.split_first() else {
        return Vec::new();
    };
    let common: Vec<u64> = first
        .keys()
        .copied()
        .filter(|step| others.iter().all(|other| other.contains_key(step)))
        .collect();
    // The last one is always among them.
    let shown = common.len().min(MOST_STEPS);
    let steps = (1..=shown).map(|place| common[place * common.len() / shown - 1]);
    steps
        .map(|step| {
            (
                step,
                all.iter().filter_map(|losses| losses.get(&step).copied()).collect(),
            )
        })
        .collect()
}

/// What to know before scores are compared.
fn notes(runs: &[Found]) -> Vec<Message> {
    let mut notes = Vec::new();
    let unfinished: Vec<String> = runs
        .iter()
        .filter(|run| run.state() != "finished")
        .map(|run| format!("{} ({})", run.folder.display(), run.state()))
        .collect();
    if !unfinished.is_empty() {
        let runs = Field::list(unfinished);
        notes.push(msg::NotFinished { runs }.into());
    }
    let records: Vec<&RunRecord> = runs.iter().map(|run| &run.record).collect();
    let inputs = differing_inputs(&records);
    let differs = |input: &str| inputs.iter().any(|(name, _)| name == input);
    for name in [
        "model_name_or_path",
        "adapter_name_or_path",
        "train_file",
        "validation_file",
    ] {
        let values: Vec<Option<&Value>> = runs.iter().map(|run| run.record.settings.get(name)).collect();
        let is_same = values.windows(2).all(|pair| pair[0] == pair[1]);
        if is_same && differs(name) {
            notes.push(msg::InputDiffers { name }.into());
        }
    }
    if differs("rows") {
        notes.push(msg::RowsDiffer.into());
    }
    notes
}

fn told(runs: &[Found]) -> Value {
    let records: Vec<&RunRecord> = runs.iter().map(|run| &run.record).collect();
    let of_run = |run: &Found| {
        let gain = gain(run).map(
            |(metric, against, comparison)| json!({ "metric": metric, "against": against, "comparison": comparison }),
        );
        json!({
            "folder": run.folder.display().to_string(), "id": run.record.id, "state": run.state(), "step": run.step(),
            "scores": final_scores(run).into_iter().collect::<BTreeMap<_, _>>(), "gain": gain,
        })
    };
    let settings = differing(&records).into_iter();
    let at_steps = |kind: &str| -> Vec<Value> {
        let lines = losses(runs, kind).into_iter();
        lines
            .map(|(step, values)| json!({ "step": step, "values": values }))
            .collect()
    };
    json!({
        "type": "comparison",
        "runs": runs.iter().map(of_run).collect::<Vec<_>>(),
        "settings": settings.map(|(name, values)| json!({ "name": name, "values": values })).collect::<Vec<_>>(),
        "losses": at_steps("step"),
        "eval_losses": at_steps("eval"),
        "notes": notes(runs),
    })
}

fn text(runs: &[Found]) -> String {
    let records: Vec<&RunRecord> = runs.iter().map(|run| &run.record).collect();
    let mut rows = vec![
        row("", runs.iter().map(|run| run.folder.display().to_string())),
        row("state", runs.iter().map(|run| run.state().to_owned())),
        row("steps", runs.iter().map(|run| run.step().to_string())),
    ];
    rows.push(vec!["settings that differ".to_owned()]);
    let settings = differing(&records);
    if settings.is_empty() {
        rows.push(vec!["  none".to_owned()]);
    }
    for (name, values) in settings {
        let cells = values.iter().map(|value| shown(value.as_ref()));
        rows.push(row(&format!("  {name}"), cells));
    }
    rows.push(vec!["final scores".to_owned()]);
    for (name, values) in scores(runs) {
        let cells = values
            .into_iter()
            .map(|value| value.map_or("–".to_owned(), |value| format!("{value:.4}")));
        rows.push(row(&format!("  {name}"), cells));
    }
    let gains: Vec<_> = runs.iter().map(gain).collect();
    if gains.iter().any(Option::is_some) {
        let cells = gains.into_iter().map(gain_cell);
        rows.push(row("  against the best baseline", cells));
    }
    for (title, kind) in [("training loss at step", "step"), ("held-out loss at step", "eval")] {
        let lines = losses(runs, kind);
        if lines.is_empty() {
            continue;
        }
        rows.push(vec![title.to_owned()]);
        for (step, values) in lines {
            let cells = values.into_iter().map(|loss| format!("{loss:.4}"));
            rows.push(row(&format!("  {step}"), cells));
        }
    }
    let mut text = table(&rows);
    for note in notes(runs) {
        text.push_str(&format!("{}\n", note.english()));
    }
    text
}

/// A row of the table: its name and a cell for each run.
fn row(name: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(name.to_owned()).chain(cells).collect()
}

/// `accuracy +0.1200 [0.0500, 0.2000]`.
fn gain_cell(gain: Option<(&str, &str, Comparison)>) -> String {
    gain.map_or("–".to_owned(), |(metric, against, comparison)| {
        let Comparison {
            difference, low, high, ..
        } = comparison;
        format!("{metric} {difference:+.4} [{low:+.4}, {high:+.4}] against {against}")
    })
}

/// A setting's value in a cell.
pub fn shown(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(Value::Null) => "not given".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
