//! Where the keyboard goes when what it was on makes way for something else.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

/// The bar of the run: what starts a run elsewhere makes way for it.
pub const BAR: &str = "run-bar";

/// Puts the focus on an element, which brings it into view.
pub fn focus(id: &str) {
    let found = document().get_element_by_id(id);
    if let Some(element) = found.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// The same with an element that is there once the page shows what has just changed.
pub fn focus_soon(id: String) {
    request_animation_frame(move || focus(&id));
}
