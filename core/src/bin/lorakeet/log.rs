//! The log of a run on disk: `train_log.jsonl` in its output folder, one event a line.

use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::Event;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// The open log.
pub struct Log(File);

impl Log {
    /// Opens the log of the run in `folder`; a run that goes on from a checkpoint appends to it.
    pub fn open(folder: &Path, append: bool) -> Result<Self> {
        let path = folder.join("train_log.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .write(true)
            .append(append)
            .truncate(!append)
            .open(&path);
        Ok(Self(file.map_err(|error| cannot("write", &path, &error))?))
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
        if !kept {
            return;
        }
        // A full disk shows at the next checkpoint, with a message of its own; the run is worth more than its log.
        if let Ok(line) = serde_json::to_string(event) {
            let _ = writeln!(self.0, "{line}");
        }
    }
}

/// `cannot write: No space left on device`.
pub fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::io(format!("cannot {what}: {error}")).file(path.display().to_string())
}
