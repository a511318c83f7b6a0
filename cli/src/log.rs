//! The log of a run on disk: `train_log.jsonl` in its output folder, one event a line.

use crate::json;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::Event;
use lorakeet_i18n::messages::command as msg;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

/// The open log. It is touched when the run starts: one that is refused before leaves the log of another as it was.
pub struct Log {
    file: File,
    /// What stays of what is there.
    kept: u64,
    /// Whether the run has started.
    pub has_begun: bool,
}

impl Log {
    /// Opens the log of the run in `folder`. A run that goes on after a step appends to it; what an interrupted run wrote of
    /// later steps is cut off, because they come again.
    pub fn open(folder: &Path, resumed: Option<usize>) -> Result<Self> {
        let path = folder.join("train_log.jsonl");
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
                has_begun: false,
            })
        };
        opened().map_err(|error| cannot_write(&path, &error))
    }

    /// Writes what is worth keeping: steps, scores, samples, checkpoints, the end.
    pub fn add(&mut self, event: &Event) {
        let kept = matches!(
            event,
            Event::Started(_)
                | Event::Step(_)
                | Event::Eval(_)
                | Event::Baseline { .. }
                | Event::Report(_)
                | Event::Sample { .. }
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
        if !kept || !self.has_begun {
            return;
        }
        // A full disk shows at the next checkpoint, with a message of its own; the run is worth more than its log.
        if let Ok(line) = json::line(event) {
            let _ = self.file.write_all(format!("{line}\n").as_bytes());
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

/// `cannot read: Permission denied`.
pub fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::io(msg::CannotRead { error }).file(path.display().to_string())
}

/// `cannot write: No space left on device`.
pub fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::io(msg::CannotWrite { error }).file(path.display().to_string())
}
