//! The network, as far as a hub needs it.

use crate::protocol::HubToken;
use crate::store::LocalFuture;
use std::ops::Range;

/// A request by GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The address.
    pub url: String,
    /// The bytes that are wanted; all of them without.
    pub range: Option<Range<u64>>,
    /// What goes along as `Authorization: Bearer TOKEN`, to the address's own origin and to no other one.
    pub token: Option<HubToken>,
}

/// What answers requests: a browser, a program's own client, a test.
pub trait Fetch {
    /// Sends a request, goes where it is sent on to, and gives the last answer. A status that tells of a failure is an answer.
    ///
    /// # Errors
    /// There was no answer.
    fn get<'a>(&'a self, request: &'a Request) -> LocalFuture<'a, Result<Reply, Unreachable>>;

    /// Lets time pass.
    fn wait(&self, ms: u32) -> LocalFuture<'_, ()>;
}

/// An answer.
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Where it came from in the end.
    pub url: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// What it holds.
    pub body: Box<dyn Body>,
}

impl Reply {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// What an answer holds, as it comes. Whoever drops it ends it.
pub trait Body {
    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// It broke off.
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, Unreachable>>;
}

/// Why there was no answer, in the words of whoever tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable(pub String);
