//! Training steps on the CPU and on the GPU, natively: one JSON object a line, remarks on standard error.
//!
//! Each measurement runs in a process of its own, so that its peak of memory is its own. `cargo xtask bench` runs all;
//! a word behind it picks those whose name (`smollm2-2x64 cpu`) contains it.

use anyhow::{Context, Result, bail};
use lorakeet_bench::{CASES, find, measure};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::host::Host;
use lorakeet_tests::golden::block_on;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

/// Set in the processes that measure: the case and the device.
const RUN: &str = "LORAKEET_BENCH";
const MODEL: &str = "LORAKEET_SMOLLM2";
/// Set where a real GPU is to be measured.
const HARDWARE: &str = "LORAKEET_HARDWARE";
/// Sets how many threads the CPU's kernels use.
const THREADS: &str = "RAYON_NUM_THREADS";

fn main() -> Result<()> {
    match std::env::var(RUN) {
        Ok(words) => run(&words),
        Err(_) => run_all(),
    }
}

/// Runs every measurement that the command line picks, one process after the other.
fn run_all() -> Result<()> {
    // cargo itself passes `--bench`.
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let mut failed = Vec::new();
    for device in ["cpu", "gpu"] {
        // A real model on a software GPU takes minutes a step, and there is no peer to stand beside.
        let takes_models = device == "cpu" || std::env::var_os(HARDWARE).is_some();
        for case in CASES.iter().filter(|case| takes_models || !case.needs_model()) {
            let words = format!("{} {device}", case.name);
            if !words.contains(&filter) {
                continue;
            }
            if case.needs_model() && std::env::var_os(MODEL).is_none() {
                eprintln!("{words}: left out, because {MODEL} names no GGUF file; `cargo xtask bench` fetches it");
                continue;
            }
            let mut command = Command::new(&program);
            command.env(RUN, &words);
            if std::env::var_os(THREADS).is_none() {
                // The peers were measured on two threads.
                command.env(THREADS, "2");
            }
            if !command.status().context("a measurement cannot be started")?.success() {
                failed.push(words);
            }
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("these measurements failed: {}", failed.join(", "))
    }
}

/// Measures once in this process.
fn run(words: &str) -> Result<()> {
    let (case, device) = find(words)?;
    eprintln!("{words}: measuring");
    let measured = block_on(async {
        let model = match std::env::var_os(MODEL).filter(|_| case.needs_model()) {
            Some(path) => Some(ModelFiles::open_path(path).await?),
            None => None,
        };
        measure(case, device, &HOST, model.as_ref(), &mut || ()).await
    });
    let mut measurement = measured.with_context(|| format!("{words} could not be measured"))?;
    measurement.peak_bytes = peak_bytes();
    println!("{}", serde_json::to_string(&measurement)?);
    Ok(())
}

const HOST: Host = Host {
    now_ms,
    yield_now: || Box::pin(std::future::ready(())),
};

fn now_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
}

/// The most memory that this process ever had resident, as Linux counts it: `VmHWM:   123456 kB`.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
