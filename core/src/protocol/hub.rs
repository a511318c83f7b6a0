//! Models from a hub: what a front end asks for by name, and what it hears of it.

use super::{MemoryEstimate, number};
use crate::config::RunConfig;
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The hub that is asked where no other is named.
pub const ENDPOINT: &str = "https://huggingface.co";

/// A request that concerns a hub. Nothing is asked of one but by [`HubCommand::Look`] and [`HubCommand::Download`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum HubCommand {
    /// Tell what a model is made of and what a run on it would take: answered by [`HubEvent::Listing`].
    Look {
        /// Which model.
        from: HubSource,
        /// The run that it is for.
        config: Box<RunConfig>,
    },
    /// Fetch a model into the session's store, or go on with that: answered by [`HubEvent::Downloaded`].
    Download {
        /// Which model.
        from: HubSource,
    },
    /// End the look or the download under way; what was fetched stays.
    Cancel,
    /// Tell which models are in the store: answered by [`HubEvent::Models`].
    Models,
    /// Remove a model from the store: answered by [`HubEvent::Models`].
    Forget {
        /// Its folder.
        folder: String,
    },
    /// Load a model of the store: answered by [`super::Event::Model`].
    Load {
        /// Its folder.
        folder: String,
    },
}

/// A model as a person names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubSource {
    /// `ORG/NAME`, with `@REVISION` and `:FILE` (of GGUF files, the file's name or its quantization) where they are wanted.
    pub name: String,
    /// The hub's address.
    pub endpoint: String,
    /// What opens gated models; it goes to the endpoint's own host and to nobody else.
    #[serde(default)]
    pub token: Option<HubToken>,
}

/// A secret, which no log and no message shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HubToken(pub String);

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken(…)")
    }
}

/// What there is to hear of a hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum HubEvent {
    /// What a model is made of.
    Listing(Box<HubListing>),
    /// A download goes on.
    Progress(HubProgress),
    /// A model is there whole.
    Downloaded {
        /// Its folder in the store.
        folder: String,
    },
    /// The models in the store.
    Models {
        /// By name.
        models: Vec<StoredModel>,
    },
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubFile {
    /// Its path.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// What the hub calls its contents: git's hash of it, of a large file SHA-256.
    pub etag: String,
    /// SHA-256 of a large file.
    pub sha256: Option<String>,
}

/// What a model is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HubListing {
    /// `ORG/NAME`.
    pub id: String,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that it stood for.
    pub commit: String,
    /// The files that a download fetches.
    pub files: Vec<HubFile>,
    /// GGUF files, of which one is fetched; none where the model is not in such a file.
    pub choices: Vec<HubFile>,
    /// The one of them that is fetched.
    pub chosen: Option<String>,
    /// How much is in the store already.
    pub there_bytes: u64,
    /// What the store can still take, where that is known.
    pub free_bytes: Option<u64>,
    /// Whether there is no store, so that the model goes to memory and is gone with the session.
    pub in_memory: bool,
    /// What a run takes.
    pub memory: Option<MemoryEstimate>,
    /// The most that the device can give, where that is known.
    pub available_bytes: Option<u64>,
    /// Why there can be no run on it.
    pub problem: Option<Error>,
}

impl HubListing {
    /// What a download fetches, in all.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HubProgress {
    /// The file under way.
    pub file: String,
    /// Bytes that are there.
    pub done: u64,
    /// Of how many.
    pub total: u64,
    /// What came in a second of late; 0 where that is not known yet.
    #[serde(with = "number")]
    pub bytes_per_second: f64,
}

impl HubProgress {
    /// Seconds that are left at this rate, once it is known.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total.saturating_sub(self.done) as f64;
        (self.bytes_per_second > 0.0).then(|| left / self.bytes_per_second)
    }
}

/// A model in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredModel {
    /// Its folder.
    pub folder: String,
    /// `ORG/NAME`.
    pub id: String,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that it stood for.
    pub commit: String,
    /// The one GGUF file, where it is in one.
    pub chosen: Option<String>,
    /// Its length in all.
    pub bytes: u64,
    /// How much of it is there.
    pub there_bytes: u64,
    /// Whether all of it is there and was checked.
    pub is_whole: bool,
    /// Whether somebody fetches it, here or in another tab.
    pub is_under_way: bool,
    /// When its last byte was written, where the store tells: milliseconds since 1970 in UTC.
    #[serde(default)]
    pub written_ms: Option<u64>,
}

impl StoredModel {
    /// As a person names it, so that it is found again.
    pub fn name(&self) -> String {
        let file = self.chosen.as_ref().map(|file| format!(":{file}"));
        format!("{}@{}{}", self.id, self.revision, file.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    #[test]
    fn a_model_of_a_hub_is_asked_for_by_its_name() {
        let through = |command: HubCommand, line: &str| {
            let command = Command::Hub(command);
            assert_eq!(serde_json::to_string(&command).expect("it is written"), line);
            assert_eq!(serde_json::from_str::<Command>(line).expect("it is read"), command);
        };
        let from = HubSource {
            name: "org/name".to_owned(),
            endpoint: "https://huggingface.co".to_owned(),
            token: Some(HubToken("secret".to_owned())),
        };
        assert!(!format!("{from:?}").contains("secret"));
        through(
            HubCommand::Download { from },
            r#"{"type":"hub","about":"download","from":{"name":"org/name","endpoint":"https://huggingface.co","token":"secret"}}"#,
        );
        through(HubCommand::Cancel, r#"{"type":"hub","about":"cancel"}"#);
        let folder = "model-org--name@0".to_owned();
        through(
            HubCommand::Load { folder },
            r#"{"type":"hub","about":"load","folder":"model-org--name@0"}"#,
        );
    }
}
