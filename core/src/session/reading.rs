//! Data files as a run reads them: in an encoding, without the rows that it leaves out; read again where a run wants it otherwise.

use super::Session;
use crate::config::RunConfig;
use crate::data::audit::Reading;
use crate::data::{self, Data, Dataset};
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::protocol::Event;
use crate::store::{self, MemoryFile, Source};
use crate::train::fingerprint::sha256;
use lorakeet_i18n::messages::audit::{AuditTexts, NoTextsInImages};
use lorakeet_i18n::messages::run as msg;

impl Session {
    /// [`crate::protocol::Command::LoadData`].
    pub(super) async fn load_data(&mut self, files: Vec<Source>) -> Result<()> {
        let files = one_or_images(files).await?;
        self.inputs.data = files.clone();
        self.data = Some(read_data(&files, &self.reading, None).await?);
        Ok(())
    }

    /// Takes validation data that is in a file of its own (of images in the IDX format, two), for the next run.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub async fn load_validation(&mut self, files: Vec<Source>) -> Result<()> {
        let files = one_or_images(files).await?;
        self.validation = Some(read_data(&files, &self.reading, self.data.as_ref()).await?);
        Ok(())
    }

    /// Reads the data again where a run reads them otherwise than they were read, and tells what is there then.
    pub(super) async fn read_as(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let reading = Reading::of(config);
        let files = &self.inputs.data;
        let is_other = self.data.as_ref().is_some_and(|data| data.reading != reading);
        let data = match is_other && !files.is_empty() {
            true => Some(read_data(files, &reading, None).await?),
            false => None,
        };
        let trained = data.as_ref().or(self.data.as_ref());
        let compared = trained
            .filter(|_| reading.compares_files())
            .map(|data| data.digest.clone());
        let is_other = |known: &Data| known.reading != reading || known.compared != compared;
        let files = &self.inputs.validation;
        // Other rows that are trained on may leak, too.
        let depends = data.is_some() && reading.compares_files();
        let validation = match &self.validation {
            Some(known) if !files.is_empty() && (depends || is_other(known)) => {
                Some(read_data(files, &reading, trained).await?)
            }
            _ => None,
        };
        for read in [&data, &validation].into_iter().flatten() {
            emit.warn_all(read.rows.notes.iter().cloned());
        }
        if let Some(data) = data {
            emit.event(Event::Data(data.rows.info()));
            self.data = Some(data);
        }
        if let Some(validation) = validation {
            let data = Some(validation.rows.info());
            emit.event(Event::Validation { data });
            self.validation = Some(validation);
        }
        Ok(())
    }
}

/// Files that are given together as one: a folder's, of which the texts are rows, or the one table is the data. Images come with
/// their labels in a second file and stay two.
///
/// # Errors
/// A file that cannot be read; several tables, or nothing that is data; too much together.
pub(super) async fn one_or_images(files: Vec<Source>) -> Result<Vec<Source>> {
    if files.len() < 2 {
        return Ok(files);
    }
    let mut are_images = false;
    for file in &files {
        let start = file.read_at(0, file.len_bytes().min(4) as usize).await?;
        are_images |= data::is_idx(&start);
    }
    if are_images {
        return Ok(files);
    }
    let names: Vec<&str> = files.iter().map(|file| file.name()).collect();
    let chosen = data::chosen(&names)?;
    let taken: Vec<&str> = chosen.places.iter().map(|place| names[*place]).collect();
    let name = data::joint_name(&taken);
    let length: u64 = chosen.places.iter().map(|place| files[*place].len_bytes()).sum();
    data::check_size(&name, length)?;
    let mut kept = Vec::with_capacity(chosen.places.len());
    for place in chosen.places {
        let file = &files[place];
        let bytes = store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await?;
        kept.push((file.name().to_owned(), bytes));
    }
    let bytes = data::joined(&name, kept, chosen.notes)?;
    Ok(vec![MemoryFile::source(name, bytes)])
}

/// The data in a file, or in two of images. `trained` is what validation data are compared with.
pub(super) async fn read_data(files: &[Source], reading: &Reading, trained: Option<&Data>) -> Result<Data> {
    for file in files {
        data::check_size(file.name(), file.len_bytes())?;
    }
    let read = async |file: &Source| store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await;
    let data = |rows, digest| Data {
        rows,
        digest,
        reading: reading.clone(),
        compared: trained
            .filter(|_| reading.compares_files())
            .map(|trained| trained.digest.clone()),
    };
    match files {
        [file] => {
            let bytes = read(file).await?;
            let trained = trained.map(|trained| &trained.rows);
            let (rows, _) = Dataset::read_by(file.name(), &bytes, reading, trained, false)?;
            Ok(data(rows, sha256(&bytes)))
        }
        [one, other] => {
            if let Some(knob) = reading.knob() {
                let error = Error::data(NoTextsInImages).file(one.name()).field(knob);
                return Err(error.remedy(AuditTexts));
            }
            let (first, second) = (read(one).await?, read(other).await?);
            let digests = [sha256(&first), sha256(&second)].concat();
            let rows = Dataset::parse_images((one.name(), &first), (other.name(), &second))?;
            Ok(data(rows, sha256(digests.as_bytes())))
        }
        _ => {
            let files = files.len();
            Err(Error::data(msg::TooManyFiles { files }).remedy(msg::GiveOneFile))
        }
    }
}
