//! A [`Sink`] on a [`Shelf`], whose folders are flat and whose files can be torn.
//!
//! The bytes of every file lie under a number that is never used again, and an index says which paths they have. The index is
//! written anew with each change, in turn into one of two files; the one with the higher generation counts, and a torn one is told
//! by its checksum. So every change is there whole or not at all, and a folder is renamed by one write. What no index names is
//! removed when the folder is opened. Where the newer index is damaged later on, the older one counts, but for the files that the
//! change after it removed.

use super::{LocalFuture, ReadAt, Shelf, Sink, Source, check_relative, read_all, sha256};
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The two files that the index is written into in turn.
const SLOTS: [&str; 2] = ["index-0.json", "index-1.json"];
/// The longest index that is read.
const MOST_INDEX_BYTES: u64 = 16 << 20;

/// Paths and the numbers of their files.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Index {
    /// Counts the changes.
    generation: u64,
    /// The number that the next file gets.
    next: u64,
    files: BTreeMap<String, u64>,
}

/// An [`Index`] as it is written: its JSON as text, so that the checksum is over exactly these bytes.
#[derive(Serialize, Deserialize)]
struct Slot {
    index: String,
    sha256: String,
}

impl Index {
    fn write(&self) -> Result<Vec<u8>> {
        let broken = |error: serde_json::Error| {
            Error::internal(common::At {
                place: SLOTS[0],
                what: error,
            })
        };
        let index = serde_json::to_string(self).map_err(broken)?;
        let slot = Slot {
            sha256: sha256(index.as_bytes()),
            index,
        };
        serde_json::to_vec(&slot).map_err(broken)
    }

    /// `None` of one that was not written to its end.
    fn read(bytes: &[u8]) -> Option<Self> {
        let slot: Slot = serde_json::from_slice(bytes).ok()?;
        let is_whole = sha256(slot.index.as_bytes()) == slot.sha256;
        is_whole.then(|| serde_json::from_str(&slot.index).ok()).flatten()
    }

    /// Takes a folder's files out; none where there is no such folder.
    fn take(&mut self, folder: &str) -> BTreeMap<String, u64> {
        let (taken, kept) = std::mem::take(&mut self.files)
            .into_iter()
            .partition(|(path, _)| is_in(path, folder));
        self.files = kept;
        taken
    }
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A folder of a [`Shelf`] as a place of paths, in which whatever was written is whole.
pub struct IndexedSink {
    shelf: Rc<dyn Shelf>,
    folder: String,
    index: RefCell<Index>,
}

impl IndexedSink {
    /// Opens a folder, or begins one. Whoever opens it is the only one to write into it.
    ///
    /// # Errors
    /// Storage refuses.
    pub async fn open(shelf: Rc<dyn Shelf>, folder: impl Into<String>) -> Result<Self> {
        let folder = folder.into();
        let there = shelf.files(&folder).await?;
        let index = read_index(shelf.as_ref(), &folder, &there).await?;
        let named: BTreeSet<String> = index.files.values().map(u64::to_string).collect();
        for name in &there {
            if !named.contains(name) && !SLOTS.contains(&name.as_str()) {
                shelf.remove(&folder, name).await?;
            }
        }
        Ok(Self {
            shelf,
            folder,
            index: RefCell::new(index),
        })
    }

    /// The files of a folder on a shelf, without a change to it: somebody else may be writing there.
    ///
    /// # Errors
    /// Storage refuses.
    pub async fn read(shelf: &Rc<dyn Shelf>, folder: &str) -> Result<Vec<(String, Source)>> {
        let there = shelf.files(folder).await?;
        let index = read_index(shelf.as_ref(), folder, &there).await?;
        let mut files = Vec::with_capacity(index.files.len());
        for (path, number) in &index.files {
            let source = shelf.open(folder, &number.to_string()).await?;
            files.push((path.clone(), renamed(path, source)));
        }
        Ok(files)
    }

    /// Makes a change all at once, and then removes the files that it left without a path.
    async fn change(&self, change: impl FnOnce(&mut Index) -> Result<()>) -> Result<()> {
        let before = self.index.borrow().clone();
        let mut after = before.clone();
        change(&mut after)?;
        after.generation += 1;
        let slot = SLOTS[(after.generation % 2) as usize];
        self.put(slot, &after.write()?).await?;
        let kept: BTreeSet<u64> = after.files.values().copied().collect();
        let gone: Vec<u64> = before
            .files
            .values()
            .copied()
            .filter(|number| !kept.contains(number))
            .collect();
        *self.index.borrow_mut() = after;
        for number in gone {
            // What stays takes space until the folder is opened the next time; nothing is wrong with it.
            let _ = self.shelf.remove(&self.folder, &number.to_string()).await;
        }
        Ok(())
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.shelf.create(&self.folder, name).await?;
        file.append(bytes).await?;
        file.finish().await
    }
}

/// The index that counts; that of an empty folder where there is none.
async fn read_index(shelf: &dyn Shelf, folder: &str, there: &[String]) -> Result<Index> {
    let mut newest = Index::default();
    for slot in SLOTS {
        if !there.iter().any(|name| name == slot) {
            continue;
        }
        let source = shelf.open(folder, slot).await?;
        let bytes = read_all(source.as_ref(), MOST_INDEX_BYTES).await?;
        if let Some(index) = Index::read(&bytes).filter(|index| index.generation > newest.generation) {
            newest = index;
        }
    }
    if newest.files.values().any(|number| !is_among(there, *number)) {
        // Somebody else may have written them since.
        let there = shelf.files(folder).await?;
        newest.files.retain(|_, number| is_among(&there, *number));
    }
    Ok(newest)
}

fn is_among(names: &[String], number: u64) -> bool {
    names.contains(&number.to_string())
}

impl Sink for IndexedSink {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(path)?;
            let number = {
                let mut index = self.index.borrow_mut();
                index.next += 1;
                index.next
            };
            let name = number.to_string();
            let written = async {
                self.put(&name, bytes).await?;
                let named = |index: &mut Index| {
                    index.files.insert(path.to_owned(), number);
                    Ok(())
                };
                self.change(named).await
            };
            if let Err(error) = written.await {
                // On a full disk the space is needed; the error to report is the first one.
                let _ = self.shelf.remove(&self.folder, &name).await;
                return Err(error.file(path));
            }
            Ok(())
        })
    }

    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let index = self.index.borrow();
            let first = |path: &String| Some(path.split_once('/')?.0.to_owned());
            let folders: BTreeSet<String> = index.files.keys().filter_map(first).collect();
            Ok(folders.into_iter().collect())
        })
    }

    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(path)?;
            self.change(|index| match index.take(path).is_empty() {
                true => Err(refused(path, msg::CannotRemove, msg::NoSuchFolder)),
                false => Ok(()),
            })
            .await
        })
    }

    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(from)?;
            check_relative(to)?;
            self.change(|index| {
                if index.files.keys().any(|path| is_in(path, to)) {
                    return Err(refused(from, msg::CannotRename, msg::NewNameTaken));
                }
                let moved = index.take(from);
                if moved.is_empty() {
                    return Err(refused(from, msg::CannotRename, msg::NoSuchFolder));
                }
                let renamed = |(path, number): (String, u64)| (format!("{to}{}", &path[from.len()..]), number);
                index.files.extend(moved.into_iter().map(renamed));
                Ok(())
            })
            .await
        })
    }
}

fn refused(path: &str, what: impl Into<lorakeet_i18n::Field>, why: impl Into<lorakeet_i18n::Field>) -> Error {
    Error::io(common::At { place: what, what: why }).file(path)
}

/// A file under the last part of its path.
struct Renamed {
    name: String,
    source: Source,
}

/// `source` as the file at `path`.
fn renamed(path: &str, source: Source) -> Source {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    Rc::new(Renamed { name, source })
}

impl ReadAt for Renamed {
    fn name(&self) -> &str {
        &self.name
    }
    fn len_bytes(&self) -> u64 {
        self.source.len_bytes()
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
        self.source.read_at(offset, len)
    }
}
