//! What the page shows as a link: model, data, settings, prompt, device and language, written into the address behind `#` and
//! read from there when the page is opened.

use crate::bundled;
use crate::i18n::Language;
use crate::loaded::{DataSource, ModelSource};
use crate::settings::Preset;
use crate::state::PageState;
use crate::theme;
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::config::{PageQuery, SMALL_MODELS};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::page as msg;

/// Keys that are no knobs.
const PROMPT: &str = "prompt";
const DEVICE: &str = "device";
const LANGUAGE: &str = "lang";

/// Keys of a run file that stand for model and data.
const MODEL: &str = "model_name_or_path";
const DATA: &str = "train_file";

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

fn take(state: PageState, query: PageQuery) {
    if let Some(tag) = query.get(LANGUAGE) {
        match Language::ALL.into_iter().find(|language| language.tag() == tag) {
            Some(language) => state.language.set(language),
            None => unusable(state, LANGUAGE, tag),
        }
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
    if let Some(prompt) = query.get(PROMPT) {
        state.sample_prompt.set(prompt.to_owned());
    }
    for error in state.settings.take_link(&query) {
        tell(state, error.message());
    }
    state.link.set(query);
}

fn tell(state: PageState, problem: impl Into<Message>) {
    state.link_problems.update(|problems| problems.push(problem.into()));
}

fn unusable(state: PageState, key: &str, value: &str) {
    let error = Error::config(msg::LinkValueUnknown { value }).field(key);
    tell(state, error.message());
}

/// The address of the page as it stands.
///
/// # Errors
/// It would be too long.
pub fn address(state: PageState) -> Result<String, Error> {
    let mut query = state.link.get();
    let (model, data) = (state.model_name(), state.data_name());
    let validation = state.loaded.validation.get().map(|info| info.name);
    state.settings.put_link(&mut query, &model, &data, validation);
    query.set(PROMPT, Some(&state.sample_prompt.get()));
    query.set(LANGUAGE, Some(state.language.get().tag()));
    let device = theme::DEVICES
        .iter()
        .find(|(_, choice)| *choice == state.device_choice.get());
    query.set(DEVICE, device.map(|(name, _)| *name));
    let location = window().location();
    let place = location.origin().unwrap_or_default() + &location.pathname().unwrap_or_default();
    Ok(format!("{place}#{}", query.to_text()?))
}
