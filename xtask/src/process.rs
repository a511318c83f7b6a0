//! Running other programs: loudly, quietly, or with the closing lines of test runners counted.

use anyhow::{Context, Result, bail};
use std::cmp::Reverse;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a test writes before a figure that is worth reading again at the end.
const FIGURE: &str = "endurance: ";

/// What test runners said at their ends, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that held.
    pub passed: u64,
    /// Tests that did not.
    pub failed: u64,
    /// Closing lines seen.
    pub runners: u64,
    /// The figures that tests wrote.
    pub figures: Vec<String>,
    /// The names of the tests that failed, as the last runner listed them.
    pub failures: Vec<String>,
    /// Whether the lines being read are such a list.
    lists: bool,
    /// How long each test took, of runners that run one at a time: from the line before its own to its own.
    pub seconds: Vec<(String, Duration)>,
    /// When the last such line came, or the runner began.
    last: Option<Instant>,
}

impl Tally {
    /// Adds a line if it closes a run of cargo's test harness: `test result: ok. 12 passed; 0 failed; ...`, or has a figure,
    /// behind the test's name where the harness left the line open.
    fn read(&mut self, line: &str, now: Instant) {
        self.clock(line, now);
        if let Some((_, figure)) = line.split_once(FIGURE) {
            self.figures.push(figure.trim_end().to_owned());
        }
        // The harness prints the word twice: above what the tests wrote, and above their names.
        if line.trim_end() == "failures:" {
            self.lists = true;
            self.failures.clear();
            return;
        }
        if self.lists {
            match line.strip_prefix("    ") {
                Some(name) if !name.trim().contains(' ') => self.failures.push(name.trim().to_owned()),
                _ => self.lists = self.failures.is_empty() && line.trim().is_empty(),
            }
        }
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| -> u64 {
            let before = rest.split(what).next().unwrap_or_default().trim_end();
            before
                .rsplit(|c: char| !c.is_ascii_digit())
                .next()
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
        self.runners += 1;
    }

    /// Takes the time of a test at its line, `test NAME ... ok`; `running 12 tests` starts the clock.
    fn clock(&mut self, line: &str, now: Instant) {
        let line = line.trim_end();
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.last = Some(now);
        }
        let name = line.strip_prefix("test ").and_then(|rest| {
            let (name, result) = rest.split_once(" ... ")?;
            (result == "ok" || result == "FAILED").then_some(name)
        });
        if let (Some(name), Some(last)) = (name, self.last) {
            self.seconds.push((name.to_owned(), now.duration_since(last)));
            self.last = Some(now);
        }
    }

    /// The slowest tests in a sentence, of a stage that runs one at a time; none where there was no test.
    pub fn slowest(&self, most: usize) -> Option<String> {
        let mut tests: Vec<&(String, Duration)> = self.seconds.iter().collect();
        tests.sort_by_key(|test| Reverse(test.1));
        let sum = |tests: &[&(String, Duration)]| tests.iter().map(|(_, time)| *time).sum::<Duration>().as_secs_f64();
        let (all, count) = (sum(&tests), tests.len());
        tests.truncate(most);
        let named: Vec<String> = tests
            .iter()
            .map(|(name, time)| format!("{name} {:.0} s", time.as_secs_f64()))
            .collect();
        (count > 0).then(|| {
            format!(
                "{count} tests took {all:.0} s, of which the {} slowest took {:.0} s: {}",
                named.len(),
                sum(&tests),
                named.join(", ")
            )
        })
    }
}

/// Runs a program with its output shown; anything but success is an error that names the command line.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| cannot_start(command))?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{}` ended with {status}", line(command))
    }
}

/// Runs a program and returns what it printed; on failure the error carries what it complained of.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` ended with {}: {}", line(command), output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a test runner, passes its output on and counts its closing lines.
pub fn run_counted(command: &mut Command, tally: &mut Tally) -> Result<()> {
    run_counted_into(command, tally, &mut std::io::stdout())
}

/// The same with the output passed on to `out`.
pub fn run_counted_into(command: &mut Command, tally: &mut Tally, out: &mut dyn Write) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let pipe = child.stdout.take().context("the runner has no output to read")?;
    let mut reader = BufReader::new(pipe);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        out.write_all(&bytes)?;
        out.flush()?;
        tally.read(&String::from_utf8_lossy(&bytes), Instant::now());
        bytes.clear();
    }
    let status = child.wait()?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{}` ended with {status}", line(command))
    }
}

/// The path of a program on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| [dir.join(program), dir.join(format!("{program}.exe"))])
        .find(|candidate| candidate.is_file())
}

/// The command line as a person would type it, without its environment.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!(
        "cannot start `{}`; is it installed and on PATH?",
        command.get_program().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tally: &mut Tally, line: &str) {
        tally.read(line, Instant::now());
    }

    #[test]
    fn closing_lines_are_added_up_and_other_lines_are_not() {
        let mut tally = Tally::default();
        read(
            &mut tally,
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        read(
            &mut tally,
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.0s",
        );
        read(
            &mut tally,
            "the words 99 passed; 99 failed appear in a test's own output",
        );
        assert_eq!(
            tally,
            Tally {
                passed: 15,
                failed: 2,
                runners: 2,
                ..Tally::default()
            }
        );
    }

    #[test]
    fn tests_that_failed_are_known_by_name() {
        let mut tally = Tally::default();
        let said = "test page::one ... FAILED\ntest page::two ... ok\n\nfailures:\n\n---- page::one stdout ----\n    at ./some/where.c:12:8\n\n\
                    failures:\n    page::one\n    page::three\n\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        for line in said.lines() {
            read(&mut tally, line);
        }
        assert_eq!(tally.failures, ["page::one", "page::three"]);
        assert_eq!((tally.passed, tally.failed), (1, 2));
    }

    #[test]
    fn a_test_takes_the_time_since_the_line_before_its_own() {
        let (mut tally, start) = (Tally::default(), Instant::now());
        let said = [
            (0, "test compiled ... ok"),
            (5, "running 3 tests"),
            (7, "test page::one ... ok"),
            (8, "a word of a test ... ok"),
            (19, "test page::two ... FAILED"),
            (19, "test page::three ... ignored"),
            (20, "test page::four ... ok"),
        ];
        for (second, line) in said {
            tally.read(line, start + Duration::from_secs(second));
        }
        assert_eq!(
            tally.slowest(2).unwrap(),
            "3 tests took 15 s, of which the 2 slowest took 14 s: page::two 12 s, page::one 2 s"
        );
        assert_eq!(Tally::default().slowest(2), None);
    }

    #[test]
    fn figures_are_kept_without_the_name_of_their_test() {
        let mut tally = Tally::default();
        read(
            &mut tally,
            "test endurance::a_run_is_killed ... endurance: 50 kills; 12 s\n",
        );
        read(&mut tally, "endurance: 20 closed tabs");
        read(&mut tally, "test endurance::another ... ok");
        assert_eq!(tally.figures, ["50 kills; 12 s", "20 closed tabs"]);
        assert_eq!(tally.runners, 0);
    }

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = run(Command::new("cargo").args(["--list", "--no-such-flag"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("cargo --list --no-such-flag"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_said_to_be_missing() {
        let error = run(&mut Command::new("lorakeet-no-such-program"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("lorakeet-no-such-program"), "{error}");
    }
}
