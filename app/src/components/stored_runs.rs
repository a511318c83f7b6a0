//! Runs in the browser's storage: the one that was interrupted, with the button that goes on with it, and the one that goes wrong,
//! with the way out. The list of all is in `storage.rs`.

use super::focus::focus;
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use crate::storage::Stored;
use crate::stored_runs::title;
use js_sys::Date;
use leptos::prelude::*;
use lorakeet_core::protocol::{RunState, StoredRun};
use wasm_bindgen::JsValue;

/// A moment, milliseconds since 1970, as people of this language write it.
pub fn moment(state: PageState, since_1970_ms: f64) -> String {
    let date = Date::new(&JsValue::from_f64(since_1970_ms));
    let text = date.to_locale_string(state.language.get().tag(), &JsValue::UNDEFINED);
    text.into()
}

/// Where a run stands.
pub fn standing(state: PageState, run: &StoredRun) -> String {
    let words = state.words().runs;
    match run.record.state {
        _ if run.is_under_way => words.under_way.to_owned(),
        RunState::Finished => (words.finished)(run.step.unwrap_or_default()),
        RunState::Stopped => (words.stopped)(run.step.unwrap_or_default(), run.max_steps),
        RunState::Open => (words.open)(run.step, run.max_steps),
    }
}

/// Whether a run can go on.
pub fn can_go_on(run: &StoredRun) -> bool {
    run.record.state != RunState::Finished && !run.is_under_way
}

/// Whether a run can be started now.
pub fn is_free(state: PageState) -> bool {
    !state.training.phase.with(Phase::is_under_way)
}

/// The run that was interrupted, and the files that it needs.
#[component]
pub fn Interrupted() -> impl IntoView {
    let state = expect_context::<PageState>();
    let run = Memo::new(move |_| state.stored.interrupted(state.storage, state.sweep));
    let notice = move |run: StoredRun| {
        let (for_text, for_button, id) = (run.clone(), run.clone(), run.record.id.clone());
        let forget = move |_| {
            state.forget(Stored::Run(id.clone()));
            // The notice goes with its buttons.
            focus("train");
        };
        let text = move || {
            let when = moment(state, for_text.record.started_ms);
            let (step, steps) = (for_text.step.unwrap_or_default(), for_text.max_steps);
            (state.words().runs.interrupted)(&title(&for_text.record), &when, step, steps)
        };
        view! {
            <div class="notice" role="status" data-testid="interrupted-run">
                <p>{text}</p>
                <Missing/>
                <p class="buttons">
                    <button type="button" class="primary" data-testid="go-on" prop:disabled=move || !is_free(state)
                        on:click=move |_| state.go_on(for_button.clone())>{state.text(|w| w.runs.go_on)}</button>
                    <button type="button" data-testid="forget-interrupted"
                        on:click=forget>{state.text(|w| w.runs.delete)}</button>
                </p>
            </div>
        }
    };
    move || run.get().filter(|_| is_free(state)).map(notice)
}

/// The files that have to be chosen again.
#[component]
pub fn Missing() -> impl IntoView {
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
