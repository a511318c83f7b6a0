//! The log of a run on disk: `train_log.jsonl` in its output folder, one event a line.

use crate::json;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::{Event, Judgement};
use lorakeet_i18n::messages::command as msg;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// The log's name.
pub const LOG: &str = "train_log.jsonl";

/// The open log. It is touched when the run starts: one that is refused before leaves the log of another as it was.
pub struct Log {
    file: File,
    /// What stays of what is there.
    kept: u64,
    /// Notes from before the run started.
    early: Vec<String>,
    /// Whether the run has started.
    pub has_begun: bool,
}

impl Log {
    /// Opens the log of the run in `folder`. A run that goes on after a step appends to it; what an interrupted run wrote of
    /// later steps is cut off, because they come again.
    pub fn open(folder: &Path, resumed: Option<usize>) -> Result<Self> {
        let path = folder.join(LOG);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            let error = Error::io(msg::LogIsLink).file(path.display().to_string());
            return Err(error.remedy(msg::RemoveLink));
        }
        let opened = || {
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)?;
            let kept = match resumed {
                Some(step) => bytes_until(&file, step)?,
                None => 0,
            };
            Ok(Self {
                file,
                kept,
                early: Vec::new(),
                has_begun: false,
            })
        };
        opened().map_err(|error| cannot_write(&path, &error))
    }

    /// Writes what is worth keeping: steps, scores, samples, notes, checkpoints, the end.
    pub fn add(&mut self, event: &Event) {
        let kept = matches!(
            event,
            Event::Started(_)
                | Event::Step(_)
                | Event::Eval(_)
                | Event::Baseline { .. }
                | Event::Report(_)
                | Event::Sample { .. }
                | Event::Warning { .. }
                | Event::Halved { .. }
                | Event::Diverging(_)
                | Event::Checkpoint { .. }
                | Event::Done(_)
                | Event::Failed(_)
        );
        if matches!(event, Event::Started(_)) && !self.has_begun {
            self.has_begun = true;
            // As below.
            let _ = self.file.set_len(self.kept);
            let _ = self.file.seek(SeekFrom::Start(self.kept));
        }
        let line = match event {
            // Its probabilities are as many as rows, and serve thresholds alone.
            Event::Judgement(judgement) => json::line(&Event::Judgement(Box::new(Judgement {
                decisions: None,
                ..(**judgement).clone()
            }))),
            event if kept => json::line(event),
            _ => return,
        };
        match line {
            // A run that is refused before it starts leaves the log alone.
            Ok(line) if !self.has_begun => self.early.push(line),
            Ok(line) => {
                let early = std::mem::take(&mut self.early);
                for line in std::iter::once(line).chain(early) {
                    // A full disk shows at the next checkpoint, with a message of its own; the run is worth more than its log.
                    let _ = self.file.write_all(format!("{line}\n").as_bytes());
                }
            }
            Err(_) => {}
        }
    }
}

/// How many bytes of a log are whole lines in front of the first of a later step.
fn bytes_until(log: &File, step: usize) -> std::io::Result<u64> {
    let mut lines = BufReader::new(log);
    let (mut kept, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line)?;
        let event: Value = serde_json::from_slice(&line).unwrap_or_default();
        let is_later = event["step"].as_u64().is_some_and(|found| found > step as u64);
        if !line.ends_with(b"\n") || is_later {
            return Ok(kept);
        }
        kept += bytes as u64;
    }
}

/// The events of a log, each as JSON has it, and how many of its lines cannot be read; `last_bytes` of it only, where it is longer.
/// None where there is no log.
pub fn read(folder: &Path, last_bytes: u64) -> Result<Option<(Vec<Value>, usize)>> {
    let path = folder.join(LOG);
    let opened = || {
        let mut file = File::open(&path)?;
        let skipped = file.metadata()?.len().saturating_sub(last_bytes);
        file.seek(SeekFrom::Start(skipped))?;
        let mut bytes = Vec::new();
        file.take(last_bytes).read_to_end(&mut bytes)?;
        Ok((bytes, skipped))
    };
    let (bytes, skipped) = match opened() {
        Ok(read) => read,
        Err(error) if std::io::Error::kind(&error) == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_read(&path, &error)),
    };
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    // The first one may have lost its beginning.
    let lines = lines.skip(usize::from(skipped > 0));
    let (mut events, mut damaged) = (Vec::new(), 0);
    for line in lines {
        match serde_json::from_slice::<Value>(line) {
            Ok(event) if event["type"].is_string() => events.push(event),
            _ => damaged += 1,
        }
    }
    Ok(Some((events, damaged)))
}

/// What is worth a line of a run's log: scores, samples, notes, and how it ended; not its steps.
pub fn shown(event: &Value) -> Option<String> {
    let text = |name: &str| event[name].as_str().unwrap_or_default().replace('\n', "\u{23ce}");
    let step = &event["step"];
    Some(match event["type"].as_str()? {
        "eval" => {
            let metrics = event["metrics"].as_array().into_iter().flatten();
            let metrics: Vec<String> = metrics
                .filter_map(|metric| {
                    Some(format!(
                        "  {} {:.4}",
                        metric["name"].as_str()?,
                        metric["value"].as_f64()?
                    ))
                })
                .collect();
            let loss = event["loss"]
                .as_f64()
                .map_or("–".to_owned(), |loss| format!("{loss:.4}"));
            format!("step {step}: validation loss {loss}{}", metrics.concat())
        }
        "sample" => format!("step {step}: {}\u{2026}{}", text("prompt"), text("text")),
        "warning" => format!("note: {}", text("message")),
        "failed" => format!("failed: {}", text("what")),
        "done" if event["finished"] == true => format!("done after step {}", event["steps"]),
        "done" => format!("stopped after step {}", event["steps"]),
        _ => return None,
    })
}

/// `cannot read: Permission denied`.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::io(msg::CannotRead { error }).file(path.display().to_string())
}

/// `cannot write: No space left on device`.
pub fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::io(msg::CannotWrite { error }).file(path.display().to_string())
}
