//! The scores to beat, there before the first step.

use super::scores::{Scores, Way};
use crate::state::Lab;
use leptos::prelude::*;
use lorakeet_core::protocol::Baseline;

/// What can be had without training.
#[component]
pub fn Baselines() -> impl IntoView {
    let lab = expect_context::<Lab>();
    let outcome = lab.training.outcome;
    let empty = Memo::new(move |_| outcome.baselines.with(Vec::is_empty));
    let ways = Signal::derive(move || ways(lab, outcome.baselines.get()));
    let judged = Signal::derive(move || {
        lab.loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()))
    });
    view! {
        <section class="result" data-testid="baselines">
            <h3>{lab.text(|w| w.tasks.baselines)}</h3>
            <p class="hint">{lab.text(|w| w.tasks.baselines_hint)}</p>
            <Show when=move || !empty.get()
                fallback=move || view! { <p class="waiting">{lab.text(|w| w.tasks.baselines_waiting)}</p> }>
                <Scores caption=Signal::derive(lab.text(|w| w.tasks.metrics)) ways judged/>
            </Show>
        </section>
    }
}

/// The ways to answer without training, in words.
pub fn ways(lab: Lab, baselines: Vec<Baseline>) -> Vec<Way> {
    let language = lab.language.get();
    let way = |baseline: Baseline| (baseline.kind.message().text(language), baseline.metrics, false);
    baselines.into_iter().map(way).collect()
}
