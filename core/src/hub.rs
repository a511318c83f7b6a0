//! Models from a hub in the manner of huggingface.co: what a repository holds, which of its files make a model, and how they
//! are fetched piece by piece. Nothing is asked of a hub but for a person who named a model.
//!
//! The protocol is that of huggingface_hub (`hf_api.py`, `file_download.py`):
//!
//! | request | what for |
//! | --- | --- |
//! | `GET ENDPOINT/api/models/ID/revision/REVISION` | `sha`: the commit that the revision stands for; of `tags` `license:…` |
//! | `GET ENDPOINT/api/models/ID/tree/COMMIT?recursive=true` | path and size of each file; `lfs.oid`: SHA-256 of a large one; further pages by `Link` |
//! | `GET ENDPOINT/ID/resolve/COMMIT/PATH`, with `Range` | a piece of a file |
//!
//! `resolve` answers itself or sends on: by 307 to a mirror or a new name, by 302 to an address on another host that is signed
//! and valid for a while. Each piece is asked of `resolve` anew, so that no address is used after its time; one that was refused
//! all the same is asked for again. The token goes to the endpoint's own origin only: browsers and [`native`] take it off where a
//! request is sent on to another one. What the answers say of themselves in `X-Repo-Commit`, `X-Linked-Size` and `X-Linked-ETag`
//! stands in the answer that sends on, which a browser does not show to the page; all of it is in the tree, too, and is taken from
//! there. What failed says why in `X-Error-Code`: `RepoNotFound`, `RevisionNotFound`, `EntryNotFound`, `GatedRepo`.
//!
//! The network is a [`Fetch`], the place that takes files a [`Place`]; this module has neither but natively ([`native`],
//! [`cache`]).

#[cfg(not(target_arch = "wasm32"))]
pub mod cache;
mod choose;
mod client;
mod download;
mod fetch;
mod id;
mod memory;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
mod refused;
mod remote;
mod shelf;

pub use choose::{Chosen, choose};
pub use client::{Hub, Pieces, Repository};
pub use download::download;
pub use fetch::{Body, Fetch, Reply, Request, Unreachable};
pub use id::HubId;
pub use memory::MemoryPlace;
pub use remote::RemoteFile;
pub use shelf::{FOLDERS, ShelfPlace, forget, models, open};
pub(crate) use shelf::{Record, there_bytes};

/// Where a model comes from, for the model cards of what is made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `ORG/NAME`.
    pub id: String,
    /// The licence that the hub lists for it.
    pub license: Option<String>,
}

use crate::Result;
use crate::protocol::HubFile;
use crate::store::{self, LocalFuture, Source};

/// Where a model's files are put. A file is there whole, or a part of it from its start on, or nothing.
pub trait Place {
    /// The file, where it is whole.
    ///
    /// # Errors
    /// Storage refuses.
    fn whole<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>>;

    /// What is there of a file that is not.
    ///
    /// # Errors
    /// Storage refuses.
    fn part<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<Option<Source>>>;

    /// Goes on with a file behind its first `from` bytes; what was there behind them is gone.
    ///
    /// # Errors
    /// Less is there, or storage refuses.
    fn go_on<'a>(&'a self, file: &'a HubFile, from: u64) -> LocalFuture<'a, Result<Box<dyn store::Pieces + 'a>>>;

    /// A part that was finished and checked is the file.
    ///
    /// # Errors
    /// Storage refuses.
    fn complete<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>>;

    /// Removes what is there of a file.
    ///
    /// # Errors
    /// Storage refuses.
    fn discard<'a>(&'a self, file: &'a HubFile) -> LocalFuture<'a, Result<()>>;
}
