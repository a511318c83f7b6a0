//! Lorakeet's set-up and its two commands: `cargo xtask demo` shows the page, `cargo xtask test` checks everything.
//!
//! This program brings a fresh machine to where the workspace builds (the wasm target, a browser, a software Vulkan driver,
//! packaged test data), says what it does part by part, and skips what is already there. It depends on little (wasm-bindgen
//! is the largest), so that it compiles in half a minute. It knows no tensor and no browser protocol: those live in `core`
//! and `tests`.

mod axe;
mod bench;
mod bundle;
mod datasets;
mod files;
mod fuzz;
mod hosts;
mod imports;
mod interop;
mod lessons;
mod licences;
mod lint;
mod messages;
mod models;
mod npm;
mod one_file;
mod package;
mod packages;
mod page;
mod phase;
mod places;
mod pretrain;
mod process;
mod pypi;
mod serve;
mod setup;
mod stage;
mod supported;
mod test;
mod texts;
mod tree;
mod units;
mod wasm;

use anyhow::{Context, Result, bail};
use places::Places;
use std::process::ExitCode;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

const USAGE: &str = "\
cargo xtask demo [--port N]      build the page in release and serve it on loopback (port 8080 or the next free one)
cargo xtask test [STAGE...]      run the stages lint to web, or only the named ones:
    lint       formatting, clippy, documentation, licences, the file map, long files, stray machine paths
    native     unit and integration tests on the CPU and on Vulkan
    golden     numbers of the reference stack (folder: LORAKEET_GOLDEN, else tests/golden)
    hostile    whole sessions and every reader on broken files; when named, each file is broken 3000 times (LORAKEET_HOSTILE_ROUNDS)
    models     SmolLM2-135M and all-MiniLM-L6-v2 from their packages
    web        the page in a real Chromium, with WebGPU on its software adapter and without
    browsers   every lesson and whole journeys through the page in Firefox ESR, WebKitGTK and Chromium, hours (only when named)
    hosts      the lab in a page of another site, an mdBook, a Jupyter notebook and a Vite app (only when named; needs npm)
    soak       two thousand steps on the CPU, on Vulkan and in Chromium, with memory watched (only when named)
    endurance  runs killed, closed, without a GPU or room again and again, natively and in three browsers (only when named)
    interop    exports in transformers, PEFT, sentence-transformers, llama.cpp, MLX and wllama, which it installs in the cache, 6 GB (only when named; needs npm)
    fuzz       libFuzzer on every reader, 20 seconds each, --seconds N for others (only when named; needs a C++ compiler)
cargo xtask bench [--browser] [--hardware] [WORD]
                                 measure training steps natively or in a real Chromium, all or those whose name contains
                                 the word (`mlp gpu`, `smollm2-2x64 cpu`); JSON on standard output, one object a line;
                                 `quality` and `results` print the tables of docs/quality.md and docs/results.md
cargo xtask build                build the page in release and say where it lies
cargo xtask package              the same, and say where the npm package and the lab as one file lie
cargo xtask setup                install what the commands above need, and nothing else
cargo xtask texts                make the bundled data sets again, and the text that the bundled model is trained on
cargo xtask pretrain [--steps N] [--out DIR]
                                 make the bundled model again: text, training, weights as f16, score and sample;
                                 a trial has few steps and a folder other than public/model
cargo xtask record-lessons [ID...]
                                 train the runs of the lessons on the CPU and write public/lessons/ID.recording.json, all or
                                 the named ones; the list public/lessons/index.json gets their titles and minutes

Environment:
    LORAKEET_CACHE     where fetched packages are kept (default: the user's cache folder + /lorakeet)
    CARGO_BUILD_BUILD_DIR
                       where everything is compiled (default: cargo's folder + /lorakeet-build)
    LORAKEET_GOLDEN    the folder of golden cases
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nxtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(words: &[String]) -> Result<ExitCode> {
    let Some((command, rest)) = words.split_first() else {
        print!("{USAGE}");
        return Ok(ExitCode::FAILURE);
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match command.as_str() {
        "demo" => page::demo(&Places::find()?, port(&rest)?)?,
        "test" => return test::run_stages(&Places::find()?, &rest),
        "bench" => {
            let wish = bench::Wish::read(&rest)?;
            bench::run_all(&Places::find()?, wish)?;
        }
        "build" | "package" => {
            nothing_more(command, &rest)?;
            let places = Places::find()?;
            let dist = package::build(&places, &mut phase::Plan::start(&places, package::phases(&places)))?;
            let folder = if command == "build" {
                dist
            } else {
                package::folder(&dist)
            };
            println!("{}", folder.display());
        }
        "setup" => {
            nothing_more(command, &rest)?;
            setup::everything(&Places::find()?)?;
        }
        "texts" => {
            nothing_more(command, &rest)?;
            write_texts(&Places::find()?)?;
        }
        "pretrain" => {
            let options = pretrain::Options::read(&rest)?;
            pretrain::make_model(&Places::find()?, &options)?;
        }
        "record-lessons" => record_lessons(&Places::find()?, &rest)?,
        "help" | "--help" | "-h" => print!("{USAGE}"),
        other => bail!("there is no command `{other}`\n\n{USAGE}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// The fine-tuning sets go to `public/data`, the text for pretraining to the cache.
fn write_texts(places: &Places) -> Result<()> {
    let packages = places.packages();
    for (name, text) in texts::fine_tuning_sets(&packages)? {
        let path = places.root.join("public/data").join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{}", path.display());
    }
    println!("{}", texts::write_pretraining_rows(&packages)?.display());
    Ok(())
}

/// The runs of lessons go to `public/lessons`.
fn record_lessons(places: &Places, ids: &[&str]) -> Result<()> {
    if let Some(flag) = ids.iter().find(|id| id.starts_with('-')) {
        bail!("`record-lessons` takes ids of lessons, not `{flag}`");
    }
    let mut command = places.cargo("run");
    command.args(["--release", "--locked", "--example", "record_lessons", "--"]);
    process::run(command.args(ids))
}

fn nothing_more(command: &str, rest: &[&str]) -> Result<()> {
    if rest.is_empty() {
        Ok(())
    } else {
        bail!("`{command}` takes no arguments, not `{}`", rest.join(" "))
    }
}

/// The port of `--port N` or `--port=N`; `None` leaves the choice to us.
fn port(rest: &[&str]) -> Result<Option<u16>> {
    let text = match rest {
        [] => return Ok(None),
        ["--port", text] => text,
        [word] if word.starts_with("--port=") => &word["--port=".len()..],
        _ => bail!("`demo` takes `--port N` or nothing, not `{}`", rest.join(" ")),
    };
    match text.parse() {
        Ok(0) | Err(_) => bail!("--port takes a number from 1 to 65535, not `{text}`"),
        Ok(port) => Ok(Some(port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_read_in_both_spellings() {
        assert_eq!(port(&["--port", "9000"]).unwrap(), Some(9000));
        assert_eq!(port(&["--port=9000"]).unwrap(), Some(9000));
        assert_eq!(port(&[]).unwrap(), None);
    }

    #[test]
    fn an_impossible_port_is_refused_by_its_value() {
        for text in ["0", "65536", "http"] {
            let error = port(&["--port", text]).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_unknown_command_is_named_in_the_error() {
        let error = dispatch(&["dmeo".to_string()]).unwrap_err().to_string();
        assert!(error.contains("dmeo"), "{error}");
    }
}
