//! JSON read into [`Value`]s, by RFC 8259's grammar.
//!
//! The crate json-event-parser takes the text apart; its events of numbers carry their text, which serde_json's numbers
//! do not. What becomes of the events is decided here: each value is counted while it is read, no key may occur twice in an
//! object, and lists and objects may lie within each other to a bound only, since they are read by recursion.

use super::value::{Budget, Value};
use crate::error::{Error, Result};
use json_event_parser::{JsonEvent, JsonSyntaxError, LowLevelJsonParser};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::HashSet;

/// Lists and objects within each other at most.
const MOST_DEPTH: usize = 128;

/// Why a text is not JSON.
pub(super) struct Broken {
    /// The reason, or an error of its own.
    why: Why,
    /// The byte at which that is seen.
    at: usize,
}

enum Why {
    Syntax(Message),
    Other(Box<Error>),
}

impl Broken {
    /// As an error of a file whose rows are lines.
    pub(super) fn in_line(self, line: &str) -> Error {
        let column = place(line, self.at).1;
        self.into_error(msg::InColumn { column }.into())
    }

    /// As an error of a file of many lines.
    pub(super) fn in_text(self, text: &str) -> Error {
        let (line, column) = place(text, self.at);
        self.into_error(msg::InLineAndColumn { line, column }.into())
    }

    fn into_error(self, place: Message) -> Error {
        match self.why {
            Why::Syntax(reason) => Error::data(msg::NotJson { reason, place }),
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
pub(super) fn json(text: &str, budget: &mut Budget) -> Read<Value> {
    let mut reader = Reader::new(text, budget);
    let first = reader.next()?;
    let value = reader.value(first)?;
    reader.end()?;
    Ok(value)
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
    let mut reader = Reader::new(text, budget);
    let mut number = 1;
    let outcome = (|| {
        if reader.next()? != JsonEvent::StartArray {
            return Err(reader.broken(msg::ExpectedBracket));
        }
        reader.depth += 1;
        loop {
            let event = reader.next()?;
            if event == JsonEvent::EndArray {
                return reader.end();
            }
            let value = reader.value(event)?;
            item(number, value).map_err(|error| reader.other(error))?;
            number += 1;
        }
    })();
    outcome.map_err(|broken| (number, broken))
}

struct Reader<'a, 'b> {
    text: &'a str,
    /// Bytes that are read.
    at: usize,
    parser: LowLevelJsonParser,
    depth: usize,
    budget: &'b mut Budget,
}

type Read<T> = std::result::Result<T, Broken>;

impl<'a, 'b> Reader<'a, 'b> {
    fn new(text: &'a str, budget: &'b mut Budget) -> Self {
        Self {
            text,
            at: 0,
            parser: LowLevelJsonParser::new(),
            depth: 0,
            budget,
        }
    }

    fn broken(&self, reason: impl Into<Message>) -> Broken {
        Broken {
            why: Why::Syntax(reason.into()),
            at: self.at,
        }
    }

    fn other(&self, error: Error) -> Broken {
        Broken {
            why: Why::Other(Box::new(error)),
            at: self.at,
        }
    }

    fn next(&mut self) -> Read<JsonEvent<'a>> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let read = self.parser.parse_next(rest, true);
        self.at += read.consumed_bytes;
        match read.event {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.refused(&error)),
            None => Err(self.broken(msg::EndsEarly)),
        }
    }

    fn refused(&self, error: &JsonSyntaxError) -> Broken {
        let at = usize::try_from(error.location().start.offset).unwrap_or(self.at);
        // Where the parser lacks text, it leaves that from the error on unread.
        if at >= self.at {
            return self.broken(msg::EndsEarly);
        }
        Broken {
            why: Why::Syntax(Message::verbatim(within_a_sentence(error.message()))),
            at,
        }
    }

    /// The value that begins with this event.
    fn value(&mut self, first: JsonEvent<'a>) -> Read<Value> {
        self.budget.take(1).map_err(|error| self.other(error))?;
        Ok(match first {
            JsonEvent::Null => Value::Null,
            JsonEvent::Boolean(truth) => Value::Bool(truth),
            JsonEvent::Number(text) => Value::Number(text.into()),
            JsonEvent::String(text) => Value::String(text.as_ref().into()),
            JsonEvent::StartArray => Value::Array(self.nested(Self::array)?),
            JsonEvent::StartObject => Value::Object(self.nested(Self::object)?),
            JsonEvent::EndArray | JsonEvent::EndObject | JsonEvent::ObjectKey(_) | JsonEvent::Eof => {
                return Err(self.broken(msg::ExpectedValue));
            }
        })
    }

    fn nested<T>(&mut self, read: fn(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth == MOST_DEPTH {
            return Err(self.broken(msg::NestedTooDeep { most: MOST_DEPTH }));
        }
        self.depth += 1;
        let inside = read(self);
        self.depth -= 1;
        inside
    }

    fn array(&mut self) -> Read<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event == JsonEvent::EndArray {
                break;
            }
            items.push(self.value(event)?);
        }
        items.shrink_to_fit();
        Ok(items)
    }

    fn object(&mut self) -> Read<Vec<(Box<str>, Value)>> {
        let mut fields: Vec<(Box<str>, Value)> = Vec::new();
        loop {
            let key = match self.next()? {
                JsonEvent::EndObject => break,
                JsonEvent::ObjectKey(key) => key.into(),
                _ => return Err(self.broken(msg::ExpectedKey)),
            };
            let behind_key = self.at;
            let first = self.next().map_err(|broken| self.without_colon(behind_key, broken))?;
            fields.push((key, self.value(first)?));
        }
        let mut seen = HashSet::with_capacity(fields.len());
        if let Some((twice, _)) = fields.iter().find(|(key, _)| !seen.insert(key.as_ref())) {
            let error = Error::data(msg::KeyTwice).field(twice.as_ref());
            return Err(self.other(error.remedy(msg::TakeOneOut)));
        }
        fields.shrink_to_fit();
        Ok(fields)
    }

    /// What is broken behind a key, for which the parser has no reason of its own where the colon is missing.
    fn without_colon(&self, behind_key: usize, mut broken: Broken) -> Broken {
        let between = self.text.get(behind_key..broken.at).unwrap_or_default();
        if broken.at < self.text.len() && !between.contains(':') {
            broken.why = Why::Syntax(msg::ExpectedColon.into());
        }
        broken
    }

    /// Nothing may follow the value.
    fn end(&mut self) -> Read<()> {
        match self.next() {
            Ok(JsonEvent::Eof) => Ok(()),
            Ok(_) => Err(self.broken(msg::TextBehindValue)),
            Err(Broken { at, .. }) => Err(Broken {
                why: Why::Syntax(msg::TextBehindValue.into()),
                at,
            }),
        }
    }
}

/// The parser's reason, which is a sentence and may quote a control character.
fn within_a_sentence(message: &str) -> String {
    let mut reason = String::with_capacity(message.len());
    for (at, letter) in message.char_indices() {
        match letter {
            _ if letter.is_control() => reason.extend(letter.escape_default()),
            _ if at == 0 => reason.extend(letter.to_lowercase()),
            _ => reason.push(letter),
        }
    }
    reason
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
    fn what_is_broken_is_told_with_its_place() {
        let cases = [
            ("[1,\n 2,]", "trailing commas are not allowed", (2, 4)),
            ("[1 2]", "must be followed by a comma", (1, 4)),
            ("{\"a\": 1,\n \"é\" 2}", "expected : after the key", (2, 6)),
            ("{\"a\" x}", "expected : after the key", (1, 6)),
            ("{\"a\": x}", "unexpected char: 'x'", (1, 7)),
            ("{a: 1}", "unexpected char: 'a'", (1, 2)),
            ("[\"a\nb\"]", "'\\n' is not allowed", (1, 4)),
            ("[\"é\\x\"]", "not a valid escape", (1, 4)),
            ("[01]", "must be followed by a comma", (1, 3)),
            ("[NaN]", "unexpected char: 'N'", (1, 2)),
            ("\"a\", \"b", "more text after the value", (1, 4)),
            ("[1]\n[2]", "more text after the value", (2, 1)),
            ("[1,", "it ends too early", (1, 4)),
            ("{\"a\"", "it ends too early", (1, 5)),
            ("", "it ends too early", (1, 1)),
        ];
        for (text, reason, (line, column)) in cases {
            let Err(broken) = json(text, &mut Budget::new()) else {
                panic!("{text} is read");
            };
            let told = broken.in_text(text).to_string();
            assert!(told.contains(reason), "{text}: {told}");
            assert!(
                told.contains(&format!("at line {line}, column {column}")),
                "{text}: {told}"
            );
        }
    }

    #[test]
    fn lists_lie_within_each_other_to_the_bound() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(MOST_DEPTH)).is_ok());
        let told = read(&nested(MOST_DEPTH + 1)).unwrap_err().to_string();
        assert!(told.contains("128 lists"), "{told}");
        let mut items = 0;
        let mut count = |_, _| {
            items += 1;
            Ok(())
        };
        assert!(json_items(&nested(MOST_DEPTH), &mut Budget::new(), &mut count).is_ok());
        assert!(json_items(&nested(MOST_DEPTH + 1), &mut Budget::new(), &mut count).is_err());
        assert_eq!(items, 1);
    }

    #[test]
    fn every_value_counts_while_it_is_read() {
        let mut budget = Budget::new();
        assert!(budget.take(super::super::value::MOST_FIELDS - 3).is_ok());
        assert!(json("[1, 2]", &mut budget).is_ok());
        let broken = json("[1, 2]", &mut budget).expect_err("nothing is left");
        assert!(broken.is_json());
    }
}
