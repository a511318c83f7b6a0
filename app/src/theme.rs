//! What the page remembers in the browser's storage: light, dark or as the system says; the language; the device; whether the screen stays on.

use crate::i18n::Language;
use leptos::prelude::{document, window};
use lorakeet_core::protocol::DeviceChoice;
use web_sys::UrlSearchParams;

const THEME_KEY: &str = "lorakeet.theme";
const LANGUAGE_KEY: &str = "lorakeet.language";
const DEVICE_KEY: &str = "lorakeet.device";
const AWAKE_KEY: &str = "lorakeet.awake";
/// The devices by their names in storage, in the address and in the switch.
pub const DEVICES: [(&str, DeviceChoice); 3] = [
    ("auto", DeviceChoice::Auto),
    ("gpu", DeviceChoice::Gpu),
    ("cpu", DeviceChoice::Cpu),
];

/// The page's colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// In the order of the switch.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// The value of `data-theme`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
    }
}

/// The theme that was chosen last.
pub fn stored_theme() -> Theme {
    read(THEME_KEY)
        .and_then(|name| Theme::named(&name))
        .unwrap_or(Theme::Auto)
}

/// The language that was chosen last, else the browser's.
pub fn stored_language() -> Language {
    let tag = read(LANGUAGE_KEY)
        .or_else(|| window().navigator().language())
        .unwrap_or_default();
    Language::from_tag(&tag)
}

/// The device that the page's address asks for (`?device=cpu`), else the one that was chosen last.
pub fn wished_device() -> DeviceChoice {
    let address = window().location().search().unwrap_or_default();
    let asked = UrlSearchParams::new_with_str(&address)
        .ok()
        .and_then(|parameters| parameters.get("device"));
    device_named(&asked.or_else(|| read(DEVICE_KEY)).unwrap_or_default())
}

/// The device of this name; `Auto` where there is none.
pub fn device_named(name: &str) -> DeviceChoice {
    let found = DEVICES.iter().find(|(known, _)| *known == name);
    found.map_or(DeviceChoice::Auto, |(_, choice)| *choice)
}

/// Keeps a device that the person chose.
pub fn keep_device(choice: DeviceChoice) {
    if let Some((name, _)) = DEVICES.iter().find(|(_, known)| *known == choice) {
        write(DEVICE_KEY, name);
    }
}

/// Applies a theme.
pub fn apply_theme(theme: Theme) {
    set_attribute("data-theme", theme.name());
}

/// Keeps a theme that the person chose.
pub fn keep_theme(theme: Theme) {
    write(THEME_KEY, theme.name());
}

/// Tells the browser the language of the page.
pub fn apply_language(language: Language) {
    set_attribute("lang", language.tag());
}

/// Keeps a language that the person chose.
pub fn keep_language(language: Language) {
    write(LANGUAGE_KEY, language.tag());
}

/// Whether the screen is to stay on while a run is under way: unless the person said otherwise.
pub fn keeps_awake() -> bool {
    read(AWAKE_KEY).as_deref() != Some("off")
}

/// Keeps what the person said of that.
pub fn keep_awake(wanted: bool) {
    write(AWAKE_KEY, if wanted { "on" } else { "off" });
}

// Storage can be switched off in the browser; the page then forgets, which is what was asked for.
/// What is kept under a key.
pub fn read(key: &str) -> Option<String> {
    window().local_storage().ok().flatten()?.get_item(key).ok().flatten()
}

/// Keeps a value under a key.
pub fn write(key: &str, value: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.set_item(key, value);
    }
}

/// Keeps nothing under a key any longer.
pub fn remove(key: &str) {
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = storage.remove_item(key);
    }
}

fn set_attribute(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute(name, value);
    }
}
