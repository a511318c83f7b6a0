//! Where things lie: the workspace, the cache outside of it, and the folders that builds go to.
//!
//! cargo keeps what it compiles in a folder of the user's that every clone shares (`build-dir` in `.cargo/config.toml`), so
//! that burn is compiled once a machine, by whatever command. What a clone hands out (programs, the page, documentation)
//! lies in its own `target`.

use crate::process::capture;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package that is built for the browser; all others are native.
pub const PAGE_PACKAGE: &str = "lorakeet-app";
/// The package of the lab.
pub const LAB_PACKAGE: &str = "lorakeet-lab";
/// What opens spreadsheets, Parquet files and archives, natively and in the page.
pub const TABLES_PACKAGE: &str = "lorakeet-tables";
/// What it is compiled for.
pub const WASM_TARGET: &str = "wasm32-unknown-unknown";
/// The manifest of the workspace.
pub const MANIFEST: &str = "Cargo.toml";
/// That of the fuzz targets, which are a workspace of their own.
pub const FUZZ_MANIFEST: &str = "fuzz/Cargo.toml";

/// The folders that every command needs.
#[derive(Debug, Clone)]
pub struct Places {
    /// The workspace.
    pub root: PathBuf,
    /// Tools' remains and fetched packages, which outlive a clone.
    pub cache: PathBuf,
    /// What this clone hands out.
    pub target: PathBuf,
    /// What cargo compiles, for every clone.
    pub build: PathBuf,
}

impl Places {
    /// Reads the environment and makes the cache folder.
    pub fn find() -> Result<Self> {
        // cargo sets the variable at run time too, which is right even for a binary that another clone compiled.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .parent()
            .context("xtask's own folder has no parent")?
            .to_path_buf();
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let cache = cache_dir(variable)?;
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot make {}; name another folder in LORAKEET_CACHE", cache.display()))?;
        let target = variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self {
            build: build_dir(&root, variable)?,
            root,
            cache,
            target,
        })
    }

    /// A cargo command in the workspace.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root).arg(subcommand);
        command
    }

    /// The workspace's packages, as `cargo metadata` describes them.
    pub fn own_packages(&self) -> Result<Vec<Value>> {
        self.packages_of(MANIFEST)
    }

    /// The packages of the workspace with this manifest.
    pub fn packages_of(&self, manifest: &str) -> Result<Vec<Value>> {
        let mut command = self.cargo("metadata");
        command.args(["--manifest-path", manifest]);
        let text = capture(command.args(["--no-deps", "--format-version", "1", "--locked"]))?;
        let mut metadata: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        match metadata["packages"].take() {
            Value::Array(packages) => Ok(packages),
            _ => bail!("cargo metadata names no packages"),
        }
    }

    /// Where fetched packages lie.
    pub fn packages(&self) -> PathBuf {
        self.cache.join("packages")
    }

    /// The built page.
    pub fn dist(&self) -> PathBuf {
        self.target.join("dist")
    }

    /// Whether burn was compiled before, for this machine (`None`) or for the browser in the profile `web`.
    pub fn has_compiled(&self, for_browser: bool) -> bool {
        let profile = if for_browser {
            self.build.join(WASM_TARGET).join("web")
        } else {
            self.build.join("release")
        };
        std::fs::read_dir(profile.join("deps")).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("libburn_core-"))
        })
    }
}

/// cargo's `build-dir`: the variable that overrules it, else what this workspace's `.cargo/config.toml` says, which is a
/// folder in cargo's own.
fn build_dir(root: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = variable("CARGO_BUILD_BUILD_DIR") {
        return Ok(root.join(dir));
    }
    let cargo_home = variable("CARGO_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".cargo")))
        .or_else(|| variable("USERPROFILE").map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    Ok(cargo_home.join(BUILD_DIR))
}

/// The last part of `build-dir` in `.cargo/config.toml`.
const BUILD_DIR: &str = "lorakeet-build";

/// `LORAKEET_CACHE`, else the platform's cache folder + `lorakeet`. Relative XDG paths are ignored, as its rules say.
fn cache_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = variable("LORAKEET_CACHE").filter(|dir| !dir.as_os_str().is_empty()) {
        return std::path::absolute(dir).context("LORAKEET_CACHE is no usable path");
    }
    let base = variable("XDG_CACHE_HOME")
        .filter(|dir| dir.is_absolute())
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set; name a folder for tools and packages in LORAKEET_CACHE")?;
    Ok(base.join("lorakeet"))
}

/// One progress line.
pub fn say(line: impl std::fmt::Display) {
    eprintln!("xtask: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<PathBuf> {
        cache_dir(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| PathBuf::from(value))
        })
    }

    #[test]
    fn the_named_cache_folder_wins() {
        assert_eq!(
            from(&[("LORAKEET_CACHE", "/a"), ("HOME", "/h")]).unwrap(),
            Path::new("/a")
        );
    }

    #[test]
    fn a_relative_xdg_folder_is_ignored() {
        assert_eq!(
            from(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]).unwrap(),
            Path::new("/h/.cache/lorakeet")
        );
        assert_eq!(
            from(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]).unwrap(),
            Path::new("/x/lorakeet")
        );
    }

    #[test]
    fn without_any_folder_the_error_says_what_to_set() {
        assert!(from(&[]).unwrap_err().to_string().contains("LORAKEET_CACHE"));
    }

    #[test]
    fn the_build_folder_is_that_of_cargo_s_configuration() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let configured = std::fs::read_to_string(root.join(".cargo/config.toml")).unwrap();
        assert!(configured.contains(&format!("build-dir = \"{{cargo-cache-home}}/{BUILD_DIR}\"")));
        let home = |name: &str| (name == "CARGO_HOME").then(|| PathBuf::from("/c"));
        assert_eq!(build_dir(root, home).unwrap(), Path::new("/c").join(BUILD_DIR));
    }
}
