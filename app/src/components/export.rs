//! Step 9: what was trained, as files in the form that a program wants.

use super::notice::{Notice, worded};
use super::step::{Step, StepStatus};
use crate::conversation::Job;
use crate::download;
use crate::export::{CARD, can_pick};
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{ExportCheck, ExportForm, ExportOption, Stage};
use lorakeet_core::task::Task;

/// How PEFT loads the adapter.
const SNIPPET: &str = "from peft import PeftModel\nmodel = PeftModel.from_pretrained(base_model, \"lorakeet-adapter\")";

/// How they load one with a head, whose config.json travels along.
const SNIPPET_HEAD: &str = "from transformers import AutoConfig, AutoModelFor@Classification\nfrom peft import PeftModel\n\
    config = AutoConfig.from_pretrained(\"lorakeet-adapter\")\n\
    base_model = AutoModelFor@Classification.from_pretrained(base, config=config)\n\
    model = PeftModel.from_pretrained(base_model, \"lorakeet-adapter\")";

/// How a program loads what this task trained.
fn snippet(form: ExportForm, task: Task) -> String {
    let text = match form {
        ExportForm::Peft => match task {
            Task::Generation | Task::Preference | Task::Embedding => SNIPPET,
            Task::TokenClassification => return SNIPPET_HEAD.replace('@', "Token"),
            _ => return SNIPPET_HEAD.replace('@', "Sequence"),
        },
        ExportForm::GgufAdapter => "llama-cli -m base.gguf --lora lorakeet-adapter.gguf",
        ExportForm::Gguf => "llama-cli -m lorakeet-model.gguf",
        ExportForm::Mlx => "mlx_lm.generate --model base --adapter-path lorakeet-mlx",
        ExportForm::SentenceTransformers => {
            "from sentence_transformers import SentenceTransformer\n\
             model = SentenceTransformer(\"lorakeet-vectors\")\nvectors = model.encode([\"a text\"])"
        }
        ExportForm::Merged => {
            "from transformers import AutoModel\nmodel = AutoModel.from_pretrained(\"lorakeet-merged\")"
        }
    };
    text.to_owned()
}

/// The step of exporting it.
#[component]
pub fn Export() -> impl IntoView {
    let state = expect_context::<PageState>();
    let export = state.training.export;
    let exporting = move || state.worker.job.get() == Some(Job::Export);
    let summary = Signal::derive(move || {
        let words = state.words();
        if state.training.has_adapter.get() {
            words.export_ready
        } else {
            words.export_none
        }
        .to_owned()
    });
    let failed = move || {
        let is_own = |error: &Option<_>| matches!(error, Some((Job::Export | Job::Forms, _)));
        state.worker.error.with(is_own)
    };
    let standing = Signal::derive(move || match state.training.has_adapter.get() {
        _ if failed() => StepStatus::Failed,
        _ if exporting() => StepStatus::Busy,
        true => StepStatus::Ready,
        false => StepStatus::Waiting,
    });
    let ready = move || {
        let is_free = !state.training.phase.with(Phase::is_under_way) && !exporting();
        state.training.has_adapter.get() && is_free && export.option().is_some()
    };
    let forms = move || {
        let forms = export.forms.get().into_iter().enumerate();
        let form = |(place, option): (usize, ExportOption)| view! { <Choice place option/> };
        forms.map(form).collect_view()
    };
    let under_way = move || {
        exporting().then(|| {
            let progress = state
                .worker
                .progress
                .get()
                .filter(|(stage, ..)| *stage == Stage::Export);
            let share = progress.map(|(_, done, total)| (done as f64 / total.max(1) as f64).to_string());
            let sizes = progress.map(|(_, done, total)| [format::bytes(done), format::bytes(total)]);
            let sizes = sizes.as_ref().map(|[done, total]| [done.as_str(), total.as_str()]);
            let words = state.words().export;
            let scores = state.worker.progress.with(|progress| {
                matches!(
                    progress,
                    Some((Stage::Tokenize | Stage::Evaluate | Stage::LoadModel, ..))
                )
            });
            let text = match export.is_read_back.get() {
                true if scores => words.scoring.to_owned(),
                true => (words.reading)(sizes),
                false => (words.busy)(sizes),
            };
            view! {
                <div data-testid="export-progress">
                    <progress max="1" value=share></progress>
                    <p class="hint" role="status">{text}</p>
                    <button type="button" data-testid="export-cancel" on:click=move |_| state.cancel_export()>
                        {state.text(|w| w.export.cancel)}
                    </button>
                </div>
            }
        })
    };
    let taken = move || {
        export.taken.get().map(|taken| {
            let text = (state.words().export.taken)(&taken.name, taken.step);
            let notes = taken
                .notes
                .into_iter()
                .map(|note| view! { <p class="hint">{worded(state, note)}</p> });
            view! {
                <p role="status" data-testid="export-done">{text}</p>
                {notes.collect_view()}
                {checked(state, taken.check)}
            }
        })
    };
    let card = move || {
        export.card.get().map(|card| {
            let save = move |_| download::save(CARD, card.as_bytes(), "text/markdown");
            view! { <button type="button" class="quiet" on:click=save>{state.text(|w| w.export.card)}</button> }
        })
    };
    let usage = move || {
        let form = export.option().map_or(ExportForm::Peft, |option| option.form);
        snippet(form, state.task())
    };
    view! {
        <Step number=9 id="export" title=Signal::derive(state.text(|w| w.export_title)) summary standing>
            <Notice jobs=&[Job::Export, Job::Forms]/>
            <p>{state.text(|w| w.export.about)}</p>
            <div role="radiogroup" aria-label=state.text(|w| w.export_title) data-testid="export-forms">{forms}</div>
            <p class="buttons">
                <button type="button" class="primary" data-testid="download-adapter" prop:disabled=move || !ready()
                    on:click=move |_| state.download_export()>
                    {state.text(|w| w.export.download)}
                </button>
                {can_pick().then(|| view! {
                    <button type="button" data-testid="save-export" prop:disabled=move || !ready()
                        on:click=move |_| state.save_export()>
                        {state.text(|w| w.export.save)}
                    </button>
                })}
            </p>
            {under_way}
            {taken}
            {card}
            <p class="hint">{state.text(|w| w.export.use_it)}</p>
            <pre><code>{usage}</code></pre>
        </Step>
    }
}

/// What an export is when it is read back, and how it was found out.
fn checked(state: PageState, check: ExportCheck) -> AnyView {
    let ExportCheck {
        read_back,
        score,
        not_scored,
        explanation,
    } = check;
    let tensors = move || (state.words().export.read_back)(&read_back);
    let score = score.map(|score| {
        let text = move || (state.words().export.score)(&score);
        view! { <p data-testid="export-score">{text}</p> }
    });
    let rest = [not_scored, explanation].into_iter().flatten();
    let rest = rest.map(|message| view! { <p class="notice">{worded(state, message)}</p> });
    view! {
        <div role="status" data-testid="export-check">
            <p>{tensors}</p>
            {score}
            {rest.collect_view()}
        </div>
    }
    .into_any()
}

/// One form: what it is for and how large it is, or why it is not to be had.
#[component]
fn Choice(
    /// Its number among them.
    place: usize,
    /// What the engine says of it.
    option: ExportOption,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let chosen = state.training.export.chosen;
    let is_refused = option.problem.is_some();
    let mut id = match &option.dtype {
        Some(dtype) => format!("export-{}-{dtype}", option.form.name()),
        None => format!("export-{}", option.form.name()),
    };
    if option.dequantized {
        id.push_str("-dequantized");
    }
    let name = move || {
        let words = state.words().export;
        let dtype = option
            .dtype
            .as_ref()
            .map(|dtype| format!(" {dtype}"))
            .unwrap_or_default();
        let size = option.bytes.map(|bytes| (words.size)(&format::bytes(bytes)));
        let base = if option.dequantized { words.dequantized } else { "" };
        let form = (words.form)(option.form)[0];
        format!("{form}{dtype}{base}{}", size.unwrap_or_default())
    };
    let form = option.form;
    let problem = option.problem.as_ref().map(|problem| problem.message());
    let hint = move || match &problem {
        Some(problem) => problem.text(state.language.get()),
        None => (state.words().export.form)(form)[1].to_owned(),
    };
    view! {
        <div>
            <label class="check">
                <input type="radio" name="export-form" data-testid=id prop:disabled=is_refused
                    prop:checked=move || chosen.get() == place on:change=move |_| chosen.set(place)/>
                <span>{name}</span>
            </label>
            <p class="hint">{hint}</p>
        </div>
    }
}
