//! Files that are looked into or compared, and an adapter that no run here trained.

use super::PageState;
use crate::conversation::{Engine, Job};
use crate::stored_runs;
use leptos::prelude::*;
use lorakeet_core::protocol::{Command, FilesCommand, FilesEvent, RunInput};
use web_sys::File;

impl PageState {
    /// Has it said what files are and hold.
    pub fn inspect(self, files: Vec<File>) {
        self.worker.clear_error(&[Job::Inspect]);
        self.files.inspected.set(None);
        self.worker.drop_waiting(Job::Inspect);
        self.ask(Job::Inspect, Command::Files(FilesCommand::Inspect), files);
    }

    /// Takes the files of one side of a comparison, and compares once both are there.
    pub fn choose_side(self, side: usize, files: Vec<File>) {
        let sides = self.files.sides;
        sides[side].set(files);
        self.files.compared.set(None);
        self.worker.clear_error(&[Job::Compare]);
        // What is compared now is of the files before.
        self.end_file_job(Job::Compare);
        let [one, other] = sides.map(|side| side.get_untracked());
        if !one.is_empty() && !other.is_empty() {
            let first = one.len();
            let files = one.into_iter().chain(other).collect();
            self.ask(Job::Compare, Command::Files(FilesCommand::Compare { first }), files);
        }
    }

    /// Puts an adapter onto the loaded model.
    pub fn choose_adapter(self, files: Vec<File>) {
        self.loaded.adapter_files.set(files);
        if self.worker.engine.get_untracked() == Engine::Failed {
            return self.start_engine();
        }
        self.forget_advice();
        self.forget_adapter_score();
        self.loaded.forget_adapter();
        self.loaded.forget_preview();
        self.worker
            .clear_error(&[Job::Adapter, Job::ScoreAdapter, Job::Train, Job::Picture]);
        self.training.forget();
        self.pictures.forget_model();
        self.load_adapter();
    }

    /// Takes it away: the model is loaded anew.
    pub fn take_adapter_away(self) {
        self.choose_model(self.loaded.model_source.get_untracked());
    }

    pub(super) fn load_adapter(self) {
        let files = self.loaded.adapter_files.get_untracked();
        self.worker.drop_waiting(Job::Adapter);
        if !files.is_empty() {
            self.ask(Job::Adapter, Command::Files(FilesCommand::Adapter), files);
        }
    }

    /// What a run's record says of the adapter that it starts from.
    pub(super) fn adapter_of_run(self) -> Option<RunInput> {
        let files = self.loaded.adapter_files.get_untracked();
        (!files.is_empty()).then(|| stored_runs::of_files(&files))
    }

    /// Has the model with its adapter scored on the loaded rows.
    pub fn score_adapter(self) {
        let mut config = self.config().unwrap_or_default();
        config.task = Some(untrack(|| self.task()));
        self.worker.clear_error(&[Job::ScoreAdapter]);
        self.worker.drop_waiting(Job::ScoreAdapter);
        self.loaded.adapter_score.set(None);
        let command = Command::Files(FilesCommand::Score { config });
        self.ask(Job::ScoreAdapter, command, Vec::new());
    }

    /// Forgets how the adapter scores: on other data, or another one, it is another score.
    pub(super) fn forget_adapter_score(self) {
        self.loaded.adapter_score.set(None);
        self.end_file_job(Job::ScoreAdapter);
    }

    /// Ends a comparison or a scoring.
    pub fn end_file_job(self, job: Job) {
        self.worker.drop_waiting(job);
        if self.worker.job.get_untracked() == Some(job) {
            self.send_now(&Command::Stop);
        }
    }

    pub(super) fn hear_of_files(self, event: FilesEvent) {
        match event {
            FilesEvent::Inspected(found) => {
                self.files.inspected.set(Some(*found));
                self.finish(Job::Inspect);
            }
            FilesEvent::Compared(found) => {
                // Another file may have been chosen meanwhile.
                if !self.worker.waits(Job::Compare) {
                    self.files.compared.set(Some(*found));
                }
                self.finish(Job::Compare);
            }
            // Another model was chosen meanwhile.
            FilesEvent::Adapter(_) if self.loaded.adapter_files.with_untracked(Vec::is_empty) => {
                self.finish(Job::Adapter);
            }
            FilesEvent::Adapter(adapter) => {
                let is_free = self.is_free();
                if is_free {
                    self.training.has_adapter.set(true);
                    self.training.outcome.task.set(adapter.head);
                }
                self.loaded.adapter.set(Some(*adapter));
                self.finish(Job::Adapter);
                if is_free {
                    self.ask_forms();
                    self.ask_estimate();
                    self.ask_preview();
                    self.ask_advice();
                }
            }
        }
    }
}
