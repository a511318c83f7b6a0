//! An export as pieces of files, for a front end that puts them where it likes: no more than one piece is held here, and the
//! front end says how many may be on their way.

use crate::error::{Error, Result};
use crate::host::{Control, Emit, Host};
use crate::protocol::{ExportEvent, PIECE_BYTES, Stage};
use crate::store::{LocalFuture, Pieces, Sink, StreamSink};
use lorakeet_i18n::messages::{export as msg, formats};
use std::cell::{Cell, RefCell};

/// A sink that hands over what it is given as [`ExportEvent::Piece`]s.
pub(crate) struct PieceSink<'e, 'a> {
    emit: RefCell<&'e mut Emit<'a>>,
    host: Host,
    control: Control,
    /// The most pieces that may be on their way; 0 for any number.
    ahead: u64,
    sent: Cell<u64>,
}

impl<'e, 'a> PieceSink<'e, 'a> {
    pub(crate) fn new(emit: &'e mut Emit<'a>, ahead: u64) -> Self {
        Self {
            host: emit.host,
            control: emit.control.clone(),
            emit: RefCell::new(emit),
            ahead,
            sent: Cell::new(0),
        }
    }

    /// Says how many bytes of weights are through.
    pub(crate) fn progress(&self, done: u64, total: u64) {
        self.emit.borrow_mut().progress(Stage::Export, done, total);
    }

    /// Sends a piece, and waits while too many are on their way.
    async fn send(&self, path: &str, offset: u64, content: Vec<u8>, is_last: bool) -> Result<()> {
        let sent = self.sent.get() + 1;
        self.sent.set(sent);
        let piece = ExportEvent::Piece {
            path: path.to_owned(),
            offset,
            bytes: content.len() as u64,
            is_last,
        };
        self.emit.borrow_mut().piece(piece, content);
        (self.host.yield_now)().await;
        if self.ahead > 0 {
            self.control.until_taken((sent + 1).saturating_sub(self.ahead)).await;
        }
        match self.control.is_export_cancelled() {
            true => Err(Error::stopped(msg::ExportStopped)),
            false => Ok(()),
        }
    }

    fn begin<'s>(&'s self, path: &'s str) -> Growing<'s, 'e, 'a> {
        Growing {
            sink: self,
            path,
            offset: 0,
            waiting: Vec::new(),
        }
    }
}

/// A file that is not complete.
struct Growing<'s, 'e, 'a> {
    sink: &'s PieceSink<'e, 'a>,
    path: &'s str,
    /// Bytes that were sent.
    offset: u64,
    /// Bytes that are no whole piece yet.
    waiting: Vec<u8>,
}

impl Growing<'_, '_, '_> {
    async fn send(&mut self, is_last: bool) -> Result<()> {
        let piece = std::mem::take(&mut self.waiting);
        let offset = self.offset;
        self.offset += piece.len() as u64;
        self.sink.send(self.path, offset, piece, is_last).await
    }
}

impl Pieces for Growing<'_, '_, '_> {
    fn append<'p>(&'p mut self, bytes: &'p [u8]) -> LocalFuture<'p, Result<()>> {
        Box::pin(async move {
            let mut left = bytes;
            while !left.is_empty() {
                let (taken, rest) = left.split_at(left.len().min(PIECE_BYTES - self.waiting.len()));
                self.waiting.extend_from_slice(taken);
                left = rest;
                if self.waiting.len() == PIECE_BYTES {
                    self.send(false).await?;
                }
            }
            Ok(())
        })
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        Box::pin(self.send(true))
    }
}

impl Sink for PieceSink<'_, '_> {
    fn write<'s>(&'s self, path: &'s str, bytes: &'s [u8]) -> LocalFuture<'s, Result<()>> {
        Box::pin(async move {
            let mut file = self.begin(path);
            file.append(bytes).await?;
            file.finish().await
        })
    }
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
    fn remove_folder<'s>(&'s self, path: &'s str) -> LocalFuture<'s, Result<()>> {
        Box::pin(std::future::ready(Err(Error::io(formats::NoSuchFolder).file(path))))
    }
    fn rename_folder<'s>(&'s self, from: &'s str, _to: &'s str) -> LocalFuture<'s, Result<()>> {
        Box::pin(std::future::ready(Err(Error::io(formats::NoSuchFolder).file(from))))
    }
}

impl StreamSink for PieceSink<'_, '_> {
    fn create<'s>(&'s self, path: &'s str) -> LocalFuture<'s, Result<Box<dyn Pieces + 's>>> {
        Box::pin(async move { Ok(Box::new(self.begin(path)) as Box<dyn Pieces + 's>) })
    }
}
