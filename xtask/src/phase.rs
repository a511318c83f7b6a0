//! What a command does, part by part: each says what it is, how long it took, and what is left.
//!
//! How long a part takes on this machine is kept in the cache after the first time; before that it is reckoned from what it
//! took on two quiet cores, of which a third does not get shorter with more of them.

use crate::places::{Places, say};
use anyhow::Result;
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The part of a build's time that more cores do not shorten: a chain of packages, each of which waits for the one before.
const SERIAL: f64 = 1.0 / 3.0;
/// The cores of the machine that the table's times are from.
const MEASURED_CORES: f64 = 2.0;

/// What is left of a longer time after a shorter one.
const FORGOTTEN: f64 = 0.7;

/// One part of a command's work.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    /// Its name, also where its time is kept.
    pub name: &'static str,
    /// Seconds on two cores.
    pub seconds: u64,
    /// Whether it compiles burn first, so that its time says nothing about the next one.
    pub is_cold: bool,
}

impl Phase {
    /// A part with nothing to compile first.
    pub fn new(name: &'static str, seconds: u64) -> Self {
        Self {
            name,
            seconds,
            is_cold: false,
        }
    }
}

/// The parts that are still to come.
pub struct Plan {
    phases: Vec<Phase>,
    next: usize,
    times: Times,
}

impl Plan {
    /// Says what is going to be done, and how long it should take.
    pub fn start(places: &Places, phases: Vec<Phase>) -> Self {
        let plan = Self {
            phases,
            next: 0,
            times: Times::read(places),
        };
        let cores = cores();
        let cold = if plan.phases.iter().any(|phase| phase.is_cold) {
            "; the tensor library is compiled from source, once a machine"
        } else {
            ""
        };
        say(format!(
            "{} steps, about {} on {cores} {}{cold}",
            plan.phases.len(),
            spoken(plan.left()),
            if cores == 1 { "core" } else { "cores" }
        ));
        plan
    }

    /// Does the next part.
    ///
    /// # Errors
    /// Those of the part.
    pub fn run<T>(&mut self, part: impl FnOnce() -> Result<T>) -> Result<T> {
        let (number, count) = (self.next + 1, self.phases.len());
        let phase = self.phases[self.next];
        say(format!(
            "[{number}/{count}] {}: about {}",
            phase.name,
            spoken(self.times.expected(phase))
        ));
        let start = Instant::now();
        let value = part()?;
        let took = start.elapsed();
        self.next += 1;
        self.times.keep(phase, took);
        let left = self.left();
        let rest = if self.next == count {
            String::new()
        } else {
            format!("; about {} left", spoken(left))
        };
        say(format!("[{number}/{count}] {}: {}{rest}", phase.name, spoken(took)));
        Ok(value)
    }

    fn left(&self) -> Duration {
        self.phases[self.next..]
            .iter()
            .map(|phase| self.times.expected(*phase))
            .sum()
    }
}

/// How long parts took the last time.
struct Times {
    file: PathBuf,
    seconds: Map<String, Value>,
}

impl Times {
    fn read(places: &Places) -> Self {
        let file = places.cache.join("times.json");
        // A lost or broken file costs only the better guess.
        let seconds = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { file, seconds }
    }

    fn expected(&self, phase: Phase) -> Duration {
        let known = self.seconds.get(phase.name).filter(|_| !phase.is_cold);
        known
            .and_then(Value::as_f64)
            .filter(|seconds| seconds.is_finite() && *seconds >= 0.0)
            .map_or_else(|| on_cores(phase.seconds, cores()), Duration::from_secs_f64)
    }

    fn keep(&mut self, phase: Phase, took: Duration) {
        if phase.is_cold {
            return;
        }
        // A build with nothing to do says little about the next one, so a longer time is forgotten slowly.
        let before = self.seconds.get(phase.name).and_then(Value::as_f64).unwrap_or(0.0);
        let kept = took.as_secs_f64().max(FORGOTTEN * before);
        self.seconds.insert(phase.name.into(), kept.into());
        // The same: nothing depends on it.
        let _ = serde_json::to_vec_pretty(&self.seconds).map(|bytes| std::fs::write(&self.file, bytes));
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What takes `seconds` on two cores, on another number of them.
fn on_cores(seconds: u64, cores: usize) -> Duration {
    let share = SERIAL + (1.0 - SERIAL) * MEASURED_CORES / cores as f64;
    Duration::from_secs_f64(seconds as f64 * share)
}

/// `8 s`, `2 min`, `1 h 5 min`.
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..100 => format!("{seconds} s"),
        100..3600 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cores_shorten_all_but_a_third() {
        assert_eq!(on_cores(90, 2), Duration::from_secs(90));
        assert_eq!(on_cores(90, 1), Duration::from_secs(150));
        assert_eq!(on_cores(90, 4), Duration::from_secs(60));
    }

    #[test]
    fn times_are_spoken_in_the_unit_that_fits() {
        let spoken = |seconds| spoken(Duration::from_secs(seconds));
        assert_eq!(spoken(8), "8 s");
        assert_eq!(spoken(130), "2 min");
        assert_eq!(spoken(3900), "1 h 5 min");
    }

    #[test]
    fn what_a_part_took_is_expected_of_it_the_next_time() {
        let cache = std::env::temp_dir().join(format!("lorakeet-times-{}", std::process::id()));
        std::fs::create_dir_all(&cache).unwrap();
        let places = Places {
            root: cache.clone(),
            target: cache.clone(),
            build: cache.clone(),
            cache: cache.clone(),
        };
        let phase = |is_cold| Phase {
            is_cold,
            ..Phase::new("part", 1000)
        };
        let mut times = Times::read(&places);
        times.keep(phase(false), Duration::from_secs(7));
        let times = Times::read(&places);
        assert_eq!(times.expected(phase(false)), Duration::from_secs(7));
        // A shorter one does not take its place at once.
        let mut times = times;
        times.keep(phase(false), Duration::from_secs(1));
        assert_eq!(times.expected(phase(false)), Duration::from_secs_f64(0.7 * 7.0));
        // With burn to compile first, it is not that time.
        assert_eq!(times.expected(phase(true)), on_cores(1000, cores()));
        std::fs::remove_dir_all(cache).unwrap();
    }
}
