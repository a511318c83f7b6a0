//! A checkpoint's folder is whole or not there: it is written beside, with a manifest of what its files hold, and gets its name when
//! all of it is on disk.

use crate::error::{Error, Result};
use crate::store::{Sink, Source};
use crate::train::fingerprint::{sha256, sha256_of};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest manifest that is read.
pub(super) const MOST_MANIFEST_BYTES: u64 = 1 << 20;

/// What the other files hold.
pub(super) const MANIFEST: &str = "manifest.json";

/// What follows the name of a checkpoint that is being written.
const PART: &str = ".part";
/// What follows the name of one that makes way for it.
const OLD: &str = ".old.part";
/// What follows the name of one that is being removed.
const GONE: &str = ".gone.part";

/// The folder of the checkpoint after `step` optimizer steps, as transformers calls it.
pub fn folder(step: usize) -> String {
    format!("checkpoint-{step}")
}

/// The step of the checkpoint in a folder of this name; `None` where it is no checkpoint's.
pub fn step_of(name: &str) -> Option<usize> {
    let step = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (folder(step) == name).then_some(step)
}

/// Whether a folder of this name is a checkpoint that was not finished, made way or is being removed.
fn is_left_over(name: &str) -> bool {
    let mut folders = [OLD, GONE, PART].iter().filter_map(|suffix| name.strip_suffix(suffix));
    folders.any(|folder| step_of(folder).is_some())
}

/// Writes the checkpoint after `step` optimizer steps: all of it, or what was there under its name stays.
///
/// # Errors
/// Storage refuses.
pub async fn write(sink: &dyn Sink, step: usize, files: &[(String, Vec<u8>)]) -> Result<()> {
    let folder = folder(step);
    let (part, old) = (format!("{folder}{PART}"), format!("{folder}{OLD}"));
    let mut there = sink.folders().await?;
    if restores(sink, &folder, &there).await? {
        there = sink.folders().await?;
    }
    for left_over in [&part, &old] {
        if there.contains(left_over) {
            sink.remove_folder(left_over).await?;
        }
    }
    let manifest = manifest(files)?;
    for (name, bytes) in files.iter().chain([&manifest]) {
        if let Err(error) = sink.write(&format!("{part}/{name}"), bytes).await {
            // Its own error is the one to report; on a full disk the space is needed.
            let _ = sink.remove_folder(&part).await;
            return Err(error);
        }
    }
    let replaces = there.contains(&folder);
    if replaces {
        sink.rename_folder(&folder, &old).await?;
    }
    if let Err(error) = sink.rename_folder(&part, &folder).await {
        if replaces {
            // As above.
            let _ = sink.rename_folder(&old, &folder).await;
        }
        return Err(error);
    }
    Ok(())
}

/// `manifest.json` of these files.
///
/// # Errors
/// It cannot be written as JSON.
pub fn manifest(files: &[(String, Vec<u8>)]) -> Result<(String, Vec<u8>)> {
    let listed = files.iter().map(|(name, bytes)| (name.clone(), Listed::of(bytes)));
    let text = Manifest::of(listed.collect()).text()?;
    Ok((MANIFEST.to_owned(), text.into_bytes()))
}

/// Removes the checkpoint after `step` optimizer steps; none that is half there is left under its name.
///
/// # Errors
/// There is none, or storage refuses.
pub async fn remove(sink: &dyn Sink, step: usize) -> Result<()> {
    let folder = folder(step);
    let gone = format!("{folder}{GONE}");
    if sink.folders().await?.contains(&gone) {
        sink.remove_folder(&gone).await?;
    }
    sink.rename_folder(&folder, &gone).await?;
    sink.remove_folder(&gone).await
}

/// Puts back what [`write()`] had made way, where nothing took its place, and removes all else that it and [`remove`] did not
/// bring to an end.
///
/// # Errors
/// Storage refuses.
pub async fn sweep(sink: &dyn Sink) -> Result<()> {
    let there = sink.folders().await?;
    for name in there.iter().filter(|name| is_left_over(name)) {
        let restored = match name.strip_suffix(OLD) {
            Some(folder) => restores(sink, folder, &there).await?,
            None => false,
        };
        if !restored {
            sink.remove_folder(name).await?;
        }
    }
    Ok(())
}

/// Whether the checkpoint that made way for another one of its name is put back, because that one never came.
async fn restores(sink: &dyn Sink, folder: &str, there: &[String]) -> Result<bool> {
    let old = format!("{folder}{OLD}");
    let is_missed = there.contains(&old) && !there.iter().any(|name| name == folder);
    if is_missed {
        sink.rename_folder(&old, folder).await?;
    }
    Ok(is_missed)
}

/// The steps of the checkpoints in a place, the newest first.
///
/// # Errors
/// Storage refuses.
pub async fn steps(sink: &dyn Sink) -> Result<Vec<usize>> {
    let folders = sink.folders().await?;
    let mut steps: Vec<usize> = folders.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    Ok(steps)
}

/// `manifest.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Every other file of the folder.
    pub(super) files: BTreeMap<String, Listed>,
    /// SHA-256 of `files` as JSON without spaces.
    sha256: String,
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Listed {
    bytes: u64,
    sha256: String,
}

impl Listed {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        }
    }

    /// Refuses a file that holds anything else.
    pub(super) async fn check(&self, source: &Source) -> Result<()> {
        let found = source.len_bytes();
        let what: Message = if found != self.bytes {
            let written = self.bytes;
            msg::OtherLength { found, written }.into()
        } else if sha256_of(source).await? != self.sha256 {
            msg::OtherContent.into()
        } else {
            return Ok(());
        };
        Err(torn(what).file(source.name()))
    }
}

impl Manifest {
    fn of(files: BTreeMap<String, Listed>) -> Self {
        let listed = serde_json::to_string(&files).unwrap_or_default();
        Self {
            files,
            sha256: sha256(listed.as_bytes()),
        }
    }

    fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|error| {
            Error::internal(common::At {
                place: MANIFEST,
                what: error,
            })
        })
    }

    /// Reads the manifest back, to the last bit.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let broken = |_| torn(msg::NotManifest);
        let read: Self = serde_json::from_slice(bytes).map_err(broken)?;
        let whole = Self::of(read.files);
        match whole.sha256 == read.sha256 && whole.text()?.as_bytes() == bytes {
            true => Ok(whole),
            false => Err(torn(msg::NotManifest)),
        }
    }
}

/// The error for a checkpoint that is not whole.
pub(super) fn torn(what: impl Into<Message>) -> Error {
    Error::format(what).remedy(msg::NameWholeCheckpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_checkpoints_own_name_is_one() {
        assert_eq!(step_of(&folder(500)), Some(500));
        for other in [
            "checkpoint-",
            "checkpoint-007",
            "checkpoint-+7",
            "checkpoint-7b",
            "my-checkpoint-7",
            "runs",
        ] {
            assert_eq!(step_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_not_finished_is_known_by_its_name() {
        for name in ["checkpoint-5.part", "checkpoint-5.old.part", "checkpoint-5.gone.part"] {
            assert!(is_left_over(name) && step_of(name).is_none(), "{name}");
        }
        for other in [
            "checkpoint-5",
            "checkpoint-x.part",
            "films.part",
            "checkpoint-5.old",
            "checkpoint-x.old.part",
        ] {
            assert!(!is_left_over(other), "{other}");
        }
    }
}
