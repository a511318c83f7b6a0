//! A hub that speaks huggingface.co's protocol on two loopback ports, which are two origins: one with lists and `resolve`, one where
//! the large files are, reached by addresses that are signed and valid for a while. It does wrong what a test asks it to, and counts
//! what it gives.

use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is written at a time.
const CHUNK_BYTES: usize = 64 << 10;
const REQUEST_BYTES: u64 = 64 << 10;
/// Headers that a page may read, as huggingface.co lists them.
const EXPOSED: &str = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,\
                       Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash";

/// A running hub; it ends when dropped.
#[derive(Debug)]
pub struct FakeHub {
    hub: SocketAddr,
    files: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it does wrong; each number counts down with each time.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Answers `429 Too Many Requests` so often.
    pub too_many: u32,
    /// Says in them to wait for so many seconds.
    pub retry_after: u64,
    /// Answers `503 Service Unavailable` so often.
    pub unavailable: u32,
    /// Signs so many addresses that are not valid any more.
    pub expired: u32,
    /// Cuts so many large files off.
    pub cuts: u32,
    /// After so many bytes of the answer.
    pub cut_after: u64,
    /// Gives a page of HTML in place of lists.
    pub login_page: bool,
    /// Gives large files with a byte changed.
    pub other_bytes: bool,
    /// Gives small files with a byte changed.
    pub other_small_bytes: bool,
    /// Gives large files whole, whatever was asked.
    pub no_ranges: bool,
    /// Entries on a page of a list; 0 gives all on one.
    pub entries_a_page: usize,
    /// Waits so long before each 64 KB of a large file.
    pub pause_ms: u64,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<String, Repository>,
    renamed: BTreeMap<String, String>,
    faults: Faults,
    requests: Vec<String>,
    sent: BTreeMap<String, u64>,
    /// Signatures that are valid.
    signed: BTreeSet<u64>,
    next_signature: u64,
    has_leaked: bool,
    is_over: bool,
}

#[derive(Debug, Clone)]
struct Repository {
    commit: String,
    files: BTreeMap<String, Arc<[u8]>>,
    /// What opens it.
    token: Option<String>,
    /// Whether it says that it is there without it.
    is_gated: bool,
}

/// A request's first line and its headers, names in small letters.
struct Asked {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
}

/// An answer.
struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Arc<[u8]>,
    range: std::ops::Range<usize>,
    /// The name that it is counted under.
    counted: Option<String>,
    cut_after: Option<usize>,
}

impl FakeHub {
    /// Starts a hub without models.
    ///
    /// # Errors
    /// No port is free.
    pub fn start() -> Result<Self> {
        let hub = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let files = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let running = Self {
            hub: hub.local_addr()?,
            files: files.local_addr()?,
            state: Arc::default(),
        };
        let of_files = format!("http://{}", running.files);
        let state = running.state.clone();
        serve(hub, state.clone(), move |asked, state| lists(asked, state, &of_files));
        serve(files, state, large_file);
        Ok(running)
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.hub)
    }

    /// The address of the host with the large files.
    pub fn file_host(&self) -> String {
        format!("http://{}", self.files)
    }

    /// Adds a repository, or replaces one, and gives its commit.
    pub fn publish(&self, id: &str, files: &[(&str, &[u8])]) -> String {
        let mut hasher = Sha256::new();
        for (name, bytes) in files {
            hasher.update(name);
            hasher.update(bytes);
        }
        let commit = hexadecimal(&hasher.finalize())[..40].to_owned();
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), Arc::from(*bytes)));
        let repository = Repository {
            commit: commit.clone(),
            files: files.collect(),
            token: None,
            is_gated: false,
        };
        self.lock().repositories.insert(id.to_owned(), repository);
        commit
    }

    /// Has a repository opened by a token only; a gated one says so, another one does as if it were not there.
    pub fn close(&self, id: &str, token: &str, is_gated: bool) {
        if let Some(repository) = self.lock().repositories.get_mut(id) {
            repository.token = Some(token.to_owned());
            repository.is_gated = is_gated;
        }
    }

    /// Has an old name lead to a repository.
    pub fn rename(&self, old: &str, new: &str) {
        self.lock().renamed.insert(old.to_owned(), new.to_owned());
    }

    /// Does these things wrong from now on.
    pub fn go_wrong(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// What was asked so far: methods and targets.
    pub fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// The bytes of a file, or of a list, that were given so far.
    pub fn sent(&self, name: &str) -> u64 {
        self.lock().sent.get(name).copied().unwrap_or_default()
    }

    /// Forgets what was asked and given.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.requests.clear();
        state.sent.clear();
    }

    /// Whether the host with the files was given a token.
    pub fn has_leaked(&self) -> bool {
        self.lock().has_leaked
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.lock().is_over = true;
        for address in [self.hub, self.files] {
            // It waits for a visitor.
            drop(TcpStream::connect(address));
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(
    listener: TcpListener,
    state: Arc<Mutex<State>>,
    answer: impl Fn(&Asked, &mut State) -> Answer + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if lock(&state).is_over {
                break;
            }
            let (state, answer) = (state.clone(), answer.clone());
            // A visitor who hangs up is no fault of the hub's.
            std::thread::spawn(move || drop(stream.and_then(|stream| visit(stream, &state, answer.as_ref()))));
        }
    });
}

fn visit(mut stream: TcpStream, state: &Mutex<State>, answer: &dyn Fn(&Asked, &mut State) -> Answer) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let Some(asked) = read(&stream)? else { return Ok(()) };
    let (answer, pause) = {
        let mut state = lock(state);
        if asked.method != "OPTIONS" {
            state.requests.push(format!("{} {}", asked.method, asked.target));
        }
        let answer = match asked.method.as_str() {
            "OPTIONS" => Answer::of("204 No Content", Vec::new()),
            _ => answer(&asked, &mut state),
        };
        (answer, Duration::from_millis(state.faults.pause_ms))
    };
    let mut head = format!("HTTP/1.1 {}\r\nConnection: close\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let cors = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n\
                Access-Control-Allow-Headers: authorization, range\r\nAccess-Control-Max-Age: 86400";
    head.push_str(&format!(
        "{cors}\r\nAccess-Control-Expose-Headers: {EXPOSED}\r\nContent-Length: {}\r\n\r\n",
        answer.range.len()
    ));
    stream.write_all(head.as_bytes())?;
    if asked.method == "HEAD" {
        return Ok(());
    }
    let given = answer
        .cut_after
        .map_or(answer.range.len(), |most| most.min(answer.range.len()));
    let bytes = &answer.body[answer.range.start..answer.range.start + given];
    for chunk in bytes.chunks(CHUNK_BYTES) {
        if answer.counted.is_some() {
            std::thread::sleep(pause);
        }
        // Before it is sent: whoever has it may ask at once how much that was.
        if let Some(name) = &answer.counted {
            *lock(state).sent.entry(name.clone()).or_default() += chunk.len() as u64;
        }
        let written = stream.write_all(chunk);
        if let (Err(_), Some(name)) = (&written, &answer.counted) {
            *lock(state).sent.entry(name.clone()).or_default() -= chunk.len() as u64;
        }
        written?;
    }
    Ok(())
}

fn read(stream: &TcpStream) -> Result<Option<Asked>> {
    let mut lines = BufReader::new(stream.take(REQUEST_BYTES)).lines();
    let Some(first) = lines.next().transpose()? else {
        return Ok(None);
    };
    let mut words = first.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    Ok(Some(Asked {
        method,
        target,
        headers,
    }))
}

impl Answer {
    fn of(status: &'static str, body: impl Into<Arc<[u8]>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: Vec::new(),
            range: 0..body.len(),
            body,
            counted: None,
            cut_after: None,
        }
    }

    fn json(value: &Value) -> Self {
        let answer = Self::of("200 OK", value.to_string().into_bytes());
        answer.with("Content-Type", "application/json; charset=utf-8")
    }

    /// A refusal as huggingface.co words it.
    fn refusal(status: &'static str, code: &'static str, message: &str) -> Self {
        let answer = Self::of(status, json!({ "error": message }).to_string().into_bytes());
        let answer = answer.with("X-Error-Message", message);
        match code {
            "" => answer,
            code => answer.with("X-Error-Code", code),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A file, or the part of it that was asked for.
    fn file(asked: &Asked, bytes: Arc<[u8]>, counted: &str) -> Self {
        let all = bytes.len();
        let mut answer = Self::of("200 OK", bytes).with("Accept-Ranges", "bytes");
        answer.counted = Some(counted.to_owned());
        let Some(range) = asked.headers.get("range") else {
            return answer;
        };
        let parts = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
        let number = |text: &str| text.parse::<usize>().ok();
        let Some((Some(start), end)) = parts.map(|(start, end)| (number(start), number(end))) else {
            return answer;
        };
        let end = end.map_or(all, |end| all.min(end + 1));
        if start >= end {
            return Self::of("416 Range Not Satisfiable", Vec::new()).with("Content-Range", format!("bytes */{all}"));
        }
        answer.status = "206 Partial Content";
        answer.range = start..end;
        answer.with("Content-Range", format!("bytes {start}-{}/{all}", end - 1))
    }
}

/// Takes one from a count.
fn takes(count: &mut u32) -> bool {
    let is_left = *count > 0;
    *count = count.saturating_sub(1);
    is_left
}

/// What the hub itself answers.
fn lists(asked: &Asked, state: &mut State, file_host: &str) -> Answer {
    if takes(&mut state.faults.too_many) {
        let seconds = state.faults.retry_after.to_string();
        return Answer::refusal("429 Too Many Requests", "", "You have been rate limited").with("Retry-After", seconds);
    }
    if takes(&mut state.faults.unavailable) {
        return Answer::of("503 Service Unavailable", Vec::new());
    }
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let (is_list, rest) = match path.strip_prefix("/api/models/") {
        Some(rest) => (true, rest),
        None => (false, path.trim_start_matches('/')),
    };
    if is_list && state.faults.login_page {
        return Answer::of("200 OK", b"<!doctype html><title>Log in</title>".to_vec());
    }
    let Some((id, verb, rest)) = divided(rest) else {
        return Answer::refusal("404 Not Found", "", "Not Found");
    };
    if let Some(new) = state.renamed.get(id) {
        let location = asked.target.replacen(id, new, 1);
        return Answer::of("307 Temporary Redirect", Vec::new()).with("Location", location);
    }
    let missing = || Answer::refusal("401 Unauthorized", "RepoNotFound", "Invalid username or password.");
    let Some(repository) = state.repositories.get(id).cloned() else {
        return missing();
    };
    let given = asked
        .headers
        .get("authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let is_open = repository.token.is_none() || repository.token.as_deref() == given;
    // Lists of gated models are open to all.
    match (is_open, repository.is_gated, is_list) {
        (true, ..) | (false, true, true) => {}
        (false, true, false) if given.is_none() => {
            return Answer::refusal("401 Unauthorized", "GatedRepo", "Access to this model is restricted.");
        }
        (false, true, false) => return Answer::refusal("403 Forbidden", "GatedRepo", "You are not in the list."),
        (false, false, _) => return missing(),
    }
    let rest = rest.replace("%2F", "/").replace("%20", " ");
    let revision = rest.split('/').next().unwrap_or_default();
    if revision != "main" && revision != repository.commit {
        return Answer::refusal("404 Not Found", "RevisionNotFound", "Invalid rev id");
    }
    match verb {
        "revision" => {
            let siblings: Vec<Value> = repository
                .files
                .keys()
                .map(|name| json!({ "rfilename": name }))
                .collect();
            Answer::json(&json!({
                "_id": "0", "id": id, "modelId": id, "sha": repository.commit, "private": false,
                "gated": repository.is_gated, "downloads": 0, "likes": 0,
                "tags": ["safetensors", "license:apache-2.0"], "siblings": siblings
            }))
        }
        "tree" => tree(&repository, query, (asked, state.faults.entries_a_page)),
        _ => {
            let name = rest.split_once('/').map_or("", |(_, name)| name);
            let Some(bytes) = repository.files.get(name) else {
                return Answer::refusal("404 Not Found", "EntryNotFound", "Entry not found");
            };
            resolved(asked, state, (name, bytes.clone()), &repository.commit, file_host)
        }
    }
}

/// `ORG/NAME/VERB/REST`, or without ORG.
fn divided(path: &str) -> Option<(&str, &str, &str)> {
    ["revision", "tree", "resolve"].iter().find_map(|verb| {
        let (id, rest) = path.split_once(&format!("/{verb}/"))?;
        Some((id, *verb, rest))
    })
}

fn tree(repository: &Repository, query: &str, (asked, most): (&Asked, usize)) -> Answer {
    let entries: Vec<Value> = repository
        .files
        .iter()
        .map(|(name, bytes)| match is_large(name) {
            true => json!({
                "type": "file", "oid": git_hash(bytes), "size": bytes.len(), "path": name,
                "lfs": { "oid": hash(bytes), "size": bytes.len(), "pointerSize": 134 }
            }),
            false => json!({ "type": "file", "oid": git_hash(bytes), "size": bytes.len(), "path": name }),
        })
        .chain([json!({ "type": "directory", "oid": "0".repeat(40), "size": 0, "path": "a folder" })])
        .collect();
    if most == 0 {
        return Answer::json(&json!(entries));
    }
    let cursor = query
        .split('&')
        .find_map(|part| part.strip_prefix("cursor=")?.parse().ok());
    let start = cursor.unwrap_or(0usize).min(entries.len());
    let end = (start + most).min(entries.len());
    let answer = Answer::json(&json!(entries[start..end]));
    if end == entries.len() {
        return answer;
    }
    let host = asked.headers.get("host").cloned().unwrap_or_default();
    let path = asked.target.split('?').next().unwrap_or_default();
    answer.with(
        "Link",
        format!("<http://{host}{path}?recursive=true&cursor={end}>; rel=\"next\""),
    )
}

fn resolved(
    asked: &Asked,
    state: &mut State,
    (name, bytes): (&str, Arc<[u8]>),
    commit: &str,
    file_host: &str,
) -> Answer {
    if !is_large(name) {
        let etag = format!("\"{}\"", git_hash(&bytes));
        let bytes = match state.faults.other_small_bytes {
            true => with_other_byte(&bytes),
            false => bytes,
        };
        return Answer::file(asked, bytes, name)
            .with("ETag", etag)
            .with("X-Repo-Commit", commit);
    }
    let signature = state.next_signature;
    state.next_signature += 1;
    if !takes(&mut state.faults.expired) {
        state.signed.insert(signature);
    }
    let (etag, length) = (hash(&bytes), bytes.len());
    let location = format!("{file_host}/{commit}/{name}?signature={signature}");
    Answer::of("302 Found", b"Found. Redirecting".to_vec())
        .with("Location", location)
        .with("X-Repo-Commit", commit)
        .with("X-Linked-Size", length.to_string())
        .with("X-Linked-ETag", format!("\"{etag}\""))
        .with("ETag", format!("\"{etag}\""))
}

/// What the host with the large files answers.
fn large_file(asked: &Asked, state: &mut State) -> Answer {
    state.has_leaked |= asked.headers.contains_key("authorization");
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let signature = query
        .strip_prefix("signature=")
        .and_then(|text| text.parse::<u64>().ok());
    if !signature.is_some_and(|signature| state.signed.contains(&signature)) {
        return Answer::of("403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>".to_vec());
    }
    let path = path.trim_start_matches('/').replace("%20", " ");
    let (commit, name) = path.split_once('/').unwrap_or_default();
    let found = state.repositories.values().find(|one| one.commit == commit);
    let Some(bytes) = found.and_then(|one| one.files.get(name)).cloned() else {
        return Answer::of("404 Not Found", Vec::new());
    };
    let mut answer = match state.faults.no_ranges {
        true => {
            let mut whole = Answer::of("200 OK", bytes.clone());
            whole.counted = Some(name.to_owned());
            whole
        }
        false => Answer::file(asked, bytes.clone(), name),
    };
    if state.faults.other_bytes {
        answer.body = with_other_byte(&bytes);
    }
    if takes(&mut state.faults.cuts) {
        answer.cut_after = Some(state.faults.cut_after as usize);
    }
    answer.with("ETag", format!("\"{}\"", hash(&bytes)))
}

fn with_other_byte(bytes: &[u8]) -> Arc<[u8]> {
    let mut other = bytes.to_vec();
    if let Some(last) = other.last_mut() {
        *last ^= 1;
    }
    other.into()
}

/// Whether git has a pointer in place of it.
fn is_large(name: &str) -> bool {
    [".safetensors", ".gguf", ".bin"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn hash(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Git's name of a blob.
fn git_hash(bytes: &[u8]) -> String {
    let hasher = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hexadecimal(&hasher.chain_update(bytes).finalize())
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
