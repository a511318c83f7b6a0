//! The stage `lint`: everything that reads the code without running it, the quickest checks first.

use crate::places::{Places, say};
use crate::process::{find, run};
use crate::test::{PAGE_PACKAGE, Targets};
use crate::wasm::{self, Compiler};
use crate::{licences, packages, tree};
use anyhow::{Context, Result};
use std::time::Instant;

/// Debian's clippy for the compiler that builds wasm there.
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

type Check = (&'static str, fn(&Places) -> Result<()>);

const CHECKS: [Check; 8] = [
    ("formatting", formatting),
    ("file map", |places| tree::check_map(&places.root)),
    ("machine paths", |places| tree::check_machine_paths(&places.root)),
    ("commands in the documents", |places| tree::check_commands(&places.root)),
    ("pinned dependencies", licences::check_pins),
    ("licences and sources", licences::check_licences),
    ("clippy", clippy),
    ("documentation", documentation),
];

/// Runs every check up to the first that fails.
pub fn run_checks(places: &Places) -> Result<()> {
    for (name, check) in CHECKS {
        let start = Instant::now();
        check(places).with_context(|| format!("the check of {name} failed"))?;
        say(format!("lint: {name}: ok ({:.1} s)", start.elapsed().as_secs_f64()));
    }
    if find("cargo-deny").is_some() {
        run(places
            .cargo("deny")
            .args(["--all-features", "check", "bans", "licenses", "sources"]))?;
        say("lint: cargo deny: ok");
    } else {
        say("lint: cargo-deny is not installed; licences, sources and pins were checked without it");
    }
    Ok(())
}

fn formatting(places: &Places) -> Result<()> {
    run(places.cargo("fmt").args(["--all", "--check"])).context("`cargo fmt --all` puts it right")
}

fn clippy(places: &Places) -> Result<()> {
    let mut command = places.cargo("clippy");
    command
        .args(["--quiet", "--release", "--all-targets"])
        .args(Targets::read(places)?.arguments());
    run(command.args(["--", "--deny", "warnings"]))
}

fn documentation(places: &Places) -> Result<()> {
    let mut command = places.cargo("doc");
    command
        .args(["--quiet", "--release", "--no-deps"])
        .args(Targets::read(places)?.arguments());
    run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// The page, its worker and the bench's, as they are compiled for the browser.
pub fn clippy_for_wasm(places: &Places) -> Result<()> {
    let compiler = wasm::compiler()?;
    let mut command = match compiler {
        Compiler::Usual => places.cargo("clippy"),
        Compiler::Debian => {
            packages::install(
                &["rust-web-clippy"],
                "linting the page",
                "With rustup's wasm target it is not needed.",
            )?;
            // `cargo clippy` would bring the other toolchain's driver; this is how it hands a driver its arguments.
            let mut command = places.cargo("check");
            command.env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY);
            command.env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
            command
        }
    };
    compiler.apply(&mut command, places);
    command.args(["--quiet", "--locked", "--profile", "web", "--target", wasm::TARGET]);
    command.args(["--package", PAGE_PACKAGE, "--features", "bench", "--bins"]);
    if compiler == Compiler::Usual {
        command.args(["--", "--deny", "warnings"]);
    }
    run(&mut command)
}
