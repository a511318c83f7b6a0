//! An adapter that no run here trained, on the loaded model: what it is, how it scores, and how it goes away again.

use super::drop_zone::DropZone;
use super::file_facts::adapter_facts;
use super::notice::Notice;
use super::other_file::Scored;
use super::step::unfold;
use crate::conversation::Job;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::LoadedAdapter;
use web_sys::File;

/// The place for an adapter, once a model is loaded.
#[component]
pub fn Adapter() -> impl IntoView {
    let state = expect_context::<PageState>();
    let loaded = state.loaded;
    let is_loading = Memo::new(move |_| state.worker.job.get() == Some(Job::Adapter));
    let locked = Signal::derive(move || state.is_training() || is_loading.get());
    let has_model = Memo::new(move |_| loaded.model.with(Option::is_some) || is_loading.get());
    let take = move |files: Vec<File>| state.choose_adapter(files);
    let adapter = move || loaded.adapter.get().map(|adapter| view! { <Loaded adapter/> });
    view! {
        <Notice jobs=&[Job::Adapter]/>
        <Show when=move || has_model.get()>
            <section class="result" data-testid="adapter">
                <h3>{state.text(|w| w.files.adapter[0])}</h3>
                <DropZone id="adapter-input" label=Signal::derive(state.text(|w| w.files.adapter[1]))
                    hint=Signal::derive(state.text(|w| w.files.adapter[2])) accept=".json,.safetensors,.bin,.gguf" folders=true
                    disabled=locked take/>
                <Show when=move || is_loading.get()>
                    <p class="hint" role="status">{state.text(|w| w.files.loading)}</p>
                </Show>
                {adapter}
            </section>
        </Show>
    }
    .into_any()
}

#[component]
fn Loaded(
    /// What is on the model.
    adapter: LoadedAdapter,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let LoadedAdapter {
        kind,
        files,
        outline,
        head,
        labels,
    } = adapter;
    let (files, labels) = (files.join(", "), labels.join(", "));
    let head = head.map(|task| {
        let name = move || (state.words().tasks.name)(task);
        view! { <div><dt>{state.text(|w| w.files.head[0])}</dt><dd>{name}</dd></div> }
    });
    let labels = (!labels.is_empty()).then(|| {
        view! { <div><dt>{state.text(|w| w.files.head[1])}</dt><dd data-testid="adapter-labels">{labels}</dd></div> }
    });
    let is_scoring = Memo::new(move |_| state.worker.job.get() == Some(Job::ScoreAdapter));
    let is_busy = move || state.is_training() || is_scoring.get();
    let cannot_score = move || is_busy() || state.loaded.data.with(Option::is_none);
    let take_away = move |_| {
        state.take_adapter_away();
        // All that is said of it goes, and the place for another one comes back with the model.
        unfold("model");
    };
    let score = move || state.loaded.adapter_score.get().map(|score| view! { <Scored score/> });
    view! {
        <dl class="facts" data-testid="adapter-facts">
            <div>
                <dt>{state.text(|w| w.files.facts[0])}</dt>
                <dd>{move || (state.words().files.kind)(kind)}</dd>
            </div>
            {adapter_facts(state, outline)}
            {head}
            {labels}
            <div><dt>{state.text(|w| w.files.facts[3])}</dt><dd>{files}</dd></div>
        </dl>
        <p role="status">{state.text(|w| w.files.is_on)}</p>
        <Notice jobs=&[Job::ScoreAdapter]/>
        <p class="buttons">
            <button type="button" data-testid="score-adapter" prop:disabled=cannot_score on:click=move |_| state.score_adapter()>
                {state.text(|w| w.files.score)}
            </button>
            <button type="button" class="quiet" data-testid="remove-adapter" prop:disabled=is_busy on:click=take_away>
                {state.text(|w| w.files.take_away)}
            </button>
            <Show when=move || is_scoring.get()>
                <button type="button" data-testid="score-cancel" on:click=move |_| state.end_file_job(Job::ScoreAdapter)>
                    {state.text(|w| w.files.cancel)}
                </button>
            </Show>
        </p>
        <Show when=move || is_scoring.get()><p class="hint" role="status">{state.text(|w| w.judge.scoring)}</p></Show>
        {score}
    }
    .into_any()
}
