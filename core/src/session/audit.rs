//! The audit of data, of files that are given or of those that are loaded.

use super::{Session, no_data};
use crate::config::RunConfig;
use crate::data::audit::{Cleaned, audit, cleaned};
use crate::data::{self, Dataset};
use crate::error::Result;
use crate::host::Emit;
use crate::protocol::{AuditReport, Event};
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
        let report = audit_files(config, file, validation, tokenizer).await?;
        emit.event(Event::Audit(Box::new(report)));
        Ok(())
    }
}

/// Audits a file as the data of a run, with its validation file; with a tokenizer, lengths are in tokens.
///
/// # Errors
/// A file that cannot be read, is no text, or holds numbers; a column that is not there.
pub async fn audit_files(
    config: &RunConfig,
    file: &Source,
    validation: Option<&Source>,
    tokenizer: Option<&Tokenizer>,
) -> Result<AuditReport> {
    let read = read(config, file).await?;
    let of_validation = match validation {
        Some(file) => Some(self::read(config, file).await?),
        None => None,
    };
    audit(&read, of_validation.as_ref(), config, tokenizer)
}

/// The rows of a file without those that are empty or the same as an earlier one.
///
/// # Errors
/// As [`audit_files`]; a file without columns.
pub async fn clean_file(config: &RunConfig, file: &Source) -> Result<Cleaned> {
    cleaned(&read(config, file).await?, config)
}

async fn read(config: &RunConfig, file: &Source) -> Result<Dataset> {
    data::check_size(file.name(), file.len_bytes())?;
    let bytes = store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await?;
    Dataset::parse_to_audit(file.name(), &bytes, config.encoding)
}
