//! What a hub is asked, and how often where it does not answer at once.

use super::fetch::{Fetch, Reply, Request, Unreachable};
use super::id::{HubId, is_commit, is_plain_path};
use super::refused::{Asked, endpoint, origin, seconds_to_wait};
use crate::host::Control;
use crate::protocol::{HubFile, HubToken};
use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::hub as msg;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::ops::Range;
use std::rc::Rc;

/// How often a request is tried that gets no answer, or one that tells of a fault over there.
const TRIES: u32 = 3;
/// What is waited after the first try; after each further one three times as long.
const PAUSE_MS: u32 = 300;
/// How often it is waited for as long as the hub asks.
const WAITS: u32 = 4;
/// The longest that it is.
const MOST_SECONDS: u64 = 120;
/// What is waited where the hub does not say how long.
const SECONDS: u64 = 10;
/// How often an address is asked for again that another host refused: it was signed for a while that is over.
const SIGNED: u32 = 3;
/// What passes between two looks at whether it is to end.
const SLICE_MS: u32 = 200;
/// The longest list that is read.
const MOST_LIST_BYTES: usize = 64 << 20;
/// The most pages of a list.
const MOST_PAGES: usize = 100;

/// The lengths of the pieces that files are fetched in: a 64th of a file within these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pieces {
    /// The shortest, but for the last of a file.
    pub least: u64,
    /// The longest.
    pub most: u64,
}

impl Default for Pieces {
    fn default() -> Self {
        Self {
            least: 1 << 20,
            most: 8 << 20,
        }
    }
}

impl Pieces {
    pub(super) fn of(self, file: &HubFile) -> u64 {
        (file.bytes / 64).clamp(self.least, self.most).max(1)
    }
}

/// A hub, and who asks it.
pub struct Hub {
    /// How long pieces are.
    pub pieces: Pieces,
    fetch: Rc<dyn Fetch>,
    endpoint: String,
    token: Option<HubToken>,
    control: Control,
}

/// What a revision of a repository holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its name and the revision.
    pub id: HubId,
    /// The commit that the revision stands for.
    pub commit: String,
    /// All its files.
    pub files: Vec<HubFile>,
    /// The licence that the hub lists for it.
    pub license: Option<String>,
}

impl Repository {
    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&HubFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    oid: String,
    #[serde(default)]
    size: u64,
    path: String,
    #[serde(default)]
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

impl Hub {
    /// The hub at `address`, asked by way of `fetch`; `control` ends what is under way
    /// ([`Control::cancel_download`]).
    ///
    /// # Errors
    /// The address is none.
    pub fn new(fetch: Rc<dyn Fetch>, address: &str, token: Option<HubToken>, control: Control) -> Result<Self> {
        Ok(Self {
            pieces: Pieces::default(),
            fetch,
            endpoint: endpoint(address)?,
            token: token.filter(|token| !token.0.trim().is_empty()),
            control,
        })
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What a repository holds.
    ///
    /// # Errors
    /// There is none of that name or no such revision, it is gated, the hub cannot be reached, or it answers something else.
    pub async fn repository(&self, id: &HubId) -> Result<Repository> {
        let asked = self.asked(id, None);
        let api = format!("{}/api/models/{}", self.endpoint, id.id);
        let (Revision { sha, tags }, _) = self
            .json(&asked, &format!("{api}/revision/{}", escaped(&id.revision, false)))
            .await?;
        if !is_commit(&sha) || id.is_commit() && !sha.eq_ignore_ascii_case(&id.revision) {
            return Err(asked.not_promised(msg::NoCommit));
        }
        let mut files = Vec::new();
        let mut next = Some(format!("{api}/tree/{sha}?recursive=true"));
        for _ in 0..MOST_PAGES {
            let Some(url) = next else { break };
            let (entries, reply): (Vec<Entry>, _) = self.json(&asked, &url).await?;
            for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
                files.extend(file(&asked, entry)?);
            }
            next = next_page(&reply);
            // The token is for the endpoint.
            if let Some(url) = &next
                && origin(url) != origin(&self.endpoint)
            {
                return Err(asked.not_promised(msg::ListGoesOnElsewhere));
            }
        }
        match next {
            Some(_) => Err(asked.not_promised(msg::ListTooLong)),
            None => Ok(Repository {
                id: id.clone(),
                commit: sha,
                files,
                license: tags
                    .iter()
                    .find_map(|tag| tag.strip_prefix("license:"))
                    .map(str::to_owned),
            }),
        }
    }

    /// A small file, whole.
    ///
    /// # Errors
    /// As of [`Hub::bytes`].
    pub async fn small(&self, repository: &Repository, file: &HubFile) -> Result<Vec<u8>> {
        self.bytes(repository, file, 0..file.bytes).await
    }

    /// Some bytes of a file.
    ///
    /// # Errors
    /// They cannot be fetched: as of [`Hub::repository`], or it breaks off again and again.
    pub async fn bytes(&self, repository: &Repository, file: &HubFile, range: Range<u64>) -> Result<Vec<u8>> {
        let asked = self.asked(&repository.id, Some(&file.path));
        let mut bytes = Vec::new();
        let mut tries = 0;
        loop {
            let from = range.start + bytes.len() as u64;
            if from >= range.end {
                return Ok(bytes);
            }
            let cut = self
                .pour(repository, file, from..range.end, &mut bytes, &mut |_| ())
                .await?;
            let Some(why) = cut else { continue };
            tries += 1;
            if tries >= TRIES {
                return Err(asked.broke_off(&why));
            }
            self.pause(tries).await?;
        }
    }

    /// Has bytes of a file added to `into` by one request, and tells `came` of each part as it comes; gives why where it broke
    /// off. `into` then has what came.
    ///
    /// # Errors
    /// As of [`Hub::repository`].
    pub(super) async fn pour(
        &self,
        repository: &Repository,
        file: &HubFile,
        range: Range<u64>,
        into: &mut Vec<u8>,
        came: &mut dyn FnMut(u64),
    ) -> Result<Option<String>> {
        let asked = self.asked(&repository.id, Some(&file.path));
        let path = escaped(&file.path, true);
        let url = format!(
            "{}/{}/resolve/{}/{path}",
            self.endpoint, repository.id.id, repository.commit
        );
        // A small file may be packed on its way, and cannot be fetched in parts then.
        let is_whole = range == (0..file.bytes);
        let mut reply = self.ask(&asked, url, (!is_whole).then(|| range.clone())).await?;
        let stated = reply.header("content-range");
        let expected = format!("bytes {}-{}/{}", range.start, range.end - 1, file.bytes);
        // Not every host lets a page see this header.
        let is_part = reply.status == 206 && !is_whole && stated.is_none_or(|stated| stated == expected);
        let is_beginning = reply.status == 200 && range.start == 0;
        if !is_part && !is_beginning {
            return Err(match (reply.status, stated) {
                (206, Some(stated)) => asked.not_promised(msg::OtherPart {
                    stated: crate::error::shortened(stated, 100),
                    expected,
                }),
                _ => asked.not_promised(msg::NoParts),
            });
        }
        let mut left = range.end - range.start;
        loop {
            let bytes = match self.unless_cancelled(reply.body.next()).await? {
                Ok(Some(bytes)) => bytes,
                Ok(None) if left == 0 => return Ok(None),
                Ok(None) => return Err(asked.not_promised(msg::Shorter { left })),
                Err(Unreachable(why)) => return Ok(Some(why)),
            };
            if bytes.len() as u64 > left && (is_part || is_whole) {
                return Err(asked.not_promised(msg::Longer));
            }
            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            into.extend_from_slice(&bytes[..taken]);
            left -= taken as u64;
            came(taken as u64);
            // Of a file that is given from its beginning in spite of what was asked, the rest is not wanted.
            if left == 0 && !is_part && !is_whole {
                return Ok(None);
            }
        }
    }

    /// An answer to `url` as JSON.
    async fn json<T: DeserializeOwned>(&self, asked: &Asked<'_>, url: &str) -> Result<(T, Reply)> {
        let mut reply = self.ask(asked, url.to_owned(), None).await?;
        let mut text = Vec::new();
        loop {
            match self.unless_cancelled(reply.body.next()).await? {
                Ok(Some(bytes)) => text.extend(bytes),
                Ok(None) => break,
                Err(Unreachable(why)) => return Err(asked.broke_off(&why)),
            }
            if text.len() > MOST_LIST_BYTES {
                return Err(asked.not_promised(msg::ListTooLong));
            }
        }
        let value = serde_json::from_slice(&text).map_err(|error| {
            let start = crate::error::shortened(String::from_utf8_lossy(&text).trim(), 60);
            asked.not_promised(msg::NoList { error, start })
        })?;
        Ok((value, reply))
    }

    /// An answer to `url` that has what was asked for; tried again where that may help.
    async fn ask(&self, asked: &Asked<'_>, url: String, range: Option<Range<u64>>) -> Result<Reply> {
        let request = Request {
            url,
            range,
            token: self.token.clone(),
        };
        let (mut tries, mut waits, mut signed) = (0, 0, 0);
        loop {
            let reply = match self.unless_cancelled(self.fetch.get(&request)).await? {
                Ok(reply) => reply,
                Err(Unreachable(why)) => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(asked.unreachable(&why));
                    }
                    self.pause(tries).await?;
                    continue;
                }
            };
            let is_elsewhere = origin(&reply.url) != origin(&self.endpoint);
            match reply.status {
                200 | 206 => return Ok(reply),
                429 => {
                    let seconds = seconds_to_wait(&reply).unwrap_or(SECONDS);
                    waits += 1;
                    if waits > WAITS || seconds > MOST_SECONDS {
                        return Err(asked.rate_limited(seconds));
                    }
                    self.wait(seconds.max(1) as u32 * 1000).await?;
                }
                400 | 401 | 403 | 410 if is_elsewhere => {
                    signed += 1;
                    if signed > SIGNED {
                        let (host, status) = (origin(&reply.url).unwrap_or_default(), reply.status);
                        return Err(Error::io(msg::FileHostRefused { host, status }).remedy(msg::TryLater));
                    }
                }
                500..=599 => {
                    tries += 1;
                    if tries >= TRIES {
                        return Err(asked.refusal(&reply));
                    }
                    self.pause(tries).await?;
                }
                _ => return Err(asked.refusal(&reply)),
            }
        }
    }

    /// Waits before the try after `tries`.
    pub(super) async fn pause(&self, tries: u32) -> Result<()> {
        self.wait(PAUSE_MS * 3u32.pow(tries.saturating_sub(1).min(3))).await
    }

    async fn wait(&self, ms: u32) -> Result<()> {
        let mut left = ms;
        while left > 0 {
            let slice = left.min(SLICE_MS);
            self.unless_cancelled(self.fetch.wait(slice)).await?;
            left -= slice;
        }
        Ok(())
    }

    async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        let done = self.control.unless_download_cancelled(work).await;
        done.ok_or_else(|| Error::stopped(msg::Cancelled).remedy(msg::DownloadGoesOn))
    }

    pub(super) fn asked<'a>(&'a self, id: &'a HubId, file: Option<&'a str>) -> Asked<'a> {
        Asked {
            endpoint: &self.endpoint,
            id,
            file,
            token: self.token.as_ref(),
        }
    }
}

/// A file of a tree; none of one whose path cannot be a path elsewhere.
fn file(asked: &Asked<'_>, entry: Entry) -> Result<Option<HubFile>> {
    let is_hash = |text: &str, length: usize| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let broken = || {
        let path = crate::error::shortened(&entry.path, 200);
        asked.not_promised(Message::from(msg::NoHash { path }))
    };
    if !is_plain_path(&entry.path) {
        return Ok(None);
    }
    let (bytes, etag, sha256) = match &entry.lfs {
        Some(large) if is_hash(&large.oid, 64) => {
            let oid = large.oid.to_ascii_lowercase();
            (large.size, oid.clone(), Some(oid))
        }
        None if is_hash(&entry.oid, 40) => (entry.size, entry.oid.to_ascii_lowercase(), None),
        _ => return Err(broken()),
    };
    Ok(Some(HubFile {
        path: entry.path,
        bytes,
        etag,
        sha256,
    }))
}

/// The address of `Link: <ADDRESS>; rel="next"`.
fn next_page(reply: &Reply) -> Option<String> {
    let links = reply.header("link")?.split(',');
    links.into_iter().find_map(|link| {
        let (address, relation) = link.split_once(';')?;
        let is_next = relation.contains("rel=\"next\"");
        is_next.then(|| Some(address.trim().strip_prefix('<')?.strip_suffix('>')?.to_owned()))?
    })
}

/// A text as a part of an address; of a path the slashes stay.
fn escaped(text: &str, is_path: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            b'/' if is_path => escaped.push('/'),
            byte if byte.is_ascii_alphanumeric() => escaped.push(byte.into()),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_plain_letters_only() {
        assert_eq!(escaped("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(escaped("a b/ü.gguf", true), "a%20b/%C3%BC.gguf");
    }

    #[test]
    fn a_piece_is_a_64th_of_a_file_within_bounds() {
        let piece = |bytes: u64| {
            Pieces::default().of(&HubFile {
                path: String::new(),
                bytes,
                etag: String::new(),
                sha256: None,
            })
        };
        assert_eq!(
            [piece(0), piece(128 << 20), piece(8 << 30)],
            [1 << 20, 2 << 20, 8 << 20]
        );
    }
}
