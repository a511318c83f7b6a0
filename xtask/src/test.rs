//! `cargo xtask test`: the stages, what each needs, and one line at the end that adds the test runners up.
//!
//! All native work uses the release profile and the same set of packages, because another profile or another set would
//! compile burn a second time.

use crate::places::{Places, say};
use crate::process::{Tally, capture, run_counted};
use crate::{lint, models, page, setup};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The package that is built for the browser; all others are native.
pub const PAGE_PACKAGE: &str = "lorakeet-app";

/// A part of the checks that can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Everything that reads the code without running it.
    Lint,
    /// Unit tests, doc tests, and the integration tests that no other stage claims.
    Native,
    /// Integration tests whose names start with `golden`.
    Golden,
    /// Integration tests whose names start with that of a real model: `smollm2`, `minilm`.
    Models,
    /// Integration tests whose names start with `web`.
    Web,
    /// Integration tests whose names start with `soak`.
    Soak,
}

impl Stage {
    /// Every stage, in the order in which they run: the quickest to fail first.
    pub const ALL: [Self; 6] = [
        Self::Lint,
        Self::Native,
        Self::Golden,
        Self::Models,
        Self::Web,
        Self::Soak,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Native => "native",
            Self::Golden => "golden",
            Self::Models => "models",
            Self::Web => "web",
            Self::Soak => "soak",
        }
    }

    /// The stage that an integration test belongs to.
    fn of_test(name: &str) -> Self {
        let claims = [
            ("golden", Self::Golden),
            ("smollm2", Self::Models),
            ("minilm", Self::Models),
            ("web", Self::Web),
            ("soak", Self::Soak),
        ];
        claims
            .into_iter()
            .find(|(start, _)| name.starts_with(start))
            .map_or(Self::Native, |(_, stage)| stage)
    }

    fn run(self, places: &Places, tally: &mut Tally) -> Result<()> {
        if self == Self::Lint {
            return lint::run_checks(places);
        }
        let targets = Targets::read(places)?;
        let all = targets.names("test");
        let names: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|name| Self::of_test(name) == self)
            .collect();
        if names.is_empty() && self != Self::Native {
            bail!("there is no integration test for the stage {}", self.name());
        }
        let mut command = native_cargo_test(places, &targets);
        for name in &names {
            command.args(["--test", name]);
        }
        native_environment(&mut command, places)?;
        match self {
            Self::Native => {
                command.args(["--lib", "--bins"]);
                run_counted(&mut command, tally)?;
                let mut documentation = native_cargo_test(places, &targets);
                native_environment(&mut documentation, places)?;
                return run_counted(documentation.arg("--doc"), tally);
            }
            Self::Models => {
                let lost = || format!("these tests could not run: {}", names.join(", "));
                command.env("LORAKEET_SMOLLM2", models::smollm2(places).with_context(lost)?);
                command.env("LORAKEET_MINILM", models::minilm(places).with_context(lost)?);
            }
            Self::Web => {
                lint::clippy_for_wasm(places)?;
                page_and_browser(&mut command, places)?;
                match models::smollm2(places) {
                    Ok(model) => drop(command.env("LORAKEET_SMOLLM2", model)),
                    Err(error) => say(format!("the browser test that drops SmolLM2 will fail: {error:#}")),
                }
                // One browser at a time: two on two cores would measure each other.
                command.args(["--", "--test-threads", "1"]);
            }
            Self::Soak => {
                if names.iter().any(|name| name.ends_with("web")) {
                    page_and_browser(&mut command, places)?;
                }
                // What is measured is worth reading also where it holds.
                command.args(["--", "--nocapture"]);
            }
            Self::Lint | Self::Golden => {}
        }
        run_counted(&mut command, tally)
    }
}

/// Runs the named stages, or all but `soak`, up to the first that fails.
pub fn run(places: &Places, names: &[&str]) -> Result<ExitCode> {
    let stages = choose(names)?;
    let mut tally = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut failed = None;
    for stage in stages {
        say(format!("stage {}", stage.name()));
        let start = Instant::now();
        let result = stage.run(places, &mut tally);
        times.push((stage.name(), start.elapsed()));
        if let Err(error) = result {
            eprintln!("\nxtask: stage {} failed: {error:#}", stage.name());
            failed = Some(stage.name());
            break;
        }
    }
    for (name, time) in &times {
        say(format!("{name:8} {:5} s", time.as_secs()));
    }
    if let Some(name) = failed {
        say(format!("FAILED in stage {name}; later stages were not run"));
    }
    if tally.runners > 0 {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    Ok(if failed.is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn choose(names: &[&str]) -> Result<Vec<Stage>> {
    if names.is_empty() {
        return Ok(Stage::ALL.into_iter().filter(|stage| *stage != Stage::Soak).collect());
    }
    for name in names {
        if !Stage::ALL.iter().any(|stage| stage.name() == *name) {
            let known: Vec<&str> = Stage::ALL.iter().map(|stage| stage.name()).collect();
            bail!("there is no stage `{name}`; the stages are {}", known.join(", "));
        }
    }
    Ok(Stage::ALL
        .into_iter()
        .filter(|stage| names.contains(&stage.name()))
        .collect())
}

/// `cargo test` over every native package, all of its failures shown.
fn native_cargo_test(places: &Places, targets: &Targets) -> Command {
    let mut command = places.cargo("test");
    command.args(["--release", "--no-fail-fast"]).args(targets.arguments());
    command
}

/// What native tests and benches need: the golden folder, and the software Vulkan driver unless one was chosen.
pub fn native_environment(command: &mut Command, places: &Places) -> Result<()> {
    command.env("LORAKEET_GOLDEN", golden_folder(places)?);
    if let Some(driver) = setup::vulkan()? {
        if std::env::var_os("VK_ICD_FILENAMES").is_none() && std::env::var_os("VK_DRIVER_FILES").is_none() {
            command.env("VK_ICD_FILENAMES", &driver).env("VK_DRIVER_FILES", &driver);
        }
        if std::env::var_os("CUBECL_WGPU_DEFAULT_DEVICE").is_none() {
            command.env("CUBECL_WGPU_DEFAULT_DEVICE", "Cpu");
        }
    }
    Ok(())
}

/// Builds the page and gives tests what they need to look at it.
fn page_and_browser(command: &mut Command, places: &Places) -> Result<()> {
    let dist = page::build(places)?;
    page::check_size(&dist)?;
    web_environment(command, &dist)
}

/// What browser tests need: the built page, the browser and its driver.
pub fn web_environment(command: &mut Command, dist: &Path) -> Result<()> {
    let browser = setup::browser()?;
    command.env("LORAKEET_DIST", dist);
    command
        .env("LORAKEET_CHROMIUM", browser.chromium)
        .env("LORAKEET_CHROMEDRIVER", browser.driver);
    Ok(())
}

/// The folder of golden cases: the named one, the full set beside the workspace, else the small set inside it.
fn golden_folder(places: &Places) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("LORAKEET_GOLDEN") {
        let named = places.root.join(named);
        return if named.join("manifest.json").is_file() {
            Ok(named)
        } else {
            bail!("LORAKEET_GOLDEN is {}, which holds no manifest.json", named.display())
        };
    }
    let beside = places.root.parent().map(|parent| parent.join("shared/golden"));
    let inside = places.root.join("tests/golden");
    [beside, Some(inside)]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("manifest.json").is_file())
        .context("tests/golden with its manifest.json is missing; name a folder of golden cases in LORAKEET_GOLDEN")
}

/// What cargo says about the native packages of the workspace.
pub struct Targets {
    packages: Vec<serde_json::Value>,
}

impl Targets {
    /// Asks cargo.
    pub fn read(places: &Places) -> Result<Self> {
        let mut command = places.cargo("metadata");
        let text = capture(command.args(["--no-deps", "--format-version", "1", "--locked"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata names no packages")?;
        Ok(Self {
            packages: packages
                .iter()
                .filter(|package| package["name"] != PAGE_PACKAGE)
                .cloned()
                .collect(),
        })
    }

    /// The names of all targets of a kind, `test` or `bench`.
    pub fn names(&self, kind: &str) -> Vec<String> {
        let targets = self
            .packages
            .iter()
            .filter_map(|package| package["targets"].as_array())
            .flatten();
        let of_kind = targets.filter(|target| target["kind"][0] == kind);
        let mut names: Vec<String> = of_kind
            .filter_map(|target| target["name"].as_str())
            .map(String::from)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The arguments that choose every native package with every feature that a target of it requires. All commands use
    /// the same, so that nothing is compiled twice.
    pub fn arguments(&self) -> Vec<String> {
        let mut features = Vec::new();
        for package in &self.packages {
            let targets = package["targets"].as_array().into_iter().flatten();
            let required = targets
                .filter_map(|target| target["required-features"].as_array())
                .flatten();
            for feature in required.filter_map(|feature| feature.as_str()) {
                features.push(format!("{}/{feature}", package["name"].as_str().unwrap_or_default()));
            }
        }
        features.sort_unstable();
        features.dedup();
        let fixed = ["--locked", "--workspace", "--exclude", PAGE_PACKAGE];
        let mut arguments: Vec<String> = fixed.iter().map(ToString::to_string).collect();
        if !features.is_empty() {
            arguments.extend(["--features".to_string(), features.join(",")]);
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integration_test_belongs_to_exactly_one_stage() {
        assert_eq!(Stage::of_test("golden_models"), Stage::Golden);
        assert_eq!(Stage::of_test("web"), Stage::Web);
        assert_eq!(Stage::of_test("soak_web"), Stage::Soak);
        assert_eq!(Stage::of_test("kernels"), Stage::Native);
    }

    #[test]
    fn plain_test_leaves_out_what_runs_only_when_named() {
        let names: Vec<&str> = choose(&[]).unwrap().into_iter().map(Stage::name).collect();
        assert_eq!(names, ["lint", "native", "golden", "models", "web"]);
    }

    #[test]
    fn an_unknown_stage_is_named_with_those_that_exist() {
        let error = choose(&["lnit"]).unwrap_err().to_string();
        assert!(error.contains("lnit") && error.contains("golden"), "{error}");
    }
}
