//! What the engine says, and what each event of it changes in the page's state; what becomes of the page when it fails.

use super::{BETWEEN_GPU_TRIES, MOST_GPU_TRIES, PageState};
use crate::advice::Search;
use crate::baselines::Measuring;
use crate::client::Incoming;
use crate::conversation::{Engine, Job};
use crate::playground::Answer;
use crate::run::{Phase, Sample};
use crate::storage::Stored;
use js_sys::ArrayBuffer;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::{Command, DeviceInfo, DeviceKind, Event, RunState, SweepCommand};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::device as device_msg;
use std::time::Duration;

/// How often it is looked whether a run is still under way in another tab.
const BETWEEN_LOOKS_AT_RUNS: Duration = Duration::from_secs(3);

impl PageState {
    pub(super) fn fail(self, error: Error) {
        let job = self.worker.job.get_untracked().unwrap_or(Job::Open);
        if job == Job::Train && error.what == Message::from(device_msg::Lost) && self.goes_on_after_loss() {
            return;
        }
        if job == Job::Train {
            self.fail_in_sweep(&error);
        }
        match job {
            // It was asked for.
            Job::Train if error.kind == Kind::Stopped => {
                self.stored.end_waiting();
                self.training.phase.set(Phase::Idle);
                self.finish(job);
                self.ask_runs();
                self.look_after_run();
                return self.follow();
            }
            // What was refused is not begun once more with the next engine.
            Job::Train => {
                self.stored.end_waiting();
                self.training.broke_off();
            }
            Job::Generate => self.training.each_answer(Answer::end),
            // What is wrong is said where the run is started.
            Job::Estimate => {
                self.loaded.forget_estimate();
                return self.finish(job);
            }
            // As above; without settings that can be used, the old advice is none.
            Job::Advice => {
                self.advice.found.set(None);
                return self.finish(job);
            }
            Job::FindRate => {
                self.end_search(Search::None);
                if error.kind == Kind::Stopped {
                    return self.finish(job);
                }
            }
            Job::Baselines => {
                self.end_baselines(Measuring::None);
                if error.kind == Kind::Stopped {
                    return self.finish(job);
                }
            }
            Job::Preview => self.loaded.forget_preview(),
            // It is said where the findings would stand.
            Job::Audit | Job::KeptRows => {
                if job == Job::Audit {
                    self.audit.forget();
                }
                // Of data that cannot be read at all it is said above, and of those that were put away meanwhile not at all.
                let is_there = self.loaded.data.with_untracked(Option::is_some);
                self.audit.problem.set(Some(error).filter(|_| is_there));
                return self.finish(job);
            }
            // The engine has none now, unless the next one is on its way.
            Job::Validation if !self.worker.waits(Job::Validation) => self.loaded.validation_files.set(Vec::new()),
            // Without a device nothing that waits can succeed, and this error is the one to show.
            Job::Open => self.worker.drop_all(),
            // It was asked for.
            Job::Compare | Job::ScoreAdapter if error.kind == Kind::Stopped => return self.finish(job),
            // The engine has none now, unless the next one is on its way.
            Job::Adapter if !self.worker.waits(Job::Adapter) => {
                self.loaded.forget_adapter();
                self.loaded.adapter_files.set(Vec::new());
            }
            // It is still there.
            Job::Forget => self.storage.going.set(Vec::new()),
            Job::Sweep => self.sweep.is_told.set(true),
            Job::Probe
            | Job::Model
            | Job::Data
            | Job::Validation
            | Job::Adapter
            | Job::ScoreAdapter
            | Job::Inspect
            | Job::Compare
            | Job::Predict
            | Job::ScoreFile
            | Job::Report
            | Job::Picture
            | Job::Forms
            | Job::Runs
            | Job::Label
            | Job::Curves
            | Job::Reopen
            | Job::HubModels => {}
            Job::Export => {
                let fault = self.training.export.give_up();
                if error.kind == Kind::Stopped {
                    self.worker.error.set(fault.map(|fault| (job, fault)));
                    return self.finish(job);
                }
            }
            Job::Hub => {
                self.hub.progress.set(None);
                self.finish(job);
                // What was fetched stays, and can be gone on with.
                self.ask_models();
                if error.kind != Kind::Stopped {
                    self.worker.error.set(Some((job, error)));
                }
                return;
            }
        }
        // Without what it needs a run cannot go on.
        if matches!(job, Job::Model | Job::Data | Job::Validation | Job::Adapter) && self.stored.end_waiting() {
            self.worker.drop_waiting(Job::Train);
            self.training.phase.set(Phase::Idle);
            self.end_sweep(RunState::Stopped);
        }
        if error.kind == Kind::Device {
            self.look_for_gpu_again(job);
        }
        self.worker.error.set(Some((job, error)));
        self.finish(job);
        if job == Job::Label {
            // What the run is really called.
            self.ask_runs();
        }
        if matches!(job, Job::Data | Job::Validation) {
            self.ask_audit(false);
        }
        if job == Job::Train {
            self.ask_forms();
            self.ask_runs();
            self.follow();
        }
    }

    /// After a GPU was lost the browser may have no adapter for a while: another engine asks again a little later.
    fn look_for_gpu_again(self, job: Job) {
        let on_gpu = |device: &Option<DeviceInfo>| device.as_ref().is_some_and(|info| info.kind == DeviceKind::Gpu);
        let tries = self.gpu_tries.get_value();
        if job != Job::Open {
            if self.worker.device.with_untracked(on_gpu) {
                self.gpu_tries.set_value(1);
            }
        } else if (1..MOST_GPU_TRIES).contains(&tries) {
            self.gpu_tries.set_value(tries + 1);
            let again = move || {
                if self.gpu_tries.get_value() == tries + 1 {
                    self.start_engine();
                }
            };
            set_timeout(again, BETWEEN_GPU_TRIES * tries);
        }
    }

    pub(super) fn lose_engine(self, error: Error) {
        // What breaks the engine may do so again: it is offered, and not tried by itself.
        self.stored.end_waiting();
        self.worker.lose(error);
        if untrack(|| self.advice.is_searching()) {
            self.end_search(Search::None);
        }
        if untrack(|| self.baselines.is_under_way()) {
            self.end_baselines(Measuring::None);
        }
        self.training.lose_engine();
        self.interrupt_sweep();
    }

    pub(super) fn receive(self, incoming: Incoming) {
        match incoming {
            Incoming::Event(event, bytes) => self.handle(*event, bytes),
            Incoming::Fatal(error) => self.lose_engine(error),
        }
    }

    fn handle(self, event: Event, bytes: Option<ArrayBuffer>) {
        let (worker, loaded, training) = (self.worker, self.loaded, self.training);
        self.hear_of_sweep(&event);
        match event {
            Event::Ready => self.open(),
            Event::Device(info) => {
                self.gpu_tries.set_value(0);
                worker.device.set(Some(info));
                self.finish(Job::Open);
            }
            Event::Probe(probe) => {
                worker.probe.set(Some(probe));
                self.finish(Job::Probe);
                self.ask_estimate();
            }
            Event::Progress { stage, done, total } => worker.go_on(stage, done, total),
            Event::Warning { message } => worker.note(message),
            Event::Failed(error) => self.fail(error),

            Event::Model(info) => {
                loaded.model.set(Some(info));
                self.look_anew(Job::Model);
            }
            Event::Data(info) => {
                // Else they were read again for what is asked now, and may have been put away since.
                let is_asked = worker.job.get_untracked() == Some(Job::Data);
                if is_asked || loaded.data.with_untracked(Option::is_some) {
                    loaded.data.set(Some(info));
                }
                if is_asked {
                    self.finish(Job::Data);
                    self.ask_preview();
                    self.ask_advice();
                }
            }
            Event::Validation { data } => {
                // As above.
                let is_asked = worker.job.get_untracked() == Some(Job::Validation);
                if is_asked || loaded.validation.with_untracked(Option::is_some) {
                    loaded.validation.set(data);
                }
                if is_asked {
                    self.look_anew(Job::Validation);
                }
            }
            Event::Audit(report) => {
                if self.has_rows_to_audit() {
                    self.audit.forget();
                    self.audit.report.set(Some(*report));
                }
                self.finish(Job::Audit);
            }
            Event::Preview {
                examples,
                after,
                total,
                columns,
                outlook,
                problem,
                validation_problem,
            } => {
                // Of a model or data that were put away meanwhile there is none.
                if untrack(|| loaded.is_complete()) {
                    loaded.preview.set(examples);
                    loaded.preview_place.set((after, total));
                    // Where there are fewer rows now, they are others; unless more were wanted since.
                    if !worker.waits(Job::Preview) {
                        loaded.preview_after.set_value(after);
                    }
                    loaded.columns.set(columns);
                    loaded.outlook.set(outlook);
                    loaded.problem.set(problem);
                    loaded.validation_problem.set(validation_problem);
                }
                self.finish(Job::Preview);
            }
            Event::Estimate {
                memory,
                available_bytes,
                seconds_per_step,
                learnt,
            } => {
                loaded.estimate.set(Some((memory, available_bytes)));
                loaded.seconds_per_step.set(seconds_per_step);
                loaded.learnt.set(learnt);
                self.finish(Job::Estimate);
            }
            Event::Advice { advice, rows, .. } => {
                if untrack(|| loaded.is_complete()) {
                    self.advice.found.set(Some(*advice));
                    self.advice.rows.set(Some(rows));
                }
                self.finish(Job::Advice);
            }
            Event::Rate(search) => {
                let is_of_these = untrack(|| loaded.is_complete());
                self.end_search(if is_of_these {
                    Search::Done(*search)
                } else {
                    Search::None
                });
                self.finish(Job::FindRate);
            }

            Event::BaselinesMeasured(measured) => {
                let is_of_these = untrack(|| loaded.is_complete());
                self.end_baselines(match is_of_these {
                    true => Measuring::Done(*measured),
                    false => Measuring::None,
                });
                self.finish(Job::Baselines);
            }

            Event::Started(info) => {
                self.stored.end_waiting();
                training.started(info);
            }
            Event::Continued {
                step,
                steps,
                evals,
                samples,
            } => {
                self.stored.is_saved.set_value(true);
                training.continued(steps, evals, samples);
                training.saved(step);
            }
            Event::Runs {
                mut runs,
                copies,
                has_store,
                is_partial,
            } => {
                self.storage.copies.set(copies);
                self.stored.has_store.set(has_store);
                // The worker of a page that was just closed holds its run a little longer.
                if is_partial || runs.iter().any(|run| run.is_under_way) {
                    set_timeout(move || self.ask_runs_when_free(), BETWEEN_LOOKS_AT_RUNS);
                }
                self.keep_labels(&mut runs);
                self.stored
                    .runs
                    .with_untracked(|before| self.history.renew(before, &runs, is_partial));
                self.stored.runs.set(runs);
                self.take_stock(Job::Runs, |what| !matches!(what, Stored::Model(_)));
            }
            Event::Step(step) if worker.job.get_untracked() == Some(Job::FindRate) => {
                worker.progress.set(None);
                self.advice.stepped(step);
            }
            Event::RunOpened(opened) => self.show_opened(*opened),
            Event::Sweeps { sweeps } => self.take_sweeps(sweeps),
            Event::RunCurves { curves } => {
                self.history.curves.update(|known| known.extend(curves));
                self.finish(Job::Curves);
            }
            Event::Step(step) => {
                self.stored.tries.set_value(0);
                worker.progress.set(None);
                training.stepped(step);
            }
            Event::Eval(eval) => {
                worker.progress.set(None);
                training.scored(eval);
            }
            Event::Sample { step, prompt, text } => training.sampled(Sample { step, prompt, text }),
            Event::Paused { step } => training.phase.set(Phase::Paused(step)),
            Event::Resumed => training.phase.set(Phase::Running),
            Event::Diverging(found) => training.goes_wrong(found),
            Event::Checkpoint { step, .. } => {
                self.stored.is_saved.set_value(true);
                training.saved(step);
            }
            // A note says it; only a lab asks for checkpoints.
            Event::Halved { .. } | Event::CheckpointFile { .. } => {}
            Event::Hub(event) => self.hear_of_hub(event),
            Event::Export(event) => self.hear_of_export(event, bytes),
            Event::Files(event) => self.hear_of_files(event),
            Event::Baseline { scores } if worker.job.get_untracked() == Some(Job::Baselines) => {
                self.baselines.scored(scores);
            }
            Event::Baseline { scores } => training.outcome.baselines.set(scores),
            Event::Report(report) => training.outcome.report.set(Some(*report)),
            Event::Predictions(table) => training.outcome.predictions.set(table),
            Event::Judgement(judgement) => training.outcome.judgement.set(Some(*judgement)),
            Event::ReportFile { form, text } => {
                self.take_report(form, &text);
                self.finish(Job::Report);
            }
            Event::FileScored(score) => match worker.job.get_untracked() {
                Some(Job::ScoreAdapter) => {
                    // Of an adapter or data that were put away meanwhile there is none.
                    let is_there = loaded.adapter.with_untracked(Option::is_some)
                        && !worker.waits(Job::Data)
                        && !worker.waits(Job::Validation);
                    loaded.adapter_score.set(Some(*score).filter(|_| is_there));
                    self.finish(Job::ScoreAdapter);
                }
                _ => {
                    training.outcome.file_score.set(Some(*score));
                    self.finish(Job::ScoreFile);
                }
            },
            Event::Done(summary) => {
                training.done(summary);
                self.finish(Job::Train);
                self.ask_forms();
                self.ask_runs();
                self.look_after_run();
                self.follow();
            }

            Event::Predicted { answers, strength, .. } => {
                let outcome = training.outcome;
                // What comes at another strength was asked before that was chosen.
                if (strength - outcome.strength.get_untracked()).abs() < 1e-6 {
                    outcome.answers.set(answers);
                } else if strength == 0.0 {
                    outcome.answers_without.set(answers);
                }
                self.finish(Job::Predict);
            }
            Event::Token { id, text } => training.each_answer(|answer| answer.append(id, &text)),
            Event::Generated {
                id,
                text,
                tokens,
                tokens_per_second,
            } => {
                training.each_answer(|answer| answer.complete(id, &text, tokens, tokens_per_second));
                self.finish(Job::Generate);
            }
            Event::Picture { id, step, picture } => {
                self.pictures.take(step, picture);
                if id.is_some() {
                    self.finish(Job::Picture);
                }
            }
            // The page has the table of knobs itself.
            Event::Knobs { .. } => {}
            // What was trained comes in pieces; these are rows.
            Event::File { name, .. } => {
                self.save_kept_rows(&name, bytes);
                self.finish(Job::KeptRows);
            }
        }
    }

    /// The engine listens: it gets a device, and whatever was chosen.
    fn open(self) {
        self.worker.engine.set(Engine::Ready);
        let device = self.device_choice.get_untracked();
        self.ask(Job::Open, Command::Open { device }, Vec::new());
        self.load_chosen();
        self.ask_runs();
        self.ask_of_sweeps(SweepCommand::List);
        self.ask_models();
    }

    /// Looks at model and data where a run that went on came before that.
    pub(super) fn look_after_run(self) {
        if self.loaded.preview.with_untracked(Vec::is_empty) {
            self.ask_preview();
            self.ask_advice();
        }
        // The forecast knows now what a run takes.
        self.ask_estimate();
    }

    /// What was loaded changes what a run takes and what it makes of the data.
    fn look_anew(self, job: Job) {
        self.finish(job);
        self.ask_estimate();
        self.ask_preview();
        self.ask_advice();
    }
}
