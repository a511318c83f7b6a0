//! `cargo xtask test`: the stages, what each needs, and one line at the end that adds the test runners up.
//!
//! All native work uses the release profile and the workspace's default members, as `cargo run --release` in the README does:
//! another profile or another set of packages would compile burn a second time (`lint` holds them together).

use crate::hosts::Hosts;
use crate::phase::{Phase, Plan, spoken};
use crate::places::{LAB_PACKAGE, Places, say};
use crate::process::{Tally, run, run_counted, run_counted_into};
use crate::stage::Stage;
use crate::{axe, fuzz, interop, lint, models, package, page, setup, wasm};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// How often the stage `hostile` breaks each file, and how often where it was asked for.
const HOSTILE_ROUNDS: &str = "LORAKEET_HOSTILE_ROUNDS";
const MANY_ROUNDS: &str = "3000";

/// How many tests of the page, of more than a hundred, may need a second try.
const RUN_AGAIN: usize = 4;
/// How many of the slowest tests of the page are named.
const SLOWEST: usize = 10;

/// Has the tests of the modules `endurance` do everything many times.
const AT_LENGTH: &str = "LORAKEET_ENDURANCE";
/// Which tests those are, in the programs of three stages.
const ENDURANCE: &str = "endurance::";

impl Stage {
    /// Which of cargo's targets are its tests.
    fn targets(self) -> Vec<&'static str> {
        match self {
            Self::Lint => Vec::new(),
            Self::Interop | Self::Fuzz => vec!["--bins"],
            Self::Endurance => vec!["--test", "native", "--test", "web", "--test", "browsers"],
            Self::Native => vec!["--lib", "--bins", "--test", self.name()],
            _ => vec!["--test", self.name()],
        }
    }

    /// Whether it looks at the page, which has to be built for it.
    fn needs_page(self) -> bool {
        matches!(
            self,
            Self::Web | Self::Browsers | Self::Hosts | Self::Soak | Self::Endurance
        )
    }

    /// Whether it uses Firefox and WebKitGTK, too.
    fn needs_other_browsers(self) -> bool {
        matches!(self, Self::Browsers | Self::Endurance)
    }

    /// Its parts; what all native stages need compiled comes before them.
    fn phases(self) -> Vec<Phase> {
        match self {
            Self::Lint => Vec::new(),
            Self::Native => vec![
                Phase::new("native: tests on the CPU and on Vulkan", 200),
                Phase::new("native: examples in the documentation, and xtask's own tests", 10),
            ],
            Self::Golden => vec![Phase::new("golden: numbers of the reference stack", 20)],
            Self::Hostile => vec![Phase::new("hostile: sessions on broken files", 30)],
            Self::Models => vec![Phase::new("models: real models", 15)],
            Self::Web => vec![
                Phase::new("web: clippy for the browser, the size of the page", 60),
                Phase::new("web: the page in Chromium", 300),
            ],
            Self::Browsers => vec![Phase::new("browsers: Firefox ESR and WebKitGTK", 9000)],
            Self::Hosts => vec![Phase::new("hosts: the lab in pages of other makers", 100)],
            Self::Soak => vec![Phase::new("soak: two thousand steps, three times", 1700)],
            Self::Endurance => vec![Phase::new(
                "endurance: kills, closed tabs, lost GPUs, full storage",
                3000,
            )],
            Self::Interop => vec![Phase::new("interop: exports in other programs", 600)],
            Self::Fuzz => vec![
                Phase::new("fuzz: compile the readers and the engine, instrumented", 1200),
                Phase::new("fuzz: libFuzzer on every reader", 20 * fuzz::SECONDS),
            ],
        }
    }

    /// Runs its tests; `is_named` says that it was asked for by name, and is done at length, `seconds` how long a fuzz target
    /// runs.
    fn run(
        self,
        places: &Places,
        page: Option<&Path>,
        (is_named, seconds): (bool, u64),
        plan: &mut Plan,
        tally: &mut Tally,
    ) -> Result<()> {
        if self == Self::Interop {
            let golden = golden_folder(places)?;
            return plan.run(|| interop::check(places, &golden));
        }
        if self == Self::Fuzz {
            let programs = plan.run(|| fuzz::build(places))?;
            return plan.run(|| fuzz::run_all(places, &programs, seconds, tally));
        }
        let mut command = native_cargo_test(places, &self.targets());
        native_environment(&mut command, places)?;
        match self {
            Self::Native => {
                plan.run(|| run_counted(&mut command, tally))?;
                return plan.run(|| {
                    let mut documentation = native_cargo_test(places, &["--doc"]);
                    native_environment(&mut documentation, places)?;
                    run_counted(&mut documentation, tally)?;
                    let mut own = places.cargo("test");
                    run_counted(
                        own.args(["--locked", "--quiet", "--package", "xtask", "--package", LAB_PACKAGE]),
                        tally,
                    )
                });
            }
            Self::Hostile if is_named => {
                if std::env::var_os(HOSTILE_ROUNDS).is_none() {
                    command.env(HOSTILE_ROUNDS, MANY_ROUNDS);
                }
            }
            Self::Lint | Self::Golden | Self::Hostile | Self::Interop | Self::Fuzz => {}
            Self::Models => {
                let lost = "these tests could not run";
                command.env("LORAKEET_SMOLLM2", models::smollm2(places).context(lost)?);
                command.env("LORAKEET_MINILM", models::minilm(places).context(lost)?);
            }
            Self::Web => {
                let page = page.context("the page was not built")?;
                plan.run(|| {
                    lint::clippy_for_wasm(places)?;
                    page::check_size(page)?;
                    page::compare_with_trunk(places, page)
                })?;
                command.env("LORAKEET_AXE", axe::program(places)?);
                match models::smollm2(places) {
                    Ok(model) => drop(command.env("LORAKEET_SMOLLM2", model)),
                    Err(error) => say(format!("the browser test that drops SmolLM2 will fail: {error:#}")),
                }
                // One browser at a time: two on two cores would measure each other.
                command.args(["--", "--test-threads", "1"]);
            }
            Self::Browsers => {
                let lost = "the journeys with real models cannot be run";
                command.env("LORAKEET_SMOLLM2", models::smollm2(places).context(lost)?);
                command.env("LORAKEET_MINILM", models::minilm(places).context(lost)?);
                command.args(["--", "--nocapture", "--test-threads", "1"]);
                if !is_named {
                    command.args(["--skip", "seconds_are_told"]);
                }
            }
            Self::Hosts => {
                let page = page.context("the page was not built")?;
                Hosts::fetch(places)?.environment(&mut command, page)?;
                command.args(["--", "--nocapture", "--test-threads", "1"]);
            }
            Self::Endurance => {
                command.env(AT_LENGTH, "1");
                command.args(["--", ENDURANCE, "--nocapture", "--test-threads", "1"]);
            }
            Self::Soak => {
                // What is measured is worth reading also where it holds.
                command.args(["--", "--nocapture", "--test-threads", "1"]);
            }
        }
        if self.needs_page() {
            web_environment(&mut command, page.context("the page was not built")?)?;
        }
        if self.needs_other_browsers() {
            let browsers = setup::other_browsers()?;
            command
                .env("LORAKEET_FIREFOX", browsers.firefox)
                .env("LORAKEET_WEBKITDRIVER", browsers.webkit_driver)
                .env("LORAKEET_MINIBROWSER", browsers.mini_browser);
        }
        // Of tests that ran side by side no time is known.
        tally.seconds.clear();
        let result = plan.run(|| match self {
            Self::Web => run_counted_twice(&mut command, tally, RUN_AGAIN, &mut std::io::stdout()),
            _ => run_counted(&mut command, tally),
        });
        if let Some(slowest) = tally.slowest(SLOWEST).filter(|_| self == Self::Web) {
            say(slowest);
        }
        result
    }
}

/// Runs a test runner as [`run_counted_into`] does. At most `most` tests that failed are run once more, alone: a browser on a busy machine
/// may miss one moment, and a fault of ours fails twice. What failed at first is said, and is no failure if it holds then.
fn run_counted_twice(command: &mut Command, tally: &mut Tally, most: usize, out: &mut dyn Write) -> Result<()> {
    tally.failures.clear();
    let first = run_counted_into(command, tally, out);
    let failed = std::mem::take(&mut tally.failures);
    if first.is_ok() || failed.is_empty() || failed.len() > most {
        return first;
    }
    say(format!("failed, and is run once more: {}", failed.join(", ")));
    let mut again = Tally::default();
    run_counted_into(command.arg("--exact").args(&failed), &mut again, out)?;
    let count = failed.len() as u64;
    if again.passed != count {
        bail!("{} of {count} tests that failed were run once more", again.passed);
    }
    say(format!("held when it was run once more: {}", failed.join(", ")));
    tally.failed -= count;
    tally.passed += count;
    Ok(())
}

/// Runs the named stages, or all that need not be named, up to the first that fails; `--seconds N` among the names is for the
/// stage `fuzz`.
pub fn run_stages(places: &Places, words: &[&str]) -> Result<ExitCode> {
    let (names, seconds) = fuzz::seconds_in(words)?;
    let stages = choose(&names)?;
    let native: Vec<Stage> = stages.iter().copied().filter(|stage| *stage != Stage::Lint).collect();
    let needs_page = stages.iter().any(|stage| stage.needs_page());
    let mut phases = Vec::new();
    if !native.is_empty() {
        phases.push(Phase::new(
            "set up what the tests need",
            if needs_page { 60 } else { 20 },
        ));
    }
    if stages.contains(&Stage::Lint) {
        phases.extend(lint::phases(places));
    }
    if !native.is_empty() {
        phases.push(compile_phase(places));
    }
    if needs_page {
        phases.extend(package::phases(places));
    }
    phases.extend(stages.iter().flat_map(|stage| stage.phases()));
    let mut plan = Plan::start(places, phases);

    let mut tally = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut timed = |name, part: &mut dyn FnMut() -> Result<()>| {
        let start = Instant::now();
        let result = part();
        times.push((name, start.elapsed()));
        result.with_context(|| format!("`{name}` failed"))
    };
    let result: Result<()> = (|| {
        if !native.is_empty() {
            timed("set-up", &mut || plan.run(|| set_up(places, &native)))?;
        }
        if stages.contains(&Stage::Lint) {
            timed("lint", &mut || lint::run_checks(places, &mut plan))?;
        }
        if !native.is_empty() {
            timed("compile", &mut || plan.run(|| compile(places, &native)))?;
        }
        let mut dist = None;
        if needs_page {
            timed("page", &mut || {
                dist = Some(package::build(places, &mut plan)?);
                Ok(())
            })?;
        }
        for stage in native {
            timed(stage.name(), &mut || {
                let is_named = names.contains(&stage.name());
                stage.run(places, dist.as_deref(), (is_named, seconds), &mut plan, &mut tally)
            })?;
        }
        Ok(())
    })();
    for (name, time) in &times {
        say(format!("{name:9} {:>8}", spoken(*time)));
    }
    // As docs/log.md has them.
    for figure in &tally.figures {
        println!("- {figure}");
    }
    if let Err(error) = &result {
        say(format!("FAILED, and what comes after it was not run: {error:#}"));
    }
    if tally.runners > 0 {
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
    Ok(if result.is_err() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Installs and fetches what the stages cannot do without, so that nothing is missed only after a long build.
fn set_up(places: &Places, stages: &[Stage]) -> Result<()> {
    setup::vulkan()?;
    if stages.iter().any(|stage| stage.needs_page()) {
        setup::browser()?;
        page::ensure_brotli()?;
        wasm::compiler()?;
        lint::ensure_clippy_for_wasm()?;
    }
    if stages.contains(&Stage::Web) {
        axe::program(places)?;
    }
    if stages.iter().any(|stage| stage.needs_other_browsers()) {
        setup::other_browsers()?;
    }
    if stages.contains(&Stage::Hosts) {
        Hosts::fetch(places)?;
    }
    if stages.contains(&Stage::Fuzz) {
        fuzz::ensure_compiler()?;
    }
    if stages.contains(&Stage::Models) || stages.contains(&Stage::Browsers) {
        models::smollm2(places)?;
        models::minilm(places)?;
    }
    Ok(())
}

fn compile_phase(places: &Places) -> Phase {
    let is_cold = !places.has_compiled(false);
    Phase {
        is_cold,
        ..Phase::new("compile the engine and its tests", if is_cold { 660 } else { 150 })
    }
}

/// Compiles the tests of all stages at once, and the command `lorakeet`.
fn compile(places: &Places, stages: &[Stage]) -> Result<()> {
    let targets: Vec<&str> = stages.iter().flat_map(|stage| stage.targets()).collect();
    run(native_cargo_test(places, &targets).arg("--no-run"))
}

fn choose(names: &[&str]) -> Result<Vec<Stage>> {
    if names.is_empty() {
        return Ok(Stage::ALL.into_iter().filter(|stage| !stage.is_only_named()).collect());
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

/// `cargo test` over the native packages, all of its failures shown.
fn native_cargo_test(places: &Places, targets: &[&str]) -> Command {
    let mut command = places.cargo("test");
    command.args(["--locked", "--release", "--no-fail-fast"]).args(targets);
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

/// What browser tests need: the built page, the browser and its driver.
pub fn web_environment(command: &mut Command, dist: &Path) -> Result<()> {
    let browser = setup::browser()?;
    command.env("LORAKEET_DIST", dist);
    command
        .env("LORAKEET_CHROMIUM", browser.chromium)
        .env("LORAKEET_CHROMEDRIVER", browser.driver);
    Ok(())
}

/// The folder of golden cases: the named one, else the workspace's own.
fn golden_folder(places: &Places) -> Result<PathBuf> {
    let named = std::env::var_os("LORAKEET_GOLDEN").map(|named| places.root.join(named));
    let folder = named.unwrap_or_else(|| places.root.join("tests/golden"));
    match folder.join("manifest.json").is_file() {
        true => Ok(folder),
        false => bail!(
            "{} holds no golden cases: there is no manifest.json in it",
            folder.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A runner that fails as often as the file at its first argument has lines, of which it takes one away each time.
    #[cfg(unix)]
    const RUNNER: &str = r#"
        if [ -s "$0" ]; then sed -i 1d "$0"; echo "failures:"; echo "    a::test"; echo; echo "test result: FAILED. 4 passed; 1 failed; 0"; exit 101; fi
        echo "test result: ok. 1 passed; 0 failed; 0"; echo "$@" > "$0.arguments""#;

    #[cfg(unix)]
    fn fails(times: usize, file: &str) -> (Result<()>, Tally, String) {
        let path = std::env::temp_dir().join(format!("lorakeet-{file}-{}", std::process::id()));
        std::fs::write(&path, "once\n".repeat(times)).unwrap();
        let mut tally = Tally::default();
        // Not passed on: whoever runs these tests counts closing lines, too.
        let mut out = Vec::new();
        let mut runner = Command::new("sh");
        let result = run_counted_twice(runner.args(["-c", RUNNER]).arg(&path), &mut tally, 2, &mut out);
        assert!(String::from_utf8_lossy(&out).contains("test result"));
        let arguments = path.with_extension("arguments");
        let said = std::fs::read_to_string(&arguments).unwrap_or_default();
        let _ = (std::fs::remove_file(&path), std::fs::remove_file(&arguments));
        (result, tally, said)
    }

    #[test]
    #[cfg(unix)]
    fn a_test_that_fails_once_is_run_alone_and_one_that_fails_twice_fails() {
        let (result, tally, arguments) = fails(1, "once");
        result.unwrap();
        assert_eq!((tally.passed, tally.failed), (5, 0));
        assert_eq!(arguments.trim(), "--exact a::test");
        let (result, tally, _) = fails(2, "twice");
        result.unwrap_err();
        assert_eq!((tally.passed, tally.failed), (4, 1));
    }

    #[test]
    fn plain_test_leaves_out_what_runs_only_when_named() {
        let names: Vec<&str> = choose(&[]).unwrap().into_iter().map(Stage::name).collect();
        assert_eq!(names, ["lint", "native", "golden", "hostile", "models", "web"]);
    }

    #[test]
    fn an_unknown_stage_is_named_with_those_that_exist() {
        let error = choose(&["lnit"]).unwrap_err().to_string();
        assert!(error.contains("lnit") && error.contains("golden"), "{error}");
    }
}
