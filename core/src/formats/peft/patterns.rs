//! Values by module pattern, as `rank_pattern` and `alpha_pattern` hold them.

use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use regex::Regex;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Map;

/// Expressions in a map by module at most. Names are not counted: they are compared, not compiled.
const MOST_EXPRESSIONS: usize = 1000;

/// Values by module pattern, in the order in which they are tried: of several that match, the first wins, in PEFT as here,
/// so the order is kept in files too.
#[derive(Debug, Clone, PartialEq)]
pub struct Patterns<T>(pub Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Patterns<T> {
    /// All patterns, ready to be matched; `field` is where they are written.
    pub(super) fn compiled(&self, field: &'static str) -> Result<CompiledPatterns<T>> {
        let found = self.0.iter().filter(|(pattern, _)| !is_name(pattern)).count();
        if found > MOST_EXPRESSIONS {
            let most = MOST_EXPRESSIONS;
            return Err(Error::config(msg::TooManyExpressions { found, most })
                .field(field)
                .remedy(msg::NameModules));
        }
        let compiled = self.0.iter().map(|(pattern, value)| {
            let pattern = match is_name(pattern) {
                true => PathEnd::Name(pattern.clone()),
                false => PathEnd::Expression(compile(&format!("^(?:.*\\.)?(?:{pattern})$"), pattern, field)?),
            };
            Ok((pattern, *value))
        });
        compiled.collect::<Result<_>>().map(CompiledPatterns)
    }
}

/// [`Patterns`], compiled once for all modules.
pub(super) struct CompiledPatterns<T>(Vec<(PathEnd, T)>);

/// What matches the whole path of a module or its end after a dot.
enum PathEnd {
    /// A pattern that is a name: as in any pattern, its dots stand for any character.
    Name(String),
    Expression(Regex),
}

/// Whether a pattern has no other signs in it than a path.
fn is_name(pattern: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    !pattern.is_empty() && pattern.bytes().all(is_plain)
}

impl<T: Copy> CompiledPatterns<T> {
    /// The value of the first that matches.
    pub(super) fn value_of(&self, path: &str) -> Option<T> {
        let found = self.0.iter().find(|(pattern, _)| pattern.matches(path));
        found.map(|(_, value)| *value)
    }
}

impl PathEnd {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Name(name) => {
                let Some(before) = path.len().checked_sub(name.len()) else {
                    return false;
                };
                let (front, end) = path.as_bytes().split_at(before);
                let fits = |(wanted, found): (u8, &u8)| wanted == b'.' || wanted == *found;
                (front.is_empty() || front.ends_with(b".")) && name.bytes().zip(end).all(fits)
            }
            Self::Expression(expression) => expression.is_match(path),
        }
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(pattern, value)| (pattern, value)))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Map::deserialize(deserializer)?.into_iter();
        let read = entries.map(|(pattern, value)| Ok((pattern, serde_json::from_value(value)?)));
        let read: Result<_, serde_json::Error> = read.collect();
        read.map(Self).map_err(de::Error::custom)
    }
}

pub(super) fn compile(expression: &str, shown: &str, field: &'static str) -> Result<Regex> {
    Regex::new(expression).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
        let written = format!("{shown:?}");
        Error::config(msg::UnusableExpression { written, why })
            .field(field)
            .remedy(msg::UseNamesOrPattern)
    })
}
