//! Looking back on stored runs: their names and tags, their curves, and their settings taken for the next run.

use super::PageState;
use crate::conversation::{Engine, Job};
use crate::stored_runs::title;
use leptos::prelude::*;
use lorakeet_core::protocol::{Command, RunLabels, StoredRun};

impl PageState {
    /// Gives a stored run a name and tags. They are shown at once, and are as they were where the engine refuses.
    pub fn label_run(self, id: String, labels: RunLabels) {
        self.worker.clear_error(&[Job::Label]);
        let labels = match labels.checked() {
            Ok(labels) => labels,
            Err(error) => return self.worker.error.set(Some((Job::Label, error))),
        };
        self.stored.runs.update(|runs| {
            if let Some(run) = runs.iter_mut().find(|run| run.record.id == id) {
                run.record.labels = labels.clone();
            }
        });
        let pending = (id.clone(), labels.clone());
        self.history.renamed.update_value(|renamed| renamed.push(pending));
        self.ask(Job::Label, Command::LabelRun { id, labels }, Vec::new());
    }

    /// Puts the labels that wait to be written over those that the engine told, which it may have read before they were given.
    pub(super) fn keep_labels(self, runs: &mut [StoredRun]) {
        let waiting = self.worker.waiting(Job::Label);
        self.history.renamed.update_value(|renamed| {
            // Requests are answered in order: what is not of the last ones is written, or was refused.
            renamed.drain(..renamed.len().saturating_sub(waiting));
            for (id, labels) in renamed.iter() {
                if let Some(run) = runs.iter_mut().find(|run| run.record.id == *id) {
                    run.record.labels = labels.clone();
                }
            }
        });
    }

    /// The stored runs that are compared, the newest first.
    pub fn compared(self) -> Vec<StoredRun> {
        let chosen = self.history.chosen.get();
        self.stored.runs.with(|runs| {
            let compared = runs.iter().filter(|run| chosen.contains(&run.record.id));
            compared.cloned().collect()
        })
    }

    /// Asks for the curves of compared runs that are not there yet; the engine tells them while no run is under way.
    pub fn ask_curves(self) {
        let is_free = !self.is_training() && self.worker.engine.get() == Engine::Ready;
        let compared = self.compared().into_iter().map(|run| run.record.id);
        let ids: Vec<String> = self
            .history
            .curves
            .with(|curves| compared.filter(|id| !curves.contains_key(id)).collect());
        if self.history.is_open.get() && is_free && !ids.is_empty() {
            self.worker.drop_waiting(Job::Curves);
            self.ask(Job::Curves, Command::RunCurves { ids }, Vec::new());
        }
    }

    /// Takes the settings of a stored run for the next one; model and data stay as they are.
    pub fn take_settings(self, run: &StoredRun) {
        self.worker.clear_error(&[Job::Label]);
        match run.record.config() {
            Ok(config) => {
                self.settings.take(config);
                self.forget_pressed();
                if let Some(prompt) = &run.record.sample_prompt {
                    self.sample_prompt.set(prompt.clone());
                }
                self.history.taken.set(Some(title(&run.record)));
            }
            // Another release has written them.
            Err(error) => self.worker.error.set(Some((Job::Label, error))),
        }
    }
}
