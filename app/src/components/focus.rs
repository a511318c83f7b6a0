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

/// The same with an element that is there once the page shows what has just changed.
pub fn focus_soon(id: String) {
    request_animation_frame(move || focus(&id));
}
