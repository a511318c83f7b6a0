//! The audit of data, of files that are given or of those that are loaded, and the rows that are left of them.

use super::reading::read_rows;
use super::{Session, no_data};
use crate::config::RunConfig;
use crate::data::audit::{Cleaned, Reading, audit, cleaned, lines};
use crate::data::{Data, Dataset};
use crate::error::Result;
use crate::host::Emit;
use crate::protocol::{AuditDropped, AuditReport, AuditSetting, Event};
use crate::store::Source;
use crate::tokenizer::Tokenizer;

/// Rows, and how many were left out of them.
type Rows<'a> = (&'a Dataset, &'a [AuditDropped]);

impl Session {
    /// [`crate::protocol::Command::Audit`].
    pub(super) async fn answer_audit(&self, config: &RunConfig, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        let tokenizer = self.model.as_ref().and_then(|model| model.files.tokenizer.as_ref());
        let most_tokens = self.model.as_ref().map(|model| model.model.limits().tokens);
        let given = match files.as_slice() {
            [] => self.inputs.data.first().zip(Some(self.inputs.validation.first())),
            [file, others @ ..] => Some((file, others.first())),
        };
        let (file, validation) = given.ok_or_else(no_data)?;
        let reading = Reading::of(config);
        // What is loaded as the run reads it is not read again.
        let known = |data: &Option<Data>| files.is_empty() && data.as_ref().is_some_and(|data| data.reading == reading);
        let (read, of_validation);
        let rows: Rows = match &self.data {
            Some(data) if known(&self.data) => (&data.rows, &data.dropped),
            _ => {
                read = read_rows(file, &reading, (None, true), Some(&mut *emit)).await?;
                (&read.rows, &read.dropped)
            }
        };
        let compared = self.data.as_ref().filter(|_| reading.compares_files());
        let compared = compared.map(|data| &data.digest);
        let held_out: Option<Rows> = match (validation, &self.validation) {
            (None, _) => None,
            (Some(_), Some(data)) if known(&self.validation) && data.compared.as_ref() == compared => {
                Some((&data.rows, &data.dropped))
            }
            (Some(file), _) => {
                of_validation = read_rows(file, &reading, (Some(rows.0), true), Some(&mut *emit)).await?;
                Some((&of_validation.rows, &of_validation.dropped))
            }
        };
        let report = report(config, rows, held_out, (tokenizer, most_tokens))?;
        emit.event(Event::Audit(Box::new(report)));
        Ok(())
    }

    /// [`crate::protocol::Command::KeptRows`].
    pub(super) async fn hand_over_kept_rows(&self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let file = self.inputs.data.first().ok_or_else(no_data)?;
        let reading = Reading::of(config);
        let kept = match self.data.as_ref().filter(|data| data.reading == reading) {
            Some(data) => lines(&data.rows)?,
            None => lines(&read_rows(file, &reading, (None, true), Some(&mut *emit)).await?.rows)?,
        };
        let name = file.name().rsplit_once('.').map_or(file.name(), |(name, _)| name);
        emit.file(format!("{name}.clean.jsonl"), kept.into_bytes());
        Ok(())
    }
}

/// Audits a file as the data of a run, with its validation file, without the rows that the run leaves out; with a tokenizer, lengths
/// are in tokens. No `cutoff_len` is proposed above `most_tokens`, the positions of the model.
///
/// # Errors
/// A file that cannot be read, is no text, or holds numbers; a column that is not there.
pub async fn audit_files(
    config: &RunConfig,
    (file, validation): (&Source, Option<&Source>),
    tokenizer: Option<&Tokenizer>,
    most_tokens: Option<usize>,
) -> Result<AuditReport> {
    let reading = Reading::of(config);
    let read = read_rows(file, &reading, (None, true), None).await?;
    let held_out = match validation {
        Some(file) => Some(read_rows(file, &reading, (Some(&read.rows), true), None).await?),
        None => None,
    };
    let held_out = held_out.as_ref().map(|read| (&read.rows, &*read.dropped));
    report(config, (&read.rows, &read.dropped), held_out, (tokenizer, most_tokens))
}

fn report(
    config: &RunConfig,
    (rows, dropped): Rows,
    held_out: Option<Rows>,
    (tokenizer, most_tokens): (Option<&Tokenizer>, Option<usize>),
) -> Result<AuditReport> {
    let mut dropped = dropped.to_vec();
    for AuditDropped { kind, count } in held_out.into_iter().flat_map(|(_, dropped)| dropped) {
        match dropped.iter_mut().find(|known| known.kind == *kind) {
            Some(known) => known.count += count,
            None => dropped.push(AuditDropped {
                kind: *kind,
                count: *count,
            }),
        }
    }
    let mut report = audit(rows, held_out.map(|(rows, _)| rows), config, tokenizer)?;
    for finding in &mut report.findings {
        let within = |setting: AuditSetting| within_positions(setting, config.cutoff_len, most_tokens);
        finding.setting = finding.setting.take().and_then(within);
    }
    Ok(AuditReport { dropped, ..report })
}

/// A setting with a length of at most `most` tokens; none where that is no more than the run's own.
fn within_positions(mut setting: AuditSetting, cutoff: usize, most: Option<usize>) -> Option<AuditSetting> {
    if let Some(tokens) = setting.value.as_u64() {
        let tokens = (tokens as usize).min(most.unwrap_or(usize::MAX));
        if tokens <= cutoff {
            return None;
        }
        setting.value = tokens.into();
    }
    Some(setting)
}

/// The rows of a file without those that are empty or the same as an earlier one, and without what the run leaves out.
///
/// # Errors
/// As [`audit_files`]; a file without columns.
pub async fn clean_file(config: &RunConfig, file: &Source) -> Result<Cleaned> {
    let read = read_rows(file, &Reading::of(config), (None, true), None).await?;
    cleaned(&read.rows, config)
}

/// The rows of a data file of texts as the run of `config` reads them; of a validation file `trained` has those that are trained on.
///
/// # Errors
/// As [`Dataset::read_by`].
pub async fn rows_of(config: &RunConfig, file: &Source, trained: Option<&Dataset>) -> Result<Dataset> {
    let read = read_rows(file, &Reading::of(config), (trained, false), None).await?;
    Ok(read.rows)
}
