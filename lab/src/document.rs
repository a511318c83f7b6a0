//! What the lab does with the browser's document: HTML put into elements, focus, values of fields, frames.

use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement, Window};

/// Milliseconds between two calls of [`repeat`].
const REPEAT_INTERVAL_MS: i32 = 16;

/// Puts HTML into an element; what was unfolded in it stays so, and what had the focus gets it back.
pub fn put(element: &Element, html: &str) {
    let opened = |element: &Element| {
        let all = element.query_selector_all("details").ok();
        let places = all
            .into_iter()
            .flat_map(|all| (0..all.length()).filter_map(move |place| all.item(place)));
        places
            .filter_map(|node| node.dyn_into::<Element>().ok())
            .collect::<Vec<_>>()
    };
    let open: Vec<bool> = opened(element)
        .iter()
        .map(|details| details.has_attribute("open"))
        .collect();
    let focused = element.query_selector(":focus").ok().flatten();
    let key = focused.map(|focused| {
        let attribute = |name: &str| focused.get_attribute(name).unwrap_or_default();
        (attribute("data-do"), attribute("data-of"))
    });
    element.set_inner_html(html);
    for (details, _) in opened(element).iter().zip(&open).filter(|(_, open)| **open) {
        let _ = details.set_attribute("open", "");
    }
    if let Some((action, of)) = key.filter(|(action, _)| !action.is_empty()) {
        let same = format!("[data-do=\"{action}\"][data-of=\"{of}\"]:not(:disabled)");
        let found = element.query_selector(&same).ok().flatten();
        // A button that turned into others: the first of them.
        let found = found.or_else(|| element.query_selector("button:not(:disabled)").ok().flatten());
        focus(found.as_ref());
    }
}

/// Gives an element the focus, where there is one.
pub fn focus(element: Option<&Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_ref::<HtmlElement>()) {
        let _ = element.focus();
    }
}

/// What stands in a field.
pub fn value_of(element: &Element) -> String {
    if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
        return input.value();
    }
    if let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() {
        return area.value();
    }
    element
        .dyn_ref::<HtmlSelectElement>()
        .map_or(String::new(), HtmlSelectElement::value)
}

fn window() -> Window {
    js_sys::global().unchecked_into()
}

/// The tag of the browser's language.
pub fn browser_language() -> String {
    window().navigator().language().unwrap_or_default()
}

/// Milliseconds since the page was opened.
pub fn now_ms() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// Calls `step` some 60 times a second, until it says that it is done.
pub fn repeat(mut step: impl FnMut() -> bool + 'static) {
    let next = Closure::once_into_js(move || {
        if !step() {
            repeat(step);
        }
    });
    let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(next.unchecked_ref(), REPEAT_INTERVAL_MS);
}

/// Does something at the next frame.
pub fn at_next_frame(then: impl FnOnce() + 'static) {
    let then = Closure::once_into_js(then);
    let _ = window().request_animation_frame(then.unchecked_ref());
}
