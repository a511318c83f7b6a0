//! What the run came to: a sentence, the scores beside those to beat, and the pictures that the task has.

use super::baselines::ways;
use super::calibration::Calibration;
use super::classes::Classes;
use super::confusion::Confusion;
use super::notice::worded;
use super::other_file::OtherFile;
use super::predictions::PredictionTable;
use super::report_file::ReportFile;
use super::residuals::Residuals;
use super::scores::Scores;
use super::slices::Slices;
use super::thresholds::Thresholds;
use crate::report::{targets, verdict};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Report;

/// The report of the last run, where it has one.
#[component]
pub fn RunReport() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let report = move || outcome.report.get().map(|report| view! { <Shown report/> });
    let numbers = Memo::new(move |_| outcome.predictions.with(targets));
    let pictures = move || {
        let targets = numbers.get().into_iter().filter(|(_, points)| !points.is_empty());
        targets
            .map(|(name, points)| view! { <Residuals name points/> })
            .collect_view()
    };
    view! {
        {report}
        <div class="pictures">{pictures}</div>
        <Thresholds/>
        <Slices/>
        <PredictionTable/>
        <OtherFile/>
        <ReportFile/>
    }
}

#[component]
fn Shown(
    /// The run's.
    report: Report,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let kind = verdict(&report);
    let looked = state.training.outcome.judgement;
    let intervals = Signal::derive(move || {
        looked.with(|found| found.as_ref().map(|found| found.intervals.clone()).unwrap_or_default())
    });
    let sentence = worded(state, report.sentence.clone());
    let scores = {
        let (baselines, metrics) = (report.baselines.clone(), report.metrics.clone());
        Signal::derive(move || {
            let mut ways = ways(state, baselines.clone());
            ways.push((state.words().tasks.tuned.to_owned(), metrics.clone(), true));
            ways
        })
    };
    let judged = Some(report.metric.clone());
    let (classes, bins) = (report.classes.clone(), report.calibration.clone());
    view! {
        <section class="result" data-testid="report">
            <h3>{state.text(|w| w.tasks.report)}</h3>
            <p class="verdict" data-verdict=kind data-testid="report-sentence">
                {sentence}
            </p>
            <Scores caption=Signal::derive(state.text(|w| w.tasks.metrics)) ways=scores judged=Signal::stored(judged) intervals/>
            <div class="pictures">
                {(!classes.is_empty()).then(|| view! { <Classes classes/> })}
                <Confusion report/>
                {(!bins.is_empty()).then(|| view! { <Calibration bins/> })}
            </div>
        </section>
    }
}
