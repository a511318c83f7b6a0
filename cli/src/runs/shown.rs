//! What `lorakeet show` prints of a run, for programs and in words.

use super::{Found, table, when};
use crate::log::{self, LOG};
use crate::output::RESULTS;
use crate::screen::{size, verdict};
use lorakeet_core::config::KNOBS;
use lorakeet_core::error::Error;
use lorakeet_core::protocol::{Metric, Report, RunInput};
use lorakeet_core::train::checkpoint;
use serde_json::{Value, json};

impl Found {
    /// Its settings: name, value, default; those that differ from their defaults first, then in the order of the table. Those
    /// that this release does not know stand first.
    fn settings(&self) -> Vec<(&str, &Value, Option<Value>)> {
        let of_table = KNOBS.iter().filter_map(|knob| {
            let value = self.record.settings.get(knob.name)?;
            Some((knob.name, value, Some(knob.default())))
        });
        let is_known = |name: &str| KNOBS.iter().any(|knob| knob.name == name);
        let unknown = self.record.settings.iter().filter(|(name, _)| !is_known(name));
        let unknown = unknown.map(|(name, value)| (name.as_str(), value, None));
        let mut settings: Vec<_> = unknown.chain(of_table).collect();
        settings.sort_by_key(|(_, value, default)| default.as_ref() == Some(*value));
        settings
    }

    /// What it left besides checkpoints, settings and log, and how large each is.
    fn results(&self) -> Vec<(&str, u64)> {
        let files = self
            .files
            .iter()
            .map(|(path, source)| (path.as_str(), source.len_bytes()));
        files.filter(|(path, _)| RESULTS.contains(path)).collect()
    }

    /// All of it for programs.
    pub(super) fn json(&self, checkpoints: &[(usize, u64, Option<Error>)]) -> Value {
        let mut value = self.summary();
        let settings = self.settings().into_iter().map(|(name, value, default)| {
            let differs = default.as_ref() != Some(value);
            json!({ "name": name, "value": value, "default": default, "differs": differs })
        });
        let checkpoints = checkpoints.iter().map(|(step, bytes, damage)| {
            let why = damage.as_ref().map(ToString::to_string);
            json!({ "step": step, "bytes": bytes, "whole": damage.is_none(), "why": why })
        });
        let results = self.results().into_iter();
        let steps = self.events.iter().filter(|event| event["type"] != "report");
        value["type"] = "run".into();
        value["folder"] = self.folder.display().to_string().into();
        value["writer"] = json!(
            self.writer
                .as_ref()
                .map(|writer| json!({ "process": writer.process, "host": writer.host }))
        );
        value["failure"] = json!(self.record.failure);
        value["sample_prompt"] = json!(self.record.sample_prompt);
        value["data"] = json!(self.record.data);
        value["validation"] = json!(self.record.validation);
        value["summary"] = json!(self.record.summary);
        value["settings"] = settings.collect();
        value["inputs"] = json!(self.record.inputs);
        value["events"] = steps.cloned().collect();
        value["damaged_log_lines"] = self.damaged_lines.into();
        value["checkpoints"] = checkpoints.collect();
        value["report"] = match self.report() {
            Some(report) => json!(report),
            None => self.last("report").cloned().unwrap_or_default(),
        };
        value["notes"] = json!(self.record.notes);
        value["files"] = results
            .map(|(name, bytes)| json!({ "name": name, "bytes": bytes }))
            .collect();
        value
    }

    /// All of it in words.
    pub(super) fn text(&self, checkpoints: &[(usize, u64, Option<Error>)]) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| text.push_str(&format!("{name:<9}{value}\n"));
        line("run", format!("{} ({})", self.folder.display(), self.record.id));
        let labels = &self.record.labels;
        if let Some(name) = &labels.name {
            line("name", name.clone());
        }
        if !labels.tags.is_empty() {
            line("tags", labels.tags.join(", "));
        }
        line("started", format!("{} UTC", when(self.record.started_ms)));
        let by = self.writer.as_ref().filter(|_| self.state() == "under way");
        let by = by
            .map(|writer| format!(": {}", writer.in_use().english()))
            .unwrap_or_default();
        line("state", format!("{}, step {}{by}", self.state(), self.steps_line()));
        if let Some(failure) = &self.record.failure {
            line("", failure.to_string());
        }
        line("task", self.record.task.to_string());
        line("model", self.model());
        for (name, input) in [
            ("data", Some(&self.record.data)),
            ("held out", self.record.validation.as_ref()),
        ] {
            match input {
                Some(RunInput::Bundled(data)) => line(name, data.clone()),
                Some(RunInput::Files(files)) => {
                    let files: Vec<String> = files
                        .iter()
                        .map(|file| format!("{} ({})", file.name, size(file.bytes)))
                        .collect();
                    line(name, files.join(", "));
                }
                None => {}
            }
        }
        line("scores", self.scores_line());
        line("size", size(self.bytes()));

        let (differing, usual): (Vec<_>, Vec<_>) = self
            .settings()
            .into_iter()
            .partition(|(_, value, default)| default.as_ref() != Some(*value));
        text.push_str("\nsettings that differ from their defaults\n");
        for (name, value, default) in differing {
            let default = default
                .map(|default| format!("  (default {default})"))
                .unwrap_or_default();
            text.push_str(&format!("  {name}: {value}{default}\n"));
        }
        text.push_str("\nsettings at their defaults\n");
        for (name, value, _) in usual {
            text.push_str(&format!("  {name}: {value}\n"));
        }
        text.push_str(
            "\nread (SHA-256; of a model config.json and all weights, or a sample of each where it says so; rows: tokens in \
             their order)\n",
        );
        for (name, digest) in &self.record.inputs {
            text.push_str(&format!("  {name:<22}{digest}\n"));
        }
        text.push_str("\nevents\n");
        self.events
            .iter()
            .filter_map(log::shown)
            .for_each(|line| text.push_str(&format!("  {line}\n")));
        if self.damaged_lines > 0 {
            text.push_str(&format!("  {} lines of {LOG} cannot be read\n", self.damaged_lines));
        }
        text.push_str("\ncheckpoints\n");
        for (step, bytes, damage) in checkpoints {
            let state = damage
                .as_ref()
                .map_or("whole".to_owned(), |why| format!("damaged: {why}"));
            text.push_str(&format!(
                "  {:<18}{:>10}  {state}\n",
                checkpoint::folder(*step),
                size(*bytes)
            ));
        }
        if let Some(report) = self.report() {
            text.push_str("\nreport\n");
            let lines = verdict(&report, &self.points("eval")) + &scores(&report);
            lines.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
        }
        if !self.record.notes.is_empty() {
            text.push_str("\nnotes\n");
        }
        for note in &self.record.notes {
            text.push_str(&format!("  {}\n", note.english()));
        }
        text.push_str("\nfiles\n");
        for (name, bytes) in self.results() {
            text.push_str(&format!("  {name:<28}{:>10}\n", size(bytes)));
        }
        text
    }
}

/// A run's scores beside those that needed no training.
fn scores(report: &Report) -> String {
    let value = |metrics: &[Metric], name: &str| {
        Metric::value_of(metrics, name).map_or("–".to_owned(), |value| format!("{value:.4}"))
    };
    let heads = report.baselines.iter().map(|baseline| baseline.kind.to_string());
    let head = [String::new(), "tuned model".to_owned()].into_iter().chain(heads);
    let mut rows = vec![head.collect::<Vec<_>>()];
    rows.extend(report.metrics.iter().map(|metric| {
        let name = &metric.name;
        let own = [name.clone(), value(&report.metrics, name)];
        let others = report.baselines.iter().map(|baseline| value(&baseline.metrics, name));
        own.into_iter().chain(others).collect()
    }));
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::{Baseline, BaselineKind};
    use lorakeet_core::task::Task;
    use lorakeet_i18n::Message;

    #[test]
    fn a_report_has_each_score_beside_those_to_beat() {
        let metric = |name: &str, value| Metric {
            name: name.to_owned(),
            value,
        };
        let text = scores(&Report {
            task: Task::Classification,
            metric: "accuracy".to_owned(),
            metrics: vec![metric("accuracy", 0.75), metric("f1", 0.5)],
            baselines: vec![Baseline {
                kind: BaselineKind::MajorityClass,
                name: BaselineKind::MajorityClass.to_string(),
                metrics: vec![metric("accuracy", 0.25)],
            }],
            against: String::new(),
            comparison: None,
            verdict: None,
            sentence: Message::verbatim("It is better."),
            labels: Vec::new(),
            confusion: Vec::new(),
            classes: Vec::new(),
            calibration: Vec::new(),
        });
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["accuracy", "0.7500", "0.2500"]);
        assert_eq!(lines[2], ["f1", "0.5000", "–"]);
    }
}
