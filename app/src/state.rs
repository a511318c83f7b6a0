//! The page's state: what the person chose, what is loaded, what runs; and what a person can have done with it.

mod advice;
mod audit;
mod baselines;
pub mod columns;
mod events;
mod export;
mod files;
mod history;
mod hub;
mod judge;
mod runs;
mod storage;
mod sweeps;
mod turns;

use crate::advice::{Advised, Search};
use crate::audit::Audit;
use crate::baselines::{Measured, Measuring};
use crate::bundled;
use crate::conversation::{Conversation, Engine, Job};
use crate::files::Files;
use crate::history::History;
use crate::hub::HubModels;
use crate::i18n::{Language, Words, words};
use crate::loaded::{DataSource, Loaded, ModelSource};
use crate::pictures::{Pictures, Subject};
use crate::playground::Answer;
use crate::report::writes;
use crate::run::Phase;
use crate::settings::Settings;
use crate::storage::Storage;
use crate::stored_runs::{self, StoredRuns};
use crate::sweep::Sweeps;
use crate::theme::{self, Theme};
use crate::training::Training;
use crate::turn::Wanted;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::{PageQuery, RunConfig};
use lorakeet_core::error::Kind;
use lorakeet_core::lesson::ListedLesson;
use lorakeet_core::protocol::{
    Command, DeviceChoice, Keep, PictureKind, PictureRequest, RunInput, RunRecord, RunState,
};
use lorakeet_core::task::Task;
use lorakeet_i18n::Message;
use std::time::Duration;
use web_sys::File;

/// Engines that ask for a GPU after one was lost.
const MOST_GPU_TRIES: u32 = 3;
/// The wait between the first two, and more between the next.
const BETWEEN_GPU_TRIES: Duration = Duration::from_secs(1);

/// What a run is made of: its model, its training data, its validation data, the adapter that it starts from.
type Inputs = (RunInput, RunInput, Option<RunInput>, Option<RunInput>);

/// Everything that the page shows.
#[derive(Clone, Copy)]
pub struct PageState {
    /// Language of all words.
    pub language: RwSignal<Language>,
    /// Light, dark, or the system's.
    pub theme: RwSignal<Theme>,
    /// The device that the person wants.
    pub device_choice: RwSignal<DeviceChoice>,
    /// Every knob.
    pub settings: Settings,
    /// The link that the page was opened with: what is not known of it stays in the next.
    pub link: RwSignal<PageQuery>,
    /// What of it cannot be used.
    pub link_problems: RwSignal<Vec<Message>>,
    /// The lesson that it names.
    pub lesson: RwSignal<Option<String>>,
    /// All but training is left out, for a frame in another page.
    pub is_compact: RwSignal<bool>,
    /// The lessons beside the page, once they were asked for.
    pub lessons: RwSignal<Vec<ListedLesson>>,
    /// Text to continue while training.
    pub sample_prompt: RwSignal<String>,
    /// The conversation with the engine.
    pub worker: Conversation,
    /// How often a new engine was started since a GPU was lost; 0 where none was.
    gpu_tries: StoredValue<u32>,
    /// Model and data.
    pub loaded: Loaded,
    /// What the engine advises for them.
    pub advice: Advised,
    /// The baselines that were measured before a run.
    pub baselines: Measured,
    /// What was found in the data.
    pub audit: Audit,
    /// Files that are looked into or compared.
    pub files: Files,
    /// The run.
    pub training: Training,
    /// Pictures that explain.
    pub pictures: Pictures,
    /// Runs that outlive the page.
    pub stored: StoredRuns,
    /// What is stored besides, and what is removed.
    pub storage: Storage,
    /// Stored runs that are looked back on.
    pub history: History,
    /// A run with several values of some settings.
    pub sweep: Sweeps,
    /// Models from a hub.
    pub hub: HubModels,
    /// Whether the screen stays on while a run is under way.
    pub keeps_awake: RwSignal<bool>,
    /// What waits for the turn of another tab to end.
    pub elsewhere: RwSignal<Option<Wanted>>,
}

impl PageState {
    /// A page without an engine yet.
    pub fn new(language: Language, theme: Theme, device: DeviceChoice) -> Self {
        let loaded = Loaded::new();
        Self {
            language: RwSignal::new(language),
            theme: RwSignal::new(theme),
            device_choice: RwSignal::new(device),
            settings: Settings::new(),
            link: RwSignal::new(PageQuery::default()),
            link_problems: RwSignal::new(Vec::new()),
            lesson: RwSignal::new(None),
            is_compact: RwSignal::new(false),
            lessons: RwSignal::new(Vec::new()),
            sample_prompt: RwSignal::new(bundled::DATA[0].prompt.into()),
            worker: Conversation::new(),
            gpu_tries: StoredValue::new(0),
            loaded,
            advice: Advised::new(),
            baselines: Measured::new(),
            audit: Audit::new(),
            files: Files::new(),
            training: Training::new(),
            pictures: Pictures::new(),
            stored: StoredRuns::new(),
            storage: Storage::new(),
            history: History::new(),
            sweep: Sweeps::new(loaded.adapter_files),
            hub: HubModels::new(),
            keeps_awake: RwSignal::new(theme::keeps_awake()),
            elsewhere: RwSignal::new(None),
        }
    }

    /// What a run file and a link call the model.
    pub fn model_name(self) -> String {
        match self.loaded.model_source.get() {
            ModelSource::Bundled => bundled::MODEL_FOLDER.to_owned(),
            ModelSource::Small(name) => name.to_owned(),
            ModelSource::Stored { id, .. } => id,
            ModelSource::Own(files) => match &files[..] {
                [file] => file.name(),
                _ => "own-model".to_owned(),
            },
        }
    }

    /// What they call the data.
    pub fn data_name(self) -> String {
        match self.loaded.data_source.get() {
            DataSource::Bundled(set) => set.file.to_owned(),
            // Of images with their labels it is the images' file.
            DataSource::Own(files) => match self.loaded.data.get() {
                Some(info) => info.name,
                None => files.first().map(File::name).unwrap_or_default(),
            },
        }
    }

    /// The words of the language in use.
    pub fn words(self) -> &'static Words {
        words(self.language.get())
    }

    /// One sentence, kept in the language in use.
    pub fn text(
        self,
        pick: fn(&'static Words) -> &'static str,
    ) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
        move || pick(self.words())
    }

    /// What the model learns: in the run under way or over, else in the next.
    pub fn task(self) -> Task {
        let chosen = || self.settings.with(|config| config.task);
        let found = || {
            self.loaded
                .outlook
                .with(|outlook| outlook.as_ref().map(|outlook| outlook.task))
        };
        let of_run = self.training.outcome.task.get();
        of_run.or_else(chosen).or_else(found).unwrap_or_default()
    }

    /// What pictures are made of now.
    pub fn subject(self) -> Subject {
        Subject {
            loaded: self.loaded,
            settings: self.settings,
            task: self.task(),
            sample_prompt: self.sample_prompt,
        }
    }

    /// Starts the engine, or starts it anew: the device, the model and the data follow by themselves.
    pub fn start_engine(self) {
        self.loaded.forget();
        self.advice.forget();
        self.end_search(Search::None);
        self.end_baselines(Measuring::None);
        if self.stored.waiting().is_none() {
            self.interrupt_sweep();
        }
        self.training.forget();
        self.pictures.forget();
        if let Err(error) = self.worker.start(move |incoming| self.receive(incoming)) {
            self.lose_engine(error);
        }
    }

    /// Takes another device: a new engine, for one engine cannot open a GPU again that broke.
    pub fn choose_device(self, choice: DeviceChoice) {
        self.gpu_tries.set_value(0);
        self.device_choice.set(choice);
        self.start_engine();
    }

    /// Takes another model.
    pub fn choose_model(self, source: ModelSource) {
        self.loaded.model_source.set(source);
        self.loaded.adapter_files.set(Vec::new());
        if self.worker.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.forget_advice();
        self.forget_adapter_score();
        self.loaded.forget_model();
        self.loaded.forget_preview();
        self.training.export.license.set(String::new());
        self.worker.drop_waiting(Job::Adapter);
        self.worker
            .clear_error(&[Job::Model, Job::Adapter, Job::ScoreAdapter, Job::Train, Job::Picture]);
        self.training.forget();
        self.pictures.forget_model();
        self.load_model();
    }

    /// Takes other data.
    pub fn choose_data(self, source: DataSource) {
        if let DataSource::Bundled(set) = &source {
            self.sample_prompt.set(set.prompt.into());
        }
        self.loaded.data_source.set(source);
        if self.worker.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.forget_advice();
        self.training.outcome.is_of_other_data.set(true);
        self.loaded.data.set(None);
        self.loaded.forget_preview();
        self.loaded.forget_columns();
        self.forget_adapter_score();
        self.worker.clear_error(&[Job::Data, Job::Preview, Job::Train]);
        self.take_all_in();
        self.forget_told_columns();
        self.load_data();
    }

    /// Takes another validation file, or none.
    pub fn choose_validation(self, files: Vec<File>) {
        self.loaded.validation_files.set(files);
        if self.worker.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.forget_advice();
        self.training.outcome.is_of_other_data.set(true);
        self.loaded.validation.set(None);
        self.loaded.validation_problem.set(None);
        self.forget_adapter_score();
        self.worker.clear_error(&[Job::Validation, Job::Train]);
        self.load_validation();
    }

    /// The settings with what the page knows besides, where a run can be made of them.
    fn config(self) -> Option<Box<RunConfig>> {
        let config = self.settings.config_untracked()?;
        let validation = self.loaded.validation;
        Some(Box::new(RunConfig {
            validation_file: validation.with_untracked(|info| info.as_ref().map(|info| info.name.clone())),
            ..config
        }))
    }

    /// Whether a run is under way.
    pub fn is_training(self) -> bool {
        self.training.phase.with(Phase::is_under_way)
    }

    fn is_free(self) -> bool {
        !untrack(|| self.is_training())
    }

    /// Asks for a few examples under the present settings, and for an audit.
    pub fn ask_preview(self) {
        self.ask_examples();
        self.ask_audit(false);
    }

    fn ask_examples(self) {
        if let Some(config) = self.config()
            && untrack(|| self.loaded.is_complete())
            && self.is_free()
        {
            self.worker.drop_waiting(Job::Preview);
            let after = self.loaded.preview_after.get_value();
            self.ask(Job::Preview, Command::Preview { config, after }, Vec::new());
        }
    }

    /// Asks what a run under the present settings would take.
    pub fn ask_estimate(self) {
        if let Some(config) = self.config()
            && self.loaded.model.with_untracked(Option::is_some)
            && self.is_free()
        {
            self.worker.drop_waiting(Job::Estimate);
            self.ask(Job::Estimate, Command::Estimate { config }, Vec::new());
        }
    }

    /// Has the device measured.
    pub fn measure(self) {
        self.worker.clear_error(&[Job::Probe]);
        self.ask(Job::Probe, Command::Probe, Vec::new());
    }

    /// Whether Train can be pressed.
    pub fn can_train(self) -> bool {
        self.could_train() && !self.advice.is_searching() && !self.baselines.is_under_way()
    }

    /// The same, but for a search or baselines that are to begin.
    fn could_train(self) -> bool {
        self.worker.engine.get() == Engine::Ready
            && self.loaded.is_complete()
            && self.settings.is_valid()
            && !self.is_training()
            && matches!(
                self.worker.job.get(),
                None | Some(
                    Job::Preview
                        | Job::Audit
                        | Job::Estimate
                        | Job::Advice
                        | Job::Probe
                        | Job::Forms
                        | Job::Label
                        | Job::Curves
                        | Job::Sweep
                )
            )
    }

    /// What is chosen: model, data, and the validation data where they are in files of their own.
    fn chosen_inputs(self) -> Inputs {
        let validation = self.loaded.validation_files.get_untracked();
        (
            self.loaded.model_source.with_untracked(stored_runs::of_model),
            self.loaded.data_source.with_untracked(stored_runs::of_data),
            (!validation.is_empty()).then(|| stored_runs::of_files(&validation)),
            self.adapter_of_run(),
        )
    }

    /// Starts a run, now that it is this page's turn.
    fn train_now(self) {
        let Some(config) = self.config() else {
            return;
        };
        self.make_way();
        let prompt = self.sample_prompt.get_untracked();
        let reads = !prompt.trim().is_empty() && writes(untrack(|| self.task()));
        let (model, data, validation, adapter) = self.chosen_inputs();
        let task = untrack(|| self.task());
        let record = RunRecord {
            sample_prompt: reads.then_some(prompt),
            validation,
            adapter,
            ..RunRecord::begun(stored_runs::new_id(), (&config, task), [model, data])
        };
        let watch = untrack(|| self.pictures.watched(self.subject()));
        self.ask_to_train(record, config, watch, true);
    }

    /// Starts a run of a sweep, or goes on with one.
    fn train_as(self, record: RunRecord, config: RunConfig, is_new: bool) {
        self.make_way();
        self.ask_to_train(record, Box::new(config), Vec::new(), is_new);
    }

    /// Forgets the run before, for the one that starts now.
    fn make_way(self) {
        self.training.forget();
        self.loaded.adapter_score.set(None);
        self.pictures.forget();
        self.worker.error.set(None);
        self.worker.notes.set(Vec::new());
        self.training.phase.set(Phase::Starting);
    }

    fn ask_to_train(self, record: RunRecord, config: Box<RunConfig>, watch: Vec<PictureRequest>, is_new: bool) {
        if is_new {
            self.stored.begin(record.clone());
            self.ask_to_persist();
        } else {
            self.stored.go_on(record.clone(), None);
            // What it needs is loaded.
            self.stored.end_waiting();
        }
        let command = Command::Train {
            config,
            sample_prompt: record.sample_prompt.clone(),
            watch,
            keep: Some(match is_new {
                true => Keep::New(Box::new(record)),
                false => Keep::GoOn(record.id),
            }),
        };
        self.ask(Job::Train, command, Vec::new());
    }

    /// Holds the run after its step.
    pub fn pause(self) {
        self.training.phase.set(Phase::Pausing);
        self.send_now(&Command::Pause);
    }

    /// Goes on.
    pub fn resume(self) {
        self.training.phase.set(Phase::Running);
        self.send_now(&Command::Resume);
    }

    /// Ends the run after its step.
    pub fn stop(self) {
        self.end_sweep(RunState::Stopped);
        let is_asked = self.worker.job.get_untracked() == Some(Job::Train);
        // A run that waits for the engine, or for what it does now, is not known to it yet.
        if !is_asked && (self.worker.waits(Job::Train) || self.stored.waiting().is_some()) {
            self.stored.end_waiting();
            self.worker.drop_waiting(Job::Train);
            self.training.phase.set(Phase::Idle);
            self.look_after_run();
            return self.follow();
        }
        self.training.phase.set(Phase::Stopping);
        // What waits for its turn or its files sees it then.
        if is_asked {
            self.send_now(&Command::Stop);
        }
    }

    /// Queues a text to generate.
    pub fn generate(self, command: Command) {
        self.ask(Job::Generate, command, Vec::new());
    }

    /// Has a picture of the model drawn as it is now.
    pub fn draw(self, kind: PictureKind) {
        self.worker.clear_error(&[Job::Picture]);
        self.pictures.asked.set(Some(kind));
        let (id, request) = (
            self.worker.next_id(),
            untrack(|| self.pictures.panel(kind).request(self.subject())),
        );
        self.ask(Job::Picture, Command::Picture { id, request }, Vec::new());
    }

    /// Ends the text under way and drops those that wait.
    pub fn cancel_generate(self) {
        self.worker.drop_waiting(Job::Generate);
        self.training.each_answer(Answer::drop_unstarted);
        self.send_now(&Command::CancelGenerate);
    }

    /// Ends the reading of the data.
    pub fn cancel_reading(self) {
        self.send_now(&Command::CancelReading);
    }

    fn load_model(self) {
        let (command, files) = self.loaded.model_command();
        self.ask(Job::Model, command, files);
    }

    fn load_data(self) {
        let (command, files) = self.loaded.data_command();
        self.ask_to_read(Job::Data, command, files);
    }

    fn load_validation(self) {
        let (command, files) = self.loaded.validation_command();
        self.ask_to_read(Job::Validation, command, files);
    }

    /// Has files read as a run under the present settings reads them.
    fn ask_to_read(self, job: Job, command: Command, files: Vec<File>) {
        let config = self.config().unwrap_or_default();
        let read_as = Command::ReadAs { config };
        if let Some(error) = self.worker.ask_after(Some(read_as), job, command, files) {
            self.fail(error);
        }
    }

    fn ask(self, job: Job, command: Command, files: Vec<File>) {
        if let Some(error) = self.worker.ask(job, command, files) {
            self.fail(error);
        }
    }

    fn send_now(self, command: &Command) {
        if let Err(error) = self.worker.send(command, &[]) {
            self.fail(error);
        }
    }

    fn finish(self, job: Job) {
        if let Some(error) = self.worker.finish(job) {
            self.fail(error);
        }
    }
}

/// Whether an error leaves an engine that should be started anew.
pub fn asks_for_restart(error: &Error) -> bool {
    matches!(error.kind, Kind::Device | Kind::OutOfMemory | Kind::Internal)
}
