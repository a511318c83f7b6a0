//! A file of its own to score the run on, where the person has one.

use super::data_file::{names, rows};
use super::drop_zone::DropZone;
use super::notice::{Notice, place, sentence, worded};
use crate::conversation::Job;
use crate::run::Phase;
use crate::state::Lab;
use leptos::prelude::*;
use lorakeet_core::Error;
use web_sys::File;

/// The place for the file, or the file with the way to take it away again.
#[component]
pub fn Validation() -> impl IntoView {
    let lab = expect_context::<Lab>();
    let locked = Signal::derive(move || lab.training.phase.with(Phase::is_under_way));
    let take = move |files: Vec<File>| lab.choose_validation(files);
    let given = Memo::new(move |_| {
        lab.loaded
            .validation_files
            .with(|files| (!files.is_empty()).then(|| names(files)))
    });
    let found = move || match lab.loaded.validation.get() {
        Some(info) => rows(lab, &info),
        None => lab.words().data_loading.to_owned(),
    };
    let problem = Memo::new(move |_| lab.loaded.validation_problem.get());
    view! {
        <section class="validation" data-testid="validation">
            <h3>{lab.text(|w| w.validation_file)}</h3>
            <Notice jobs=&[Job::Validation]/>
            <Show when=move || given.with(Option::is_some) fallback=move || view! {
                <DropZone id="validation-input" label=Signal::derive(lab.text(|w| w.validation_drop))
                    hint=Signal::derive(lab.text(|w| w.validation_hint)) disabled=locked take/>
            }>
                <p class="validation-file">
                    <span data-testid="validation-given"><b>{move || given.get()}</b> {lab.text(|w| w.colon)} {found}</span>
                    <button type="button" data-testid="remove-validation" prop:disabled=locked
                        on:click=move |_| lab.choose_validation(Vec::new())>{lab.text(|w| w.remove)}</button>
                </p>
                {move || match problem.get() {
                    Some(error) => view! { <Problem error/> }.into_any(),
                    None => view! { <p class="hint">{lab.text(|w| w.validation_given)}</p> }.into_any(),
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
    let lab = expect_context::<Lab>();
    let (what, remedy) = (error.what.clone(), error.remedy.clone());
    let place = move || place(lab, &error);
    view! {
        <div class="notice" role="status" data-testid="validation-problem">
            <p class="notice-title">{lab.text(|w| w.validation_problem)}</p>
            <p class="notice-what"><span class="place">{place}</span> {lab.text(|w| w.colon)} {sentence(lab, what)}</p>
            <p>{remedy.map(|remedy| worded(lab, remedy))}</p>
        </div>
    }
}
