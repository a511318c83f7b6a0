//! Files beside those of a run: what was looked into, and what was compared.

use leptos::prelude::*;
use lorakeet_core::protocol::{ComparedFiles, InspectedFiles};
use web_sys::File;

/// Files that call a folder an adapter's.
const OF_ADAPTER: [&str; 3] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "adapters.safetensors",
];

/// What was looked into and compared.
#[derive(Clone, Copy)]
pub struct Files {
    /// What files are and hold.
    pub inspected: RwSignal<Option<InspectedFiles>>,
    /// The files of both sides of a comparison.
    pub sides: [RwSignal<Vec<File>, LocalStorage>; 2],
    /// How far these lie apart.
    pub compared: RwSignal<Option<ComparedFiles>>,
}

impl Files {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            inspected: RwSignal::new(None),
            sides: [RwSignal::new_local(Vec::new()), RwSignal::new_local(Vec::new())],
            compared: RwSignal::new(None),
        }
    }
}

/// Whether the names of files say that they are an adapter.
pub fn are_of_adapter(files: &[File]) -> bool {
    files.iter().any(|file| OF_ADAPTER.contains(&file.name().as_str()))
}
