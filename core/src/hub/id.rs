//! How a person names a model of a hub.

use crate::{Error, Result};
use lorakeet_i18n::messages::hub as msg;

/// A model of a hub: `ORG/NAME`, with `@REVISION` and `:FILE` where they are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    /// `ORG/NAME`; some old ones are a name alone.
    pub id: String,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// Of GGUF files: the one that is wanted, by its name or its quantization.
    pub file: Option<String>,
}

/// What repositories are at unless another revision is named.
const MAIN: &str = "main";

impl HubId {
    /// Reads a name.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(name: &str) -> Result<Self> {
        let wrong = || {
            let name = crate::error::shortened(name, 200);
            Error::config(msg::NotAnId { name }).remedy(msg::NameLikeThis)
        };
        let (rest, file) = match name.trim().split_once(':') {
            Some((rest, file)) => (rest, Some(file)),
            None => (name.trim(), None),
        };
        let (id, revision) = match rest.split_once('@') {
            Some((id, revision)) => (id, revision),
            None => (rest, MAIN),
        };
        let is_id = id.split('/').count() <= 2 && id.split('/').all(is_name);
        let is_revision = revision.split('/').all(is_name);
        let is_file = file.is_none_or(|file| file.split('/').all(|part| is_name(part) || is_file_name(part)));
        if !is_id || !is_revision || !is_file {
            return Err(wrong());
        }
        Ok(Self {
            id: id.to_owned(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
        })
    }

    /// Whether the revision is a commit, which never stands for another one.
    pub fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

/// Whether a text is a commit's whole name.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_name(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !part.is_empty() && part.len() <= 96 && part.bytes().all(is_plain) && !part.starts_with('.') && !part.contains("..")
}

/// Files may be called what no repository may be.
fn is_file_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
        && part.len() <= 200
        && !part.contains(['\\', ':', '\0'])
        && !part.contains(char::is_control)
}

/// Whether a path inside a repository is a plain one, which can be a path elsewhere, too.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.len() <= 1000 && path.split('/').all(is_file_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_revision_and_a_file_where_they_are_wanted() {
        let read = |name: &str| HubId::parse(name).map(|id| (id.id, id.revision, id.file)).ok();
        let of = |id: &str, revision: &str, file: Option<&str>| {
            Some((id.to_owned(), revision.to_owned(), file.map(str::to_owned)))
        };
        assert_eq!(read("org/name"), of("org/name", "main", None));
        assert_eq!(read(" org/na.me-2 "), of("org/na.me-2", "main", None));
        assert_eq!(read("gpt2"), of("gpt2", "main", None));
        assert_eq!(read("org/name@v1.0:Q4_K_M"), of("org/name", "v1.0", Some("Q4_K_M")));
        assert_eq!(read("org/name@refs/pr/1"), of("org/name", "refs/pr/1", None));
        assert_eq!(
            read("org/name:sub/a b.gguf"),
            of("org/name", "main", Some("sub/a b.gguf"))
        );
        for wrong in [
            "",
            "a/b/c",
            "/b",
            "a/",
            "../b",
            "a/b@",
            "a/b:",
            "a b/c",
            "C:\\models",
            "a/b:../c",
            "https://x/y",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_commit_is_known_by_its_form() {
        assert!(is_commit(&"0aF9".repeat(10)));
        assert!(!is_commit("main") && !is_commit(&"g".repeat(40)));
    }
}
