//! `lorakeet runs` and `lorakeet show`: the runs under a folder, and one of them, by the records in their folders.

mod shown;
mod table;

use crate::RunFile;
use crate::commands::{resolve, unwritable};
use crate::json;
use crate::log::{self, LOG, cannot_read};
use crate::output::{SETTINGS, WRITTEN};
use crate::screen::{hand_out, hand_out_json, say, size};
use lorakeet_core::chat::strftime;
use lorakeet_core::error::{Error, Kind, Result};
use lorakeet_core::protocol::{Report, RunInput, RunOutcome, RunRecord, RunState};
use lorakeet_core::store::{DirectorySink, DiskFile, Source, Writer};
use lorakeet_core::train::checkpoint::{self, Checkpoint};
use lorakeet_core::train::record::{RECORD, read_outcome, read_record};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::command as msg;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
pub use table::table;

/// How deep runs are looked for, and in how many folders.
const DEPTH: usize = 6;
const MOST_FOLDERS: usize = 20_000;

/// How much of a log is looked at for the last loss, and for everything.
const TAIL_BYTES: u64 = 1 << 20;
const LOG_BYTES: u64 = 1 << 30;

/// A run's folder, read.
pub struct Found {
    pub folder: PathBuf,
    pub record: RunRecord,
    /// Its files, and those of its checkpoints.
    files: Vec<(String, Source)>,
    /// Who writes into it now.
    writer: Option<Writer>,
    /// What it came to, where that was kept.
    outcome: Option<RunOutcome>,
    /// What its log says, and how many lines of it cannot be read.
    pub events: Vec<Value>,
    damaged_lines: usize,
}

/// Lists the runs under `folder`, the newest first; of folders that hold a run and cannot be listed it says why.
pub async fn list(folder: &Path, json: bool) -> Result<ExitCode> {
    let (mut runs, mut refused) = (Vec::new(), Vec::new());
    for place in folders(folder)? {
        if !is_run(&place) {
            continue;
        }
        match Found::open(&place, TAIL_BYTES).await {
            Ok(run) => runs.push(run),
            Err(error) => refused.push((place, error)),
        }
    }
    runs.sort_by(|a, b| b.record.started_ms.total_cmp(&a.record.started_ms));
    for (place, error) in &refused {
        let (folder, why) = (named(place, folder), error.message());
        match json {
            true => {
                let line = json!({ "type": "unreadable", "folder": folder, "why": why });
                hand_out_json(&json::line(&line).map_err(unwritable)?)?;
            }
            false => say(&format!("note     {}", worded(msg::NotListed { folder, why }))),
        }
    }
    if json {
        for run in &runs {
            let mut line = run.summary();
            line["type"] = "run".into();
            line["folder"] = named(&run.folder, folder).into();
            hand_out_json(&json::line(&line).map_err(unwritable)?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() && refused.is_empty() {
        let place = folder.display();
        say(&worded(msg::NoRuns { place }));
        return Ok(ExitCode::SUCCESS);
    }
    let head = [
        "run",
        "started (UTC)",
        "task",
        "model",
        "steps",
        "state",
        "last loss and score",
        "size",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(runs.iter().map(|run| {
        [
            run.titled(&named(&run.folder, folder)),
            when(run.record.started_ms),
            run.record.task.to_string(),
            run.model(),
            run.steps_line(),
            run.state().to_owned(),
            run.scores_line(),
            size(run.bytes()),
        ]
    }));
    hand_out(&table(&rows))?;
    Ok(ExitCode::SUCCESS)
}

/// Shows one run.
pub async fn show(path: &Path, json: bool) -> Result<ExitCode> {
    let run = opened(path).await?;
    let checkpoints = run.checkpoints().await;
    match json {
        true => hand_out_json(&json::line(&run.json(&checkpoints)).map_err(unwritable)?)?,
        false => hand_out(&run.text(&checkpoints))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The run at a path, with all of its log.
///
/// # Errors
/// There is none, or it cannot be read.
pub async fn opened(path: &Path) -> Result<Found> {
    let folder = folder_of(path)?;
    if !is_run(&folder) {
        let error = Error::config(msg::NotARun).file(folder.display().to_string());
        return Err(error.remedy(msg::ListRuns));
    }
    Found::open(&folder, LOG_BYTES).await
}

/// The run in a folder, with all of its log; none where no run has begun there.
///
/// # Errors
/// It cannot be read.
pub async fn begun(folder: &Path) -> Result<Option<Found>> {
    match folder.join(RECORD).is_file() && is_run(folder) {
        true => Found::open(folder, LOG_BYTES).await.map(Some),
        false => Ok(None),
    }
}

/// The folder of a run; a run file means its output_dir.
fn folder_of(path: &Path) -> Result<PathBuf> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if path.is_file() && matches!(ending, "yaml" | "yml" | "json") {
        // What lies in a run's folder means that folder.
        let folder = path.parent().filter(|folder| folder.join(RECORD).is_file());
        if let Some(folder) = folder {
            return Ok(Path::new(".").join(folder));
        }
        let (run, set) = (path.to_path_buf(), Vec::new());
        return Ok(PathBuf::from(resolve(&RunFile { run, set })?.config.output_dir));
    }
    match path.is_dir() {
        true => Ok(path.to_path_buf()),
        false => {
            let error = Error::config(msg::NotARun).file(path.display().to_string());
            Err(error.remedy(msg::ListRuns))
        }
    }
}

/// `folder` and the folders under it, but for checkpoints, links and what is hidden.
fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut next) = (Vec::new(), vec![(folder.to_path_buf(), 0)]);
    while let Some((place, depth)) = next.pop() {
        let entries = match fs::read_dir(&place) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(cannot_read(&place, &error)),
            // One that may not be read holds nothing that could be shown.
            Err(_) => continue,
        };
        found.push(place);
        if found.len() >= MOST_FOLDERS {
            let most = MOST_FOLDERS;
            say(&worded(msg::TooManyFolders { most }));
            break;
        }
        for entry in entries.flatten().filter(|_| depth < DEPTH) {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && !name.starts_with('.') && checkpoint::step_of(&name).is_none() {
                next.push((entry.path(), depth + 1));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a folder holds what a run leaves. A run file may be called as a record is.
pub fn is_run(folder: &Path) -> bool {
    let leaves = |name: &str| folder.join(name).is_file();
    let settings = || fs::read(folder.join(SETTINGS)).is_ok_and(|text| text.starts_with(WRITTEN.as_bytes()));
    leaves(LOG) || settings() || leaves(RECORD) && DirectorySink::has_lock(folder)
}

impl Found {
    async fn open(folder: &Path, last_bytes: u64) -> Result<Self> {
        let named = |error: Error| Error {
            file: Some(folder.join(RECORD).display().to_string()),
            ..error
        };
        let files = files_of(folder)?;
        if !folder.join(RECORD).is_file() {
            let error = Error::format(msg::RunWithoutRecord).file(folder.display().to_string());
            return Err(error.remedy(msg::GoOnWritesRecord));
        }
        let record = read_record(&files).await;
        let record = record.map_err(|error| named(error).remedy(msg::GoOnWritesRecord))?;
        let (events, damaged_lines) = log::read(folder, last_bytes)?.unwrap_or_default();
        Ok(Self {
            folder: folder.to_path_buf(),
            writer: DirectorySink::writer(folder),
            outcome: read_outcome(&files, &record).await,
            record,
            files,
            events,
            damaged_lines,
        })
    }

    /// The last event of a kind.
    pub fn last(&self, kind: &str) -> Option<&Value> {
        self.events.iter().rev().find(|event| event["type"] == kind)
    }

    /// What it came to, as it was kept with its record, or as its log has it.
    pub fn report(&self) -> Option<Report> {
        if let Some(report) = self.outcome.as_ref().and_then(|outcome| outcome.report.as_ref()) {
            return Some(report.clone());
        }
        let mut logged = self.last("report")?.clone();
        // The log has its sentence in English.
        if let Some(text) = logged["sentence"].as_str() {
            logged["sentence"] = json!(Message::verbatim(text));
        }
        serde_json::from_value(logged).ok()
    }

    /// Step and loss of the events of a kind, as far as they are numbers.
    pub fn points(&self, kind: &str) -> Vec<(f64, f64)> {
        let of_kind = self.events.iter().filter(|event| event["type"] == kind);
        let points = of_kind.filter_map(|event| Some((event["step"].as_f64()?, event["loss"].as_f64()?)));
        points.filter(|(_, loss)| loss.is_finite()).collect()
    }

    /// Its checkpoints' steps, the newest first.
    fn steps(&self) -> Vec<usize> {
        let step = |(path, _): &(String, Source)| checkpoint::step_of(path.split_once('/')?.0);
        let mut steps: Vec<usize> = self.files.iter().filter_map(step).collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        steps.dedup();
        steps
    }

    /// The steps that it has done, as far as anything tells.
    pub fn step(&self) -> u64 {
        let summary = self.record.summary.as_ref().map(|summary| summary.steps as u64);
        let reported = self.last("step").and_then(|step| step["step"].as_u64());
        summary
            .or(reported.max(self.steps().first().map(|step| *step as u64)))
            .unwrap_or_default()
    }

    pub fn state(&self) -> &'static str {
        match (self.record.state, &self.writer, &self.record.failure) {
            (RunState::Open, Some(_), _) => "under way",
            (RunState::Finished, ..) => "finished",
            (_, _, Some(failure)) if failure.kind != Kind::Stopped => "failed",
            (RunState::Stopped, ..) => "stopped",
            (RunState::Open, None, _) => "interrupted",
        }
    }

    /// What its model is called.
    pub fn model(&self) -> String {
        let knob = |name: &str| {
            self.record
                .settings
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let name = |path: &str| {
            Path::new(path)
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        match (&self.record.model, name(knob("model_name_or_path"))) {
            (RunInput::Bundled(name), _) => name.clone(),
            (_, Some(name)) => name,
            (RunInput::Files(files), None) => files.first().map(|file| file.name.clone()).unwrap_or_default(),
        }
    }

    /// What its data are called.
    pub fn data(&self) -> String {
        match &self.record.data {
            RunInput::Bundled(name) => name.clone(),
            RunInput::Files(files) => files.first().map(|file| file.name.clone()).unwrap_or_default(),
        }
    }

    /// Whether there is a file in its folder, by its path there.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|(known, _)| known == path)
    }

    /// Its folder, with what it is called and its tags: `out "first try" #baseline`.
    fn titled(&self, folder: &str) -> String {
        let labels = &self.record.labels;
        let name = labels.name.iter().map(|name| format!(" {name:?}"));
        let tags = labels.tags.iter().map(|tag| format!(" #{tag}"));
        std::iter::once(folder.to_owned()).chain(name).chain(tags).collect()
    }

    fn steps_line(&self) -> String {
        match self.record.max_steps {
            Some(steps) => format!("{}/{steps}", self.step()),
            None => self.step().to_string(),
        }
    }

    fn loss(&self) -> Option<f64> {
        self.last("step")?["loss"].as_f64()
    }

    /// The last score: its loss and the task's metrics by their names.
    fn scores(&self) -> Vec<(String, f64)> {
        let Some(eval) = self.last("eval") else {
            return Vec::new();
        };
        let metrics = eval["metrics"].as_array().into_iter().flatten();
        let metrics =
            metrics.filter_map(|metric| Some((metric["name"].as_str()?.to_owned(), metric["value"].as_f64()?)));
        let loss = eval["loss"].as_f64().map(|loss| ("eval_loss".to_owned(), loss));
        loss.into_iter().chain(metrics).collect()
    }

    fn scores_line(&self) -> String {
        let loss = self.loss().map(|loss| ("loss".to_owned(), loss));
        let all = loss.into_iter().chain(self.scores().into_iter().take(2));
        let all: Vec<String> = all.map(|(name, value)| format!("{name} {value:.4}")).collect();
        match all.is_empty() {
            true => "–".to_owned(),
            false => all.join(", "),
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, source)| source.len_bytes()).sum()
    }

    fn summary(&self) -> Value {
        json!({
            "id": self.record.id, "started_ms": self.record.started_ms, "started": when(self.record.started_ms),
            "name": self.record.labels.name, "tags": self.record.labels.tags,
            "task": self.record.task, "model": self.model(), "state": self.state(), "step": self.step(),
            "max_steps": self.record.max_steps, "loss": self.loss(),
            "scores": self.scores().into_iter().collect::<BTreeMap<_, _>>(), "bytes": self.bytes(),
        })
    }

    /// Each checkpoint with its size, and why it is none to go on from, where it is damaged.
    pub async fn checkpoints(&self) -> Vec<(usize, u64, Option<Error>)> {
        let mut checkpoints = Vec::new();
        for step in self.steps() {
            let folder = format!("{}/", checkpoint::folder(step));
            let of_it = self.files.iter().filter(|(path, _)| path.starts_with(&folder));
            let sources: Vec<Source> = of_it.map(|(_, source)| source.clone()).collect();
            let bytes = sources.iter().map(|source| source.len_bytes()).sum();
            checkpoints.push((step, bytes, Checkpoint::open(&sources).await.err()));
        }
        checkpoints
    }
}

/// The files of a folder and of the checkpoints in it, by their paths.
fn files_of(folder: &Path) -> Result<Vec<(String, Source)>> {
    let mut files = Vec::new();
    let failed = |error: std::io::Error| cannot_read(folder, &error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.path().is_dir() {
            true if checkpoint::step_of(&name).is_some() => {
                for inner in fs::read_dir(entry.path()).map_err(failed)?.flatten() {
                    let path = format!("{name}/{}", inner.file_name().to_string_lossy());
                    // One that is being removed just now is none.
                    files.extend(DiskFile::source(inner.path()).ok().map(|source| (path, source)));
                }
            }
            true => {}
            false => files.extend(DiskFile::source(entry.path()).ok().map(|source| (name, source))),
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

fn worded(message: impl Into<Message>) -> String {
    message.into().english()
}

/// A folder as it is called under another.
fn named(place: &Path, under: &Path) -> String {
    match place.strip_prefix(under) {
        Ok(rest) if rest.as_os_str().is_empty() => under.display().to_string(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => place.display().to_string(),
    }
}

/// `2026-11-29 19:07`.
fn when(started_ms: f64) -> String {
    strftime("%F %H:%M", (started_ms / 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc() {
        assert_eq!(when(1_796_000_000_000.0), "2026-11-30 00:53");
    }
}
