//! The hub of the tests as a program of its own: `fake_hub FOLDER TOKEN`, for clients that are written in other languages.
//!
//! The files of the folder are the models `lorakeet/tiny` and, behind the token, `lorakeet/gated`. The first line of output says
//! where the hub is, as JSON; each line of input is answered with one that says what was asked of it so far. It ends with its
//! input. `cargo xtask test interop` has huggingface_hub talk to it.

use anyhow::{Context, Result, bail};
use lorakeet_tests::fake_hub::FakeHub;
use serde_json::json;
use std::fs;

const OPEN: &str = "lorakeet/tiny";
const GATED: &str = "lorakeet/gated";

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let (Some(folder), Some(token)) = (words.next(), words.next()) else {
        bail!("fake_hub FOLDER TOKEN")
    };
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{folder} cannot be read"))? {
        let entry = entry?;
        if entry.path().is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, fs::read(entry.path())?));
        }
    }
    files.sort();
    let given: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    let hub = FakeHub::start()?;
    let commit = hub.publish(OPEN, &given);
    hub.publish(GATED, &given);
    hub.close(GATED, &token, true);
    println!("{}", json!({ "endpoint": hub.endpoint(), "commit": commit }));
    for line in std::io::stdin().lines() {
        line?;
        println!(
            "{}",
            json!({ "requests": hub.requests(), "has_leaked": hub.has_leaked() })
        );
    }
    Ok(())
}
