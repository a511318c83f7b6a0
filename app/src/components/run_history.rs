//! Stored runs side by side: the table of all of them, the curves of those that are chosen, and what differs between them.

mod curves;
mod differences;
mod table;

use super::focus::{focus, focus_soon};
use super::notice::Notice;
use super::stored_runs::{Missing, is_free};
use crate::conversation::Job;
use crate::history::MOST;
use crate::link;
use crate::state::PageState;
use curves::Curves;
use differences::Differences;
use leptos::prelude::*;
use lorakeet_core::protocol::StoredRun;
use table::RunTable;

/// The view's place on the page, and that of the button that opens it.
const VIEW: &str = "runs";
const OPENER: &str = "runs-opener";

/// The button in the page's head.
#[component]
pub fn RunsButton() -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_open = state.history.is_open;
    let press = move |_| {
        is_open.update(|is_open| *is_open = !*is_open);
        if is_open.get_untracked() {
            // It is there then.
            focus_soon(VIEW.to_owned());
        }
    };
    view! {
        <button type="button" class="quiet" id=OPENER data-testid="runs-opener" aria-controls=VIEW
            aria-expanded=move || is_open.get().to_string() on:click=press>{state.text(|w| w.history.title)}</button>
    }
}

/// The view, where it is open.
#[component]
pub fn RunHistory() -> impl IntoView {
    let state = expect_context::<PageState>();
    Effect::new(move |before: Option<()>| link::keep_view(state, before.is_some()));
    Effect::new(move || state.ask_curves());
    move || state.history.is_open.get().then(|| view! { <Opened/> }.into_any())
}

#[component]
fn Opened() -> impl IntoView {
    let state = expect_context::<PageState>();
    let history = state.history;
    let close = move |_| {
        history.is_open.set(false);
        focus(OPENER);
    };
    let has_runs = Memo::new(move |_| state.stored.runs.with(|runs| !runs.is_empty()));
    let are_chosen = Memo::new(move |_| !state.compared().is_empty());
    let empty = move || match state.stored.has_store.get() {
        true => state.words().history.empty,
        false => state.words().stored.none,
    };
    let used = move || {
        let taken = history.taken.get();
        taken.map(|name| (state.words().history.used)(&name))
    };
    let busy = move || (!is_free(state)).then(|| state.words().history.busy);
    view! {
        <section class="step runs" id=VIEW tabindex="-1" data-testid="runs-view" aria-labelledby="runs-title">
            <div class="runs-head">
                <h2 id="runs-title">{state.text(|w| w.history.title)}</h2>
                <button type="button" class="quiet" data-testid="runs-close" on:click=close>{state.text(|w| w.history.close)}</button>
            </div>
            <div class="step-body">
                <Notice jobs=&[Job::Label, Job::Curves]/>
                <Missing/>
                <p role="status" data-testid="settings-used">{used}</p>
                <Show when=move || has_runs.get() fallback=move || view! { <p class="waiting" data-testid="no-runs">{empty}</p> }>
                    <p class="hint">{state.text(|w| w.history.hint)} " " {busy}</p>
                    <RunTable/>
                    <Show when=move || are_chosen.get()
                        fallback=move || view! { <p class="waiting">{move || (state.words().history.choose)(MOST)}</p> }>
                        <Curves/>
                        <Differences/>
                    </Show>
                </Show>
            </div>
        </section>
    }
}

/// The letter of a run among those that are compared: its column, and the end of its curve.
fn letter(place: usize) -> char {
    char::from(b'A'.saturating_add(place as u8))
}

/// A compared run's letter and name.
fn lettered(place: usize, run: &StoredRun) -> String {
    format!("{} · {}", letter(place), crate::stored_runs::title(&run.record))
}
