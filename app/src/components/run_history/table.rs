//! The table of stored runs: one row a run, the newest first, with its name and tags to be changed in place.

use crate::components::focus::{focus, focus_soon};
use crate::components::stored_runs::{can_be_opened, can_go_on, can_open_now, is_free, moment, standing};
use crate::curves::Axis;
use crate::format;
use crate::history::MOST;
use crate::state::PageState;
use crate::storage::Stored;
use crate::stored_runs::{name_of, title};
use leptos::html::Input;
use leptos::prelude::*;
use lorakeet_core::protocol::{RunLabels, StoredRun};
use lorakeet_lab::pictures::path;

/// Whether all words that are searched for are in what is told of a run.
fn is_found(state: PageState, run: &StoredRun, wanted: &str) -> bool {
    let record = &run.record;
    let mut told = vec![title(record), name_of(&record.model), name_of(&record.data)];
    told.push((state.words().tasks.name)(record.task).to_owned());
    told.push(record.task.name().to_owned());
    told.extend(record.labels.tags.iter().cloned());
    let told = told.join("\n").to_lowercase();
    wanted.to_lowercase().split_whitespace().all(|word| told.contains(word))
}

/// The run of an id; tracked.
fn found(state: PageState, id: &str) -> Option<StoredRun> {
    state
        .stored
        .runs
        .with(|runs| runs.iter().find(|run| run.record.id == id).cloned())
}

/// The button that removes a run, and the one that has it back: each takes the other's place, and the keyboard.
fn forget_id(id: &str) -> String {
    format!("run-forget-{id}")
}

fn undo_id(id: &str) -> String {
    format!("run-undo-{id}")
}

/// Changes what a run is called.
fn label(state: PageState, id: &str, change: impl FnOnce(&mut RunLabels)) {
    if let Some(run) = untrack(|| found(state, id)) {
        let mut labels = run.record.labels;
        change(&mut labels);
        state.label_run(id.to_owned(), labels);
    }
}

/// All runs that are found.
#[component]
pub fn RunTable() -> impl IntoView {
    let state = expect_context::<PageState>();
    let search = state.history.search;
    // The ids, and whether the run was removed a moment ago: it stays in its place with the way back.
    let rows = Memo::new(move |_| {
        let wanted = search.get();
        let (leaving, going) = (state.storage.leaving.get(), state.storage.going.get());
        state.stored.runs.with(|runs| {
            let found = runs.iter().filter(|run| is_found(state, run, &wanted));
            let named = found.map(|run| (run.record.id.clone(), Stored::Run(run.record.id.clone())));
            let staying = named.filter(|(_, what)| !going.contains(what));
            staying
                .map(|(id, what)| (id, leaving.contains(&what)))
                .collect::<Vec<(String, bool)>>()
        })
    });
    let heads = move || {
        let heads = state.words().history.columns.into_iter();
        heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view()
    };
    view! {
        <label class="field run-search">
            <span class="field-name">{state.text(|w| w.history.search)}</span>
            <input type="text" data-testid="run-search" autocomplete="off" spellcheck="false" prop:value=search
                on:input=move |event| search.set(event_target_value(&event))/>
        </label>
        <div class="table-scroll">
            <table class="run-table" data-testid="run-table">
                <thead><tr>{heads}</tr></thead>
                <tbody>
                    <For each=move || rows.get() key=|row: &(String, bool)| row.clone() let:row>
                        <Row row/>
                    </For>
                </tbody>
            </table>
        </div>
        <p role="status" data-testid="none-found">
            {move || rows.with(Vec::is_empty).then(|| state.words().history.none_found)}
        </p>
    }
}

#[component]
fn Row(
    /// The run's id, and whether it was removed a moment ago.
    row: (String, bool),
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let (id, leaves) = row;
    let run = {
        let id = id.clone();
        Memo::new(move |_| found(state, &id))
    };
    let name = Memo::new(move |_| run.with(|run| run.as_ref().map(|run| title(&run.record)).unwrap_or_default()));
    if leaves {
        let undo_id = undo_id(&id);
        let keep = move |_| {
            state.keep(&Stored::Run(id.clone()));
            focus_soon(forget_id(&id));
        };
        return view! {
            <tr>
                <td colspan="8">
                    <span class="buttons">
                        <span role="status">{move || (state.words().stored.deleted)(&name.get())}</span>
                        <button type="button" id=undo_id data-testid="run-undo" on:click=keep>{state.text(|w| w.runs.undo)}</button>
                    </span>
                </td>
            </tr>
        }
        .into_any();
    }
    let told = move |tell: fn(PageState, &StoredRun) -> String| {
        move || run.with(|run| run.as_ref().map(|run| tell(state, run)).unwrap_or_default())
    };
    view! {
        <tr data-testid="run-row">
            <td><Choice id=id.clone() name/></td>
            <td>
                <Name id=id.clone() run name/>
                <p class="hint">{told(|state, run| moment(state, run.record.started_ms))}</p>
                <Tags id=id.clone() run name/>
            </td>
            <td>{told(|state, run| (state.words().tasks.name)(run.record.task).to_owned())}</td>
            <td class="run-inputs">
                <p>{told(|_, run| name_of(&run.record.model))}</p>
                <p>{told(|_, run| name_of(&run.record.data))}</p>
            </td>
            <td>{told(standing)}</td>
            <td class="number-cell">
                <p data-testid="run-score">{told(score)}</p>
                <p class="hint">{told(baseline)}</p>
            </td>
            <td><Sparkline run/></td>
            <td><Actions id run/></td>
        </tr>
    }
    .into_any()
}

fn score(state: PageState, run: &StoredRun) -> String {
    match &run.record.score {
        Some(score) => (state.words().history.score)(&score.metric, &format::loss(score.best), score.step),
        None => "–".to_owned(),
    }
}

fn baseline(state: PageState, run: &StoredRun) -> String {
    let Some((value, kind)) = run
        .record
        .score
        .as_ref()
        .and_then(|score| score.baseline.zip(score.against))
    else {
        return String::new();
    };
    let what = kind.message().text(state.language.get());
    (state.words().history.baseline)(&format::loss(value), &what)
}

/// The box by which a run is compared.
#[component]
fn Choice(id: String, name: Memo<String>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let history = state.history;
    let is_chosen = {
        let id = id.clone();
        Memo::new(move |_| history.chosen.with(|chosen| chosen.contains(&id)))
    };
    let is_full = move || !is_chosen.get() && history.chosen.with(|chosen| chosen.len() >= MOST);
    let choose = move |event| history.choose(&id, event_target_checked(&event));
    view! {
        <label class="check">
            <input type="checkbox" data-testid="run-choice" aria-label=move || (state.words().history.compare)(&name.get())
                prop:checked=move || is_chosen.get() prop:disabled=is_full on:change=choose/>
        </label>
    }
}

/// What a run is called, to be changed in place.
#[component]
fn Name(id: String, run: Memo<Option<StoredRun>>, name: Memo<String>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let value = move || {
        run.with(|run| {
            run.as_ref()
                .and_then(|run| run.record.labels.name.clone())
                .unwrap_or_default()
        })
    };
    let rename = move |event| {
        let name = event_target_value(&event);
        label(state, &id, |labels| labels.name = Some(name));
    };
    view! {
        <input type="text" class="run-title" data-testid="run-name" autocomplete="off" maxlength=RunLabels::MOST_CHARACTERS
            aria-label=move || (state.words().history.name)(&name.get()) placeholder=move || name.get() prop:value=value
            prop:disabled=move || is_locked(state, run) on:change=rename/>
    }
}

/// Whether a run's name and tags have to stay: a run is under way.
fn is_locked(state: PageState, run: Memo<Option<StoredRun>>) -> bool {
    !is_free(state) || run.with(|run| run.as_ref().is_some_and(|run| run.is_under_way))
}

/// A run's tags, and the field for another one.
#[component]
fn Tags(id: String, run: Memo<Option<StoredRun>>, name: Memo<String>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let adder = NodeRef::<Input>::new();
    let tags = Memo::new(move |_| {
        run.with(|run| {
            run.as_ref()
                .map(|run| run.record.labels.tags.clone())
                .unwrap_or_default()
        })
    });
    let add = {
        let id = id.clone();
        move |_| {
            let Some(input) = adder.get_untracked() else { return };
            let tag = input.value();
            input.set_value("");
            if !tag.trim().is_empty() {
                label(state, &id, |labels| labels.tags.push(tag));
            }
        }
    };
    let chip = move |tag: String| {
        let (id, gone, spoken) = (id.clone(), tag.clone(), tag.clone());
        let remove = move |_| {
            label(state, &id, |labels| labels.tags.retain(|known| *known != gone));
            // The button goes with its tag.
            if let Some(input) = adder.get_untracked() {
                let _ = input.focus();
            }
        };
        view! {
            <li class="tag">
                {tag}
                <button type="button" class="quiet" data-testid="run-tag-remove" prop:disabled=move || is_locked(state, run)
                    aria-label=move || (state.words().history.remove_tag)(&spoken) on:click=remove>"×"</button>
            </li>
        }
    };
    view! {
        <ul class="tags" data-testid="run-tags">
            <For each=move || tags.get() key=|tag: &String| tag.clone() children=chip/>
        </ul>
        <input type="text" class="tag-input" data-testid="run-tag-add" autocomplete="off" maxlength=RunLabels::MOST_CHARACTERS
            node_ref=adder aria-label=move || (state.words().history.add_tag)(&name.get()) placeholder=state.text(|w| w.history.tag)
            prop:disabled=move || is_locked(state, run) on:change=add/>
    }
}

/// The training loss in a small picture, and its ends in numbers.
fn drawn(run: &StoredRun) -> (String, String) {
    let points = run.sparkline.iter().enumerate();
    let points = points.map(|(place, loss)| (place as f64, f64::from(*loss)));
    let line: Vec<(f64, f64)> = points.filter(|point| point.1.is_finite()).collect();
    let (Some(first), Some(last)) = (line.first(), line.last()) else {
        return (String::new(), "–".to_owned());
    };
    let columns = Axis::steps(run.sparkline.len() - 1, 2);
    let rows = Axis::around(line.iter().map(|point| point.1), 4);
    let ends = format!("{} → {}", format::loss(first.1), format::loss(last.1));
    (path(&line, &columns, &rows), ends)
}

#[component]
fn Sparkline(run: Memo<Option<StoredRun>>) -> impl IntoView {
    let drawn = Memo::new(move |_| run.with(|run| run.as_ref().map(drawn).unwrap_or_default()));
    view! {
        <svg class="sparkline" data-testid="run-sparkline" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
            <path class="line-small" d=move || drawn.with(|drawn| drawn.0.clone())></path>
        </svg>
        <p class="hint">{move || drawn.with(|drawn| drawn.1.clone())}</p>
    }
}

/// What can be done with a run.
#[component]
fn Actions(id: String, run: Memo<Option<StoredRun>>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let goes_on = Memo::new(move |_| run.with(|run| run.as_ref().is_some_and(can_go_on)));
    let is_idle = Memo::new(move |_| run.with(|run| run.as_ref().is_some_and(|run| !run.is_under_way)));
    let go_on = move |_| {
        if let Some(run) = run.get_untracked() {
            // What comes of it is shown there.
            focus("train");
            state.go_on(run);
        }
    };
    let take = move |_| {
        if let Some(run) = run.get_untracked() {
            state.take_settings(&run);
        }
    };
    let is_over = Memo::new(move |_| run.with(|run| run.as_ref().is_some_and(can_be_opened)));
    let open = move |_| {
        if let Some(run) = run.get_untracked() {
            focus("train");
            state.open_run(run.record);
        }
    };
    let forget_id = forget_id(&id);
    let remove = move |_| {
        state.forget(Stored::Run(id.clone()));
        focus_soon(undo_id(&id));
    };
    view! {
        <span class="buttons">
            <Show when=move || goes_on.get()>
                <button type="button" data-testid="run-go-on" prop:disabled=move || !is_free(state) on:click=go_on>
                    {state.text(|w| w.runs.go_on)}
                </button>
            </Show>
            <Show when=move || is_over.get()>
                <button type="button" data-testid="run-open" prop:disabled=move || !can_open_now(state) on:click=open>
                    {state.text(|w| w.runs.open_again)}
                </button>
            </Show>
            <button type="button" data-testid="run-use" prop:disabled=move || !is_free(state) on:click=take>
                {state.text(|w| w.history.use_settings)}
            </button>
            <button type="button" id=forget_id data-testid="run-forget" prop:disabled=move || !is_idle.get() on:click=remove>
                {state.text(|w| w.runs.delete)}
            </button>
        </span>
    }
}
