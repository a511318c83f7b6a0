//! Another file, scored with the fine-tuned model and with what there is to beat.

use super::baselines::ways;
use super::drop_zone::DropZone;
use super::notice::{Notice, worded};
use super::scores::Scores;
use crate::conversation::Job;
use crate::report::verdict;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::FileScore;
use web_sys::File;

/// The place for the file, and its scores.
#[component]
pub fn OtherFile() -> impl IntoView {
    let state = expect_context::<PageState>();
    let scoring = Memo::new(move |_| state.worker.job.get() == Some(Job::ScoreFile));
    let is_over = Memo::new(move |_| {
        state.training.frame.track();
        let has_run = state.training.run.with_value(|run| run.info.is_some());
        state.training.has_adapter.get() && has_run && !state.is_training()
    });
    let take = move |files: Vec<File>| state.score_file(files);
    let found = move || {
        state
            .training
            .outcome
            .file_score
            .get()
            .map(|score| view! { <Scored score/> })
    };
    view! {
        <Show when=move || is_over.get()>
            <section class="result" data-testid="other-file">
                <h3>{state.text(|w| w.judge.other_file)}</h3>
                <Notice jobs=&[Job::ScoreFile]/>
                <DropZone id="other-file-input" label=Signal::derive(state.text(|w| w.judge.other_file_drop))
                    hint=Signal::derive(state.text(|w| w.judge.other_file_hint)) disabled=Signal::derive(move || scoring.get()) take/>
                <Show when=move || scoring.get()><p class="hint" role="status">{state.text(|w| w.judge.scoring)}</p></Show>
                {found}
            </section>
        </Show>
    }
    .into_any()
}

/// The scores of a file.
#[component]
pub fn Scored(
    /// What was found.
    score: FileScore,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let FileScore {
        file,
        rows,
        report,
        judgement,
    } = score;
    let kind = verdict(&report);
    let sentence = worded(state, report.sentence);
    let (baselines, metrics) = (report.baselines, report.metrics);
    let scores = Signal::derive(move || {
        let mut ways = ways(state, baselines.clone());
        ways.push((state.words().tasks.tuned.to_owned(), metrics.clone(), true));
        ways
    });
    let intervals = Signal::stored(judgement.intervals);
    view! {
        <div class="result" data-testid="file-score">
            <h4>{move || (state.words().judge.scored)(&file, rows)}</h4>
            <p class="verdict" data-verdict=kind>{sentence}</p>
            <Scores caption=Signal::derive(state.text(|w| w.tasks.metrics)) ways=scores judged=Signal::stored(Some(report.metric)) intervals/>
        </div>
    }
    .into_any()
}
