//! Runs that outlive the page: what the store holds, which of them is this page's own, and how one goes on.

use crate::bundled;
use crate::hub;
use crate::loaded::{DataSource, ModelSource};
use crate::storage::{Storage, Stored};
use crate::sweep::Sweeps;
use js_sys::{Array, Date, Math, Reflect};
use leptos::prelude::*;
use lorakeet_core::config::SMALL_MODELS;
use lorakeet_core::protocol::{COPIES, InputFile, RunInput, RunRecord, RunState, StoredRun};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, FileSystemDirectoryHandle, FileSystemFileHandle};

/// The worker's folder in the private file system, as `public/shelf.js` names it.
const FOLDER: &str = "lorakeet";

/// The runs in the browser's storage.
#[derive(Clone, Copy)]
pub struct StoredRuns {
    /// The newest first.
    pub runs: RwSignal<Vec<StoredRun>>,
    /// The run that this page trains or trained last.
    own: StoredValue<Option<RunRecord>>,
    /// Whether it goes on as soon as an engine has loaded what it needs.
    waits: StoredValue<bool>,
    /// The step that it goes back to then, where it went wrong.
    back: StoredValue<Option<usize>>,
    /// Whether it begins then.
    is_new: StoredValue<bool>,
    /// Whether it has a checkpoint.
    pub is_saved: StoredValue<bool>,
    /// Whether the browser gives the page a place for runs, as far as it was told.
    pub has_store: RwSignal<bool>,
    /// How often it was tried since its last step.
    pub tries: StoredValue<u32>,
    /// The person's files that have to be chosen before a run can go on.
    pub missing: RwSignal<Vec<InputFile>>,
    /// The files without which a run was opened that has ended.
    pub opened_without: RwSignal<Vec<InputFile>>,
}

impl StoredRuns {
    /// None is known yet.
    pub fn new() -> Self {
        Self {
            runs: RwSignal::new(Vec::new()),
            own: StoredValue::new(None),
            waits: StoredValue::new(false),
            back: StoredValue::new(None),
            is_new: StoredValue::new(false),
            is_saved: StoredValue::new(false),
            has_store: RwSignal::new(true),
            tries: StoredValue::new(0),
            missing: RwSignal::new(Vec::new()),
            opened_without: RwSignal::new(Vec::new()),
        }
    }

    /// The runs that nobody ended and nobody trains, as far as it was told, the newest first; not those of a sweep that goes on with
    /// them.
    pub fn interrupted(self, storage: Storage, sweep: Sweeps) -> Vec<StoredRun> {
        if !sweep.is_told.get() {
            return Vec::new();
        }
        let is_interrupted = |run: &&StoredRun| {
            let stored = Stored::Run(run.record.id.clone());
            run.record.state == RunState::Open
                && !run.is_under_way
                && run.step.is_some()
                && !storage.hides(&stored)
                && !sweep.owns(&stored)
        };
        self.runs
            .with(|runs| runs.iter().filter(is_interrupted).cloned().collect())
    }

    /// A new run begins.
    pub fn begin(self, record: RunRecord) {
        self.opened_without.set(Vec::new());
        self.tries.set_value(0);
        self.is_saved.set_value(false);
        self.own.set_value(Some(record));
    }

    /// A run that has ended was opened again.
    pub fn open(self, record: RunRecord) {
        self.end_waiting();
        self.is_saved.set_value(true);
        self.own.set_value(Some(record));
    }

    /// A stored run goes on, as soon as what it needs is loaded; from the step `back` or before it, where that is given.
    pub fn go_on(self, record: RunRecord, back: Option<usize>) {
        self.opened_without.set(Vec::new());
        let is_saved = |run: &StoredRun| run.record.id == record.id && run.step.is_some();
        self.is_saved
            .set_value(self.runs.with_untracked(|runs| runs.iter().any(is_saved)));
        self.own.set_value(Some(record));
        self.back.set_value(back);
        self.waits.set_value(true);
    }

    /// A new run begins as soon as what it needs is loaded.
    pub fn begin_loaded(self, record: RunRecord) {
        self.begin(record);
        self.is_new.set_value(true);
        self.waits.set_value(true);
    }

    /// Whether the run that waits has not begun.
    pub fn is_new(self) -> bool {
        self.is_new.get_value()
    }

    /// What is written down of this page's run; in the store it may name copies of files.
    pub fn own_record(self) -> Option<RunRecord> {
        let own = self.own.get_value()?;
        let is_own = |run: &&StoredRun| run.record.id == own.id;
        let stored = self.runs.with_untracked(|runs| runs.iter().find(is_own).cloned());
        let stored = stored.map(|run| run.record);
        Some(RunRecord {
            settings: own.settings.clone(),
            ..stored.unwrap_or(own)
        })
    }

    /// Whether this page has a run of its own.
    pub fn has_own(self) -> bool {
        self.own.with_value(Option::is_some)
    }

    /// The run that goes on as soon as what it needs is loaded, and the step that it goes back to.
    pub fn waiting(self) -> Option<(RunRecord, Option<usize>)> {
        let own = self.waits.get_value().then(|| self.own.get_value()).flatten()?;
        Some((own, self.back.get_value()))
    }

    /// Nothing waits any more; whether something did.
    pub fn end_waiting(self) -> bool {
        let waits = self.waits.get_value();
        self.waits.set_value(false);
        self.back.set_value(None);
        self.is_new.set_value(false);
        waits
    }

    /// The run of this page is to be tried again; not after `most` times without a step, and where there is none.
    pub fn retry(self, most: u32) -> bool {
        let tries = self.tries.get_value() + 1;
        self.tries.set_value(tries);
        let is_tried = tries <= most && self.has_own();
        if is_tried {
            self.waits.set_value(true);
        }
        is_tried
    }
}

/// A name for a new run, and the moment: milliseconds since 1970.
pub fn new_id() -> (String, f64) {
    let now = Date::now();
    let tail = (Math::random() * f64::from(1 << 16)) as u32;
    (format!("{:x}-{tail:04x}", now as u64), now)
}

/// What a record says of the model.
pub fn of_model(source: &ModelSource) -> RunInput {
    match source {
        ModelSource::Bundled => RunInput::Bundled(bundled::MODEL_FOLDER.to_owned()),
        ModelSource::Small(name) => RunInput::Bundled((*name).to_owned()),
        ModelSource::Own(files) => of_files(files),
        // It is in the store already, under this name.
        ModelSource::Stored { folder, .. } => RunInput::Bundled(folder.clone()),
    }
}

/// What a record says of the data.
pub fn of_data(source: &DataSource) -> RunInput {
    match source {
        DataSource::Bundled(set) => RunInput::Bundled(set.file.to_owned()),
        DataSource::Own(files) => of_files(files),
    }
}

/// What a record says of the person's files.
pub fn of_files(files: &[File]) -> RunInput {
    let file = |file: &File| InputFile {
        name: file.name(),
        bytes: file.size() as u64,
        copy: None,
    };
    RunInput::Files(files.iter().map(file).collect())
}

/// The files of an input: those that are chosen already, else their copies.
///
/// # Errors
/// Those that the person has to choose.
pub async fn files_of(files: &[InputFile], chosen: &[File]) -> Result<Vec<File>, Vec<InputFile>> {
    let is_it = |file: &InputFile, chosen: &File| chosen.name() == file.name && chosen.size() as u64 == file.bytes;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for file in files {
        let of_person = chosen.iter().find(|chosen| is_it(file, chosen)).cloned();
        let of_store = match &of_person {
            None => copy_of(file).await,
            Some(_) => None,
        };
        match of_person.or(of_store) {
            Some(one) => found.push(one),
            None => missing.push(file.clone()),
        }
    }
    match missing.is_empty() {
        true => Ok(found),
        false => Err(missing),
    }
}

/// The copy of a file, under the file's own name.
async fn copy_of(file: &InputFile) -> Option<File> {
    let name = file.copy.as_ref()?;
    let navigator = window().navigator();
    if Reflect::get(&navigator, &"storage".into()).ok()?.is_undefined() {
        return None;
    }
    let mut folder: FileSystemDirectoryHandle = JsFuture::from(navigator.storage().get_directory())
        .await
        .ok()?
        .unchecked_into();
    for name in [FOLDER, COPIES] {
        folder = JsFuture::from(folder.get_directory_handle(name))
            .await
            .ok()?
            .unchecked_into();
    }
    let handle: FileSystemFileHandle = JsFuture::from(folder.get_file_handle(name))
        .await
        .ok()?
        .unchecked_into();
    let stored: File = JsFuture::from(handle.get_file()).await.ok()?.unchecked_into();
    // One that was not written to its end.
    if stored.size() as u64 != file.bytes {
        return None;
    }
    File::new_with_blob_sequence(&Array::of1(&stored), &file.name).ok()
}

/// The model of a record, where it comes with the page or is in the store.
pub fn bundled_model(name: &str) -> Option<ModelSource> {
    if name == bundled::MODEL_FOLDER {
        return Some(ModelSource::Bundled);
    }
    if let Some(id) = hub::id_of(name) {
        let folder = name.to_owned();
        return Some(ModelSource::Stored { folder, id });
    }
    SMALL_MODELS
        .iter()
        .find(|known| **known == name)
        .map(|name| ModelSource::Small(name))
}

/// The data of a record, where it comes with the page.
pub fn bundled_data(name: &str) -> Option<DataSource> {
    bundled::DATA
        .iter()
        .find(|set| set.file == name)
        .map(DataSource::Bundled)
}

/// What an input is called.
pub fn name_of(input: &RunInput) -> String {
    match input {
        RunInput::Bundled(name) if name == bundled::MODEL_FOLDER => bundled::MODEL_NAME.to_owned(),
        RunInput::Bundled(name) if hub::id_of(name).is_some() => hub::id_of(name).unwrap_or_default(),
        RunInput::Bundled(name) => name.rsplit('/').next().unwrap_or(name).to_owned(),
        RunInput::Files(files) => match &files[..] {
            [file] => file.name.clone(),
            files => {
                let weights = files.iter().find(|file| file.name.ends_with(".safetensors"));
                weights
                    .or(files.first())
                    .map(|file| file.name.clone())
                    .unwrap_or_default()
            }
        },
    }
}

/// What a run is called: as the person called it, else after what it trains and on what.
pub fn title(record: &RunRecord) -> String {
    let name = record.labels.name.clone();
    name.unwrap_or_else(|| format!("{} · {}", name_of(&record.model), name_of(&record.data)))
}
