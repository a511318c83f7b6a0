//! Step 2: the model, the page's tiny one, the person's own, or one from a hub.

use super::adapter::Adapter;
use super::drop_zone::DropZone;
use super::hub::FromHub;
use super::notice::Notice;
use super::step::{Step, StepStatus};
use crate::conversation::Job;
use crate::files::are_of_adapter;
use crate::format;
use crate::loaded::ModelSource;
use crate::settings::Preset;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::config::SMALL_MODELS;
use lorakeet_core::protocol::{ModelInfo, Stage};
use web_sys::File;

/// Endings of files that belong to a model.
const ENDINGS: [&str; 6] = [".gguf", ".safetensors", ".bin", ".json", ".jinja", ".txt"];

/// The step of the model.
#[component]
pub fn Model() -> impl IntoView {
    let state = expect_context::<PageState>();
    let failed = move || state.worker.error.with(|error| matches!(error, Some((Job::Model, _))));
    let loading = move || state.worker.job.get() == Some(Job::Model);
    let share = move || match state.worker.progress.get() {
        Some((Stage::LoadModel, done, total)) => format::percent(done, total),
        _ => None,
    };
    let summary = Signal::derive(move || {
        let words = state.words();
        match state.loaded.model.get() {
            Some(info) => (words.model_summary)(
                info.name,
                format::count(info.parameters),
                format::bytes(info.weight_bytes),
            ),
            None if failed() => words.step_failed.to_owned(),
            None if loading() => (words.model_loading)(share()),
            None => words.model_none.to_owned(),
        }
    });
    let standing = Signal::derive(move || match state.loaded.model.with(Option::is_some) {
        true => StepStatus::Ready,
        false if failed() => StepStatus::Failed,
        false if loading() => StepStatus::Busy,
        false => StepStatus::Waiting,
    });
    let locked = Signal::derive(move || state.is_training());
    let take_own = move |files: Vec<File>| {
        if are_of_adapter(&files) && state.loaded.model.with_untracked(Option::is_some) {
            return state.choose_adapter(files);
        }
        let belongs = |file: &File| {
            let name = file.name().to_ascii_lowercase();
            ENDINGS.iter().any(|ending| name.ends_with(ending))
        };
        let (ours, others): (Vec<File>, Vec<File>) = files.into_iter().partition(belongs);
        state.settings.start_for(Preset::Own);
        // Where nothing looks like a model, the engine says what it expects.
        state.choose_model(ModelSource::Own(if ours.is_empty() { others } else { ours }));
    };
    view! {
        <Step number=2 id="model" title=Signal::derive(state.text(|w| w.model)) summary standing>
            <Notice jobs=&[Job::Model, Job::Hub, Job::HubModels]/>
            <OfPage/>
            <DropZone id="model-input" label=Signal::derive(state.text(|w| w.model_drop))
                hint=Signal::derive(state.text(|w| w.model_drop_hint)) accept=".gguf,.safetensors,.bin,.json,.jinja,.txt" folders=true
                disabled=locked take=take_own/>
            <FromHub/>
            {move || state.loaded.model.get().map(|info| view! { <Facts info/> })}
            <Adapter/>
        </Step>
    }
}

/// The models that come with the page.
#[component]
fn OfPage() -> impl IntoView {
    let state = expect_context::<PageState>();
    let locked = move || state.is_training();
    let is_bundled = move || {
        state
            .loaded
            .model_source
            .with(|source| matches!(source, ModelSource::Bundled))
    };
    let take_bundled = move |_| {
        state.settings.start_for(Preset::Bundled);
        state.choose_model(ModelSource::Bundled);
    };
    let small = move || {
        state.loaded.model_source.with(|source| match source {
            ModelSource::Small(name) => Some(*name),
            _ => None,
        })
    };
    let take_small = move |name: &'static str| {
        state.settings.start_for(Preset::Small);
        state.choose_model(ModelSource::Small(name));
    };
    let pick = move |event| {
        let value = event_target_value(&event);
        if let Some(name) = SMALL_MODELS.into_iter().find(|name| *name == value) {
            take_small(name);
        }
    };
    let names = move || {
        SMALL_MODELS
            .map(|name| {
                view! {
                    <option value=name prop:selected=move || small() == Some(name)>{move || (state.words().small_model)(name)}</option>
                }
            })
            .collect_view()
    };
    view! {
        <div class="choices" role="radiogroup" aria-label=state.text(|w| w.model)>
            <label class="choice">
                <input type="radio" name="model" data-testid="model-bundled" prop:checked=is_bundled prop:disabled=locked
                    on:change=take_bundled/>
                <span>
                    <b>{state.text(|w| w.model_bundled)}</b>
                    <span class="hint">{state.text(|w| w.model_bundled_about)}</span>
                </span>
            </label>
            <label class="choice">
                <input type="radio" name="model" data-testid="model-small" prop:checked=move || small().is_some()
                    prop:disabled=locked on:change=move |_| take_small(SMALL_MODELS[0])/>
                <span>
                    <b>{state.text(|w| w.model_small)}</b>
                    <span class="hint">{state.text(|w| w.model_small_about)}</span>
                </span>
            </label>
        </div>
        <Show when=move || small().is_some()>
            <select data-testid="small-model" aria-label=state.text(|w| w.model_small) prop:disabled=locked on:change=pick>
                {names}
            </select>
        </Show>
    }
}

/// What a loaded model is.
#[component]
fn Facts(
    /// The model.
    info: ModelInfo,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let all: u64 = info.formats.iter().map(|(_, bytes)| bytes).sum();
    let formats = info
        .formats
        .iter()
        .map(|(name, bytes)| match format::percent(*bytes, all) {
            Some(share) if share < 100 => format!("{name} {share}%"),
            _ => name.clone(),
        });
    let formats = formats.collect::<Vec<_>>().join(", ");
    let (memory, per_parameter) = (
        format::bytes(info.weight_bytes),
        format::hundredths(info.bytes_per_parameter()),
    );
    let (layers, width) = (info.num_hidden_layers, info.hidden_size);
    let vocabulary = format::whole(info.vocab_size as f64);
    let longest = format::whole(info.max_position_embeddings as f64);
    view! {
        <dl class="facts" data-testid="model-facts">
            <div><dt>{state.text(|w| w.architecture)}</dt><dd>{info.model_type}</dd></div>
            <div><dt>{state.text(|w| w.parameters)}</dt><dd>{format::count(info.parameters)}</dd></div>
            <div>
                <dt>{state.text(|w| w.weights_memory)}</dt>
                <dd>{move || (state.words().weights_memory_value)(memory.clone(), per_parameter.clone())}</dd>
            </div>
            {info.heap_bytes.map(|bytes| view! {
                <div>
                    <dt>{state.text(|w| w.tab_memory)}</dt>
                    <dd data-testid="heap" data-bytes=bytes.to_string()>{format::bytes(bytes)}</dd>
                </div>
            })}
            <div><dt>{state.text(|w| w.storage)}</dt><dd>{formats}</dd></div>
            <div><dt>{state.text(|w| w.shape)}</dt><dd>{move || (state.words().shape_value)(layers, width)}</dd></div>
            <div><dt>{state.text(|w| w.vocabulary)}</dt><dd>{move || (state.words().tokens)(vocabulary.clone())}</dd></div>
            <div><dt>{state.text(|w| w.longest_row)}</dt><dd>{move || (state.words().tokens)(longest.clone())}</dd></div>
            <div>
                <dt>{state.text(|w| w.chat_template)}</dt>
                <dd>{move || if info.has_chat_template { state.words().yes } else { state.words().no }}</dd>
            </div>
        </dl>
    }
}
