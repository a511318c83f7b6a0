//! The network of a program of its own: requests that wait on their thread.

use super::fetch::{Body, Fetch, Reply, Request, Unreachable};
use super::refused::origin;
use crate::store::LocalFuture;
use std::io::Read;
use std::time::Duration;
use ureq::Agent;

/// How often a request may be sent on.
const MOST_REDIRECTS: usize = 10;
/// What is read at a time: between two of them a download can be cancelled.
const CHUNK_BYTES: usize = 256 << 10;
const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(30);

/// Requests over HTTP and HTTPS. Certificates are checked against Mozilla's list, which is compiled in; `HTTPS_PROXY` and its kin
/// are heeded.
pub struct NativeFetch {
    agent: Agent,
}

impl Default for NativeFetch {
    fn default() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .accept_encoding("identity")
            .user_agent(concat!("lorakeet/", env!("CARGO_PKG_VERSION")))
            .build();
        Self {
            agent: config.new_agent(),
        }
    }
}

impl NativeFetch {
    /// A client of its own.
    pub fn new() -> Self {
        Self::default()
    }

    fn send(&self, request: &Request) -> Result<Reply, Unreachable> {
        let mut url = request.url.clone();
        // One that was left does not come back with a later redirect.
        let mut token = request.token.as_ref();
        for _ in 0..=MOST_REDIRECTS {
            let mut call = self.agent.get(&url);
            if let Some(token) = token {
                call = call.header("Authorization", format!("Bearer {}", token.0.trim()));
            }
            if let Some(range) = &request.range {
                call = call.header(
                    "Range",
                    format!("bytes={}-{}", range.start, range.end.saturating_sub(1)),
                );
            }
            let response = call.call().map_err(|error| unreachable(&error))?;
            let status = response.status().as_u16();
            let headers: Vec<(String, String)> = response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.as_str().to_owned(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect();
            let location = headers.iter().find(|(name, _)| name == "location");
            let (true, Some((_, location))) = (matches!(status, 301 | 302 | 303 | 307 | 308), location) else {
                let reader = response.into_body().into_reader();
                return Ok(Reply {
                    status,
                    url,
                    headers,
                    body: Box::new(NativeBody(Box::new(reader))),
                });
            };
            let next = joined(&url, location).ok_or_else(|| Unreachable(format!("it sends on to {location:?}")))?;
            if origin(&url).is_some_and(|origin| origin.starts_with("https:")) && !next.starts_with("https:") {
                return Err(Unreachable(format!("it sends on to {next}, which is not encrypted")));
            }
            if origin(&next) != origin(&url) {
                token = None;
            }
            url = next;
        }
        Err(Unreachable("it sends on and on".to_owned()))
    }
}

fn unreachable(error: &ureq::Error) -> Unreachable {
    Unreachable(error.to_string())
}

/// The address that a redirect names, which may leave out what stays.
fn joined(url: &str, location: &str) -> Option<String> {
    let location = location.split('#').next()?;
    if origin(location).is_some() {
        return Some(location.to_owned());
    }
    let start = origin(url)?;
    match location.strip_prefix("//") {
        Some(_) => Some(format!("{}:{location}", start.split(':').next()?)),
        None if location.starts_with('/') => Some(format!("{start}{location}")),
        // Hubs name whole paths.
        None => None,
    }
}

struct NativeBody(Box<dyn Read>);

impl Body for NativeBody {
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, Unreachable>> {
        Box::pin(async move {
            let mut bytes = vec![0; CHUNK_BYTES];
            let length = self
                .0
                .read(&mut bytes)
                .map_err(|error| Unreachable(error.to_string()))?;
            bytes.truncate(length);
            Ok((length > 0).then_some(bytes))
        })
    }
}

impl Fetch for NativeFetch {
    fn get<'a>(&'a self, request: &'a Request) -> LocalFuture<'a, Result<Reply, Unreachable>> {
        Box::pin(async move { self.send(request) })
    }
    fn wait(&self, ms: u32) -> LocalFuture<'_, ()> {
        Box::pin(async move { std::thread::sleep(Duration::from_millis(ms.into())) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_may_leave_out_what_stays() {
        let of = |location: &str| joined("https://a.b/c/d?e", location);
        assert_eq!(of("/f?g").as_deref(), Some("https://a.b/f?g"));
        assert_eq!(of("//h.i/j").as_deref(), Some("https://h.i/j"));
        assert_eq!(of("http://k/l#m").as_deref(), Some("http://k/l"));
        assert_eq!(of("f"), None);
    }
}
