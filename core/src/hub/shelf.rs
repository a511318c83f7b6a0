//! Models on a [`Shelf`]: a folder each.
//!
//! | file of `model-ORG--NAME@COMMIT` | content |
//! | --- | --- |
//! | `hub-record.json` | what the model is made of: [`Record`], written before anything else |
//! | `PATH`, with `--` for `/` | a file, or its beginning |
//! | `PATH.part` | nothing; as long as it is there, the file is not whole, or not checked |
//!
//! A shelf has no renames, so a mark stands beside what is not whole: it is written before the file's first byte and removed after
//! the last one was checked.

use super::memory::base_name;
use super::{Origin, Place};
use crate::protocol::{HubFile, StoredModel};
use crate::store::{LocalFuture, Pieces, ReadAt, Shelf, Source, read_all};
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::hub as msg;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

/// What the names of folders begin with.
pub const FOLDERS: &str = "model-";
const RECORD: &str = "hub-record.json";
const MARK: &str = ".part";
const MOST_RECORD_BYTES: u64 = 16 << 20;

/// What a model is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: String,
    pub revision: String,
    pub commit: String,
    pub endpoint: String,
    /// The one GGUF file, where it is in one.
    pub chosen: Option<String>,
    pub files: Vec<HubFile>,
    /// The licence that the hub lists for it.
    #[serde(default)]
    pub license: Option<String>,
}

impl Record {
    /// The name of its folder.
    pub fn folder(&self) -> String {
        let commit = self.commit.get(..12).unwrap_or(&self.commit);
        let file = self.chosen.as_ref().map(|path| format!("-{}", flat(path)));
        format!("{FOLDERS}{}@{commit}{}", flat(&self.id), file.unwrap_or_default())
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.id, &self.commit, &self.files) == (&other.id, &other.commit, &other.files)
    }
}

/// A path as the name of one file.
fn flat(path: &str) -> String {
    path.replace('/', "--")
}

/// A folder of a shelf as a [`Place`].
pub struct ShelfPlace {
    shelf: Rc<dyn Shelf>,
    folder: String,
}

impl ShelfPlace {
    /// The folder of a model; a record of it is written where there is none.
    ///
    /// # Errors
    /// Another model is there, or storage refuses.
    pub(crate) async fn begin(shelf: Rc<dyn Shelf>, record: &Record) -> Result<Self> {
        let folder = record.folder();
        let is_there = match shelf.files(&folder).await?.iter().any(|name| name == RECORD) {
            // One that was torn is written anew.
            true => read(shelf.as_ref(), &folder).await.ok(),
            false => None,
        };
        match is_there {
            Some(other) if other.is_same(record) => {}
            Some(_) => return Err(Error::io(msg::OtherModelThere).file(folder).remedy(msg::DeleteItFirst)),
            None => {
                let text = serde_json::to_vec_pretty(record).map_err(|error| broken(&error))?;
                let mut file = shelf.create(&folder, RECORD).await?;
                file.append(&text).await?;
                file.finish().await?;
            }
        }
        Ok(Self { shelf, folder })
    }

    async fn has(&self, names: &[&str]) -> Result<bool> {
        let there = self.shelf.files(&self.folder).await?;
        Ok(names.iter().all(|name| there.iter().any(|known| known == name)))
    }
}

fn broken(error: &serde_json::Error) -> Error {
    Error::format(Message::verbatim(error.to_string())).file(RECORD)
}

fn mark(file: &HubFile) -> String {
    format!("{}{MARK}", flat(&file.path))
}

impl Place for ShelfPlace {
    fn whole<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        Box::pin(async move {
            let (name, mark) = (flat(&file.path), mark(file));
            if !self.has(&[&name]).await? || self.has(&[&mark]).await? {
                return Ok(None);
            }
            let source = self.shelf.open(&self.folder, &name).await?;
            // What somebody else cut off is fetched again.
            Ok((source.len_bytes() == file.bytes).then(|| named(base_name(&file.path), source)))
        })
    }
    fn part<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        Box::pin(async move {
            let (name, mark) = (flat(&file.path), mark(file));
            match self.has(&[&name, &mark]).await? {
                true => self.shelf.open(&self.folder, &name).await.map(Some),
                false => Ok(None),
            }
        })
    }
    fn go_on<'a>(&'a self, file: &'a HubFile, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            let name = flat(&file.path);
            if from == 0 {
                self.shelf.create(&self.folder, &mark(file)).await?.finish().await?;
                self.shelf.create(&self.folder, &name).await?.finish().await?;
            }
            let pieces = Kept {
                place: self,
                name: name.clone(),
                length: from,
            };
            Ok(Box::new(pieces) as Box<dyn Pieces>)
        })
    }
    fn complete<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move { self.shelf.remove(&self.folder, &mark(file)).await })
    }
    fn discard<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let name = flat(&file.path);
            match self.has(&[&name]).await? {
                true => self.shelf.remove(&self.folder, &name).await,
                false => Ok(()),
            }
        })
    }
}

/// A file that grows by pieces that are safe once they were appended: a tab may be ended at any time.
struct Kept<'a> {
    place: &'a ShelfPlace,
    name: String,
    length: u64,
}

impl Pieces for Kept<'_> {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let ShelfPlace { shelf, folder } = self.place;
            let mut file = shelf.go_on(folder, &self.name, self.length).await?;
            file.append(bytes).await?;
            file.finish().await?;
            self.length += bytes.len() as u64;
            Ok(())
        })
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A source under the name that models know it by.
fn named(name: &str, source: Source) -> Source {
    struct Named(String, Source);
    impl ReadAt for Named {
        fn name(&self) -> &str {
            &self.0
        }
        fn len_bytes(&self) -> u64 {
            self.1.len_bytes()
        }
        fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
            self.1.read_at(offset, len)
        }
    }
    Rc::new(Named(name.to_owned(), source))
}

async fn read(shelf: &dyn Shelf, folder: &str) -> Result<Record> {
    let source = shelf.open(folder, RECORD).await?;
    let bytes = read_all(source.as_ref(), MOST_RECORD_BYTES).await?;
    serde_json::from_slice(&bytes).map_err(|error| broken(&error))
}

/// How much of a model's files is there.
///
/// # Errors
/// Storage refuses.
pub(crate) async fn there_bytes(shelf: &dyn Shelf, folder: &str, files: &[HubFile]) -> Result<u64> {
    let there = shelf.files(folder).await?;
    let mut bytes = 0;
    for file in files {
        let name = flat(&file.path);
        if there.contains(&name) {
            bytes += shelf.open(folder, &name).await?.len_bytes().min(file.bytes);
        }
    }
    Ok(bytes)
}

/// The models on a shelf by name, and what is wrong with folders that cannot be read.
///
/// # Errors
/// Storage refuses.
pub async fn models(shelf: &Rc<dyn Shelf>) -> Result<(Vec<StoredModel>, Vec<Message>)> {
    let claimed = shelf.claimed().await?;
    let (mut models, mut faults) = (Vec::new(), Vec::new());
    for folder in shelf.folders().await? {
        if !folder.starts_with(FOLDERS) {
            continue;
        }
        let is_under_way = claimed.contains(&folder);
        match model(shelf, &folder, is_under_way).await {
            Ok(model) => models.push(model),
            // One that begins elsewhere has no record for a moment.
            Err(_) if is_under_way => {}
            Err(error) => {
                let why = error.message();
                faults.push(msg::ModelUnreadable { folder, why }.into());
            }
        }
    }
    models.sort_by_key(StoredModel::name);
    Ok((models, faults))
}

async fn model(shelf: &Rc<dyn Shelf>, folder: &str, is_under_way: bool) -> Result<StoredModel> {
    let record = read(shelf.as_ref(), folder).await?;
    let there = shelf.files(folder).await?;
    let there_bytes = there_bytes(shelf.as_ref(), folder, &record.files).await?;
    let bytes = record.files.iter().map(|file| file.bytes).sum();
    let is_marked = record.files.iter().any(|file| there.contains(&mark(file)));
    let has_all = record.files.iter().all(|file| there.contains(&flat(&file.path)));
    Ok(StoredModel {
        folder: folder.to_owned(),
        id: record.id,
        revision: record.revision,
        commit: record.commit,
        chosen: record.chosen,
        bytes,
        there_bytes,
        is_whole: has_all && !is_marked && there_bytes == bytes,
        is_under_way,
        written_ms: shelf.written_ms(folder).await,
    })
}

/// A model on a shelf: its name, its files, and where it comes from.
///
/// # Errors
/// It is not there, or not whole.
pub async fn open(shelf: &Rc<dyn Shelf>, folder: &str) -> Result<(String, Vec<Source>, Origin)> {
    let missing = || Error::config(msg::NotStored { folder }).remedy(msg::DownloadAnew);
    if !is_ours(folder) || !shelf.folders().await?.iter().any(|name| name == folder) {
        return Err(missing());
    }
    let record = read(shelf.as_ref(), folder).await?;
    let place = ShelfPlace {
        shelf: shelf.clone(),
        folder: folder.to_owned(),
    };
    let mut sources = Vec::new();
    for file in &record.files {
        let whole = place.whole(file).await?;
        sources.push(whole.ok_or_else(|| {
            let id = &record.id;
            Error::io(msg::NotWhole { id })
                .file(file.path.clone())
                .remedy(msg::DownloadGoesOn)
        })?);
    }
    let name = base_name(&record.id).to_owned();
    let Record { id, license, .. } = record;
    Ok((name, sources, Origin { id, license }))
}

fn is_ours(folder: &str) -> bool {
    folder.starts_with(FOLDERS) && !folder.contains(['/', '\\'])
}

/// Removes a model.
///
/// # Errors
/// It is being fetched, it is none, or storage refuses.
pub async fn forget(shelf: &Rc<dyn Shelf>, folder: &str) -> Result<()> {
    if !is_ours(folder) {
        return Err(Error::internal(msg::NotStored { folder }));
    }
    if shelf.claimed().await?.iter().any(|name| name == folder) {
        return Err(Error::config(msg::IsBeingFetched).remedy(msg::WaitForOtherTab));
    }
    shelf.remove_folder(folder).await
}
