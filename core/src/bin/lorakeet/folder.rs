//! A run's folder on disk: results, checkpoints, the resolved run file and the log.

use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::Event;
use lorakeet_core::train::checkpoint::Sink;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// `output_dir`.
#[derive(Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder.
    pub fn create(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|error| cannot("make this folder", path, &error))?;
        Ok(Self(path.to_owned()))
    }

    /// Opens `train_log.jsonl`; a run that goes on from a checkpoint appends to it.
    pub fn log(&self, append: bool) -> Result<Log> {
        let path = self.0.join("train_log.jsonl");
        let file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(&path);
        Ok(Log(file.map_err(|error| cannot("write", &path, &error))?))
    }
}

impl Sink for Folder {
    /// Writes beside the file and renames, so that a kill in the middle leaves the old file or none.
    fn write(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.0.join(path);
        let parent = path.parent().unwrap_or(&self.0);
        fs::create_dir_all(parent).map_err(|error| cannot("make this folder", parent, &error))?;
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        fs::write(&partial, bytes).map_err(|error| cannot("write", &path, &error))?;
        fs::rename(&partial, &path).map_err(|error| cannot("write", &path, &error))
    }

    fn remove(&mut self, folder: &str) -> Result<()> {
        let path = self.0.join(folder);
        fs::remove_dir_all(&path).map_err(|error| cannot("remove", &path, &error))
    }

    fn name(&self, path: &str) -> String {
        self.0.join(path).display().to_string()
    }
}

/// `train_log.jsonl`: what a run reported, one event a line.
pub struct Log(File);

impl Log {
    /// Writes what is worth keeping: steps, scores, samples, checkpoints, the end.
    pub fn add(&mut self, event: &Event) {
        let kept = matches!(
            event,
            Event::Started(_)
                | Event::Step(_)
                | Event::Eval(_)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_whole_and_folders_go_away() {
        let root = std::env::temp_dir().join(format!("lorakeet-folder-{}", std::process::id()));
        let mut folder = Folder::create(&root).expect("a folder");
        folder.write("checkpoint-2/a.bin", b"old").expect("written");
        folder.write("checkpoint-2/a.bin", b"new").expect("overwritten");
        assert_eq!(fs::read(root.join("checkpoint-2/a.bin")).expect("there"), b"new");
        assert_eq!(fs::read_dir(root.join("checkpoint-2")).expect("there").count(), 1, "no partial file is left");
        folder.remove("checkpoint-2").expect("removed");
        assert!(!root.join("checkpoint-2").exists());
        fs::remove_dir_all(root).expect("removed");
    }
}
