//! Building the page, and showing it; building what measures the engine in a browser.

use crate::phase::{Phase, Plan};
use crate::places::{LAB_PACKAGE, PAGE_PACKAGE, Places, TABLES_PACKAGE, WASM_TARGET, say};
use crate::process::{find, run};
use crate::{bundle, packages, serve, wasm};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// How large the page may be in brotli before its engine; it holds all that the engine can say, pictures too, in every language.
const PAGE_BYTES: usize = 1_100_000;
/// What the lab loads before its engine, and how large that may be in brotli.
const LAB: [&str; 8] = [
    "embed.html",
    "embed.js",
    "lab_page.js",
    "lesson.js",
    "lesson_bg.wasm",
    "tokens.css",
    "parts.css",
    "lab.css",
];
const LAB_BYTES: usize = 150_000;
/// The shell of the widget, all that a page with a lab loads before somebody presses Start, and how large it may be in brotli.
const SHELL: (&str, usize) = ("lab.js", 12_000);

/// What opens spreadsheets, Parquet files and archives, which is loaded when there is one: how its files begin, and how large they
/// may be in brotli.
const TABLES: (&str, usize) = ("tables", 600_000);

/// The parts of [`build`].
pub fn phases(places: &Places) -> Vec<Phase> {
    let is_cold = !places.has_compiled(true);
    vec![
        Phase::new("find a compiler for WebAssembly", if wasm::is_ready() { 1 } else { 60 }),
        Phase {
            is_cold,
            ..Phase::new("compile the engine for the browser", if is_cold { 600 } else { 60 })
        },
        Phase::new("compile the page", 60),
        Phase::new("compile what opens spreadsheets", if is_cold { 90 } else { 20 }),
        Phase::new("compile the lab", 40),
        Phase::new("generate the JavaScript bindings", 20),
    ]
}

/// Builds the page in release and returns its folder.
pub fn build(places: &Places, plan: &mut Plan) -> Result<PathBuf> {
    let dist = places.dist();
    let compiler = plan.run(wasm::compiler)?;
    plan.run(|| compile(places, compiler, "web", PAGE_PACKAGE, "worker", Some("engine")))?;
    plan.run(|| compile(places, compiler, "web", PAGE_PACKAGE, "app", None))?;
    plan.run(|| compile(places, compiler, "web", TABLES_PACKAGE, "tables", None))?;
    plan.run(|| compile(places, compiler, "lab", LAB_PACKAGE, "lesson", None))?;
    plan.run(|| {
        let lesson = places.target.join(WASM_TARGET).join("lab/lesson.wasm");
        let beside = programs(places).join("lesson.wasm");
        std::fs::copy(&lesson, beside).with_context(|| format!("{} cannot be copied", lesson.display()))?;
        bundle::lay_out(&places.root, &programs(places), &dist)
    })?;
    Ok(dist)
}

/// Compiles a program for the browser in a profile of the workspace, with a feature of its package or without. What those of
/// the page have in common is compiled once.
fn compile(
    places: &Places,
    compiler: wasm::Compiler,
    profile: &str,
    package: &str,
    program: &str,
    feature: Option<&str>,
) -> Result<()> {
    let mut build = places.cargo("build");
    build
        .args(["--locked", "--profile", profile, "--target", WASM_TARGET])
        .args(["--package", package, "--bin", program]);
    build.args(feature.into_iter().flat_map(|feature| ["--features", feature]));
    compiler.apply(&mut build);
    run(&mut build).with_context(|| format!("`{program}` could not be compiled"))
}

/// Where cargo puts the programs for the browser.
fn programs(places: &Places) -> PathBuf {
    places.target.join(WASM_TARGET).join("web")
}

/// Builds the worker of the browser's bench, which is no part of the page, and returns the folder that starts it.
pub fn build_bench(places: &Places) -> Result<PathBuf> {
    compile(places, wasm::compiler()?, "web", PAGE_PACKAGE, "bench", Some("bench"))?;
    let folder = places.target.join("bench");
    bundle::bind(&programs(places).join("bench.wasm"), "bench", &folder)?;
    for path in [
        "app/bench/index.html",
        "app/bench/worker.js",
        "app/bench/count.js",
        "public/webgpu.js",
    ] {
        let from = places.root.join(path);
        let name = from.file_name().unwrap_or_default();
        std::fs::copy(&from, folder.join(name)).with_context(|| format!("{} cannot be copied", from.display()))?;
    }
    Ok(folder)
}

/// Installs the program `brotli` where it is missing.
pub fn ensure_brotli() -> Result<()> {
    if find("brotli").is_some() {
        return Ok(());
    }
    packages::install(&["brotli"], "measuring the page", "Install the program brotli.")
}

/// The page's own code, without the engine that its worker loads, stays small enough to be there at once.
pub fn check_size(dist: &Path) -> Result<()> {
    ensure_brotli()?;
    let (mut total, mut tables) = (0, 0);
    let entries = std::fs::read_dir(dist).with_context(|| format!("cannot read {}", dist.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of_page = [".html", ".js", ".css", ".wasm", ".svg"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if of_page && name.starts_with(TABLES.0) {
            tables += packed_bytes(&path)?;
        } else if of_page && !name.starts_with("worker") && name != SHELL.0 && !LAB.contains(&&*name) {
            total += packed_bytes(&path)?;
        }
    }
    say(format!("the page without its engine: {} KB in brotli", total / 1000));
    if total == 0 || total > PAGE_BYTES {
        bail!("the page without its engine is {total} bytes in brotli; it may be {PAGE_BYTES} at most");
    }
    say(format!("what opens spreadsheets: {} KB in brotli", tables / 1000));
    if tables == 0 || tables > TABLES.1 {
        bail!(
            "what opens spreadsheets is {tables} bytes in brotli; it may be {} at most",
            TABLES.1
        );
    }
    let mut lab = 0;
    for name in LAB {
        lab += packed_bytes(&dist.join(name))?;
    }
    say(format!("the lab without its engine: {lab} bytes in brotli"));
    if lab > LAB_BYTES {
        bail!("the lab without its engine is {lab} bytes in brotli; it may be {LAB_BYTES} at most");
    }
    let (name, most) = SHELL;
    let bytes = packed_bytes(&dist.join(name))?;
    say(format!("{name}: {bytes} bytes in brotli"));
    if bytes == 0 || bytes > most {
        bail!("{name} is {bytes} bytes in brotli; it may be {most} at most");
    }
    Ok(())
}

/// How large a file is in brotli; nothing where it is missing.
fn packed_bytes(path: &Path) -> Result<usize> {
    let mut brotli = Command::new("brotli");
    let packed = brotli.args(["--best", "--stdout", "--"]).arg(path).output()?;
    Ok(packed.stdout.len())
}

/// Where trunk and wasm-bindgen are on the PATH, builds the page with them, too, and holds that it is the same.
pub fn compare_with_trunk(places: &Places, dist: &Path) -> Result<()> {
    if find("trunk").is_none() || find("wasm-bindgen").is_none() {
        say("trunk or wasm-bindgen is not on the PATH: the page is not compared with trunk's");
        return Ok(());
    }
    let theirs = places.target.join("trunk");
    let mut command = Command::new("trunk");
    command
        .current_dir(&places.root)
        .args(["build", "--release", "--cargo-profile", "web", "--dist"])
        .arg(&theirs);
    wasm::compiler()?.apply(&mut command);
    // Found by trunk's rules, `NO_COLOR=1` (a common setting) is no truth value to it.
    run(command.env_remove("NO_COLOR")).context("trunk could not build the page")?;
    bundle::compare(dist, &theirs)?;
    say("trunk builds the same page");
    Ok(())
}

/// Builds the page and serves it until interrupted.
pub fn demo(places: &Places, port: Option<u16>) -> Result<()> {
    // The port is taken first: it is better to hear of a taken one before the build than after it.
    let listener = serve::listen(port)?;
    let dist = build(places, &mut Plan::start(places, phases(places)))?;
    let address = listener.local_addr()?;
    println!("Lorakeet is at http://{address}/ (Ctrl-C ends it)");
    serve::forever(&listener, &dist);
    Ok(())
}
