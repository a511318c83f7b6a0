//! The folder that a run writes into: without what the run reads, without another run, and for one writer at a time.

use crate::commands::sources;
use crate::log::cannot_read;
use lorakeet_core::config::{RunConfig, SMALL_MODELS};
use lorakeet_core::data::labels_of;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::{InputFile, RunInput, RunRecord};
use lorakeet_core::store::{DirectorySink, DiskFile, Sink, Source};
use lorakeet_core::train::checkpoint::{self, Checkpoint};
use lorakeet_core::train::record::{RECORD, read_record};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::command as msg;
use lorakeet_i18n::messages::common::Both;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The settings of the run, as they were resolved.
pub const SETTINGS: &str = "run.yaml";

/// The first line of [`SETTINGS`] where a run wrote it, and not a person.
pub const WRITTEN: &str = "# Written by lorakeet train: the settings of the run in this folder.\n";

/// What a run leaves in its folder besides checkpoints, settings and log.
pub const RESULTS: [&str; 6] = [
    "adapter_model.safetensors",
    "model.safetensors",
    "predictions.csv",
    "adapter_config.json",
    "config.json",
    "tokenizer.json",
];

/// What resume_from_checkpoint says for the newest.
const NEWEST: &str = "true";

/// A run's folder before the run.
pub struct Output<'a> {
    config: &'a RunConfig,
    folder: PathBuf,
    /// The run file, where it lies in the folder under the name of [`SETTINGS`].
    keeps_settings: bool,
    /// Whether the run in the folder is the one that goes on.
    goes_on: bool,
}

impl<'a> Output<'a> {
    /// The folder of the run that the file `run` describes.
    ///
    /// # Errors
    /// The run would write over what it reads.
    pub fn of(config: &'a RunConfig, run: &Path) -> Result<Self> {
        let folder = settled(Path::new(&config.output_dir));
        for (knob, file) in inputs(config) {
            refuse_input(knob, &file, &folder)?;
        }
        if settled(run) == folder.join(RECORD) {
            let error = Error::config(msg::RunFileIsRecord { file: RECORD }).field("output_dir");
            return Err(error.remedy(msg::FolderOfItsOwn));
        }
        let from = config.resume_from_checkpoint.as_deref();
        let is_own = |from: &str| from == NEWEST || settled(Path::new(from)).starts_with(&folder);
        Ok(Self {
            config,
            keeps_settings: settled(run) == folder.join(SETTINGS),
            goes_on: from.is_some_and(is_own),
            folder,
        })
    }

    /// The checkpoint that the run goes on from, if it does; `note` hears which are passed over.
    ///
    /// # Errors
    /// There is none, or it is not whole.
    pub async fn resumed(&self, note: &mut dyn FnMut(Message)) -> Result<Option<Checkpoint>> {
        let Some(wanted) = &self.config.resume_from_checkpoint else {
            return Ok(None);
        };
        match wanted.as_str() {
            NEWEST => self.newest(note).await.map(Some),
            folder => opened(Path::new(folder)).await.map(Some),
        }
    }

    async fn newest(&self, note: &mut dyn FnMut(Message)) -> Result<Checkpoint> {
        let place = &self.config.output_dir;
        let mut passed_over = Vec::new();
        for step in checkpoint::steps(&DirectorySink::new(&self.folder)).await? {
            let folder = Path::new(place).join(checkpoint::folder(step));
            match opened(&folder).await {
                Ok(found) => {
                    passed_over.into_iter().for_each(note);
                    return Ok(found);
                }
                Err(error) => passed_over.push(Message::from(msg::PassedOver {
                    folder: folder.display(),
                    error: error.message(),
                })),
            }
        }
        let both = |first, second| Both { first, second }.into();
        let what: Message = match passed_over.into_iter().reduce(both) {
            None => msg::NoCheckpoint { place }.into(),
            Some(passed_over) => msg::NoWholeCheckpoint { place, passed_over }.into(),
        };
        Err(Error::config(what)
            .field("resume_from_checkpoint")
            .remedy(msg::StartFromBeginning))
    }

    /// Whether there is such a folder already.
    pub fn exists(&self) -> bool {
        self.folder.exists()
    }

    /// Takes the folder for this run, and brings to an end what another run could not.
    ///
    /// # Errors
    /// It holds another run and is not to be overwritten, another run writes into it, or storage refuses.
    pub async fn claim(&self) -> Result<DirectorySink> {
        if let Some(writer) = DirectorySink::writer(&self.folder) {
            return Err(writer.refusal(Path::new(&self.config.output_dir)));
        }
        if !self.goes_on && !self.config.overwrite_output_dir {
            self.refuse_other_run()?;
        }
        let sink = DirectorySink::claim(&self.config.output_dir)?;
        checkpoint::sweep(&sink).await?;
        Ok(sink)
    }

    fn refuse_other_run(&self) -> Result<()> {
        let Some(found) = self.found()? else { return Ok(()) };
        let folder = &self.config.output_dir;
        let error = Error::config(msg::HoldsRun { folder, found }).field("output_dir");
        Err(error.remedy(msg::NewFolder))
    }

    /// What an earlier run, or a person, left in the folder that would be lost.
    fn found(&self) -> Result<Option<String>> {
        if !self.exists() {
            return Ok(None);
        }
        let failed = |error: std::io::Error| cannot_read(&self.folder, &error);
        let mut found = None;
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if checkpoint::step_of(&name).is_some() || RESULTS.contains(&name.as_str()) {
                found = found.max(Some(name));
            }
        }
        let settings = fs::read(self.folder.join(SETTINGS));
        let by_hand = settings.is_ok_and(|text| !text.starts_with(WRITTEN.as_bytes()));
        if found.is_none() && by_hand && !self.keeps_settings {
            found = Some(SETTINGS.to_owned());
        }
        let record = fs::read(self.folder.join(RECORD));
        if found.is_none() && record.is_ok_and(|text| !is_record(&text)) {
            found = Some(RECORD.to_owned());
        }
        Ok(found)
    }

    /// Takes away the checkpoints of a run that is started over.
    ///
    /// # Errors
    /// Storage refuses.
    pub async fn prepare(&self, sink: &DirectorySink) -> Result<()> {
        if !self.goes_on && self.config.overwrite_output_dir {
            for step in checkpoint::steps(sink).await? {
                checkpoint::remove(sink, step).await?;
            }
        }
        Ok(())
    }

    /// What is written down of the run. One that goes on keeps its name and the moment at which it began.
    pub async fn record(&self, prompt: Option<&str>, note: &mut dyn FnMut(Message)) -> RunRecord {
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs_f64()
            * 1000.0;
        let id = format!("{:x}-{:04x}", now_ms as u64, std::process::id() % (1 << 16));
        let inputs = [&self.config.model_name_or_path, &self.config.train_file].map(|name| input(name));
        let task = self.config.task.unwrap_or_default();
        let mut record = RunRecord {
            sample_prompt: prompt.map(str::to_owned),
            validation: self.config.validation_file.as_deref().map(input),
            adapter: self.config.adapter_name_or_path.as_deref().map(input),
            ..RunRecord::begun((id, now_ms.round()), (self.config, task), inputs)
        };
        let path = self.folder.join(RECORD);
        if self.goes_on && path.is_file() {
            let earlier = match DiskFile::source(&path) {
                Ok(source) => read_record(&[(RECORD.to_owned(), source)]).await,
                Err(error) => Err(error),
            };
            match earlier {
                Ok(earlier) => {
                    (record.id, record.started_ms) = (earlier.id, earlier.started_ms);
                    (record.samples, record.notes, record.score) = (earlier.samples, earlier.notes, earlier.score);
                    record.labels = earlier.labels;
                }
                Err(error) => note(msg::RecordReplaced { why: error.message() }.into()),
            }
        }
        record
    }

    /// Writes the settings of the run.
    ///
    /// # Errors
    /// Storage refuses.
    pub async fn write_settings(&self, sink: &DirectorySink) -> Result<()> {
        if self.keeps_settings {
            return Ok(());
        }
        let settings = format!("{WRITTEN}{}", self.config.to_yaml());
        sink.write(SETTINGS, settings.as_bytes()).await
    }
}

/// Whether a file of a record's name is one, and no run file.
fn is_record(text: &[u8]) -> bool {
    let value: Value = serde_json::from_slice(text).unwrap_or_default();
    ["id", "started_ms", "settings"].iter().all(|key| !value[key].is_null())
}

/// What a record says of a model or of data: its files by their names, or what comes with the program.
fn input(path: &str) -> RunInput {
    let place = Path::new(path);
    if SMALL_MODELS.contains(&path) && !place.exists() {
        return RunInput::Bundled(path.to_owned());
    }
    let files = sources(place).unwrap_or_default();
    let file = |file: &Source| InputFile {
        name: file.name().to_owned(),
        bytes: file.len_bytes(),
        copy: None,
    };
    RunInput::Files(files.iter().map(file).collect())
}

/// The checkpoint in a folder.
async fn opened(folder: &Path) -> Result<Checkpoint> {
    Checkpoint::open(&sources(folder)?).await.map_err(|mut error| {
        error.file = error.file.map(|file| folder.join(file).display().to_string());
        error
    })
}

/// Every file that a run reads, and each folder of them, by the knob that names it.
fn inputs(config: &RunConfig) -> Vec<(&'static str, PathBuf)> {
    let mut inputs = Vec::new();
    for (knob, path) in [
        ("model_name_or_path", Some(&config.model_name_or_path)),
        ("adapter_name_or_path", config.adapter_name_or_path.as_ref()),
        ("train_file", Some(&config.train_file)),
        ("validation_file", config.validation_file.as_ref()),
    ] {
        let Some(path) = path.map(Path::new) else { continue };
        inputs.push((knob, path.to_path_buf()));
        // Behind images their labels are read, of a folder its files.
        let labels = path.file_name().and_then(|name| labels_of(&name.to_string_lossy()));
        inputs.extend(labels.map(|labels| (knob, path.with_file_name(labels))));
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        inputs.extend(entries.map(|entry| (knob, entry.path())));
    }
    inputs.retain(|(_, file)| file.exists());
    inputs
}

/// What would be lost if `file` were written: what it leads to, where it is a link, and the link itself.
fn places(file: &Path) -> [PathBuf; 2] {
    let itself = match (file.parent(), file.file_name()) {
        (Some(folder), Some(name)) => settled(&Path::new(".").join(folder)).join(name),
        _ => settled(file),
    };
    [settled(file), itself]
}

/// Refuses an input that lies where the run writes: in `folder` itself, or in a checkpoint there.
fn refuse_input(knob: &str, file: &Path, folder: &Path) -> Result<()> {
    let Some(place) = places(file).into_iter().find(|place| is_written(place, folder)) else {
        return Ok(());
    };
    let file = file.display();
    let what: Message = match place == folder {
        true => msg::IsInput { knob }.into(),
        false => msg::HoldsInput { file, knob }.into(),
    };
    let error = Error::config(what).field("output_dir");
    Err(error.remedy(msg::FolderOfItsOwn))
}

/// Refuses to write a table over a file that it is made from.
///
/// # Errors
/// It would.
pub fn refuse_table(table: &Path, config: &RunConfig) -> Result<()> {
    let table = places(table);
    match inputs(config)
        .iter()
        .find(|(_, file)| places(file).iter().any(|place| table.contains(place)))
    {
        None => Ok(()),
        Some((knob, _)) => Err(Error::config(msg::TableReplaces { knob })
            .field("--output")
            .remedy(msg::NameNewFile)),
    }
}

/// Whether a run in `folder` may write or remove what is at `place`.
fn is_written(place: &Path, folder: &Path) -> bool {
    let Ok(inside) = place.strip_prefix(folder) else {
        return false;
    };
    let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy());
    match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(first), None) => !place.is_dir() || checkpoint::step_of(&first).is_some(),
        (Some(first), Some(_)) => checkpoint::step_of(&first).is_some(),
    }
}

/// A path without links and detours, also where its end is still to be made.
fn settled(path: &Path) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if folder.as_os_str().is_empty() => settled(Path::new(".")).join(name),
        (Some(folder), Some(name)) => settled(folder).join(name),
        _ => path.to_path_buf(),
    }
}
