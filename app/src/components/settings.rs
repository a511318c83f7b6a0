//! Step 5: what is recommended and what a run takes, the few knobs that matter, the others behind a fold, and the run file.

use super::advice::{Cautions, Recommended};
use super::forecast::Forecast;
use super::knob::KnobField;
use super::notice::worded;
use super::step::{Step, StepStatus};
use super::sweep::SweepFold;
use crate::download;
use crate::format;
use crate::settings::{essential, others};
use crate::state::PageState;
use leptos::html::{Input, Textarea};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::{FinetuningType, Group};
use lorakeet_i18n::Message;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

const GROUPS: [Group; 6] = [
    Group::Model,
    Group::Data,
    Group::Adapter,
    Group::Training,
    Group::Schedule,
    Group::Output,
];

/// The step of the settings.
#[component]
pub fn Settings() -> impl IntoView {
    let state = expect_context::<PageState>();
    let summary = Signal::derive(move || {
        let words = state.words();
        state.settings.with(|config| {
            let length = match config.max_steps {
                steps if steps >= 0 => (words.steps)(steps),
                _ => (words.epochs)(config.num_train_epochs),
            };
            let rank = (config.finetuning_type == FinetuningType::Lora).then_some(config.lora_r);
            (words.settings_summary)(&format::plain(config.learning_rate), rank, &length)
        })
    });
    let standing = Signal::derive(move || {
        if state.settings.is_valid() {
            StepStatus::Ready
        } else {
            StepStatus::Failed
        }
    });
    let groups = GROUPS.map(|group| {
        let knobs: Vec<_> = others(group).map(|knob| view! { <KnobField knob/> }).collect();
        (!knobs.is_empty()).then(|| {
            view! {
                <h3>{move || (state.words().group)(group)}</h3>
                <div class="knobs">{knobs}</div>
            }
        })
    });
    let reset = move |_| {
        state.settings.reset();
        state.advice.forget_used();
        state.forget_pressed();
    };
    view! {
        <Step number=5 id="settings" title=Signal::derive(state.text(|w| w.settings)) summary standing>
            <Recommended/>
            <Cautions/>
            <Forecast/>
            <div class="knobs">{essential().map(|knob| view! { <KnobField knob/> }).collect_view()}</div>
            <p class="buttons">
                <button type="button" class="quiet" data-testid="reset-settings" on:click=reset
                    prop:disabled=move || state.is_training()>{state.text(|w| w.reset_settings)}</button>
            </p>
            <details class="fold" data-testid="more-settings">
                <summary>{state.text(|w| w.more_settings)}</summary>
                {groups}
            </details>
            <SweepFold/>
            <details class="fold" data-testid="run-file-fold">
                <summary>{state.text(|w| w.run_file)}</summary>
                <RunFile/>
            </details>
        </Step>
    }
}

/// The run file: read it, copy it, save it, change it, bring one.
#[component]
fn RunFile() -> impl IntoView {
    let state = expect_context::<PageState>();
    let area = NodeRef::<Textarea>::new();
    let picker = NodeRef::<Input>::new();
    let outcome = RwSignal::new(None::<Result<Vec<Message>, Error>>);
    let copied = RwSignal::new(false);
    let text = Memo::new(move |_| {
        let validation = state.loaded.validation.get().map(|info| info.name);
        state
            .settings
            .run_file(&state.model_name(), &state.data_name(), validation)
    });
    Effect::new(move || {
        text.track();
        copied.set(false);
    });
    let read = move |text: String, name: &str| {
        if !untrack(|| state.is_training()) {
            let read = state.settings.read_run_file(&text, name);
            if read.is_ok() {
                // What it leaves out stays, whatever was pressed before.
                state.forget_pressed();
            }
            outcome.set(Some(read));
        }
    };
    let apply = move |_| {
        if let Some(area) = area.get_untracked() {
            read(area.value(), "run.yaml");
        }
    };
    let import = move |_| {
        let Some(input) = picker.get_untracked() else { return };
        let Some(file) = input.files().and_then(|files| files.get(0)) else {
            return;
        };
        input.set_value("");
        let blob: &web_sys::Blob = file.unchecked_ref();
        let contents = blob.text();
        let name = file.name();
        spawn_local(async move {
            if let Ok(text) = JsFuture::from(contents).await {
                read(text.as_string().unwrap_or_default(), &name);
            }
        });
    };
    let copy = move |_| {
        download::copy(&text.get_untracked(), move |is_copied| copied.set(is_copied));
    };
    let missing = move || {
        let wanted = state.settings.with(|config| config.validation_file.clone());
        let wanted = wanted.filter(|_| state.loaded.validation.with(Option::is_none));
        wanted.map(|name| view! { <p class="hint">{move || (state.words().validation_wanted)(&name)}</p> })
    };
    let remarks = move || match outcome.get() {
        None => ().into_any(),
        Some(Ok(warnings)) => {
            let warnings = warnings
                .into_iter()
                .map(|warning| view! { <li>{worded(state, warning)}</li> })
                .collect_view();
            view! { <p class="hint" role="status">{state.text(|w| w.applied)}</p><ul class="hint">{warnings}</ul> {missing} }
                .into_any()
        }
        Some(Err(error)) => {
            view! { <p class="field-error" role="alert">{worded(state, error.message())}</p> }.into_any()
        }
    };
    view! {
        <p class="hint">{state.text(|w| w.run_file_hint)}</p>
        <textarea class="run-file" rows="10" spellcheck="false" data-testid="run-file" node_ref=area prop:value=text
            aria-label=state.text(|w| w.run_file)></textarea>
        <p class="buttons">
            <button type="button" data-testid="apply-run-file" on:click=apply>{state.text(|w| w.apply)}</button>
            <button type="button" on:click=copy>
                {move || if copied.get() { state.words().copied } else { state.words().copy }}
            </button>
            <button type="button" data-testid="save-run-file"
                on:click=move |_| download::save("run.yaml", text.get_untracked().as_bytes(), "text/yaml")>
                {state.text(|w| w.save_file)}
            </button>
            <label class="button">
                <input type="file" class="unseen" accept=".yaml,.yml,.json" data-testid="run-file-input" node_ref=picker
                    on:change=import/>
                {state.text(|w| w.import)}
            </label>
        </p>
        {remarks}
    }
}
