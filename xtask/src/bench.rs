//! `cargo xtask bench`: builds and runs the bench programs, which print JSON on their standard output.

use crate::places::{Places, say};
use crate::process::run;
use crate::test::{PAGE_PACKAGE, native_environment, test_targets, web_environment};
use crate::{page, smollm2};
use anyhow::{Result, bail};

/// Runs the native bench programs, or those whose names start with `web` in a browser.
pub fn run_all(places: &Places, browser: bool) -> Result<()> {
    let names: Vec<String> = test_targets(places, "bench")?
        .into_iter()
        .filter(|name| name.starts_with("web") == browser)
        .collect();
    if names.is_empty() {
        bail!(
            "there is no {} bench program",
            if browser { "browser" } else { "native" }
        );
    }
    let mut command = places.cargo("bench");
    command.args(["--locked", "--workspace", "--exclude", PAGE_PACKAGE]);
    for name in &names {
        command.args(["--bench", name]);
    }
    native_environment(&mut command, places)?;
    match smollm2::fetch(places) {
        Ok(model) => drop(command.env("LORAKEET_SMOLLM2", model)),
        Err(error) => say(format!("benches of SmolLM2 cannot run: {error:#}")),
    }
    if browser {
        let dist = page::build(places)?;
        web_environment(&mut command, &dist)?;
    }
    say(format!("benches: {}", names.join(", ")));
    run(&mut command)
}
