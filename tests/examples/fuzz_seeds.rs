//! Writes small sound files for every reader as FOLDER/READER/seed-N, and the readers' names, one a line: `fuzz_seeds FOLDER`.
//! libFuzzer begins with them; `cargo xtask test fuzz` calls it.

use anyhow::{Context, Result};
use lorakeet_tests::reader_seeds::seeds;
use lorakeet_tests::readers::READERS;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("name the folder that the files go to")?;
    for reader in READERS {
        let own = folder.join(reader.name);
        fs::create_dir_all(&own).with_context(|| format!("{} cannot be made", own.display()))?;
        for (number, bytes) in seeds(reader.name).iter().enumerate() {
            let path = own.join(format!("seed-{number}"));
            fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        println!("{}", reader.name);
    }
    Ok(())
}
