//! Step 5, the heart of the page: the buttons, the numbers, the live picture and the text that changes with it.

use super::accumulation::Accumulation;
use super::advice::Doubts;
use super::baselines::Baselines;
use super::chart::LossChart;
use super::elsewhere::{Elsewhere, KeepAwake};
use super::look_inside::LookInside;
use super::metric_curves::MetricCurves;
use super::notice::Notice;
use super::notice::worded;
use super::report::RunReport;
use super::samples::Samples;
use super::small_charts::SmallCharts;
use super::step::{Number, StepStatus};
use super::storage::Storage;
use super::stored_runs::{Diverging, Interrupted};
use super::sweep::InterruptedSweep;
use crate::chart_view::ChartView;
use crate::conversation::{Engine, Job};
use crate::format;
use crate::report::writes;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Stage, StepInfo};
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
    let beaten =
        Memo::new(move |_| texts.get() && state.training.outcome.baselines.with(|baselines| !baselines.is_empty()));
    let chart = ChartView::new(state.training);
    let set_prompt = move |event| state.sample_prompt.set(event_target_value(&event));
    view! {
        <section class="step step-train" id="train" tabindex="-1">
            <div class="step-head">
                <Number number=5 standing/>
                <h2>{state.text(|w| w.train)}</h2>
            </div>
            <div class="step-body">
                <Notice jobs=&[Job::Open, Job::Probe, Job::Train]/>
                <Elsewhere/>
                <Interrupted/>
                <InterruptedSweep/>
                <Doubts/>
                <Diverging/>
                {move || state.training.shared.get().map(|device| view! {
                    <p class="notice" data-testid="shared-run">{move || (state.words().sharing.shown)(device)}</p>
                })}
                <div class="controls">
                    <Buttons/>
                    <Status/>
                </div>
                <Numbers/>
                <div class="hero">
                    <LossChart chart/>
                    <Show when=move || texts.get() fallback=|| view! { <Baselines/> }><Samples/></Show>
                </div>
                <Show when=move || beaten.get()><Baselines/></Show>
                <SmallCharts chart/>
                <MetricCurves/>
                <RunReport/>
                <Accumulation/>
                <LookInside/>
                <Show when=move || texts.get()>
                    <label class="field">
                        <span class="field-name">{state.text(|w| w.sample_prompt)}</span>
                        <input type="text" data-testid="sample-prompt" prop:value=state.sample_prompt on:input=set_prompt
                            prop:disabled=move || state.training.phase.with(Phase::is_under_way)/>
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

/// Train, or pause, resume and stop.
#[component]
fn Buttons() -> impl IntoView {
    let state = expect_context::<PageState>();
    let under_way = Memo::new(move |_| state.training.phase.with(Phase::is_under_way));
    let paused = Memo::new(move |_| state.training.phase.with(|phase| matches!(phase, Phase::Paused(_))));
    let running = Memo::new(move |_| state.training.phase.get() == Phase::Running);
    let label = move || {
        let words = state.words();
        if matches!(state.training.phase.get(), Phase::Done(_)) {
            words.train_again
        } else {
            words.train_now
        }
    };
    view! {
        <div class="buttons" role="group">
            <Show when=move || !under_way.get()>
                <button type="button" class="primary large" data-testid="train" prop:disabled=move || !state.can_train()
                    on:click=move |_| state.train()>{label}</button>
            </Show>
            <Show when=move || under_way.get() && !paused.get()>
                <button type="button" class="large" data-testid="pause" prop:disabled=move || !running.get()
                    on:click=move |_| state.pause()>{state.text(|w| w.pause)}</button>
            </Show>
            <Show when=move || paused.get()>
                <button type="button" class="primary large" data-testid="resume" on:click=move |_| state.resume()>
                    {state.text(|w| w.resume)}
                </button>
            </Show>
            <Show when=move || under_way.get()>
                <button type="button" class="large" data-testid="stop" on:click=move |_| state.stop()
                    prop:disabled=move || matches!(state.training.phase.get(), Phase::Stopping)>
                    {state.text(|w| w.stop)}
                </button>
            </Show>
        </div>
    }
}

/// Where things stand, in words; spoken by screen readers, and only when it changes.
#[component]
fn Status() -> impl IntoView {
    let state = expect_context::<PageState>();
    let evaluating = Memo::new(move |_| matches!(state.worker.progress.get(), Some((Stage::Evaluate, ..))));
    let kernels = Memo::new(move |_| match state.worker.progress.get() {
        Some((Stage::Compile, done, total)) => Some((done, total)),
        _ => None,
    });
    let compiling = Memo::new(move |_| kernels.get().is_some());
    let text = Memo::new(move |_| {
        let words = state.words();
        match state.training.phase.get() {
            Phase::Idle => match () {
                () if state.worker.engine.get() == Engine::Failed => words.engine_failed.to_owned(),
                () if state.worker.engine.get() != Engine::Ready => words.status_loading.to_owned(),
                () if state.worker.error.with(|e| matches!(e, Some((Job::Model, _)))) => {
                    words.status_need_model.to_owned()
                }
                () if state.worker.error.with(|e| matches!(e, Some((Job::Data, _)))) => {
                    words.status_need_data.to_owned()
                }
                () if !state.settings.is_valid() => words.status_bad_settings.to_owned(),
                () if state.loaded.problem.with(Option::is_some) => words.tasks.status_problem.to_owned(),
                () if state.worker.job.get() == Some(Job::Generate) => words.status_generating.to_owned(),
                () if state.worker.job.get() == Some(Job::Predict) => words.tasks.asking.to_owned(),
                () if state.can_train() => words.status_ready.to_owned(),
                () => words.status_loading.to_owned(),
            },
            Phase::Starting if evaluating.get() => words.status_evaluating.to_owned(),
            Phase::Starting => words.status_starting.to_owned(),
            Phase::Running if evaluating.get() => words.status_evaluating.to_owned(),
            Phase::Running if compiling.get() => words.status_compiling.to_owned(),
            Phase::Running => words.status_running.to_owned(),
            Phase::Pausing => words.status_pausing.to_owned(),
            Phase::Paused(step) => (words.status_paused)(step),
            Phase::Stopping => words.status_stopping.to_owned(),
            Phase::Done(summary) if summary.finished => {
                (words.status_done)(summary.steps, (words.duration)(summary.seconds))
            }
            Phase::Done(summary) => (words.status_stopped)(summary.steps),
            Phase::Failed => words.status_failed.to_owned(),
        }
    });
    let phase = move || match state.training.phase.get() {
        Phase::Idle if state.can_train() => "ready",
        other => other.name(),
    };
    let change = move || match state.training.phase.get() {
        Phase::Done(summary) => match (summary.eval_loss_before, summary.eval_loss_after) {
            (Some(before), Some(after)) => Some((state.words().change)(format::loss(before), format::loss(after))),
            _ => None,
        },
        _ => None,
    };
    let share = move || {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            let step = run.curves.steps.last().map_or(0, |step| step.step);
            step as f64 / run.curves.max_steps.max(1) as f64
        })
    };
    let extent = move || {
        state.training.frame.track();
        let words = state.words();
        state.training.run.with_value(|run| run.info.clone()).map(|info| {
            let weights = (words.trainable)(
                format::count(info.trainable_parameters),
                format::count(info.all_parameters),
            );
            format!("{weights} · {}", (words.split)(info.train_examples, info.eval_examples))
        })
    };
    view! {
        <div class="status">
            <p role="status" aria-live="polite" data-testid="status" data-phase=phase>{text}</p>
            // Not spoken: it changes ten times a second.
            {move || kernels.get().map(|(done, total)| view! {
                <p class="hint" data-testid="compiled">{(state.words().status_compiled)(done, total)}</p>
            })}
            {move || change().map(|change| view! { <p class="change" data-testid="change">{change}</p> })}
            <p class="hint">{extent}</p>
            <progress max="1" prop:value=share class:gone=move || !state.training.phase.with(Phase::is_under_way) aria-hidden="true"></progress>
        </div>
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
            Some(step) if step.eta_seconds.is_finite() && state.training.phase.with(Phase::is_under_way) => {
                (words.duration)(step.eta_seconds)
            }
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
