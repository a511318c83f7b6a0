//! The values that a template works with, as Python has them: their truth, their order, their texts and their JSON.

use super::Fault;
use super::run::Scope;
use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

/// Lists in lists; above it a value is refused, so that printing, comparing and dropping one takes little stack.
pub(super) const MOST_NESTED: u32 = 160;

/// Values with names.
pub(super) type Named = Vec<(Arc<str>, Value)>;

/// A value. Texts, lists and dictionaries never change, as in transformers' sandbox.
#[derive(Clone)]
pub(super) enum Value {
    /// What has no value; its name is for the error.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
    List(Rc<List>),
    Dict(Rc<Dict>),
    Namespace(Rc<RefCell<Named>>),
    Loop(Rc<Loop>),
    Callable(Rc<Callable>),
}

pub(super) struct List {
    pub items: Vec<Value>,
    pub is_tuple: bool,
    depth: u32,
    size: u64,
}

pub(super) struct Dict {
    pub items: Vec<(Value, Value)>,
    /// The number of the message that this is.
    pub message: Option<usize>,
    depth: u32,
    size: u64,
}

/// What `loop` is in a loop's body.
pub(super) struct Loop {
    pub items: Vec<Value>,
    pub index: Cell<usize>,
    pub depth: usize,
    pub changed: RefCell<Option<Value>>,
}

pub(super) enum Callable {
    /// The number of a macro, and what it sees.
    Macro(usize, Rc<Scope>),
    Method(Value, Arc<str>),
    Global(&'static str),
}

fn depth(value: &Value) -> Result<u32, Fault> {
    match value {
        Value::List(list) => Ok(list.depth),
        Value::Dict(dict) => Ok(dict.depth),
        // A cycle of these could never be told from a deep value, nor be freed.
        Value::Namespace(_) | Value::Loop(_) | Value::Callable(_) => {
            Err(Fault::new(format!("{} cannot be kept in a value", value.kind())))
        }
        _ => Ok(0),
    }
}

fn nested(depths: impl Iterator<Item = Result<u32, Fault>>) -> Result<u32, Fault> {
    let mut deepest = 0;
    for depth in depths {
        deepest = deepest.max(depth?);
    }
    match deepest < MOST_NESTED {
        true => Ok(deepest + 1),
        false => Err(Fault::new("nests lists in lists without end")),
    }
}

/// The size of what holds these.
fn size<'a>(items: impl Iterator<Item = &'a Value>) -> u64 {
    items.fold(1, |size, item| size.saturating_add(item.size()))
}

impl Value {
    /// The steps that it takes to go through all of it; the same part in two places is counted twice.
    pub fn size(&self) -> u64 {
        match self {
            Self::List(list) => list.size,
            Self::Dict(dict) => dict.size,
            Self::Text(text) => 1 + text.len() as u64 / 64,
            _ => 1,
        }
    }

    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    pub fn undefined() -> Self {
        Self::Undefined("".into())
    }

    fn sequence(items: Vec<Self>, is_tuple: bool) -> Result<Self, Fault> {
        let depth = nested(items.iter().map(depth))?;
        let size = size(items.iter());
        Ok(Self::List(Rc::new(List {
            items,
            is_tuple,
            depth,
            size,
        })))
    }

    pub fn list(items: Vec<Self>) -> Result<Self, Fault> {
        Self::sequence(items, false)
    }

    pub fn tuple(items: Vec<Self>) -> Result<Self, Fault> {
        Self::sequence(items, true)
    }

    pub fn dict(items: Vec<(Self, Self)>, message: Option<usize>) -> Result<Self, Fault> {
        let depth = nested(items.iter().map(|(_, value)| depth(value)))?;
        let size = size(items.iter().map(|(_, value)| value));
        Ok(Self::Dict(Rc::new(Dict {
            items,
            message,
            depth,
            size,
        })))
    }

    /// Whether it may be an attribute of a namespace.
    pub fn check_kept(&self) -> Result<(), Fault> {
        depth(self).map(drop)
    }

    pub fn from_json(json: &serde_json::Value) -> Result<Self, Fault> {
        Ok(match json {
            serde_json::Value::Null => Self::None,
            serde_json::Value::Bool(truth) => Self::Bool(*truth),
            serde_json::Value::Number(number) => {
                let text = number.to_string();
                match text.parse() {
                    Ok(whole) => Self::Int(whole),
                    Err(_) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
                }
            }
            serde_json::Value::String(text) => Self::text(text.as_str()),
            serde_json::Value::Array(items) => {
                Self::list(items.iter().map(Self::from_json).collect::<Result<_, _>>()?)?
            }
            serde_json::Value::Object(items) => Self::from_object(items, None)?,
        })
    }

    pub fn from_object(
        items: &serde_json::Map<String, serde_json::Value>,
        message: Option<usize>,
    ) -> Result<Self, Fault> {
        let item =
            |(key, value): (&String, &serde_json::Value)| Ok((Self::text(key.as_str()), Self::from_json(value)?));
        Self::dict(items.iter().map(item).collect::<Result<_, Fault>>()?, message)
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "an undefined value",
            Self::None => "none",
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(list) if list.is_tuple => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Namespace(_) => "a namespace",
            Self::Loop(_) => "a loop",
            Self::Callable(_) => "a function",
        }
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(truth) => *truth,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Dict(dict) => !dict.items.is_empty(),
            Self::Namespace(_) | Self::Loop(_) | Self::Callable(_) => true,
        }
    }

    /// Whole numbers, with truth values among them.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i128::from(*truth)),
            _ => None,
        }
    }

    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => self.as_int().map(|number| number as f64),
        }
    }

    pub fn as_text(&self) -> Option<&Arc<str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An entry of a dictionary or attribute of a namespace.
    pub fn get(&self, name: &str) -> Option<Self> {
        match self {
            Self::Dict(dict) => dict.get(&Self::text(name)).cloned(),
            Self::Namespace(items) => {
                let items = items.borrow();
                items
                    .iter()
                    .find(|(key, _)| &**key == name)
                    .map(|(_, value)| value.clone())
            }
            _ => None,
        }
    }
}

impl Dict {
    pub fn get(&self, key: &Value) -> Option<&Value> {
        self.items
            .iter()
            .find(|(known, _)| equals(known, key))
            .map(|(_, value)| value)
    }
}

/// Python's `==`.
pub(super) fn equals(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            left.is_tuple == right.is_tuple
                && left.items.len() == right.items.len()
                && left
                    .items
                    .iter()
                    .zip(&right.items)
                    .all(|(left, right)| equals(left, right))
        }
        (Value::Dict(left), Value::Dict(right)) => {
            let is_same = |(key, value): &(Value, Value)| right.get(key).is_some_and(|other| equals(value, other));
            left.items.len() == right.items.len() && left.items.iter().all(is_same)
        }
        (Value::Namespace(left), Value::Namespace(right)) => Rc::ptr_eq(left, right),
        (Value::Callable(left), Value::Callable(right)) => Rc::ptr_eq(left, right),
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => left == right,
            _ => matches!((left.as_float(), right.as_float()), (Some(left), Some(right)) if left == right),
        },
    }
}

/// Python's order, where there is one.
pub(super) fn compare(left: &Value, right: &Value) -> Result<Ordering, Fault> {
    let none = || Fault::new(format!("{} and {} have no order", left.kind(), right.kind()));
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => Ok(left.cmp(right)),
        (Value::List(left), Value::List(right)) if left.is_tuple == right.is_tuple => {
            for (left, right) in left.items.iter().zip(&right.items) {
                if !equals(left, right) {
                    return compare(left, right);
                }
            }
            Ok(left.items.len().cmp(&right.items.len()))
        }
        _ => match (left.as_int(), right.as_int()) {
            (Some(left), Some(right)) => Ok(left.cmp(&right)),
            _ => {
                let (left, right) = (left.as_float().ok_or_else(none)?, right.as_float().ok_or_else(none)?);
                left.partial_cmp(&right).ok_or_else(none)
            }
        },
    }
}

/// A text that stops growing where its room ends.
pub(super) struct Bounded {
    pub text: String,
    room: usize,
}

impl Bounded {
    pub fn new(room: usize) -> Self {
        Self {
            text: String::new(),
            room,
        }
    }

    pub fn push(&mut self, text: &str) -> Result<(), Fault> {
        if text.len() > self.room - self.text.len() {
            return Err(Fault::endless());
        }
        self.text.push_str(text);
        Ok(())
    }

    pub fn push_repeated(&mut self, text: &str, times: usize) -> Result<(), Fault> {
        (0..times).try_for_each(|_| self.push(text))
    }

    /// Python's `str`.
    pub fn shown(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Text(text) => self.push(text),
            other => self.repr(other),
        }
    }

    /// Python's `repr`.
    pub fn repr(&mut self, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Undefined(_) => Ok(()),
            Value::None => self.push("None"),
            Value::Bool(true) => self.push("True"),
            Value::Bool(false) => self.push("False"),
            Value::Int(number) => self.push(&number.to_string()),
            Value::Float(number) => self.push(&float_text(*number)),
            Value::Text(text) => self.quoted(text),
            Value::List(list) => {
                let [open, close] = if list.is_tuple { ["(", ")"] } else { ["[", "]"] };
                self.push(open)?;
                for (index, item) in list.items.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" })?;
                    self.repr(item)?;
                }
                self.push(if list.is_tuple && list.items.len() == 1 {
                    ","
                } else {
                    ""
                })?;
                self.push(close)
            }
            Value::Dict(dict) => {
                self.push("{")?;
                for (index, (key, item)) in dict.items.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" })?;
                    self.repr(key)?;
                    self.push(": ")?;
                    self.repr(item)?;
                }
                self.push("}")
            }
            Value::Namespace(_) => self.push("<Namespace>"),
            Value::Loop(_) => self.push("<LoopContext>"),
            Value::Callable(_) => self.push("<function>"),
        }
    }

    /// A text as Python quotes it.
    fn quoted(&mut self, text: &str) -> Result<(), Fault> {
        let quote = if text.contains('\'') && !text.contains('"') {
            '"'
        } else {
            '\''
        };
        let mut quoted = String::from(quote);
        for letter in text.chars() {
            match letter {
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\\' => quoted.push_str("\\\\"),
                _ if letter == quote => quoted.extend(['\\', quote]),
                _ if is_hidden(letter) => {
                    let code = u32::from(letter);
                    quoted.push_str(&match code {
                        0..=0xff => format!("\\x{code:02x}"),
                        0x100..=0xffff => format!("\\u{code:04x}"),
                        _ => format!("\\U{code:08x}"),
                    });
                }
                _ => quoted.push(letter),
            }
        }
        quoted.push(quote);
        self.push(&quoted)
    }

    /// `json.dumps`.
    pub fn json(&mut self, value: &Value, style: &JsonStyle, level: usize) -> Result<(), Fault> {
        match value {
            Value::None => self.push("null"),
            Value::Bool(true) => self.push("true"),
            Value::Bool(false) => self.push("false"),
            Value::Int(number) => self.push(&number.to_string()),
            Value::Float(number) if number.is_nan() => self.push("NaN"),
            Value::Float(number) if number.is_infinite() => {
                self.push(if *number > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Value::Float(number) => self.push(&float_text(*number)),
            Value::Text(text) => self.json_text(text, style),
            Value::List(list) => {
                let items = list.items.iter().map(|item| (None, item));
                self.json_items(["[", "]"], items.collect(), style, level)
            }
            Value::Dict(dict) => {
                let mut items = Vec::with_capacity(dict.items.len());
                for (key, item) in &dict.items {
                    items.push((Some(json_key(key)?), item));
                }
                if style.sort_keys {
                    items.sort_by(|left, right| left.0.cmp(&right.0));
                }
                self.json_items(["{", "}"], items, style, level)
            }
            other => Err(Fault::new(format!("{} has no JSON", other.kind()))),
        }
    }

    fn json_items(
        &mut self,
        [open, close]: [&str; 2],
        items: Vec<(Option<String>, &Value)>,
        style: &JsonStyle,
        level: usize,
    ) -> Result<(), Fault> {
        self.push(open)?;
        let has_items = !items.is_empty();
        for (index, (key, item)) in items.into_iter().enumerate() {
            self.push(if index > 0 { &style.separators[0] } else { "" })?;
            self.json_line(style, level + 1)?;
            if let Some(key) = key {
                self.json_text(&key, style)?;
                self.push(&style.separators[1])?;
            }
            self.json(item, style, level + 1)?;
        }
        if has_items {
            self.json_line(style, level)?;
        }
        self.push(close)
    }

    fn json_line(&mut self, style: &JsonStyle, level: usize) -> Result<(), Fault> {
        let Some(indent) = &style.indent else { return Ok(()) };
        self.push("\n")?;
        self.push_repeated(indent, level)
    }

    fn json_text(&mut self, text: &str, style: &JsonStyle) -> Result<(), Fault> {
        let mut quoted = String::from('"');
        for letter in text.chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\u{8}' => quoted.push_str("\\b"),
                '\u{c}' => quoted.push_str("\\f"),
                _ if letter < ' ' || style.ensure_ascii && letter > '~' => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        quoted.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                _ => quoted.push(letter),
            }
        }
        quoted.push('"');
        self.push(&quoted)
    }
}

/// How JSON is written.
pub(super) struct JsonStyle {
    pub indent: Option<String>,
    pub separators: [String; 2],
    pub ensure_ascii: bool,
    pub sort_keys: bool,
}

fn json_key(key: &Value) -> Result<String, Fault> {
    Ok(match key {
        Value::Text(text) => text.to_string(),
        Value::None => "null".into(),
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        other => return Err(Fault::new(format!("{} is no key of JSON", other.kind()))),
    })
}

/// Whether Python's `repr` writes a character as an escape: those of no shape.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || letter != ' ' && letter.is_whitespace()
        || matches!(letter, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'..='\u{ffff}' | '\u{e0000}'..='\u{10ffff}')
}

/// Python's text of a float: the shortest that reads back, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn float_text(number: f64) -> String {
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
