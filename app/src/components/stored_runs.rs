//! Runs in the browser's storage: the one that was interrupted, with the button that goes on with it; and all of them.

use super::notice::Notice;
use crate::conversation::Job;
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use crate::stored_runs::name_of;
use js_sys::Date;
use leptos::prelude::*;
use lorakeet_core::protocol::{RunState, StoredRun};
use wasm_bindgen::JsValue;

/// When a run was started, as people of this language write it.
fn moment(state: PageState, started_ms: f64) -> String {
    let date = Date::new(&JsValue::from_f64(started_ms));
    let text = date.to_locale_string(state.language.get().tag(), &JsValue::UNDEFINED);
    text.into()
}

/// What a run trains, and on what.
pub fn what(run: &StoredRun) -> String {
    format!("{} · {}", name_of(&run.record.model), name_of(&run.record.data))
}

/// Whether a run can be started now.
pub fn is_free(state: PageState) -> bool {
    !state.training.phase.with(Phase::is_under_way)
}

/// The run that was interrupted, and the files that it needs.
#[component]
pub fn Interrupted() -> impl IntoView {
    let state = expect_context::<PageState>();
    let run = Memo::new(move |_| state.stored.interrupted());
    let notice = move |run: StoredRun| {
        let (for_text, for_button, id) = (run.clone(), run.clone(), run.record.id.clone());
        let text = move || {
            let when = moment(state, for_text.record.started_ms);
            let (step, steps) = (for_text.step.unwrap_or_default(), for_text.max_steps);
            (state.words().runs.interrupted)(&what(&for_text), &when, step, steps)
        };
        view! {
            <div class="notice" role="status" data-testid="interrupted-run">
                <p>{text}</p>
                <Missing/>
                <p class="buttons">
                    <button type="button" class="primary" data-testid="go-on" prop:disabled=move || !is_free(state)
                        on:click=move |_| state.go_on(for_button.clone())>{state.text(|w| w.runs.go_on)}</button>
                    <button type="button" data-testid="forget-interrupted"
                        on:click=move |_| state.forget_run(id.clone())>{state.text(|w| w.runs.delete)}</button>
                </p>
            </div>
        }
    };
    move || run.get().filter(|_| is_free(state)).map(notice)
}

/// The files that have to be chosen again.
#[component]
fn Missing() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        let missing = state.stored.missing.get();
        let names: Vec<String> = missing
            .iter()
            .map(|file| format!("{} ({})", file.name, format::bytes(file.bytes)))
            .collect();
        (!names.is_empty()).then(|| {
            view! { <p data-testid="missing-files">{(state.words().runs.choose_again)(&names.join(", "))}</p> }
        })
    }
}

/// All stored runs.
#[component]
pub fn StoredRuns() -> impl IntoView {
    let state = expect_context::<PageState>();
    let runs = state.stored.runs;
    let title = move || {
        let bytes = runs.with(|runs| runs.iter().map(|run| run.bytes).sum());
        (state.words().runs.title)(runs.with(Vec::len), &format::bytes(bytes))
    };
    view! {
        <Notice jobs=&[Job::Runs]/>
        <Show when=move || runs.with(|runs| !runs.is_empty())>
            <details class="stored-runs" data-testid="stored-runs">
                <summary>{title}</summary>
                <p class="hint">{state.text(|w| w.runs.hint)}</p>
                <ul class="run-list">
                    <For each=move || runs.get() key=|run| (run.record.id.clone(), run.step, run.record.state as u8, run.is_under_way) let:run>
                        <Row run/>
                    </For>
                </ul>
                <p class="buttons">
                    <button type="button" data-testid="forget-all" prop:disabled=move || !is_free(state)
                        on:click=move |_| state.forget_all_runs()>{state.text(|w| w.runs.delete_all)}</button>
                </p>
            </details>
        </Show>
    }
}

#[component]
fn Row(run: StoredRun) -> impl IntoView {
    let state = expect_context::<PageState>();
    let id = StoredValue::new(run.record.id.clone());
    let leaves = Memo::new(move |_| state.stored.leaving.with(|leaving| leaving.contains(&id.get_value())));
    let is_over = run.record.state == RunState::Finished;
    let (name, size, started_ms) = (what(&run), format::bytes(run.bytes), run.record.started_ms);
    let standing = {
        let run = run.clone();
        move || {
            let words = state.words().runs;
            match run.record.state {
                _ if run.is_under_way => words.under_way.to_owned(),
                RunState::Finished => (words.finished)(run.step.unwrap_or_default()),
                RunState::Stopped => (words.stopped)(run.step.unwrap_or_default(), run.max_steps),
                RunState::Open => (words.open)(run.step, run.max_steps),
            }
        }
    };
    let run = StoredValue::new(run);
    view! {
        <li data-testid="stored-run">
            <span class="run-name">{name}</span>
            <span class="hint">{move || moment(state, started_ms)} " · " {standing} " · " {size}</span>
            <span class="buttons">
                <Show when=move || leaves.get()>
                    <span role="status">{state.text(|w| w.runs.deleted)}</span>
                    <button type="button" data-testid="undo-forget" on:click=move |_| state.keep_run(&id.get_value())>
                        {state.text(|w| w.runs.undo)}
                    </button>
                </Show>
                <Show when=move || !leaves.get() && !is_over && !run.with_value(|run| run.is_under_way)>
                    <button type="button" prop:disabled=move || !is_free(state) on:click=move |_| state.go_on(run.get_value())>
                        {state.text(|w| w.runs.go_on)}
                    </button>
                </Show>
                <Show when=move || !leaves.get() && !run.with_value(|run| run.is_under_way)>
                    <button type="button" data-testid="forget" on:click=move |_| state.forget_run(id.get_value())>
                        {state.text(|w| w.runs.delete)}
                    </button>
                </Show>
            </span>
        </li>
    }
}

/// That the run goes wrong, and the way out by one press.
#[component]
pub fn Diverging() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        state.training.diverging.get().map(|found| {
            let (since, rate, saved) = (found.since, found.learning_rate.to_string(), found.checkpoint);
            let label = move || {
                let words = state.words().runs;
                match saved {
                    Some(step) => (words.go_back)(step, &rate),
                    None => (words.start_again_at)(&rate),
                }
            };
            view! {
                <div class="notice" role="status" data-testid="diverging">
                    <p>{move || (state.words().runs.diverging)(since)}</p>
                    <p class="buttons">
                        <button type="button" data-testid="start-again" on:click=move |_| state.take_way_out(&found)>{label}</button>
                    </p>
                </div>
            }
        })
    }
}
