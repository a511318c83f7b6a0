//! Rows of rankings: a query with the documents that belong to it and those that do not.
//!
//! Either a row names a positive and perhaps negatives, or it grades one document, and rows with the same query belong
//! together.

use super::form::{is_blank, required, text};
use super::frame::PairTemplate;
use super::parse::{Record, Skipped, listed, note_unused};
use super::value::Value;
use super::{Dataset, Example, Target};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::data as msg;
use std::collections::HashMap;

/// Documents of a query at most: they go through the model together.
const MOST_DOCUMENTS: usize = 1000;

const QUERIES: &[&str] = &["query", "anchor", "question"];
const POSITIVES: &[&str] = &["positive", "pos", "positive_passage"];
const NEGATIVES: &[&str] = &["negative", "negatives", "neg", "negative_passages"];
const DOCUMENTS: &[&str] = &["document", "passage", "doc", "text"];
const GRADES: &[&str] = &["grade", "relevance", "label", "score"];

/// Queries with their documents.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The file's name, for errors.
    pub file: String,
    /// At least one.
    pub queries: Vec<RankedQuery>,
    /// What was left out.
    pub notes: Vec<Message>,
}

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedQuery {
    /// Where it first stands in the file, from 1.
    pub number: usize,
    /// Its text.
    pub query: String,
    /// Texts and grades in the order of the texts; at least one.
    pub documents: Vec<(String, f32)>,
}

/// The columns in use.
enum Plan {
    Named(String, String, Vec<String>),
    Graded(String, String, String),
}

impl Dataset {
    /// Whether the file ranks: a query with a positive, or with a graded document.
    pub fn has_ranking(&self) -> bool {
        self.ranking().is_some()
    }

    /// Whether its rows name positives and are not graded.
    pub fn names_positives(&self) -> bool {
        matches!(self.ranking(), Some(Plan::Named(..)))
    }

    fn ranking(&self) -> Option<Plan> {
        let keys = self.keys();
        let find = |names: &[&str]| {
            let found = names.iter().find(|name| keys.iter().any(|key| key == *name));
            found.map(|name| (*name).to_owned())
        };
        let query = find(QUERIES)?;
        if let Some(positive) = find(POSITIVES) {
            let is_negative = |key: &&String| NEGATIVES.contains(&key.as_str()) || key.starts_with("negative_");
            let negatives = keys.iter().filter(is_negative).cloned().collect();
            return Some(Plan::Named(query, positive, negatives));
        }
        Some(Plan::Graded(query, find(DOCUMENTS)?, find(GRADES)?))
    }

    /// Whether a ranking reads the column of this key.
    pub(super) fn is_of_ranking(&self, key: &str) -> bool {
        let columns = match self.ranking() {
            Some(Plan::Named(query, positive, negatives)) => [vec![query, positive], negatives].concat(),
            Some(Plan::Graded(query, document, grade)) => vec![query, document, grade],
            None => Vec::new(),
        };
        columns.iter().any(|column| column == key)
    }

    /// The file's queries with their documents.
    ///
    /// # Errors
    /// Other columns; a row without a query or a document, or with a grade that is none.
    pub fn ranked(&self) -> Result<Ranked> {
        self.read_ranked().map_err(|error| error.file(&self.name))
    }

    fn read_ranked(&self) -> Result<Ranked> {
        let table = self.table()?;
        let plan = self.ranking().ok_or_else(|| {
            let columns = listed(&self.columns);
            Error::data(msg::NoRanking { columns }).remedy(msg::NameRanking)
        })?;
        let mut skipped = Skipped::default();
        let mut queries: Vec<RankedQuery> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut known: HashMap<(usize, String), usize> = HashMap::new();
        for record in table.records() {
            if record.fields.values().all(is_blank) {
                skipped.push(record.number);
                continue;
            }
            let (query, documents) = plan.read(&record).map_err(|error| error.row(record.number))?;
            let place = *places.entry(query.clone()).or_insert(queries.len());
            if place == queries.len() {
                queries.push(RankedQuery {
                    number: record.number,
                    query,
                    documents: Vec::new(),
                });
            }
            let of_query = &mut queries[place].documents;
            for (document, grade) in documents {
                let at = *known.entry((place, document.clone())).or_insert(of_query.len());
                match of_query.get_mut(at) {
                    Some((_, best)) => *best = best.max(grade),
                    None => of_query.push((document, grade)),
                }
            }
        }
        let mut crowded = Skipped::default();
        for query in &mut queries {
            if query.documents.len() > MOST_DOCUMENTS {
                crowded.push(query.number);
                query.documents.sort_by(|a, b| b.1.total_cmp(&a.1));
                query.documents.truncate(MOST_DOCUMENTS);
            }
            // In the order of their letters: in that of the file the first would mostly be the right one, and ties would be
            // broken in its favour.
            query.documents.sort_by(|a, b| a.0.cmp(&b.0));
        }
        if queries.is_empty() {
            return Err(Error::data(msg::EveryRowEmpty).remedy(msg::ChooseRowsOfQueries));
        }
        let most = MOST_DOCUMENTS;
        let crowded = crowded.said().map(|rows| msg::CrowdedQueries { rows, most }.into());
        let mut notes: Vec<Message> = crowded.into_iter().collect();
        note_unused(&self.columns, |key| plan.uses(key), &mut notes);
        skipped.note_rows(&mut notes);
        Ok(Ranked {
            file: self.name.clone(),
            queries,
            notes,
        })
    }
}

impl Plan {
    fn uses(&self, key: &String) -> bool {
        match self {
            Self::Named(query, positive, negatives) => [query, positive].contains(&key) || negatives.contains(key),
            Self::Graded(query, document, grade) => [query, document, grade].contains(&key),
        }
    }

    fn read(&self, record: &Record) -> Result<(String, Vec<(String, f32)>)> {
        match self {
            Self::Named(query, positive, negatives) => {
                let mut documents: Vec<(String, f32)> =
                    texts(record, positive)?.into_iter().map(|t| (t, 1.0)).collect();
                if documents.is_empty() {
                    required(record, positive)?;
                }
                for negative in negatives {
                    documents.extend(texts(record, negative)?.into_iter().map(|text| (text, 0.0)));
                }
                Ok((required(record, query)?.into(), documents))
            }
            Self::Graded(query, document, grade) => {
                let value = required(record, grade)?;
                let number = value
                    .trim()
                    .parse::<f32>()
                    .ok()
                    .filter(|grade| grade.is_finite() && *grade >= 0.0);
                let number = number.ok_or_else(|| {
                    let got = format!("{value:?}");
                    Error::data(msg::NoGrade { got }).field(grade)
                })?;
                let document = required(record, document)?.into();
                Ok((required(record, query)?.into(), vec![(document, number)]))
            }
        }
    }
}

/// A text, or a list of texts; blank ones are none.
fn texts(record: &Record, column: &str) -> Result<Vec<String>> {
    let items = match record.fields.get(column) {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(value) => vec![value],
    };
    let items = items.into_iter().filter(|item| !is_blank(item));
    items
        .map(|item| text(item).map(String::from).map_err(|error| error.field(column)))
        .collect()
}

/// Each query as an example: its documents read together with it, one after the other, for a cross-encoder.
///
/// # Errors
/// A `cutoff_len` that leaves no room for text.
pub async fn ranking_examples(
    ranked: &Ranked,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    let frame = PairTemplate::of(tokenizer)?;
    let mut examples = Vec::with_capacity(ranked.queries.len());
    for (index, query) in ranked.queries.iter().enumerate() {
        turns.at(index, ranked.queries.len()).await?;
        let of = |(document, grade): &(String, f32)| {
            let example = frame.example(tokenizer, &query.query, Some(document), cutoff_len);
            let example = example.map_err(|error| error.file(&ranked.file).row(query.number))?;
            Ok(Example {
                target: Target::Row(vec![*grade]),
                row: query.number,
                ..example
            })
        };
        let all = query.documents.iter().map(of).collect::<Result<Vec<_>>>()?;
        examples.extend(joined(all, texts_of(query, query.documents.iter())));
    }
    Ok(examples)
}

/// Each query with one of its positives and all of its negatives as an example, each text on its own, for a bi-encoder; no
/// more than `most` of them.
///
/// # Errors
/// No query with a positive; a `cutoff_len` that leaves no room for text.
pub async fn embedding_examples(
    ranked: &Ranked,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    most: usize,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    let frame = PairTemplate::of(tokenizer)?;
    let mut examples = Vec::new();
    for (index, query) in ranked.queries.iter().enumerate() {
        turns.at(index, ranked.queries.len()).await?;
        let read = |text: &str, grade: f32| {
            let example = frame.example(tokenizer, text, None, cutoff_len);
            let example = example.map_err(|error| error.file(&ranked.file).row(query.number))?;
            Ok(Example {
                target: Target::Row(vec![grade]),
                row: query.number,
                ..example
            })
        };
        let (positives, negatives): (Vec<_>, Vec<_>) = query.documents.iter().partition(|(_, grade)| *grade > 0.0);
        for positive in positives {
            if examples.len() == most {
                return Ok(examples);
            }
            let documents = || [positive].into_iter().chain(negatives.iter().copied());
            let all = [read(&query.query, 0.0)].into_iter();
            let all = all.chain(documents().map(|(text, grade)| read(text, *grade)));
            examples.extend(joined(all.collect::<Result<Vec<_>>>()?, texts_of(query, documents())));
        }
    }
    if examples.is_empty() {
        return Err(Error::data(msg::NoPositive).file(&ranked.file));
    }
    Ok(examples)
}

fn texts_of<'a>(query: &RankedQuery, documents: impl Iterator<Item = &'a (String, f32)>) -> Vec<String> {
    let documents = documents.map(|(text, _)| text.clone());
    [query.query.clone()].into_iter().chain(documents).collect()
}

/// The first with the others behind it.
fn joined(all: Vec<Example>, texts: Vec<String>) -> Option<Example> {
    let mut all = all.into_iter();
    let first = all.next()?;
    Some(Example {
        others: all.collect(),
        texts,
        ..first
    })
}
