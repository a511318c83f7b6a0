//! Step 9: what was trained, as files in the form that a program wants.

use super::focus::{after_focus, focus};
use super::notice::{Notice, coded, worded};
use super::step::{Step, StepStatus};
use crate::conversation::Job;
use crate::download;
use crate::export::{CARD, can_pick};
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{ExportCheck, ExportForm, ExportOption, Stage};
use lorakeet_core::task::Task;

/// The place of the forms.
const FORMS: &str = "export-forms";

/// The buttons that begin a download and cancel an export.
const DOWNLOAD: &str = "export-download";
const CANCEL: &str = "export-cancel";

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
    // What was trained, or the model as it is once that was asked for.
    let has_some = Memo::new(move |_| state.training.has_adapter.get() || export.forms.with(|forms| !forms.is_empty()));
    let summary = Signal::derive(move || {
        let words = state.words();
        match (has_some.get(), state.loaded.model.with(Option::is_some)) {
            (true, _) => words.export_ready,
            (false, true) => words.export.after_training,
            (false, false) => words.export_none,
        }
        .to_owned()
    });
    let failed = move || {
        let is_own = |error: &Option<_>| matches!(error, Some((Job::Export | Job::Forms, _)));
        state.worker.error.with(is_own)
    };
    let standing = Signal::derive(move || match has_some.get() {
        _ if failed() => StepStatus::Failed,
        _ if exporting() => StepStatus::Busy,
        true => StepStatus::Ready,
        false => StepStatus::Waiting,
    });
    let ready = move || has_some.get() && !state.is_training() && export.option().is_some();
    let forms = move || {
        let mut forms: Vec<Vec<(usize, ExportOption)>> = Vec::new();
        for (place, option) in export.forms.get().into_iter().enumerate() {
            match forms.iter_mut().find(|known| known[0].1.form == option.form) {
                Some(known) => known.push((place, option)),
                None => forms.push(vec![(place, option)]),
            }
        }
        forms
            .into_iter()
            .map(|options| view! { <Choice options/> })
            .collect_view()
    };
    let name_license = move |event| export.license.set(event_target_value(&event));
    let is_exporting = Memo::new(move |_| exporting());
    let is_under_way = after_focus(is_exporting, CANCEL, &[DOWNLOAD, FORMS]);
    // They stay where they are in an export, and the keyboard on them.
    let waits = move || is_exporting.get().to_string();
    let press_download = move |_| {
        if !is_exporting.get_untracked() {
            state.download_export();
        }
    };
    let press_save = move |_| {
        if !is_exporting.get_untracked() {
            state.save_export();
        }
    };
    let usage = move || {
        let form = export.option().map_or(ExportForm::Peft, |option| option.form);
        snippet(form, state.task())
    };
    view! {
        <Step number=9 id="export" title=Signal::derive(state.text(|w| w.export_title)) summary standing>
            <Notice jobs=&[Job::Export, Job::Forms]/>
            <p>{state.text(|w| w.export.about)}</p>
            <OfModel has_some/>
            <div role="radiogroup" id=FORMS tabindex="-1" aria-label=state.text(|w| w.export_title) data-testid="export-forms">
                {forms}
            </div>
            <Show when=move || has_some.get()>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.export.license)}</span>
                    <input type="text" data-testid="export-license" placeholder="apache-2.0" maxlength="100"
                        prop:value=move || export.license.get() on:input=name_license/>
                    <span class="hint">{state.text(|w| w.export.license_hint)}</span>
                </label>
            </Show>
            <p class="buttons">
                <button type="button" class="primary" id=DOWNLOAD data-testid="download-adapter" prop:disabled=move || !ready()
                    aria-disabled=waits on:click=press_download>
                    {state.text(|w| w.export.download)}
                </button>
                {can_pick().then(|| view! {
                    <button type="button" data-testid="save-export" prop:disabled=move || !ready() aria-disabled=waits
                        on:click=press_save>
                        {state.text(|w| w.export.save)}
                    </button>
                })}
            </p>
            <Show when=move || is_under_way.get()><UnderWay/></Show>
            <Taken/>
            <p class="hint">{state.text(|w| w.export.use_it)}</p>
            <pre><code>{usage}</code></pre>
        </Step>
    }
}

/// The button that asks for the forms of the loaded model, of which nothing was trained.
#[component]
fn OfModel(
    /// Whether there are forms already, or what was trained.
    has_some: Memo<bool>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_offered = Memo::new(move |_| !has_some.get() && state.loaded.model.with(Option::is_some));
    let is_locked = move || state.is_training() || state.worker.job.get() == Some(Job::Forms);
    // The button makes way for the forms.
    let ask_forms = move |_| {
        state.ask_forms_of_model();
        focus(FORMS);
    };
    view! {
        <Show when=move || is_offered.get()>
            <p class="hint">{state.text(|w| w.export.model_hint)}</p>
            <p class="buttons">
                <button type="button" data-testid="export-model" prop:disabled=is_locked
                    on:click=ask_forms>{state.text(|w| w.export.model)}</button>
            </p>
        </Show>
    }
}

/// The last export: what it is called, what is to be known of it, whether it is what was trained, and its model card.
#[component]
fn Taken() -> impl IntoView {
    let state = expect_context::<PageState>();
    let export = state.training.export;
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
    view! { {taken} {card} }
}

/// How far an export is. Screen readers are told of its parts, not of each piece.
#[component]
fn UnderWay() -> impl IntoView {
    let state = expect_context::<PageState>();
    let (progress, is_read_back) = (state.worker.progress, state.training.export.is_read_back);
    let of_files = move || progress.get().filter(|(stage, ..)| *stage == Stage::Export);
    let share = move || of_files().map(|(_, done, total)| (done as f64 / total.max(1) as f64).to_string());
    let scores = Memo::new(move |_| {
        let scored = [Stage::Tokenize, Stage::Evaluate, Stage::LoadModel];
        progress.with(|progress| progress.as_ref().is_some_and(|(stage, ..)| scored.contains(stage)))
    });
    let text = move |sizes: Option<[&str; 2]>| {
        let words = state.words().export;
        match is_read_back.get() {
            true if scores.get() => words.scoring.to_owned(),
            true => (words.reading)(sizes),
            false => (words.busy)(sizes),
        }
    };
    let shown = move || {
        let sizes = of_files().map(|(_, done, total)| [format::bytes(done), format::bytes(total)]);
        text(sizes.as_ref().map(|[done, total]| [done.as_str(), total.as_str()]))
    };
    let spoken = Memo::new(move |_| text(None));
    view! {
        <div data-testid="export-progress">
            <progress max="1" value=share aria-hidden="true"></progress>
            <p class="hint" aria-hidden="true">{shown}</p>
            <p class="unseen" role="status">{spoken}</p>
            <button type="button" id=CANCEL data-testid="export-cancel" on:click=move |_| state.cancel_export()>
                {state.text(|w| w.export.cancel)}
            </button>
        </div>
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

/// The number format of an option, and what of its base is otherwise.
fn format_name(state: PageState, option: &ExportOption) -> String {
    let words = state.words().export;
    let dtype = match option.dtype.as_deref() {
        None => words.as_base.to_owned(),
        Some("float32") => "F32".to_owned(),
        Some("float16") => "F16".to_owned(),
        Some("bfloat16") => "BF16".to_owned(),
        Some(dtype) => dtype.to_uppercase(),
    };
    let base = if option.dequantized { words.dequantized } else { "" };
    format!("{dtype}{base}")
}

/// Between a form or a format and its end, how large it is.
fn size(state: PageState, option: &ExportOption) -> String {
    let words = state.words().export;
    let size = option.bytes.map(|bytes| (words.size)(&format::bytes(bytes)));
    size.unwrap_or_default()
}

/// One form: what it is for, in which number formats and how large it is, or why it is not available.
#[component]
fn Choice(
    /// Its options, each with its number among all.
    options: Vec<(usize, ExportOption)>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let chosen = state.training.export.chosen;
    let form = options[0].1.form;
    let first = options.iter().find(|(_, option)| option.problem.is_none());
    let first = first.map(|(place, _)| *place);
    let is_refused = first.is_none();
    let problem = options[0]
        .1
        .problem
        .as_ref()
        .filter(|_| is_refused)
        .map(|problem| problem.message());
    let places: Vec<usize> = options.iter().map(|(place, _)| *place).collect();
    let is_chosen = Memo::new(move |_| places.contains(&chosen.get()));
    let choose = move |_| chosen.set(first.unwrap_or_default());
    let single = match &options[..] {
        [(_, only)] => Some(only.clone()),
        _ => None,
    };
    let name = move || {
        let form = (state.words().export.form)(form)[0];
        match &single {
            Some(only) => format!("{form}{}", size(state, only)),
            None => form.to_owned(),
        }
    };
    let hint = move || match &problem {
        Some(problem) => coded(&problem.text(state.language.get())),
        None => coded((state.words().export.form)(form)[1]),
    };
    let formats = (options.len() > 1).then(|| view! { <Formats options/> });
    view! {
        <div>
            <label class="check">
                <input type="radio" name="export-form" data-testid=format!("export-{}", form.name()) prop:disabled=is_refused
                    prop:checked=move || is_chosen.get() on:change=choose/>
                <span>{name}</span>
            </label>
            <p class="hint">{hint}</p>
            {formats}
        </div>
    }
    .into_any()
}

/// The number formats of a form.
#[component]
fn Formats(
    /// Its options, each with its number among all.
    options: Vec<(usize, ExportOption)>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let chosen = state.training.export.chosen;
    let id = format!("export-format-{}", options[0].1.form.name());
    let name = |option: &ExportOption| {
        let dtype = option.dtype.as_deref().unwrap_or("base");
        format!("{dtype}{}", if option.dequantized { "-dequantized" } else { "" })
    };
    let is_refused = options.iter().all(|(_, option)| option.problem.is_some());
    let places: Vec<(String, usize)> = options.iter().map(|(place, option)| (name(option), *place)).collect();
    let choose = move |event| {
        let value = event_target_value(&event);
        if let Some((_, place)) = places.iter().find(|(name, _)| *name == value) {
            chosen.set(*place);
        }
    };
    let options = options.into_iter().map(|(place, option)| {
        let (value, is_refused) = (name(&option), option.problem.is_some());
        let problem = option.problem.as_ref().map(|problem| problem.message());
        let why = move || problem.as_ref().map(|problem| problem.text(state.language.get()));
        let text = move || format!("{}{}", format_name(state, &option), size(state, &option));
        view! {
            <option value=value title=why prop:disabled=is_refused prop:selected=move || chosen.get() == place>{text}</option>
        }
    });
    view! {
        <label class="field">
            <span class="unseen">{state.text(|w| w.export.format)}</span>
            <select data-testid=id prop:disabled=is_refused on:change=choose>{options.collect_view()}</select>
        </label>
    }
    .into_any()
}
