//! The cache that huggingface_hub keeps, so that transformers finds what was fetched here and the other way round.
//!
//! | path below `HF_HUB_CACHE` | content |
//! | --- | --- |
//! | `models--ORG--NAME/refs/REVISION` | the commit that a branch or a tag stood for |
//! | `…/blobs/ETAG` | a file's contents; of a large file ETAG is its SHA-256, of a small one git's hash |
//! | `…/blobs/ETAG.incomplete` | its beginning |
//! | `…/snapshots/COMMIT/PATH` | a link to the contents |
//! | `.locks/models--ORG--NAME/ETAG.lock` | locked by whoever fetches it |
//!
//! (huggingface_hub's `file_download.py` and its guide 'Understand caching'.) Where there are no links, the contents lie at the
//! link's place, as there.

use super::Place;
use super::choose::ADAPTERS;
use super::client::{Hub, Repository};
use super::id::{HubId, is_commit};
use super::{choose, download};
use crate::host::Emit;
use crate::protocol::{ENDPOINT, HubFile, HubToken};
use crate::store::{DiskFile, LocalFuture, Pieces, Source};
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::hub as msg;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What huggingface_hub's variables say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `HF_ENDPOINT`.
    pub endpoint: String,
    /// `HF_TOKEN`, else what the file at `HF_TOKEN_PATH` or `HF_HOME/token` holds.
    pub token: Option<HubToken>,
    /// `HF_HUB_CACHE`, else `HF_HOME/hub`.
    pub cache: PathBuf,
    /// `HF_HUB_OFFLINE`: only what is in the cache is used.
    pub offline: bool,
}

impl Settings {
    /// What the variables say; `variable` gives them by name.
    ///
    /// # Errors
    /// There is no home folder, and no variable in its place.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = || set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
        let of_user = || {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            Some(cache.or_else(|| Some(home()?.join(".cache")))?.join("huggingface"))
        };
        let hf_home = set("HF_HOME").map(PathBuf::from).or_else(of_user);
        let hf_home = hf_home.ok_or_else(|| Error::config(msg::NoHome).remedy(msg::SetHfHome))?;
        let cache = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE"));
        let token_path = set("HF_TOKEN_PATH").map_or_else(|| hf_home.join("token"), PathBuf::from);
        let stored = || fs::read_to_string(token_path).ok();
        let token = set("HF_TOKEN").or_else(stored).map(|token| token.trim().to_owned());
        let is_true = |value: String| matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE");
        Ok(Self {
            endpoint: set("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned()),
            token: token.filter(|token| !token.is_empty()).map(HubToken),
            cache: cache.map_or_else(|| hf_home.join("hub"), PathBuf::from),
            offline: set("HF_HUB_OFFLINE").is_some_and(is_true),
        })
    }
}

/// A model's part of the cache.
#[derive(Debug, Clone)]
pub struct CachePlace {
    root: PathBuf,
    folder: String,
    commit: String,
}

impl CachePlace {
    /// The part of the cache at `root` of a model at a commit.
    pub fn new(root: impl Into<PathBuf>, id: &str, commit: &str) -> Self {
        Self {
            root: root.into(),
            folder: format!("models--{}", id.replace('/', "--")),
            commit: commit.to_owned(),
        }
    }

    fn repository(&self) -> PathBuf {
        self.root.join(&self.folder)
    }

    /// The folder of its files.
    pub fn snapshot(&self) -> PathBuf {
        self.repository().join("snapshots").join(&self.commit)
    }

    fn blob(&self, file: &HubFile) -> PathBuf {
        self.repository().join("blobs").join(&file.etag)
    }

    fn incomplete(&self, file: &HubFile) -> PathBuf {
        self.repository()
            .join("blobs")
            .join(format!("{}.incomplete", file.etag))
    }

    /// Writes down which commit a revision stood for.
    fn write_ref(&self, revision: &str) -> Result<()> {
        if revision == self.commit {
            return Ok(());
        }
        let path = self.repository().join("refs").join(revision);
        let written =
            fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).and_then(|()| fs::write(&path, &self.commit));
        written.map_err(|error| refused(&path, &error))
    }

    /// Has the snapshot's path lead to the contents.
    fn link(&self, file: &HubFile) -> Result<()> {
        let (blob, link) = (self.blob(file), self.snapshot().join(&file.path));
        let failed = |error: std::io::Error| refused(&link, &error);
        fs::create_dir_all(link.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        match fs::remove_file(&link) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let up = "../".repeat(2 + file.path.matches('/').count());
        let target = format!("{up}blobs/{}", file.etag);
        #[cfg(unix)]
        let linked = std::os::unix::fs::symlink(&target, &link);
        #[cfg(windows)]
        let linked = std::os::windows::fs::symlink_file(target.replace('/', "\\"), &link);
        // Some drives, and most accounts on Windows, have no links.
        linked.or_else(|_| fs::rename(&blob, &link)).map_err(failed)
    }

    /// Takes a file's contents for one writer alone.
    fn lock(&self, file: &HubFile) -> Result<File> {
        let path = self
            .root
            .join(".locks")
            .join(&self.folder)
            .join(format!("{}.lock", file.etag));
        let failed = |error: std::io::Error| refused(&path, &error);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
        let mut options = OpenOptions::new();
        let lock = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match lock.try_lock() {
            // Some network drives know no locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(Error::io(msg::IsBeingFetched)
                .file(file.path.clone())
                .remedy(msg::WaitForOtherProgram)),
        }
    }
}

fn refused(path: &Path, error: &std::io::Error) -> Error {
    Error::io(Message::verbatim(error.to_string())).file(path.display().to_string())
}

fn length(path: &Path) -> Option<u64> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_file().then_some(metadata.len())
}

impl Place for CachePlace {
    fn whole<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        Box::pin(async move {
            let path = self.snapshot().join(&file.path);
            if length(&path) != Some(file.bytes) {
                if length(&self.blob(file)) != Some(file.bytes) {
                    return Ok(None);
                }
                // Another commit has it.
                self.link(file)?;
            }
            DiskFile::source(&path).map(Some)
        })
    }
    fn part<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        Box::pin(async move {
            let path = self.incomplete(file);
            match length(&path) {
                Some(_) => DiskFile::source(&path).map(Some),
                None => Ok(None),
            }
        })
    }
    fn go_on<'a>(&'a self, file: &'a HubFile, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            let lock = self.lock(file)?;
            let path = self.incomplete(file);
            let failed = |error: std::io::Error| refused(&path, &error);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).map_err(failed)?;
            let mut options = OpenOptions::new();
            let opened = options.append(true).create(true).open(&path).map_err(failed)?;
            if opened.metadata().map_err(failed)?.len() < from {
                return Err(Error::io(msg::BecameShorter)
                    .file(path.display().to_string())
                    .remedy(msg::DownloadGoesOn));
            }
            opened.set_len(from).map_err(failed)?;
            let pieces = Growing {
                path: path.clone(),
                file: opened,
                _lock: lock,
            };
            Ok(Box::new(pieces) as Box<dyn Pieces>)
        })
    }
    fn complete<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let (part, blob) = (self.incomplete(file), self.blob(file));
            fs::rename(&part, &blob).map_err(|error| refused(&blob, &error))?;
            self.link(file)
        })
    }
    fn discard<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let path = self.incomplete(file);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(&path, &error)),
                _ => Ok(()),
            }
        })
    }
}

struct Growing {
    path: PathBuf,
    file: File,
    _lock: File,
}

impl Pieces for Growing {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        let written = self.file.write_all(bytes).map_err(|error| refused(&self.path, &error));
        Box::pin(std::future::ready(written))
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        let synced = self.file.sync_all().map_err(|error| refused(&self.path, &error));
        Box::pin(std::future::ready(synced))
    }
}

/// The path of a model in the cache, fetched where it is not there: the folder of its files, or its GGUF file. Where the hub
/// cannot be reached, what an earlier time fetched of this revision is used, and it is said so.
///
/// # Errors
/// As of [`Hub::repository`], [`choose()`] and [`download()`].
pub async fn fetch(hub: &Hub, settings: &Settings, id: &HubId, emit: &mut Emit<'_>) -> Result<PathBuf> {
    let name = &id.id;
    if settings.offline {
        let found = cached(settings, id);
        return found.ok_or_else(|| Error::config(msg::NotCached { name }).remedy(msg::UnsetOffline));
    }
    let repository: Repository = match hub.repository(id).await {
        Ok(repository) => repository,
        Err(error) if error.kind == crate::error::Kind::File => {
            let Some(path) = cached(settings, id) else {
                return Err(error);
            };
            let why = error.message();
            emit.warn(msg::UsesCached { name, why });
            return Ok(path);
        }
        Err(error) => return Err(error),
    };
    let chosen = choose(hub, &repository).await?;
    let place = CachePlace::new(&settings.cache, name, &repository.commit);
    download(hub, &repository, &chosen.files, &place, emit).await?;
    place.write_ref(&id.revision)?;
    Ok(match chosen.gguf {
        Some(path) => place.snapshot().join(path),
        None => place.snapshot(),
    })
}

/// What the cache has of a revision, where it looks like a model: the folder of a model whose files are all there, or a GGUF
/// file that was asked for by its name or is the only one.
pub fn cached(settings: &Settings, id: &HubId) -> Option<PathBuf> {
    let of_ref = || {
        let place = CachePlace::new(&settings.cache, &id.id, "");
        let text = fs::read_to_string(place.repository().join("refs").join(&id.revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    };
    let commit = match id.is_commit() {
        true => id.revision.clone(),
        false => of_ref()?,
    };
    let folder = CachePlace::new(&settings.cache, &id.id, &commit).snapshot();
    let has = |name: &str| length(&folder.join(name)).is_some();
    let is_model = has("config.json") && (has("model.safetensors") || has("model.safetensors.index.json"));
    let is_adapter = ADAPTERS.iter().any(|names| names.iter().all(|name| has(name)));
    if id.file.is_none() && (is_model || is_adapter) {
        return Some(folder);
    }
    let names = fs::read_dir(&folder).ok()?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut ggufs: Vec<String> = names
        .filter(|name| name.to_ascii_lowercase().ends_with(".gguf"))
        .collect();
    if let Some(wanted) = &id.file {
        let wanted = wanted.to_ascii_lowercase();
        ggufs.retain(|name| name.to_ascii_lowercase().contains(&wanted));
    }
    match &ggufs[..] {
        [only] => Some(folder.join(only)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Settings {
        let of = |name: &str| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::read(of).expect("there is a home")
    }

    #[test]
    fn the_variables_are_those_of_huggingface_hub() {
        let usual = read(&[("HOME", "/nowhere")]);
        assert_eq!(usual.endpoint, ENDPOINT);
        assert_eq!(usual.cache, Path::new("/nowhere/.cache/huggingface/hub"));
        assert!(usual.token.is_none() && !usual.offline);
        let set = read(&[
            ("HF_HOME", "/hf"),
            ("HF_TOKEN", " secret\n"),
            ("HF_ENDPOINT", "https://mirror"),
            ("HF_HUB_OFFLINE", "1"),
        ]);
        assert_eq!(set.cache, Path::new("/hf/hub"));
        assert_eq!(set.token, Some(HubToken("secret".to_owned())));
        assert_eq!((set.endpoint.as_str(), set.offline), ("https://mirror", true));
        assert!(Settings::read(|_| None).is_err());
    }

    #[test]
    fn a_token_is_not_shown() {
        assert!(!format!("{:?}", HubToken("secret".to_owned())).contains("secret"));
    }
}
