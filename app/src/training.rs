//! What runs, and what it leaves: where the run stands, its numbers, its adapter, what was written with it.
//!
//! Step numbers arrive faster than frames: they are kept aside and shown once an animation frame.

use crate::curves::Curves;
use crate::export::Export;
use crate::playground::Answer;
use crate::report::RunResults;
use crate::results::RunResult;
use crate::run::{Phase, Run, Sample};
use crate::turn::Wanted;
use leptos::prelude::*;
use lorakeet_core::protocol::{DeviceKind, Divergence, EvalInfo, OpenedRun, RunInfo, RunSummary, StepInfo};

/// The run under way or over.
#[derive(Clone, Copy)]
pub struct Training {
    /// Where the run stands.
    pub phase: RwSignal<Phase>,
    /// The run's numbers; read them after `frame`.
    pub run: StoredValue<Run>,
    /// Counts drawn frames.
    pub frame: RwSignal<u32>,
    /// Of results that came with a link: what they ran on.
    pub shared: RwSignal<Option<DeviceKind>>,
    /// That the run goes wrong, and what to try.
    pub diverging: RwSignal<Option<Divergence>>,
    /// What is begun once it has ended.
    pub follows: StoredValue<Option<Wanted>>,
    /// Whether the engine holds a trained adapter.
    pub has_adapter: RwSignal<bool>,
    /// Its exports.
    pub export: Export,
    /// The playground's answers: base, tuned.
    pub answers: [RwSignal<Answer>; 2],
    /// What belongs to the run's task.
    pub outcome: RunResults,
    frame_asked: StoredValue<bool>,
}

impl Training {
    /// No run yet.
    pub fn new() -> Self {
        Self {
            phase: RwSignal::new(Phase::Idle),
            run: StoredValue::new(Run::default()),
            frame: RwSignal::new(0),
            shared: RwSignal::new(None),
            diverging: RwSignal::new(None),
            follows: StoredValue::new(None),
            has_adapter: RwSignal::new(false),
            export: Export::new(),
            answers: [RwSignal::new(Answer::default()), RwSignal::new(Answer::default())],
            outcome: RunResults::new(),
            frame_asked: StoredValue::new(false),
        }
    }

    /// Forgets the run and its adapter.
    pub fn forget(self) {
        self.phase.set(Phase::Idle);
        self.outcome.forget();
        self.run.set_value(Run::default());
        self.shared.set(None);
        self.diverging.set(None);
        self.follows.set_value(None);
        self.has_adapter.set(false);
        self.export.forget();
        self.each_answer(|answer| *answer = Answer::default());
        self.ask_frame();
    }

    /// Shows a run that came with a link.
    pub fn show(self, result: RunResult) {
        self.forget();
        self.outcome.task.set(Some(result.info.task));
        self.outcome.is_of_other_data.set(true);
        let (steps, evals) = (result.steps(), result.scored());
        let RunResult {
            device,
            info,
            summary,
            samples,
            report,
            ..
        } = result;
        if let Some(report) = &report {
            self.outcome.baselines.set(report.baselines.clone());
        }
        self.outcome.report.set(report);
        self.run.update_value(|run| {
            run.curves = Curves {
                steps,
                evals,
                max_steps: info.max_steps,
            };
            (run.samples, run.info) = (samples, Some(info));
        });
        self.shared.set(Some(device));
        self.phase.set(Phase::Done(summary));
        self.ask_frame();
    }

    /// Shows a run of the browser's storage that has ended.
    pub fn open(self, opened: OpenedRun) {
        self.forget();
        let OpenedRun {
            record,
            outcome,
            curve,
            has_weights,
            has_data,
            ..
        } = opened;
        let results = self.outcome;
        results.task.set(Some(record.task));
        results.is_of_other_data.set(!has_data);
        results.baselines.set(outcome.baselines);
        results.report.set(outcome.report);
        results.judgement.set(outcome.judgement);
        results.predictions.set(outcome.predictions);
        let (steps, evals) = curve.reports();
        self.run.update_value(|run| {
            run.curves = Curves {
                steps,
                evals,
                max_steps: record.max_steps.unwrap_or_default(),
            };
            (run.samples, run.info) = (record.samples, outcome.info);
        });
        if let Some(summary) = record.summary {
            self.has_adapter.set(has_weights && has_result(&summary));
            self.phase.set(Phase::Done(summary));
        }
        self.ask_frame();
    }

    /// What the run came to, as a link takes it; none where it is not over. `device` is what the page runs on.
    pub fn result(self, device: Option<DeviceKind>) -> Option<RunResult> {
        let Phase::Done(summary) = self.phase.get() else {
            return None;
        };
        let report = self.outcome.report.get();
        let device = self.shared.get().or(device)?;
        self.frame.track();
        self.run.with_value(|run| {
            let last = run.samples.len().saturating_sub(1);
            let ends = run
                .samples
                .iter()
                .enumerate()
                .filter(|(place, _)| [0, last].contains(place));
            let samples = ends.map(|(_, sample)| sample.clone()).collect();
            Some(RunResult {
                device,
                info: run.info.clone()?,
                summary,
                losses: run.curves.loss(),
                evals: run.curves.eval_loss(),
                samples,
                report,
            })
        })
    }

    /// The run starts.
    pub fn started(self, info: RunInfo) {
        self.outcome.task.set(Some(info.task));
        self.run.update_value(|run| {
            run.curves.max_steps = info.max_steps;
            run.info = Some(info);
        });
        if self.phase.get_untracked() == Phase::Starting {
            self.phase.set(Phase::Running);
        }
        self.ask_frame();
    }

    /// The run goes on: what it had said before.
    pub fn continued(self, steps: Vec<StepInfo>, evals: Vec<EvalInfo>, samples: Vec<Sample>) {
        self.run.update_value(|run| {
            (run.curves.steps, run.curves.evals) = (steps, evals);
            run.samples = samples;
        });
        self.ask_frame();
    }

    /// It goes wrong. The last good checkpoint is that from before the first sign.
    pub fn goes_wrong(self, found: Divergence) {
        self.diverging.update(|known| {
            let checkpoint = known.as_ref().map_or(found.checkpoint, |known| known.checkpoint);
            *known = Some(Divergence { checkpoint, ..found });
        });
    }

    /// A step is done.
    pub fn stepped(self, step: StepInfo) {
        self.run.update_value(|run| run.curves.steps.push(step));
        self.ask_frame();
    }

    /// The validation rows were scored.
    pub fn scored(self, eval: EvalInfo) {
        self.run.update_value(|run| run.curves.evals.push(eval));
        self.ask_frame();
    }

    /// The sample prompt was continued.
    pub fn sampled(self, sample: Sample) {
        self.run.update_value(|run| run.samples.push(sample));
        self.ask_frame();
    }

    /// A checkpoint of this step is there.
    pub fn saved(self, step: usize) {
        self.run.update_value(|run| {
            if !run.saved.contains(&step) {
                run.saved.push(step);
            }
        });
        self.ask_frame();
    }

    /// The run is over.
    pub fn done(self, summary: RunSummary) {
        self.has_adapter.set(has_result(&summary));
        self.phase.set(Phase::Done(summary));
        self.ask_frame();
    }

    /// The run broke off; what was learnt before is kept.
    pub fn broke_off(self) {
        self.has_adapter
            .set(self.run.with_value(|run| !run.curves.steps.is_empty()));
        self.phase.set(Phase::Failed);
    }

    /// The engine is gone, and with it the run and its adapter.
    pub fn lose_engine(self) {
        if self.phase.with_untracked(Phase::is_under_way) {
            self.phase.set(Phase::Failed);
        }
        self.has_adapter.set(false);
        self.export.give_up();
        self.each_answer(Answer::end);
    }

    /// Changes the playground's answers.
    pub fn each_answer(self, change: impl Fn(&mut Answer)) {
        self.answers.iter().for_each(|answer| answer.update(&change));
    }

    fn ask_frame(self) {
        if self.frame_asked.get_value() {
            return;
        }
        self.frame_asked.set_value(true);
        request_animation_frame(move || {
            self.frame_asked.set_value(false);
            self.frame.update(|frame| *frame = frame.wrapping_add(1));
        });
    }
}

/// Whether a run left something that can be asked and exported: also one of no steps, whose head is the linear probe.
fn has_result(summary: &RunSummary) -> bool {
    summary.steps > 0 || summary.finished
}
