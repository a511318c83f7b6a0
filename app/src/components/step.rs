//! One of the steps that a person walks down: a number, a title, what it comes to in one line, and the rest folded behind it.

use crate::state::PageState;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlDetailsElement, HtmlElement};

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus {
    /// Nothing to show yet.
    Waiting,
    /// Work under way.
    Busy,
    /// Settled.
    Ready,
    /// Something is wrong in it.
    Failed,
}

impl StepStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Busy => "busy",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// A step with a fold.
#[component]
pub fn Step(
    /// From 1.
    number: u8,
    /// Anchor and test id.
    id: &'static str,
    /// Its title.
    #[prop(into)]
    title: Signal<&'static str>,
    /// What it comes to, one line.
    #[prop(into)]
    summary: Signal<String>,
    /// Where it stands.
    #[prop(into)]
    standing: Signal<StepStatus>,
    /// Whether it is unfolded at first; an error unfolds it.
    #[prop(optional)]
    open: bool,
    /// What unfolds it when it comes true.
    #[prop(optional, into)]
    opens: Option<Signal<bool>>,
    /// What is behind the fold.
    children: Children,
) -> impl IntoView {
    let open = RwSignal::new(open);
    Effect::new(move || {
        if standing.get() == StepStatus::Failed {
            open.set(true);
        }
    });
    Effect::new(move || {
        if opens.is_some_and(|opens| opens.get()) {
            open.set(true);
        }
    });
    let toggle = move |event: web_sys::Event| {
        let details: HtmlDetailsElement = event_target(&event);
        open.set(details.open());
    };
    view! {
        <details class="step" id=id data-testid=id prop:open=move || open.get() on:toggle=toggle>
            <summary class="step-head">
                <Number number standing/>
                <h2>{title}</h2>
                <span class="step-summary" title=summary>{summary}</span>
                <span class="chevron" aria-hidden="true"></span>
            </summary>
            <div class="step-body">{children()}</div>
        </details>
    }
}

/// Unfolds a step, brings it into view, and puts the keyboard on its head.
pub fn unfold(id: &str) {
    let step = document().get_element_by_id(id);
    let Some(step) = step.and_then(|step| step.dyn_into::<HtmlDetailsElement>().ok()) else {
        return;
    };
    step.set_open(true);
    step.scroll_into_view();
    let head = step.query_selector("summary").ok().flatten();
    if let Some(head) = head.and_then(|head| head.dyn_into::<HtmlElement>().ok()) {
        let _ = head.focus();
    }
}

/// The number of a step and its standing, for eyes and for screen readers.
#[component]
pub fn Number(
    /// From 1.
    number: u8,
    /// Where the step stands.
    #[prop(into)]
    standing: Signal<StepStatus>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let spoken = move || match standing.get() {
        StepStatus::Waiting => state.words().step_waiting,
        StepStatus::Busy => state.words().step_busy,
        StepStatus::Ready => state.words().step_ready,
        StepStatus::Failed => state.words().step_failed,
    };
    view! {
        <span class="step-number" data-standing=move || standing.get().name()>
            <span aria-hidden="true">{number}</span>
            <span class="unseen">{spoken}</span>
        </span>
    }
}
