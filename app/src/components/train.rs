//! Step 6, the heart of the page: the numbers, the live picture and the text that changes with it. The buttons are in the bar above,
//! which stays in sight.

use super::accumulation::Accumulation;
use super::advice::Doubts;
use super::chart::LossChart;
use super::elsewhere::{Elsewhere, KeepAwake};
use super::look_inside::LookInside;
use super::metric_curves::MetricCurves;
use super::moment::{Moment, Outcome};
use super::notice::Notice;
use super::notice::worded;
use super::samples::Samples;
use super::small_charts::SmallCharts;
use super::step::{Number, StepStatus};
use super::storage::Storage;
use super::stored_runs::{Diverging, Interrupted, OpenedWithout};
use super::sweep::InterruptedSweep;
use crate::chart_view::ChartView;
use crate::conversation::{Engine, Job};
use crate::format;
use crate::report::writes;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::StepInfo;
use lorakeet_core::task::Task;

/// The step of training.
#[component]
pub fn Train() -> impl IntoView {
    let state = expect_context::<PageState>();
    let standing = Signal::derive(move || match state.training.phase.get() {
        _ if state.worker.engine.get() == Engine::Failed => StepStatus::Failed,
        Phase::Idle => StepStatus::Waiting,
        Phase::Done(_) => StepStatus::Ready,
        Phase::Failed => StepStatus::Failed,
        _ => StepStatus::Busy,
    });
    let texts = Memo::new(move |_| writes(state.task()));
    let chart = ChartView::new(state.training);
    let set_prompt = move |event| state.sample_prompt.set(event_target_value(&event));
    view! {
        <section class="step step-train" id="train" tabindex="-1">
            <div class="step-head">
                <Number number=6 standing/>
                <h2>{state.text(|w| w.train)}</h2>
            </div>
            <div class="step-body">
                <Notice jobs=&[Job::Open, Job::Probe, Job::Train, Job::Reopen]/>
                <Elsewhere/>
                <Interrupted/>
                <OpenedWithout/>
                <InterruptedSweep/>
                <Doubts/>
                <Diverging/>
                {move || state.training.shared.get().map(|device| view! {
                    <p class="notice" data-testid="shared-run">{move || (state.words().sharing.shown)(device)}</p>
                })}
                <Moment/>
                <Numbers/>
                <div class="hero" class:alone=move || !texts.get()>
                    <LossChart chart/>
                    <Show when=move || texts.get()><Samples/></Show>
                </div>
                <Outcome/>
                <SmallCharts chart/>
                <MetricCurves/>
                <Accumulation/>
                <LookInside/>
                <Show when=move || texts.get()>
                    <label class="field">
                        <span class="field-name">{state.text(|w| w.sample_prompt)}</span>
                        <input type="text" data-testid="sample-prompt" prop:value=state.sample_prompt on:input=set_prompt
                            prop:disabled=move || state.is_training()/>
                        <span class="hint">{state.text(|w| w.sample_prompt_hint)}</span>
                    </label>
                </Show>
                <Notes/>
                <KeepAwake/>
                <Storage/>
            </div>
        </section>
    }
}

/// The numbers of the newest step, each in a place of its own.
#[component]
fn Numbers() -> impl IntoView {
    let state = expect_context::<PageState>();
    let last = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| run.curves.steps.last().cloned())
    });
    let number = move |show: fn(&StepInfo) -> String| move || last.with(|last| last.as_ref().map_or("–".into(), show));
    let step = move || {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            let done = run.curves.steps.last().map_or(0, |step| step.step);
            (done, run.curves.max_steps)
        })
    };
    let step = move || match step() {
        (_, 0) => "–".to_owned(),
        (done, all) => format!("{} / {}", format::whole(done as f64), format::whole(all as f64)),
    };
    let eval = move || {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            run.curves
                .evals
                .last()
                .map_or("–".into(), |eval| format::loss(eval.loss))
        })
    };
    let left = move || {
        let words = state.words();
        last.with(|last| match last {
            Some(step) if step.eta_seconds.is_finite() && state.is_training() => (words.duration)(step.eta_seconds),
            _ => "–".into(),
        })
    };
    // The likelihood of next tokens and of classes is in nats; squares of prices and sums of losses have no such unit.
    let unit = move || match state.settings.with(|config| config.loss.is_some()) || state.task() == Task::Regression {
        true => "",
        false => state.words().nats,
    };
    view! {
        <dl class="numbers">
            <div class="number wide"><dt>{state.text(|w| w.step)}</dt><dd data-testid="step">{step}</dd></div>
            <div class="number">
                <dt>{state.text(|w| w.loss)}</dt>
                <dd><span data-testid="train-loss">{number(|step| format::loss(step.loss))}</span><i>{unit}</i></dd>
            </div>
            <div class="number">
                <dt>{state.text(|w| w.validation_loss)}</dt>
                <dd><span data-testid="eval-loss">{eval}</span><i>{unit}</i></dd>
            </div>
            <div class="number">
                <dt>{state.text(|w| w.learning_rate)}</dt>
                <dd data-testid="learning-rate">{number(|step| format::rate(step.learning_rate))}</dd>
            </div>
            <div class="number">
                <dt>{state.text(|w| w.grad_norm)}</dt>
                <dd data-testid="grad-norm">{number(|step| format::loss(step.grad_norm))}</dd>
            </div>
            <div class="number">
                <dt>{state.text(|w| w.speed)}</dt>
                <dd>
                    <span data-testid="speed">{number(|step| format::speed(step.tokens_per_second))}</span>
                    <i>{state.text(|w| w.tokens_per_second)}</i>
                </dd>
            </div>
            <div class="number"><dt>{state.text(|w| w.time_left)}</dt><dd data-testid="eta">{left}</dd></div>
        </dl>
    }
}

/// Remarks of the engine.
#[component]
fn Notes() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        let notes = state.worker.notes.get();
        (!notes.is_empty()).then(|| {
            let notes = notes.into_iter().map(|note| view! { <li>{worded(state, note)}</li> }).collect_view();
            view! {
                <div class="notice" data-testid="notes"><p class="notice-title">{state.text(|w| w.note)}</p><ul>{notes}</ul></div>
            }
        })
    }
}
