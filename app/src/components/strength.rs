//! How much the adapter counts in what the fine-tuned model writes and predicts here.

use crate::state::PageState;
use leptos::prelude::*;
use web_sys::Event;

/// The slider, or why there is none.
#[component]
pub fn Strength() -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_there = Memo::new(move |_| state.training.has_adapter.get());
    let whole = Memo::new(move |_| state.is_trained_whole());
    move || {
        is_there.get().then(|| match whole.get() {
            true => {
                view! { <p class="hint" data-testid="no-strength">{state.text(|w| w.judge.no_strength)}</p> }.into_any()
            }
            false => view! { <Slider/> }.into_any(),
        })
    }
}

#[component]
fn Slider() -> impl IntoView {
    let state = expect_context::<PageState>();
    let strength = state.training.outcome.strength;
    let shown = RwSignal::new(strength.get_untracked());
    Effect::new(move || shown.set(strength.get()));
    let value = |event: &Event| event_target_value(event).parse::<f64>().ok();
    // What is written again waits until the slider is let go.
    let slide = move |event: Event| value(&event).into_iter().for_each(|value| shown.set(value));
    let choose = move |event: Event| value(&event).into_iter().for_each(|value| strength.set(value));
    view! {
        <label class="field slider">
            <span class="field-name">{state.text(|w| w.judge.strength)} " " <span>{move || format!("{:.2}", shown.get())}</span></span>
            <input type="range" min="0" max="2" step="0.05" data-testid="strength"
                prop:value=move || strength.get().to_string() on:input=slide on:change=choose/>
            <span class="hint">{state.text(|w| w.judge.strength_hint)}</span>
        </label>
    }
}
