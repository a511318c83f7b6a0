//! What a field holds, with the text that a file gives to a number, and Python's lists read into such values.
//!
//! A reader of JSON usually makes a number a float at once, and 12345678901234567890123 would be another number than the
//! file's. Here it stays the text that it is until somebody wants its value. How many values a file may have is counted
//! while they are read: each takes many times the bytes that it takes in the file.

use super::json::json;
use super::text::Text;
use crate::error::{Error, Result};
use lorakeet_i18n::messages::data as msg;

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as the file writes it.
    Number(Box<str>),
    /// A text.
    String(Text),
    /// A list.
    Array(Vec<Value>),
    /// Named values, in the file's order, each name once.
    Object(Vec<(Box<str>, Value)>),
}

impl Value {
    /// Whether there is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is a list.
    pub fn is_array(&self) -> bool {
        matches!(self, Self::Array(_))
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// The items of a list.
    pub fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a number as near as a float comes to it, which may be infinite.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The same as other libraries have it; a number becomes the nearest float where it is no whole number of 64 bits, and its
    /// text where it is too large for one.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(truth) => (*truth).into(),
            Self::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_ref().into()),
            Self::String(text) => text.as_str().into(),
            Self::Array(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key.to_string(), value.to_json()));
                serde_json::Value::Object(fields.collect())
            }
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(truth) => Self::Bool(*truth),
            serde_json::Value::Number(number) => Self::Number(number.to_string().into()),
            serde_json::Value::String(text) => Self::String(text.as_str().into()),
            serde_json::Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), Self::from(value)));
                Self::Object(fields.collect())
            }
        }
    }
}

impl From<f32> for Value {
    fn from(number: f32) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl From<u8> for Value {
    fn from(number: u8) -> Self {
        Self::Number(number.to_string().into())
    }
}

impl std::fmt::Display for Value {
    /// As JSON.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(text) => f.write_str(text),
            other => other.to_json().fmt(f),
        }
    }
}

/// Fields that a file may have, and rows, each of which counts as two more: what is kept of a row beside its fields takes as
/// much. Beside its text a field takes up to a hundred bytes, in a browser half of that, and a tab has 4 GB for everything.
pub(super) const MOST_FIELDS: usize = 8_000_000;

/// How many more fields there may be.
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    pub(super) fn new() -> Self {
        Self(MOST_FIELDS)
    }

    /// Counts a row of so many fields.
    ///
    /// # Errors
    /// They are more than are left.
    pub(super) fn row(&mut self, fields: usize) -> Result<()> {
        self.take(fields.saturating_add(2))
    }

    /// Counts so many fields.
    ///
    /// # Errors
    /// They are more than are left.
    pub(super) fn take(&mut self, fields: usize) -> Result<()> {
        self.0 = self.0.checked_sub(fields).ok_or_else(|| {
            let millions = MOST_FIELDS / 1_000_000;
            Error::data(msg::FieldsBeyondMemory { millions }).remedy(msg::ChooseRowsOrColumns)
        })?;
        Ok(())
    }
}

/// A list that a table holds as text: JSON, or as Python and NumPy print lists, tuples and sets (`['a', 'b']`, `[1. 0. 1.]`,
/// `('a', 'b')`, `{'a'}`); `None` where the text is not in brackets, or what is in them is no list.
///
/// Of Python, quoted texts, numbers, `True`, `False` and `None`, with commas or white space between them.
pub(super) fn list_in(text: &str) -> Option<Vec<Value>> {
    let text = text.trim();
    let between = |open, close| text.strip_prefix(open).and_then(|text| text.strip_suffix(close));
    // A number or a word alone in round or curly brackets is no list, but a name.
    let inside = between('[', ']')
        .or_else(|| between('(', ')').filter(|inside: &&str| inside.contains(',')))
        .or_else(|| between('{', '}').filter(|inside: &&str| inside.starts_with(['\'', '"'])))?;
    if let Ok(Value::Array(items)) = json(text, &mut Budget::new()) {
        return Some(items);
    }
    let (mut items, mut rest) = (Vec::new(), inside.trim_start());
    while let Some(first) = rest.chars().next() {
        let (item, behind) = match first {
            '\'' | '"' => {
                let (text, behind) = quoted(rest, first)?;
                (Value::String(text.into()), behind)
            }
            _ => {
                let (word, behind) = rest.split_at(rest.find([',', ' ', '\n', '\t']).unwrap_or(rest.len()));
                (python_word(word)?, behind)
            }
        };
        items.push(item);
        let spaced = behind.trim_start();
        rest = match spaced.strip_prefix(',') {
            Some(behind) => behind.trim_start(),
            // NumPy puts nothing but white space between items.
            None if spaced.len() < behind.len() || spaced.is_empty() => spaced,
            None => return None,
        };
    }
    Some(items)
}

/// The text in quotes at the start of `text`, and what is behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next()?.1 {
                'n' => read.push('\n'),
                't' => read.push('\t'),
                kept @ ('\\' | '\'' | '"') => read.push(kept),
                _ => return None,
            },
            letter if letter == quote => return Some((read, &text[at + 1..])),
            letter => read.push(letter),
        }
    }
    None
}

fn python_word(word: &str) -> Option<Value> {
    Some(match word {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        // NumPy writes 1. for 1.0.
        word => match json(word.strip_suffix('.').unwrap_or(word), &mut Budget::new()) {
            Ok(number @ Value::Number(_)) => number,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_json_python_and_numpy_write_them() {
        let text = |text: &str| Value::String(text.into());
        let number = |text: &str| Value::Number(text.into());
        let cases = [
            (r#"["a", "b"]"#, vec![text("a"), text("b")]),
            ("['a', 'b, c']", vec![text("a"), text("b, c")]),
            (r#"['it\'s', "it's"]"#, vec![text("it's"), text("it's")]),
            ("['a' 'b'\n 'c']", vec![text("a"), text("b"), text("c")]),
            ("[1, 0]", vec![number("1"), number("0")]),
            ("[1. 0. 1.5]", vec![number("1"), number("0"), number("1.5")]),
            (
                "[True, False, None]",
                vec![Value::Bool(true), Value::Bool(false), Value::Null],
            ),
            (" [] ", vec![]),
            ("('a', 'b')", vec![text("a"), text("b")]),
            ("{'a'}", vec![text("a")]),
        ];
        for (written, items) in cases {
            assert_eq!(list_in(written), Some(items), "{written}");
        }
        for written in [
            "a", "[a, b]", "['a'", "['a'b]", "['a''b']", "[1 x]", "(1)", "(a)", "{a}", "{'a': 1}",
        ] {
            assert_eq!(list_in(written), None, "{written}");
        }
    }
}
