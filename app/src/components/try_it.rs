//! Step 8: what the trained model gives: texts beside those of the base model, or labels, numbers and orders.

use super::ask::Ask;
use super::notice::Notice;
use super::step::{Step, StepStatus};
use super::strength::Strength;
use super::write::Write;
use crate::conversation::Job;
use crate::report::writes;
use crate::state::PageState;
use leptos::prelude::*;

/// The step of trying it.
#[component]
pub fn TryIt() -> impl IntoView {
    let state = expect_context::<PageState>();
    let texts = Memo::new(move |_| writes(state.task()));
    let writing = Memo::new(move |_| {
        let grows = state
            .training
            .answers
            .iter()
            .any(|answer| answer.with(|answer| answer.growing));
        grows || state.worker.job.get() == Some(Job::Predict)
    });
    let summary = Signal::derive(move || {
        let words = state.words();
        match (
            state.loaded.model.with(Option::is_some),
            state.training.has_adapter.get(),
        ) {
            _ if writing.get() && texts.get() => words.status_generating,
            _ if writing.get() => words.tasks.asking,
            (false, _) => words.try_none,
            (true, false) if texts.get() => words.try_base_only,
            (true, true) if texts.get() => words.try_both,
            (true, false) => words.tasks.ask_none,
            (true, true) => words.tasks.ask_ready,
        }
        .to_owned()
    });
    let failed = move || {
        state
            .worker
            .error
            .with(|error| matches!(error, Some((Job::Generate | Job::Predict, _))))
    };
    let standing = Signal::derive(move || match state.training.has_adapter.get() {
        _ if failed() => StepStatus::Failed,
        _ if writing.get() => StepStatus::Busy,
        true => StepStatus::Ready,
        false => StepStatus::Waiting,
    });
    let part = move || match texts.get() {
        true => view! { <Write/> }.into_any(),
        false => view! { <Ask/> }.into_any(),
    };
    view! {
        <Step number=8 id="try" title=Signal::derive(state.text(|w| w.try_it)) summary standing>
            <Notice jobs=&[Job::Generate, Job::Predict]/>
            <Strength/>
            {part}
        </Step>
    }
}
