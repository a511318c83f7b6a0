//! The stage `fuzz`: libFuzzer on every reader of `tests/src/readers.rs`, each for some seconds.
//!
//! The targets lie in `fuzz/` in the layout of cargo-fuzz, which this does not need: they are built with the compiler at hand, with
//! the flags of `cargo fuzz build -s none` that it takes. What libFuzzer has learnt stays in `fuzz/corpus`, for the next time.

use crate::places::{FUZZ_MANIFEST, Places, say};
use crate::process::{Tally, capture, find, run};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How long each target runs where nothing else was asked for.
pub const SECONDS: u64 = 20;

/// Counters at every edge of the code, and what comparisons compare, as libFuzzer wants them.
const FLAGS: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What an input may take: seconds, megabytes of memory (of the whole process), bytes of its own.
const LIMITS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=65536"];

/// Lines of libFuzzer's that are shown where it found something.
const SHOWN_LINES: usize = 20;

/// Takes `--seconds N` or `--seconds=N` out of the words behind `cargo xtask test`; what is left are stages.
pub fn seconds_in<'a>(words: &[&'a str]) -> Result<(Vec<&'a str>, u64)> {
    let (mut names, mut seconds) = (Vec::new(), None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = match word.strip_prefix("--seconds") {
            Some("") => words.next().copied().unwrap_or_default(),
            Some(rest) if rest.starts_with('=') => &rest[1..],
            _ => {
                names.push(*word);
                continue;
            }
        };
        match text.parse() {
            Ok(number @ 1..) => seconds = Some(number),
            _ => bail!("--seconds takes a whole number above 0, not `{text}`"),
        }
    }
    if seconds.is_some() && !names.contains(&"fuzz") {
        bail!("--seconds says how long each target of the stage `fuzz` runs, which is not among the named stages");
    }
    Ok((names, seconds.unwrap_or(SECONDS)))
}

/// libFuzzer is C++, and is compiled with the targets.
pub fn ensure_compiler() -> Result<()> {
    let is_there = cfg!(windows)
        || ["CXX", "CUSTOM_LIBFUZZER_PATH"]
            .iter()
            .any(|name| std::env::var_os(name).is_some())
        || ["c++", "g++", "clang++"].iter().any(|name| find(name).is_some());
    match is_there {
        true => Ok(()),
        false => {
            bail!("the stage `fuzz` compiles libFuzzer: install a C++ compiler (on Debian g++), or name one in CXX")
        }
    }
}

/// Compiles the targets, apart from all else, and gives the folder that they are in.
pub fn build(places: &Places) -> Result<PathBuf> {
    let version = capture(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say which machine it compiles for")?;
    let target = places.target.join("fuzz");
    let mut command = places.cargo("build");
    command
        .args(["--manifest-path", FUZZ_MANIFEST, "--release", "--locked", "--bins"])
        // With a target named, the flags are not for build scripts and macros, which have no libFuzzer.
        .args(["--target", host])
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_BUILD_BUILD_DIR", places.build.join("fuzz"));
    run(&mut command)?;
    Ok(target.join(host).join("release"))
}

/// Runs every target of the folder `programs`, and fails where one found something.
pub fn run_all(places: &Places, programs: &Path, seconds: u64, tally: &mut Tally) -> Result<()> {
    let seeds = places.target.join("fuzz/seeds");
    let mut writer = places.cargo("run");
    writer.args(["--release", "--locked", "--quiet", "--example", "fuzz_seeds", "--"]);
    let names = capture(writer.arg(&seeds)).context("the seeds could not be written")?;
    let mut faults = Vec::new();
    for name in names.lines() {
        let program = programs.join(name);
        match run_one(places, (name, &program), &seeds.join(name), seconds)? {
            Outcome::Held { inputs } => {
                say(format!("fuzz: {name}: {inputs} inputs in {seconds} s"));
                tally.figures.push(format!("{name}: {inputs} inputs in {seconds} s"));
            }
            Outcome::Found { what, input } => {
                let input = input.context(format!("{name} ended without an input that does it:\n{what}"))?;
                let (program, input) = (program.display(), input.display());
                let fault = format!("{name}: the input is {input}\n  again: {program} {input}\n{what}");
                say(format!("fuzz: {fault}"));
                faults.push(fault);
            }
        }
    }
    match faults.len() {
        0 => Ok(()),
        count => bail!(
            "{count} targets found inputs that end the process:\n{}",
            faults.join("\n")
        ),
    }
}

/// How a target ended.
enum Outcome {
    /// Its time was over.
    Held { inputs: u64 },
    /// It crashed, took too long or too much memory: what libFuzzer said, and the input that it wrote.
    Found { what: String, input: Option<PathBuf> },
}

/// Runs a target on its seeds and on what it learnt before.
fn run_one(places: &Places, (name, program): (&str, &Path), seeds: &Path, seconds: u64) -> Result<Outcome> {
    let folder = |kind: &str| -> Result<PathBuf> {
        let folder = places.root.join("fuzz").join(kind).join(name);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    };
    let (corpus, artifacts) = (folder("corpus")?, folder("artifacts")?);
    let mut command = Command::new(program);
    command
        .current_dir(&places.root)
        .arg(format!("-max_total_time={seconds}"))
        .arg("-print_final_stats=1")
        .args(LIMITS)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // New inputs go to the first folder.
        .arg(&corpus)
        .arg(seeds)
        .stdin(Stdio::null());
    let output = command
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(Outcome::Held { inputs: inputs(&said) });
    }
    let lines: Vec<&str> = said.lines().collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
    Ok(Outcome::Found {
        what: format!("{}\n{}", output.status, shown.join("\n")),
        input: artifact(&said),
    })
}

/// How many inputs libFuzzer says that it tried.
fn inputs(said: &str) -> u64 {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

/// Where libFuzzer says that it wrote the input.
fn artifact(said: &str) -> Option<PathBuf> {
    let place = said
        .lines()
        .rev()
        .find_map(|line| line.split_once("Test unit written to "));
    place.map(|(_, path)| PathBuf::from(path.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_for_the_stage_alone() {
        assert_eq!(seconds_in(&["fuzz"]).unwrap(), (vec!["fuzz"], SECONDS));
        for words in [["fuzz", "--seconds=5"].as_slice(), &["--seconds", "5", "fuzz"]] {
            assert_eq!(seconds_in(words).unwrap(), (vec!["fuzz"], 5), "{words:?}");
        }
        for words in [
            ["native", "--seconds", "5"].as_slice(),
            &["fuzz", "--seconds", "0"],
            &["fuzz", "--seconds"],
        ] {
            assert!(seconds_in(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let held = "#2048 pulse\nDone 90 runs in 21 second(s)\nstat::number_of_executed_units: 90\nstat::new: 1\n";
        assert_eq!((inputs(held), artifact(held)), (90, None));
        let found =
            "==1== ERROR: libFuzzer: timeout\nartifact_prefix='a/'; Test unit written to a/timeout-12\nBase64: AA==\n";
        assert_eq!(artifact(found), Some(PathBuf::from("a/timeout-12")));
    }
}
