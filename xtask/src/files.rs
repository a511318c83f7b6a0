//! Files in memory: what is packed, by path.

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::collections::BTreeMap;
use std::io::Write;

/// Contents by path, with `/` between its parts.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The text of a file.
pub fn text<'a>(files: &'a Files, path: &str) -> Result<&'a str> {
    let bytes = files.get(path).with_context(|| format!("{path} is missing"))?;
    std::str::from_utf8(bytes).with_context(|| format!("{path} is no text"))
}

/// gzip without a time.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
