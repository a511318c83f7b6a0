//! `lorakeet export` of the run itself: as a script for transformers and PEFT, or as a run file of another trainer.

use crate::Export;
use crate::commands::{EventSink, HOST, data_sources, load, sources};
use crate::export::{ExportPlace, SETTINGS, refuse_full, settings_in};
use crate::screen::{hand_out, hand_out_json, say_note};
use lorakeet_core::config::{RunConfig, Trainer};
use lorakeet_core::data::Dataset;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::cluster;
use lorakeet_core::protocol::DeviceChoice;
use lorakeet_core::session::Session;
use lorakeet_core::session::audit::rows_of;
use lorakeet_core::store::DirectorySink;
use lorakeet_core::train::checkpoint::{self, Checkpoint};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes the script that goes on with a run: a run file's from its beginning, an output_dir's from its newest checkpoint.
pub async fn write_script(
    wish: Export,
    (device, json): (DeviceChoice, bool),
    events: &mut EventSink,
) -> Result<ExitCode> {
    refuse_flags(&wish, "script")?;
    let (mut config, checkpoint) = find(&wish.run).await?;
    if let Some(base) = &wish.target.base {
        config.model_name_or_path = base.display().to_string();
    }
    config.resume_from_checkpoint = None;
    config.require_paths()?;
    refuse_full(&wish.target.output_dir)?;
    let mut session = Session::new(HOST);
    load(&mut session, &config, device, events).await?;
    if let Some(checkpoint) = checkpoint {
        let (step, steps) = (checkpoint.progress.step, checkpoint.max_steps);
        match step < steps {
            true => {
                say_note(msg::GoesOnFrom { step });
                session.resume = Some(checkpoint);
            }
            false => say_note(msg::RunIsDone { step }),
        }
    }
    let run = session
        .prepared_run(&config, &mut |event, _| events.take(&event))
        .await?;
    let place = ExportPlace::claim(&wish.target.output_dir)?;
    let notes = place.settled(cluster::write_script(&run, &place).await)?;
    finish(notes, "script", &wish.target.output_dir, json)
}

/// Writes a run's settings and rows for another trainer.
pub async fn write_run_file(wish: Export, trainer: Trainer, json: bool) -> Result<ExitCode> {
    refuse_flags(&wish, trainer.name())?;
    let (mut config, _) = find(&wish.run).await?;
    if let Some(base) = &wish.target.base {
        config.model_name_or_path = base.display().to_string();
    }
    config.require_paths()?;
    refuse_full(&wish.target.output_dir)?;
    let train = rows(&config.train_file, &config, None).await?;
    let validation = match &config.validation_file {
        Some(path) => Some(rows(path, &config, Some(&train)).await?),
        None => None,
    };
    let place = ExportPlace::claim(&wish.target.output_dir)?;
    let written = cluster::write_run_file(trainer, &config, (&train, validation.as_ref()), &place).await;
    let notes = place.settled(written)?;
    finish(notes, trainer.name(), &wish.target.output_dir, json)
}

/// The settings that a path stands for, and the checkpoint to go on from.
async fn find(path: &Path) -> Result<(RunConfig, Option<Checkpoint>)> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if path.is_file() && matches!(ending, "yaml" | "yml" | "json") {
        return Ok((settings_in(path)?, None));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let is_checkpoint = name.is_some_and(|name| checkpoint::step_of(&name).is_some());
    let folder: PathBuf = match path.parent().filter(|_| is_checkpoint) {
        Some(parent) => Path::new(".").join(parent),
        None => path.to_path_buf(),
    };
    let settings = folder.join(SETTINGS);
    if !settings.is_file() {
        let error = Error::config(msg::NoRunFile).file(path.display().to_string());
        return Err(error.remedy(msg::NameRunFile));
    }
    let config = settings_in(&settings)?;
    if is_checkpoint {
        return Ok((config, Some(opened(path).await?)));
    }
    let newest = checkpoint::steps(&DirectorySink::new(&folder))
        .await?
        .into_iter()
        .next();
    let checkpoint = match newest {
        Some(step) => Some(opened(&folder.join(checkpoint::folder(step))).await?),
        None => None,
    };
    Ok((config, checkpoint))
}

async fn opened(folder: &Path) -> Result<Checkpoint> {
    let opened = Checkpoint::open(&sources(folder)?).await;
    opened.map_err(|error| Error {
        file: Some(folder.display().to_string()),
        ..error
    })
}

/// The rows of a data file of texts.
async fn rows(path: &str, config: &RunConfig, trained: Option<&Dataset>) -> Result<Dataset> {
    let files = data_sources(path)?;
    // Behind images there are their labels, and neither are texts.
    let file = files.first().ok_or_else(|| Error::config(msg::NoRunFile).file(path))?;
    let rows = rows_of(config, file, trained).await?;
    rows.notes.iter().cloned().for_each(say_note);
    rows.text_notes.iter().cloned().for_each(say_note);
    Ok(rows)
}

/// Refuses flags that say how weights are written.
fn refuse_flags(wish: &Export, form: &'static str) -> Result<()> {
    let flags = [
        ("--dtype", wish.target.dtype.is_some()),
        ("--max_shard_size", wish.target.max_shard_size.is_some()),
        ("--dequantized", wish.target.dequantized),
        ("--license", wish.target.license.is_some()),
        ("--no-check", wish.target.no_check),
    ];
    match flags.into_iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => {
            let error = Error::config(msg::FlagWithoutMeaning { form }).field(flag);
            Err(error.remedy(msg::LeaveFlagOut))
        }
    }
}

fn finish(notes: Vec<Message>, form: &str, folder: &Path, json: bool) -> Result<ExitCode> {
    notes.into_iter().for_each(say_note);
    let folder = folder.display().to_string();
    match json {
        true => hand_out_json(&serde_json::json!({ "type": "exported", "form": form, "folder": folder }).to_string())?,
        false => hand_out(&format!("exported {form} to {folder}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}
