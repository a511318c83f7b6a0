//! A web site of files that a test names, on a loopback port of its own: two of these are two origins. It keeps what was asked of
//! it, and what was sent to it. The built page has its own server, `site.rs`.

use anyhow::{Context, Result};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most that is taken of what is sent.
const MOST_POSTED_BYTES: usize = 1 << 20;

/// A running site; it ends when dropped.
#[derive(Debug)]
pub struct FileSite {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Content {
    files: BTreeMap<String, ServedFile>,
    requests: Vec<String>,
    posted: Vec<String>,
    /// Headers of every answer.
    headers: Vec<(&'static str, String)>,
}

/// One file with the headers that it is sent with.
#[derive(Debug, Clone)]
struct ServedFile {
    bytes: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl FileSite {
    /// Starts a site without files.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let content = Arc::new(Mutex::new(Content::default()));
        let shared = Arc::clone(&content);
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move {
                if request.method() != Method::POST {
                    return lock(&shared).answer(&request);
                }
                let body = to_bytes(request.into_body(), MOST_POSTED_BYTES).await;
                let text = String::from_utf8_lossy(&body.unwrap_or_default()).into_owned();
                lock(&shared).posted.push(text);
                StatusCode::NO_CONTENT.into_response()
            }
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no loopback port")?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("a site of files ended: {error}");
            }
        });
        Ok(Self { address, content, task })
    }

    /// Serves a file at `path` (which begins with `/`), in place of the one that was there.
    pub fn serve(&self, path: &str, bytes: impl Into<Vec<u8>>, headers: &[(&'static str, &str)]) {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        let file = ServedFile {
            bytes: bytes.into(),
            headers,
        };
        lock(&self.content).files.insert(path.to_owned(), file);
    }

    /// Sends this header with every answer from now on.
    pub fn send_header(&self, name: &'static str, value: &str) {
        lock(&self.content).headers.push((name, value.to_owned()));
    }

    /// What was sent to it so far, in order, whatever the path.
    #[must_use]
    pub fn posted(&self) -> Vec<String> {
        lock(&self.content).posted.clone()
    }

    /// Has nothing any more, as if it could not be reached.
    pub fn empty(&self) {
        lock(&self.content).files.clear();
    }

    /// Serves every file of a folder under `prefix`, and its `index.html` for the folder itself.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn serve_folder(&self, prefix: &str, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))? {
            let entry = entry?;
            let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
            match entry.file_type()?.is_dir() {
                true => self.serve_folder(&path, &entry.path())?,
                false => self.serve(&path, std::fs::read(entry.path())?, &[]),
            }
            if entry.file_name() == "index.html" {
                self.serve(&format!("{prefix}/"), std::fs::read(entry.path())?, &[]);
            }
        }
        Ok(())
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The paths and queries asked for so far, in order, without those that a browser asks for by itself.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.content).requests.clone()
    }
}

impl Drop for FileSite {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Content {
    fn answer(&mut self, request: &Request) -> Response {
        let path = request.uri().path();
        if path == "/favicon.ico" {
            return StatusCode::NOT_FOUND.into_response();
        }
        self.requests.push(request.uri().to_string());
        let Some(file) = self.files.get(path) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let kind = [(header::CONTENT_TYPE, media_type(path))];
        let mut response = (kind, file.bytes.clone()).into_response();
        for (name, value) in file.headers.iter().chain(&self.headers) {
            // A test that names a header that is none sees it missing.
            if let Ok(value) = value.parse() {
                response.headers_mut().insert(*name, value);
            }
        }
        response
    }
}

/// A test that panicked while it held the lock has left whole entries.
fn lock(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        _ if path.ends_with('/') => "text/html; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        Some("css") => "text/css",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
