//! Runs in the browser's storage: continued, opened again, saved when the page is left, and continued after a lost GPU.

use super::sweeps::OfSweep;
use super::{BETWEEN_GPU_TRIES, MOST_GPU_TRIES, PageState};
use crate::conversation::{Engine, Job};
use crate::loaded::{DataSource, ModelSource};
use crate::run::Phase;
use crate::stored_runs;
use crate::turn::{self, Wanted};
use leptos::prelude::*;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{Command, Divergence, InputFile, Keep, OpenedRun, RunInput, RunRecord, RunState};
use lorakeet_i18n::messages::page as msg;
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

/// Something that a run needs, or the files that have to be chosen for it.
type Found<T> = Result<T, Vec<InputFile>>;

impl PageState {
    /// Goes on with a run of the browser's storage, from a checkpoint at the step `back` or before it where that is given; where files
    /// are missing that the person has to choose, they are named. One of a sweep may have to begin.
    pub(super) fn go_on_now(self, record: RunRecord, back: Option<usize>, of_sweep: Option<OfSweep>) {
        let before = self.training.phase.get_untracked();
        // Nothing else can be started until its files are there.
        self.training.phase.set(Phase::Starting);
        spawn_local(async move {
            let found = self.find_inputs(&record).await;
            if self.training.phase.get_untracked() == Phase::Stopping {
                self.training.phase.set(before);
                return self.follow();
            }
            match found {
                (Ok(model), Ok(data), Ok(validation), Ok(adapter)) => {
                    self.loaded.model_source.set(model);
                    self.loaded.data_source.set(data);
                    self.loaded.validation_files.set(validation);
                    self.loaded.adapter_files.set(adapter);
                    self.begin_again(record, back, of_sweep);
                }
                (model, data, validation, adapter) => {
                    let missing = [model.err(), data.err(), validation.err(), adapter.err()];
                    self.training.phase.set(before);
                    self.end_sweep(RunState::Open);
                    self.stored
                        .missing
                        .set(missing.into_iter().flatten().flatten().collect());
                }
            }
        });
    }

    /// What a stored run was made of, of each part the files that have to be chosen where it is not there.
    async fn find_inputs(
        self,
        record: &RunRecord,
    ) -> (
        Found<ModelSource>,
        Found<DataSource>,
        Found<Vec<File>>,
        Found<Vec<File>>,
    ) {
        let unknown = |name: &str| InputFile {
            name: name.to_owned(),
            bytes: 0,
            copy: None,
        };
        let chosen_model = match self.loaded.model_source.get_untracked() {
            ModelSource::Own(files) => files,
            _ => Vec::new(),
        };
        let model = match &record.model {
            RunInput::Bundled(name) => stored_runs::bundled_model(name).ok_or_else(|| vec![unknown(name)]),
            RunInput::Files(files) => stored_runs::files_of(files, &chosen_model).await.map(ModelSource::Own),
        };
        let chosen_data = match self.loaded.data_source.get_untracked() {
            DataSource::Own(files) => files,
            DataSource::Bundled(_) => Vec::new(),
        };
        let data = match &record.data {
            RunInput::Bundled(name) => stored_runs::bundled_data(name).ok_or_else(|| vec![unknown(name)]),
            RunInput::Files(files) => stored_runs::files_of(files, &chosen_data).await.map(DataSource::Own),
        };
        let chosen = self.loaded.validation_files.get_untracked();
        let validation = match &record.validation {
            Some(RunInput::Files(files)) => stored_runs::files_of(files, &chosen).await,
            _ => Ok(Vec::new()),
        };
        let chosen = self.loaded.adapter_files.get_untracked();
        let adapter = match &record.adapter {
            Some(RunInput::Files(files)) => stored_runs::files_of(files, &chosen).await,
            _ => Ok(Vec::new()),
        };
        (model, data, validation, adapter)
    }

    /// Opens a run of the browser's storage that has ended: what it came to, and where its model is there, the weights that it left.
    /// The files of those that are not there are named.
    pub fn open_run(self, record: RunRecord) {
        spawn_local(async move {
            let config = match record.config() {
                Ok(config) => config,
                Err(error) => return self.worker.error.set(Some((Job::Reopen, error))),
            };
            // The weights that the run left hold all of the adapter that it started from.
            let (model, data, validation, _) = self.find_inputs(&record).await;
            // Meanwhile something else may have begun.
            if !self.is_free() || self.worker.engine.get_untracked() != Engine::Ready {
                return;
            }
            self.worker
                .clear_error(&[Job::Model, Job::Adapter, Job::Data, Job::Train, Job::Reopen]);
            self.training.forget();
            self.pictures.forget();
            let weights = model.is_ok();
            let mut missing = Vec::new();
            match model {
                Ok(model) => {
                    self.settings.take(config);
                    self.forget_pressed();
                    self.loaded.model_source.set(model);
                    // The next run starts from the base.
                    self.loaded.adapter_files.set(Vec::new());
                    self.training.export.license.set(String::new());
                    self.loaded.forget();
                    // The baselines and the rate that were found before are of another model or other data.
                    self.forget_advice();
                    self.audit.forget();
                    self.loaded.forget_preview();
                    self.worker.drop_all();
                    self.load_model();
                    match (data, validation) {
                        (Ok(data), Ok(validation)) => {
                            self.loaded.data_source.set(data);
                            self.loaded.validation_files.set(validation);
                        }
                        (data, validation) => {
                            missing.extend([data.err(), validation.err()].into_iter().flatten().flatten())
                        }
                    }
                    self.load_data();
                    self.load_validation();
                }
                Err(files) => missing.extend(files),
            }
            self.stored.opened_without.set(missing);
            let id = record.id;
            self.ask(Job::Reopen, Command::OpenRun { id, weights }, Vec::new());
        });
    }

    /// A stored run was opened.
    pub(super) fn show_opened(self, opened: OpenedRun) {
        self.worker.notes.set(opened.record.notes.clone());
        self.sample_prompt
            .set(opened.record.sample_prompt.clone().unwrap_or_default());
        self.stored.open(opened.record.clone());
        let problem = opened.problem.clone();
        let has_weights = opened.has_weights;
        self.training.open(opened);
        self.finish(Job::Reopen);
        if let Some(problem) = problem {
            self.worker.error.set(Some((Job::Reopen, problem)));
        }
        if has_weights {
            self.ask_forms();
        }
    }

    /// Loads what was chosen for a stored run, and goes on with it.
    fn begin_again(self, record: RunRecord, back: Option<usize>, of_sweep: Option<OfSweep>) {
        let config = match record.config() {
            Ok(config) => config,
            Err(error) => {
                self.training.phase.set(Phase::Idle);
                self.end_sweep(RunState::Stopped);
                return self.worker.error.set(Some((Job::Runs, error)));
            }
        };
        self.stored.missing.set(Vec::new());
        self.training.forget();
        self.pictures.forget();
        self.worker.notes.set(Vec::new());
        self.training.phase.set(Phase::Starting);
        let is_new = of_sweep.as_ref().is_some_and(|of_sweep| of_sweep.is_new);
        match of_sweep {
            // Their own settings are the engine's to know.
            Some(of_sweep) => self.settings.take(of_sweep.base),
            None => {
                self.settings.take(config);
                self.training.export.license.set(String::new());
                self.sample_prompt.set(record.sample_prompt.clone().unwrap_or_default());
            }
        }
        // The findings and examples that are shown may be of other data.
        self.audit.forget();
        self.forget_pressed();
        self.loaded.forget_preview();
        match is_new {
            true => self.stored.begin_loaded(record),
            false => self.stored.go_on(record, back),
        }
        match self.worker.engine.get_untracked() {
            Engine::Failed => return self.start_engine(),
            // What it needs is loaded once the engine listens.
            Engine::Loading(..) => return,
            Engine::Ready => {}
        }
        self.worker.error.set(None);
        self.loaded.forget();
        self.forget_advice();
        self.worker.drop_all();
        if self.sweep.is_going.get_untracked() {
            self.keep_sweep();
        }
        self.load_chosen();
    }

    /// Loads model and data, and goes on with the run that waits for them.
    pub(super) fn load_chosen(self) {
        self.load_model();
        self.load_adapter();
        self.load_data();
        let waiting = self.stored.waiting();
        // Another run's validation data may be in the engine.
        if waiting.is_some() || self.loaded.validation_files.with_untracked(|files| !files.is_empty()) {
            self.load_validation();
        }
        if let Some((record, back)) = waiting
            && let Ok(config) = record.config()
        {
            self.training.phase.set(Phase::Starting);
            // After a lost GPU it was this page's turn already, and is still but for a tab that was quicker.
            spawn_local(async move {
                turn::take(false, move || self.lose_turn()).await;
            });
            let (id, sample_prompt) = (record.id.clone(), record.sample_prompt.clone());
            let keep = match back {
                Some(step) => Keep::GoBack { id, step },
                None if self.stored.is_new() => Keep::New(Box::new(record)),
                None => Keep::GoOn(id),
            };
            let command = Command::Train {
                config: Box::new(config),
                sample_prompt,
                watch: untrack(|| self.pictures.watched(self.subject())),
                keep: Some(keep),
            };
            self.ask(Job::Train, command, Vec::new());
        }
    }

    /// Takes the way out of a run that goes wrong: it goes on from its last good checkpoint at a lower rate, or starts over at that
    /// rate where there is none. One that is under way is stopped first.
    pub fn take_way_out(self, found: &Divergence) {
        let back = found.checkpoint.zip(self.stored.own_record());
        let back = back.and_then(|(step, mut record)| {
            let mut config = record.config().ok()?;
            config.learning_rate = found.learning_rate;
            record.settings = RunRecord::settings_of(&config);
            Some(Wanted::Back(Box::new(record), step))
        });
        let wanted = back.unwrap_or_else(|| {
            if let Some(knob) = find("learning_rate") {
                self.settings.set(knob, &found.learning_rate.to_string());
            }
            Wanted::Run
        });
        if !self.is_free() {
            self.training.follows.set_value(Some(wanted));
            return self.stop();
        }
        self.begin(wanted, false);
    }

    /// Begins what the run that has just ended made way for, or goes on with the sweep that it is of.
    pub(super) fn follow(self) {
        let wanted = self.training.follows.try_update_value(Option::take).flatten();
        match wanted {
            Some(wanted) => self.begin(wanted, false),
            None => self.sweep_on(),
        }
    }

    /// The page is hidden or closed: nobody knows whether it comes back, so the run is saved as it is, and what is to be removed
    /// is removed.
    pub fn save_run(self) {
        if !self.is_free() && self.stored.has_own() {
            self.send_now(&Command::SaveRun);
        }
        self.forget_leaving();
    }

    pub(super) fn ask_runs_when_free(self) {
        if self.is_free() && self.worker.engine.get_untracked() == Engine::Ready {
            self.ask_runs();
        }
    }

    pub(super) fn ask_runs(self) {
        self.worker.drop_waiting(Job::Runs);
        self.ask(Job::Runs, Command::Runs, Vec::new());
    }

    /// The same engine cannot open a GPU again that was lost: a stored run goes on with a new engine, as long as it gets ahead.
    pub(super) fn goes_on_after_loss(self) -> bool {
        if !self.stored.retry(MOST_GPU_TRIES) {
            return false;
        }
        let step = self
            .training
            .run
            .with_value(|run| run.curves.steps.last().map_or(0, |step| step.step));
        self.gpu_tries.set_value(1);
        let is_saved = self.stored.is_saved.get_value();
        let again = move || {
            // A stop that was pressed meanwhile: the engine that would have heard it is gone. A sweep that goes on stops its runs
            // itself.
            let is_stopping = self.training.phase.get_untracked() == Phase::Stopping;
            let is_stopped = is_stopping && !self.sweep.is_going.get_untracked();
            if is_stopped {
                self.stored.end_waiting();
            }
            self.start_engine();
            if !is_stopped {
                self.worker.note(match is_saved {
                    true => msg::GpuLostGoesOn { step }.into(),
                    false => msg::GpuLostStartsAnew { step }.into(),
                });
            }
        };
        set_timeout(again, BETWEEN_GPU_TRIES);
        true
    }
}
