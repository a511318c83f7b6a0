//! Tests in two lengths: short in the stages that every change passes, long in `cargo xtask test endurance`.

use std::fmt::Display;
use std::time::Instant;

/// What the stage sets.
const AT_LENGTH: &str = "LORAKEET_ENDURANCE";

/// How often something is done: `short` times, and `long` times where the stage asks for it.
#[must_use]
pub fn times(short: usize, long: usize) -> usize {
    match std::env::var_os(AT_LENGTH) {
        Some(_) => long,
        None => short,
    }
}

/// Prints what was done since `started` as a line that the stage prints again at its end.
pub fn figure(what: impl Display, started: Instant) {
    println!("endurance: {what}; {:.0} s", started.elapsed().as_secs_f64());
}
