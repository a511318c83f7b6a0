//! A file of its own to score the run on, where the person has one.

use super::data_file::{names, rows};
use super::drop_zone::DropZone;
use super::notice::{Notice, place, sentence, worded};
use crate::conversation::Job;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::Error;
use web_sys::File;

/// The place for the file, or the file with the way to take it away again.
#[component]
pub fn Validation() -> impl IntoView {
    let state = expect_context::<PageState>();
    let locked = Signal::derive(move || state.is_training());
    let take = move |files: Vec<File>| state.choose_validation(files);
    let given = Memo::new(move |_| {
        state
            .loaded
            .validation_files
            .with(|files| (!files.is_empty()).then(|| names(files)))
    });
    let found = move || match state.loaded.validation.get() {
        Some(info) => rows(state, &info),
        None => state.words().data_loading.to_owned(),
    };
    let problem = Memo::new(move |_| state.loaded.validation_problem.get());
    view! {
        <section class="validation" data-testid="validation">
            <h3>{state.text(|w| w.validation_file)}</h3>
            <Notice jobs=&[Job::Validation]/>
            <Show when=move || given.with(Option::is_some) fallback=move || view! {
                <DropZone id="validation-input" label=Signal::derive(state.text(|w| w.validation_drop))
                    hint=Signal::derive(state.text(|w| w.validation_hint)) disabled=locked take/>
            }>
                <p class="validation-file">
                    <span data-testid="validation-given"><b>{move || given.get()}</b> {state.text(|w| w.colon)} {found}</span>
                    <button type="button" data-testid="remove-validation" prop:disabled=locked
                        on:click=move |_| state.choose_validation(Vec::new())>{state.text(|w| w.remove)}</button>
                </p>
                {move || match problem.get() {
                    Some(error) => view! { <Problem error/> }.into_any(),
                    None => view! { <p class="hint">{state.text(|w| w.validation_given)}</p> }.into_any(),
                }}
            </Show>
        </section>
    }
}

/// Why the file cannot be scored in the run as it is set.
#[component]
fn Problem(
    /// What is wrong.
    error: Error,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let place = place(state, &error);
    let Error { what, remedy, .. } = error;
    view! {
        <div class="notice" role="status" data-testid="validation-problem">
            <p class="notice-title">{state.text(|w| w.validation_problem)}</p>
            <p class="notice-what"><span class="place">{place}</span> {state.text(|w| w.colon)} {sentence(state, what)}</p>
            <p>{remedy.map(|remedy| worded(state, remedy))}</p>
        </div>
    }
}
