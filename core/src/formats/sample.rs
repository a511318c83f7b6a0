//! Enough of a model's tensors to tell it from another of the same shape, without reading gigabytes.

use super::ModelFiles;
use crate::Result;

/// What is read at the start, in the middle and at the end of each tensor.
const PIECE_BYTES: u64 = 4 << 10;

impl ModelFiles {
    /// Hands over name, shape and storage of every tensor, with three pieces of 4 KiB of its bytes as the file stores them;
    /// smaller tensors whole. Two models that were trained apart differ in these; one changed row of an embedding may escape.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(crate) async fn sample(&self, take: &mut dyn FnMut(&[u8])) -> Result<()> {
        for (entry, place) in self.entries.iter().zip(&self.places) {
            take(format!("{} {:?} {}\n", entry.name, entry.shape, entry.storage.name()).as_bytes());
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
