//! Whose turn it is to train: this page's, or another tab's until that ends or this one takes over.

use super::PageState;
use crate::conversation::Job;
use crate::run::Phase;
use crate::turn::{self, Wanted};
use leptos::prelude::*;
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{Command, StoredRun};
use lorakeet_i18n::messages::page as msg;
use wasm_bindgen_futures::spawn_local;

/// What came of waiting for a turn.
pub(super) enum ShortTurn {
    /// It is this page's, with these settings.
    Mine(Box<RunConfig>),
    /// It was, and nothing can be done with it any more.
    Idle,
    /// Another tab trains.
    Elsewhere,
}

impl PageState {
    /// Starts a run.
    pub fn train(self) {
        self.begin(Wanted::Run, false);
    }

    /// Goes on with a run of the browser's storage.
    pub fn go_on(self, run: StoredRun) {
        self.begin(Wanted::Stored(Box::new(run)), false);
    }

    /// Ends the other tab's run, which is saved, and starts what waits here.
    pub fn take_over(self) {
        if let Some(wanted) = self.elsewhere.get_untracked() {
            self.begin(wanted, true);
        }
    }

    pub(super) fn begin(self, wanted: Wanted, steal: bool) {
        // A search and the measuring of baselines make way, and do not begin a moment later.
        self.stop_search();
        self.stop_baselines();
        if !matches!(wanted, Wanted::Sweep(_)) {
            self.leave_sweep();
        }
        let before = self.training.phase.get_untracked();
        // Nothing else can be started until it is known whose turn it is.
        self.training.phase.set(Phase::Starting);
        self.elsewhere.set(None);
        spawn_local(async move {
            let is_mine = turn::take(steal, move || self.lose_turn()).await;
            let is_stopped = self.training.phase.get_untracked() == Phase::Stopping;
            self.training.phase.set(before);
            if is_stopped {
                return self.end_short();
            }
            match wanted {
                wanted if !is_mine => {
                    self.elsewhere.set(Some(wanted));
                    // They say what the other tab trains.
                    self.ask_runs_when_free();
                }
                Wanted::Run => self.train_now(),
                Wanted::Stored(run) => self.go_on_now(run.record, None, None),
                Wanted::Back(record, step) => self.go_on_now(*record, Some(step), None),
                Wanted::Sweep(sweep) => self.sweep_now(*sweep),
            }
        });
    }

    /// Waits for the turn to do something short under the present settings, as long as `is_wanted`: `then` hears what came of it, and
    /// `stop` ends it where another tab takes the turn meanwhile.
    pub(super) fn in_turn(
        self,
        is_wanted: impl Fn() -> bool + 'static,
        stop: impl Fn() + 'static,
        then: impl FnOnce(ShortTurn) + 'static,
    ) {
        spawn_local(async move {
            // A run that is begun meanwhile keeps the turn, and is what another tab takes it from then.
            let lose = move || {
                stop();
                self.lose_turn();
            };
            let is_mine = turn::take(false, lose).await;
            if !untrack(is_wanted) {
                // It was stopped meanwhile, and a run may wait for the turn.
                if is_mine {
                    turn::end();
                }
                return;
            }
            then(
                match self.config().filter(|_| is_mine && untrack(|| self.could_train())) {
                    Some(config) => {
                        // As before a run: what the last one trained is gone.
                        self.training.forget();
                        self.pictures.forget();
                        ShortTurn::Mine(config)
                    }
                    None if is_mine => ShortTurn::Idle,
                    None => ShortTurn::Elsewhere,
                },
            );
        });
    }

    /// Stops the work of `job`, or takes it out of the queue where it waits for its turn; whether it did not begin.
    pub(super) fn stop_short(self, job: Job) -> bool {
        let has_begun = self.worker.job.get_untracked() == Some(job);
        if has_begun {
            self.send_now(&Command::Stop);
        } else {
            self.worker.drop_waiting(job);
        }
        !has_begun
    }

    /// Another tab can train, unless a run has begun here.
    pub(super) fn end_short(self) {
        if self.is_free() {
            turn::end();
        }
    }

    /// Another tab has taken over: the run ends here, and can be continued.
    pub fn lose_turn(self) {
        if self.is_free() {
            return;
        }
        self.save_run();
        self.stop();
        self.worker.note(msg::TurnTaken.into());
    }

    /// Lets another tab train and the screen go off once no run is under way, and keeps the screen on while one is.
    pub fn watch_turn(self) {
        Effect::new(move |was: Option<bool>| {
            let is_under_way = self.is_training() || self.sweep.is_going.get();
            if was == Some(true) && !is_under_way {
                turn::end();
            }
            turn::keep_awake(is_under_way && self.keeps_awake.get());
            is_under_way
        });
    }
}
