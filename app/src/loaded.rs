//! What is loaded: the model and the data that were chosen, what was found in them, and what a run would make of them.

use crate::bundled::{self, DataSet};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::protocol::{
    ColumnUse, Command, DataInfo, FileScore, HubCommand, Learnt, LoadedAdapter, MemoryEstimate, ModelInfo,
    PreviewExample, RunPreview,
};
use web_sys::File;

/// Where the model comes from.
#[derive(Clone)]
pub enum ModelSource {
    /// The one of the page.
    Bundled,
    /// A small one from fresh weights, by its name.
    Small(&'static str),
    /// Files of the person.
    Own(Vec<File>),
    /// One of a hub, in the browser's storage.
    Stored {
        /// Its folder there.
        folder: String,
        /// What the hub calls it.
        id: String,
    },
}

/// Where the data comes from.
#[derive(Clone)]
pub enum DataSource {
    /// One of the page's texts.
    Bundled(&'static DataSet),
    /// A file of the person, or two that belong together.
    Own(Vec<File>),
}

/// Model and data.
#[derive(Clone, Copy)]
pub struct Loaded {
    /// Chosen model.
    pub model_source: RwSignal<ModelSource, LocalStorage>,
    /// Loaded model.
    pub model: RwSignal<Option<ModelInfo>>,
    /// The files of an adapter that no run here trained, for that model.
    pub adapter_files: RwSignal<Vec<File>, LocalStorage>,
    /// What was found in them.
    pub adapter: RwSignal<Option<LoadedAdapter>>,
    /// How the model with it scores on the loaded rows.
    pub adapter_score: RwSignal<Option<FileScore>>,
    /// Chosen data.
    pub data_source: RwSignal<DataSource, LocalStorage>,
    /// Loaded data.
    pub data: RwSignal<Option<DataInfo>>,
    /// The files to score on; none where a part of the data is held out.
    pub validation_files: RwSignal<Vec<File>, LocalStorage>,
    /// What was found in them.
    pub validation: RwSignal<Option<DataInfo>>,
    /// A few examples.
    pub preview: RwSignal<Vec<PreviewExample>>,
    /// How many rows come before them, and how many there are.
    pub preview_place: RwSignal<(usize, usize)>,
    /// How many rows come before those that are wanted; the others are shown until these are here.
    pub preview_after: StoredValue<usize>,
    /// What the columns are to a run.
    pub columns: RwSignal<Vec<ColumnUse>>,
    /// Whether a person said here what the columns are, or the first row.
    pub told_columns: RwSignal<bool>,
    /// What a run would take under the present settings, and the most that the device can give where that is known.
    pub estimate: RwSignal<Option<(MemoryEstimate, Option<u64>)>>,
    /// About how long a step of it would take, where the device was measured.
    pub seconds_per_step: RwSignal<Option<f64>>,
    /// What the last run on the model and the device tells of it.
    pub learnt: RwSignal<Option<Learnt>>,
    /// What a run on the loaded model and data would do.
    pub outlook: RwSignal<Option<RunPreview>>,
    /// Why there can be none.
    pub problem: RwSignal<Option<Error>>,
    /// Why the validation file cannot be scored in it.
    pub validation_problem: RwSignal<Option<Error>>,
}

impl Loaded {
    /// The page's own model and its first text are chosen, and nothing is loaded.
    pub fn new() -> Self {
        Self {
            model_source: RwSignal::new_local(ModelSource::Bundled),
            model: RwSignal::new(None),
            adapter_files: RwSignal::new_local(Vec::new()),
            adapter: RwSignal::new(None),
            adapter_score: RwSignal::new(None),
            data_source: RwSignal::new_local(DataSource::Bundled(&bundled::DATA[0])),
            data: RwSignal::new(None),
            validation_files: RwSignal::new_local(Vec::new()),
            validation: RwSignal::new(None),
            preview: RwSignal::new(Vec::new()),
            preview_place: RwSignal::new((0, 0)),
            preview_after: StoredValue::new(0),
            columns: RwSignal::new(Vec::new()),
            told_columns: RwSignal::new(false),
            estimate: RwSignal::new(None),
            seconds_per_step: RwSignal::new(None),
            learnt: RwSignal::new(None),
            outlook: RwSignal::new(None),
            problem: RwSignal::new(None),
            validation_problem: RwSignal::new(None),
        }
    }

    /// Whether a model and data are there.
    pub fn is_complete(self) -> bool {
        self.model.with(Option::is_some) && self.data.with(Option::is_some)
    }

    /// Forgets what an engine had loaded; what was chosen stays.
    pub fn forget(self) {
        self.forget_model();
        self.data.set(None);
        self.validation.set(None);
        self.forget_outlook();
        self.forget_columns();
    }

    /// Forgets what columns are, and which rows were looked at.
    pub fn forget_columns(self) {
        self.columns.set(Vec::new());
        self.preview_place.set((0, 0));
        self.preview_after.set_value(0);
    }

    /// Forgets the model and what it takes.
    pub fn forget_model(self) {
        self.model.set(None);
        self.forget_adapter();
        self.forget_estimate();
    }

    /// Forgets the adapter on it; which files it is in stays.
    pub fn forget_adapter(self) {
        self.adapter.set(None);
        self.adapter_score.set(None);
    }

    /// Forgets what a run would take.
    pub fn forget_estimate(self) {
        self.estimate.set(None);
        self.seconds_per_step.set(None);
        self.learnt.set(None);
    }

    /// Forgets what a run would make of model and data.
    pub fn forget_preview(self) {
        self.preview.set(Vec::new());
        self.forget_outlook();
    }

    fn forget_outlook(self) {
        self.outlook.set(None);
        self.problem.set(None);
        self.validation_problem.set(None);
    }

    /// The command that loads the chosen model, and the files beside it.
    pub fn model_command(self) -> (Command, Vec<File>) {
        let (files, beside, name) = match self.model_source.get_untracked() {
            ModelSource::Stored { folder, .. } => {
                return (Command::Hub(HubCommand::Load { folder }), Vec::new());
            }
            ModelSource::Bundled => (
                bundled::MODEL_FILES.map(String::from).to_vec(),
                Vec::new(),
                bundled::MODEL_NAME.to_owned(),
            ),
            ModelSource::Small(name) => (Vec::new(), Vec::new(), name.to_owned()),
            ModelSource::Own(files) => {
                let names: Vec<String> = files.iter().map(File::name).collect();
                let name = model_name(&names);
                (names, files, name)
            }
        };
        let command = Command::LoadModel {
            files,
            name,
            config: None,
        };
        (command, beside)
    }

    /// The command that loads the chosen data, and the files beside it.
    pub fn data_command(self) -> (Command, Vec<File>) {
        let (file, beside) = match self.data_source.get_untracked() {
            DataSource::Bundled(set) => (set.file.to_owned(), Vec::new()),
            DataSource::Own(files) => (files.first().map(File::name).unwrap_or_default(), files),
        };
        (Command::LoadData { file }, beside)
    }

    /// The command that loads the chosen validation file or takes it away, and the files beside it.
    pub fn validation_command(self) -> (Command, Vec<File>) {
        let files = self.validation_files.get_untracked();
        let file = files.first().map(File::name);
        (Command::LoadValidation { file }, files)
    }
}

/// What to call a model of these files.
fn model_name(names: &[String]) -> String {
    let telling = |ending: &str| names.iter().find_map(|name| name.strip_suffix(ending));
    match (telling(".gguf"), telling(".safetensors")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(name)) if names.len() == 1 => name.to_owned(),
        _ => "model".to_owned(),
    }
}
