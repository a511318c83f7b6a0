//! What is stored in the browser: runs, models and copies of files in lists of one make, what they take, and how they are removed.

use super::focus::{BAR, focus, focus_head, focus_soon};
use super::notice::Notice;
use super::stored_runs::{can_be_opened, can_go_on, can_open_now, is_free, moment, standing};
use crate::conversation::Job;
use crate::format;
use crate::loaded::ModelSource;
use crate::state::PageState;
use crate::storage::Stored;
use crate::stored_runs::title;
use leptos::prelude::*;
use lorakeet_core::protocol::{StoredCopy, StoredModel, StoredRun};
use web_sys::MouseEvent;

/// The button that removes all, and the one that does not after all, on the page.
const FREE_ALL: &str = "free-all";
const KEEP_ALL: &str = "keep-all";

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs.
    Runs,
    /// Models from a hub.
    Models,
    /// Copies of the person's files.
    Files,
}

const KINDS: [Kind; 3] = [Kind::Runs, Kind::Models, Kind::Files];

impl Kind {
    /// The names of a list, a row, and the buttons that remove something and have it back, for tests.
    fn names(self) -> [&'static str; 4] {
        match self {
            Self::Runs => ["stored-runs", "stored-run", "forget", "undo-forget"],
            Self::Models => ["stored-models", "stored-model", "forget-model", "undo-forget-model"],
            Self::Files => ["stored-files", "stored-file", "forget-file", "undo-forget-file"],
        }
    }
}

/// What can be done with something besides removing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The run goes on.
    GoOn,
    /// The run that has ended is opened again.
    Open,
    /// The model is loaded.
    Use,
    /// The model's download goes on.
    Fetch,
}

/// Something that is stored, in the words of the language in use.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    what: Stored,
    name: String,
    /// Where it stands, what it takes, and since when it is there.
    about: String,
    bytes: u64,
    actions: Vec<Action>,
    /// Nobody uses it, so that it can be removed.
    is_idle: bool,
    /// It was removed a moment ago.
    leaves: bool,
}

/// Parts of a line, with a point between those that there are.
fn line(parts: [Option<String>; 3]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn run_item(state: PageState, run: &StoredRun) -> Item {
    let (started, standing) = (moment(state, run.record.started_ms), standing(state, run));
    Item {
        what: Stored::Run(run.record.id.clone()),
        name: title(&run.record),
        about: line([Some(started), Some(standing), Some(format::bytes(run.bytes))]),
        bytes: run.bytes,
        actions: can_go_on(run)
            .then_some(Action::GoOn)
            .into_iter()
            .chain(can_be_opened(run).then_some(Action::Open))
            .collect(),
        is_idle: !run.is_under_way,
        leaves: false,
    }
}

fn model_item(state: PageState, model: &StoredModel) -> Item {
    let words = state.words().hub;
    let (there, all) = (format::bytes(model.there_bytes), format::bytes(model.bytes));
    let size = match model.is_whole {
        true => all,
        false => (words.part)(&there, &all),
    };
    let is_it = |source: &ModelSource| matches!(source, ModelSource::Stored { folder, .. } if *folder == model.folder);
    let is_loaded = state.loaded.model_source.with(is_it) && state.loaded.model.with(Option::is_some);
    let action = match (model.is_whole, model.is_under_way) {
        (_, true) => None,
        (true, _) => (!is_loaded).then_some(Action::Use),
        (false, _) => Some(Action::Fetch),
    };
    let written = model.written_ms.map(|written| moment(state, written as f64));
    let standing = model.is_under_way.then(|| words.under_way.to_owned());
    Item {
        what: Stored::Model(model.folder.clone()),
        name: model.name(),
        about: line([written, standing, Some(size)]),
        bytes: model.there_bytes,
        actions: action.into_iter().collect(),
        is_idle: !model.is_under_way,
        leaves: false,
    }
}

fn file_item(state: PageState, file: &StoredCopy) -> Item {
    let words = state.words().stored;
    let started = file.started_ms.map(|started| moment(state, started));
    let needed = (words.needed_by)(file.runs);
    Item {
        what: Stored::File(file.copy.clone()),
        name: file.name.clone().unwrap_or_else(|| words.nameless.to_owned()),
        about: line([started, Some(needed), Some(format::bytes(file.bytes))]),
        bytes: file.bytes,
        actions: Vec::new(),
        is_idle: is_free(state),
        leaves: false,
    }
}

/// What there is of a kind; what was removed a moment ago stands behind the rest.
fn items(state: PageState, kind: Kind) -> Vec<Item> {
    let mut items: Vec<Item> = match kind {
        Kind::Runs => state
            .stored
            .runs
            .with(|runs| runs.iter().map(|run| run_item(state, run)).collect()),
        Kind::Models => state
            .hub
            .models
            .with(|models| models.iter().map(|model| model_item(state, model)).collect()),
        Kind::Files => state
            .storage
            .copies
            .with(|copies| copies.iter().map(|copy| file_item(state, copy)).collect()),
    };
    let (leaving, going) = (state.storage.leaving.get(), state.storage.going.get());
    items.retain(|item| !going.contains(&item.what));
    for item in &mut items {
        item.leaves = leaving.contains(&item.what);
    }
    items.sort_by_key(|item| item.leaves);
    items
}

/// How many of these stay, and what they take.
fn staying(items: &[Item]) -> (usize, u64) {
    let staying = items.iter().filter(|item| !item.leaves);
    staying.fold((0, 0), |(count, bytes), item| (count + 1, bytes + item.bytes))
}

/// Does what can be done with something.
fn act(state: PageState, what: &Stored, action: Action) {
    let model = |folder: &String| {
        let is_it = |model: &&StoredModel| model.folder == *folder;
        state
            .hub
            .models
            .with_untracked(|models| models.iter().find(is_it).cloned())
    };
    match (what, action) {
        (Stored::Run(id), Action::GoOn | Action::Open) => {
            let is_it = |run: &&StoredRun| run.record.id == *id;
            let run = state
                .stored
                .runs
                .with_untracked(|runs| runs.iter().find(is_it).cloned());
            match (run, action) {
                (Some(run), Action::Open) => {
                    // What comes of it is shown there.
                    focus("train");
                    state.open_run(run.record);
                }
                (Some(run), _) => {
                    state.go_on(run);
                    focus(BAR);
                }
                (None, _) => {}
            }
        }
        (Stored::Model(folder), Action::Use) => {
            if let Some(model) = model(folder) {
                state.choose_stored(&model);
            }
        }
        (Stored::Model(folder), Action::Fetch) => {
            if let Some(model) = model(folder) {
                state.download_on(&model);
            }
        }
        _ => {}
    }
}

/// What is stored of a kind.
#[component]
pub fn StoredList(
    /// Of which.
    kind: Kind,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let items = Memo::new(move |_| items(state, kind));
    let list = kind.names()[0];
    let title = move || {
        let (words, (count, bytes)) = (state.words(), items.with(|items| staying(items)));
        let size = format::bytes(bytes);
        match kind {
            Kind::Runs => (words.runs.title)(count, &size),
            Kind::Models => (words.hub.stored)(count, &size),
            Kind::Files => (words.stored.files)(count, &size),
        }
    };
    // One that changes is another row.
    let key = |item: &Item| {
        let text = format!("{:?} {:?} {} {}", item.what, item.actions, item.name, item.about);
        (text, item.is_idle, item.leaves)
    };
    view! {
        <Show when=move || items.with(|items| !items.is_empty())>
            <section data-testid=list>
                <p class="run-name">{title}</p>
                <ul class="run-list">
                    <For each=move || items.get() key=key let:item>
                        <Row kind item/>
                    </For>
                </ul>
            </section>
        </Show>
    }
}

#[component]
fn Row(kind: Kind, item: Item) -> impl IntoView {
    let state = expect_context::<PageState>();
    let [_, row, forget, undo] = kind.names();
    let (name, about, what) = (item.name.clone(), item.about.clone(), item.what.clone());
    // Each of both buttons takes the other's place, and the keyboard.
    let [forget_id, undo_id] = [forget, undo].map(|button| format!("{button}-{}", what.key()));
    if item.leaves {
        let text = move || (state.words().stored.deleted)(&name);
        let keep = move |_| {
            state.keep(&what);
            focus_soon(forget_id.clone());
        };
        return view! {
            <li>
                <span role="status">{text}</span>
                <span class="buttons">
                    <button type="button" id=undo_id data-testid=undo on:click=keep>{state.text(|w| w.runs.undo)}</button>
                </span>
            </li>
        }
        .into_any();
    }
    let is_idle = item.is_idle;
    let target = what.clone();
    let button = move |action: Action| {
        let (name, label): (_, fn(&'static crate::i18n::Words) -> &'static str) = match action {
            Action::GoOn => ("go-on-run", |w| w.runs.go_on),
            Action::Open => ("open-run", |w| w.runs.open_again),
            Action::Use => ("use-model", |w| w.hub.use_it),
            Action::Fetch => ("go-on-model", |w| w.hub.go_on),
        };
        let is_off = move || match action {
            Action::GoOn => !is_free(state),
            Action::Open => !can_open_now(state),
            Action::Use | Action::Fetch => !state.hub_is_free(),
        };
        let target = target.clone();
        let press = move |event: MouseEvent| {
            // The button goes, and what comes of it is told at the head of its step.
            if matches!(action, Action::Use | Action::Fetch) {
                focus_head(&event);
            }
            act(state, &target, action);
        };
        view! { <button type="button" data-testid=name prop:disabled=is_off on:click=press>{state.text(label)}</button> }
    };
    let buttons: Vec<_> = item.actions.into_iter().map(button).collect();
    let remove = is_idle.then(|| {
        let press = move |_| {
            state.forget(what.clone());
            focus_soon(undo_id.clone());
        };
        view! { <button type="button" id=forget_id data-testid=forget on:click=press>{state.text(|w| w.runs.delete)}</button> }
    });
    view! {
        <li data-testid=row>
            <span class="run-name">{name}</span>
            <span class="hint">{about}</span>
            <span class="buttons">{buttons} {remove}</span>
        </li>
    }
    .into_any()
}

/// All that is stored, what it takes, and how all of it is removed.
#[component]
pub fn Storage() -> impl IntoView {
    let state = expect_context::<PageState>();
    let asks = RwSignal::new(false);
    // Whether there is anything, what was removed a moment ago included, and what the rest takes.
    let stock = Memo::new(move |_| {
        let all = KINDS.map(|kind| items(state, kind)).concat();
        (!all.is_empty(), staying(&all).1)
    });
    let has_store = move || state.stored.has_store.get();
    let is_there = move || has_store() && stock.get().0;
    let size = move || format::bytes(stock.get().1);
    let room = move || {
        let (words, told) = (state.words().stored, state.storage.room.get());
        let size = |bytes: f64| format::bytes(bytes as u64);
        let taken = told.used.zip(told.quota);
        let taken = taken.map(|(used, quota)| (words.room)(&size(used), &size(quota)));
        let stays = told.stays.map(|stays| (words.stays)(stays).to_owned());
        taken.into_iter().chain(stays).collect::<Vec<_>>().join(" ")
    };
    // The question takes the button's place, and the keyboard; the button has both back, unless its list goes.
    let ask = move |_| {
        asks.set(true);
        focus_soon(KEEP_ALL.to_owned());
    };
    let keep_all = move |_| {
        asks.set(false);
        focus_soon(FREE_ALL.to_owned());
    };
    let free_all = move |_| {
        asks.set(false);
        state.free_all();
        focus("train");
    };
    view! {
        <Notice jobs=&[Job::Runs, Job::Forget]/>
        <Show when=move || !has_store()>
            <p class="hint" data-testid="no-store">{state.text(|w| w.stored.none)}</p>
        </Show>
        <Show when=is_there>
            <details class="stored-runs" data-testid="storage">
                <summary>{move || (state.words().stored.title)(&size())}</summary>
                <p class="hint">{state.text(|w| w.runs.hint)}</p>
                <p class="hint" data-testid="storage-room">{room}</p>
                <StoredList kind=Kind::Runs/>
                <StoredList kind=Kind::Models/>
                <StoredList kind=Kind::Files/>
                <Show when=move || asks.get()>
                    <p role="status" data-testid="free-all-size">{move || (state.words().stored.sure)(&size())}</p>
                    <p class="buttons">
                        <button type="button" data-testid="free-all-now" on:click=free_all>
                            {move || (state.words().stored.free_now)(&size())}
                        </button>
                        <button type="button" class="quiet" id=KEEP_ALL on:click=keep_all>{state.text(|w| w.hub.cancel)}</button>
                    </p>
                </Show>
                <Show when=move || !asks.get()>
                    <p class="buttons">
                        <button type="button" id=FREE_ALL data-testid="free-all" prop:disabled=move || !is_free(state)
                            on:click=ask>{state.text(|w| w.stored.free_all)}</button>
                    </p>
                </Show>
            </details>
        </Show>
    }
}
