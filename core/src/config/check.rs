//! From a written value to a knob's value: typing, ranges, synonyms, and words for what is wrong.

use super::RunConfig;
use super::knob::{self, COUNT, Kind, Knob};
use super::knobs::KNOBS;
use super::read::Node;
use super::setting::Setting;
use super::unsupported_keys::{self, Treatment};
use super::values::{DROP_WORDS, MASK_WORDS};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::config as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::{Map, Value};

/// What a line of a run file comes to.
pub(super) enum ParsedKey {
    /// These knobs are set (most lines set one).
    Sets(Vec<(&'static Knob, Value)>),
    /// A known key that changes nothing, and why.
    Nothing(Message),
}

/// What `key: node` means; errors name the key, the value and what is allowed.
pub(super) fn meaning(key: &str, node: &Node) -> Result<ParsedKey> {
    let one = |name: &str, node: &Node| -> Result<ParsedKey> {
        let knob = knob::find(name).ok_or_else(|| Error::internal(msg::NoKnob { name }))?;
        Ok(ParsedKey::Sets(vec![(
            knob,
            value(knob, node).map_err(|error| error.field(key))?,
        )]))
    };
    let flag = |node: &Node| as_flag(node).ok_or_else(|| must_be(common::TrueOrFalse, node).field(key));
    match key {
        // bitsandbytes' switches; `false` leaves the other one its say.
        "load_in_4bit" | "load_in_8bit" => {
            let bits = if key == "load_in_4bit" { "4" } else { "8" };
            if flag(node)? {
                one("quantization_bit", &Node::Plain(bits.into()))
            } else {
                Ok(ParsedKey::Sets(Vec::new()))
            }
        }
        // LLaMA-Factory asks the opposite question.
        "train_on_prompt" => one("completion_only_loss", &Node::Plain((!flag(node)?).to_string())),
        // LLaMA-Factory's packing of rows that do not see each other, which there is no other than here.
        "neat_packing" if !is_null(node) && flag(node)? => one("packing", node),
        "neat_packing" => {
            let reason = msg::PackedStayApart;
            Ok(ParsedKey::Nothing(msg::NoEffect { what: key, reason }.into()))
        }
        "lr_scheduler_kwargs" => scheduler_arguments(node),
        _ => match (knob::find(key).map(|knob| knob.kind), unsupported_keys::find(key)) {
            // transformers' true: the newest checkpoint, whatever its name.
            (Some(Kind::PathOrNewest), _) => match as_flag(node) {
                Some(true) => one(key, &Node::Quoted("true".into())),
                Some(false) => one(key, &Node::Plain("null".into())),
                None => one(key, node),
            },
            // transformers 5: below 1 it is a share of the run.
            (Some(Kind::StepsOrRatio(ratio)), _)
                if as_number(node).is_some_and(|number| number > 0.0 && number < 1.0) =>
            {
                one(ratio, node)
            }
            (Some(_), _) => one(key, node),
            (None, Some(treatment)) => without_knob(key, node, treatment).map(ParsedKey::Nothing),
            (None, None) => Err(unknown(key, node)),
        },
    }
}

/// Refuses a word of `drop_rows` or `mask_personal` that is none.
pub(super) fn audit_words(config: &RunConfig) -> Result<()> {
    words_of("drop_rows", &config.drop_rows, &DROP_WORDS)?;
    words_of("mask_personal", &config.mask_personal, &MASK_WORDS)
}

fn words_of(knob: &'static str, words: &[String], known: &[&'static str]) -> Result<()> {
    let Some(got) = words.iter().find(|word| !known.contains(&word.as_str())) else {
        return Ok(());
    };
    let names = Field::list(known.iter().copied());
    let error = Error::config(msg::UnknownDropWord { got, known: names }).field(knob);
    Err(match crate::did_you_mean::nearest(got, known.iter().copied()) {
        Some(name) => error.remedy(common::DidYouMean { name }),
        None => error,
    })
}

fn scheduler_arguments(node: &Node) -> Result<ParsedKey> {
    const KEY: &str = "lr_scheduler_kwargs";
    const KNOWN: [&str; 3] = ["num_cycles", "power", "lr_end"];
    if is_null(node) {
        return Ok(ParsedKey::Sets(Vec::new()));
    }
    let Node::Map(entries) = node else {
        let example = "{num_cycles: 2}";
        return Err(must_be(msg::Map { example }, node).field(KEY));
    };
    let mut sets = Vec::new();
    for (name, node) in entries {
        let known = KNOWN.contains(&name.as_str()).then(|| knob::find(name)).flatten();
        let knob = known.ok_or_else(|| {
            let (known, key, value) = (Field::list(KNOWN), name, shown(node));
            Error::config(msg::TakesKeys { known, key, value }).field(KEY)
        })?;
        sets.push((
            knob,
            value(knob, node).map_err(|error| error.field(format!("{KEY}.{name}")))?,
        ));
    }
    Ok(ParsedKey::Sets(sets))
}

/// The warning for a known key without a knob, or the error where its value asks for what is not there.
fn without_knob(key: &str, node: &Node, treatment: Treatment) -> Result<Message> {
    let (neutral, reason) = match treatment {
        Treatment::Ignored(reason) => return Ok(msg::NoEffect { what: key, reason }.into()),
        Treatment::AllowedOnly(neutral, reason) => (neutral, reason),
    };
    let is = |word: &str| match (as_flag(node), as_number(node), node) {
        (Some(flag), ..) if word.parse() == Ok(flag) => true,
        (_, Some(number), _) if word.parse() == Ok(number) => true,
        (.., Node::Plain(text) | Node::Quoted(text)) => text.eq_ignore_ascii_case(word),
        _ => false,
    };
    if is_null(node) || neutral.iter().any(|word| is(word)) {
        let (value, reason) = (shown(node), msg::HappensAnyway);
        let what = msg::Pair { key, value };
        return Ok(msg::NoEffect { what, reason }.into());
    }
    let allowed = match neutral {
        [] => "null".into(),
        words => Field::list(words),
    };
    let got = shown(node);
    Err(Error::config(msg::AllowedOnly { reason, allowed, got })
        .field(key)
        .remedy(msg::TakeLineOut))
}

/// An unknown key, and the known one that it is nearest to.
fn unknown(key: &str, node: &Node) -> Error {
    or_nearest(Error::config(msg::UnknownKey { value: shown(node) }).field(key), key)
}

/// The knob of this name or alias.
///
/// # Errors
/// There is none; the error says which name it is nearest to.
pub fn named(name: &str) -> Result<&'static Knob> {
    knob::find(name).ok_or_else(|| or_nearest(Error::config(msg::NoKnob { name }), name))
}

fn or_nearest(error: Error, name: &str) -> Error {
    match nearest(name) {
        Some(known) => error.remedy(common::DidYouMean { name: known }),
        None => error.remedy(msg::ListEveryKey),
    }
}

/// The known name nearest to `key`, if any is near enough to be a typing error.
fn nearest(key: &str) -> Option<&'static str> {
    let names = KNOBS
        .iter()
        .flat_map(|knob| std::iter::once(knob.name).chain(knob.aliases.iter().copied()));
    crate::did_you_mean::nearest(key, names)
}

pub(super) fn must_be(allowed: impl Into<Field>, node: &Node) -> Error {
    let (allowed, got) = (allowed.into(), shown(node));
    Error::config(msg::MustBe { allowed, got })
}

/// The value of `knob` that `node` writes, in its one canonical form; errors do not name the key yet.
pub(super) fn value(knob: &Knob, node: &Node) -> Result<Value> {
    if is_null(node) && knob.optional() {
        return Ok(Value::Null);
    }
    let wrong = || must_be(knob.allowed(), node);
    let value = match knob.kind {
        Kind::Integer { min, max } => {
            let number = as_whole_number(node).ok_or_else(wrong)?;
            let possible = (min..=max).contains(&number);
            possible.then(|| Value::from(number)).ok_or_else(wrong)?
        }
        Kind::Number { min, max, above, below } => {
            let number = as_number(node).ok_or_else(wrong)?;
            let low = if above { number > min } else { number >= min };
            let high = if below { number < max } else { number <= max };
            (low && high).then(|| number.to_value()).ok_or_else(wrong)?
        }
        // What 0 steps go with is seen where all settings are.
        Kind::StepsOrNone => {
            let steps = as_whole_number(node).filter(|steps| (-1..=COUNT).contains(steps));
            steps.ok_or_else(wrong)?.into()
        }
        Kind::StepsOrRatio(_) => {
            let steps = as_whole_number(node).filter(|steps| (0..=COUNT).contains(steps));
            steps.ok_or_else(wrong)?.into()
        }
        Kind::StepsOrShare { min } => {
            let number = share_or_count(node).filter(|number| min == 0 || *number > 0.0);
            number.ok_or_else(wrong)?.to_value()
        }
        Kind::ShareOrCount => share_or_count(node).ok_or_else(wrong)?.to_value(),
        Kind::Choice { words, synonyms } => {
            let (Node::Plain(text) | Node::Quoted(text)) = node else {
                return Err(wrong());
            };
            let text = text.trim();
            let meant = synonyms.iter().find(|(other, _)| *other == text);
            let text = meant.map_or(text, |(_, word)| *word);
            let word = words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(text))
                .ok_or_else(wrong)?;
            Value::from(*word)
        }
        Kind::Flag => Value::Bool(as_flag(node).ok_or_else(wrong)?),
        Kind::Text | Kind::PathOrNewest => match node {
            // A path may look like a number; nothing at all is not a path.
            Node::Plain(text) if text.trim().is_empty() || is_null(node) => return Err(wrong()),
            Node::Plain(text) | Node::Quoted(text) => Value::from(text.as_str()),
            _ => return Err(wrong()),
        },
        // What is saved whole is named one by one.
        Kind::ModuleNames => modules(node).filter(Value::is_array).ok_or_else(wrong)?,
        Kind::Modules => modules(node).ok_or_else(wrong)?,
        Kind::List => {
            let items = match node {
                Node::List(items) => items.iter().map(as_whole_number).collect::<Option<Vec<_>>>(),
                Node::Plain(text) | Node::Quoted(text) => text
                    .split(',')
                    .map(|item| as_whole_number(&Node::Plain(item.into())))
                    .collect(),
                _ => None,
            };
            let items = items.filter(|items| !items.is_empty() && items.iter().all(|item| (0..65536).contains(item)));
            items.ok_or_else(wrong)?.into()
        }
        Kind::Names => names(node).ok_or_else(wrong)?,
        Kind::Patterns { whole } => patterns(node, whole).ok_or_else(wrong)?,
    };
    Ok(value)
}

/// A number from 0, which from 1 on is a whole one.
fn share_or_count(node: &Node) -> Option<f64> {
    as_number(node).filter(|number| (0.0..=COUNT as f64).contains(number) && (*number < 1.0 || number.fract() == 0.0))
}

/// `all` is LLaMA-Factory's word for `all-linear`; `default` is what PEFT adapts where no modules are named. A text of plain
/// names, `q_proj, v_proj`, is a list; PEFT would take it as a pattern for a module's whole path, which it never matches.
fn modules(node: &Node) -> Option<Value> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))
    };
    match node {
        Node::Plain(text) | Node::Quoted(text) => {
            let text = text.trim();
            match text {
                "all" | "all-linear" | "all_linear" => return Some(Value::from("all-linear")),
                "default" => return Some(Value::from(text)),
                _ => {}
            }
            // A dot between letters is part of a name; at the ends or beside a star it is a pattern.
            let names: Vec<&str> = text.split(',').map(str::trim).collect();
            if names.iter().all(|name| is_name(name)) {
                return Some(names.into());
            }
            (!text.is_empty()).then(|| Value::from(text))
        }
        Node::List(items) => {
            let names = items.iter().map(|item| match item {
                Node::Plain(name) | Node::Quoted(name) if !name.trim().is_empty() => Some(Value::from(name.trim())),
                _ => None,
            });
            let names: Vec<Value> = names.collect::<Option<_>>()?;
            match names.as_slice() {
                [] => None,
                [Value::String(name)] if matches!(name.as_str(), "all" | "all-linear") => {
                    Some(Value::from("all-linear"))
                }
                _ => Some(Value::Array(names)),
            }
        }
        Node::Map(_) => None,
    }
}

/// A list of names; a text is one name, or several with commas between.
fn names(node: &Node) -> Option<Value> {
    let name = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Value::from(text))
    };
    match node {
        Node::Plain(_) if is_null(node) => Some(Value::Array(Vec::new())),
        Node::Plain(text) | Node::Quoted(text) => text.split(',').map(name).collect(),
        Node::List(items) => {
            let items = items.iter().map(|item| match item {
                Node::Plain(text) | Node::Quoted(text) => name(text),
                _ => None,
            });
            items.collect()
        }
        Node::Map(_) => None,
    }
}

fn patterns(node: &Node, whole: bool) -> Option<Value> {
    let Node::Map(entries) = node else { return None };
    let mut map = Map::new();
    for (pattern, node) in entries {
        let value = if whole {
            Value::from(as_whole_number(node).filter(|number| (1..=4096).contains(number))?)
        } else {
            as_number(node)
                .filter(|number| *number > 0.0 && *number <= 1e6)?
                .to_value()
        };
        if pattern.trim().is_empty() || map.insert(pattern.clone(), value).is_some() {
            return None;
        }
    }
    Some(Value::Object(map))
}

pub(super) fn is_null(node: &Node) -> bool {
    matches!(node, Node::Plain(text) if matches!(text.trim(), "" | "~" | "null" | "Null" | "NULL" | "None"))
}

// Quotes are let through wherever what stands in them is exactly a value: PyYAML reads `2e-4` as text, so files written by way
// of it carry `'2e-4'`, and programs that fill in templates quote everything.

/// YAML 1.1's words for true and false, which PyYAML reads.
pub(super) fn as_flag(node: &Node) -> Option<bool> {
    let (Node::Plain(text) | Node::Quoted(text)) = node else {
        return None;
    };
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A finite number.
pub(super) fn as_number(node: &Node) -> Option<f64> {
    let (Node::Plain(text) | Node::Quoted(text)) = node else {
        return None;
    };
    let text = text.trim();
    if !text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'_'))
    {
        return None;
    }
    text.replace('_', "")
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
}

/// A whole number; `3.0` and `1e3` are whole.
pub(super) fn as_whole_number(node: &Node) -> Option<i64> {
    let (Node::Plain(text) | Node::Quoted(text)) = node else {
        return None;
    };
    if let Ok(number) = text.trim().replace('_', "").parse() {
        return Some(number);
    }
    // Above 2⁵³ an f64 no longer tells neighbours apart.
    as_number(node)
        .filter(|number| number.fract() == 0.0 && number.abs() < 9e15)
        .map(|number| number as i64)
}

/// The value for an error message, shortened.
fn shown(node: &Node) -> Field {
    match node {
        // The parser's word for a value that is not there is `~`.
        Node::Plain(text) if matches!(text.trim(), "" | "~") => common::Nothing.into(),
        Node::Plain(text) => shortened(text).into(),
        Node::Quoted(text) => format!("{:?}", shortened(text)).into(),
        Node::List(items) if items.is_empty() => msg::EmptyList.into(),
        Node::List(items) => {
            let items = joined(items.iter().map(shown));
            msg::InBrackets { items }.into()
        }
        Node::Map(entries) => {
            let pair = |(key, node): &(String, Node)| {
                let value = shown(node);
                msg::Pair { key, value }.into()
            };
            let items = joined(entries.iter().map(pair));
            msg::InBraces { items }.into()
        }
    }
}

/// The first of them, with the commas of the notation and not of a language.
fn joined(items: impl Iterator<Item = Field>) -> Field {
    let joined = items.take(6).reduce(|before, item| msg::Then { before, item }.into());
    joined.unwrap_or_else(|| "".into())
}

pub(super) fn shortened(text: &str) -> String {
    const LETTERS: usize = 60;
    if text.chars().count() <= LETTERS {
        return text.to_owned();
    }
    text.chars().take(LETTERS).chain(['…']).collect()
}
