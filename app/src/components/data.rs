//! Step 3: the data, one of the page's texts or the person's own file, what it is scored on, and the first examples of it.

use super::audit::Audit;
use super::columns::Columns;
use super::data_file::{names, rows};
use super::drop_zone::DropZone;
use super::labels::Labels;
use super::notice::Notice;
use super::notice::worded;
use super::paste::Paste;
use super::preview::Preview;
use super::step::{Step, StepStatus};
use super::validation::Validation;
use crate::bundled::DATA;
use crate::conversation::Job;
use crate::format;
use crate::loaded::DataSource;
use crate::state::PageState;
use crate::state::columns::SHEET;
use leptos::prelude::*;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{DataInfo, Stage};
use web_sys::File;

/// The step of the data.
#[component]
pub fn Data() -> impl IntoView {
    let state = expect_context::<PageState>();
    let failed = move || {
        state
            .worker
            .error
            .with(|error| matches!(error, Some((Job::Data | Job::Preview | Job::Validation, _))))
    };
    let loading = move || state.worker.job.get() == Some(Job::Data);
    let title = move || match state.loaded.data_source.get() {
        DataSource::Bundled(set) => set.title.get(state.language.get()).to_owned(),
        DataSource::Own(files) => names(&files),
    };
    let summary = Signal::derive(move || {
        let words = state.words();
        match state.loaded.data.get() {
            Some(info) => [title().as_str(), words.colon, &rows(state, &info)].concat(),
            None if failed() => words.step_failed.to_owned(),
            None if loading() => words.data_loading.to_owned(),
            None => words.data_none.to_owned(),
        }
    });
    let standing = Signal::derive(move || match state.loaded.data.with(Option::is_some) {
        _ if failed() => StepStatus::Failed,
        true => StepStatus::Ready,
        false if loading() => StepStatus::Busy,
        false => StepStatus::Waiting,
    });
    let locked = Signal::derive(move || state.is_training());
    let sets = DATA.iter().map(move |set| {
        let chosen = move || {
            state
                .loaded
                .data_source
                .with(|source| matches!(source, DataSource::Bundled(other) if *other == set))
        };
        view! {
            <label class="choice">
                <input type="radio" name="data" value=set.file prop:checked=chosen prop:disabled=locked
                    on:change=move |_| state.choose_data(DataSource::Bundled(set))/>
                <span>
                    <b>{move || set.title.get(state.language.get())}</b>
                    <span class="hint">{move || set.about.get(state.language.get())}</span>
                    <span class="hint source">{state.text(|w| w.source)} {state.text(|w| w.colon)} {set.source}</span>
                </span>
            </label>
        }
    });
    let take = move |files: Vec<File>| state.choose_data(DataSource::Own(files));
    view! {
        <Step number=3 id="data" title=Signal::derive(state.text(|w| w.data)) summary standing>
            <Notice jobs=&[Job::Data, Job::Preview]/>
            <fieldset class="choices">
                <legend>{state.text(|w| w.data_bundled)}</legend>
                {sets.collect_view()}
            </fieldset>
            <DropZone id="data-input" label=Signal::derive(state.text(|w| w.data_drop))
                hint=Signal::derive(state.text(|w| w.data_drop_hint)) disabled=locked take/>
            <Paste/>
            <Reading/>
            {move || state.loaded.data.get().map(|info| view! { <Facts info/> })}
            <SheetChoice/>
            <Audit/>
            <Columns/>
            <Labels/>
            <Validation/>
            <Preview/>
        </Step>
    }
}

/// How far reading a large file is, and the way to end it. Screen readers are told that it is read, not of each percent.
#[component]
fn Reading() -> impl IntoView {
    let state = expect_context::<PageState>();
    let percent = Memo::new(move |_| match (state.worker.job.get(), state.worker.progress.get()) {
        (Some(Job::Data), Some((Stage::ReadData, done, total))) => format::percent(done, total),
        _ => None,
    });
    let share = move || percent.get().map(|percent| (percent as f64 / 100.0).to_string());
    let shown = move || {
        let percent = percent.get().map(|percent| format!(" {percent} %"));
        [state.words().data_loading, &percent.unwrap_or_default()].concat()
    };
    let is_long = Memo::new(move |_| percent.get().is_some());
    view! {
        <Show when=move || is_long.get()>
            <progress max="1" value=share aria-hidden="true"></progress>
            <p class="hint" aria-hidden="true">{shown}</p>
            <p class="unseen" role="status">{state.text(|w| w.data_loading)}</p>
            <p class="buttons">
                <button type="button" data-testid="data-cancel" on:click=move |_| state.cancel_reading()>
                    {state.text(|w| w.files.cancel)}
                </button>
            </p>
        </Show>
    }
}

/// What was found in the data.
#[component]
fn Facts(
    /// The data.
    info: DataInfo,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let columns = info.columns.join(", ");
    let notes = info
        .notes
        .into_iter()
        .map(|note| view! { <li>{worded(state, note)}</li> })
        .collect_view();
    view! {
        <div data-testid="data-facts">
            {(!columns.is_empty()).then(|| view! {
                <dl class="facts"><div><dt>{state.text(|w| w.columns)}</dt><dd>{columns}</dd></div></dl>
            })}
            <ul class="hint">{notes}</ul>
        </div>
    }
}

/// Which sheet of a workbook is read, where there are several.
#[component]
fn SheetChoice() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sheets = Memo::new(move |_| {
        let data = state.loaded.data;
        data.with(|data| data.as_ref().map(|info| info.sheets.clone()).unwrap_or_default())
    });
    let is_there = Memo::new(move |_| sheets.with(|sheets| sheets.len() > 1));
    let text = Memo::new(move |_| find(SHEET).map(|knob| state.settings.text(knob)).unwrap_or_default());
    let none = move || text.with(String::is_empty);
    let itself = |name: &String| name.clone();
    let option = move |name: String| {
        let (value, known) = (name.clone(), name.clone());
        let chosen = move || text.with(|text| text == known.trim());
        view! { <option value=value prop:selected=chosen>{name}</option> }
    };
    view! {
        <Show when=move || is_there.get()>
            <label class="inline-field">
                {state.text(|w| w.audit.sheet)} " "
                <select data-testid="sheet" prop:disabled=move || state.is_training()
                    on:change=move |event| state.say_sheet(&event_target_value(&event))>
                    <option value="" prop:selected=none>{state.text(|w| w.audit.encoding_found)}</option>
                    <For each=move || sheets.get() key=itself children=option/>
                </select>
            </label>
        </Show>
    }
}
