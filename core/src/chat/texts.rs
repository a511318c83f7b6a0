//! Values as Python writes them: `str`, `repr` and `json.dumps`, with what room there is.

use lorakeet_i18n::Message;
use lorakeet_i18n::messages::text as msg;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};
use std::fmt;

/// Values in values. A data file's JSON has at most 128.
pub(super) const MOST_LEVELS: usize = 160;
/// What a value costs of the room, besides its text.
const VALUE_BYTES: usize = 4;

/// What this program says, inside of minijinja's error.
#[derive(Debug)]
struct Worded(Message);

impl fmt::Display for Worded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.english())
    }
}

impl std::error::Error for Worded {}

/// A refusal of this program, as templates can meet it.
pub(super) fn refusal(kind: ErrorKind, what: impl Into<Message>) -> Error {
    let what = what.into();
    Error::new(kind, what.english()).with_source(Worded(what))
}

/// What this program said, if it is its refusal.
pub(super) fn worded(error: &Error) -> Option<&Message> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref().map(|Worded(message)| message)
}

pub(super) fn wrong(what: impl Into<Message>) -> Error {
    refusal(ErrorKind::InvalidOperation, what)
}

/// An argument by its place or name.
pub(super) fn argument(places: &[Value], names: &Kwargs, place: usize, name: &str) -> Result<Option<Value>, Error> {
    match places.get(place) {
        Some(value) => Ok(Some(value.clone())),
        None => names.get(name),
    }
}

/// How values are written: as `repr` has them, or as `json.dumps` has them.
#[derive(Default)]
pub(super) struct Style {
    is_json: bool,
    indent: Option<String>,
    separators: Option<[String; 2]>,
    ensure_ascii: bool,
    sort_keys: bool,
}

impl Style {
    /// transformers' `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
    pub fn json(places: &[Value], names: &Kwargs) -> Result<Self, Error> {
        const MOST_INDENT: i64 = 16;
        let argument = |place, name| argument(places, names, place, name);
        let truth = |value: Option<Value>| value.is_some_and(|value| value.is_true());
        let ensure_ascii = truth(argument(0, "ensure_ascii")?);
        let indent = match argument(1, "indent")?.filter(|indent| !indent.is_none()) {
            None => None,
            Some(indent) => match (indent.as_str(), indent.as_i64()) {
                (Some(text), _) if text.len() <= MOST_INDENT as usize => Some(text.to_string()),
                (_, Some(count)) if count <= MOST_INDENT => Some(" ".repeat(count.max(0) as usize)),
                _ => return Err(wrong(msg::IndentTooLong { most: MOST_INDENT })),
            },
        };
        let separators = match argument(2, "separators")?.filter(|separators| !separators.is_none()) {
            None => indent.is_some().then(|| [",", ": "].map(String::from)),
            Some(value) => match [0, 1].map(|at| value.get_item_by_index(at).ok()?.as_str().map(String::from)) {
                [Some(item), Some(key)] => Some([item, key]),
                _ => return Err(wrong(msg::SeparatorsAreTwo)),
            },
        };
        let sort_keys = truth(argument(3, "sort_keys")?);
        names.assert_all_used()?;
        Ok(Self {
            is_json: true,
            indent,
            separators,
            ensure_ascii,
            sort_keys,
        })
    }
}

/// A text that stops growing where its room ends.
pub(super) struct Bounded {
    pub text: String,
    room: usize,
}

/// The entries of a dictionary.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (Value, Value)> {
    value
        .as_object()
        .and_then(|object| object.try_iter_pairs())
        .into_iter()
        .flatten()
}

impl Bounded {
    pub fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            room,
        }
    }

    fn pay(&mut self, bytes: usize) -> Result<(), Error> {
        match self.room.checked_sub(bytes) {
            Some(left) => {
                self.room = left;
                Ok(())
            }
            None => Err(ErrorKind::OutOfFuel.into()),
        }
    }

    pub fn push(&mut self, text: &str) -> Result<(), Error> {
        self.pay(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Python's `str`.
    pub fn shown(&mut self, value: &Value) -> Result<(), Error> {
        match value.as_str() {
            Some(text) => {
                self.pay(VALUE_BYTES)?;
                self.push(text)
            }
            None => self.value(value, &Style::default(), 0),
        }
    }

    /// Python's `repr`, or `json.dumps`.
    pub fn value(&mut self, value: &Value, style: &Style, level: usize) -> Result<(), Error> {
        self.pay(VALUE_BYTES)?;
        if level > MOST_LEVELS {
            return Err(wrong(msg::EndlessValue));
        }
        match value.kind() {
            ValueKind::Undefined if style.is_json => Err(ErrorKind::UndefinedError.into()),
            ValueKind::Undefined => Ok(()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => self.push(&scalar(value, style)),
            ValueKind::String => self.quoted(value.as_str().unwrap_or_default(), style),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.checked().map(|item| Ok((None, item?)));
                let is_tuple = value.is_tuple() && !style.is_json;
                let close = if is_tuple && value.len() == Some(1) { ",)" } else { ")" };
                self.items(if is_tuple { ["(", close] } else { ["[", "]"] }, items, style, level)
            }
            ValueKind::Map if style.is_json => {
                let mut items = Vec::new();
                for (key, item) in entries(value) {
                    self.pay(size_of::<(String, Value)>())?;
                    let key = match (key.kind(), key.as_str()) {
                        (_, Some(text)) => text.to_string(),
                        (ValueKind::None | ValueKind::Bool | ValueKind::Number, _) => scalar(&key, style),
                        (kind, _) => return Err(wrong(msg::NotAJsonKey { kind })),
                    };
                    items.push((key, item));
                }
                if style.sort_keys {
                    items.sort_by(|left, right| left.0.cmp(&right.0));
                }
                let items = items.into_iter().map(|(key, item)| Ok((Some(key.into()), item)));
                self.items(["{", "}"], items, style, level)
            }
            ValueKind::Map => {
                let items = entries(value).map(|(key, item)| Ok((Some(key), item)));
                self.items(["{", "}"], items, style, level)
            }
            kind if style.is_json => Err(wrong(msg::NotJson { kind })),
            _ => self.push("<function>"),
        }
    }

    fn items(
        &mut self,
        [open, close]: [&str; 2],
        items: impl Iterator<Item = Result<(Option<Value>, Value), Error>>,
        style: &Style,
        level: usize,
    ) -> Result<(), Error> {
        let [comma, colon] = style
            .separators
            .as_ref()
            .map_or([", ", ": "], |[comma, colon]| [comma, colon]);
        self.push(open)?;
        let mut has_items = false;
        for item in items {
            let (key, item) = item?;
            self.push(if has_items { comma } else { "" })?;
            has_items = true;
            self.line(style, level + 1)?;
            if let Some(key) = key {
                self.value(&key, style, level + 1)?;
                self.push(colon)?;
            }
            self.value(&item, style, level + 1)?;
        }
        if has_items {
            self.line(style, level)?;
        }
        self.push(close)
    }

    fn line(&mut self, style: &Style, level: usize) -> Result<(), Error> {
        let Some(indent) = &style.indent else { return Ok(()) };
        self.push("\n")?;
        (0..level).try_for_each(|_| self.push(indent))
    }

    /// A text in quotes, JSON's or Python's.
    fn quoted(&mut self, text: &str, style: &Style) -> Result<(), Error> {
        self.pay(text.len())?;
        let is_double = style.is_json || text.contains('\'') && !text.contains('"');
        let quote = if is_double { '"' } else { '\'' };
        let mut quoted = String::from(quote);
        for letter in text.chars() {
            let code = u32::from(letter);
            match letter {
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\\' => quoted.push_str("\\\\"),
                '\u{8}' if style.is_json => quoted.push_str("\\b"),
                '\u{c}' if style.is_json => quoted.push_str("\\f"),
                _ if letter == quote => quoted.extend(['\\', quote]),
                _ if style.is_json && (letter < ' ' || style.ensure_ascii && letter > '~') => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        quoted.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ if !style.is_json && is_hidden(letter) => quoted.push_str(&match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                }),
                _ => quoted.push(letter),
            }
        }
        quoted.push(quote);
        self.push(&quoted)
    }
}

/// None, a truth value or a number.
fn scalar(value: &Value, style: &Style) -> String {
    let text = match value.kind() {
        ValueKind::None => ["None", "null"],
        ValueKind::Bool if value.is_true() => ["True", "true"],
        ValueKind::Bool => ["False", "false"],
        _ => match number_text(value) {
            text if style.is_json => {
                return text.replace("nan", "NaN").replace("inf", "Infinity");
            }
            text => return text,
        },
    };
    text[usize::from(style.is_json)].to_string()
}

/// Whether Python's `repr` writes a character as an escape: those of no shape.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || letter != ' ' && letter.is_whitespace()
        || matches!(letter, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Python's text of a number; of a float the shortest that reads back, with an exponent below 1e-4 and from 1e16 on.
fn number_text(value: &Value) -> String {
    let number = match f64::try_from(value.clone()) {
        Ok(number) if !value.is_integer() => number,
        _ => return value.to_string(),
    };
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.into();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{number}");
    match plain.contains('.') {
        true => plain,
        false => plain + ".0",
    }
}
