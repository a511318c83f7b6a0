//! Advice that follows model, data and settings, and the search for a learning rate.

use super::PageState;
use crate::advice::Search;
use crate::conversation::Job;
use crate::turn;
use leptos::prelude::*;
use lorakeet_core::protocol::Command;
use wasm_bindgen_futures::spawn_local;

impl PageState {
    /// Asks what is recommended for a run under the present settings, and what is unwise in them.
    pub fn ask_advice(self) {
        if let Some(config) = self.config()
            && untrack(|| self.loaded.is_complete())
            && self.is_free()
        {
            self.worker.drop_waiting(Job::Advice);
            self.ask(Job::Advice, Command::Advise { config }, Vec::new());
        }
    }

    /// Searches for a learning rate of a run under the present settings; it is this page's turn to train meanwhile.
    pub fn find_rate(self) {
        if !untrack(|| self.can_train()) {
            return;
        }
        self.worker.clear_error(&[Job::FindRate]);
        self.advice.search.set(Search::UnderWay(None));
        spawn_local(async move {
            // A run that is begun meanwhile keeps the turn, and is what another tab takes it from then.
            let lose = move || {
                self.stop_search();
                self.lose_turn();
            };
            let is_mine = turn::take(false, lose).await;
            if !untrack(|| self.advice.is_searching()) {
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
                    self.advice.searched.set(self.settings.config_untracked());
                    self.ask(Job::FindRate, Command::FindRate { config }, Vec::new());
                }
                None if is_mine => self.end_search(Search::None),
                None => self.advice.search.set(Search::Elsewhere),
            }
        });
    }

    /// Ends the search without an outcome.
    pub fn stop_search(self) {
        if untrack(|| self.advice.is_searching()) {
            if self.worker.job.get_untracked() == Some(Job::FindRate) {
                self.send_now(&Command::Stop);
            } else {
                // It waits in the queue, or for its turn.
                self.worker.drop_waiting(Job::FindRate);
                self.end_search(Search::None);
            }
        }
    }

    /// The search is over, and another tab can train, unless a run has begun here.
    pub(super) fn end_search(self, outcome: Search) {
        self.advice.search.set(outcome);
        if self.is_free() {
            turn::end();
        }
    }

    /// Other model or data: what was advised for the last ones is of no use.
    pub(super) fn forget_advice(self) {
        self.stop_search();
        self.forget_baselines();
        self.advice.forget();
        if !untrack(|| self.advice.is_searching()) {
            self.advice.search.set(Search::None);
        }
    }
}
