//! Sweeps: started, heard, ended and gone on with. Each of their runs is a stored run as any other; `lorakeet_core::sweep` says which
//! comes next.

use super::{Inputs, PageState};
use crate::conversation::{Engine, Job};
use crate::history;
use crate::run::Phase;
use crate::stored_runs;
use crate::sweep::{Obstacle, Outlook};
use crate::turn::Wanted;
use js_sys::Date;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{Command, Event, RunRecord, RunState, StoredSweep, Sweep, SweepCommand, SweptRun};
use lorakeet_core::sweep::{Halving, Heard, Turn};
use std::time::Duration;

/// A run of a sweep whose model and data are to be loaded first.
pub(super) struct OfSweep {
    /// The settings of the form.
    pub(super) base: RunConfig,
    /// Whether the run has not begun.
    pub(super) is_new: bool,
}

/// How often it is looked whether a sweep is still under way in another tab.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);

impl PageState {
    /// Whether a sweep can be started.
    pub fn can_sweep(self) -> bool {
        self.can_train() && !self.sweep.is_elsewhere.get()
    }

    /// Whether the sweep that is shown can be gone on with now: it is known which of its runs are stored.
    pub fn can_continue_sweep(self) -> bool {
        let is_asked = matches!(
            self.worker.job.get(),
            Some(Job::Open | Job::Runs | Job::Sweep | Job::Train)
        );
        self.worker.engine.get() == Engine::Ready
            && !self.is_training()
            && !self.sweep.is_elsewhere.get()
            && !is_asked
            && !self.worker.waits(Job::Runs)
    }

    /// What a sweep of what is chosen would be; none where the settings are none.
    pub fn sweep_outlook(self) -> Option<Result<Outlook, Obstacle>> {
        if !self.settings.is_valid() {
            return None;
        }
        let validation_file = self
            .loaded
            .validation
            .with(|info| info.as_ref().map(|info| info.name.clone()));
        let config = RunConfig {
            validation_file,
            ..self.settings.with(RunConfig::clone)
        };
        let (keeps, rows) = (self.stored.has_store.get(), self.advice.rows.get());
        Some(self.sweep.outlook(self.settings, &config, keeps, rows))
    }

    /// Starts a sweep of what is chosen, in place of the one that is shown.
    pub fn start_sweep(self) {
        let Some(config) = self.config().filter(|_| untrack(|| self.can_sweep())) else {
            return;
        };
        let keeps = self.stored.has_store.get_untracked();
        let found = untrack(|| {
            let variants = self.sweep.variants(self.settings, (*config).clone(), keeps);
            variants.ok().zip(self.sweep.budget_ms().ok())
        });
        // What is wrong is said where it is chosen.
        let Some((variants, budget_ms)) = found else { return };
        let (id, started_ms) = stored_runs::new_id();
        let (model, data, validation, adapter) = self.chosen_inputs();
        let sweep = Sweep {
            id,
            started_ms,
            knobs: variants.knobs.iter().map(|knob| (*knob).to_owned()).collect(),
            settings: RunRecord::settings_of(&config),
            halves: variants.halving == Halving::Halves,
            budget_ms,
            spent_ms: 0.0,
            state: RunState::Open,
            task: untrack(|| self.task()),
            model,
            data,
            validation,
            adapter,
            runs: SweptRun::of(&variants, &config),
        };
        self.begin(Wanted::Sweep(Box::new(sweep)), false);
    }

    /// Goes on with the sweep that is shown; one whose time was over gets as much again.
    pub fn continue_sweep(self) {
        let Some(mut sweep) = self.sweep.shown.get_untracked().filter(Sweep::can_go_on) else {
            return;
        };
        if sweep.is_out_of_time() {
            sweep.spent_ms = 0.0;
        }
        self.begin(Wanted::Sweep(Box::new(sweep)), false);
    }

    /// Ends the sweep after the step under way; it can be gone on with.
    pub fn stop_sweep(self) {
        if self.is_free() {
            // Its run waits for another engine.
            self.stored.end_waiting();
            return self.end_sweep(RunState::Stopped);
        }
        self.stop();
    }

    /// Puts away the sweep that is shown; its runs stay.
    pub fn forget_sweep(self) {
        if let Some(sweep) = self.sweep.shown.get_untracked()
            && !self.sweep.is_going.get_untracked()
        {
            self.sweep.shown.set(None);
            self.sweep.taken.set(None);
            self.ask_of_sweeps(SweepCommand::Forget { id: sweep.id });
        }
    }

    /// Takes what a run of the sweep has of its own for the settings.
    pub fn take_swept(self, run: usize) {
        let found = self
            .sweep
            .shown
            .with_untracked(|sweep| sweep.as_ref().map(|sweep| sweep.found(run)));
        if let Some(found) = found {
            self.advice.take(self.settings, &found);
            self.sweep.taken.set(Some(run));
        }
    }

    /// Shows the sweep's runs side by side, the best first, grouped by its first knob.
    pub fn compare_swept(self) {
        let Some(sweep) = self.sweep.shown.get_untracked() else {
            return;
        };
        let runs = sweep.order().into_iter().filter_map(|run| sweep.runs[run].run.clone());
        self.history.chosen.set(runs.take(history::MOST).collect());
        if let Some(knob) = sweep.knobs.first() {
            self.history.by.set(knob.clone());
        }
        if let Some(score) = sweep.runs.iter().find_map(|run| run.score.as_ref()) {
            self.history.metric.set(score.metric.clone());
        }
        self.history.is_open.set(true);
    }

    /// A sweep begins or goes on, now that it is this page's turn.
    pub(super) fn sweep_now(self, mut sweep: Sweep) {
        let stored = |id: &str| {
            let runs = self.stored.runs;
            runs.with_untracked(|runs| runs.iter().any(|run| run.record.id == id))
        };
        sweep.keep_runs(stored);
        sweep.state = RunState::Open;
        let before = self.sweep.shown.get_untracked().filter(|before| before.id != sweep.id);
        let inputs = inputs_of(&sweep);
        let is_loaded = untrack(|| self.loaded.is_complete()) && inputs == self.chosen_inputs();
        self.sweep.shown.set(Some(sweep));
        self.sweep.taken.set(None);
        self.sweep.is_going.set(true);
        self.worker.clear_error(&[Job::Sweep]);
        if let Some(before) = before {
            self.ask_of_sweeps(SweepCommand::Forget { id: before.id });
        }
        self.train_next(!is_loaded);
    }

    /// Trains the sweep's next run; `loads` its model and data first, where others may be loaded.
    fn train_next(self, loads: bool) {
        let Some(sweep) = self.sweep.shown.get_untracked() else {
            return;
        };
        let Some(turn) = sweep.next() else {
            return self.end_sweep(RunState::Finished);
        };
        if sweep.is_out_of_time() {
            return self.end_sweep(RunState::Stopped);
        }
        let settings = sweep.config(turn.run).and_then(|config| Ok((config, sweep.base()?)));
        let (config, base) = match settings {
            Ok(settings) => settings,
            // Another release has written them.
            Err(error) => {
                self.end_sweep(RunState::Stopped);
                return self.worker.error.set(Some((Job::Sweep, error)));
            }
        };
        let (new_id, started_ms) = stored_runs::new_id();
        let known = sweep.runs[turn.run].run.clone();
        let is_new = known.is_none();
        let id = known.unwrap_or(new_id);
        self.sweep.shown.update(|sweep| {
            if let Some(sweep) = sweep {
                sweep.runs[turn.run].run = Some(id.clone());
            }
        });
        self.sweep.turn.set(Some(turn));
        self.sweep.count(Date::now(), true);
        self.keep_sweep();
        let record = self.record_of_sweep(&sweep, &config, (id, started_ms), turn);
        match loads {
            true => {
                let form = OfSweep { base, is_new };
                self.go_on_now(record, None, Some(form));
            }
            false => self.train_as(record, config, is_new),
        }
    }

    /// The record of a run of the sweep. Files that were copied for one of them are not looked for again.
    fn record_of_sweep(self, sweep: &Sweep, config: &RunConfig, begun: (String, f64), turn: Turn) -> RunRecord {
        let is_one = |record: &&RunRecord| sweep.runs.iter().any(|run| run.run.as_ref() == Some(&record.id));
        let inputs = self.stored.runs.with_untracked(|runs| {
            let one = runs.iter().map(|run| &run.record).find(is_one)?;
            Some((
                one.model.clone(),
                one.data.clone(),
                one.validation.clone(),
                one.adapter.clone(),
            ))
        });
        let (model, data, validation, adapter) = inputs.unwrap_or_else(|| inputs_of(sweep));
        // What a run writes on the way takes time, and nothing is decided by it: there is no prompt.
        RunRecord {
            validation,
            adapter,
            labels: sweep.labels(turn.run),
            ..RunRecord::begun(begun, (config, sweep.task), [model, data])
        }
    }

    /// Hears what the engine says of the sweep's run.
    pub(super) fn hear_of_sweep(self, event: &Event) {
        let Some(turn) = self.sweep.turn.get_untracked() else {
            return;
        };
        let is_going = self.sweep.is_going.get_untracked();
        if is_going {
            // In a pause the run says something where a picture is drawn.
            let is_paused = matches!(self.training.phase.get_untracked(), Phase::Paused(_));
            let was_held = is_paused || matches!(event, Event::Resumed);
            self.sweep.count(Date::now(), was_held);
        }
        match event {
            Event::Step(_) => {
                let is_over = self
                    .sweep
                    .shown
                    .with_untracked(|sweep| sweep.as_ref().is_some_and(Sweep::is_out_of_time));
                if is_going && is_over {
                    self.stop();
                }
            }
            Event::Started(_)
            | Event::Continued { .. }
            | Event::Eval(_)
            | Event::Report(_)
            | Event::Judgement(_)
            | Event::Done(_) => {
                let heard = self
                    .sweep
                    .shown
                    .try_update(|sweep| sweep.as_mut().map(|sweep| sweep.hear(turn, event)));
                let is_to_stop = heard.flatten() == Some(Heard::Stop);
                if is_to_stop && is_going && !self.training.phase.with_untracked(|phase| *phase == Phase::Stopping) {
                    self.training.phase.set(Phase::Stopping);
                    self.send_now(&Command::Stop);
                }
            }
            _ => {}
        }
    }

    /// The sweep's run failed.
    pub(super) fn fail_in_sweep(self, error: &Error) {
        if let Some(turn) = self.sweep.turn.get_untracked() {
            self.sweep.shown.update(|sweep| {
                if let Some(sweep) = sweep {
                    sweep.fail(turn, error);
                }
            });
        }
    }

    /// A run has ended: the sweep goes on with its next, where it is under way and that one has come as far as it was to come. A run
    /// that did not was ended by something else, and so is the sweep, which can be gone on with.
    pub(super) fn sweep_on(self) {
        let Some(turn) = self.sweep.turn.get_untracked() else {
            return;
        };
        if !self.sweep.is_going.get_untracked() {
            // What it said at its end is kept, too.
            self.sweep.turn.set(None);
            return self.keep_sweep();
        }
        let is_over = self
            .sweep
            .shown
            .with_untracked(|sweep| sweep.as_ref().is_some_and(|sweep| sweep.is_over(turn)));
        match is_over {
            true => self.train_next(false),
            false => self.end_sweep(RunState::Stopped),
        }
    }

    /// The sweep under way ends here, whether or not all of it is done; what its run under way still says is heard.
    pub(super) fn end_sweep(self, end: RunState) {
        if !self.sweep.is_going.get_untracked() {
            return;
        }
        let is_run_over = self.is_free();
        self.sweep.is_going.set(false);
        self.sweep.shown.update(|sweep| {
            if let Some(sweep) = sweep {
                sweep.state = match sweep.next() {
                    Some(_) => end,
                    None => RunState::Finished,
                };
            }
        });
        if is_run_over {
            self.sweep.turn.set(None);
        }
        self.keep_sweep();
    }

    /// Something else is begun: what that says is not the sweep's.
    pub(super) fn leave_sweep(self) {
        self.end_sweep(RunState::Stopped);
        self.sweep.turn.set(None);
    }

    /// The engine is gone, and the sweep with it until it is gone on with.
    pub(super) fn interrupt_sweep(self) {
        self.end_sweep(RunState::Open);
        self.sweep.turn.set(None);
    }

    pub(super) fn keep_sweep(self) {
        if let Some(sweep) = self.sweep.shown.get_untracked() {
            let sweep = Box::new(sweep);
            self.ask_of_sweeps(SweepCommand::Keep { sweep });
        }
    }

    pub(super) fn ask_of_sweeps(self, command: SweepCommand) {
        self.ask(Job::Sweep, Command::Sweep(command), Vec::new());
    }

    /// The engine told of the store's sweeps.
    pub(super) fn take_sweeps(self, sweeps: Vec<StoredSweep>) {
        if self.sweep.told(sweeps) {
            // The worker of a page that was just closed holds its sweep a little longer.
            let look = move || {
                if self.is_free() && self.worker.engine.get_untracked() == Engine::Ready {
                    self.ask_of_sweeps(SweepCommand::List);
                }
            };
            set_timeout(look, BETWEEN_LOOKS);
        }
        self.finish(Job::Sweep);
    }
}

/// What the runs of a sweep are made of.
fn inputs_of(sweep: &Sweep) -> Inputs {
    (
        sweep.model.clone(),
        sweep.data.clone(),
        sweep.validation.clone(),
        sweep.adapter.clone(),
    )
}
