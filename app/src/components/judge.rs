//! Step 7: what the run came to. It unfolds when there is a report.

use super::report::RunReport;
use super::step::{Step, StepStatus};
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Baseline, Outcome, Report};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common::Sentence;

/// The verdict on the run for style sheets, and in a sentence; none where there is nothing to compare.
pub fn verdict(state: PageState) -> Option<(&'static str, String)> {
    let (outcome, kind, rival) = state.training.outcome.report.with(|report| {
        let report = report.as_ref()?;
        let rival = rival(report).map(|rival| rival.kind.message());
        Some((report.outcome(), crate::report::verdict(report), rival))
    })?;
    let (words, language) = (state.words().moments, state.language.get());
    let say = match outcome {
        Outcome::BeatsAll => Some(words.better),
        Outcome::NotSignificant => Some(words.open),
        Outcome::Worse => Some(words.worse),
        Outcome::ProbeWins => None,
        Outcome::NotCompared => return None,
    };
    let clause = outcome.message();
    let sentence = match say.zip(rival) {
        Some((say, rival)) => say(&rival.text(language)),
        None => Message::from(Sentence { clause }).text(language),
    };
    Some((kind, sentence))
}

/// The best of the baselines.
fn rival(report: &Report) -> Option<&Baseline> {
    // A report that came with a link names it by its name in events.
    let is_it = |one: &&Baseline| one.kind.to_string() == report.against || one.name == report.against;
    report.baselines.iter().find(is_it)
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
        None if is_over.get() => state.words().moments.judge_nothing.to_owned(),
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
