//! From the text of a run file to its keys, values and lines; what they mean is decided by `check`.
//!
//! YAML's own typing is not used, because it turns `2e-4` into text and `no` into `false` by the rules of one reader and
//! not by those of the next: a plain word stays a word until the knob says what it takes. Anchors and tags are refused:
//! no run file needs them, and expanding anchors is how a small file grows without bound.

use crate::error::{Error, Result};
use granit_parser::{Event, Parser, ScalarStyle, Span};
use lorakeet_i18n::messages::config as msg;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Without quotes: a number, a word, `true`, nothing at all.
    Plain(String),
    /// In quotes, or a block of text.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// One line of a run file: `key: value`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    /// From 1.
    pub line: usize,
    pub value: Node,
}

/// Beyond this a file is something else, opened by mistake.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// The keys of a run file, in order, doubled ones included. JSON is recognised by the file's ending or by its first `{`.
pub(super) fn entries(text: &str, file_name: &str) -> Result<Vec<Entry>> {
    if text.len() > MOST_BYTES {
        let (bytes, most) = (text.len(), MOST_BYTES);
        return Err(Error::config(msg::RunFileTooLong { bytes, most })
            .file(file_name)
            .remedy(msg::IsItTrainingData));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let named_json = file_name.to_ascii_lowercase().ends_with(".json");
    if named_json || text.trim_start().starts_with('{') {
        match json_entries(text) {
            Ok(entries) => return Ok(entries),
            Err(error) if named_json => return Err(error.file(file_name)),
            // A YAML file may begin with a brace, too.
            Err(error) => return yaml_entries(text).map_err(|_| error.file(file_name)),
        }
    }
    yaml_entries(text).map_err(|error| error.file(file_name))
}

/// One value in YAML's flow notation, as flags and URLs give lists: `[q_proj, v_proj]`.
pub(super) fn flow_value(text: &str) -> Result<Node> {
    let mut entries = yaml_entries(&format!("{{value: {text}}}"))?;
    match entries.len() {
        1 => Ok(entries.remove(0).value),
        _ => Err(Error::config(msg::NotOneValue { text })),
    }
}

fn yaml_entries(text: &str) -> Result<Vec<Entry>> {
    let options = granit_parser::options! { emit_comments: false };
    let mut reader = Yaml {
        events: Parser::new_from_str_with_options(text, options),
    };
    reader.document()
}

struct Yaml<'a, I: Iterator<Item = std::result::Result<(Event<'a>, Span), granit_parser::ScanError>>> {
    events: I,
}

impl<'a, I: Iterator<Item = std::result::Result<(Event<'a>, Span), granit_parser::ScanError>>> Yaml<'a, I> {
    fn document(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut documents = 0;
        while let Some((event, line)) = self.next()? {
            match event {
                Event::MappingStart(..) => entries = self.entries()?,
                // An empty document behind `---` is one empty scalar.
                Event::Scalar(text, ScalarStyle::Plain, ..) if matches!(&*text, "" | "~") => {}
                Event::Scalar(..) | Event::SequenceStart(..) => {
                    return Err(Error::config(msg::NotLinesOfKeys).row(line));
                }
                Event::DocumentStart(..) => {
                    documents += 1;
                    if documents > 1 {
                        return Err(Error::config(msg::SecondDocument)
                            .row(line)
                            .remedy(msg::OneFileForEachRun));
                    }
                }
                _ => {}
            }
        }
        Ok(entries)
    }

    /// The next event and its line; anchors, aliases and tags end the reading.
    fn next(&mut self) -> Result<Option<(Event<'a>, usize)>> {
        let Some(event) = self.events.next() else {
            return Ok(None);
        };
        let (event, span) = event.map_err(|error| {
            Error::config(msg::InvalidYaml { error: error.info() })
                .row(error.marker().line())
                .remedy(msg::OneKeyEachLine)
        })?;
        let line = span.start.line();
        let refused = match &event {
            Event::Alias(_) => true,
            Event::Scalar(_, _, anchor, tag) => *anchor != 0 || tag.is_some(),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => *anchor != 0 || tag.is_some(),
            _ => false,
        };
        if refused {
            return Err(Error::config(msg::AnchorOrTag).row(line).remedy(msg::WriteValueItself));
        }
        Ok(Some((event, line)))
    }

    fn entries(&mut self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        while let Some((event, line)) = self.next()? {
            match event {
                Event::MappingEnd => break,
                Event::Scalar(key, ..) => {
                    let key = key.into_owned();
                    let value = self.value(0)?;
                    entries.push(Entry { key, line, value });
                }
                _ => return Err(Error::config(msg::KeyNotWord).row(line)),
            }
        }
        Ok(entries)
    }

    fn value(&mut self, depth: usize) -> Result<Node> {
        match self.next()? {
            Some((event, line)) => self.node(event, line, depth),
            None => Ok(Node::Plain(String::new())),
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node> {
        // Patterns are one map deep, the schedule's arguments as well.
        if depth > 4 {
            return Err(Error::config(msg::NestedTooDeeply).row(line));
        }
        match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => Ok(Node::Plain(text.into_owned())),
            Event::Scalar(text, ..) => Ok(Node::Quoted(text.into_owned())),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some((event, line)) = self.next()? {
                    if matches!(event, Event::SequenceEnd) {
                        break;
                    }
                    items.push(self.node(event, line, depth + 1)?);
                }
                Ok(Node::List(items))
            }
            Event::MappingStart(..) => {
                let mut items = Vec::new();
                while let Some((event, line)) = self.next()? {
                    match event {
                        Event::MappingEnd => break,
                        Event::Scalar(key, ..) => {
                            let key = key.into_owned();
                            items.push((key, self.value(depth + 1)?));
                        }
                        _ => return Err(Error::config(msg::KeyNotWord).row(line)),
                    }
                }
                Ok(Node::Map(items))
            }
            _ => Err(Error::config(msg::ValueMissing).row(line)),
        }
    }
}

/// JSON's keys in order, doubled ones included.
fn json_entries(text: &str) -> Result<Vec<Entry>> {
    let Entries(pairs) = serde_json::from_str(text).map_err(|error: serde_json::Error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        Error::config(msg::InvalidJson { error: what }).row(error.line().max(1))
    })?;
    let entries = pairs.into_iter().zip(json_key_lines(text));
    Ok(entries
        .map(|((key, value), line)| Entry {
            key,
            line,
            value: Node::from(&value),
        })
        .collect())
}

/// The line of each key of the outermost object, in order; `text` is valid JSON.
fn json_key_lines(text: &str) -> Vec<usize> {
    let (mut lines, mut line, mut depth) = (Vec::new(), 1, 0);
    let (mut in_string, mut escaped, mut key_follows) = (false, false, false);
    for byte in text.bytes() {
        line += usize::from(byte == b'\n');
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => {
                if depth == 1 && key_follows {
                    lines.push(line);
                }
                in_string = true;
                key_follows = false;
            }
            b'{' | b'[' => {
                depth += 1;
                key_follows = depth == 1;
            }
            b'}' | b']' => depth -= 1,
            b',' => key_follows = depth == 1,
            _ => {}
        }
    }
    lines
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Plain(String::new()),
            Value::Bool(flag) => Self::Plain(flag.to_string()),
            Value::Number(number) => Self::Plain(number.to_string()),
            Value::String(text) => Self::Quoted(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(map) => Self::Map(map.iter().map(|(key, value)| (key.clone(), value.into())).collect()),
        }
    }
}

/// The pairs of one JSON object, doubled keys included.
struct Entries(Vec<(String, Value)>);

impl<'de> de::Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of settings, as in {\"lora_r\": 16}")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Entries(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}
