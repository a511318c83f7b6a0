//! A shelf in memory that can be cut off, as a browser's storage is when its tab is closed: after so many writes, and in the middle of one.

use lorakeet_core::store::{Claim, LocalFuture, MemoryFile, Pieces, Shelf, Source};
use lorakeet_core::{Error, Result};
use lorakeet_i18n::Message;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

type Folders = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// What lies on it outlives each [`MemoryShelf`] that is opened on it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Rc<RefCell<Folders>>);

impl Disk {
    /// The shelf of a program that starts now; `changes` are made, then every further one fails, the first in its middle.
    pub fn open(&self, changes: Option<usize>) -> Rc<MemoryShelf> {
        Rc::new(MemoryShelf {
            disk: self.clone(),
            left: Cell::new(changes.unwrap_or(usize::MAX)),
            claims: Rc::default(),
            available_bytes: Cell::new(None),
        })
    }

    /// The bytes of each file of a folder, to be looked at or broken.
    ///
    /// # Panics
    /// There is no such folder.
    pub fn change<T>(&self, folder: &str, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        change(self.0.borrow_mut().get_mut(folder).expect("the folder is there"))
    }

    /// The names of the folders.
    pub fn folders(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }
}

/// See [`Disk::open`].
#[derive(Debug)]
pub struct MemoryShelf {
    disk: Disk,
    left: Cell<usize>,
    claims: Rc<RefCell<BTreeSet<String>>>,
    /// What it says that can be written.
    pub available_bytes: Cell<Option<u64>>,
}

impl MemoryShelf {
    /// Counts a change; an error where none is left.
    fn change(&self) -> Result<()> {
        match self.left.get() {
            0 => Err(cut_off()),
            left => {
                self.left.set(left - 1);
                Ok(())
            }
        }
    }
}

fn cut_off() -> Error {
    Error::io(Message::verbatim("cut off"))
}

fn missing(name: &str) -> Error {
    Error::io(Message::verbatim("there is no such file")).file(name)
}

fn ready<'a, T: 'a>(outcome: Result<T>) -> LocalFuture<'a, Result<T>> {
    Box::pin(std::future::ready(outcome))
}

struct Guard(Rc<RefCell<BTreeSet<String>>>, String);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.borrow_mut().remove(&self.1);
    }
}

impl Shelf for MemoryShelf {
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        ready(Ok(self.disk.folders()))
    }
    fn remove_folder<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<()>> {
        ready(self.change().map(|()| {
            self.disk.0.borrow_mut().remove(folder);
        }))
    }
    fn files<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Vec<String>>> {
        let folders = self.disk.0.borrow();
        let files = folders.get(folder).into_iter().flat_map(BTreeMap::keys);
        ready(Ok(files.cloned().collect()))
    }
    fn open<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Source>> {
        let folders = self.disk.0.borrow();
        let bytes = folders.get(folder).and_then(|files| files.get(name));
        ready(match bytes {
            Some(bytes) => Ok(MemoryFile::source(name, bytes.clone())),
            None => Err(missing(name)),
        })
    }
    fn create<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        ready(self.change().map(|()| {
            let mut folders = self.disk.0.borrow_mut();
            let files = folders.entry(folder.to_owned()).or_default();
            files.insert(name.to_owned(), Vec::new());
            Box::new(Growing {
                shelf: self,
                folder,
                name,
            }) as Box<dyn Pieces>
        }))
    }
    fn go_on<'a>(&'a self, folder: &'a str, name: &'a str, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        ready(self.change().and_then(|()| {
            let mut folders = self.disk.0.borrow_mut();
            let bytes = folders.get_mut(folder).and_then(|files| files.get_mut(name));
            match bytes {
                Some(bytes) if bytes.len() as u64 >= from => {
                    bytes.truncate(from as usize);
                    Ok(Box::new(Growing {
                        shelf: self,
                        folder,
                        name,
                    }) as Box<dyn Pieces>)
                }
                _ => Err(missing(name)),
            }
        }))
    }
    fn remove<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<()>> {
        let removed = self.change().and_then(|()| {
            let mut folders = self.disk.0.borrow_mut();
            let removed = folders.get_mut(folder).and_then(|files| files.remove(name));
            removed.map(drop).ok_or_else(|| missing(name))
        });
        ready(removed)
    }
    fn claim<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Option<Claim>>> {
        let is_free = self.claims.borrow_mut().insert(folder.to_owned());
        let claim = is_free.then(|| Box::new(Guard(self.claims.clone(), folder.to_owned())) as Claim);
        ready(Ok(claim))
    }
    fn claimed(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        ready(Ok(self.claims.borrow().iter().cloned().collect()))
    }
    fn available_bytes(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(std::future::ready(self.available_bytes.get()))
    }
}

struct Growing<'a> {
    shelf: &'a MemoryShelf,
    folder: &'a str,
    name: &'a str,
}

impl Pieces for Growing<'_> {
    fn append<'b>(&'b mut self, bytes: &'b [u8]) -> LocalFuture<'b, Result<()>> {
        let outcome = self.shelf.change();
        // One that is cut off has written half.
        let written = if outcome.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        self.shelf.disk.change(self.folder, |files| {
            files
                .entry(self.name.to_owned())
                .or_default()
                .extend_from_slice(written);
        });
        ready(outcome)
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        ready(Ok(()))
    }
}
