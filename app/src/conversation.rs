//! The conversation with the worker: one request at a time, in order, so that an answer or a failure always belongs to the
//! request before it. Pause, resume, stop and cancel go past the queue.

use crate::client::{Client, Incoming};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::protocol::{Command, DeviceInfo, Probe, Stage};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::page as msg;
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
    /// What the device does.
    Probe,
    /// Step 2.
    Model,
    /// Step 3.
    Data,
    /// The validation file of step 3.
    Validation,
    /// An adapter for the model of step 2.
    Adapter,
    /// That adapter, scored on the loaded rows.
    ScoreAdapter,
    /// What files are and hold.
    Inspect,
    /// How far two adapters or models lie apart.
    Compare,
    /// Examples of step 3.
    Preview,
    /// What is wrong with the data of step 3.
    Audit,
    /// The rows that are left of them, as a file.
    KeptRows,
    /// Memory in step 5.
    Estimate,
    /// Recommended settings and cautions in step 5.
    Advice,
    /// The baselines of step 4, before a run.
    Baselines,
    /// The search for a learning rate in step 5.
    FindRate,
    /// Step 6.
    Train,
    /// Texts of step 8.
    Generate,
    /// Labels, numbers and scores of step 8.
    Predict,
    /// Another file, scored in step 7.
    ScoreFile,
    /// A report as a file.
    Report,
    /// Pictures of step 6.
    Picture,
    /// What step 9 can hand over.
    Forms,
    /// Step 9.
    Export,
    /// Runs in the browser's storage.
    Runs,
    /// A hub: what a model is made of, or its download.
    Hub,
    /// Models in the browser's storage.
    HubModels,
    /// Something of the browser's storage is removed.
    Forget,
    /// What a stored run is called.
    Label,
    /// Curves of stored runs.
    Curves,
    /// A stored run that has ended is opened again.
    Reopen,
    /// What is written down of a sweep of step 5.
    Sweep,
}

struct Request {
    job: Job,
    /// What is said before it and has no answer.
    first: Option<Command>,
    command: Command,
    files: Vec<File>,
}

/// What is asked, what waits to be asked, and what the engine says of itself.
#[derive(Clone, Copy)]
pub struct Conversation {
    /// The engine's code.
    pub engine: RwSignal<Engine>,
    /// The device in use.
    pub device: RwSignal<Option<DeviceInfo>>,
    /// What was measured on it.
    pub probe: RwSignal<Option<Probe>>,
    /// Long work under way.
    pub progress: RwSignal<Option<(Stage, u64, u64)>>,
    /// What the engine is asked right now.
    pub job: RwSignal<Option<Job>>,
    /// What went wrong last, and with what.
    pub error: RwSignal<Option<(Job, Error)>>,
    /// Remarks of the engine.
    pub notes: RwSignal<Vec<Message>>,
    next_id: StoredValue<u32>,
    queue: StoredValue<VecDeque<Request>, LocalStorage>,
    client: StoredValue<Option<Client>, LocalStorage>,
}

impl Conversation {
    /// Without an engine yet.
    pub fn new() -> Self {
        Self {
            engine: RwSignal::new(Engine::Loading(0, 0)),
            device: RwSignal::new(None),
            probe: RwSignal::new(None),
            progress: RwSignal::new(None),
            job: RwSignal::new(None),
            error: RwSignal::new(None),
            notes: RwSignal::new(Vec::new()),
            next_id: StoredValue::new(0),
            queue: StoredValue::new_local(VecDeque::new()),
            client: StoredValue::new_local(None),
        }
    }

    /// Forgets all that was said, and starts a worker; everything that it says goes to `receive`.
    ///
    /// # Errors
    /// As [`Client::start`].
    pub fn start(self, receive: impl Fn(Incoming) + 'static) -> Result<(), Error> {
        self.hang_up();
        self.engine.set(Engine::Loading(0, 0));
        self.device.set(None);
        self.probe.set(None);
        self.error.set(None);
        self.client.set_value(Some(Client::start(receive)?));
        Ok(())
    }

    /// The engine is gone, with this as its last word.
    pub fn lose(self, error: Error) {
        let job = self.job.get_untracked().unwrap_or(Job::Open);
        self.hang_up();
        self.engine.set(Engine::Failed);
        self.error.set(Some((job, error)));
    }

    fn hang_up(self) {
        self.client.set_value(None);
        self.drop_all();
        self.job.set(None);
        self.progress.set(None);
    }

    /// Queues a request; where that is the first and is not passed on, gives back why.
    #[must_use]
    pub fn ask(self, job: Job, command: Command, files: Vec<File>) -> Option<Error> {
        self.ask_after(None, job, command, files)
    }

    /// The same, with a command right before it that has no answer.
    #[must_use]
    pub fn ask_after(self, first: Option<Command>, job: Job, command: Command, files: Vec<File>) -> Option<Error> {
        let request = Request {
            job,
            first,
            command,
            files,
        };
        self.queue.update_value(|queue| queue.push_back(request));
        self.next()
    }

    /// Asks what waits, where nothing is asked; gives back why it is not passed on.
    fn next(self) -> Option<Error> {
        if self.engine.get_untracked() != Engine::Ready || self.job.get_untracked().is_some() {
            return None;
        }
        let request = self.queue.try_update_value(VecDeque::pop_front).flatten()?;
        self.job.set(Some(request.job));
        let said = request.first.map_or(Ok(()), |first| self.send(&first, &[]));
        said.and_then(|()| self.send(&request.command, &request.files)).err()
    }

    /// The answer to a request is there; gives back why the next one is not passed on.
    #[must_use]
    pub fn finish(self, job: Job) -> Option<Error> {
        if self.job.get_untracked() == Some(job) {
            self.job.set(None);
            self.progress.set(None);
        }
        self.next()
    }

    /// Sends a command past the queue.
    ///
    /// # Errors
    /// There is no engine, or the browser does not pass the command on.
    pub fn send(self, command: &Command, files: &[File]) -> Result<(), Error> {
        self.client.with_value(|client| match client {
            Some(client) => client.send(command, files),
            None => Err(Error::internal(msg::EngineNotRunning)),
        })
    }

    /// What still waits is about settings of the past.
    pub fn drop_waiting(self, job: Job) {
        self.queue
            .update_value(|queue| queue.retain(|request| request.job != job));
    }

    /// Nothing that waits can succeed.
    pub fn drop_all(self) {
        self.queue.update_value(VecDeque::clear);
    }

    /// Whether such a request waits.
    pub fn waits(self, job: Job) -> bool {
        self.waiting(job) > 0
    }

    /// How many of them wait.
    pub fn waiting(self, job: Job) -> usize {
        self.queue
            .with_value(|queue| queue.iter().filter(|request| request.job == job).count())
    }

    /// A new number for a text to generate.
    pub fn next_id(self) -> u32 {
        self.next_id.update_value(|id| *id += 1);
        self.next_id.get_value()
    }

    /// Long work goes on.
    pub fn go_on(self, stage: Stage, done: u64, total: u64) {
        match stage {
            Stage::Download => {
                if matches!(self.engine.get_untracked(), Engine::Loading(..)) {
                    self.engine.set(Engine::Loading(done, total));
                }
            }
            // The kernels are ready, and steps follow.
            Stage::Compile if done == total => self.progress.set(None),
            _ => self.progress.set(Some((stage, done, total))),
        }
    }

    /// Keeps a remark of the engine.
    pub fn note(self, message: Message) {
        self.notes.update(|notes| {
            if !notes.contains(&message) && notes.len() < NOTES {
                notes.push(message);
            }
        });
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
}
