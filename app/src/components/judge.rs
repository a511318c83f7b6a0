//! Step 7: what the run came to. It unfolds when there is a report.

use super::report::RunReport;
use super::step::{Step, StepStatus};
use crate::next::rival;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Verdict;

/// The verdict on the run, and what it says; none where there is nothing to compare.
pub fn verdict(state: PageState) -> Option<(Verdict, String)> {
    let (verdict, rival) = state.training.outcome.report.with(|report| {
        let report = report.as_ref()?;
        Some((report.verdict?, rival(report)?.kind))
    })?;
    let words = state.words().moments;
    let say = match verdict {
        Verdict::Better => words.better,
        Verdict::NotDistinguishable => words.open,
        Verdict::Worse => words.worse,
    };
    Some((verdict, say(&rival.message().text(state.language.get()))))
}

/// The step of judging it.
#[component]
pub fn Judge() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let has_report = Memo::new(move |_| outcome.report.with(Option::is_some));
    let is_over = Memo::new(move |_| state.training.phase.with(|phase| matches!(phase, Phase::Done(_))));
    let summary = Signal::derive(move || match verdict(state) {
        Some((_, said)) => said,
        None => state.words().moments.judge_none.to_owned(),
    });
    let standing = Signal::derive(move || match has_report.get() {
        true => StepStatus::Ready,
        false => StepStatus::Waiting,
    });
    let empty = move || match is_over.get() {
        true => state.words().moments.judge_nothing,
        false => state.words().moments.judge_empty,
    };
    view! {
        <Step number=7 id="judge" title=Signal::derive(state.text(|w| w.moments.judge)) summary standing opens=has_report>
            <Show when=move || !has_report.get()><p class="waiting">{empty}</p></Show>
            <RunReport/>
        </Step>
    }
}
