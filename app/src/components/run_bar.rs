//! The controls of a run in a narrow bar that stays in sight: at the foot of the window above the step of training, at its head
//! below.

use super::focus::BAR;
use crate::conversation::{Engine, Job};
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use leptos::html::Section;
use leptos::prelude::*;
use lorakeet_core::protocol::Stage;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The bar.
#[component]
pub fn RunBar() -> impl IntoView {
    let state = expect_context::<PageState>();
    let bar = NodeRef::<Section>::new();
    let share = move || {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            let step = run.curves.steps.last().map_or(0, |step| step.step);
            step as f64 / run.curves.max_steps.max(1) as f64
        })
    };
    view! {
        <section class="run-bar" id=BAR tabindex="-1" data-testid="run-bar" node_ref=bar
            aria-label=state.text(|w| w.moments.controls)>
            <Buttons bar/>
            <Status/>
            <progress max="1" prop:value=share class:gone=move || !state.is_training() aria-hidden="true"></progress>
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

/// The first of the buttons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Main {
    Train,
    Pause,
    Resume,
}

/// Which buttons there are, and whether they can be pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    main: Main,
    /// It can be pressed.
    open: bool,
    stopping: bool,
}

/// What the buttons are now.
fn wanted(state: PageState) -> Shown {
    let phase = state.training.phase.get();
    let main = match phase {
        Phase::Paused(_) => Main::Resume,
        ref phase if phase.is_under_way() => Main::Pause,
        _ => Main::Train,
    };
    let open = match main {
        Main::Train => state.can_train(),
        Main::Pause => phase == Phase::Running,
        Main::Resume => true,
    };
    let stopping = phase == Phase::Stopping;
    Shown { main, open, stopping }
}

/// Puts the keyboard on the button that has taken the place of the one that it was on; on the bar as long as that cannot be pressed,
/// which is what it `waits` for.
fn keep_focus(bar: NodeRef<Section>, waits: StoredValue<bool>) {
    let Some(bar) = bar.get_untracked() else { return };
    let is_astray = match document().active_element() {
        None => true,
        Some(active) if active.is_same_node(Some(&bar)) => waits.get_value(),
        Some(active) if bar.contains(Some(&active)) => active.matches(":disabled").unwrap_or(false),
        Some(active) => active.tag_name() == "BODY",
    };
    if is_astray {
        let button = bar.query_selector("[data-main]:not(:disabled)").ok().flatten();
        let button = button.and_then(|button| button.dyn_into::<HtmlElement>().ok());
        waits.set_value(button.is_none());
        let _ = button.unwrap_or(bar).focus();
    }
}

/// Train, or pause, resume and stop.
#[component]
fn Buttons(
    /// Where they stand.
    bar: NodeRef<Section>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let wanted = Memo::new(move |_| wanted(state));
    let shown = RwSignal::new(wanted.get_untracked());
    let waits = StoredValue::new(false);
    // Where the keyboard is has to be known before the button that it is on goes.
    Effect::new(move || {
        let next = wanted.get();
        if shown.get_untracked() == next {
            return;
        }
        let active = document().active_element();
        let is_inside = |bar: HtmlElement| active.is_some_and(|active| bar.contains(Some(&active)));
        let was_inside = bar.get_untracked().is_some_and(is_inside);
        shown.set(next);
        if was_inside {
            request_animation_frame(move || keep_focus(bar, waits));
        }
    });
    let main = Memo::new(move |_| shown.get().main);
    let closed = move || !shown.get().open;
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
            <Show when=move || main.get() == Main::Train>
                <button type="button" class="primary large" data-testid="train" data-main="" prop:disabled=closed
                    on:click=train>{label}</button>
            </Show>
            <Show when=move || main.get() == Main::Pause>
                <button type="button" class="large" data-testid="pause" data-main="" prop:disabled=closed
                    on:click=move |_| state.pause()>{state.text(|w| w.pause)}</button>
            </Show>
            <Show when=move || main.get() == Main::Resume>
                <button type="button" class="primary large" data-testid="resume" data-main=""
                    on:click=move |_| state.resume()>
                    {state.text(|w| w.resume)}
                </button>
            </Show>
            <Show when=move || main.get() != Main::Train>
                <button type="button" class="large" data-testid="stop" on:click=move |_| state.stop()
                    prop:disabled=move || shown.get().stopping>
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
        let is_under_way = state.is_training();
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
