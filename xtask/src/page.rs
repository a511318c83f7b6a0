//! Building the page with trunk, and showing it.

use crate::places::{Places, say};
use crate::process::run;
use crate::{serve, tools, wasm};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

/// Builds the page in release and returns its folder.
pub fn build(places: &Places) -> Result<PathBuf> {
    let compiler = wasm::compiler()?;
    let path = tools::ensure(places)?;
    let dist = places.dist();
    if places.web_target.join(wasm::TARGET).join("web").is_dir() {
        say("building the page (profile web)");
    } else {
        say("building the page (profile web); the first time compiles burn for wasm: 15 to 30 minutes on two cores");
    }
    let start = Instant::now();
    let mut command = Command::new("trunk");
    command
        .current_dir(&places.root)
        .args(["build", "--release", "--cargo-profile", "web", "--dist"])
        .arg(&dist);
    compiler.apply(&mut command, places);
    // Found by trunk's rules, `NO_COLOR=1` (a common setting) is no truth value to it.
    command.env("PATH", &path).env_remove("NO_COLOR");
    run(&mut command).context("the page could not be built")?;
    say(format!(
        "the page is built in {} s: {}",
        start.elapsed().as_secs(),
        dist.display()
    ));
    Ok(dist)
}

/// Builds the page and serves it until interrupted.
pub fn demo(places: &Places, port: Option<u16>) -> Result<()> {
    // The port is taken first: it is better to hear of a taken one before the build than after it.
    let listener = serve::listen(port)?;
    let dist = build(places)?;
    let address = listener.local_addr()?;
    println!("Lorakeet is at http://{address}/ (Ctrl-C ends it)");
    serve::forever(&listener, &dist)
}
