//! Data files as a run reads them: piece by piece, in an encoding, without the rows that it leaves out; read again where a run wants it
//! otherwise.

use super::Session;
use crate::config::RunConfig;
use crate::data::audit::Reading;
use crate::data::{self, Data, Dataset, Incoming};
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::protocol::{AuditDropped, Event, Stage};
use crate::store::{self, MemoryFile, Source, hexadecimal};
use crate::train::fingerprint::sha256;
use lorakeet_i18n::messages::audit::{AuditTexts, NoTextsInImages};
use lorakeet_i18n::messages::run as msg;
use sha2::{Digest, Sha256};

impl Session {
    /// [`crate::protocol::Command::LoadData`].
    pub(super) async fn load_data(&mut self, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        let files = one_or_images(files).await?;
        self.inputs.data = files.clone();
        // There may not be room for both.
        self.data = None;
        self.data = Some(read_data(&files, &self.reading, None, Some(emit)).await?);
        Ok(())
    }

    /// Takes validation data that is in a file of its own (of images in the IDX format, two), for the next run.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub async fn load_validation(&mut self, files: Vec<Source>) -> Result<()> {
        self.read_validation(files, None).await
    }

    pub(super) async fn read_validation(&mut self, files: Vec<Source>, emit: Option<&mut Emit<'_>>) -> Result<()> {
        let files = one_or_images(files).await?;
        self.validation = Some(read_data(&files, &self.reading, self.data.as_ref(), emit).await?);
        Ok(())
    }

    /// Reads the data again where a run reads them otherwise than they were read, and tells what is there then. Data that cannot be
    /// read so are none, until they are read in a way that they can.
    pub(super) async fn read_as(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let reading = Reading::of(config);
        let files = &self.inputs.data;
        let is_read = self.data.as_ref().is_some_and(|data| data.reading == reading);
        let is_other = !is_read && !files.is_empty();
        if is_other {
            // There may not be room for both.
            self.data = None;
            let data = read_data(files, &reading, None, Some(&mut *emit)).await?;
            emit.warn_all(data.rows.notes.iter().cloned());
            emit.event(Event::Data(data.rows.info()));
            self.data = Some(data);
        }
        let trained = self.data.as_ref();
        let compared = trained
            .filter(|_| reading.compares_files())
            .map(|data| data.digest.clone());
        let files = &self.inputs.validation;
        // Other rows that are trained on may leak, too.
        let depends = is_other && reading.compares_files();
        let differs = |known: &Data| depends || known.reading != reading || known.compared != compared;
        if !files.is_empty() && self.validation.as_ref().is_some_and(differs) {
            let validation = read_data(files, &reading, trained, Some(&mut *emit)).await?;
            emit.warn_all(validation.rows.notes.iter().cloned());
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

/// What is read of a file at a time.
const PIECE_BYTES: u64 = 4 << 20;

/// A file's rows.
pub(super) struct ReadRows {
    pub(super) rows: Dataset,
    /// How many were left out.
    pub(super) dropped: Vec<AuditDropped>,
    /// The SHA-256 of the file.
    digest: String,
}

/// A file as it is read.
struct Pieces<'e, 'a> {
    file: &'e Source,
    /// Hears how far reading is, and says whether it is to end.
    emit: Option<&'e mut Emit<'a>>,
    /// Bytes that are read.
    at: u64,
}

impl Pieces<'_, '_> {
    fn is_last(&self) -> bool {
        self.at == self.file.len_bytes()
    }

    /// The next piece. In front of all but the first others have their turn.
    async fn next(&mut self) -> Result<Vec<u8>> {
        let total = self.file.len_bytes();
        if let Some(emit) = self.emit.as_mut().filter(|_| self.at > 0) {
            emit.progress(Stage::ReadData, self.at, total);
            (emit.host.yield_now)().await;
            if emit.control.is_reading_cancelled() {
                return Err(Error::stopped(msg::StoppedReading));
            }
        }
        let length = PIECE_BYTES.min(total - self.at);
        let piece = self.file.read_at(self.at, length as usize).await?;
        self.at += length;
        Ok(piece)
    }
}

/// Reads the rows of a file, and no more of it at a time than is needed. `trained` is what validation data are compared with; with
/// `is_lenient`, for an audit, rows that no run can use are no error.
///
/// # Errors
/// As [`Dataset::read_by`]; [`crate::protocol::Command::CancelReading`] came meanwhile.
pub(super) async fn read_rows(
    file: &Source,
    reading: &Reading,
    (trained, is_lenient): (Option<&Dataset>, bool),
    emit: Option<&mut Emit<'_>>,
) -> Result<ReadRows> {
    data::check_size(file.name(), file.len_bytes())?;
    if let Some(emit) = &emit {
        emit.control.begin_reading();
    }
    let mut pieces = Pieces { file, emit, at: 0 };
    let first = pieces.next().await?;
    if let Some(rows) = Incoming::begin(file.name(), file.len_bytes(), &first, reading)?
        && let Some(read) = read_on(rows, &first, &mut pieces, (trained, is_lenient)).await?
    {
        return Ok(read);
    }
    pieces.at = first.len() as u64;
    let mut bytes = first;
    bytes.reserve_exact((file.len_bytes() - pieces.at) as usize);
    while !pieces.is_last() {
        bytes.extend(pieces.next().await?);
    }
    let digest = sha256(&bytes);
    let (rows, dropped) = Dataset::read_by(file.name(), bytes, reading, trained, is_lenient)?;
    Ok(ReadRows { rows, dropped, digest })
}

/// Rows that are made while their file comes; `None` where it has to be read whole.
async fn read_on(
    mut rows: Incoming<'_>,
    first: &[u8],
    pieces: &mut Pieces<'_, '_>,
    (trained, is_lenient): (Option<&Dataset>, bool),
) -> Result<Option<ReadRows>> {
    let mut hasher = Sha256::new();
    hasher.update(first);
    if !rows.push(first, pieces.is_last())? {
        return Ok(None);
    }
    while !pieces.is_last() {
        let piece = pieces.next().await?;
        hasher.update(&piece);
        if !rows.push(&piece, pieces.is_last())? {
            return Ok(None);
        }
    }
    let digest = hexadecimal(hasher.finalize().as_slice());
    let read = rows.finish(trained, is_lenient)?;
    Ok(read.map(|(rows, dropped)| ReadRows { rows, dropped, digest }))
}

/// The data in a file, or in two of images. `trained` is what validation data are compared with.
pub(super) async fn read_data(
    files: &[Source],
    reading: &Reading,
    trained: Option<&Data>,
    emit: Option<&mut Emit<'_>>,
) -> Result<Data> {
    let data = |read: ReadRows| Data {
        rows: read.rows,
        digest: read.digest,
        dropped: read.dropped,
        reading: reading.clone(),
        compared: trained
            .filter(|_| reading.compares_files())
            .map(|trained| trained.digest.clone()),
    };
    match files {
        [file] => {
            let trained = trained.map(|trained| &trained.rows);
            Ok(data(read_rows(file, reading, (trained, false), emit).await?))
        }
        [one, other] => {
            if let Some(knob) = reading.knob() {
                let error = Error::data(NoTextsInImages).file(one.name()).field(knob);
                return Err(error.remedy(AuditTexts));
            }
            for file in files {
                data::check_size(file.name(), file.len_bytes())?;
            }
            let read = async |file: &Source| store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await;
            let (first, second) = (read(one).await?, read(other).await?);
            let digests = [sha256(&first), sha256(&second)].concat();
            let rows = Dataset::parse_images((one.name(), &first), (other.name(), &second))?;
            Ok(data(ReadRows {
                rows,
                dropped: Vec::new(),
                digest: sha256(digests.as_bytes()),
            }))
        }
        _ => {
            let files = files.len();
            Err(Error::data(msg::TooManyFiles { files }).remedy(msg::GiveOneFile))
        }
    }
}
