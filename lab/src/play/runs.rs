//! Runs: the turn to train, what a run is asked with, pause and end, caps, and what the page around the lab is told of it.

use super::Lab;
use crate::document::now_ms;
use crate::model::{OWN, Phase};
use crate::options;
use crate::wire::{self, Ask, RunAsk};
use crate::{format, json};
use lorakeet_core::lesson::{At, LessonRun};
use lorakeet_core::protocol::StepInfo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_bindgen_futures::{JsFuture, spawn_local};

/// Milliseconds between two lines for screen readers.
const LIVE_INTERVAL_MS: f64 = 5000.0;

impl Lab {
    /// Trains the runs of the part that is shown, one after the other, or its first one with the pupil's settings and rows.
    /// `takes` ends the training of another lab.
    pub(super) fn train(&self, is_own: bool, takes: bool) {
        let is_asked = self.wire.borrow().has_run() || self.memory.borrow().waits_for_turn;
        if is_asked || !self.model.borrow().can_train() {
            return;
        }
        self.memory.borrow_mut().is_own = is_own;
        self.change(|model| model.problem = None);
        // Recorded runs take nobody's processor.
        if self.is_recorded() {
            return self.ask_wanted(is_own);
        }
        self.memory.borrow_mut().waits_for_turn = true;
        let lab = self.clone();
        spawn_local(async move {
            let is_mine = JsFuture::from(lab.host.lock(takes)).await;
            let is_mine = is_mine.is_ok_and(|mine| mine.is_truthy());
            lab.memory.borrow_mut().waits_for_turn = false;
            lab.change(|model| model.is_busy = !is_mine);
            if is_mine {
                lab.ask_wanted(is_own);
            } else {
                let said = lab.model.borrow().words().busy_elsewhere;
                lab.tell_busy(said);
            }
            lab.settle();
        });
    }

    /// Tells the page around the lab that another lab trains in place of this one; the lab itself shows it beside its buttons.
    fn tell_busy(&self, message: &str) {
        let advice = self.model.borrow().words().take_over;
        self.post(
            "error",
            &json!({ "kind": "busy", "message": message, "fatal": false, "advice": advice }),
        );
    }

    /// Stops the other lab, and does here what was asked for.
    pub(super) fn take_over(&self) {
        let is_own = self.memory.borrow().is_own;
        self.train(is_own, true);
    }

    /// Asks for the runs that another frame has left, else for those of the part that is shown.
    fn ask_wanted(&self, is_own: bool) {
        if !self.ask_left() {
            self.ask_runs(is_own);
        }
    }

    fn ask_runs(&self, is_own: bool) {
        let (lesson, mut names, settings, rows) = {
            let model = self.model.borrow();
            (
                model.lesson.clone(),
                model.part_runs(),
                model.settings.clone(),
                model.rows.clone(),
            )
        };
        let Some(lesson) = lesson else { return };
        self.change(|model| model.seconds = 0.0);
        if is_own {
            names.truncate(1);
        }
        for name in names {
            let Some(run) = lesson.runs.get(&name) else { continue };
            let (own, rows, command) = match is_own {
                true => (OWN.to_owned(), rows.clone(), self.train_command(run, &settings)),
                false => (name.clone(), None, self.train_command(run, &BTreeMap::new())),
            };
            self.ask_train(RunAsk {
                name: own,
                of: name,
                rows,
                command,
            });
        }
        self.next();
    }

    /// Asks for a run, and for its model and data.
    pub(super) fn ask_train(&self, run: RunAsk) {
        let lesson = self.model.borrow().lesson.clone();
        let of = lesson.as_ref().and_then(|lesson| lesson.runs.get(&run.of));
        if let Some(of) = of.filter(|_| !self.is_recorded()) {
            self.ask_loaded(of, run.rows.clone());
        }
        self.wire.borrow_mut().queue.push_back(Ask::Train(run));
    }

    /// What the engine is asked for a run of the lesson, with what the pupil changed of its settings.
    fn train_command(&self, run: &LessonRun, changed: &BTreeMap<String, String>) -> Value {
        let mut settings = run.settings_with_paths();
        for (knob, text) in changed {
            // As a run file would read it: a number, a word, or nothing.
            let value = match json::parse(text) {
                Value::Null => Value::String(text.clone()),
                value => value,
            };
            settings.insert(knob.clone(), value);
        }
        let (cap, seed) = {
            let options = &self.model.borrow().options;
            (options.number(options::MAX_STEPS), options.number(options::SEED))
        };
        // A run of whole epochs is ended by `keep_caps`: a number of steps could make it longer.
        let planned = settings.get("max_steps").and_then(Value::as_u64);
        if let (Some(cap), Some(planned)) = (cap, planned) {
            settings.insert("max_steps".into(), cap.min(planned).into());
        }
        if let Some(seed) = seed {
            settings.insert("seed".into(), seed.into());
        }
        wire::train(&json!(settings), &json!(run.prompt), &json!(run.watch))
    }

    /// Another lab trains now.
    pub fn lose_turn(&self) {
        self.stop();
        let said = self.model.borrow().words().taken_over;
        self.change(|model| {
            model.live = said.into();
            model.is_busy = true;
        });
        self.tell_busy(said);
    }

    pub(super) fn pause(&self) {
        if self.model.borrow().phase != Phase::Training {
            return;
        }
        match self.is_recorded() {
            true => self.set_phase(Phase::Paused),
            false => self.command("pause"),
        }
    }

    pub(super) fn resume(&self) {
        self.change(|model| model.is_unseen = false);
        match self.is_recorded() {
            true => self.set_phase(Phase::Training),
            false => self.command("resume"),
        }
    }

    /// Ends the run, and drops those that wait.
    pub(super) fn stop(&self) {
        self.wire.borrow_mut().drop_waiting();
        self.memory.borrow_mut().kept.drop_left();
        if self.model.borrow().current.is_none() {
            return self.settle();
        }
        match self.is_recorded() {
            true => {
                self.change(|model| model.current = None);
                self.answered("done");
            }
            false => self.command("stop"),
        }
    }

    /// Out of view for long, or in view again.
    pub fn set_seen(&self, is_seen: bool) {
        let (phase, was_unseen, runs_on) = {
            let model = self.model.borrow();
            let runs_on = model.options.text(options::OFFSCREEN).as_deref() == Some("run");
            (model.phase, model.is_unseen, runs_on)
        };
        if !is_seen && phase == Phase::Training && !runs_on {
            self.change(|model| model.is_unseen = true);
            self.pause();
        } else if is_seen && phase == Phase::Paused && was_unseen {
            self.resume();
        }
    }

    /// Ends a run that has reached the cap on its steps or on its time.
    pub(super) fn keep_caps(&self, step: usize) {
        if self.is_recorded() {
            return;
        }
        let (steps, seconds) = {
            let options = &self.model.borrow().options;
            (options.number(options::MAX_STEPS), options.number(options::MAX_SECONDS))
        };
        let took_ms = now_ms() - self.memory.borrow().began_ms;
        let is_over =
            steps.is_some_and(|cap| step as u64 >= cap) || seconds.is_some_and(|cap| took_ms > 1000.0 * cap as f64);
        if is_over {
            self.command("stop");
        }
    }

    pub(super) fn tell_step(&self, name: &str, step: &StepInfo) {
        let (lr, speed) = (step.learning_rate, step.tokens_per_second);
        let told = json!({ "step": step.step, "loss": step.loss, "lr": lr, "tokensPerSecond": speed });
        self.post("step", &told);
        let now = now_ms();
        if now - self.memory.borrow().spoke_ms < LIVE_INTERVAL_MS {
            return;
        }
        self.memory.borrow_mut().spoke_ms = now;
        self.change(|model| {
            let label = model.label(name);
            let words = model.words();
            if let Some(run) = model.runs.get(name) {
                model.live = (words.live)(&label, step.step, run.max_steps, format::loss(step.loss), run.falls());
            }
        });
    }

    /// The report of a run that has ended, unless it was forgotten meanwhile.
    pub(super) fn tell_done(&self, name: &str) {
        let report = self.change(|model| {
            let run = &model.runs.get(name)?.results;
            let seconds = run.value("seconds", At::End);
            let report = json!({
                "run": name,
                "evalLossBefore": run.value("eval_loss", At::Start),
                "evalLossAfter": run.value("eval_loss", At::End),
                "steps": run.value("steps", At::End),
                "seconds": seconds,
            });
            model.seconds += seconds.unwrap_or(0.0);
            Some(report)
        });
        if let Some(report) = report {
            self.post("done", &json!({ "report": report }));
        }
    }
}
