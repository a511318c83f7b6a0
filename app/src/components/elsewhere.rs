//! Another tab trains: what it trains, and the way to train here instead; and whether the screen stays on meanwhile.

use super::focus::{BAR, focus};
use crate::state::PageState;
use crate::stored_runs::title;
use crate::{theme, turn};
use leptos::prelude::*;

/// What keeps the run that was asked for from being started.
#[component]
pub fn Elsewhere() -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = move || {
        let found = state
            .stored
            .runs
            .with(|runs| runs.iter().find(|run| run.is_under_way).map(|run| title(&run.record)));
        (state.words().runs.elsewhere)(found.as_deref())
    };
    // The notice goes with its buttons.
    let take_over = move |_| {
        state.take_over();
        focus(BAR);
    };
    let dismiss = move |_| {
        state.elsewhere.set(None);
        focus("train");
    };
    view! {
        <Show when=move || state.elsewhere.with(Option::is_some)>
            <div class="notice" role="status" data-testid="elsewhere">
                <p>{text}</p>
                <p class="hint">{state.text(|w| w.runs.take_over_hint)}</p>
                <p class="buttons">
                    <button type="button" class="primary" data-testid="take-over" on:click=take_over>
                        {state.text(|w| w.runs.take_over)}
                    </button>
                    <button type="button" class="quiet" on:click=dismiss>{state.text(|w| w.dismiss)}</button>
                </p>
            </div>
        </Show>
    }
}

/// The switch that keeps the screen on, where the browser can.
#[component]
pub fn KeepAwake() -> impl IntoView {
    let state = expect_context::<PageState>();
    let switch = move |event| {
        let wanted = event_target_checked(&event);
        theme::keep_awake(wanted);
        state.keeps_awake.set(wanted);
    };
    turn::can_keep_awake().then(|| {
        view! {
            <label class="check">
                <input type="checkbox" data-testid="keep-awake" prop:checked=move || state.keeps_awake.get() on:change=switch/>
                {state.text(|w| w.runs.keep_awake)}
            </label>
        }
    })
}
