//! What is stored in the browser and can be removed: runs, models, copies of files; and what the browser says of its room
//! (`storage.js`).

use js_sys::Array;
use leptos::prelude::*;
use lorakeet_core::protocol::StoredCopy;
use std::time::Duration;
use wasm_bindgen::prelude::*;

/// How long a removal can be undone.
pub const UNDO: Duration = Duration::from_secs(8);

#[wasm_bindgen(module = "/src/storage.js")]
extern "C" {
    #[wasm_bindgen(js_name = storageRoom)]
    async fn storage_room(asks: bool) -> JsValue;
}

/// Names something that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A run, by its id.
    Run(String),
    /// A model, by its folder.
    Model(String),
    /// A copy of a file, by its name in the store.
    File(String),
}

impl Stored {
    /// What names it among those of its kind.
    pub fn key(&self) -> &str {
        match self {
            Self::Run(key) | Self::Model(key) | Self::File(key) => key,
        }
    }
}

/// What the browser says of its storage; none where it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Room {
    /// Bytes that this site takes, the page itself among them.
    pub used: Option<f64>,
    /// Bytes that it may take.
    pub quota: Option<f64>,
    /// Whether it is left alone when the disk gets full.
    pub stays: Option<bool>,
}

/// Asks the browser for its room; with `asks`, to leave alone what is stored, too.
pub async fn room(asks: bool) -> Room {
    let told = Array::from(&storage_room(asks).await);
    Room {
        used: told.get(0).as_f64(),
        quota: told.get(1).as_f64(),
        stays: told.get(2).as_bool(),
    }
}

/// What is stored besides runs and models, and what is being removed of all of it.
#[derive(Clone, Copy)]
pub struct Storage {
    /// Copies of the person's files.
    pub copies: RwSignal<Vec<StoredCopy>>,
    /// What was removed a moment ago, and can be restored.
    pub leaving: RwSignal<Vec<Stored>>,
    /// What the engine is asked to remove.
    pub going: RwSignal<Vec<Stored>>,
    /// What the browser said last of its room.
    pub room: RwSignal<Room>,
}

impl Storage {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self {
            copies: RwSignal::new(Vec::new()),
            leaving: RwSignal::new(Vec::new()),
            going: RwSignal::new(Vec::new()),
            room: RwSignal::new(Room::default()),
        }
    }

    /// Whether it is removed, for good or not yet.
    pub fn hides(self, what: &Stored) -> bool {
        let is_among = |all: RwSignal<Vec<Stored>>| all.with(|all| all.contains(what));
        // Both are looked at, so that a change of either is seen.
        let (leaves, goes) = (is_among(self.leaving), is_among(self.going));
        leaves || goes
    }
}
