//! Judging the fine-tuned model: texts that it answers, another file that it is scored on.

use super::PageState;
use crate::conversation::Job;
use leptos::prelude::*;
use lorakeet_core::protocol::Command;
use web_sys::File;

impl PageState {
    /// Has texts answered as the run was trained to, at the chosen strength of its adapter, and where it is wanted without it, too.
    pub fn predict(self, texts: Vec<Vec<String>>, without: bool) {
        let mut config = self.config().unwrap_or_default();
        config.task = Some(untrack(|| self.task()));
        let outcome = self.training.outcome;
        outcome.answers.set(Vec::new());
        outcome.answers_without.set(Vec::new());
        let chosen = outcome.strength.get_untracked();
        // What was asked before is of another strength.
        self.worker.drop_waiting(Job::Predict);
        let also = (without && chosen != 0.0).then_some(0.0);
        for strength in [chosen].into_iter().chain(also) {
            let (config, texts) = (config.clone(), texts.clone());
            let command = Command::Predict {
                config,
                texts,
                strength,
            };
            self.ask(Job::Predict, command, Vec::new());
        }
    }

    /// Whether every weight was trained, so that there is no adapter that could be weighed or left out.
    pub fn is_trained_whole(self) -> bool {
        self.training.frame.track();
        let info = self.training.run.with_value(|run| run.info.clone());
        info.is_some_and(|info| info.trainable_parameters >= info.all_parameters)
    }

    /// Has the fine-tuned model scored on a file.
    pub fn score_file(self, files: Vec<File>) {
        self.worker.clear_error(&[Job::ScoreFile]);
        self.training.outcome.file_score.set(None);
        let file = files.first().map(File::name).unwrap_or_default();
        self.ask(Job::ScoreFile, Command::ScoreFile { file }, files);
    }
}
