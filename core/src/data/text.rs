//! Texts of rows that share their letters: a row of a table is one piece of memory, of which its fields and what is made of them are
//! parts.

use super::MAX_FILE_BYTES;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A text, perhaps a part of one that others share. A copy has no letters of its own.
#[derive(Clone, Default)]
pub struct Text {
    letters: Arc<str>,
    start: u32,
    end: u32,
}

// No encoding takes three times the bytes in UTF-8.
const _: () = assert!(3 * MAX_FILE_BYTES < u32::MAX as u64);

impl Text {
    /// A part of `letters`, which lies between two of them.
    pub(super) fn part(letters: &Arc<str>, part: Range<usize>) -> Self {
        Self {
            letters: Arc::clone(letters),
            start: part.start as u32,
            end: part.end as u32,
        }
    }

    /// Its letters.
    pub fn as_str(&self) -> &str {
        let part = self.start as usize..self.end as usize;
        self.letters.get(part).unwrap_or_default()
    }

    /// As much of its start as `most` bytes hold.
    #[must_use]
    pub fn first(&self, most: usize) -> Self {
        let length = self.as_str().floor_char_boundary(most);
        let start = self.start as usize;
        Self::part(&self.letters, start..start + length)
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::part(&text.into(), 0..text.len())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_share_their_letters_and_are_cut_between_them() {
        let row: Arc<str> = "naïve🦜".into();
        let (first, second) = (Text::part(&row, 0..6), Text::part(&row, 6..row.len()));
        assert_eq!((first.as_str(), second.as_str()), ("naïve", "🦜"));
        assert_eq!(Arc::strong_count(&row), 3, "neither has letters of its own");
        assert_eq!((first.first(3).as_str(), first.first(99).as_str()), ("na", "naïve"));
        assert_eq!((second.first(3).as_str(), second.first(4).as_str()), ("", "🦜"));
        assert_eq!(format!("{second:?} {first}"), "\"🦜\" naïve");
        assert_eq!(first, Text::from("naïve".to_owned()));
    }
}
