//! The baselines before a run: measured, stopped, and the probe among them taken as it is.

use super::PageState;
use super::turns::ShortTurn;
use crate::baselines::Measuring;
use crate::conversation::Job;
use leptos::prelude::*;
use lorakeet_core::protocol::Command;

impl PageState {
    /// Scores what a run under the present settings has to beat; it is this page's turn to train meanwhile.
    pub fn measure_baselines(self) {
        if !untrack(|| self.can_train()) {
            return;
        }
        self.worker.clear_error(&[Job::Baselines]);
        self.baselines.state.set(Measuring::UnderWay(Vec::new()));
        self.in_turn(
            move || self.baselines.is_under_way(),
            move || self.stop_baselines(),
            move |turn| match turn {
                ShortTurn::Mine(config) => {
                    self.baselines.settings.set(self.settings.config_untracked());
                    self.ask(Job::Baselines, Command::Baselines { config }, Vec::new());
                }
                ShortTurn::Idle => self.end_baselines(Measuring::None),
                ShortTurn::Elsewhere => self.baselines.state.set(Measuring::Elsewhere),
            },
        );
    }

    /// Ends the measuring without an outcome.
    pub fn stop_baselines(self) {
        if untrack(|| self.baselines.is_under_way()) && self.stop_short(Job::Baselines) {
            self.end_baselines(Measuring::None);
        }
    }

    /// The measuring is over, and another tab can train, unless a run has begun here.
    pub(super) fn end_baselines(self, outcome: Measuring) {
        self.baselines.state.set(outcome);
        self.end_short();
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
