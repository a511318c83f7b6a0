//! What the page shows as a link: task, model, data, settings, prompt, device, language and theme, written into the address
//! behind `#` and read from there when the page is opened; with the results of a run, too, and with what is looked at of stored
//! runs. It is the state of a lab (`lorakeet_lab::options`) as far as both speak of the same: a page that is opened with a lesson's
//! state offers the lesson and takes its settings.

use crate::bundled;
use crate::i18n::Language;
use crate::lessons;
use crate::loaded::{DataSource, ModelSource};
use crate::results::RunResult;
use crate::settings::Preset;
use crate::state::PageState;
use crate::theme::{self, Theme};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::{PageQuery, SMALL_MODELS};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::page as msg;
pub use lorakeet_lab::options::LESSON;
use lorakeet_lab::options::{AFTER, BEFORE, DEVICE, LANGUAGE, PART, PREDICTED, THEME};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::spawn_local;
use web_sys::Url;

/// Keys that are no knobs, besides those of a lab.
const PROMPT: &str = "prompt";
const VIEW: &str = "view";

/// The value of [`VIEW`] that leaves out all but training, for a frame in another page.
const COMPACT: &str = "compact";
const FULL: &str = "full";

/// Keys of a run file that stand for model and data.
const MODEL: &str = "model_name_or_path";
const DATA: &str = "train_file";

/// The lab in a frame, and the script of its element, beside the page.
const LAB_PAGE: &str = "embed.html";
const LAB_SCRIPT: &str = "lab.js";

/// The part of the address behind `#`, where it is a link's.
fn of_address() -> Option<String> {
    let hash = window().location().hash().unwrap_or_default();
    let text = hash.strip_prefix('#')?;
    PageQuery::is_one(text).then(|| text.to_owned())
}

/// Takes what the page's address says, before anything is loaded. What cannot be used is told above the steps, and is then as on
/// a page without a link.
pub fn open(state: PageState) {
    // Another link in the same tab opens the page anew.
    let renewed = window_event_listener(leptos::ev::hashchange, |_| {
        if of_address().is_some() {
            let _ = window().location().reload();
        }
    });
    on_cleanup(move || renewed.remove());
    let Some(text) = of_address() else { return };
    match PageQuery::parse(&text) {
        Ok(query) => take(state, query),
        Err(error) => tell(state, error.message()),
    }
}

fn take(state: PageState, mut query: PageQuery) {
    if let Some(tag) = query.get(LANGUAGE) {
        // A lab takes `zh` and `zh-CN`, too.
        let of_tag = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
        match Language::ALL
            .into_iter()
            .find(|language| of_tag(language.tag()) == of_tag(tag))
        {
            Some(language) => state.language.set(language),
            None => unusable(state, LANGUAGE, tag),
        }
    }
    if let Some(name) = query.get(THEME) {
        match Theme::named(name) {
            Some(theme) => state.theme.set(theme),
            None => unusable(state, THEME, name),
        }
    }
    match query.get(VIEW) {
        None | Some(FULL) => {}
        Some(COMPACT) => state.is_compact.set(true),
        Some(other) => unusable(state, VIEW, other),
    }
    if let Some(name) = query.get(DEVICE) {
        match theme::DEVICES.iter().find(|(known, _)| *known == name) {
            Some((_, choice)) => state.device_choice.set(*choice),
            None => unusable(state, DEVICE, name),
        }
    }
    let small = query
        .get(MODEL)
        .and_then(|name| SMALL_MODELS.iter().find(|known| **known == name));
    match (query.get(MODEL), small) {
        (_, Some(name)) => {
            state.loaded.model_source.set(ModelSource::Small(name));
            state.settings.start_for(Preset::Small);
        }
        (None | Some(bundled::MODEL_FOLDER), None) => {}
        (Some(file), None) => tell(state, msg::LinkNamesModel { file }),
    }
    if let Some(file) = query.get(DATA) {
        match bundled::DATA.iter().find(|set| set.file == file) {
            Some(set) => {
                state.loaded.data_source.set(DataSource::Bundled(set));
                state.sample_prompt.set(set.prompt.into());
            }
            None => tell(state, msg::LinkNamesData { file }),
        }
    }
    for (key, value) in state.history.take(&mut query) {
        unusable(state, key, &value);
    }
    if let Some(prompt) = query.get(PROMPT) {
        state.sample_prompt.set(prompt.to_owned());
    }
    for error in state.settings.take_link(&query) {
        tell(state, error.message());
    }
    if let Some(id) = query.get(LESSON) {
        state.lesson.set(Some(id.to_owned()));
        fetch_lessons(state);
    }
    state.link.set(query);
}

/// Writes into the address which stored runs are looked at, so that a reload shows the same, where `writes`. A link that is shared is
/// without them: nobody else has these runs.
pub fn keep_view(state: PageState, writes: bool) {
    let mut query = state.link.get();
    state.history.put(&mut query);
    // An address that would be too long stays as it is.
    let Some(text) = query.to_text().ok().filter(|_| writes) else {
        return;
    };
    let search = window().location().search().unwrap_or_default();
    // What says nothing but its version is no link.
    let hash = if text.contains('&') {
        format!("#{text}")
    } else {
        String::new()
    };
    if let Ok(history) = window().history() {
        // A frame may be refused; the view is then gone with the page.
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&format!("{}{search}{hash}", place())));
    }
}

/// Shows the results that the link brought, once the engine was started.
pub fn show_results(state: PageState) {
    let prompt = state.sample_prompt.get_untracked();
    match state.link.with_untracked(|query| RunResult::read(query, &prompt)) {
        Ok(Some(result)) => state.training.show(result),
        Ok(None) => {}
        Err((key, value)) => unusable(state, key, &value),
    }
}

/// Says above the steps what of the link cannot be used.
pub fn tell(state: PageState, problem: impl Into<Message>) {
    state.link_problems.update(|problems| problems.push(problem.into()));
}

/// Names a value of the link that is not known.
pub fn unusable(state: PageState, key: &str, value: &str) {
    let error = Error::config(msg::LinkValueUnknown { value }).field(key);
    tell(state, error.message());
}

/// What a link to the page has besides the page as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sharing {
    /// What the run came to, where it is over.
    pub results: bool,
    /// All but training is left out.
    pub compact: bool,
}

/// The address of the page as it stands.
///
/// # Errors
/// It would be too long.
pub fn address(state: PageState, sharing: Sharing) -> Result<String, Error> {
    let mut query = state.link.get();
    let (model, data) = (state.model_name(), state.data_name());
    let validation = state.loaded.validation.get().map(|info| info.name);
    state.settings.put_link(&mut query, &model, &data, validation);
    query.set(PROMPT, Some(&state.sample_prompt.get()));
    query.set(LESSON, state.lesson.get().as_deref());
    put_look(state, &mut query);
    query.set(VIEW, sharing.compact.then_some(COMPACT));
    RunResult::take_out(&mut query);
    if let Some(result) = result(state).filter(|_| sharing.results) {
        if let Some(sample) = result.samples.first() {
            query.set(PROMPT, Some(&sample.prompt));
        }
        result.put(&mut query);
    }
    Ok(format!("{}#{}", place(), query.to_text()?))
}

/// What the last run came to, where it is over.
pub fn result(state: PageState) -> Option<RunResult> {
    let device = state.worker.device.get().map(|device| device.kind);
    state.training.result(device)
}

/// The address of a lesson, with what was set here that differs from the start values.
///
/// # Errors
/// It would be too long.
pub fn lesson_address(state: PageState, id: &str) -> Result<String, Error> {
    Ok(format!("{}#{}", beside(LAB_PAGE), lesson_state(state, id).to_text()?))
}

/// The state of a lesson: the one that the page was opened with, with what was set here.
fn lesson_state(state: PageState, id: &str) -> PageQuery {
    let opened = state.link.get();
    let mut query = opened.clone();
    let is_opened = opened.get(LESSON) == Some(id);
    if !is_opened {
        // They answer another lesson's questions.
        [PART, BEFORE, PREDICTED, AFTER]
            .iter()
            .for_each(|key| query.set(key, None));
    }
    query.set(LESSON, Some(id));
    let given = if is_opened { opened } else { PageQuery::default() };
    state.settings.put_lesson(&mut query, &given);
    [PROMPT, VIEW].iter().for_each(|key| query.set(key, None));
    RunResult::take_out(&mut query);
    put_look(state, &mut query);
    query
}

/// Language, theme and device, as page and lab write them.
fn put_look(state: PageState, query: &mut PageQuery) {
    query.set(LANGUAGE, Some(state.language.get().tag()));
    let theme = state.theme.get();
    query.set(THEME, (theme != Theme::Auto).then(|| theme.name()));
    let device = theme::DEVICES
        .iter()
        .find(|(_, choice)| *choice == state.device_choice.get());
    query.set(DEVICE, device.map(|(name, _)| *name));
}

/// An ordinary frame with an address. A lab has no links to other pages, and the page has one to the whole of itself.
pub fn frame(address: &str, title: &str, is_page: bool) -> String {
    let (address, title) = (escaped(address), escaped(title));
    let more = if is_page { " allow-popups" } else { "" };
    format!(
        "<iframe src=\"{address}\"\n        title=\"{title}\" width=\"100%\" height=\"760\" loading=\"lazy\" \
         referrerpolicy=\"no-referrer\"\n        allow=\"fullscreen; clipboard-write; screen-wake-lock\"\n        \
         sandbox=\"allow-scripts allow-same-origin allow-downloads{more}\"></iframe>"
    )
}

/// A lesson as an element, with the script that defines it and a link in place of it where there is no script.
///
/// # Errors
/// The state would be too long.
pub fn element(state: PageState, id: &str, title: &str) -> Result<String, Error> {
    let text = lesson_state(state, id).to_text()?;
    let (script, text) = (escaped(&beside(LAB_SCRIPT)), escaped(&text));
    let (address, title) = (escaped(&lesson_address(state, id)?), escaped(title));
    let language = state.language.get().tag();
    Ok(format!(
        "<script type=\"module\" src=\"{script}\"></script>\n<lorakeet-lab lesson=\"{id}\" label=\"{title}\" \
         lang=\"{language}\"\n  state=\"{text}\">\n  <p><a href=\"{address}\">{title}</a></p>\n</lorakeet-lab>",
        id = escaped(id),
    ))
}

fn escaped(text: &str) -> String {
    lorakeet_lab::pictures::escaped(text)
}

/// The page's own address, without what is behind it.
fn place() -> String {
    let location = window().location();
    location.origin().unwrap_or_default() + &location.pathname().unwrap_or_default()
}

/// The address of a file beside the page.
fn beside(file: &str) -> String {
    Url::new_with_base(file, &place()).map_or_else(|_| file.to_owned(), |url| url.href())
}

/// Fetches the list of lessons where it is not there yet. A lesson that the page's link names and that is not in it is told above the steps.
pub fn fetch_lessons(state: PageState) {
    if state.lessons.with_untracked(|lessons| !lessons.is_empty()) {
        return;
    }
    spawn_local(async move {
        let lessons = lessons::list().await.unwrap_or_default();
        let wanted = state.lesson.get_untracked();
        let unknown = wanted.filter(|id| !lessons.iter().any(|lesson| lesson.id == *id));
        if let Some(id) = unknown {
            state.lesson.set(None);
            match lessons.is_empty() {
                true => tell(state, msg::LessonsNotFetched),
                false => unusable(state, LESSON, &id),
            }
        }
        state.lessons.set(lessons);
    });
}
