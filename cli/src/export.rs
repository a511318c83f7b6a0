//! `lorakeet export`: which base belongs to a run or an adapter, what is known of the run, and where the files go.

use crate::commands::{name_of, resolve, sources};
use crate::hub;
use crate::log::{LOG, cannot_read, cannot_write};
use crate::screen::{hand_out, hand_out_json, say, size};
use crate::{Export, RunFile};
use lorakeet_core::config::RunConfig;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::{Form, RunRecord, SHARD_BYTES, Settings, Trained, export};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::peft::{Adapter, CONFIG_FILE};
use lorakeet_core::host::Control;
use lorakeet_core::protocol::Event;
use lorakeet_core::store::{DirectorySink, Source};
use lorakeet_core::train::checkpoint;
use lorakeet_i18n::messages::export as msg;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files of a run's folder.
pub const SETTINGS: &str = "run.yaml";
const STATE: &str = "trainer_state.json";

/// The longest of them that is looked at.
const MOST_BYTES: u64 = 1 << 30;

/// What a path stands for.
struct Found {
    /// The folder of an adapter or a model, or a GGUF file.
    path: PathBuf,
    /// The settings of the run that made it.
    run: Option<RunConfig>,
    /// The folder of that run.
    folder: Option<PathBuf>,
}

/// Writes what a run learnt for other programs.
pub async fn run(wish: Export, form: Form, json: bool, take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let found = find(&wish.run)?;
    let adapter_config = found.path.join(CONFIG_FILE);
    let has_adapter = adapter_config.is_file();
    let (adapter, head) = match has_adapter {
        true => (
            Some(Adapter::open(sources(&found.path)?).await?),
            read_json(&found.path.join("config.json"))?,
        ),
        false => (None, None),
    };
    let base = match (&wish.base, &adapter) {
        (Some(base), _) => hub::located(base, &Control::default(), take).await?.path,
        (None, None) => found.path.clone(),
        (None, Some(adapter)) => base_of(&found, adapter)?,
    };
    refuse_full(&wish.output_dir)?;
    let base_files = sources(&base)?;
    let mut files = ModelFiles::open(base_files.clone()).await?;
    if files.name == "model" {
        files.name = name_of(&fs::canonicalize(&base).unwrap_or_else(|_| base.clone()));
    }
    let mut record = record(&found)?;
    let named = adapter
        .as_ref()
        .and_then(|adapter| adapter.config.base_model_name_or_path.clone());
    let named = named.or_else(|| found.run.as_ref().map(|run| run.model_name_or_path.clone()));
    // Where a base lies on this machine says nothing to others.
    record.base = named
        .filter(|name| !Path::new(name).exists())
        .or_else(|| Some(files.name.clone()));
    record.license = license(&base_files).await;
    let settings = Settings {
        form,
        dtype: wish.dtype.map(Into::into),
        shard_bytes: wish.max_shard_size.as_deref().map_or(Ok(SHARD_BYTES), bytes)?,
    };
    let sink = DirectorySink::claim(&wish.output_dir)?;
    let trained = Trained {
        base: files,
        base_files: &base_files,
        adapter: adapter.as_ref(),
        head: head.as_ref(),
        record: &record,
    };
    let mut written = 0;
    let notes = export(trained, settings, &sink, &mut |done, _| written = done).await?;
    for note in notes {
        say(&format!("note     {}", note.english()));
    }
    let (form, folder) = (form.name(), wish.output_dir.display().to_string());
    match json {
        true => hand_out_json(&serde_json::json!({ "type": "exported", "form": form, "folder": folder }).to_string())?,
        false if written > 0 => hand_out(&format!("exported {form} to {folder}, {} of weights\n", size(written)))?,
        false => hand_out(&format!("exported {form} to {folder}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What a path stands for: a run file means its output_dir.
fn find(path: &Path) -> Result<Found> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if path.is_file() && matches!(ending, "yaml" | "yml" | "json") {
        let run = settings_in(path)?;
        let folder = PathBuf::from(&run.output_dir);
        let found = find(&folder)?;
        return Ok(Found {
            run: Some(run),
            ..found
        });
    }
    let has = |name: &str| path.join(name).is_file();
    if path.exists() && !path.is_file() && !has(CONFIG_FILE) && !has("config.json") && !holds_gguf(path) {
        let error = Error::config(msg::NothingToExport).file(path.display().to_string());
        return Err(error.remedy(msg::NameRun));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let of_checkpoint = checkpoint::step_of(&name).and_then(|_| path.parent());
    let folder = [Some(path), of_checkpoint]
        .into_iter()
        .flatten()
        .find(|folder| folder.join(SETTINGS).is_file());
    Ok(Found {
        path: path.to_path_buf(),
        run: folder.map(|folder| settings_in(&folder.join(SETTINGS))).transpose()?,
        folder: folder.map(Path::to_path_buf),
    })
}

fn holds_gguf(folder: &Path) -> bool {
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| entry.path().extension().is_some_and(|ending| ending == "gguf"))
}

/// The settings of a run file.
pub fn settings_in(path: &Path) -> Result<RunConfig> {
    let run = RunFile {
        run: path.to_path_buf(),
        set: Vec::new(),
    };
    Ok(resolve(&run)?.config)
}

/// The base of an adapter: the run's, else what the adapter names, as seen from here or from its folder.
fn base_of(found: &Found, adapter: &Adapter) -> Result<PathBuf> {
    let of_run = found.run.as_ref().map(|run| run.model_name_or_path.clone());
    let named = of_run
        .filter(|name| !name.is_empty())
        .or(adapter.config.base_model_name_or_path.clone());
    let located = |error: Error| error.file(found.path.join(CONFIG_FILE).display().to_string());
    let Some(base) = named.filter(|name| !name.is_empty()) else {
        return Err(located(Error::config(msg::BaseUnknown)).remedy(msg::NameBase));
    };
    let places = [PathBuf::from(&base), found.path.join(&base)];
    let there = places.into_iter().find(|place| place.exists());
    // Only what a person names here is asked for of a hub.
    let there = there.or_else(|| hub::in_cache(&base));
    there.ok_or_else(|| located(Error::config(msg::BaseNotThere { base })).remedy(msg::NameBase))
}

/// Refuses a folder that holds anything: a model is all files of its folder.
pub fn refuse_full(folder: &Path) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| cannot_write(folder, &error))?,
    };
    let mut names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    // A claimed folder keeps its lock.
    match names.find(|name| !name.starts_with(".lorakeet")) {
        None => Ok(()),
        Some(file) => Err(Error::config(msg::FolderHolds { file })
            .file(folder.display().to_string())
            .field("output_dir")
            .remedy(msg::NewFolderForExport)),
    }
}

/// What the run's folder says: settings, the step of the weights, scores, digests of the data.
fn record(found: &Found) -> Result<RunRecord> {
    let mut record = RunRecord::default();
    let Some(folder) = &found.folder else {
        return Ok(record);
    };
    record.settings = read_text(&folder.join(SETTINGS))?.map(|text| without_comments(&text));
    let name = name_of(&found.path);
    record.step = checkpoint::step_of(&name).map(|step| step as u64);
    let log = read_text(&folder.join(LOG))?.unwrap_or_default();
    let events: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let last = |kind: &str| events.iter().rev().find(|event| event["type"] == kind);
    let wanted = record.step;
    let scored = events
        .iter()
        .rev()
        .find(|event| event["type"] == "eval" && wanted.is_none_or(|step| event["step"].as_u64() == Some(step)));
    if record.step.is_none() {
        let keeps_best = found.run.as_ref().is_some_and(|run| run.load_best_model_at_end);
        let of_score = scored.filter(|_| keeps_best).and_then(|score| score["step"].as_u64());
        record.step = of_score.or_else(|| last("done")?["steps"].as_u64());
    }
    if let Some(score) = scored {
        record
            .scores
            .extend(score["loss"].as_f64().map(|loss| ("loss".to_owned(), loss)));
        for metric in score["metrics"].as_array().into_iter().flatten() {
            let name = metric["name"].as_str().map(str::to_owned);
            record.scores.extend(name.zip(metric["value"].as_f64()));
        }
    }
    if let Some(state) = newest_state(&found.path, folder)? {
        let inputs = &state["stateful_callbacks"]["Lorakeet"]["fingerprint"]["inputs"];
        for part in ["train_file", "validation_file"] {
            record
                .data
                .extend(inputs[part].as_str().map(|digest| (part.to_owned(), digest.to_owned())));
        }
    }
    Ok(record)
}

/// The state in a checkpoint, or in the newest one of a run.
fn newest_state(path: &Path, folder: &Path) -> Result<Option<Value>> {
    if let Some(state) = read_json(&path.join(STATE))? {
        return Ok(Some(state));
    }
    let entries = fs::read_dir(folder).map_err(|error| cannot_read(folder, &error))?;
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let newest = names.filter_map(|name| checkpoint::step_of(&name)).max();
    match newest {
        Some(step) => read_json(&folder.join(checkpoint::folder(step)).join(STATE)),
        None => Ok(None),
    }
}

/// A YAML text without lines that are comments alone, and without paths of this machine.
fn without_comments(text: &str) -> String {
    let is_path = |line: &str| {
        let value = line
            .split_once(": ")
            .map_or("", |(_, value)| value.trim_matches(['"', '\'']));
        value.starts_with('/') || value.starts_with('~') || value.contains(":\\")
    };
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !is_path(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// The licence in the front matter of the base's README.md.
async fn license(files: &[Source]) -> Option<String> {
    let card = files.iter().find(|file| file.name() == "README.md")?;
    let length = card.len_bytes().min(16 << 10) as usize;
    let bytes = card.read_at(0, length).await.ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let front = text.strip_prefix("---")?.split("\n---").next()?.to_owned();
    let line = front.lines().find_map(|line| line.strip_prefix("license:"))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|license| !license.is_empty())
}

fn read_text(path: &Path) -> Result<Option<String>> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() <= MOST_BYTES => {}
        _ => return Ok(None),
    }
    let bytes = fs::read(path).map_err(|error| cannot_read(path, &error))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_json(path: &Path) -> Result<Option<Value>> {
    let Some(text) = read_text(path)? else { return Ok(None) };
    let broken = |error: serde_json::Error| {
        let what = lorakeet_i18n::Message::verbatim(error.to_string());
        Error::format(what).file(path.display().to_string())
    };
    serde_json::from_str(&text).map(Some).map_err(broken)
}

/// `5GB`, `500MB`, in powers of ten as in transformers.
fn bytes(text: &str) -> Result<u64> {
    let wrong = || {
        let got = format!("{text:?}");
        Error::config(msg::NoSize { got })
            .field("max_shard_size")
            .remedy(msg::LargestPart)
    };
    let upper = text.trim().to_ascii_uppercase();
    let units = [("GB", 1_000_000_000u64), ("MB", 1_000_000), ("KB", 1000), ("", 1)];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| Some((upper.strip_suffix(name)?.trim().to_owned(), *unit)))
        .ok_or_else(wrong)?;
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_transformers() {
        assert_eq!(bytes("5GB"), Ok(SHARD_BYTES));
        assert_eq!(bytes("300 kb"), Ok(300_000));
        assert_eq!(bytes("7"), Ok(7));
        for wrong in ["", "GB", "-1MB", "0", "1TBX", "99999999999GB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_of_the_machine_stay_out_of_the_card() {
        let text = "# Written by\nmodel_name_or_path: /models/mine\nlora_r: 8\ntrain_file: \"/data/x.csv\"\n";
        assert_eq!(without_comments(text), "lora_r: 8");
    }
}
