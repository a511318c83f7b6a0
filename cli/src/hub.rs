//! Models that are named by their place on a hub: `ORG/NAME`, with `@REVISION` and `:FILE` where they are wanted. What is fetched goes
//! to huggingface_hub's cache, and what is there already is used.

use crate::commands::{HOST, name_of};
use lorakeet_core::error::Result;
use lorakeet_core::host::{Control, Emit};
use lorakeet_core::hub::cache::{Settings, cached, fetch};
use lorakeet_core::hub::native::NativeFetch;
use lorakeet_core::hub::{Hub, HubId};
use lorakeet_core::protocol::Event;
use lorakeet_i18n::messages::command as msg;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// Endings of files: what has one is a path, also where nothing is there.
const ENDINGS: [&str; 5] = [".gguf", ".safetensors", ".json", ".yaml", ".yml"];

/// A model on this machine.
pub struct Located {
    /// A file or a folder.
    pub path: PathBuf,
    /// What to call it.
    pub name: String,
}

/// Where a model is: at its path; else, where it has the form `ORG/NAME` and there is no folder ORG here, in the cache, to which it
/// is fetched from the hub.
///
/// # Errors
/// The hub does not give it, or storage refuses.
pub async fn located(path: &Path, control: &Control, take: &mut dyn FnMut(&Event)) -> Result<Located> {
    let Some(id) = id(path) else {
        return Ok(Located {
            path: path.to_path_buf(),
            name: name_of(path),
        });
    };
    let settings = settings()?;
    let mut receive = |event: Event, _| take(&event);
    let mut emit = Emit::new(&mut receive, HOST, control.clone());
    if !settings.offline {
        let (name, host) = (&id.id, &settings.endpoint);
        emit.warn(msg::AsksHub { name, host });
    }
    let network = Rc::new(NativeFetch::new());
    let hub = Hub::new(network, &settings.endpoint, settings.token.clone(), control.clone())?;
    let path = fetch(&hub, &settings, &id, &mut emit).await?;
    let name = name_of(Path::new(&id.id));
    Ok(Located { path, name })
}

/// Where a model of a hub is in the cache; nobody is asked for it.
pub fn in_cache(name: &str) -> Option<PathBuf> {
    cached(&settings().ok()?, &id(Path::new(name))?)
}

fn settings() -> Result<Settings> {
    Settings::read(|name| std::env::var(name).ok())
}

/// The model of a hub that a text names, where it cannot be a path.
fn id(path: &Path) -> Option<HubId> {
    let text = path.to_str()?;
    let is_file = ENDINGS.iter().any(|ending| text.to_ascii_lowercase().ends_with(ending)) && !text.contains(':');
    let mut parts = path.components();
    let Some(Component::Normal(first)) = parts.next() else {
        return None;
    };
    if is_file || path.exists() || Path::new(first).exists() {
        return None;
    }
    HubId::parse(text).ok().filter(|id| id.id.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_no_names_of_models() {
        for name in ["org/name", "org/name@main", "org/name:Q8_0", "org/name:model.gguf"] {
            assert!(id(Path::new(name)).is_some(), "{name}");
        }
        for path in [
            "small_mlp",
            "./org/name",
            "../name",
            "/org/name",
            "org/model.gguf",
            "src/name",
            "a/b/c",
            "org/name/",
        ] {
            assert!(id(Path::new(path)).is_none(), "{path}");
        }
    }
}
