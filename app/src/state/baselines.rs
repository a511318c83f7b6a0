//! The baselines before a run: measured, stopped, and the probe among them taken as it is.

use super::PageState;
use crate::baselines::Measuring;
use crate::conversation::Job;
use crate::turn;
use leptos::prelude::*;
use lorakeet_core::protocol::Command;
use wasm_bindgen_futures::spawn_local;

impl PageState {
    /// Scores what a run under the present settings has to beat; it is this page's turn to train meanwhile.
    pub fn measure_baselines(self) {
        if !untrack(|| self.can_train()) {
            return;
        }
        self.worker.clear_error(&[Job::Baselines]);
        self.baselines.state.set(Measuring::UnderWay(Vec::new()));
        spawn_local(async move {
            // As with a search for a learning rate.
            let lose = move || {
                self.stop_baselines();
                self.lose_turn();
            };
            let is_mine = turn::take(false, lose).await;
            if !untrack(|| self.baselines.is_under_way()) {
                // It was stopped meanwhile, and a run may wait for the turn.
                if is_mine {
                    turn::end();
                }
                return;
            }
            match self.config().filter(|_| is_mine && untrack(|| self.could_train())) {
                Some(config) => {
                    // As before a run: what the last one trained is gone.
                    self.training.forget();
                    self.pictures.forget();
                    self.baselines.settings.set(self.settings.config_untracked());
                    self.ask(Job::Baselines, Command::Baselines { config }, Vec::new());
                }
                None if is_mine => self.end_baselines(Measuring::None),
                None => self.baselines.state.set(Measuring::Elsewhere),
            }
        });
    }

    /// Ends the measuring without an outcome.
    pub fn stop_baselines(self) {
        if untrack(|| self.baselines.is_under_way()) {
            if self.worker.job.get_untracked() == Some(Job::Baselines) {
                self.send_now(&Command::Stop);
            } else {
                // It waits in the queue, or for its turn.
                self.worker.drop_waiting(Job::Baselines);
                self.end_baselines(Measuring::None);
            }
        }
    }

    /// The measuring is over, and another tab can train, unless a run has begun here.
    pub(super) fn end_baselines(self, outcome: Measuring) {
        self.baselines.state.set(outcome);
        if self.is_free() {
            turn::end();
        }
    }

    /// Other model or data: what was measured on the last ones is of no use.
    pub(super) fn forget_baselines(self) {
        self.stop_baselines();
        self.worker.clear_error(&[Job::Baselines]);
        if !untrack(|| self.baselines.is_under_way()) {
            self.baselines.state.set(Measuring::None);
        }
    }

    /// Takes the linear probe as the trained head: a run of no steps that starts from it.
    pub fn keep_probe(self) {
        self.advice
            .take(self.settings, &[("head_init", "probe".into()), ("max_steps", 0.into())]);
        self.train();
    }
}
