//! The page's state and the conversation with the engine: one request at a time, in order, so that an answer or a failure
//! always belongs to the request before it. Pause, resume, stop and cancel go past the queue.
//!
//! Step numbers arrive faster than frames: they are kept aside and shown once an animation frame.

use crate::bundled::{self, DataSet};
use crate::client::{Client, Incoming};
use crate::i18n::{Language, Words};
use crate::playground::Answer;
use crate::report::{RunResults, writes};
use crate::run::{Phase, Run, Sample};
use crate::settings::Settings;
use crate::theme::Theme;
use js_sys::ArrayBuffer;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::RunConfig;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::{
    Command, DataInfo, DeviceChoice, DeviceInfo, Event, MemoryEstimate, ModelInfo, PreviewExample, Stage,
};
use lorakeet_core::task::Task;
use std::collections::VecDeque;
use web_sys::File;

/// Remarks that are kept.
const NOTES: usize = 5;

/// The engine's code.
#[derive(Debug, Clone, PartialEq)]
pub enum Engine {
    /// Bytes so far and in all; 0 where unknown.
    Loading(u64, u64),
    /// It listens.
    Ready,
    /// It is gone.
    Failed,
}

/// What a request is about; decides where its failure is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Job {
    /// The engine and its device.
    Open,
    /// Step 2.
    Model,
    /// Step 3.
    Data,
    /// The validation file of step 3.
    Validation,
    /// Examples of step 3.
    Preview,
    /// Memory in step 4.
    Estimate,
    /// Step 5.
    Train,
    /// Texts of step 6.
    Generate,
    /// Labels, numbers and scores of step 6.
    Predict,
    /// Step 7.
    Export,
}

/// Where the model comes from.
#[derive(Clone)]
pub enum ModelSource {
    /// The one of the page.
    Bundled,
    /// A small one from fresh weights, by its name.
    Small(&'static str),
    /// Files of the person.
    Own(Vec<File>),
}

/// Where the data comes from.
#[derive(Clone)]
pub enum DataSource {
    /// One of the page's texts.
    Bundled(&'static DataSet),
    /// A file of the person, or two that belong together.
    Own(Vec<File>),
}

/// A file of the adapter.
#[derive(Clone)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

struct Request {
    job: Job,
    command: Command,
    files: Vec<File>,
}

/// Everything that the page shows.
#[derive(Clone, Copy)]
pub struct Lab {
    /// Language of all words.
    pub language: RwSignal<Language>,
    /// Light, dark, or the system's.
    pub theme: RwSignal<Theme>,
    /// The engine's code.
    pub engine: RwSignal<Engine>,
    /// The device that the person wants.
    pub device_choice: RwSignal<DeviceChoice>,
    /// The device in use.
    pub device: RwSignal<Option<DeviceInfo>>,
    /// Long work under way.
    pub progress: RwSignal<Option<(Stage, u64, u64)>>,
    /// What the engine is asked right now.
    pub job: RwSignal<Option<Job>>,
    /// What went wrong last, and with what.
    pub error: RwSignal<Option<(Job, Error)>>,
    /// Remarks of the engine.
    pub notes: RwSignal<Vec<String>>,
    /// Chosen model.
    pub model_source: RwSignal<ModelSource, LocalStorage>,
    /// Loaded model.
    pub model: RwSignal<Option<ModelInfo>>,
    /// Chosen data.
    pub data_source: RwSignal<DataSource, LocalStorage>,
    /// Loaded data.
    pub data: RwSignal<Option<DataInfo>>,
    /// The files to score on; none where a part of the data is held out.
    pub validation_files: RwSignal<Vec<File>, LocalStorage>,
    /// What was found in them.
    pub validation: RwSignal<Option<DataInfo>>,
    /// First examples.
    pub preview: RwSignal<Vec<PreviewExample>>,
    /// What a run would take under the present settings, and the most that the device can give where that is known.
    pub estimate: RwSignal<Option<(MemoryEstimate, Option<u64>)>>,
    /// Every knob.
    pub settings: Settings,
    /// Text to continue while training.
    pub sample_prompt: RwSignal<String>,
    /// Where the run stands.
    pub phase: RwSignal<Phase>,
    /// The run's numbers; read them after `frame`.
    pub run: StoredValue<Run>,
    /// Counts drawn frames.
    pub frame: RwSignal<u32>,
    /// Whether the engine holds a trained adapter.
    pub has_adapter: RwSignal<bool>,
    /// The adapter's files.
    pub exports: RwSignal<Vec<Export>>,
    /// The playground's answers: base, tuned.
    pub answers: [RwSignal<Answer>; 2],
    /// What belongs to the run's task.
    pub outcome: RunResults,
    next_id: StoredValue<u32>,
    queue: StoredValue<VecDeque<Request>, LocalStorage>,
    client: StoredValue<Option<Client>, LocalStorage>,
    frame_asked: StoredValue<bool>,
}

impl Lab {
    /// A page without an engine yet.
    pub fn new(language: Language, theme: Theme, device: DeviceChoice) -> Self {
        Self {
            device_choice: RwSignal::new(device),
            language: RwSignal::new(language),
            theme: RwSignal::new(theme),
            engine: RwSignal::new(Engine::Loading(0, 0)),
            device: RwSignal::new(None),
            progress: RwSignal::new(None),
            job: RwSignal::new(None),
            error: RwSignal::new(None),
            notes: RwSignal::new(Vec::new()),
            model_source: RwSignal::new_local(ModelSource::Bundled),
            model: RwSignal::new(None),
            data_source: RwSignal::new_local(DataSource::Bundled(&bundled::DATA[0])),
            data: RwSignal::new(None),
            validation_files: RwSignal::new_local(Vec::new()),
            validation: RwSignal::new(None),
            preview: RwSignal::new(Vec::new()),
            estimate: RwSignal::new(None),
            settings: Settings::new(),
            sample_prompt: RwSignal::new(bundled::DATA[0].prompt.into()),
            phase: RwSignal::new(Phase::Idle),
            run: StoredValue::new(Run::default()),
            frame: RwSignal::new(0),
            has_adapter: RwSignal::new(false),
            exports: RwSignal::new(Vec::new()),
            answers: [RwSignal::new(Answer::default()), RwSignal::new(Answer::default())],
            outcome: RunResults::new(),
            next_id: StoredValue::new(0),
            queue: StoredValue::new_local(VecDeque::new()),
            client: StoredValue::new_local(None),
            frame_asked: StoredValue::new(false),
        }
    }

    /// The words of the language in use.
    pub fn words(self) -> &'static Words {
        self.language.get().words()
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
            self.outcome
                .outlook
                .with(|outlook| outlook.as_ref().map(|outlook| outlook.task))
        };
        self.outcome
            .task
            .get()
            .or_else(chosen)
            .or_else(found)
            .unwrap_or_default()
    }

    /// Starts the engine, or starts it anew: the device, the model and the data follow by themselves.
    pub fn start_engine(self) {
        self.client.set_value(None);
        self.queue.update_value(VecDeque::clear);
        self.engine.set(Engine::Loading(0, 0));
        self.device.set(None);
        self.job.set(None);
        self.progress.set(None);
        self.error.set(None);
        self.model.set(None);
        self.estimate.set(None);
        self.data.set(None);
        self.validation.set(None);
        self.outcome.forget_outlook();
        self.forget_run();
        match Client::start(move |incoming| self.receive(incoming)) {
            Ok(client) => self.client.set_value(Some(client)),
            Err(error) => self.lose_engine(error),
        }
    }

    /// Takes another device: a new engine, for a GPU that broke is not to be had twice in one.
    pub fn choose_device(self, choice: DeviceChoice) {
        self.device_choice.set(choice);
        self.start_engine();
    }

    /// Takes another model.
    pub fn choose_model(self, source: ModelSource) {
        self.model_source.set(source);
        if self.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.model.set(None);
        self.estimate.set(None);
        self.forget_preview();
        self.clear_error(&[Job::Model, Job::Train]);
        self.forget_run();
        self.load_model();
    }

    /// Takes other data.
    pub fn choose_data(self, source: DataSource) {
        if let DataSource::Bundled(set) = &source {
            self.sample_prompt.set(set.prompt.into());
        }
        self.data_source.set(source);
        if self.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.data.set(None);
        self.forget_preview();
        self.clear_error(&[Job::Data, Job::Preview, Job::Train]);
        self.load_data();
    }

    /// Takes another validation file, or none.
    pub fn choose_validation(self, files: Vec<File>) {
        self.validation_files.set(files);
        if self.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.validation.set(None);
        self.outcome.validation_problem.set(None);
        self.clear_error(&[Job::Validation, Job::Train]);
        self.load_validation();
    }

    /// The settings with what the page knows besides, where a run can be made of them.
    fn config(self) -> Option<RunConfig> {
        let config = self.settings.config_untracked()?;
        Some(RunConfig {
            validation_file: self
                .validation
                .with_untracked(|info| info.as_ref().map(|info| info.name.clone())),
            ..config
        })
    }

    /// Asks for the first examples under the present settings.
    pub fn ask_preview(self) {
        let loaded = self.model.with_untracked(Option::is_some) && self.data.with_untracked(Option::is_some);
        let free = !self.phase.with_untracked(Phase::is_under_way);
        let Some(config) = self.config() else {
            return;
        };
        if loaded && free {
            self.drop_waiting(Job::Preview);
            self.ask(
                Job::Preview,
                Command::Preview {
                    config: Box::new(config),
                },
                Vec::new(),
            );
        }
    }

    /// Asks what a run under the present settings would take.
    pub fn ask_estimate(self) {
        let loaded = self.model.with_untracked(Option::is_some);
        let free = !self.phase.with_untracked(Phase::is_under_way);
        let Some(config) = self.config() else {
            return;
        };
        if loaded && free {
            self.drop_waiting(Job::Estimate);
            self.ask(
                Job::Estimate,
                Command::Estimate {
                    config: Box::new(config),
                },
                Vec::new(),
            );
        }
    }

    /// Whether Train can be pressed.
    pub fn can_train(self) -> bool {
        self.engine.get() == Engine::Ready
            && self.model.with(Option::is_some)
            && self.data.with(Option::is_some)
            && self.settings.is_valid()
            && !self.phase.with(Phase::is_under_way)
            && matches!(self.job.get(), None | Some(Job::Preview | Job::Estimate))
    }

    /// Starts a run.
    pub fn train(self) {
        let Some(config) = self.config() else {
            return;
        };
        self.forget_run();
        self.error.set(None);
        self.notes.set(Vec::new());
        self.phase.set(Phase::Starting);
        let prompt = self.sample_prompt.get_untracked();
        let reads = !prompt.trim().is_empty() && writes(untrack(|| self.task()));
        let sample_prompt = reads.then_some(prompt);
        self.ask(
            Job::Train,
            Command::Train {
                config: Box::new(config),
                sample_prompt,
            },
            Vec::new(),
        );
    }

    /// Holds the run after its step.
    pub fn pause(self) {
        self.phase.set(Phase::Pausing);
        self.send_now(&Command::Pause);
    }

    /// Goes on.
    pub fn resume(self) {
        self.phase.set(Phase::Running);
        self.send_now(&Command::Resume);
    }

    /// Ends the run after its step.
    pub fn stop(self) {
        self.phase.set(Phase::Stopping);
        self.send_now(&Command::Stop);
    }

    /// Asks for the adapter's files.
    pub fn export(self) {
        self.exports.set(Vec::new());
        self.ask(Job::Export, Command::ExportAdapter, Vec::new());
    }

    /// A new number for a text to generate.
    pub fn next_id(self) -> u32 {
        self.next_id.update_value(|id| *id += 1);
        self.next_id.get_value()
    }

    /// Queues a text to generate.
    pub fn generate(self, command: Command) {
        self.ask(Job::Generate, command, Vec::new());
    }

    /// Has texts answered as the run was trained to.
    pub fn predict(self, texts: Vec<Vec<String>>) {
        let mut config = self.config().unwrap_or_default();
        config.task = Some(untrack(|| self.task()));
        self.outcome.answers.set(Vec::new());
        let config = Box::new(config);
        self.ask(Job::Predict, Command::Predict { config, texts }, Vec::new());
    }

    /// Ends the text under way and drops those that wait.
    pub fn cancel_generate(self) {
        self.drop_waiting(Job::Generate);
        self.answers
            .iter()
            .for_each(|answer| answer.update(Answer::drop_unstarted));
        self.send_now(&Command::CancelGenerate);
    }

    /// Puts away the error of these jobs.
    pub fn clear_error(self, jobs: &[Job]) {
        if self
            .error
            .with_untracked(|error| error.as_ref().is_some_and(|(job, _)| jobs.contains(job)))
        {
            self.error.set(None);
        }
    }

    fn load_model(self) {
        let (files, beside, name) = match self.model_source.get_untracked() {
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
        self.ask(
            Job::Model,
            Command::LoadModel {
                files,
                name,
                config: None,
            },
            beside,
        );
    }

    fn load_data(self) {
        let (file, beside) = match self.data_source.get_untracked() {
            DataSource::Bundled(set) => (set.file.to_owned(), Vec::new()),
            DataSource::Own(files) => (files.first().map(File::name).unwrap_or_default(), files),
        };
        self.ask(Job::Data, Command::LoadData { file }, beside);
    }

    fn load_validation(self) {
        let files = self.validation_files.get_untracked();
        let file = files.first().map(File::name);
        self.ask(Job::Validation, Command::LoadValidation { file }, files);
    }

    fn forget_preview(self) {
        self.preview.set(Vec::new());
        self.outcome.forget_outlook();
    }

    fn forget_run(self) {
        self.phase.set(Phase::Idle);
        self.outcome.forget_run();
        self.run.set_value(Run::default());
        self.has_adapter.set(false);
        self.exports.set(Vec::new());
        self.answers.iter().for_each(|answer| answer.set(Answer::default()));
        self.ask_frame();
    }

    /// What still waits is about settings of the past.
    fn drop_waiting(self, job: Job) {
        self.queue
            .update_value(|queue| queue.retain(|request| request.job != job));
    }

    fn waits(self, job: Job) -> bool {
        self.queue
            .with_value(|queue| queue.iter().any(|request| request.job == job))
    }

    fn ask(self, job: Job, command: Command, files: Vec<File>) {
        self.queue
            .update_value(|queue| queue.push_back(Request { job, command, files }));
        self.next();
    }

    fn next(self) {
        if self.engine.get_untracked() != Engine::Ready || self.job.get_untracked().is_some() {
            return;
        }
        let Some(request) = self.queue.try_update_value(VecDeque::pop_front).flatten() else {
            return;
        };
        self.job.set(Some(request.job));
        if let Err(error) = self.send(&request.command, &request.files) {
            self.fail(error);
        }
    }

    fn finish(self, job: Job) {
        if self.job.get_untracked() == Some(job) {
            self.job.set(None);
            self.progress.set(None);
        }
        self.next();
    }

    fn fail(self, error: Error) {
        let job = self.job.get_untracked().unwrap_or(Job::Open);
        match job {
            // It was asked for.
            Job::Train if error.kind == Kind::Stopped => {
                self.phase.set(Phase::Idle);
                return self.finish(job);
            }
            Job::Train => {
                // What was learnt before it broke is kept.
                self.has_adapter
                    .set(self.run.with_value(|run| !run.curves.steps.is_empty()));
                self.phase.set(Phase::Failed);
            }
            Job::Generate => self.answers.iter().for_each(|answer| answer.update(Answer::end)),
            // What is wrong is said where the run is started.
            Job::Estimate => {
                self.estimate.set(None);
                return self.finish(job);
            }
            Job::Preview => self.forget_preview(),
            // The engine has none now, unless the next one is on its way.
            Job::Validation if !self.waits(Job::Validation) => self.validation_files.set(Vec::new()),
            // Without a device nothing that waits can succeed, and this error is the one to show.
            Job::Open => self.queue.update_value(VecDeque::clear),
            _ => {}
        }
        self.error.set(Some((job, error)));
        self.finish(job);
    }

    fn lose_engine(self, error: Error) {
        let job = self.job.get_untracked().unwrap_or(Job::Open);
        self.client.set_value(None);
        self.queue.update_value(VecDeque::clear);
        self.engine.set(Engine::Failed);
        if self.phase.with_untracked(Phase::is_under_way) {
            self.phase.set(Phase::Failed);
        }
        self.has_adapter.set(false);
        self.answers.iter().for_each(|answer| answer.update(Answer::end));
        self.job.set(None);
        self.progress.set(None);
        self.error.set(Some((job, error)));
    }

    fn send(self, command: &Command, files: &[File]) -> Result<(), Error> {
        self.client.with_value(|client| match client {
            Some(client) => client.send(command, files),
            None => Err(Error::internal("the engine does not run")),
        })
    }

    fn send_now(self, command: &Command) {
        if let Err(error) = self.send(command, &[]) {
            self.fail(error);
        }
    }

    fn receive(self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event, bytes) => self.handle(*event, bytes),
            Incoming::Fatal(error) => self.lose_engine(error),
        }
    }

    fn handle(self, event: Event, bytes: Option<ArrayBuffer>) {
        match event {
            Event::Ready => {
                self.engine.set(Engine::Ready);
                self.ask(
                    Job::Open,
                    Command::Open {
                        device: self.device_choice.get_untracked(),
                    },
                    Vec::new(),
                );
                self.load_model();
                self.load_data();
                if self.validation_files.with_untracked(|files| !files.is_empty()) {
                    self.load_validation();
                }
            }
            Event::Device(info) => {
                self.device.set(Some(info));
                self.finish(Job::Open);
            }
            Event::Progress {
                stage: Stage::Download,
                done,
                total,
            } => {
                if matches!(self.engine.get_untracked(), Engine::Loading(..)) {
                    self.engine.set(Engine::Loading(done, total));
                }
            }
            Event::Progress { stage, done, total } => self.progress.set(Some((stage, done, total))),
            Event::Model(info) => {
                self.model.set(Some(info));
                self.finish(Job::Model);
                self.ask_estimate();
                self.ask_preview();
            }
            Event::Data(info) => {
                self.data.set(Some(info));
                self.finish(Job::Data);
                self.ask_preview();
            }
            Event::Validation { data } => {
                self.validation.set(data);
                self.finish(Job::Validation);
                self.ask_estimate();
                self.ask_preview();
            }
            Event::Preview {
                examples,
                outlook,
                problem,
                validation_problem,
            } => {
                self.preview.set(examples);
                self.outcome.outlook.set(outlook);
                self.outcome.problem.set(problem);
                self.outcome.validation_problem.set(validation_problem);
                self.finish(Job::Preview);
            }
            Event::Estimate {
                memory,
                available_bytes,
            } => {
                self.estimate.set(Some((memory, available_bytes)));
                self.finish(Job::Estimate);
            }
            Event::Started(info) => {
                self.outcome.task.set(Some(info.task));
                self.run.update_value(|run| {
                    run.curves.max_steps = info.max_steps;
                    run.info = Some(info);
                });
                if self.phase.get_untracked() == Phase::Starting {
                    self.phase.set(Phase::Running);
                }
                self.ask_frame();
            }
            Event::Step(step) => {
                self.run.update_value(|run| run.curves.steps.push(step));
                self.progress.set(None);
                self.ask_frame();
            }
            Event::Eval(eval) => {
                self.run.update_value(|run| run.curves.evals.push(eval));
                self.progress.set(None);
                self.ask_frame();
            }
            Event::Sample { step, prompt, text } => {
                self.run
                    .update_value(|run| run.samples.push(Sample { step, prompt, text }));
                self.ask_frame();
            }
            Event::Paused { step } => self.phase.set(Phase::Paused(step)),
            Event::Resumed => self.phase.set(Phase::Running),
            Event::Baseline { scores } => self.outcome.baselines.set(scores),
            Event::Report(report) => self.outcome.report.set(Some(*report)),
            Event::Predictions(table) => self.outcome.predictions.set(table),
            Event::Predicted { answers, .. } => {
                self.outcome.answers.set(answers);
                self.finish(Job::Predict);
            }
            Event::Checkpoint { .. } => {}
            Event::Done(summary) => {
                self.has_adapter.set(summary.steps > 0);
                self.phase.set(Phase::Done(summary));
                self.ask_frame();
                self.finish(Job::Train);
            }
            Event::Token { id, text } => self
                .answers
                .iter()
                .for_each(|answer| answer.update(|a| a.append(id, &text))),
            Event::Generated {
                id,
                text,
                tokens,
                tokens_per_second,
            } => {
                let complete = |answer: &mut Answer| answer.complete(id, &text, tokens, tokens_per_second);
                self.answers.iter().for_each(|answer| answer.update(complete));
                self.finish(Job::Generate);
            }
            Event::File { name, .. } => {
                let bytes = bytes
                    .map(|buffer| js_sys::Uint8Array::new(&buffer).to_vec())
                    .unwrap_or_default();
                self.exports.update(|files| files.push(Export { name, bytes }));
                if self.exports.with_untracked(|files| is_adapter(files)) {
                    self.finish(Job::Export);
                }
            }
            Event::Warning { message } => self.notes.update(|notes| {
                if !notes.contains(&message) && notes.len() < NOTES {
                    notes.push(message);
                }
            }),
            Event::Failed(error) => self.fail(error),
        }
    }

    fn ask_frame(self) {
        if self.frame_asked.get_value() {
            return;
        }
        self.frame_asked.set_value(true);
        request_animation_frame(move || {
            self.frame_asked.set_value(false);
            self.frame.update(|frame| *frame = frame.wrapping_add(1));
        });
    }
}

/// Whether an error leaves an engine that should be started anew.
pub fn asks_for_restart(error: &Error) -> bool {
    matches!(error.kind, Kind::Device | Kind::OutOfMemory | Kind::Internal)
}

/// Whether both of PEFT's files are there.
pub fn is_adapter(files: &[Export]) -> bool {
    let has = |ending: &str| files.iter().any(|file| file.name.ends_with(ending));
    has(".safetensors") && has(".json")
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
