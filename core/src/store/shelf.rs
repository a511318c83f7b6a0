//! The least that a place must give in which runs outlive the program.

use super::{LocalFuture, Pieces, Source};
use crate::Result;

/// Folders of files, one level deep: what a browser's private file system gives in the same way everywhere. Nothing here is all or
/// nothing: a program that ends in the middle leaves part of a file, and there are no renames. [`super::IndexedSink`] makes a
/// [`super::Sink`] of one of its folders.
pub trait Shelf {
    /// The names of the folders, in no order.
    ///
    /// # Errors
    /// Storage refuses.
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>>;

    /// Removes a folder with all that is in it; there may be none of that name.
    ///
    /// # Errors
    /// Storage refuses.
    fn remove_folder<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<()>>;

    /// The names of a folder's files, in no order; none where there is no such folder.
    ///
    /// # Errors
    /// Storage refuses.
    fn files<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Vec<String>>>;

    /// A file of a folder.
    ///
    /// # Errors
    /// There is none of that name, or storage refuses.
    fn open<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Source>>;

    /// Begins a file, in place of one that may be there; the folder is made where there is none. What was appended is there as
    /// soon as it was, and safe from the program's end once it is finished.
    ///
    /// # Errors
    /// Storage refuses (full, read-only, gone).
    fn create<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>>;

    /// Goes on with a file behind its first `from` bytes; what was there behind them is gone.
    ///
    /// # Errors
    /// There is none of that name, it is shorter, or storage refuses.
    fn go_on<'a>(&'a self, folder: &'a str, name: &'a str, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>>;

    /// Takes a folder for one writer alone; `None` where another has it, in this program or in any other one.
    ///
    /// # Errors
    /// Storage refuses.
    fn claim<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Option<Claim>>>;

    /// The folders that somebody has taken.
    ///
    /// # Errors
    /// Storage refuses.
    fn claimed(&self) -> LocalFuture<'_, Result<Vec<String>>>;

    /// Bytes that can still be written, where that is known.
    fn available_bytes(&self) -> LocalFuture<'_, Option<u64>>;

    /// When a folder was written into last, where that is known: milliseconds since 1970 in UTC.
    fn written_ms<'a>(&'a self, _folder: &'a str) -> LocalFuture<'a, Option<u64>> {
        Box::pin(std::future::ready(None))
    }

    /// Removes a file of a folder.
    ///
    /// # Errors
    /// There is none of that name, or storage refuses.
    fn remove<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<()>>;
}

/// Keeps a folder for one writer as long as it lives.
pub type Claim = Box<dyn std::any::Any>;
