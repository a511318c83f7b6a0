//! `lorakeet export`: which base belongs to a run or an adapter, what is known of the run, where the files go, and what they
//! score.

mod place;
mod record;

use crate::check::{Scorer, compare, compared_text, holds_blocks, not_comparable, read_back, read_back_text};
use crate::commands::{INTERRUPTED, name_of, resolve, sources};
use crate::hub;
use crate::log::{LOG, cannot_read, cannot_write};
use crate::screen::{hand_out, hand_out_json, say, say_note, size};
use crate::{RunFile, Target};
use lorakeet_core::config::RunConfig;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::{
    Form, License, RunRecord, SHARD_BYTES, Settings, Trained, difference_is_small, expected_difference, explanation,
    export, license,
};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::adapter_files::{AdapterFiles, holds_adapter};
use lorakeet_core::formats::peft::CONFIG_FILE;
use lorakeet_core::host::Control;
use lorakeet_core::protocol::{DeviceChoice, Event, Stage, TensorError};
use lorakeet_core::quant::BaseFormat;
use lorakeet_core::task::Task;
use lorakeet_core::train::checkpoint;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
pub use place::ExportPlace;
use record::record;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Files of a run's folder.
pub const SETTINGS: &str = "run.yaml";
const STATE: &str = "trainer_state.json";

/// The longest of them that is looked at.
const MOST_BYTES: u64 = 1 << 30;

/// What is to be written.
pub struct Wish {
    /// A run, an adapter or a model.
    pub path: PathBuf,
    /// In which form.
    pub form: Form,
    /// Where and how.
    pub target: Target,
    /// Of a model or an adapter that is written anew, the name of it: what was written is compared with it, and not scored as what
    /// a run learnt is.
    pub anew: Option<String>,
}

impl Wish {
    /// Of what a run learnt.
    pub fn of_run(path: PathBuf, form: Form, target: Target) -> Self {
        Self {
            path,
            form,
            target,
            anew: None,
        }
    }
}

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
pub async fn run(wish: Wish, (device, json): (DeviceChoice, bool), take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let Wish {
        path,
        form,
        target,
        anew,
    } = wish;
    let found = find(&path)?;
    let own = sources(&found.path)?;
    let (adapter, head) = match holds_adapter(&own).await? {
        true => (
            Some(AdapterFiles::open(own).await?),
            read_json(&found.path.join("config.json"))?,
        ),
        false => (None, None),
    };
    // Of a model that was trained throughout, the run's own is the model.
    let own_base = match &adapter {
        Some(adapter) => base_of(&found, adapter),
        None => Ok(found.path.clone()),
    };
    let base = match &target.base {
        Some(base) => hub::located(base, &Control::default(), take).await?.path,
        None => own_base.clone()?,
    };
    let own_base = own_base.unwrap_or_else(|_| base.clone());
    refuse_full(&target.output_dir)?;
    let base_files = sources(&base)?;
    let mut files = ModelFiles::open(base_files.clone()).await?;
    if files.name == "model" {
        files.name = match (&anew, &adapter) {
            (Some(name), None) => name.clone(),
            _ => name_of(&fs::canonicalize(&base).unwrap_or_else(|_| base.clone())),
        };
    }
    let adapter = match adapter {
        Some(adapter) => Some(files.on_base(adapter).await?),
        None => None,
    };
    let mut record = record(&found)?;
    let named = adapter
        .as_ref()
        .and_then(|adapter| adapter.config.base_model_name_or_path.clone());
    let named = named.or_else(|| found.run.as_ref().map(|run| run.model_name_or_path.clone()));
    // Where a base lies on this machine says nothing to others.
    record.base = named
        .filter(|name| !Path::new(name).exists())
        .or_else(|| Some(files.name.clone()));
    record.license = match &target.license {
        Some(name) => Some(named_license(name)?),
        None => license(&base_files).await,
    };
    let settings = Settings {
        form,
        dtype: target.dtype.map(Into::into),
        shard_bytes: target.max_shard_size.as_deref().map_or(Ok(SHARD_BYTES), bytes)?,
        base: match target.dequantized {
            true => rounding(&found, form)?,
            false => BaseFormat::AsStored,
        },
    };
    let place = ExportPlace::claim(&target.output_dir)?;
    let trained = |base: ModelFiles| Trained {
        base,
        base_files: &base_files,
        adapter: adapter.as_ref(),
        head: head.as_ref(),
        record: &record,
    };
    let mut written = 0;
    let mut progress = |done, total| {
        written = done;
        show_progress((done, total), json, take);
    };
    let notes = place.settled(export(trained(files), settings, &place, &mut progress).await)?;
    notes.into_iter().for_each(say_note);
    let weights = match (record.step, record.is_best) {
        (Some(step), true) => format!(", weights of step {step}, which scored best"),
        (Some(step), false) if record.is_last => format!(", weights of step {step}, the last"),
        (Some(step), false) => format!(", weights of step {step}"),
        (None, _) => String::new(),
    };
    let is_unchecked = target.no_check || place.is_stopped();
    // What cannot be read back is of no use.
    let found_back = match is_unchecked || anew.is_some() {
        true => None,
        false => {
            let base = ModelFiles::open(base_files.clone()).await?;
            Some(read_back(trained(base), settings, &target.output_dir).await?)
        }
    };
    let checked = match is_unchecked || anew.is_some() {
        true => None,
        false => {
            let subject = Subject {
                found: &found,
                own_base: &own_base,
                base: &base,
                has_adapter: adapter.is_some(),
                record: &record,
                settings,
                folder: &target.output_dir,
            };
            // What is written stays, whatever hinders its scoring.
            let checked = check(subject, device)
                .await
                .unwrap_or_else(|error| Err(error.message()));
            if let Err(why) = &checked {
                say_note(msg::NotChecked { why: why.clone() });
            }
            checked.ok()
        }
    };
    let compared = match anew.is_some() && !is_unchecked {
        true => compare(form, &base, adapter.as_ref(), &target.output_dir).await,
        false => None,
    };
    let (verb, form) = match (anew.is_some(), form) {
        (false, form) => ("exported", form.name()),
        // The name that the conversion has for it.
        (true, Form::Merged) => ("wrote", "safetensors"),
        (true, form) => ("wrote", form.name()),
    };
    let folder = target.output_dir.display().to_string();
    if json {
        let value = serde_json::json!({
            "type": "exported", "form": form, "folder": folder, "step": record.step, "is_best": record.is_best,
            "is_last": record.is_last,
            "read_back": found_back,
            "loss_of_run": checked.as_ref().map(|checked| checked.of_run),
            "loss_of_export": checked.as_ref().map(|checked| checked.of_export),
            "loss_of_other_base": checked.as_ref().and_then(|checked| checked.of_other),
            "difference": compared.as_ref().and_then(|found| found.total().relative()),
        });
        hand_out_json(&value.to_string())?;
    } else {
        let size = if written > 0 {
            format!(", {} of weights", size(written))
        } else {
            String::new()
        };
        hand_out(&format!("{verb} {form} to {folder}{size}{weights}\n"))?;
        if let Some(found) = &found_back {
            hand_out(&read_back_text(found))?;
        }
        if let Some(checked) = &checked {
            hand_out(&checked.text())?;
        }
        if let Some(found) = &compared {
            hand_out(&compared_text(found))?;
        }
    }
    let worst = found_back
        .filter(|found| !found.is_close())
        .and_then(|found| found.worst);
    if let Some(TensorError { storage, .. }) = worst {
        say_note(msg::RoundedByMore { storage });
    }
    if let Some(explanation) = checked.and_then(|checked| checked.explanation) {
        say_note(explanation);
    }
    Ok(ended(&place))
}

/// Shows how far an export is; a program that reads JSON hears of it once it is done.
pub fn show_progress((done, total): (u64, u64), json: bool, take: &mut dyn FnMut(&Event)) {
    if !json {
        let stage = Stage::Export;
        take(&Event::Progress { stage, done, total });
    }
}

/// The exit code of an export whose files are complete: Ctrl-C may have ended its check.
pub fn ended(place: &ExportPlace) -> ExitCode {
    match place.is_stopped() {
        true => {
            say("note     the export is complete; it was not checked to the end");
            ExitCode::from(INTERRUPTED)
        }
        false => ExitCode::SUCCESS,
    }
}

/// What is scored.
struct Subject<'a> {
    found: &'a Found,
    /// The base of the run.
    own_base: &'a Path,
    /// The base that the export was made with.
    base: &'a Path,
    has_adapter: bool,
    record: &'a RunRecord,
    settings: Settings,
    folder: &'a Path,
}

/// Losses on the held-out rows.
struct Checked {
    of_run: f64,
    of_export: f64,
    /// How far they are expected to lie apart at most.
    tolerance: f64,
    /// Of a merged model whose run computed with fewer bits than its base has: of the adapter on the other of the two bases.
    of_other: Option<f64>,
    /// Whether the export has the numbers that the run computed with; none where there is one base.
    is_as_run: Option<bool>,
    explanation: Option<Message>,
}

impl Checked {
    fn text(&self) -> String {
        let difference = |loss: f64| format!("{loss:.4} ({:+.4})", loss - self.of_run);
        let mut text = format!(
            "checked  loss on held-out rows {}, the run's own {:.4}; up to {:.4} is expected\n",
            difference(self.of_export),
            self.of_run,
            self.tolerance
        );
        let (as_run, original) = (
            "the base as the run computed with it, dequantized",
            "the base in full precision",
        );
        if let Some(is_as_run) = self.is_as_run {
            let (here, other) = if is_as_run {
                (as_run, original)
            } else {
                (original, as_run)
            };
            text.push_str(&format!("         put into {here}: {}\n", difference(self.of_export)));
            match self.of_other {
                Some(loss) => text.push_str(&format!("         put into {other}: {}\n", difference(loss))),
                None => text.push_str(&format!(
                    "         put into {other}: not measured; name it with --base\n"
                )),
            }
        }
        text
    }
}

/// Scores what was written as the run scored its own weights; else says why not.
async fn check(subject: Subject<'_>, device: DeviceChoice) -> Result<Result<Checked, Message>> {
    let Subject {
        found,
        own_base,
        base,
        has_adapter,
        record,
        settings,
        folder,
    } = subject;
    let form = settings.form;
    if let Some(why) = not_comparable(record.task, has_adapter) {
        return Ok(Err(why));
    }
    let scorer = match Scorer::new(found.run.as_ref(), &record.data, device).await? {
        Ok(scorer) => scorer,
        Err(why) => return Ok(Err(why)),
    };
    let own = has_adapter.then_some(found.path.as_path());
    let logged = record
        .scores
        .iter()
        .find(|(name, _)| name == "loss")
        .map(|(_, loss)| *loss);
    // A merged model holds no base that preferred answers could be compared with.
    let needs_references = form.holds_base() && record.task == Some(Task::Preference);
    let scored = match needs_references || logged.is_none() {
        true => scorer.loss(own_base, has_adapter, own, None).await?,
        false => None,
    };
    let of_run = logged.or(scored.as_ref().map(|(loss, _)| *loss));
    let references = scored.filter(|_| needs_references).map(|(_, references)| references);
    let references = references.as_ref();
    let Some(of_run) = of_run else {
        return Ok(Err(msg::NothingHeldOut.into()));
    };
    let Some(of_export) = scorer.loss_of_export(form, (folder, base), references).await? else {
        return Ok(Err(msg::NothingHeldOut.into()));
    };
    let is_whole = form.holds_base() && has_adapter;
    let packs = found.run.as_ref().map_or(BaseFormat::AsStored, BaseFormat::from);
    let is_in_blocks = holds_blocks(own_base).await?;
    let has_two = is_whole && (packs != BaseFormat::AsStored || is_in_blocks);
    // The base's own numbers are those of the run unless the run rounds them, or another base was named.
    let is_other_base = !is_same(own_base, base);
    let is_as_run = !is_other_base && (packs == BaseFormat::AsStored || settings.base == packs);
    let of_other = match (has_two, is_as_run) {
        (false, _) => None,
        (true, false) => Some(of_run),
        // A base that is stored in blocks has its full precision elsewhere.
        (true, true) if is_in_blocks => None,
        (true, true) => {
            let scored = scorer.loss(base, false, own, references).await?;
            scored.map(|(loss, _)| loss)
        }
    };
    let is_small = difference_is_small(of_run, of_export, settings.dtype, form);
    Ok(Ok(Checked {
        of_run,
        of_export,
        tolerance: expected_difference(of_run, settings.dtype, form),
        of_other,
        is_as_run: has_two.then_some(is_as_run),
        explanation: (!is_small).then(|| explanation(settings.dtype, has_two && !is_as_run)),
    }))
}

/// What the base of a run is rounded to by it.
///
/// # Errors
/// The run does not round it, or the form has no base in it.
fn rounding(found: &Found, form: Form) -> Result<BaseFormat> {
    let packs = found.run.as_ref().map_or(BaseFormat::AsStored, BaseFormat::from);
    if !form.holds_base() {
        let form = form.name();
        return Err(Error::config(msg::NoBaseInForm { form })
            .field("--dequantized")
            .remedy(msg::MergedHasBase));
    }
    match packs {
        BaseFormat::AsStored => Err(Error::config(msg::NotRounded)
            .file(found.path.display().to_string())
            .field("--dequantized")
            .remedy(msg::LeaveFlagOut)),
        packs => Ok(packs),
    }
}

/// The licence that a person names.
fn named_license(name: &str) -> Result<License> {
    License::named(name).ok_or_else(|| {
        let got = format!("{name:?}");
        Error::config(msg::NoLicense { got })
            .field("--license")
            .remedy(msg::NameLicense)
    })
}

/// Whether two paths lead to one place.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    place(one) == place(other)
}

/// What the log of a run's folder holds.
fn events(folder: &Path) -> Result<Vec<Value>> {
    let log = read_text(&folder.join(LOG))?.unwrap_or_default();
    Ok(log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
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
fn base_of(found: &Found, adapter: &AdapterFiles) -> Result<PathBuf> {
    let of_run = found.run.as_ref().map(|run| run.model_name_or_path.clone());
    let named = of_run
        .filter(|name| !name.is_empty())
        .or(adapter.base().map(str::to_owned));
    let settings = match found.path.is_dir() {
        true => found.path.join(CONFIG_FILE),
        false => found.path.clone(),
    };
    let located = |error: Error| error.file(settings.display().to_string());
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
}
