//! How much memory processes take, as Linux tells it, and what it means that it stays flat over a run.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::ops::RangeInclusive;

/// Steps that a soak takes.
pub const STEPS: usize = 2000;
/// Steps after the warm-up, by which every shape has been seen and every pool has its size.
const SETTLED: RangeInclusive<usize> = 300..=800;
/// The last steps, which are compared with them.
const LAST: RangeInclusive<usize> = STEPS - 500..=STEPS;
/// What the last steps may take of what the settled ones took; allocators and collectors wobble by a few percent.
const GROWTH: f64 = 1.05;

/// Whether this system tells what a process takes.
#[must_use]
pub fn is_told() -> bool {
    resident_bytes(std::process::id()).is_some()
}

/// Resident memory of a process; `None` where there is no such process, or no `/proc`.
#[must_use]
pub fn resident_bytes(process: u32) -> Option<u64> {
    of_status(process, "VmRSS:")
}

fn of_status(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

/// The most resident memory that a process ever had; `None` where there is no such process, or no `/proc`.
#[must_use]
pub fn peak_bytes(process: u32) -> Option<u64> {
    of_status(process, "VmHWM:")
}

/// The processes that `root` started, and those that they started, and so on.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = numbers.filter_map(|number| Some((number, parent(number)?))).collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        next += 1;
        let children = parents.iter().filter(|(_, parent)| *parent == process);
        found.extend(children.map(|(child, _)| child));
    }
    found.split_off(1)
}

/// What kind of process it is in a browser: `renderer`, `gpu-process`, `utility`, `zygote`; `browser` for the others.
#[must_use]
pub fn browser_part(process: u32) -> String {
    let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line);
    let part = line.split_once("--type=").map_or("browser", |(_, part)| part);
    // Zeros part the arguments, or blanks where the process wrote its title over them.
    let end = part.find(['\0', ' ']).unwrap_or(part.len());
    part[..end].to_owned()
}

/// The fourth field of `stat`; the second is the program's name in brackets, in which anything may stand.
fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// Holds that memory does not grow with the steps: the median over the last 500 is at most 5% and `allowance_bytes` above
/// that of the steps 300 to 800. `points` are (step, bytes).
///
/// # Errors
/// It grew, or there are not three points in each of the two windows.
pub fn check_flat(what: &str, points: &[(usize, u64)], allowance_bytes: u64) -> Result<()> {
    let median = |window: &RangeInclusive<usize>| -> Result<u64> {
        let mut bytes: Vec<u64> = points
            .iter()
            .filter(|(step, _)| window.contains(step))
            .map(|(_, bytes)| *bytes)
            .collect();
        ensure!(
            bytes.len() >= 3,
            "{what}: only {} measurements in the steps {window:?}",
            bytes.len()
        );
        bytes.sort_unstable();
        Ok(bytes[bytes.len() / 2])
    };
    let (settled, last) = (median(&SETTLED)?, median(&LAST)?);
    let first = points.first().map(|(_, bytes)| *bytes).context("no measurement")?;
    let most = points.iter().map(|(_, bytes)| *bytes).max().context("no measurement")?;
    println!(
        "{what}: {} at the first look, {} in the steps {SETTLED:?}, {} in {LAST:?}, {} at most",
        mib(first),
        mib(settled),
        mib(last),
        mib(most)
    );
    let limit = settled as f64 * GROWTH + allowance_bytes as f64;
    ensure!(
        last as f64 <= limit,
        "{what} grew from {} to {}, and {} are allowed",
        mib(settled),
        mib(last),
        mib(limit as u64)
    );
    Ok(())
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(bytes: impl Fn(usize) -> u64) -> Vec<(usize, u64)> {
        (10..=STEPS).step_by(10).map(|step| (step, bytes(step))).collect()
    }

    #[test]
    fn memory_that_rises_to_its_level_and_wobbles_there_is_flat() {
        let settles = points(|step| 1_000_000 * step.min(250) as u64 + 5_000_000 * (step as u64 / 10 % 3));
        check_flat("a pool", &settles, 0).expect("flat");
    }

    #[test]
    fn a_leak_of_a_few_kilobytes_a_step_is_found() {
        let leaks = points(|step| (100 << 20) + 8192 * step as u64);
        let error = check_flat("a leak", &leaks, 4 << 20).expect_err("it grows");
        assert!(error.to_string().contains("grew from 104.3 MiB"), "{error}");
        assert!(
            check_flat("nothing", &[], 0).is_err(),
            "what was not measured is not flat"
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_knows_its_memory_and_its_children() {
        assert!(is_told());
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("it starts");
        assert!(descendants(std::process::id()).contains(&child.id()));
        assert!(resident_bytes(child.id()).is_some_and(|bytes| bytes > 0));
        assert_eq!(browser_part(child.id()), "browser");
        child.kill().expect("it ends");
        child.wait().expect("it ended");
    }
}
