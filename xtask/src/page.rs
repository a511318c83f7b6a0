//! Building the page with trunk, and showing it; building what measures the engine in a browser.

use crate::places::{Places, say};
use crate::process::{find, run};
use crate::test::PAGE_PACKAGE;
use crate::{packages, serve, tools, wasm};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// How large the page may be in brotli before its engine.
const PAGE_BYTES: usize = 500_000;

/// Builds the page in release and returns its folder.
pub fn build(places: &Places) -> Result<PathBuf> {
    let compiler = wasm::compiler()?;
    let path = tools::ensure(places)?;
    let dist = places.dist();
    announce(places, "the page");
    let start = Instant::now();
    // Trunk builds offline, so that it never downloads tools of its own; what the build needs is fetched before.
    let mut fetch = Command::new("cargo");
    fetch.current_dir(&places.root).args(["fetch", "--quiet", "--locked"]);
    compiler.apply(&mut fetch, places);
    run(&mut fetch).context("the page's dependencies could not be fetched")?;
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

/// Builds the worker of the browser's bench, which is no part of the page, and returns the folder that starts it.
pub fn build_bench(places: &Places) -> Result<PathBuf> {
    let compiler = wasm::compiler()?;
    let bindgen = tools::bindgen(places)?;
    announce(places, "the bench's worker");
    let mut build = places.cargo("build");
    build
        .args(["--locked", "--profile", "web", "--target", wasm::TARGET])
        .args(["--package", PAGE_PACKAGE, "--bin", "bench", "--features", "bench"]);
    compiler.apply(&mut build, places);
    run(&mut build).context("the bench's worker could not be built")?;
    let folder = places.web_target.join("bench");
    let wasm = places.web_target.join(wasm::TARGET).join("web/bench.wasm");
    let mut bind = Command::new(bindgen);
    bind.args(["--target", "web", "--no-typescript", "--out-dir"]);
    run(bind.arg(&folder).arg(wasm)).context("the bench's worker could not be bound to JavaScript")?;
    for name in ["index.html", "worker.js"] {
        let from = places.root.join("app/bench").join(name);
        std::fs::copy(&from, folder.join(name)).with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    Ok(folder)
}

/// Says what is being built, and what the first time costs.
fn announce(places: &Places, what: &str) {
    if places.web_target.join(wasm::TARGET).join("web").is_dir() {
        say(format!("building {what} (profile web)"));
    } else {
        say(format!(
            "building {what} (profile web); the first time compiles burn for wasm: 15 to 30 minutes on two cores"
        ));
    }
}

/// The page's own code, without the engine that its worker loads, stays small enough to be there at once.
pub fn check_size(dist: &Path) -> Result<()> {
    if find("brotli").is_none() {
        packages::install(&["brotli"], "measuring the page", "Install the program brotli.")?;
    }
    let mut total = 0;
    let entries = std::fs::read_dir(dist).with_context(|| format!("cannot read {}", dist.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of_page = [".html", ".js", ".css", ".wasm", ".svg"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if of_page && !name.starts_with("worker") {
            let packed = Command::new("brotli")
                .args(["--best", "--stdout", "--"])
                .arg(&path)
                .output()?;
            total += packed.stdout.len();
        }
    }
    say(format!("the page without its engine: {} KB in brotli", total / 1000));
    if total == 0 || total > PAGE_BYTES {
        bail!("the page without its engine is {total} bytes in brotli; it may be {PAGE_BYTES} at most");
    }
    Ok(())
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
