//! A newer version of the page, which `public/offline.js` tells of: it is taken when the person says so, and never during a run.

use super::stored_runs::is_free;
use crate::state::PageState;
use leptos::prelude::*;
use web_sys::Event;

/// Of offline.js: something changed.
const CHANGED: &str = "lorakeet-update";
/// To offline.js: the newer version is wanted now.
const TAKE: &str = "lorakeet-take-update";

/// What offline.js says: "waiting", "elsewhere", or nothing.
fn told() -> Option<String> {
    document().document_element()?.get_attribute("data-update")
}

fn take() {
    if let Ok(event) = Event::new(TAKE) {
        let _ = window().dispatch_event(&event);
    }
}

/// The offer, while no run is under way.
#[component]
pub fn NewVersion() -> impl IntoView {
    let state = expect_context::<PageState>();
    let update = RwSignal::new(told());
    let listener = window_event_listener_untyped(CHANGED, move |_| update.set(told()));
    on_cleanup(move || listener.remove());
    let is_elsewhere = move || update.with(|told| told.as_deref() == Some("elsewhere"));
    view! {
        <Show when=move || is_free(state) && update.with(Option::is_some)>
            <div class="notice" role="status" data-testid="new-version">
                <p>{state.text(|w| w.newer_version)}</p>
                <Show when=is_elsewhere>
                    <p data-testid="version-elsewhere">{state.text(|w| w.version_elsewhere)}</p>
                </Show>
                <p class="buttons">
                    <button type="button" class="primary" data-testid="take-version" on:click=move |_| take()>
                        {state.text(|w| w.take_version)}
                    </button>
                </p>
            </div>
        </Show>
    }
}
