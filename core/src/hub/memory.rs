//! A place in memory, where there is no storage.

use super::Place;
use crate::protocol::HubFile;
use crate::store::{LocalFuture, MemoryFile, Pieces, Source};
use crate::{Error, Result};
use lorakeet_i18n::messages::hub as msg;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Files in memory, gone with the program.
#[derive(Debug, Default)]
pub struct MemoryPlace {
    parts: RefCell<BTreeMap<String, Vec<u8>>>,
    whole: RefCell<BTreeMap<String, Rc<[u8]>>>,
}

impl MemoryPlace {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }
}

fn ready<'a, T: 'a>(outcome: Result<T>) -> LocalFuture<'a, Result<T>> {
    Box::pin(std::future::ready(outcome))
}

/// The name of the file at a path, as models know it.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Place for MemoryPlace {
    fn whole<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        let whole = self.whole.borrow();
        let found = whole.get(&file.path);
        ready(Ok(
            found.map(|bytes| MemoryFile::source(base_name(&file.path), bytes.clone()))
        ))
    }
    fn part<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>> {
        let parts = self.parts.borrow();
        let found = parts.get(&file.path);
        ready(Ok(
            found.map(|bytes| MemoryFile::source(base_name(&file.path), bytes.clone()))
        ))
    }
    fn go_on<'a>(&'a self, file: &'a HubFile, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        let mut parts = self.parts.borrow_mut();
        let part = parts.entry(file.path.clone()).or_default();
        part.truncate(from as usize);
        // All of it at once: memory that grows is there twice for a moment.
        let left = (file.bytes as usize).saturating_sub(part.len());
        ready(match part.try_reserve_exact(left) {
            Ok(()) => Ok(Box::new(Growing { place: self, file }) as Box<dyn Pieces>),
            Err(_) => Err(
                Error::new(crate::error::Kind::OutOfMemory, msg::NoMemory { bytes: file.bytes })
                    .file(file.path.clone())
                    .remedy(msg::SmallerOrWithStorage),
            ),
        })
    }
    fn complete<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        let bytes = self.parts.borrow_mut().remove(&file.path).unwrap_or_default();
        self.whole.borrow_mut().insert(file.path.clone(), bytes.into());
        ready(Ok(()))
    }
    fn discard<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>> {
        self.parts.borrow_mut().remove(&file.path);
        ready(Ok(()))
    }
}

struct Growing<'a> {
    place: &'a MemoryPlace,
    file: &'a HubFile,
}

impl Pieces for Growing<'_> {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        if let Some(part) = self.place.parts.borrow_mut().get_mut(&self.file.path) {
            part.extend_from_slice(bytes);
        }
        ready(Ok(()))
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        ready(Ok(()))
    }
}
