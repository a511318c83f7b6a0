//! What tells a model from another of the same shape: all of its tensors' bytes, or a sample that spares reading gigabytes.

use super::{ModelFiles, TensorEntry};
use crate::Result;

/// What is read of a tensor at a time.
const CHUNK_BYTES: u64 = 4 << 20;
/// What is read at the start, in the middle and at the end of each tensor.
const PIECE_BYTES: u64 = 4 << 10;

impl ModelFiles {
    /// Hands over name, shape and storage of every tensor, in the files' order, with all of its bytes as the file stores them, in
    /// pieces.
    ///
    /// # Errors
    /// A file cannot be read; what `take` refuses by.
    pub(crate) async fn read_through(&self, mut take: impl AsyncFnMut(&[u8]) -> Result<()>) -> Result<()> {
        for (entry, place) in self.entries.iter().zip(&self.places) {
            take(entry_line(entry).as_bytes()).await?;
            let mut start = 0;
            while start < entry.bytes {
                let length = CHUNK_BYTES.min(entry.bytes - start);
                let read = place.source.read_at(place.offset + start, length as usize).await;
                let bytes = read.map_err(|error| error.file(place.source.name()).field(&entry.name))?;
                take(&bytes).await?;
                start += length;
            }
        }
        Ok(())
    }

    /// Hands over name, shape and storage of every tensor, with three pieces of 4 KiB of its bytes as the file stores them;
    /// smaller tensors whole. Two models that were trained apart differ in these; one changed row of an embedding may escape.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) async fn sample(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        for (entry, place) in self.entries.iter().zip(&self.places) {
            take(entry_line(entry).as_bytes());
            let pieces = match entry.bytes.checked_sub(PIECE_BYTES) {
                Some(last) if last > 2 * PIECE_BYTES => [0, last / 2, last].map(|start| (start, PIECE_BYTES)).to_vec(),
                _ => vec![(0, entry.bytes)],
            };
            for (start, length) in pieces {
                let read = place.source.read_at(place.offset + start, length as usize).await;
                take(&read.map_err(|error| error.file(place.source.name()).field(&entry.name))?);
            }
        }
        Ok(())
    }
}

/// What is known of a tensor besides its bytes.
fn entry_line(entry: &TensorEntry) -> String {
    format!("{} {:?} {}\n", entry.name, entry.shape, entry.storage.name())
}
