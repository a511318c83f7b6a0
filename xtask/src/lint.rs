//! The stage `lint`: everything that reads the code without running it, the quickest checks first.

use crate::phase::{Phase, Plan};
use crate::places::{FUZZ_MANIFEST, LAB_PACKAGE, PAGE_PACKAGE, Places, TABLES_PACKAGE, WASM_TARGET, say};
use crate::process::{find, run};
use crate::wasm::{self, Compiler};
use crate::{imports, licences, messages, packages, supported, tree, units};
use anyhow::{Context, Result};

/// Debian's clippy for the compiler that builds wasm there.
const DEBIAN_CLIPPY: &str = "/usr/bin/clippy-driver";

type Check = (&'static str, fn(&Places) -> Result<()>);

/// What takes a second each.
const CHECKS: [Check; 12] = [
    ("formatting", formatting),
    ("file map", |places| tree::check_map(&places.root)),
    ("long files", |places| tree::check_lengths(&places.root)),
    ("machine paths", |places| tree::check_machine_paths(&places.root)),
    ("imports", |places| imports::check(&places.root)),
    ("messages", |places| messages::check(&places.root)),
    ("supported architectures", |places| supported::check(&places.root)),
    ("commands in the documents", |places| tree::check_commands(&places.root)),
    ("pinned dependencies", licences::check_pins),
    ("licences and sources", licences::check_licences),
    ("one build for all commands", units::check_one_build),
    ("clones beside each other", units::check_clone_variable),
];

/// The parts of [`run_checks`].
pub fn phases(places: &Places) -> Vec<Phase> {
    let is_cold = !places.has_compiled(false);
    vec![
        Phase::new("lint: formatting, licences, the file map, the build's units", 10),
        Phase {
            is_cold,
            ..Phase::new("lint: clippy", if is_cold { 180 } else { 60 })
        },
        Phase::new("lint: documentation", 15),
    ]
}

/// Runs every check up to the first that fails.
pub fn run_checks(places: &Places, plan: &mut Plan) -> Result<()> {
    plan.run(|| quick_checks(places))?;
    plan.run(|| clippy(places))?;
    plan.run(|| documentation(places))
}

fn quick_checks(places: &Places) -> Result<()> {
    for (name, check) in CHECKS {
        check(places).with_context(|| format!("the check of {name} failed"))?;
    }
    if find("cargo-deny").is_some() {
        run(places
            .cargo("deny")
            .args(["--all-features", "check", "bans", "licenses", "sources"]))?;
    } else {
        say("lint: cargo-deny is not installed; licences, sources and pins were checked without it");
    }
    Ok(())
}

fn formatting(places: &Places) -> Result<()> {
    run(places.cargo("fmt").args(["--all", "--check"])).context("`cargo fmt --all` puts it right")?;
    let mut targets = places.cargo("fmt");
    targets.args(["--manifest-path", FUZZ_MANIFEST]);
    let repair = format!("`cargo fmt --manifest-path {FUZZ_MANIFEST}` puts it right");
    run(targets.arg("--check")).context(repair)
}

fn clippy(places: &Places) -> Result<()> {
    for packages in [["--release"].as_slice(), &["--package", "xtask"]] {
        let mut command = places.cargo("clippy");
        command.args(["--locked", "--all-targets"]).args(packages);
        run(command.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

fn documentation(places: &Places) -> Result<()> {
    let mut command = places.cargo("doc");
    command.args(["--locked", "--release", "--no-deps"]);
    run(command.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Installs clippy for the compiler of the page where that is Debian's.
pub fn ensure_clippy_for_wasm() -> Result<()> {
    if wasm::compiler()? == Compiler::Usual {
        return Ok(());
    }
    let otherwise = "With rustup's wasm target it is not needed.";
    packages::install(&["rust-web-clippy"], "linting the page", otherwise)
}

/// The page, its worker, the bench's and what opens spreadsheets, as they are compiled for the browser.
///
/// This compiles them once more, quickly, beside the dependencies that the page has compiled: `cargo clippy` would check
/// all dependencies first, which takes minutes and serves nothing else here.
pub fn clippy_for_wasm(places: &Places) -> Result<()> {
    ensure_clippy_for_wasm()?;
    let compiler = wasm::compiler()?;
    let page = [PAGE_PACKAGE, LAB_PACKAGE];
    let bench = format!("{PAGE_PACKAGE}/bench");
    clippy_of(places, compiler, &page, Some(&bench))?;
    // By itself: beside the page it would have the page's dependencies compiled with its features.
    clippy_of(places, compiler, &[TABLES_PACKAGE], None)
}

fn clippy_of(places: &Places, compiler: Compiler, packages: &[&str], features: Option<&str>) -> Result<()> {
    let mut command = places.cargo("build");
    compiler.apply(&mut command);
    command.args([
        "--quiet",
        "--locked",
        "--profile",
        "web",
        "--target",
        WASM_TARGET,
        "--bins",
    ]);
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    command.args(features.into_iter().flat_map(|features| ["--features", features]));
    command
        // What is handed out stays as the other commands compiled it.
        .env("CARGO_TARGET_DIR", places.target.join("clippy"))
        // This is how `cargo clippy` hands its driver the arguments.
        .env("CLIPPY_ARGS", "--deny__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    command.env(
        "RUSTC_WORKSPACE_WRAPPER",
        match compiler {
            Compiler::Usual => "clippy-driver",
            Compiler::Debian => DEBIAN_CLIPPY,
        },
    );
    for package in ["lorakeet-core", "lorakeet-shaders", LAB_PACKAGE, PAGE_PACKAGE] {
        command.args(["--config", &format!("profile.web.package.{package}.opt-level=0")]);
    }
    run(&mut command)
}
