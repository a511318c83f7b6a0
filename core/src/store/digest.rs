//! SHA-256 of what is stored.

use super::Source;
use crate::Result;
use sha2::{Digest, Sha256};

/// SHA-256 of bytes, in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::digest(bytes).as_slice())
}

/// SHA-256 of a whole file, in hexadecimal digits.
///
/// # Errors
/// It cannot be read.
pub async fn sha256_of(source: &Source) -> Result<String> {
    sha256_watched(source, async |_| Ok(())).await
}

/// The same; `watch` is told after each piece how many bytes were read, and may end it.
///
/// # Errors
/// As [`sha256_of`], and those of `watch`.
pub(crate) async fn sha256_watched(source: &Source, mut watch: impl AsyncFnMut(u64) -> Result<()>) -> Result<String> {
    const PIECE_BYTES: u64 = 4 << 20;
    let mut hasher = Sha256::new();
    let mut offset = 0;
    while offset < source.len_bytes() {
        let length = PIECE_BYTES.min(source.len_bytes() - offset);
        hasher.update(source.read_at(offset, length as usize).await?);
        offset += length;
        watch(offset).await?;
    }
    Ok(hexadecimal(hasher.finalize().as_slice()))
}

/// A digest in hexadecimal digits.
pub(crate) fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
