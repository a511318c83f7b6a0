//! The built page on an ephemeral loopback port, with parts of it left out where a test asks for that.

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

/// What `xtask/src/serve.rs` sends as Content-Security-Policy: with the script that the engine's worker starts with, with other
/// scripts, with all else, and with what other sites may frame.
const OF_ENGINE: &str =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https:; frame-ancestors 'none'";
const OF_SCRIPTS: &str =
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; frame-ancestors 'none'";
const OF_ALL: &str = "frame-ancestors 'none'";
const OF_FRAMED: &str = "base-uri 'none'";

/// Bytes by their paths.
type Beside = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Site {
    address: SocketAddr,
    beside: Beside,
    task: tokio::task::JoinHandle<()>,
}

impl Site {
    /// Serves a folder. A path whose file name starts with one of `missing` is answered with 404.
    ///
    /// # Errors
    /// The folder holds no `index.html`, or no port is free.
    pub async fn start(folder: &Path, missing: &[&str]) -> Result<Self> {
        Self::start_with(folder, missing, "").await
    }

    /// The same with hosts that the engine may ask besides those of `https:`, which a test's own are not.
    ///
    /// # Errors
    /// As of [`Site::start`].
    pub async fn start_beside(folder: &Path, hosts: &[String]) -> Result<Self> {
        Self::start_all(folder, &[], "", hosts).await
    }

    /// The same with a script that the page's worker runs before `engine.js`.
    ///
    /// # Errors
    /// As of [`Site::start`]; there is no `engine.js`.
    pub async fn start_with(folder: &Path, missing: &[&str], before_engine: &str) -> Result<Self> {
        Self::start_all(folder, missing, before_engine, &[]).await
    }

    async fn start_all(folder: &Path, missing: &[&str], before_engine: &str, hosts: &[String]) -> Result<Self> {
        if !folder.join("index.html").is_file() {
            bail!(
                "{} holds no index.html; `cargo xtask build` builds the page",
                folder.display()
            );
        }
        let engine: Option<Arc<str>> = match before_engine {
            "" => None,
            script => {
                let engine = std::fs::read_to_string(folder.join("engine.js")).context("the page has no engine.js")?;
                Some(format!("{script}\n{engine}").into())
            }
        };
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let of_engine = OF_ENGINE.replacen(" https:", &[" https:", &hosts.join(" ")].join(" "), 1);
        let of_engine = HeaderValue::from_str(&of_engine).context("a host that is none")?;
        let beside = Beside::default();
        let served = Arc::clone(&beside);
        let gate = move |request: Request, next: Next| {
            let name = request.uri().path().rsplit('/').next().unwrap_or_default();
            let hidden = missing.iter().any(|prefix| name.starts_with(prefix.as_str()));
            let policy = match name {
                "" | "index.html" | "embed.html" => HeaderValue::from_static(OF_FRAMED),
                "engine.js" => of_engine.clone(),
                name if name.ends_with(".js") => HeaderValue::from_static(OF_SCRIPTS),
                _ => HeaderValue::from_static(OF_ALL),
            };
            let is_shell = name == "lab.js";
            let engine = engine.clone().filter(|_| name == "engine.js");
            let bytes = lock(&served).get(request.uri().path()).cloned();
            async move {
                if let Some(bytes) = bytes {
                    return bytes.into_response();
                }
                if hidden {
                    return StatusCode::NOT_FOUND.into_response();
                }
                let mut response = match engine {
                    Some(engine) => ([(header::CONTENT_TYPE, "text/javascript")], engine.to_string()).into_response(),
                    None => next.run(request).await,
                };
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
                if is_shell {
                    let any = HeaderValue::from_static("*");
                    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
                }
                response
            }
        };
        let fresh = SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let router = Router::new()
            .fallback_service(ServeDir::new(folder))
            .layer(fresh)
            .layer(from_fn(gate));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no loopback port")?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("the page's server ended: {error}");
            }
        });
        Ok(Self { address, beside, task })
    }

    /// The page's address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Serves bytes at a path, which begins with `/`, before what the folder has there.
    pub fn serve(&self, path: String, bytes: Vec<u8>) {
        lock(&self.beside).insert(path, bytes);
    }

    /// Serves nothing beside the folder any more.
    pub fn serve_folder_alone(&self) {
        lock(&self.beside).clear();
    }
}

fn lock(beside: &Beside) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
    beside.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The built page: `LORAKEET_DIST`, which `cargo xtask test web` sets.
///
/// # Errors
/// The variable is not set.
pub fn dist() -> Result<PathBuf> {
    let folder = std::env::var_os("LORAKEET_DIST")
        .context("LORAKEET_DIST does not name the built page; `cargo xtask test web` builds it and runs this test")?;
    Ok(PathBuf::from(folder))
}
