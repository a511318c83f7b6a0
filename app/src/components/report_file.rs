//! The run's report as a file of its own.

use super::notice::Notice;
use crate::conversation::Job;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::ReportForm;

/// The buttons, once a run is over.
#[component]
pub fn ReportFile() -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_over = Memo::new(move |_| state.training.phase.with(|phase| matches!(phase, Phase::Done(_))));
    let busy = Memo::new(move |_| state.worker.job.get() == Some(Job::Report));
    let save = move |form| state.write_report(form);
    view! {
        <Show when=move || is_over.get()>
            <Notice jobs=&[Job::Report]/>
            <p class="buttons">
                <button type="button" data-testid="report-html" prop:disabled=busy on:click=move |_| save(ReportForm::Html)>
                    {state.text(|w| w.judge.report_html)}
                </button>
                <button type="button" data-testid="report-markdown" prop:disabled=busy on:click=move |_| save(ReportForm::Markdown)>
                    {state.text(|w| w.judge.report_markdown)}
                </button>
            </p>
        </Show>
    }
    .into_any()
}
