//! Runs in the browser's storage: those that were interrupted, with the buttons that go on with them, and the one that goes wrong,
//! with the way out. The list of all is in `storage.rs`.

use super::focus::{BAR, focus};
use crate::conversation::Engine;
use crate::format;
use crate::state::PageState;
use crate::storage::Stored;
use crate::stored_runs::title;
use js_sys::Date;
use leptos::prelude::*;
use lorakeet_core::protocol::{InputFile, RunState, StoredRun};
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

/// Whether a run can be opened again, because it has ended.
pub fn can_be_opened(run: &StoredRun) -> bool {
    run.record.summary.is_some() && !run.is_under_way
}

/// Whether a run can be started now.
pub fn is_free(state: PageState) -> bool {
    !state.is_training()
}

/// Whether a run can be opened now.
pub fn can_open_now(state: PageState) -> bool {
    is_free(state) && state.worker.engine.get() == Engine::Ready
}

/// The runs that were interrupted, and the files that they need.
#[component]
pub fn Interrupted() -> impl IntoView {
    let state = expect_context::<PageState>();
    let runs = Memo::new(move |_| state.stored.interrupted(state.storage, state.sweep));
    move || {
        let runs = runs.get();
        (!runs.is_empty() && is_free(state)).then(|| offer(state, runs))
    }
}

/// One offer for all of them: what each is, when it was started and how far it is, with its buttons.
fn offer(state: PageState, runs: Vec<StoredRun>) -> impl IntoView {
    let count = runs.len();
    let offered: Vec<_> = runs.into_iter().map(|run| offered(state, run, count > 1)).collect();
    let content = match count {
        1 => view! { <Missing/> {offered} }.into_any(),
        _ => view! {
            <p>{move || (state.words().runs.interrupted_several)(count)}</p>
            <Missing/>
            <ul class="run-list">{offered}</ul>
        }
        .into_any(),
    };
    view! { <div class="notice" role="status" data-testid="interrupted-run">{content}</div> }
}

/// A run that can be continued or removed; one of several in a line of its own.
fn offered(state: PageState, run: StoredRun, is_one_of_several: bool) -> AnyView {
    let (for_text, id) = (run.clone(), run.record.id.clone());
    let forget = move |_| {
        state.forget(Stored::Run(id.clone()));
        // The notice goes with its buttons.
        focus("train");
    };
    let text = move || {
        let words = state.words().runs;
        let when = moment(state, for_text.record.started_ms);
        let (step, steps) = (for_text.step.unwrap_or_default(), for_text.max_steps);
        let sentence = match is_one_of_several {
            true => words.interrupted_one,
            false => words.interrupted,
        };
        sentence(&title(&for_text.record), &when, step, steps)
    };
    let go_on = move |_| {
        state.go_on(run.clone());
        focus(BAR);
    };
    let buttons = view! {
        <button type="button" class="primary" data-testid="go-on" prop:disabled=move || !is_free(state)
            on:click=go_on>{state.text(|w| w.runs.go_on)}</button>
        <button type="button" data-testid="forget-interrupted"
            on:click=forget>{state.text(|w| w.runs.delete)}</button>
    };
    match is_one_of_several {
        true => view! { <li><span>{text}</span><span class="buttons">{buttons}</span></li> }.into_any(),
        false => view! { <p>{text}</p><p class="buttons">{buttons}</p> }.into_any(),
    }
}

/// The files that have to be chosen again.
#[component]
pub fn Missing() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        let files = named(&state.stored.missing.get());
        (!files.is_empty()).then(|| {
            view! { <p data-testid="missing-files">{(state.words().runs.choose_again)(&files)}</p> }
        })
    }
}

/// The files without which a run was opened.
#[component]
pub fn OpenedWithout() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        let files = named(&state.stored.opened_without.get());
        (!files.is_empty()).then(|| {
            view! { <p class="notice" role="status" data-testid="opened-without">{(state.words().runs.opened_without)(&files)}</p> }
        })
    }
}

/// Files by name and size, with commas between.
pub fn named(files: &[InputFile]) -> String {
    let name = |file: &InputFile| match file.bytes {
        0 => file.name.clone(),
        bytes => format!("{} ({})", file.name, format::bytes(bytes)),
    };
    files.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// That the run goes wrong, and the way out by one press.
#[component]
pub fn Diverging() -> impl IntoView {
    let state = expect_context::<PageState>();
    move || {
        state.training.diverging.get().map(|found| {
            let (since, rate, saved) = (found.since, found.learning_rate.to_string(), found.checkpoint);
            let take_way_out = move |_| {
                state.take_way_out(&found);
                focus(BAR);
            };
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
                        <button type="button" data-testid="start-again" on:click=take_way_out>{label}</button>
                    </p>
                </div>
            }
        })
    }
}
