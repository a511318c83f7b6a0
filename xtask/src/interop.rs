//! The stage `interop`: what the command exports, loaded by the programs that it is for, and runs as scripts on two processes of
//! theirs; and what it keeps of a hub, held against what huggingface_hub does. They are Python packages, installed once into a
//! virtual environment in the cache (about 6 GB with torch), and wllama, from npm, in the Chromium of the page's tests.

use crate::models;
use crate::places::{Places, say};
use crate::process::{find, run};
use crate::pypi::python;
use crate::setup;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Exact versions of the packages.
const REQUIREMENTS: &str = "tests/interop/requirements.txt";
const SCRIPT: &str = "tests/interop/check.py";
/// The manifest and the lock of what comes from npm.
const FROM_NPM: &str = "tests/interop/wllama";
const LOCK: &str = "package-lock.json";
/// A copy of the lock that is written once all of it is installed.
const INSTALLED: &str = "installed.json";

/// Exports with the command, and compares what the programs make of it.
pub fn check(places: &Places, golden: &Path) -> Result<()> {
    let (python, wllama, browser) = (environment(places)?, wllama(places)?, setup::browser()?);
    run(places
        .cargo("build")
        .args(["--release", "--locked", "--bins", "--example", "fake_hub"]))?;
    let mut command = Command::new(python);
    command.current_dir(&places.root).arg(SCRIPT);
    command.arg("--lorakeet").arg(places.target.join("release/lorakeet"));
    command
        .arg("--hub")
        .arg(places.target.join("release/examples/fake_hub"));
    command.arg("--golden").arg(golden);
    command.arg("--smollm2").arg(models::smollm2(places)?);
    command.arg("--minilm").arg(models::minilm(places)?);
    command
        .arg("--chromium")
        .arg(browser.chromium)
        .arg("--wllama")
        .arg(wllama);
    run(command.arg("--work").arg(places.target.join("interop")))
}

/// The environment's Python. One whose packages are others' is made again.
fn environment(places: &Places) -> Result<PathBuf> {
    let folder = places.cache.join("interop");
    let (wanted, installed) = (places.root.join(REQUIREMENTS), folder.join("installed.txt"));
    let python_there = match cfg!(windows) {
        true => folder.join("Scripts/python.exe"),
        false => folder.join("bin/python"),
    };
    let text = std::fs::read(&wanted).with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if std::fs::read(&installed).is_ok_and(|found| found == text) {
        return Ok(python_there);
    }
    say("installing the Python packages of tests/interop/requirements.txt (once, some minutes)");
    run(Command::new(python()?).args(["-m", "venv"]).arg(&folder))?;
    let mut pip = Command::new(&python_there);
    run(pip
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&wanted))?;
    std::fs::write(&installed, text).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python_there)
}

/// The package wllama. One of another lock is fetched again.
fn wllama(places: &Places) -> Result<PathBuf> {
    let (wanted, folder) = (places.root.join(FROM_NPM), places.packages().join("wllama"));
    let package = folder.join("node_modules/@wllama/wllama");
    let lock = std::fs::read(wanted.join(LOCK)).with_context(|| format!("cannot read {FROM_NPM}/{LOCK}"))?;
    if package.is_dir() && std::fs::read(folder.join(INSTALLED)).is_ok_and(|found| found == lock) {
        return Ok(package);
    }
    let npm = find("npm").context("npm is needed for the stage `interop`. Install Node 20 or newer.")?;
    say("fetching wllama with npm (12 MB, once)");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in ["package.json", LOCK] {
        std::fs::copy(wanted.join(name), folder.join(name)).with_context(|| format!("cannot write {name}"))?;
    }
    run(Command::new(npm).current_dir(&folder).args(["ci", "--silent"]))?;
    std::fs::write(folder.join(INSTALLED), lock).with_context(|| format!("cannot write {INSTALLED}"))?;
    Ok(package)
}
