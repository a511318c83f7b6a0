//! Where the values of a JSON text are: the line of each path, and keys that stand twice, of which serde_json keeps the last
//! without a word.

use crate::error::{Error, Result, shortened};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::lesson as msg;
use std::collections::{BTreeMap, BTreeSet};

/// The longest path whose line is kept, in bytes: what lies deeper, or behind a longer name, has the line of what holds it.
const MOST_PATH_BYTES: usize = 200;

/// The lines of a text's values.
pub(super) struct Places {
    /// By path, as in `train.runs[0]`; from 1.
    lines: BTreeMap<String, usize>,
}

/// An object or a list that is open.
enum Open {
    /// The key before the value to come, and those so far.
    Object(Option<String>, BTreeSet<String>),
    /// The index of the value to come.
    List(usize),
}

impl Places {
    /// Finds them in valid JSON.
    ///
    /// # Errors
    /// A key stands twice.
    pub(super) fn find(text: &str) -> Result<Self> {
        let mut lines = BTreeMap::new();
        let mut open: Vec<Open> = Vec::new();
        let (mut line, mut rest) = (1, text);
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => string_length(rest),
                _ => first.len_utf8(),
            };
            let (token, after) = rest.split_at(length);
            // A key comes first in an object, and behind each comma.
            let is_key = first == '"' && matches!(open.last(), Some(Open::Object(None, _)));
            let mut is_known = false;
            if is_key && let Some(Open::Object(key, known)) = open.last_mut() {
                let found: String = serde_json::from_str(token).unwrap_or_default();
                is_known = !known.insert(found.clone());
                *key = Some(found);
            }
            let starts_item = matches!(open.last(), Some(Open::List(_)))
                && !(first.is_ascii_whitespace() || matches!(first, ',' | ']'));
            if is_known {
                return Err(Error::config(msg::StandsTwice)
                    .field(shortened(&path(&open), MOST_PATH_BYTES))
                    .row(line));
            }
            if (is_key || starts_item) && open.iter().map(Open::most_bytes).sum::<usize>() <= MOST_PATH_BYTES {
                lines.entry(path(&open)).or_insert(line);
            }
            match first {
                '\n' => line += 1,
                '{' => open.push(Open::Object(None, BTreeSet::new())),
                '[' => open.push(Open::List(0)),
                '}' | ']' => drop(open.pop()),
                ',' => match open.last_mut() {
                    Some(Open::Object(key, _)) => *key = None,
                    Some(Open::List(index)) => *index += 1,
                    None => {}
                },
                _ => {}
            }
            rest = after;
        }
        Ok(Self { lines })
    }

    /// Adds the line of what an error's path names, or of the innermost part of it that the text has.
    pub(super) fn with_line(&self, error: Error) -> Error {
        let mut path = error.field_name().unwrap_or_default().to_owned();
        loop {
            if let Some(line) = self.lines.get(&path) {
                return error.row(*line);
            }
            match path.rfind(['.', '[']) {
                Some(end) => path.truncate(end),
                None => return error,
            }
        }
    }
}

impl Open {
    /// What its part of a path takes, or some bytes more.
    fn most_bytes(&self) -> usize {
        match self {
            Self::Object(key, _) => 1 + key.as_ref().map_or(0, String::len),
            Self::List(index) => 3 + index.checked_ilog10().unwrap_or_default() as usize,
        }
    }
}

/// The path to the value to come.
fn path(open: &[Open]) -> String {
    let mut path = String::new();
    for part in open {
        match part {
            Open::Object(key, _) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(&format!("{dot}{}", key.as_deref().unwrap_or_default()));
            }
            Open::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

/// The length of a string in quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

/// What serde_json says of a text, with the line.
pub(super) fn from_json(json: &serde_json::Error) -> Error {
    let (text, line) = (json.to_string(), json.line());
    let place = format!(" at line {line} column {}", json.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let error = Error::config(msg::NotUnderstood {
        error: Message::verbatim(what),
    });
    match line {
        0 => error,
        line => error.row(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_line() {
        let text = "{\n  \"a\": [1,\n    {\"b\\\"\": \"x{\"}],\n  \"c\": {}\n}";
        let places = Places::find(text).expect("no key stands twice");
        let line = |path: &str| places.lines.get(path).copied();
        assert_eq!((line("a"), line("a[0]"), line("a[1]")), (Some(2), Some(2), Some(3)));
        assert_eq!((line("a[1].b\""), line("c")), (Some(3), Some(4)));
        let error = places.with_line(Error::config(msg::IsEmpty).field("c.d[3]"));
        assert_eq!(error.row, Some(4));
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_any_depth() {
        let error = Places::find("{\"a\": [{\"b\": 1},\n{\"b\": 1,\n\"b\": 2}]}")
            .err()
            .expect("b stands twice");
        assert_eq!((error.field_name(), error.row), (Some("a[1].b"), Some(3)));
    }

    #[test]
    fn a_long_name_is_not_kept_for_every_value_under_it() {
        let (name, count) = ("n".repeat(10_000), 5000);
        let text = format!("{{\"a\": 1,\n\"{name}\": [{}0]}}", "0,".repeat(count));
        let places = Places::find(&text).expect("no key stands twice");
        let kept: usize = places.lines.keys().map(String::len).sum();
        assert!(places.lines.contains_key("a") && kept < 1000, "{kept}");
        let error = Places::find(&format!("{{\"{name}\": 1,\n\"{name}\": 2}}"));
        let error = error.err().expect("it stands twice");
        assert!(error.row == Some(2) && error.field_name().is_some_and(|field| field.len() < 300));
    }
}
