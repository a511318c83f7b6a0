//! Rows that `drop_rows` leaves out of a run: what an audit finds and a person wants gone, told in the run file, so that the same
//! run elsewhere, or one that goes on, has the same rows. The file stays as it is.
//!
//! What stays is a function of the file, of the settings and, of held-out rows that leak, of the rows that are trained on. Rows that
//! are wrong by themselves go first; of copies the first one of what is left stays.

use super::rows::{AuditRow, rows};
use super::{copies, faults, masking, personal};
use crate::config::RunConfig;
use crate::data::{Columns, Dataset, Schema, Told, form, parse};
use crate::error::{Error, Result};
use crate::protocol::{AuditDropped, AuditKind};
use lorakeet_i18n::messages::audit as msg;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// How data files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    /// What the run says of them.
    pub told: Told,
    /// Whose rows are left out.
    drop: Vec<AuditKind>,
    /// What is read as placeholders.
    mask: Vec<AuditKind>,
    /// The columns in which these are looked for.
    columns: Columns,
}

impl Reading {
    /// As a run reads them.
    pub fn of(config: &RunConfig) -> Self {
        let drop = config.drop_rows.iter().filter_map(|word| AuditKind::named(word));
        let drop: Vec<AuditKind> = drop.collect();
        let mask = masking::kinds(&config.mask_personal);
        Self {
            told: Told::of(config),
            columns: match drop.is_empty() && mask.is_empty() {
                true => Columns::default(),
                false => Columns::of(config),
            },
            drop,
            mask,
        }
    }

    /// The knob that changes what is read of a file beyond its encoding, where one does.
    pub fn knob(&self) -> Option<&'static str> {
        match (self.drop.is_empty(), self.mask.is_empty()) {
            (false, _) => Some("drop_rows"),
            (true, false) => Some("mask_personal"),
            (true, true) => None,
        }
    }

    pub(super) fn masked(&self) -> &[AuditKind] {
        &self.mask
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Whether rows that are held out depend on those that are trained on.
    pub fn compares_files(&self) -> bool {
        self.wants(AuditKind::ExactLeakage) || self.wants(AuditKind::NearLeakage)
    }

    fn wants(&self, kind: AuditKind) -> bool {
        self.drop.contains(&kind)
    }
}

impl Dataset {
    /// As [`Dataset::parse_as`], with placeholders where those are wanted, without the rows that are to be left out, and how many
    /// those were. Of a validation file `trained` has the rows that are trained on. With `is_lenient`, for an audit, rows that no run
    /// can use are no error.
    ///
    /// # Errors
    /// As [`Dataset::parse_as`]; numbers, a column that is not there; where rows are to be left out, a file without columns, no row
    /// that stays.
    pub fn read_by<'b>(
        name: &str,
        bytes: impl Into<Cow<'b, [u8]>>,
        reading: &Reading,
        trained: Option<&Self>,
        is_lenient: bool,
    ) -> Result<(Self, Vec<AuditDropped>)> {
        if reading.knob().is_none() {
            return Ok((Self::read(name, bytes.into(), &reading.told, is_lenient)?, Vec::new()));
        }
        Self::read(name, bytes.into(), &reading.told, true)?.cleared(reading, trained, is_lenient)
    }

    /// All rows of a file with placeholders, without those that are to be left out.
    pub(in crate::data) fn cleared(
        self,
        reading: &Reading,
        trained: Option<&Self>,
        is_lenient: bool,
    ) -> Result<(Self, Vec<AuditDropped>)> {
        let (name, mut whole) = (self.name.clone(), self);
        if !reading.drop.is_empty() && (whole.form == Schema::Numbers || whole.table.is_none()) {
            let error = Error::data(msg::NoRowsToDrop).file(&name).field("drop_rows");
            return Err(error.remedy(msg::TakeDropOut));
        }
        if whole.form == Schema::Numbers {
            let error = Error::data(msg::NoTextsToMask).file(&name).field("mask_personal");
            return Err(error.remedy(msg::AuditTexts));
        }
        if !reading.mask.is_empty() {
            whole = whole.with_placeholders(reading)?;
        }
        let found = to_drop(&whole, trained, reading)?;
        let dropped = found.iter().map(|(kind, rows)| AuditDropped {
            kind: *kind,
            count: rows.len() as u64,
        });
        let dropped: Vec<AuditDropped> = dropped.filter(|dropped| dropped.count > 0).collect();
        let gone: HashSet<usize> = found.into_values().flatten().collect();
        Ok((whole.without(&gone, &dropped, &reading.told, is_lenient)?, dropped))
    }

    /// The same file as if it did not have these rows.
    fn without(
        mut self,
        gone: &HashSet<usize>,
        dropped: &[AuditDropped],
        told: &Told,
        is_lenient: bool,
    ) -> Result<Self> {
        // Nobody else has it yet.
        let Some(mut table) = self.table.take().and_then(Arc::into_inner) else {
            return Ok(self);
        };
        table.retain(|number| !gone.contains(&number));
        if table.len() == 0 {
            let error = Error::data(msg::NothingLeft).file(&self.name).field("drop_rows");
            return Err(error.remedy(msg::TakeDropOut));
        }
        let records = parse::Records::Table(table);
        let texts = form::texts(&records, told, is_lenient).map_err(|error| error.file(&self.name))?;
        let parse::Records::Table(table) = records else {
            return Ok(self);
        };
        for AuditDropped { kind, count } in dropped {
            let kind = kind.name();
            self.notes.push(msg::RowsLeftOut { count, kind }.into());
        }
        Ok(Self {
            form: texts.form,
            rows: texts.rows,
            text_notes: texts.notes,
            text_problem: texts.problem.map(|error| error.file(&self.name)),
            guess: texts.guess,
            used: texts.columns,
            answer: texts.answer,
            system: texts.system,
            has_rounds: texts.has_rounds,
            table: Some(Arc::new(table)),
            ..self
        })
    }
}

/// The numbers of the rows that are to be left out, each once.
fn to_drop(dataset: &Dataset, trained: Option<&Dataset>, reading: &Reading) -> Result<BTreeMap<AuditKind, Vec<usize>>> {
    let read = rows(dataset, &reading.columns)?;
    let mut found: BTreeMap<AuditKind, Vec<usize>> = BTreeMap::new();
    if reading.wants(AuditKind::EmptyRows) {
        let empty = read.empty.iter().map(|(number, _)| *number);
        found.insert(AuditKind::EmptyRows, empty.collect());
    }
    let mut left: Vec<&AuditRow> = Vec::with_capacity(read.rows.len());
    for row in &read.rows {
        match own_fault(row, !read.labels.is_empty(), reading) {
            Some(kind) => found.entry(kind).or_default().push(row.number),
            None => left.push(row),
        }
    }
    if reading.wants(AuditKind::ExactDuplicates) {
        let mut known = HashSet::with_capacity(left.len());
        let gone = sift(&mut left, |row| {
            known.insert((row.text.trim(), row.label.as_deref(), row.fields.as_deref()))
        });
        found.insert(AuditKind::ExactDuplicates, gone);
    }
    if reading.wants(AuditKind::ConflictingLabels) {
        let mut first = HashMap::with_capacity(left.len());
        let gone = sift(&mut left, |row| match row.label.as_deref() {
            Some(label) => *first.entry(row.text.trim()).or_insert(label) == label,
            None => true,
        });
        found.insert(AuditKind::ConflictingLabels, gone);
    }
    if reading.wants(AuditKind::NearDuplicates) {
        found.insert(AuditKind::NearDuplicates, sift_near(&mut left, &[]));
    }
    if let Some(trained) = trained.filter(|_| reading.compares_files()) {
        let trained = rows(trained, &reading.columns)?;
        let texts: Vec<&str> = trained.rows.iter().map(|row| &*row.text).collect();
        if reading.wants(AuditKind::ExactLeakage) {
            let known: HashSet<&str> = texts.iter().map(|text| text.trim()).collect();
            let gone = sift(&mut left, |row| !known.contains(row.text.trim()));
            found.insert(AuditKind::ExactLeakage, gone);
        }
        if reading.wants(AuditKind::NearLeakage) && !texts.is_empty() {
            found.insert(AuditKind::NearLeakage, sift_near(&mut left, &texts));
        }
    }
    Ok(found)
}

/// What is wrong with a row whatever the others are, of what is to be left out.
fn own_fault(row: &AuditRow, is_labelled: bool, reading: &Reading) -> Option<AuditKind> {
    let mut fault = None;
    let mut found = |kind: AuditKind| {
        if fault.is_none() && reading.wants(kind) {
            fault = Some(kind);
        }
    };
    if is_labelled && row.label.is_none() {
        found(AuditKind::MissingLabels);
    }
    faults::find(&row.text, &mut |kind, _| found(kind));
    personal::find(&row.text, &mut |kind, _| found(kind));
    fault
}

/// Takes out the rows that are not kept, and gives their numbers.
fn sift<'a>(left: &mut Vec<&'a AuditRow<'a>>, mut is_kept: impl FnMut(&'a AuditRow<'a>) -> bool) -> Vec<usize> {
    let mut gone = Vec::new();
    left.retain(|&row| {
        let is_kept = is_kept(row);
        if !is_kept {
            gone.push(row.number);
        }
        is_kept
    });
    gone
}

/// Takes out the rows that are nearly the same as one in front of them or, where there are texts that are trained on, as one of
/// those; until none is. A row that goes may be what kept two others apart.
fn sift_near<'a>(left: &mut Vec<&'a AuditRow<'a>>, trained: &[&str]) -> Vec<usize> {
    let mut gone = Vec::new();
    loop {
        let twins: HashSet<usize> = {
            let texts: Vec<&str> = trained
                .iter()
                .copied()
                .chain(left.iter().map(|row| &*row.text))
                .collect();
            let begin = trained.len();
            let pairs = copies::near(&texts, &copies::groups(&texts), begin).into_iter();
            let of_left = pairs.filter(|(place, _)| *place >= begin);
            of_left.map(|(place, _)| place - begin).collect()
        };
        if twins.is_empty() {
            return gone;
        }
        let mut place = 0;
        gone.extend(sift(left, |_| {
            place += 1;
            !twins.contains(&(place - 1))
        }));
    }
}
