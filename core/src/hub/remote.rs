//! A file of a hub, read in slices before it is fetched.

use super::client::{Hub, Repository};
use crate::protocol::HubFile;
use crate::store::{LocalFuture, ReadAt};
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use std::cell::RefCell;
use std::rc::Rc;

/// What is asked for at first: config.json and most headers are shorter.
const FIRST_BYTES: u64 = 128 << 10;
/// The longest beginning that is kept; headers are at the beginning.
const MOST_BYTES: u64 = 128 << 20;

/// A file of a hub as a [`ReadAt`]. What was asked of its beginning is kept, and twice as much is asked for each time, so that a
/// header that is read piece by piece takes few requests.
pub struct RemoteFile {
    hub: Rc<Hub>,
    repository: Rc<Repository>,
    file: HubFile,
    beginning: RefCell<Vec<u8>>,
}

impl RemoteFile {
    /// A file of this repository.
    pub fn new(hub: Rc<Hub>, repository: Rc<Repository>, file: HubFile) -> Self {
        Self {
            hub,
            repository,
            file,
            beginning: RefCell::default(),
        }
    }

    /// Appends `more` to the `known` first bytes; another read of the same file may have been quicker.
    fn extend(&self, known: u64, more: Vec<u8>) {
        let mut beginning = self.beginning.borrow_mut();
        if beginning.len() as u64 == known {
            beginning.extend(more);
        }
    }

    /// The slice, where the beginning has it.
    fn known(&self, offset: u64, end: u64) -> Option<Vec<u8>> {
        let beginning = self.beginning.borrow();
        (end <= beginning.len() as u64).then(|| beginning[offset as usize..end as usize].to_vec())
    }
}

impl ReadAt for RemoteFile {
    fn name(&self) -> &str {
        self.file.path.rsplit('/').next().unwrap_or(&self.file.path)
    }
    fn len_bytes(&self) -> u64 {
        self.file.bytes
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move {
            let end = offset.checked_add(len as u64).filter(|end| *end <= self.file.bytes);
            let Some(end) = end else {
                let what = common::EndsEarly {
                    end: self.file.bytes,
                    wanted: len,
                    from: offset,
                };
                return Err(Error::format(what).file(self.name()).remedy(common::FileIncomplete));
            };
            if let Some(bytes) = self.known(offset, end) {
                return Ok(bytes);
            }
            let known = self.beginning.borrow().len() as u64;
            if end > MOST_BYTES || offset > known.max(FIRST_BYTES) {
                return self.hub.bytes(&self.repository, &self.file, offset..end).await;
            }
            let wanted = end.max(2 * known).max(FIRST_BYTES).min(self.file.bytes);
            let more = self.hub.bytes(&self.repository, &self.file, known..wanted).await?;
            self.extend(known, more);
            match self.known(offset, end) {
                Some(bytes) => Ok(bytes),
                None => self.hub.bytes(&self.repository, &self.file, offset..end).await,
            }
        })
    }
}
