//! A run's folder as `eval`, `predict` and `generate` take it: the model that the run left, its task, its settings and its data, all
//! from its record.

use crate::output::SETTINGS;
use crate::runs::{Found, is_run, opened};
use crate::screen::say_note;
use lorakeet_core::config::{Resolved, RunConfig};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::formats::peft::TENSORS_FILE;
use lorakeet_core::train::checkpoint;
use lorakeet_core::train::record::RECORD;
use lorakeet_i18n::messages::command as msg;
use std::path::{Path, PathBuf};

/// Whether a path is the folder of a run, and not of a model or an adapter alone.
pub fn is_folder_of_run(path: &Path) -> bool {
    path.is_dir() && is_run(path)
}

/// The settings that load what the run in `folder` left, and ask it as the run did: its weights are the adapter, or after full
/// training the model.
///
/// # Errors
/// It is no run's folder, its record cannot be read, or it has no weights yet.
pub async fn settings_of(folder: &Path) -> Result<Resolved> {
    let found = opened(folder).await?;
    let record = folder.join(RECORD).display().to_string();
    let mut config = found.record.config().map_err(|error| Error {
        file: Some(record.clone()),
        ..error
    })?;
    config.task = Some(found.record.task);
    config.resume_from_checkpoint = None;
    match weights(&found).await? {
        Weights::Adapter(place) => config.adapter_name_or_path = Some(place.display().to_string()),
        Weights::Model(place) => {
            config.model_name_or_path = place.display().to_string();
            config.adapter_name_or_path = None;
        }
    }
    // As the run file that they would be.
    RunConfig::parse(&config.to_yaml(), &folder.join(SETTINGS).display().to_string())
}

/// What a run left, by the folder that it lies in.
enum Weights {
    /// An adapter for its base.
    Adapter(PathBuf),
    /// A model of its own.
    Model(PathBuf),
}

impl Weights {
    /// Those among the files of the run's folder, or of a checkpoint in it (`inside`, with a slash at its end).
    fn among(run: &Found, inside: &str) -> Option<Self> {
        let has = |name: &str| run.has(&format!("{inside}{name}"));
        let place = match inside {
            "" => run.folder.clone(),
            inside => run.folder.join(inside.trim_end_matches('/')),
        };
        if has(TENSORS_FILE) {
            Some(Self::Adapter(place))
        } else if has("model.safetensors") {
            Some(Self::Model(place))
        } else {
            None
        }
    }
}

/// The weights that the run ended with; of one that has not ended, those of its newest whole checkpoint, which is said.
async fn weights(run: &Found) -> Result<Weights> {
    if let Some(found) = Weights::among(run, "") {
        return Ok(found);
    }
    let checkpoints = run.checkpoints().await.into_iter();
    for (step, _, _) in checkpoints.filter(|(_, _, damage)| damage.is_none()) {
        if let Some(found) = Weights::among(run, &format!("{}/", checkpoint::folder(step))) {
            say_note(msg::WeightsOfCheckpoint { step });
            return Ok(found);
        }
    }
    let error = Error::config(msg::NoWeightsYet).file(run.folder.display().to_string());
    Err(error.remedy(msg::FinishTheRun))
}
