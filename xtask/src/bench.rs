//! `cargo xtask bench`: builds and runs the bench programs, which print JSON on their standard output.

use crate::places::{Places, say};
use crate::process::run;
use crate::test::{Targets, native_environment, web_environment};
use crate::{models, page};
use anyhow::{Result, bail};

/// Runs the native bench programs, or those whose names start with `web` in a browser.
pub fn run_all(places: &Places, browser: bool) -> Result<()> {
    let targets = Targets::read(places)?;
    let names: Vec<String> = targets
        .names("bench")
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
    command.args(targets.arguments());
    for name in &names {
        command.args(["--bench", name]);
    }
    native_environment(&mut command, places)?;
    match models::smollm2(places) {
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
