//! Where the keyboard goes when what it was on makes way for something else.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, HtmlElement};

/// The bar of the run: what starts a run elsewhere makes way for it.
pub const BAR: &str = "run-bar";

/// Puts the focus on an element, which brings it into view.
pub fn focus(id: &str) {
    focus_on(document().get_element_by_id(id));
}

/// Puts the focus on the head of the fold, or on the section, that was pressed in: for a button that is about to go.
pub fn focus_head(press: &Event) {
    let around = event_target::<Element>(press).closest("details, section[tabindex]");
    let around = around.ok().flatten();
    let fold = around.as_ref().filter(|around| around.tag_name() == "DETAILS");
    let head = fold.and_then(|fold| fold.query_selector("summary").ok().flatten());
    focus_on(head.or(around));
}

fn focus_on(element: Option<Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// Puts the focus on an element that is there once the page shows what has just changed.
pub fn focus_soon(id: String) {
    request_animation_frame(move || focus(&id));
}

/// What is `wanted`, once the keyboard is not on what goes without it: where it is on the element `from`, it goes to the first of `to`
/// that takes it.
pub fn after_focus(wanted: Memo<bool>, from: &'static str, to: &'static [&'static str]) -> ReadSignal<bool> {
    let shown = RwSignal::new(wanted.get_untracked());
    Effect::new(move || {
        let is_wanted = wanted.get();
        if !is_wanted {
            for id in to {
                if has_focus(from) {
                    focus(id);
                }
            }
        }
        shown.set(is_wanted);
    });
    shown.read_only()
}

fn has_focus(id: &str) -> bool {
    document().active_element().is_some_and(|active| active.id() == id)
}
