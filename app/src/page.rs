//! The whole page: steps that a person walks down, in one column, or in two where the window is wide: what is chosen, and the run.

use crate::components::baselines::BaselineStep;
use crate::components::data::Data;
use crate::components::export::Export;
use crate::components::files::Files;
use crate::components::header::{CompactHeader, Header};
use crate::components::judge::Judge;
use crate::components::model::Model;
use crate::components::run_bar::RunBar;
use crate::components::run_history::RunHistory;
use crate::components::settings::Settings;
use crate::components::task::TaskChoice;
use crate::components::train::Train;
use crate::components::try_it::TryIt;
use crate::link;
use crate::settings::shapes_examples;
use crate::state::PageState;
use crate::theme;
use leptos::prelude::*;
use lorakeet_core::config::KNOBS;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DragEvent;

/// Has the run saved when the page is hidden or closed; a page is hidden before it is frozen.
fn save_when_left(state: PageState) {
    let hides = move |_: web_sys::Event| {
        if document().hidden() {
            state.save_run();
        }
    };
    let hidden = window_event_listener_untyped("visibilitychange", hides);
    let left = window_event_listener_untyped("pagehide", move |_| state.save_run());
    on_cleanup(move || {
        hidden.remove();
        left.remove();
    });
}

/// Keeps the page where it is when a file is dropped beside a place for files: the browser would open the file in its stead.
fn stay_at_drops() {
    let stay = |event: web_sys::Event| {
        let drag = event.dyn_ref::<DragEvent>().filter(|drag| !drag.default_prevented());
        let Some(transfer) = drag.and_then(DragEvent::data_transfer) else {
            return;
        };
        // A text can be dropped into a field.
        if transfer.types().includes(&JsValue::from_str("Files"), 0) {
            transfer.set_drop_effect("none");
            event.prevent_default();
        }
    };
    let over = window_event_listener_untyped("dragover", stay);
    let dropped = window_event_listener_untyped("drop", stay);
    on_cleanup(move || {
        over.remove();
        dropped.remove();
    });
}

/// The page.
#[component]
pub fn Page() -> impl IntoView {
    let state = PageState::new(theme::stored_language(), theme::stored_theme(), theme::wished_device());
    provide_context(state);
    Effect::new(move || theme::apply_theme(state.theme.get()));
    Effect::new(move || theme::apply_language(state.language.get()));
    link::open(state);
    state.start_engine();
    link::show_results(state);
    // Whatever shapes the examples shapes their preview, too.
    let shaping = Memo::new(move |_| {
        state.settings.with(|config| {
            let knobs = KNOBS.iter().filter(|knob| shapes_examples(knob));
            knobs.map(|knob| config.get(knob.name)).collect::<Vec<_>>()
        })
    });
    Effect::new(move |before: Option<()>| {
        // Tracking alone would not have it looked at, and what nobody looks at never changes.
        shaping.with(|_| ());
        if before.is_some() {
            state.ask_preview();
        }
    });
    // And every knob that there is may change what a run takes and what is said of it.
    Effect::new(move |before: Option<()>| {
        state.settings.with(|_| ());
        if before.is_some() {
            state.ask_estimate();
            state.ask_advice();
        }
    });
    save_when_left(state);
    stay_at_drops();
    state.watch_turn();
    if state.is_compact.get_untracked() {
        return view! {
            <CompactHeader/>
            <main class="steps compact"><RunBar/><Train/><Judge/></main>
        }
        .into_any();
    }
    view! {
        <Header/>
        <main class="steps">
            <div class="setup">
                <TaskChoice/>
                <Model/>
                <Data/>
                <BaselineStep/>
                <Settings/>
            </div>
            <div class="work">
                <RunBar/>
                <Train/>
                <Judge/>
                <TryIt/>
                <Export/>
                <RunHistory/>
                <Files/>
            </div>
        </main>
        <footer>
            <p>{state.text(|w| w.privacy)}</p>
            <p>{state.text(|w| w.credits)}</p>
        </footer>
    }
    .into_any()
}
