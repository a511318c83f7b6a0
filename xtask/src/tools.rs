//! wasm-bindgen and trunk in exactly the versions that the page needs, installed into the cache.

use crate::places::{Places, say};
use crate::process::{capture, find, run};
use anyhow::{Context, Result};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const TRUNK: &str = "0.21.14";

/// A tool that cargo can install.
struct Tool {
    program: &'static str,
    package: &'static str,
    version: String,
    arguments: &'static [&'static str],
    minutes: &'static str,
}

/// Makes sure of both tools and returns a PATH on which they come first.
pub fn ensure(places: &Places) -> Result<OsString> {
    let trunk = Tool {
        program: "trunk",
        package: "trunk",
        version: TRUNK.into(),
        // Its default features look for updates over the network.
        arguments: &["--no-default-features"],
        minutes: "5 to 10",
    };
    let mut dirs = Vec::new();
    for program in [bindgen(places)?, trunk.ensure(places)?] {
        dirs.extend(program.parent().map(Path::to_path_buf));
    }
    if let Some(path) = std::env::var_os("PATH") {
        dirs.extend(std::env::split_paths(&path));
    }
    std::env::join_paths(dirs).context("a folder with tools cannot stand in PATH")
}

/// Makes sure of wasm-bindgen and returns its program.
pub fn bindgen(places: &Places) -> Result<PathBuf> {
    let tool = Tool {
        program: "wasm-bindgen",
        package: "wasm-bindgen-cli",
        version: locked_version(places, "wasm-bindgen")?,
        arguments: &[],
        minutes: "3 to 5",
    };
    tool.ensure(places)
}

impl Tool {
    fn ensure(&self, places: &Places) -> Result<PathBuf> {
        let root = places.tools();
        let ours = root
            .join("bin")
            .join(format!("{}{}", self.program, std::env::consts::EXE_SUFFIX));
        let candidates = [find(self.program), Some(ours.clone())];
        if let Some(program) = candidates.into_iter().flatten().find(|program| self.is(program)) {
            return Ok(program);
        }
        let Self { package, version, .. } = self;
        say(format!(
            "installing {package} {version} from source, once (about {} minutes on two cores)",
            self.minutes
        ));
        let start = Instant::now();
        // The lock file that comes with a package is preferred; some registries lack a version that it names.
        if let Err(error) = self.install(&root, true) {
            say(format!(
                "{error:#}; trying again with the newest compatible dependencies"
            ));
            self.install(&root, false).with_context(|| {
                format!("{package} {version} is needed on PATH; `cargo install {package}@{version}` could not build it")
            })?;
        }
        say(format!(
            "{package} {version} installed in {} s",
            start.elapsed().as_secs()
        ));
        Ok(ours)
    }

    /// Whether this program is the tool in the right version: it prints `NAME VERSION ...`.
    fn is(&self, program: &Path) -> bool {
        let printed = capture(Command::new(program).arg("--version")).unwrap_or_default();
        printed.split_whitespace().nth(1) == Some(self.version.as_str())
    }

    fn install(&self, root: &Path, locked: bool) -> Result<()> {
        let mut command = Command::new("cargo");
        command
            .arg("install")
            .arg(self.package)
            .arg("--version")
            .arg(format!("={}", self.version));
        command.args(self.arguments).arg("--force").arg("--root").arg(root);
        if locked {
            command.arg("--locked");
        }
        // A workspace's settings are not for its tools, both tools share what they have in common, and a build that takes
        // half the time is worth more than a tool that runs a little faster.
        command
            .current_dir(std::env::temp_dir())
            .env("CARGO_TARGET_DIR", root.join("build"));
        command
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off");
        command
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
        run(&mut command)
    }
}

/// The version of a package in the workspace's lock file.
fn locked_version(places: &Places, package: &str) -> Result<String> {
    let path = places.root.join("Cargo.lock");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    version_in(&text, package).with_context(|| format!("{} names no {package}", path.display()))
}

fn version_in(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name).skip(1);
    let version = lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')?;
    Some(version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_files_version_of_exactly_that_package_is_found() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in(lock, "trunk"), None);
    }
}
