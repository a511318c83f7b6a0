//! Where things lie: the workspace, the cache outside of it, and the folders that builds go to.
//!
//! Builds of burn take many minutes, so they live outside the clone by default and serve every later run and every fresh
//! clone of this user.

use crate::process::run;
use crate::wasm::TARGET;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's packages, but for this one.
const OWN_PACKAGES: [&str; 4] = ["lorakeet-app", "lorakeet-core", "lorakeet-shaders", "lorakeet-tests"];

/// The folders that every command needs.
#[derive(Debug, Clone)]
pub struct Places {
    /// The workspace.
    pub root: PathBuf,
    /// Everything that outlives a clone.
    pub cache: PathBuf,
    /// Native builds, always in the release profile.
    pub native_target: PathBuf,
    /// Builds for wasm.
    pub web_target: PathBuf,
}

impl Places {
    /// Reads the environment, makes the cache folder and says once where builds go.
    pub fn find() -> Result<Self> {
        // cargo sets the variable at run time too, which is right even for a binary that another clone compiled.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest)
            .parent()
            .context("xtask's own folder has no parent")?
            .to_path_buf();
        let cache = cache_dir(|name| std::env::var_os(name).map(PathBuf::from))?;
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("cannot make {}; name another folder in LORAKEET_CACHE", cache.display()))?;
        let chosen = std::env::var_os("CARGO_TARGET_DIR").map(|dir| root.join(dir));
        let places = Self {
            native_target: chosen.clone().unwrap_or_else(|| cache.join("target")),
            web_target: chosen.unwrap_or_else(|| cache.join("web")),
            root,
            cache,
        };
        say(format!(
            "builds go to {} and {}",
            places.native_target.display(),
            places.web_target.display()
        ));
        places.take_over()?;
        Ok(places)
    }

    /// Has the workspace's own packages compiled anew where another clone used these folders last.
    ///
    /// To cargo the packages of two clones are the same ones, and fresh if no source is newer than the last build: after a
    /// build of clone B it would take B's programs for those of an older clone A.
    fn take_over(&self) -> Result<()> {
        let builds: [(&str, &Path, &[&str]); 2] = [
            ("native", &self.native_target, &["--release"]),
            ("web", &self.web_target, &["--profile", "web", "--target", TARGET]),
        ];
        for (name, target, profile) in builds {
            let stamp = target.join(format!("lorakeet-{name}-clone"));
            let ours = self.root.to_string_lossy();
            if std::fs::read_to_string(&stamp).is_ok_and(|last| last == ours) {
                continue;
            }
            if target.join("CACHEDIR.TAG").is_file() {
                let mut clean = Command::new("cargo");
                clean.current_dir(&self.root).args(["clean", "--quiet"]).args(profile);
                for package in OWN_PACKAGES {
                    clean.args(["--package", package]);
                }
                run(clean.env("CARGO_TARGET_DIR", target))?;
            }
            std::fs::create_dir_all(target)
                .and_then(|()| std::fs::write(&stamp, ours.as_bytes()))
                .with_context(|| format!("cannot write {}", stamp.display()))?;
        }
        Ok(())
    }

    /// A cargo command for native work: in the workspace, into the native target folder, with the lock file as it is.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut command = Command::new("cargo");
        command
            .current_dir(&self.root)
            .arg(subcommand)
            .env("CARGO_TARGET_DIR", &self.native_target);
        command
    }

    /// Where installed tools lie; their programs are in its `bin`.
    pub fn tools(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// Where fetched packages lie.
    pub fn packages(&self) -> PathBuf {
        self.cache.join("packages")
    }

    /// The built page.
    pub fn dist(&self) -> PathBuf {
        self.web_target.join("dist")
    }
}

/// `LORAKEET_CACHE`, else the platform's cache folder + `lorakeet`. Relative XDG paths are ignored, as its rules say.
fn cache_dir(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = variable("LORAKEET_CACHE").filter(|dir| !dir.as_os_str().is_empty()) {
        return std::path::absolute(dir).context("LORAKEET_CACHE is no usable path");
    }
    let base = variable("XDG_CACHE_HOME")
        .filter(|dir| dir.is_absolute())
        .or_else(|| variable("LOCALAPPDATA"))
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .context("neither HOME nor XDG_CACHE_HOME is set; name a folder for tools and builds in LORAKEET_CACHE")?;
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
}
