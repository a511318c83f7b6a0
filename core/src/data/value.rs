//! What stands in a field, with the text that a file gives to a number; JSON read into such values, and Python's lists.
//!
//! A reader of JSON usually makes a number a float at once, and 12345678901234567890123 would be another number than the
//! file's. Here it stays the text that it is until somebody wants its value. The grammar is RFC 8259's. How many values there
//! may be is counted while they are read: each takes many times the bytes that it takes in the file.

use crate::error::{Error, Result};
use std::collections::HashSet;

/// Lists and objects within each other at most.
const MOST_DEPTH: usize = 128;

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
    String(String),
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
            serde_json::Value::String(text) => Self::String(text.clone()),
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
/// much. A field takes up to a hundred bytes, and a browser's tab has 4 GB for everything.
pub(super) const MOST_FIELDS: usize = if cfg!(target_pointer_width = "32") {
    2_000_000
} else {
    8_000_000
};

/// How many more fields there may be.
pub(super) struct Budget(usize);

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

    fn take(&mut self, fields: usize) -> Result<()> {
        self.0 = self.0.checked_sub(fields).ok_or_else(|| {
            let what = format!(
                "the file has too many fields to fit into memory: more than {} million, a row counted as two more",
                MOST_FIELDS / 1_000_000
            );
            Error::data(what)
                .remedy("Choose a part of its rows, or leave out columns: a few megabytes already teach a small model.")
        })?;
        Ok(())
    }
}

/// Why a text is not JSON.
pub(super) struct Broken {
    /// The reason, or an error of its own.
    why: Why,
    /// The byte at which that is seen.
    pub at: usize,
}

enum Why {
    Syntax(String),
    Other(Box<Error>),
}

impl Broken {
    /// As an error of a file whose rows are lines.
    pub(super) fn in_line(self, line: &str) -> Error {
        let column = place(line, self.at).1;
        self.into_error(&format!("column {column}"))
    }

    /// As an error of a file of many lines.
    pub(super) fn in_text(self, text: &str) -> Error {
        let (line, column) = place(text, self.at);
        self.into_error(&format!("line {line}, column {column}"))
    }

    fn into_error(self, place: &str) -> Error {
        match self.why {
            Why::Syntax(reason) => Error::data(format!("this is not JSON: {reason}, at {place}")),
            Why::Other(error) => *error,
        }
    }

    /// Whether the text is JSON, and what is wrong is another thing.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.why, Why::Other(_))
    }
}

/// The line and the column of a byte, from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = 1 + before.matches('\n').count();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    (line, 1 + before[start..].chars().count())
}

/// Reads a text that is one value.
pub(super) fn json(text: &str, budget: &mut Budget) -> std::result::Result<Value, Broken> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        budget,
    };
    let value = reader.value()?;
    match reader.next() {
        None => Ok(value),
        Some(_) => Err(reader.broken("more text behind the value")),
    }
}

/// Reads the array that `text` is, item after item, each of which `item` gets with its number from 1.
///
/// # Errors
/// Also what `item` refuses; the number is that of the item under way.
pub(super) fn json_items(
    text: &str,
    budget: &mut Budget,
    item: &mut dyn FnMut(usize, Value) -> Result<()>,
) -> std::result::Result<(), (usize, Broken)> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 1,
        budget,
    };
    let mut number = 1;
    let outcome = (|| {
        reader.expect(b'[')?;
        if reader.next() == Some(b']') {
            reader.at += 1;
        } else {
            loop {
                let value = reader.value()?;
                item(number, value).map_err(|error| reader.other(error))?;
                match reader.next() {
                    Some(b',') => reader.at += 1,
                    Some(b']') => break reader.at += 1,
                    _ => return Err(reader.broken("expected , or ]")),
                }
                number += 1;
            }
        }
        match reader.next() {
            None => Ok(()),
            Some(_) => Err(reader.broken("more text behind the array")),
        }
    })();
    outcome.map_err(|broken| (number, broken))
}

struct Reader<'a, 'b> {
    text: &'a str,
    at: usize,
    depth: usize,
    budget: &'b mut Budget,
}

type Read<T> = std::result::Result<T, Broken>;

impl Reader<'_, '_> {
    fn broken(&self, reason: impl Into<String>) -> Broken {
        let reason = match self.at < self.text.len() {
            true => reason.into(),
            false => "it ends too early".to_owned(),
        };
        Broken {
            why: Why::Syntax(reason),
            at: self.at,
        }
    }

    fn other(&self, error: Error) -> Broken {
        Broken {
            why: Why::Other(Box::new(error)),
            at: self.at,
        }
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn expect(&mut self, wanted: u8) -> Read<()> {
        if self.next() != Some(wanted) {
            return Err(self.broken(format!("expected {}", char::from(wanted))));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Read<Value> {
        self.budget.take(1).map_err(|error| self.other(error))?;
        match self.next() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.depth == MOST_DEPTH {
            return Err(self.broken(format!("more than {MOST_DEPTH} lists within each other")));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn array(&mut self) -> Read<Value> {
        let mut items = Vec::new();
        if self.next() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b']') => break self.at += 1,
                _ => return Err(self.broken("expected , or ]")),
            }
        }
        items.shrink_to_fit();
        Ok(Value::Array(items))
    }

    fn object(&mut self) -> Read<Value> {
        let mut fields: Vec<(Box<str>, Value)> = Vec::new();
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(self.broken("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            fields.push((key.into(), value));
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => break self.at += 1,
                _ => return Err(self.broken("expected , or }")),
            }
        }
        let mut seen = HashSet::with_capacity(fields.len());
        if let Some((twice, _)) = fields.iter().find(|(key, _)| !seen.insert(key.as_ref())) {
            let error = Error::data("the key is there twice").field(twice.as_ref());
            return Err(self.other(error.remedy("Take one of them out, or give it a name of its own.")));
        }
        fields.shrink_to_fit();
        Ok(Value::Object(fields))
    }

    /// A text from its opening quote on; what is escaped in it is read by serde_json.
    fn string(&mut self) -> Read<String> {
        let (bytes, start) = (self.text.as_bytes(), self.at);
        let mut escaped = false;
        let mut at = start + 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(0..0x20) => {
                    self.at = at;
                    return Err(self.broken("a line break or another control character within a text"));
                }
                Some(_) => at += 1,
                None => {
                    self.at = self.text.len();
                    return Err(self.broken(""));
                }
            }
        }
        if !escaped {
            self.at = at + 1;
            return Ok(self.text[start + 1..at].to_owned());
        }
        let read = serde_json::from_str(&self.text[start..=at]).map_err(|error| {
            let text = error.to_string();
            self.broken(text.split(" at line ").next().unwrap_or_default())
        })?;
        self.at = at + 1;
        Ok(read)
    }

    fn number(&mut self) -> Read<Value> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let text = &rest[..length.unwrap_or(rest.len())];
        if !is_number(text) {
            return Err(self.broken(format!("{} is no number", start_of(text))));
        }
        self.at += text.len();
        Ok(Value::Number(text.into()))
    }

    fn word(&mut self) -> Read<Value> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let value = match &rest[..length] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "" => return Err(self.broken("expected a value")),
            word => return Err(self.broken(format!("expected a value, found {}", start_of(word)))),
        };
        self.at += length;
        Ok(value)
    }
}

fn start_of(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Whether it is a number by the grammar of JSON: -? (0 | \[1-9\]\[0-9\]*) (. \[0-9\]+)? (\[eE\] \[+-\]? \[0-9\]+)?
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unzip();
    let mantissa = mantissa.unwrap_or(text);
    let (whole, fraction) = mantissa.split_once('.').unzip();
    let whole = whole.unwrap_or(mantissa);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
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
                (Value::String(text), behind)
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
        word if is_number(word) || is_number(word.strip_suffix('.')?) => {
            Value::Number(word.strip_suffix('.').unwrap_or(word).into())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value> {
        json(text, &mut Budget::new()).map_err(|broken| broken.in_line(text))
    }

    #[test]
    fn numbers_are_those_of_json_and_keep_their_text() {
        for number in [
            "0",
            "-0.0",
            "1e3",
            "1E400",
            "12345678901234567890123",
            "0.10",
            "-1.5e-05",
        ] {
            assert_eq!(read(number).unwrap(), Value::Number(number.into()));
        }
        for text in [
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "--1",
            "NaN",
            "-Infinity",
            "0x1",
            "1-1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_serde_json_reads_is_read_the_same_and_nothing_else_is() {
        let texts = [
            r#"{"a": [1, {"b": null}, "x\n\u00e9\ud83d\ude00"], "c": true}"#,
            "[]",
            " { } ",
            "\"\"",
            "[1,]",
            "[1 2]",
            "{\"a\" 1}",
            "{a: 1}",
            "{\"a\": 1,}",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\nb\"",
            "[",
            "",
            "tru",
            "nulll",
            "[1] x",
        ];
        for text in texts {
            let theirs = serde_json::from_str::<serde_json::Value>(text).ok();
            assert_eq!(read(text).ok().map(|value| value.to_json()), theirs, "{text}");
        }
        assert!(read("{\"a\": 1, \"a\": 2}").unwrap_err().to_string().contains("twice"));
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn lists_are_read_as_json_python_and_numpy_write_them() {
        let text = |text: &str| Value::String(text.to_owned());
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
