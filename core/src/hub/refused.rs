//! What a hub's refusals mean, and the way out of each.

use super::fetch::Reply;
use super::id::HubId;
use crate::protocol::HubToken;
use crate::{Error, Result};
use lorakeet_i18n::messages::hub as msg;

/// What was asked for, for the words of a refusal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub endpoint: &'a str,
    pub id: &'a HubId,
    /// The file, where it was one.
    pub file: Option<&'a str>,
    pub token: Option<&'a HubToken>,
}

impl Asked<'_> {
    /// Names the file that an error is about.
    fn of(&self, error: Error) -> Error {
        match self.file {
            Some(file) => error.file(file),
            None => error,
        }
    }

    /// There was no answer.
    pub fn unreachable(&self, why: &str) -> Error {
        let (host, why) = (self.endpoint, lorakeet_i18n::Message::verbatim(why));
        self.of(Error::io(msg::NotReached { host, why }).remedy(msg::CheckConnection))
    }

    /// The body broke off too often.
    pub fn broke_off(&self, why: &str) -> Error {
        let why = lorakeet_i18n::Message::verbatim(why);
        self.of(Error::io(msg::BrokeOff { why }).remedy(msg::DownloadGoesOn))
    }

    /// The answer is not what was promised.
    pub fn not_promised(&self, what: impl Into<lorakeet_i18n::Field>) -> Error {
        let (host, what) = (self.endpoint, what);
        self.of(Error::io(msg::NotAsPromised { host, what }).remedy(msg::CheckEndpoint))
    }

    /// Too many requests, for `seconds` more.
    pub fn rate_limited(&self, seconds: u64) -> Error {
        let host = self.endpoint;
        let remedy = match self.token {
            Some(_) => msg::WaitAndGoOn.into(),
            None => lorakeet_i18n::Message::from(msg::WaitOrLogIn),
        };
        self.of(Error::io(msg::RateLimited { host, seconds }).remedy(remedy))
    }

    /// The error for a status that tells of a failure.
    pub fn refusal(&self, reply: &Reply) -> Error {
        let Self { endpoint, id, .. } = *self;
        let (host, name, revision) = (endpoint, id.id.as_str(), id.revision.as_str());
        let page = format!("{endpoint}/{name}");
        let missing = |what: lorakeet_i18n::Message| Error::config(what);
        let error = match (reply.status, reply.header("x-error-code")) {
            (401 | 403, Some("GatedRepo")) => match self.token {
                Some(_) => missing(msg::Gated { name }.into()).remedy(msg::AcceptTerms { page }),
                None => missing(msg::Gated { name }.into()).remedy(msg::AcceptTermsAndGiveToken { page }),
            },
            (_, Some("RevisionNotFound")) => {
                missing(msg::NoSuchRevision { name, revision }.into()).remedy(msg::LookForRevision { page })
            }
            (_, Some("EntryNotFound")) => {
                let file = self.file.unwrap_or_default();
                return missing(msg::NoSuchFile { name, file }.into()).remedy(msg::LookForFile { page });
            }
            (401 | 404, Some("RepoNotFound")) | (404, None) => {
                let remedy = match self.token {
                    Some(_) => lorakeet_i18n::Message::from(msg::CheckName),
                    None => msg::CheckNameOrGiveToken.into(),
                };
                missing(msg::NoSuchRepository { name, host }.into()).remedy(remedy)
            }
            (401 | 403, _) => match self.token {
                Some(_) => missing(msg::TokenRefused { host }.into()).remedy(msg::CheckToken),
                None => missing(msg::NotAllowed { name, host }.into()).remedy(msg::GiveToken),
            },
            (status, code) => {
                let code = reply.header("x-error-message").or(code).unwrap_or_default();
                let code = crate::error::shortened(code, 200);
                Error::io(msg::Answered { host, status, code }).remedy(msg::TryLater)
            }
        };
        self.of(error)
    }
}

/// Seconds that a hub asks to wait: `Retry-After`, else the `t` of `RateLimit` (`"api";r=0;t=55`).
pub(super) fn seconds_to_wait(reply: &Reply) -> Option<u64> {
    if let Some(seconds) = reply.header("retry-after") {
        return seconds.trim().parse().ok();
    }
    let parts = reply.header("ratelimit")?.split(';');
    parts
        .into_iter()
        .find_map(|part| part.trim().strip_prefix("t=")?.parse().ok())
}

/// Scheme, host and port of an address.
pub(super) fn origin(url: &str) -> Option<&str> {
    let start = ["https://", "http://"]
        .iter()
        .find(|scheme| url.starts_with(**scheme))?
        .len();
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |end| start + end);
    (end > start).then(|| &url[..end])
}

/// A hub's address without what is too much of it.
///
/// # Errors
/// It is none.
pub(super) fn endpoint(text: &str) -> Result<String> {
    let text = text.trim().trim_end_matches('/');
    let is_plain = !text.contains(['@', '?', '#', ' ', '\\']) && !text.contains(char::is_control);
    match origin(text) {
        Some(_) if is_plain => Ok(text.to_owned()),
        _ => {
            let address = crate::error::shortened(text, 200);
            Err(Error::config(msg::NotAnEndpoint { address }).remedy(msg::EndpointLikeThis))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_ends_before_the_path() {
        assert_eq!(origin("https://a.b:8/c?d"), Some("https://a.b:8"));
        assert_eq!(origin("http://a"), Some("http://a"));
        assert_eq!(origin("https:///c"), None);
        assert_eq!(origin("ftp://a"), None);
    }

    #[test]
    fn an_endpoint_is_an_address_and_no_more() {
        assert_eq!(endpoint(" https://a.b/hub/ ").ok().as_deref(), Some("https://a.b/hub"));
        for wrong in ["", "a.b", "https://", "https://user@a.b", "file:///a", "https://a b"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}
