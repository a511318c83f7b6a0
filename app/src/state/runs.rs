//! Runs in the browser's storage: continued, removed, saved when the page is left, and continued after a lost GPU.

use super::{BETWEEN_GPU_TRIES, MOST_GPU_TRIES, PageState};
use crate::conversation::{Engine, Job};
use crate::loaded::{DataSource, ModelSource};
use crate::run::Phase;
use crate::stored_runs;
use crate::turn;
use leptos::prelude::*;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{Command, InputFile, Keep, RunInput, RunRecord, StoredRun};
use lorakeet_i18n::messages::page as msg;
use wasm_bindgen_futures::spawn_local;

impl PageState {
    /// Goes on with a run of the browser's storage; where files are missing that the person has to choose, they are named.
    pub(super) fn go_on_now(self, run: StoredRun) {
        let before = self.training.phase.get_untracked();
        // Nothing else can be started until its files are there.
        self.training.phase.set(Phase::Starting);
        spawn_local(async move {
            let unknown = |name: &str| InputFile {
                name: name.to_owned(),
                bytes: 0,
                copy: None,
            };
            let chosen_model = match self.loaded.model_source.get_untracked() {
                ModelSource::Own(files) => files,
                _ => Vec::new(),
            };
            let model = match &run.record.model {
                RunInput::Bundled(name) => stored_runs::bundled_model(name).ok_or_else(|| vec![unknown(name)]),
                RunInput::Files(files) => stored_runs::files_of(files, &chosen_model).await.map(ModelSource::Own),
            };
            let chosen_data = match self.loaded.data_source.get_untracked() {
                DataSource::Own(files) => files,
                DataSource::Bundled(_) => Vec::new(),
            };
            let data = match &run.record.data {
                RunInput::Bundled(name) => stored_runs::bundled_data(name).ok_or_else(|| vec![unknown(name)]),
                RunInput::Files(files) => stored_runs::files_of(files, &chosen_data).await.map(DataSource::Own),
            };
            let chosen = self.loaded.validation_files.get_untracked();
            let validation = match &run.record.validation {
                Some(RunInput::Files(files)) => stored_runs::files_of(files, &chosen).await,
                _ => Ok(Vec::new()),
            };
            let (model, data, validation) = match (model, data, validation) {
                (Ok(model), Ok(data), Ok(validation)) => (model, data, validation),
                (model, data, validation) => {
                    let missing = [model.err(), data.err(), validation.err()];
                    self.training.phase.set(before);
                    return self
                        .stored
                        .missing
                        .set(missing.into_iter().flatten().flatten().collect());
                }
            };
            self.loaded.model_source.set(model);
            self.loaded.data_source.set(data);
            self.loaded.validation_files.set(validation);
            self.begin_again(run.record);
        });
    }

    /// Loads what was chosen for a stored run, and goes on with it.
    fn begin_again(self, record: RunRecord) {
        let config = match record.config() {
            Ok(config) => config,
            Err(error) => {
                self.training.phase.set(Phase::Idle);
                return self.worker.error.set(Some((Job::Runs, error)));
            }
        };
        self.stored.missing.set(Vec::new());
        self.training.forget();
        self.pictures.forget();
        self.worker.notes.set(Vec::new());
        self.training.phase.set(Phase::Starting);
        self.settings.take(config);
        self.sample_prompt.set(record.sample_prompt.clone().unwrap_or_default());
        self.stored.go_on(record);
        if self.worker.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.worker.error.set(None);
        self.loaded.forget();
        self.worker.drop_all();
        self.load_chosen();
    }

    /// Loads model and data, and goes on with the run that waits for them.
    pub(super) fn load_chosen(self) {
        self.load_model();
        self.load_data();
        let waiting = self.stored.waiting();
        // Another run's validation data may be in the engine.
        if waiting.is_some() || self.loaded.validation_files.with_untracked(|files| !files.is_empty()) {
            self.load_validation();
        }
        if let Some(record) = waiting
            && let Ok(config) = record.config()
        {
            self.training.phase.set(Phase::Starting);
            // After a lost GPU it was this page's turn already, and is still but for a tab that was quicker.
            spawn_local(async move {
                turn::take(false, move || self.lose_turn()).await;
            });
            let command = Command::Train {
                config: Box::new(config),
                sample_prompt: record.sample_prompt,
                watch: untrack(|| self.pictures.watched(self.subject())),
                keep: Some(Keep::GoOn(record.id)),
            };
            self.ask(Job::Train, command, Vec::new());
        }
    }

    /// Starts the run over with another learning rate; one that is under way is stopped first.
    pub fn start_again_at(self, learning_rate: f64) {
        if let Some(knob) = find("learning_rate") {
            self.settings.set(knob, &learning_rate.to_string());
        }
        if self.training.phase.with_untracked(Phase::is_under_way) {
            self.training.starts_again.set_value(true);
            return self.stop();
        }
        self.train();
    }

    /// Starts the run over, where the one that has just ended made way for that.
    pub(super) fn start_again(self) {
        if self.training.starts_again.get_value() {
            self.train();
        }
    }

    /// Removes a stored run after a while in which it can be had back.
    pub fn forget_run(self, id: String) {
        self.stored.leaving.update(|leaving| leaving.push(id.clone()));
        set_timeout(move || self.forget_now(&id), stored_runs::UNDO);
    }

    /// Takes back that a run is removed.
    pub fn keep_run(self, id: &str) {
        self.stored
            .leaving
            .update(|leaving| leaving.retain(|other| other != id));
    }

    fn forget_now(self, id: &str) {
        if self
            .stored
            .leaving
            .with_untracked(|leaving| leaving.iter().any(|other| other == id))
        {
            self.keep_run(id);
            let id = Some(id.to_owned());
            self.ask(Job::Runs, Command::ForgetRun { id }, Vec::new());
        }
    }

    /// Removes all stored runs.
    pub fn forget_all_runs(self) {
        self.ask(Job::Runs, Command::ForgetRun { id: None }, Vec::new());
    }

    /// The page is hidden or closed: nobody knows whether it comes back, so the run is saved as it is, and what is to be removed
    /// is removed.
    pub fn save_run(self) {
        if self.training.phase.with_untracked(Phase::is_under_way) && self.stored.has_own() {
            self.send_now(&Command::SaveRun);
        }
        for id in self.stored.leaving.get_untracked() {
            self.forget_now(&id);
        }
        for folder in self.hub.leaving.get_untracked() {
            self.forget_model_now(&folder);
        }
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

    /// A GPU that was lost is not to be had again in the same engine: a run that is kept goes on with a new one, as long as it
    /// gets ahead.
    pub(super) fn goes_on_after_loss(self) -> bool {
        if !self.stored.retry(MOST_GPU_TRIES) {
            return false;
        }
        let step = self
            .training
            .run
            .with_value(|run| run.curves.steps.last().map_or(0, |step| step.step));
        self.gpu_tries.set_value(1);
        let again = move || {
            self.start_engine();
            self.worker.note(msg::GpuLostGoesOn { step }.into());
        };
        set_timeout(again, BETWEEN_GPU_TRIES);
        true
    }
}
