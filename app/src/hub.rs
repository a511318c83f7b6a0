//! Models from a hub, as the page knows them: which hub and which model, what it is made of, how far its download is, and what is
//! in the browser's storage.

use crate::theme;
use leptos::prelude::*;
use lorakeet_core::protocol::{ENDPOINT, HubListing, HubProgress, HubSource, HubToken, StoredModel};

const ENDPOINT_KEY: &str = "lorakeet-hub";
const TOKEN_KEY: &str = "lorakeet-hub-token";
/// What the names of folders of stored models begin with, as the engine gives them.
const FOLDERS: &str = "model-";

/// Models from a hub.
#[derive(Clone, Copy)]
pub struct HubModels {
    /// The name that was written.
    pub name: RwSignal<String>,
    /// The hub's address.
    pub endpoint: RwSignal<String>,
    /// What opens gated models.
    pub token: RwSignal<String>,
    /// Whether this browser keeps it.
    pub keeps_token: RwSignal<bool>,
    /// What was asked for last.
    pub asked: RwSignal<Option<HubSource>>,
    /// What it is made of.
    pub listing: RwSignal<Option<HubListing>>,
    /// How far the download under way is.
    pub progress: RwSignal<Option<HubProgress>>,
    /// The model that is loaded once the store was looked at.
    pub fetched: StoredValue<Option<String>>,
    /// Models in the store.
    pub models: RwSignal<Vec<StoredModel>>,
}

impl HubModels {
    /// Nothing is asked yet.
    pub fn new() -> Self {
        let token = theme::read(TOKEN_KEY).filter(|token| !token.is_empty());
        let endpoint = theme::read(ENDPOINT_KEY).filter(|address| !address.is_empty());
        Self {
            name: RwSignal::new(String::new()),
            endpoint: RwSignal::new(endpoint.unwrap_or_else(|| ENDPOINT.to_owned())),
            keeps_token: RwSignal::new(token.is_some()),
            token: RwSignal::new(token.unwrap_or_default()),
            asked: RwSignal::new(None),
            listing: RwSignal::new(None),
            progress: RwSignal::new(None),
            fetched: StoredValue::new(None),
            models: RwSignal::new(Vec::new()),
        }
    }

    /// Takes another hub, and keeps its address.
    pub fn take_endpoint(self, address: String) {
        let address = address.trim().to_owned();
        theme::write(ENDPOINT_KEY, &address);
        self.endpoint.set(match address.is_empty() {
            true => ENDPOINT.to_owned(),
            false => address,
        });
        self.listing.set(None);
    }

    /// Takes a token, and keeps it where that was asked for.
    pub fn take_token(self, token: String) {
        self.token.set(token.trim().to_owned());
        self.keep_token(self.keeps_token.get_untracked());
    }

    /// Keeps the token in this browser, or keeps it no longer.
    pub fn keep_token(self, wanted: bool) {
        self.keeps_token.set(wanted);
        match wanted {
            true => theme::write(TOKEN_KEY, &self.token.get_untracked()),
            false => theme::remove(TOKEN_KEY),
        }
    }

    /// The model of this name on the hub of now.
    pub fn source(self, name: String) -> HubSource {
        let token = Some(self.token.get_untracked()).filter(|token| !token.is_empty());
        HubSource {
            name,
            endpoint: self.endpoint.get_untracked(),
            token: token.map(HubToken),
        }
    }
}

/// The host of a hub's address, as it is named to a person.
pub fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The model that a folder of the store is named after.
pub fn id_of(folder: &str) -> Option<String> {
    let (id, _) = folder.strip_prefix(FOLDERS)?.split_once('@')?;
    Some(id.replace("--", "/"))
}

/// The name that goes on with a model that is not whole: the same commit.
pub fn exact_name(model: &StoredModel) -> String {
    let file = model.chosen.as_ref().map(|file| format!(":{file}"));
    format!("{}@{}{}", model.id, model.commit, file.unwrap_or_default())
}
