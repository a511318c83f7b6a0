//! `cargo xtask bench`: builds and runs the bench programs, which print JSON on their standard output.

use crate::places::{Places, say};
use crate::process::run;
use crate::test::{native_environment, web_environment};
use crate::{datasets, lessons, models, page};
use anyhow::{Result, bail};

/// What the command line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish<'a> {
    /// The programs whose names start with `web`, which measure in a browser, in place of the native ones.
    browser: bool,
    /// On this machine's own GPU, in place of the software driver and the software adapter that tests take.
    hardware: bool,
    /// Only measurements whose names contain this.
    word: Option<&'a str>,
}

impl<'a> Wish<'a> {
    /// Reads `[--browser] [--hardware] [WORD]`.
    pub fn read(words: &[&'a str]) -> Result<Self> {
        let mut rest = words;
        let mut take = |flag: &str| {
            let is_there = rest.first() == Some(&flag);
            rest = &rest[usize::from(is_there)..];
            is_there
        };
        let (browser, hardware) = (take("--browser"), take("--hardware"));
        let word = match rest {
            [] => None,
            [word] if !word.starts_with('-') => Some(*word),
            _ => bail!(
                "`bench` takes [--browser] [--hardware] [WORD], not `{}`",
                words.join(" ")
            ),
        };
        Ok(Self {
            browser,
            hardware,
            word,
        })
    }
}

/// Programs that take so long that they run only when they are named. They are told their name, and perhaps a part of them
/// behind it (`results-lee`).
const ONLY_WHEN_NAMED: [&str; 3] = ["quality", "results", "lessons"];

/// Runs the bench programs; of a word that is the name of one, that one alone.
pub fn run_all(places: &Places, wish: Wish) -> Result<()> {
    let Wish {
        browser,
        hardware,
        word,
    } = wish;
    let named = |name: &str| {
        let is_slow = ONLY_WHEN_NAMED.contains(&name);
        word.is_some_and(|word| word == name || is_slow && word.starts_with(name))
    };
    let all = bench_programs(places)?;
    let alone = all.iter().find(|name| named(name)).map(String::as_str);
    let is_wanted = |name: &&String| {
        let is_right = alone.map_or(!ONLY_WHEN_NAMED.contains(&name.as_str()), |alone| *name == alone);
        is_right && name.starts_with("web") == browser
    };
    let names: Vec<&String> = all.iter().filter(is_wanted).collect();
    let word = word.filter(|_| alone.is_none_or(|alone| ONLY_WHEN_NAMED.contains(&alone)));
    if names.is_empty() {
        bail!(
            "there is no {} bench program",
            if browser { "browser" } else { "native" }
        );
    }
    let mut command = places.cargo("bench");
    command.arg("--locked");
    for name in &names {
        command.args(["--bench", name]);
    }
    if let Some(word) = word {
        command.args(["--", word]);
    }
    if hardware {
        command.env("LORAKEET_HARDWARE", "1");
    }
    if browser {
        let folder = page::build_bench(places)?;
        web_environment(&mut command, &folder)?;
    } else {
        if !hardware {
            native_environment(&mut command, places)?;
        }
        match models::smollm2(places) {
            Ok(model) => drop(command.env("LORAKEET_SMOLLM2", model)),
            Err(error) => say(format!("benches of SmolLM2 cannot run: {error:#}")),
        }
        // Only these need real data, which are fetched for nothing else.
        if alone == Some("results") {
            command.env("LORAKEET_MINILM", models::minilm(places)?);
            command.env("LORAKEET_DATASETS", datasets::folder(places)?);
        }
        if alone == Some("lessons") {
            command.env("LORAKEET_LESSONS", lessons::fetch_all(places)?);
        }
    }
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    say(format!("benches: {}", names.join(", ")));
    run(&mut command)
}

/// The names of the workspace's bench programs.
fn bench_programs(places: &Places) -> Result<Vec<String>> {
    let packages = places.own_packages()?;
    let targets = packages
        .iter()
        .filter_map(|package| package["targets"].as_array())
        .flatten();
    let mut names: Vec<String> = targets
        .filter(|target| target["kind"][0] == "bench")
        .filter_map(|target| target["name"].as_str())
        .map(String::from)
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_picks_measurements_with_and_without_the_browser() {
        let wish = |browser, hardware, word| Wish {
            browser,
            hardware,
            word,
        };
        let read = |words: &[&'static str]| Wish::read(words).unwrap();
        assert_eq!(read(&[]), wish(false, false, None));
        assert_eq!(read(&["mlp"]), wish(false, false, Some("mlp")));
        assert_eq!(read(&["--browser"]), wish(true, false, None));
        assert_eq!(read(&["--hardware", "mlp"]), wish(false, true, Some("mlp")));
        assert_eq!(read(&["--browser", "--hardware"]), wish(true, true, None));
    }

    #[test]
    fn flags_that_do_not_exist_are_refused_by_name() {
        for words in [["--brwoser"].as_slice(), &["mlp", "--browser"]] {
            let error = Wish::read(words).unwrap_err().to_string();
            assert!(error.contains(words[0]), "{error}");
        }
    }
}
