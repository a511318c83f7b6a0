//! The controls of a run in a narrow bar that stays in sight: at the foot of the window above the step of training, at its head
//! below.

use crate::conversation::{Engine, Job};
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Stage;

/// The bar.
#[component]
pub fn RunBar() -> impl IntoView {
    let state = expect_context::<PageState>();
    let share = move || {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            let step = run.curves.steps.last().map_or(0, |step| step.step);
            step as f64 / run.curves.max_steps.max(1) as f64
        })
    };
    view! {
        <section class="run-bar" id="run-bar" tabindex="-1" data-testid="run-bar" aria-label=state.text(|w| w.moments.controls)>
            <Buttons/>
            <Status/>
            <progress max="1" prop:value=share class:gone=move || !state.training.phase.with(Phase::is_under_way) aria-hidden="true"></progress>
        </section>
    }
}

/// Brings the step of training into view where nothing of it is: what happens now is told there.
fn show_training() {
    let Some(step) = document().get_element_by_id("train") else {
        return;
    };
    let place = step.get_bounding_client_rect();
    let height = window().inner_height().ok().and_then(|height| height.as_f64());
    if place.bottom() < 0.0 || height.is_some_and(|height| place.top() > height / 2.0) {
        step.scroll_into_view();
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
    let train = move |_| {
        state.train();
        show_training();
    };
    view! {
        <div class="buttons" role="group">
            <Show when=move || !under_way.get()>
                <button type="button" class="primary large" data-testid="train" prop:disabled=move || !state.can_train()
                    on:click=train>{label}</button>
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
                () if state.baselines.is_under_way() => words.moments.measuring.to_owned(),
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
    // Not spoken: they change ten times a second, and stand in the step of training as well.
    let figures = move || {
        state.training.frame.track();
        let words = state.words();
        if let Some((done, total)) = kernels.get() {
            return view! { <span data-testid="compiled">{(words.status_compiled)(done, total)}</span> }.into_any();
        }
        let is_under_way = state.training.phase.with(Phase::is_under_way);
        let shown = state.training.run.with_value(|run| {
            let last = run.curves.steps.last()?;
            let step = (words.moments.step_of)(
                &format::whole(last.step as f64),
                &format::whole(run.curves.max_steps as f64),
            );
            let loss = (words.moments.loss_is)(&format::loss(last.loss));
            let left = Some(last.eta_seconds).filter(|seconds| is_under_way && seconds.is_finite());
            let left = left.map(|seconds| (words.moments.left)(&(words.duration)(seconds)));
            Some(
                [Some(step), Some(loss), left]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" · "),
            )
        });
        shown.into_any()
    };
    view! {
        <div class="status">
            <p role="status" aria-live="polite" data-testid="status" data-phase=phase>{text}</p>
            <p class="run-figures hint" data-testid="run-figures">{figures}</p>
        </div>
    }
}
