//! The scores to beat, there before the first step.

use super::scores::{Scores, Way};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Baseline;

/// What can be had without training.
#[component]
pub fn Baselines() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let empty = Memo::new(move |_| outcome.baselines.with(Vec::is_empty));
    let ways = Signal::derive(move || ways(state, outcome.baselines.get()));
    let judged = Signal::derive(move || {
        state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()))
    });
    view! {
        <section class="result" data-testid="baselines">
            <h3>{state.text(|w| w.tasks.baselines)}</h3>
            <p class="hint">{state.text(|w| w.tasks.baselines_hint)}</p>
            <Show when=move || !empty.get()
                fallback=move || view! { <p class="waiting">{state.text(|w| w.tasks.baselines_waiting)}</p> }>
                <Scores caption=Signal::derive(state.text(|w| w.tasks.metrics)) ways judged/>
            </Show>
        </section>
    }
}

/// The ways to answer without training, in words.
pub fn ways(state: PageState, baselines: Vec<Baseline>) -> Vec<Way> {
    let language = state.language.get();
    let way = |baseline: Baseline| (baseline.kind.message().text(language), baseline.metrics, false);
    baselines.into_iter().map(way).collect()
}
