//! What gradient accumulation does, with the numbers of the run, for those who ask.

use crate::state::PageState;
use leptos::prelude::*;

/// One or two sentences behind a fold.
#[component]
pub fn Accumulation() -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = move || {
        let (rows, steps) = state
            .settings
            .with(|config| (config.per_device_train_batch_size, config.gradient_accumulation_steps));
        (state.words().charts.accumulated)(rows, steps, rows.saturating_mul(steps), state.task())
    };
    view! {
        <details class="fold" data-testid="accumulation">
            <summary>{move || state.words().charts.accumulation}</summary>
            <p>{text}</p>
        </details>
    }
    .into_any()
}
