//! Advice that follows model, data and settings, and the search for a learning rate.

use super::PageState;
use super::turns::ShortTurn;
use crate::advice::Search;
use crate::conversation::Job;
use leptos::prelude::*;
use lorakeet_core::protocol::Command;

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

    /// The metric that judges a run under the present settings, where that is known.
    pub fn metric(self) -> Option<String> {
        let outlook = self.loaded.outlook;
        outlook.with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()))
    }

    /// What keeps a search for a learning rate, baselines or a sweep from being begun; `in_run` says so of a run that is under way.
    pub fn why_not_now(self, in_run: &'static str) -> Option<&'static str> {
        let words = self.words().advice;
        match () {
            () if self.is_training() => Some(in_run),
            () if !self.loaded.is_complete() => Some(words.needs_both),
            () if !self.settings.is_valid() => Some(words.bad_settings),
            () => None,
        }
    }

    /// Searches for a learning rate of a run under the present settings; it is this page's turn to train meanwhile.
    pub fn find_rate(self) {
        if !untrack(|| self.can_train()) {
            return;
        }
        self.worker.clear_error(&[Job::FindRate]);
        self.advice.search.set(Search::UnderWay(None));
        self.in_turn(
            move || self.advice.is_searching(),
            move || self.stop_search(),
            move |turn| match turn {
                ShortTurn::Mine(config) => {
                    self.advice.searched.set(self.settings.config_untracked());
                    self.ask(Job::FindRate, Command::FindRate { config }, Vec::new());
                }
                ShortTurn::Idle => self.end_search(Search::None),
                ShortTurn::Elsewhere => self.advice.search.set(Search::Elsewhere),
            },
        );
    }

    /// Ends the search without an outcome.
    pub fn stop_search(self) {
        if untrack(|| self.advice.is_searching()) && self.stop_short(Job::FindRate) {
            self.end_search(Search::None);
        }
    }

    /// The search is over, and another tab can train, unless a run has begun here.
    pub(super) fn end_search(self, outcome: Search) {
        self.advice.search.set(outcome);
        self.end_short();
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
