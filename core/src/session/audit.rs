//! The audit of data, of files that are given or of those that are loaded, and the rows that are left of them.

use super::{Session, no_data};
use crate::config::RunConfig;
use crate::data::audit::{Cleaned, Reading, audit, cleaned, lines};
use crate::data::{self, Dataset};
use crate::error::Result;
use crate::host::Emit;
use crate::protocol::{AuditDropped, AuditReport, AuditSetting, Event};
use crate::store::{self, Source};
use crate::tokenizer::Tokenizer;

impl Session {
    /// [`crate::protocol::Command::Audit`].
    pub(super) async fn answer_audit(&self, config: &RunConfig, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        let given = match files.as_slice() {
            [] => self.inputs.data.first().zip(Some(self.inputs.validation.first())),
            [file, others @ ..] => Some((file, others.first())),
        };
        let (file, validation) = given.ok_or_else(no_data)?;
        let tokenizer = self.model.as_ref().and_then(|model| model.files.tokenizer.as_ref());
        let most_tokens = self.model.as_ref().map(|model| model.model.limits().tokens);
        let report = audit_files(config, (file, validation), tokenizer, most_tokens).await?;
        emit.event(Event::Audit(Box::new(report)));
        Ok(())
    }

    /// [`crate::protocol::Command::KeptRows`].
    pub(super) async fn hand_over_kept_rows(&self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let file = self.inputs.data.first().ok_or_else(no_data)?;
        let (rows, _) = read(config, file, None).await?;
        let name = file.name().rsplit_once('.').map_or(file.name(), |(name, _)| name);
        emit.file(format!("{name}.clean.jsonl"), lines(&rows)?.into_bytes());
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
    let (rows, mut dropped) = read(config, file, None).await?;
    let held_out = match validation {
        Some(file) => Some(read(config, file, Some(&rows)).await?),
        None => None,
    };
    let (held_out, of_held_out) = held_out.unzip();
    for AuditDropped { kind, count } in of_held_out.into_iter().flatten() {
        match dropped.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.count += count,
            None => dropped.push(AuditDropped { kind, count }),
        }
    }
    let mut report = audit(&rows, held_out.as_ref(), config, tokenizer)?;
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
    cleaned(&read(config, file, None).await?.0, config)
}

async fn read(config: &RunConfig, file: &Source, trained: Option<&Dataset>) -> Result<(Dataset, Vec<AuditDropped>)> {
    data::check_size(file.name(), file.len_bytes())?;
    let bytes = store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await?;
    Dataset::read_by(file.name(), &bytes, &Reading::of(config), trained, true)
}
