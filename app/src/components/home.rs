//! Step 7: the adapter, in PEFT's format, to take along.

use super::notice::Notice;
use super::step::{Step, StepStatus};
use crate::conversation::Job;
use crate::download;
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use crate::training::is_adapter;
use leptos::prelude::*;
use lorakeet_core::task::Task;

/// How PEFT loads the adapter.
const SNIPPET: &str = "from peft import PeftModel\nmodel = PeftModel.from_pretrained(base_model, \"lorakeet-adapter\")";

/// How they load one with a head, whose config.json travels along.
const SNIPPET_HEAD: &str = "from transformers import AutoConfig, AutoModelFor@Classification\nfrom peft import PeftModel\n\
    config = AutoConfig.from_pretrained(\"lorakeet-adapter\")\n\
    base_model = AutoModelFor@Classification.from_pretrained(base, config=config)\n\
    model = PeftModel.from_pretrained(base_model, \"lorakeet-adapter\")";

/// How PEFT loads what this task trained.
fn snippet(task: Task) -> String {
    match task {
        Task::Generation | Task::Preference | Task::Embedding => SNIPPET.to_owned(),
        Task::TokenClassification => SNIPPET_HEAD.replace('@', "Token"),
        _ => SNIPPET_HEAD.replace('@', "Sequence"),
    }
}

/// The step of taking it home.
#[component]
pub fn Home() -> impl IntoView {
    let state = expect_context::<PageState>();
    let asked = RwSignal::new(false);
    let exporting = move || state.worker.job.get() == Some(Job::Export);
    Effect::new(move || {
        let complete = state.training.exports.with(|files| is_adapter(files));
        if complete && asked.get_untracked() {
            asked.set(false);
            state.training.exports.with_untracked(|files| download::archive(files));
        }
    });
    let take = move |_| {
        state.worker.clear_error(&[Job::Export]);
        asked.set(true);
        state.export();
    };
    let summary = Signal::derive(move || {
        let words = state.words();
        if state.training.has_adapter.get() {
            words.home_ready
        } else {
            words.home_none
        }
        .to_owned()
    });
    let standing = Signal::derive(move || match state.training.has_adapter.get() {
        _ if state.worker.error.with(|error| matches!(error, Some((Job::Export, _)))) => StepStatus::Failed,
        _ if exporting() => StepStatus::Busy,
        true => StepStatus::Ready,
        false => StepStatus::Waiting,
    });
    let ready =
        move || state.training.has_adapter.get() && !state.training.phase.with(Phase::is_under_way) && !exporting();
    let files = move || {
        let files = state.training.exports.get();
        (!files.is_empty()).then(|| {
            let files = files.into_iter().map(|file| {
                let label = format!("{} ({})", file.name, format::bytes(file.bytes.len() as u64));
                let id = file.name.clone();
                let save = move |_| download::save(&file.name, &file.bytes, "application/octet-stream");
                view! { <li><button type="button" class="quiet" data-file=id on:click=save>{label}</button></li> }
            });
            let files = files.collect_view();
            view! { <p class="hint">{state.text(|w| w.home_files)}</p><ul class="files" data-testid="adapter-files">{files}</ul> }
        })
    };
    view! {
        <Step number=7 id="home" title=Signal::derive(state.text(|w| w.take_home)) summary standing>
            <Notice jobs=&[Job::Export]/>
            <p>{state.text(|w| w.home_about)}</p>
            <p class="buttons">
                <button type="button" class="primary" data-testid="download-adapter" prop:disabled=move || !ready() on:click=take>
                    {state.text(|w| w.download_adapter)}
                </button>
                <Show when=exporting><span class="hint" role="status">{state.text(|w| w.home_busy)}</span></Show>
            </p>
            {files}
            <p class="hint">{state.text(|w| w.home_use)}</p>
            <pre><code>{move || snippet(state.task())}</code></pre>
        </Step>
    }
}
