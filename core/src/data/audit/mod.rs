//! What is wrong with data before a training: copies, leakage, labels that contradict each other or the words of their rows, rows that
//! teach nothing, faults of characters, personal data. It needs no model; with a tokenizer lengths are in tokens. `lorakeet audit` prints it.
//!
//! Time is linear in the rows, memory beside them about 200 bytes a row and, of rows in several columns, twice their text; where rows
//! have classes, up to 64 MB more, and some seconds. The same data give the same report. Languages of one script are not told apart.

mod copies;
mod dropping;
mod faults;
mod labels;
mod masking;
mod mislabelled;
mod personal;
mod report;
mod rows;

use super::batch::{split, split_by_class};
use super::examples::Settings;
use super::long_text::encode_long;
use super::parse::{Record, Table, key};
use super::value::Value;
use super::{Columns, Dataset, Schema, Told};
use crate::config::{Encoding, RunConfig};
use crate::error::{Error, Result};
use crate::protocol::{AuditKind, AuditReport};
use crate::tokenizer::Tokenizer;
use copies::groups;
pub use dropping::Reading;
use labels::Classes;
use lorakeet_i18n::messages::audit as msg;
use report::{Findings, Seen};
use rows::{AuditRows, Roles, rows};
use serde_json::Map;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What a rewritten file keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// The rows that stay, as lines of JSON with all columns.
    pub lines: String,
    /// How many these are.
    pub kept: usize,
    /// The numbers of rows that are the same as an earlier one.
    pub duplicates: Vec<usize>,
    /// The numbers of rows without a text, or without an answer.
    pub empty: Vec<usize>,
}

impl Dataset {
    /// As [`Dataset::parse_as`], for an audit: rows that no run can use are no error.
    ///
    /// # Errors
    /// A file that is no text, or not of its format.
    pub fn parse_to_audit(name: &str, bytes: &[u8], encoding: Option<Encoding>) -> Result<Self> {
        Self::read(name, bytes.into(), &Told::from(encoding), true)
    }
}

/// Audits the data of a run: `validation`, where it is given, is held out, else the rows that a run splits off.
///
/// # Errors
/// Files of numbers; columns that are not there; a text that the tokenizer refuses.
pub fn audit(
    data: &Dataset,
    validation: Option<&Dataset>,
    config: &RunConfig,
    tokenizer: Option<&Tokenizer>,
) -> Result<AuditReport> {
    let columns = Columns::of(config);
    let read = rows(data, &columns)?;
    let of_validation = validation.map(|dataset| rows(dataset, &columns)).transpose()?;
    let notes = [Some(data), validation].into_iter().flatten();
    let mut notes: Vec<_> = notes.flat_map(|dataset| dataset.notes.iter().cloned()).collect();
    notes.extend(read.notes.iter().cloned());

    let mut seen: Vec<Seen> = Vec::with_capacity(read.rows.len());
    seen.extend(read.rows.iter().map(|row| Seen::new(row, false)));
    let classes = Classes::of(&read);
    if of_validation.is_none() {
        for place in held_out(&read, &classes, config) {
            seen[place].held_out = true;
        }
    }
    for row in of_validation.iter().flat_map(|read| &read.rows) {
        seen.push(Seen::new(row, true));
    }

    let mut findings = Findings::default();
    for (read, in_validation) in [(Some(&read), false), (of_validation.as_ref(), true)] {
        for (number, text) in read.iter().flat_map(|read| &read.empty) {
            findings.add(AuditKind::EmptyRows, (*number, in_validation), text, None);
        }
    }
    let texts: Vec<&str> = seen.iter().map(Seen::text).collect();
    let group = groups(&texts);
    add_copies(&seen, (&texts, &group), &mut findings);
    let mut scripts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let of_rows: Vec<Option<&'static str>> = texts.iter().map(|text| faults::script(text)).collect();
    for script in of_rows.iter().flatten() {
        *scripts.entry(*script).or_default() += 1;
    }
    let mut scripts: Vec<(String, u64)> = scripts
        .into_iter()
        .map(|(name, rows)| (name.to_owned(), rows))
        .collect();
    scripts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let main = scripts.first().map(|(name, _)| name.clone());
    let mut lengths = Lengths {
        of_long: Vec::new(),
        of_masked: None,
        tokenizer,
        cutoff: config.cutoff_len,
        is_cut: !read.labels.is_empty() || !Settings::new(config, data, config.cutoff_len).packing,
        is_masked: config.completion_only_loss,
    };
    for (row, script) in seen.iter().zip(&of_rows) {
        let text = row.text();
        faults::find(text, &mut |kind, place| {
            findings.add(kind, row.place(), around(text, place.start), None);
        });
        personal::find(text, &mut |kind, place| {
            findings.add(kind, row.place(), &personal::masked(&text[place]), None);
        });
        if let Some(script) = script.filter(|script| main.as_deref() != Some(*script)) {
            let of_other = format!("{script}: {text}");
            findings.add(AuditKind::MixedScripts, row.place(), &of_other, None);
        }
        lengths.check(row, &mut findings)?;
    }
    labels::check(&seen, &group, &classes, &mut findings);
    let seed = config.data_seed.unwrap_or(config.seed);
    if let Some((rows, all)) = mislabelled::check(&seen, &group, (classes.names(), seed), &mut findings) {
        notes.push(msg::FirstLabelsJudged { rows, all }.into());
    }
    Ok(AuditReport {
        name: data.name.clone(),
        rows: seen.len(),
        held_out: seen.iter().filter(|row| row.held_out).count(),
        texts: read.texts.clone(),
        labels: read.labels.clone(),
        classes: classes.counted(),
        scripts,
        notes,
        findings: findings.worded(&report::Wording {
            cutoff: config.cutoff_len,
            is_in_tokens: tokenizer.is_some(),
            roomy: lengths.roomy(seen.len()),
            is_validated: validation.is_some(),
            has_columns: data.table.is_some(),
            classes: &classes,
        }),
        dropped: Vec::new(),
    })
}

/// The start of what stands at a byte, with a few letters in front of it.
fn around(text: &str, at: usize) -> &str {
    const BEFORE: usize = 20;
    &text[text.floor_char_boundary(at.saturating_sub(BEFORE))..]
}

/// The places of the rows that a run without a validation file holds out, as far as each row is an example of its own.
fn held_out(read: &AuditRows, classes: &Classes, config: &RunConfig) -> Vec<usize> {
    let rows = read.rows.len().min(config.max_samples.unwrap_or(usize::MAX));
    let seed = config.data_seed.unwrap_or(config.seed);
    let outcome = match classes.of_rows() {
        Some(of_rows) => split_by_class(&of_rows[..rows], config.val_size, seed),
        None => split(rows, config.val_size, seed),
    };
    // What no run can split is said by the run; there is nothing that could leak.
    outcome.map(|(_, held_out)| held_out).unwrap_or_default()
}

/// Copies (see [`cleaned`]), and held-out rows whose text is trained on.
fn add_copies(seen: &[Seen], (texts, group): (&[&str], &[usize]), findings: &mut Findings) {
    // Of each group the first row of either role.
    let mut first: Vec<[Option<usize>; 2]> = vec![[None; 2]; seen.len()];
    for (place, row) in seen.iter().enumerate() {
        first[group[place]][usize::from(row.held_out)].get_or_insert(place);
    }
    let number = |place: usize| Some(seen[place].number);
    // With other labels they contradict each other, which is another finding.
    let mut same = HashMap::with_capacity(seen.len());
    for (place, row) in seen.iter().enumerate() {
        if let (true, Some(trained)) = (row.held_out, first[group[place]][0]) {
            findings.add(AuditKind::ExactLeakage, row.place(), row.text(), number(trained));
        }
        let all = (group[place], row.held_out, row.label(), row.fields());
        let earlier = *same.entry(all).or_insert(place);
        if earlier != place {
            findings.add(AuditKind::ExactDuplicates, row.place(), row.text(), number(earlier));
        }
    }
    for (place, earlier) in copies::near(texts, group, 0) {
        let leaks = [(place, earlier), (earlier, place)]
            .into_iter()
            .find_map(|(held, trained)| Some((first[held][1]?, first[trained][0]?)));
        match leaks {
            Some((held, trained)) => {
                findings.add(AuditKind::NearLeakage, seen[held].place(), texts[held], number(trained));
            }
            None => findings.add(
                AuditKind::NearDuplicates,
                seen[place].place(),
                texts[place],
                number(earlier),
            ),
        }
    }
}

/// How long rows are.
struct Lengths<'a> {
    tokenizer: Option<&'a Tokenizer>,
    cutoff: usize,
    /// Whether a run cuts rows; packed texts go on in the next block.
    is_cut: bool,
    /// Whether prompts are not learnt.
    is_masked: bool,
    /// The tokens of each row that is cut, and the most of those whose answers are cut away.
    of_long: Vec<usize>,
    of_masked: Option<usize>,
}

/// The share of rows that may still be cut after a remedy.
const MAY_BE_CUT: f64 = 0.01;
/// Lengths that are proposed are multiples of this.
const LENGTH_STEP: usize = 32;

impl Lengths<'_> {
    /// The `cutoff_len` that holds all but a hundredth of so many rows, where the present one does not, and the one that holds those
    /// whose answers are cut away. None without a tokenizer.
    fn roomy(mut self, rows: usize) -> [Option<usize>; 2] {
        self.of_long.sort_unstable_by(|a, b| b.cmp(a));
        let may_be_cut = (rows as f64 * MAY_BE_CUT) as usize;
        let of_nearly_all = self.of_long.get(may_be_cut).copied();
        let is_counted = self.tokenizer.is_some();
        let proposed = |tokens: Option<usize>| {
            tokens
                .filter(|_| is_counted)
                .map(|tokens| tokens.next_multiple_of(LENGTH_STEP))
        };
        [of_nearly_all, self.of_masked].map(proposed)
    }

    fn check(&mut self, row: &Seen, findings: &mut Findings) -> Result<()> {
        let (text, place) = (row.text(), row.place());
        // No token has less than a byte.
        if !self.is_cut || text.len() <= self.cutoff && self.tokenizer.is_some() {
            return Ok(());
        }
        let tokens = self.tokens(text)?;
        if tokens > self.cutoff {
            self.of_long.push(tokens);
            findings.add(AuditKind::TooLong, place, text, None);
        }
        if let Some(prompt) = row.prompt().filter(|_| self.is_masked)
            && self.tokens(&text[..prompt])? >= self.cutoff
        {
            self.of_masked = self.of_masked.max(Some(tokens));
            findings.add(AuditKind::AllMasked, place, text, None);
        }
        Ok(())
    }

    /// Tokens of a text; without a tokenizer about as many: a Chinese or Japanese sign is one, and so are four other letters.
    fn tokens(&self, text: &str) -> Result<usize> {
        if let Some(tokenizer) = self.tokenizer {
            return Ok(encode_long(tokenizer, text)?.len());
        }
        let (mut signs, mut others) = (0, 0);
        for letter in text.chars() {
            match letter {
                '\u{3040}'..='\u{9fff}' => signs += 1,
                _ => others += 1,
            }
        }
        Ok(signs + others / 4)
    }
}

/// The file without rows that are the same as an earlier one in all that a run reads, and without empty rows. Of files with classes
/// of words, rankings or preferences, whose columns other tasks read too, a copy is the same in all columns but `id`, `idx` and
/// `index`.
///
/// # Errors
/// A text without columns, numbers; a column that is not there; no row that stays.
pub fn cleaned(dataset: &Dataset, config: &RunConfig) -> Result<Cleaned> {
    let Some(table) = dataset.table.as_ref().filter(|_| dataset.form != Schema::Numbers) else {
        return Err(Error::data(msg::NoRowsToClean)
            .file(&dataset.name)
            .remedy(msg::CleanTable));
    };
    let roles = Roles::of(dataset, table, &Columns::of(config)).map_err(|error| error.file(&dataset.name))?;
    let mut cleaned = Cleaned {
        lines: String::new(),
        kept: 0,
        duplicates: Vec::new(),
        empty: Vec::new(),
    };
    let read: Vec<_> = table
        .records()
        .map(|record| (roles.text(&record), (roles.label(&record), roles.fields(&record))))
        .collect();
    let mut known = HashSet::with_capacity(read.len());
    for (record, ((text, _, is_empty), others)) in table.records().zip(&read) {
        if *is_empty {
            cleaned.empty.push(record.number);
            continue;
        }
        if !known.insert((text.trim(), others)) {
            cleaned.duplicates.push(record.number);
            continue;
        }
        cleaned.lines.push_str(&line(table, &record));
        cleaned.kept += 1;
    }
    if cleaned.kept == 0 {
        return Err(Error::data(msg::NothingStays)
            .file(&dataset.name)
            .remedy(msg::AuditTexts));
    }
    Ok(cleaned)
}

/// The file's rows as lines of JSON with all columns.
///
/// # Errors
/// A text without columns, numbers.
pub fn lines(dataset: &Dataset) -> Result<String> {
    let table = dataset.table.as_ref().filter(|_| dataset.form != Schema::Numbers);
    let table = table.ok_or_else(|| {
        let error = Error::data(msg::NoRowsToClean).file(&dataset.name);
        error.remedy(msg::CleanTable)
    })?;
    Ok(table.records().map(|record| line(table, &record)).collect())
}

/// A row as a line of JSON.
fn line(table: &Table, record: &Record) -> String {
    let fields = table.columns().iter().filter_map(|name| {
        let value = record.fields.get(&key(name))?;
        Some((name.clone(), Value::to_json(value)))
    });
    let row = serde_json::Value::Object(fields.collect::<Map<_, _>>());
    format!("{row}\n")
}
