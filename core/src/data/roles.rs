//! Which columns are a text and its label in a table whose columns have no known names.
//!
//! The rule, in this order:
//! 1. A column is the label whose name has a word for one (`Spam Category`, `sentiment_label`) and whose values are few; of
//!    several, the last. Words are whole: `classics` has none. A name that also has a word for an attribute (`target_language`,
//!    `topic_source`) is none of a label, and where a column is called `text` or `content`, only the known names of labels are.
//! 2. Without such a name, a column is the label whose values are few and short (2 to 50, each in four rows or more on average), if
//!    it is the only one such, its name is none of an attribute (`lang`, `split`, `source`), and the text follows from values, too.
//! 3. The text is the first column whose name has a word for one, else the only one that is left, else the only one that holds
//!    sentences (three words or more on average, most of them different).
//!
//! Known names go before all of this ([`super::form`], [`super::labelled`]).

use super::form::is_blank;
use super::parse::{Record, Table, key};
use super::table::is_unnamed;
use super::value::Value;
use std::collections::HashSet;

/// Words for what is to be answered.
const LABEL_WORDS: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "categories",
    "sentiment",
    "rating",
    "emotion",
    "intent",
    "topic",
    "target",
    "标签",
    "类别",
    "分类",
    "情感",
];

/// Words for a text.
const TEXT_WORDS: &[&str] = &[
    "text",
    "message",
    "sentence",
    "content",
    "body",
    "review",
    "comment",
    "tweet",
    "post",
    "email",
    "sms",
    "utterance",
    "headline",
    "title",
    "description",
    "document",
    "question",
    "query",
    "文本",
    "内容",
    "评论",
    "句子",
];

/// Words for what a row is besides: few values, and nothing to be answered.
const ATTRIBUTE_WORDS: &[&str] = &["split", "set", "lang", "language", "source", "user", "author", "date"];

/// Words for numbers of rows, or of classes: `label_id` is a label.
const NUMBER_WORDS: &[&str] = &["id", "index"];

/// Rows that are looked at: more tell no more.
const MOST_ROWS: usize = 5000;

/// Rows of which values tell something.
const FEWEST_ROWS: usize = 8;

/// Columns whose values are looked at.
const MOST_COLUMNS: usize = 64;

/// Different values of a label.
const MOST_VALUES: usize = 50;

/// A label's longest value, in letters.
const LONGEST_LABEL: usize = 40;

/// A text and its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    /// The text's column, in small letters.
    pub text: String,
    /// The label's.
    pub label: String,
    /// Whether the label's name said so; else its values did.
    pub by_name: bool,
}

/// The columns of a text and of its label in a table, if the rule above finds both.
pub(super) fn guess(table: &Table) -> Option<Guess> {
    by_name(table).or_else(|| by_values(table))
}

/// The same where the label's name says so.
pub(super) fn by_name(table: &Table) -> Option<Guess> {
    let keys = keys(table);
    let is_label = |key: &str| is_called(key, LABEL_WORDS) && !is_called(key, ATTRIBUTE_WORDS);
    let label = keys
        .iter()
        .rfind(|key| is_label(key) && Facts::of(table, key).has_few())?;
    let others: Vec<&String> = keys.iter().filter(|key| *key != label).collect();
    let by_word = others.iter().find(|key| is_called(key, TEXT_WORDS)).copied();
    let text = by_word
        .or_else(|| only(others.iter().copied()))
        .or_else(|| sentences(table, &others))?;
    Some(Guess {
        text: text.clone(),
        label: label.clone(),
        by_name: true,
    })
}

/// The same where values say so.
fn by_values(table: &Table) -> Option<Guess> {
    let keys = keys(table);
    if keys.len() > MOST_COLUMNS {
        return None;
    }
    let is_attribute = |key: &str| is_called(key, ATTRIBUTE_WORDS) || is_called(key, NUMBER_WORDS);
    let is_label = |key: &&String| !is_attribute(key) && Facts::of(table, key).is_label();
    let label = only(keys.iter().filter(is_label))?;
    let others: Vec<&String> = keys.iter().filter(|key| *key != label).collect();
    let is_text = |key: &&&String| is_called(key, TEXT_WORDS) && Facts::of(table, key).is_text();
    let by_word = others.iter().find(is_text).copied();
    let text = by_word.or_else(|| sentences(table, &others))?;
    Some(Guess {
        text: text.clone(),
        label: label.clone(),
        by_name: false,
    })
}

/// The only one of the columns that holds sentences.
fn sentences<'a>(table: &Table, keys: &[&'a String]) -> Option<&'a String> {
    let few = keys.iter().copied().take(MOST_COLUMNS);
    only(few.filter(|key| Facts::of(table, key).is_text()))
}

/// The columns that have names, in small letters.
fn keys(table: &Table) -> Vec<String> {
    let keys = table.columns().iter().map(|name| key(name));
    keys.filter(|key| !is_unnamed(key)).collect()
}

/// Whether a name, in small letters, has a word for what columns hold.
pub(super) fn is_column_word(key: &str) -> bool {
    let lists = [LABEL_WORDS, TEXT_WORDS, ATTRIBUTE_WORDS, NUMBER_WORDS];
    lists.into_iter().any(|words| is_called(key, words))
}

/// Whether a name has one of these words.
fn is_called(key: &str, words: &[&str]) -> bool {
    let mut parts = key.split(|letter: char| !letter.is_alphanumeric());
    parts.any(|part| words.contains(&part))
}

/// The item, if it is the only one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    first.filter(|_| items.next().is_none())
}

/// What stands in a column.
struct Facts {
    key: String,
    /// Rows with something in them.
    rows: usize,
    /// Different values, one more than [`MOST_VALUES`] where there are more.
    values: usize,
    /// Letters of the longest one.
    longest: usize,
    /// Words of all, a Chinese sign counted as half a word.
    words: f64,
    /// Rows whose value did not stand in a row before.
    new: usize,
    /// Whether all are texts, numbers or truth values.
    is_plain: bool,
}

impl Facts {
    fn of(table: &Table, key: &str) -> Self {
        let mut facts = Self {
            key: key.to_owned(),
            rows: 0,
            values: 0,
            longest: 0,
            words: 0.0,
            new: 0,
            is_plain: true,
        };
        let mut seen = HashSet::new();
        for record in table.records().take(MOST_ROWS) {
            if let Some(text) = facts.text(&record) {
                facts.rows += 1;
                facts.longest = facts.longest.max(text.chars().count());
                facts.words += words(&text);
                facts.new += usize::from(seen.insert(text));
            }
        }
        facts.values = seen.len().min(MOST_VALUES + 1);
        facts
    }

    fn text(&mut self, record: &Record) -> Option<String> {
        match record.fields.get(&self.key)? {
            value if is_blank(value) => None,
            Value::String(text) => Some(text.trim().to_owned()),
            value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
            _ => {
                self.is_plain = false;
                None
            }
        }
    }

    /// Whether values come again, or are as short as labels are where there are few rows.
    fn has_few(&self) -> bool {
        let is_short = self.longest <= LONGEST_LABEL;
        let comes_again = self.values <= MOST_VALUES && self.new * 2 <= self.rows;
        self.is_plain
            && self.rows > 0
            && is_short
            && (comes_again || self.rows < FEWEST_ROWS && self.mean_words() <= 2.0)
    }

    fn is_label(&self) -> bool {
        let is_short = self.longest <= LONGEST_LABEL && self.mean_words() < 3.0;
        let few = (2..=MOST_VALUES).contains(&self.values) && self.values * 4 <= self.rows;
        self.is_plain && self.rows >= FEWEST_ROWS && is_short && few
    }

    fn is_text(&self) -> bool {
        self.is_plain && self.rows > 0 && self.mean_words() >= 3.0 && self.new * 2 > self.rows
    }

    fn mean_words(&self) -> f64 {
        self.words / self.rows.max(1) as f64
    }
}

fn words(text: &str) -> f64 {
    let is_sign = |letter: &char| ('\u{4e00}'..='\u{9fff}').contains(letter);
    let signs = text.chars().filter(is_sign).count();
    text.split_whitespace().count() as f64 + signs as f64 / 2.0
}
