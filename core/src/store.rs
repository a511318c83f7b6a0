//! The one door to storage: sources that are read in slices, sinks that take whole files.
//!
//! A model can be larger than memory, so formats read the slices that they need through [`ReadAt`]; in the page that is
//! a dropped `File`, natively a file on disk. What is written (adapters, checkpoints, logs) is small and goes to a
//! [`Sink`] as one piece; exported models go to a [`StreamSink`]. Futures here stay on one thread: the browser's file objects
//! cannot leave theirs.

#[cfg(feature = "engine")]
mod digest;
#[cfg(not(target_arch = "wasm32"))]
mod disk;
#[cfg(feature = "engine")]
mod indexed;
#[cfg(feature = "engine")]
mod shelf;

#[cfg(feature = "engine")]
pub(crate) use digest::{hexadecimal, sha256_watched};
#[cfg(feature = "engine")]
pub use digest::{sha256, sha256_of};
#[cfg(not(target_arch = "wasm32"))]
pub use disk::{DirectorySink, DiskFile, Writer};
#[cfg(feature = "engine")]
pub use indexed::IndexedSink;
#[cfg(feature = "engine")]
pub use shelf::{Claim, Shelf};

use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// A future that stays on its thread and may borrow.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A file that can be read in slices.
pub trait ReadAt {
    /// The file's name without its folder.
    fn name(&self) -> &str;
    /// Its length.
    fn len_bytes(&self) -> u64;
    /// Exactly `len` bytes from `offset` on.
    ///
    /// # Errors
    /// The slice reaches past the end of the file, or the file cannot be read any more.
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>>;
}

/// A shared file.
pub type Source = Rc<dyn ReadAt>;

/// A place that takes files and gives up folders. Paths are relative, with `/` between folders.
pub trait Sink {
    /// Writes the file whole, or leaves what was there before.
    ///
    /// # Errors
    /// The path is not a plain relative one, or storage refuses (full, read-only, gone).
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>>;

    /// The names of the folders at the top, in no order.
    ///
    /// # Errors
    /// Storage refuses.
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>>;

    /// Removes a folder with all that is in it.
    ///
    /// # Errors
    /// The path is not a plain relative one, there is no such folder, or storage refuses.
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>>;

    /// Gives a folder another name, all at once: whoever looks finds it under the one or the other.
    ///
    /// # Errors
    /// A path is not a plain relative one, there is no such folder or already one of the new name, or storage refuses.
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>>;
}

/// A file that is written piece by piece: what is larger than memory. It appears under its name once it is finished; one that
/// is dropped before leaves what was there.
pub trait Pieces {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// Storage refuses (full, read-only, gone).
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>>;

    /// Gives the file its name.
    ///
    /// # Errors
    /// As [`Pieces::append`].
    fn finish(&mut self) -> LocalFuture<'_, Result<()>>;
}

/// A [`Sink`] that takes files larger than memory, too.
pub trait StreamSink: Sink {
    /// Begins a file.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn create<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>>;
}

/// The whole of a source.
///
/// # Errors
/// It is longer than `most_bytes` (files that are read whole are small), or it cannot be read.
pub async fn read_all(source: &dyn ReadAt, most_bytes: u64) -> Result<Vec<u8>> {
    let len_bytes = source.len_bytes();
    if len_bytes > most_bytes {
        let (found, most) = (len_bytes, most_bytes);
        return Err(Error::format(msg::FileTooLong { found, most })
            .file(source.name())
            .remedy(msg::CheckFile));
    }
    source.read_at(0, len_bytes as usize).await
}

/// The place of a slice in a file of `len_bytes`, or an error that says that the file is too short.
fn slice_bounds(name: &str, len_bytes: u64, offset: u64, len: usize) -> Result<std::ops::Range<u64>> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= len_bytes => Ok(offset..end),
        _ => Err(Error::format(common::EndsEarly {
            end: len_bytes,
            wanted: len,
            from: offset,
        })
        .file(name)
        .remedy(common::FileIncomplete)),
    }
}

/// A file in memory.
#[derive(Debug, Clone)]
pub struct MemoryFile {
    name: String,
    bytes: Rc<[u8]>,
}

impl MemoryFile {
    /// A file called `name` that holds `bytes`.
    pub fn new(name: impl Into<String>, bytes: impl Into<Rc<[u8]>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
        }
    }

    /// The same as a [`Source`].
    pub fn source(name: impl Into<String>, bytes: impl Into<Rc<[u8]>>) -> Source {
        Rc::new(Self::new(name, bytes))
    }
}

impl ReadAt for MemoryFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let range = slice_bounds(&self.name, self.len_bytes(), offset, len)?;
            Ok(self.bytes[range.start as usize..range.end as usize].to_vec())
        })
    }
}

/// The value of a future that waits for nothing, as all are that read memory.
#[cfg(test)]
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the future waits for something"),
    }
}

/// Files in memory, for tests and for the page's downloads.
#[derive(Debug, Default)]
pub struct MemorySink {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
}

impl MemorySink {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was written, by path.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.borrow().clone()
    }
}

impl Sink for MemorySink {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(path)?;
            self.files.borrow_mut().insert(path.to_string(), bytes.to_vec());
            Ok(())
        })
    }
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(async move {
            let files = self.files.borrow();
            let mut folders: Vec<String> = files
                .keys()
                .filter_map(|path| Some(path.split_once('/')?.0.to_owned()))
                .collect();
            folders.dedup();
            Ok(folders)
        })
    }
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(path)?;
            let mut files = self.files.borrow_mut();
            let before = files.len();
            files.retain(|file, _| file.strip_prefix(path).is_none_or(|rest| !rest.starts_with('/')));
            if files.len() == before {
                let (what, why) = (msg::CannotRemove, msg::NoSuchFolder);
                return Err(Error::io(common::At { place: what, what: why }).file(path));
            }
            Ok(())
        })
    }
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            check_relative(from)?;
            check_relative(to)?;
            let mut files = self.files.borrow_mut();
            let is_in = |file: &str, folder: &str| file.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            if files.keys().any(|file| is_in(file, to)) {
                let (what, why) = (msg::CannotRename, msg::NewNameTaken);
                return Err(Error::io(common::At { place: what, what: why }).file(from));
            }
            let (moved, kept): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut *files)
                .into_iter()
                .partition(|(file, _)| is_in(file, from));
            let found = !moved.is_empty();
            let renamed = moved
                .into_iter()
                .map(|(file, bytes)| (format!("{to}{}", &file[from.len()..]), bytes));
            *files = kept.into_iter().chain(renamed).collect();
            if !found {
                let (what, why) = (msg::CannotRename, msg::NoSuchFolder);
                return Err(Error::io(common::At { place: what, what: why }).file(from));
            }
            Ok(())
        })
    }
}

impl StreamSink for MemorySink {
    fn create<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            check_relative(path)?;
            let pieces = MemoryPieces {
                sink: self,
                path,
                bytes: Vec::new(),
            };
            Ok(Box::new(pieces) as Box<dyn Pieces + 'a>)
        })
    }
}

/// A file of a [`MemorySink`] that is not finished.
struct MemoryPieces<'a> {
    sink: &'a MemorySink,
    path: &'a str,
    bytes: Vec<u8>,
}

impl Pieces for MemoryPieces<'_> {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        self.bytes.extend_from_slice(bytes);
        Box::pin(std::future::ready(Ok(())))
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        let bytes = std::mem::take(&mut self.bytes);
        self.sink.files.borrow_mut().insert(self.path.to_owned(), bytes);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Refuses paths that could leave the sink's folder.
fn check_relative(path: &str) -> Result<()> {
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.contains(['\\', ':', '\0']);
    if plain {
        return Ok(());
    }
    Err(Error::internal(msg::NotARelativePath).file(path))
}
