//! Files beside those of a run: looked into and compared, in a quiet fold near the end of the page.

use super::drop_zone::DropZone;
use super::file_facts::{Compared, Inspected};
use super::notice::Notice;
use crate::conversation::{Engine, Job};
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Stage;
use web_sys::File;

/// The fold.
#[component]
pub fn Files() -> impl IntoView {
    let state = expect_context::<PageState>();
    let open = RwSignal::new(false);
    let toggle = move |event: web_sys::Event| {
        let details: web_sys::HtmlDetailsElement = event_target(&event);
        open.set(details.open());
    };
    // What it holds is made once it is wanted.
    let body = move || open.get().then(|| view! { <Body/> }.into_any());
    view! {
        <details class="step" id="files" data-testid="files" on:toggle=toggle>
            <summary class="step-head plain">
                <h2>{state.text(|w| w.files.title)}</h2>
                <span class="step-summary">{state.text(|w| w.files.about)}</span>
                <span class="chevron" aria-hidden="true"></span>
            </summary>
            <div class="step-body">{body}</div>
        </details>
    }
    .into_any()
}

#[component]
fn Body() -> impl IntoView {
    let state = expect_context::<PageState>();
    let files = state.files;
    let locked = Signal::derive(move || state.is_training() || state.worker.engine.get() == Engine::Failed);
    let inspect = move |files: Vec<File>| state.inspect(files);
    let inspected = move || files.inspected.get().map(|found| view! { <Inspected found/> });
    let sides = [0, 1].map(|side| {
        let take = move |files: Vec<File>| state.choose_side(side, files);
        let names = move || {
            let names = files.sides[side].with(|files| files.iter().map(File::name).collect::<Vec<_>>());
            names.join(", ")
        };
        let id = ["compare-a", "compare-b"][side];
        view! {
            <div>
                <DropZone id label=Signal::derive(move || state.words().files.sides[side])
                    hint=Signal::derive(state.text(|w| w.files.side_hint)) folders=true disabled=locked take/>
                <p class="hint">{names}</p>
            </div>
        }
    });
    let comparing = move || (state.worker.job.get() == Some(Job::Compare)).then(|| view! { <Comparing/> });
    let compared = move || files.compared.get().map(|found| view! { <Compared found/> });
    view! {
        <section class="result">
            <h3>{state.text(|w| w.files.inspect[0])}</h3>
            <Notice jobs=&[Job::Inspect]/>
            <DropZone id="inspect-input" label=Signal::derive(state.text(|w| w.files.inspect[1]))
                hint=Signal::derive(state.text(|w| w.files.inspect[2])) folders=true disabled=locked take=inspect/>
            {inspected}
        </section>
        <section class="result">
            <h3>{state.text(|w| w.files.compare[0])}</h3>
            <p class="hint">{state.text(|w| w.files.compare[1])}</p>
            <Notice jobs=&[Job::Compare]/>
            {sides.into_iter().collect_view()}
            {comparing}
            {compared}
        </section>
    }
    .into_any()
}

/// How far a comparison is, and the way to end it.
#[component]
fn Comparing() -> impl IntoView {
    let state = expect_context::<PageState>();
    let share = move || match state.worker.progress.get() {
        Some((Stage::LoadModel, done, total)) => {
            format::percent(done, total).map(|percent| (percent as f64 / 100.0).to_string())
        }
        _ => None,
    };
    view! {
        <progress max="1" value=share aria-label=state.text(|w| w.files.comparing)></progress>
        <p class="hint" role="status">{state.text(|w| w.files.comparing)}</p>
        <p class="buttons">
            <button type="button" data-testid="compare-cancel" on:click=move |_| state.end_file_job(Job::Compare)>
                {state.text(|w| w.files.cancel)}
            </button>
        </p>
    }
}
