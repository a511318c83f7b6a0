//! One knob: its name, its field, one line on how to choose it, and why, for those who ask.

use super::notice::{coded, sentence, worded};
use super::rate_finder::{self, RateFinder};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::config::{Kind, Knob};
use wasm_bindgen::JsCast;
use web_sys::{HtmlDetailsElement, HtmlElement};

/// One knob of the table.
#[component]
pub fn KnobField(
    /// Which.
    knob: &'static Knob,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let settings = state.settings;
    let text = Memo::new(move |_| settings.text(knob));
    let error = Memo::new(move |_| settings.error(knob));
    let locked = move || state.is_training();
    let guidance = move || coded(knob.guidance(state.language.get()));
    let start = move || {
        let start = settings.start_text(knob);
        (text.get() != start).then(|| {
            let words = state.words();
            (words.default_value)(if start.is_empty() { words.not_set } else { &start })
        })
    };
    // A validation file takes the place of what is held out.
    let idle = Memo::new(move |_| {
        knob.kind == Kind::ShareOrCount && state.loaded.validation_files.with(|files| !files.is_empty())
    });
    let hint = format!("{}-hint", knob.name);
    let more = format!("{}-more", knob.name);
    let is_told = RwSignal::new(false);
    let tell_more = knob.reasons(state.language.get_untracked()).map(|_| {
        view! {
            <button type="button" class="tell-more" data-testid=format!("more-{}", knob.name) aria-controls=more.clone()
                aria-expanded=move || is_told.get().to_string() aria-label=move || (state.words().moments.tell_more)(knob.name)
                title=move || (state.words().moments.tell_more)(knob.name)
                on:click=move |_| is_told.update(|is_told| *is_told = !*is_told)>"?"</button>
        }
    });
    // What stands above and beside it stays where it is.
    let reasons = move || {
        let reasons = knob.reasons(state.language.get()).filter(|_| is_told.get());
        reasons.map(coded)
    };
    let changed = move |event| settings.set(knob, &event_target_value(&event));
    let field = match options(knob) {
        Some(choices) => {
            let choices = choices.into_iter().map(|choice| {
                let label = move || {
                    if choice.is_empty() {
                        state.words().not_set
                    } else {
                        choice
                    }
                };
                view! { <option value=choice prop:selected=move || text.get() == choice>{label}</option> }
            });
            view! {
                <select id=knob.name data-testid=knob.name aria-describedby=hint.clone() prop:disabled=locked on:change=changed>
                    {choices.collect_view()}
                </select>
            }
            .into_any()
        }
        None => {
            let mode = if knob.kind.is_number() { "decimal" } else { "text" };
            view! {
                <input type="text" id=knob.name data-testid=knob.name inputmode=mode aria-describedby=hint.clone()
                    autocomplete="off" spellcheck="false" prop:value=text prop:disabled=locked on:change=changed
                    aria-invalid=move || error.with(Option::is_some).then_some("true")
                    placeholder=move || if knob.optional() { state.words().not_set } else { "" }/>
            }
            .into_any()
        }
    };
    view! {
        <div class="knob">
            <label for=knob.name title=move || knob.what(state.language.get())>
                <code>{knob.name}</code>
                {move || {
                    let unit = knob.unit(state.language.get());
                    (!unit.is_empty()).then(|| view! { <span class="unit">{unit}</span> })
                }}
            </label>
            {field}
            <p class="hint" id=hint>{guidance}</p>
            {tell_more}
            <p class="knob-more" id=more hidden=move || !is_told.get()>{reasons}</p>
            <Show when=move || idle.get()><p class="hint changed" data-testid="val-size-idle">{state.text(|w| w.val_size_idle)}</p></Show>
            {move || start().map(|start| view! { <p class="hint changed">{start}</p> })}
            {move || error.get().map(|error| {
                let remedy = error.remedy.map(|remedy| worded(state, remedy));
                view! { <p class="field-error" role="alert">{sentence(state, error.what)} " " {remedy}</p> }
            })}
            {(knob.name == rate_finder::KNOB).then(|| view! { <RateFinder/> })}
        </div>
    }
}

/// Unfolds what a knob's field lies in, and puts the keyboard there.
pub fn go_to(knob: &str) {
    let Some(field) = document().get_element_by_id(knob) else {
        return;
    };
    while let Ok(Some(fold)) = field.closest("details:not([open])") {
        let Ok(fold) = fold.dyn_into::<HtmlDetailsElement>() else {
            return;
        };
        fold.set_open(true);
    }
    if let Some(field) = field.dyn_ref::<HtmlElement>() {
        let _ = field.focus();
    }
}

/// The values of a knob that has few; an empty one stands for 'not set'.
fn options(knob: &'static Knob) -> Option<Vec<&'static str>> {
    let words: &[&'static str] = match knob.kind {
        Kind::Choice { words, .. } => words,
        Kind::Flag => &["true", "false"],
        _ => return None,
    };
    let none = knob.optional().then_some("");
    Some(none.into_iter().chain(words.iter().copied()).collect())
}
