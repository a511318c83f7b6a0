//! Files fetched piece by piece, so that what was fetched stays when the connection, the tab or the process ends.
//!
//! Of a file there is always its beginning. What is there is read once to rebuild the state of its hash, and the rest is asked
//! for piece by piece; so at most the piece under way is fetched twice. A file counts as there once its length and its hash are
//! those that the hub stated.

use super::Place;
use super::client::{Hub, Repository};
use crate::host::Emit;
use crate::protocol::{Event, HubEvent, HubFile, HubProgress};
use crate::store::{Source, hexadecimal};
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::hub as msg;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;

/// What is read at a time of what is there.
const READ_BYTES: u64 = 4 << 20;
/// How often in a row a piece may break off.
const TRIES: u32 = 5;
/// What passes between two reports.
const REPORT_MS: f64 = 200.0;
/// The time over which the rate is taken.
const RATE_MS: f64 = 10_000.0;

/// Fetches files into a place, one after the other.
///
/// # Errors
/// The hub or the storage refuses, a file is not what was promised, or it is cancelled; what was fetched stays, but for a file
/// whose hash is another one.
pub async fn download(
    hub: &Hub,
    repository: &Repository,
    files: &[HubFile],
    place: &dyn Place,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let mut report = Report::new(files, (emit.host.now_ms)());
    for file in files {
        report.file.clone_from(&file.path);
        if place.whole(file).await?.is_some() {
            report.done += file.bytes;
            continue;
        }
        fetch(hub, repository, file, place, (&mut report, emit)).await?;
    }
    report.tell(emit, true);
    Ok(())
}

async fn fetch(
    hub: &Hub,
    repository: &Repository,
    file: &HubFile,
    place: &dyn Place,
    (report, emit): (&mut Report, &mut Emit<'_>),
) -> Result<()> {
    let mut hash = Hash::of(file);
    let mut at = 0;
    if let Some(part) = place.part(file).await? {
        match part.len_bytes() <= file.bytes {
            true => at = take_in(&part, &mut hash, (report, emit)).await?,
            // Something else is under this name.
            false => place.discard(file).await?,
        }
    }
    let mut written = place.go_on(file, at).await?;
    let asked = hub.asked(&repository.id, Some(&file.path));
    let mut tries = 0;
    let mut piece = Vec::new();
    while at < file.bytes {
        let end = file.bytes.min(at + hub.pieces.of(file));
        piece.clear();
        let poured = hub
            .pour(repository, file, at..end, &mut piece, &mut |bytes| {
                report.came(bytes, emit);
            })
            .await;
        // What came is not fetched again, however it ended; but for what is not what was promised.
        let is_of_file = match &poured {
            Ok(_) => true,
            Err(error) => error.kind == crate::error::Kind::Stopped,
        };
        if is_of_file && !piece.is_empty() {
            written.append(&piece).await?;
            hash.update(&piece);
            at += piece.len() as u64;
        }
        match poured {
            Ok(None) => tries = 0,
            Ok(Some(why)) => {
                tries += 1;
                if tries >= TRIES {
                    written.finish().await?;
                    return Err(asked.broke_off(&why));
                }
                hub.pause(tries).await?;
            }
            Err(error) => {
                written.finish().await?;
                return Err(error);
            }
        }
        (emit.host.yield_now)().await;
    }
    written.finish().await?;
    drop(written);
    if let Some(other) = hash.other_than(file) {
        place.discard(file).await?;
        return Err(Error::io(other).file(file.path.clone()).remedy(msg::DownloadOnceMore));
    }
    place.complete(file).await
}

/// The hash that the hub states of a file: SHA-256 of one in its large file storage; of any other one that of git's blob, SHA-1 of
/// `blob LENGTH\0` and the bytes, which is the file's ETag.
enum Hash {
    Large(Sha256),
    Blob(Sha1),
}

impl Hash {
    fn of(file: &HubFile) -> Self {
        match file.sha256 {
            Some(_) => Self::Large(Sha256::new()),
            None => Self::Blob(Sha1::new_with_prefix(format!("blob {}\0", file.bytes))),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Large(hasher) => hasher.update(bytes),
            Self::Blob(hasher) => hasher.update(bytes),
        }
    }

    /// What is wrong where it is another hash than the hub's.
    fn other_than(self, file: &HubFile) -> Option<Message> {
        match self {
            Self::Large(hasher) => {
                let found = hexadecimal(hasher.finalize().as_slice());
                (file.sha256.as_ref() != Some(&found)).then(|| msg::OtherHash { found }.into())
            }
            Self::Blob(hasher) => {
                let found = hexadecimal(hasher.finalize().as_slice());
                (file.etag != found).then(|| msg::OtherBlob { found }.into())
            }
        }
    }
}

/// Reads what is there into the hash; gives its length.
async fn take_in(part: &Source, hash: &mut Hash, (report, emit): (&mut Report, &mut Emit<'_>)) -> Result<u64> {
    let mut at = 0;
    while at < part.len_bytes() {
        let length = READ_BYTES.min(part.len_bytes() - at);
        hash.update(&part.read_at(at, length as usize).await?);
        at += length;
        report.done += length;
        report.tell(emit, false);
        (emit.host.yield_now)().await;
        let is_over = emit
            .control
            .unless_download_cancelled(std::future::ready(()))
            .await
            .is_none();
        if is_over {
            return Err(Error::stopped(msg::Cancelled).remedy(msg::DownloadGoesOn));
        }
    }
    Ok(at)
}

/// How far it is, and how fast.
struct Report {
    file: String,
    done: u64,
    total: u64,
    told_ms: f64,
    /// Moments, and what had come by then.
    came: VecDeque<(f64, u64)>,
    fetched: u64,
}

impl Report {
    fn new(files: &[HubFile], now_ms: f64) -> Self {
        Self {
            file: String::new(),
            done: 0,
            total: files.iter().map(|file| file.bytes).sum(),
            told_ms: f64::NEG_INFINITY,
            came: VecDeque::from([(now_ms, 0)]),
            fetched: 0,
        }
    }

    fn came(&mut self, bytes: u64, emit: &mut Emit<'_>) {
        self.done += bytes;
        self.fetched += bytes;
        self.tell(emit, false);
    }

    fn tell(&mut self, emit: &mut Emit<'_>, at_once: bool) {
        let now_ms = (emit.host.now_ms)();
        if now_ms - self.told_ms < REPORT_MS && !at_once {
            return;
        }
        self.told_ms = now_ms;
        self.came.push_back((now_ms, self.fetched));
        while self.came.len() > 2 && now_ms - self.came[0].0 > RATE_MS {
            self.came.pop_front();
        }
        let (since_ms, before) = self.came[0];
        let ms = now_ms - since_ms;
        let bytes_per_second = match ms > 0.0 {
            true => (self.fetched - before) as f64 / ms * 1000.0,
            false => 0.0,
        };
        emit.event(Event::Hub(HubEvent::Progress(HubProgress {
            file: self.file.clone(),
            done: self.done,
            total: self.total,
            bytes_per_second,
        })));
    }
}
