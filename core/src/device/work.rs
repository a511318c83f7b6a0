//! What the GPU was given and has not done yet, counted in operations of its kernels: so that a slow GPU is handed little at a time.
//!
//! A submit is what a browser and a driver see as one piece: what takes long stutters, and a driver's watchdog ends it. So
//! kernels are handed over whenever about [`SUBMIT_MS`] of them are recorded ([`note_work`]); fast GPUs get few large submits,
//! slow ones many small. A product or an attention that alone takes longer than about [`LAUNCH_MS`] is several launches of some
//! workgroups each, to the same bits ([`most_operations`]): how many depends on what was measured, so no number may depend on it.
//! And where a step can wait (between the layers of a pass in parts), it does when about [`QUEUE_MS`] are
//! under way ([`is_due`]), so that a pause or a stop is answered within that time.
//!
//! How much a GPU does in a millisecond is measured by those waits; before the first it is what the probe found, else little, until
//! the steps of a run have shown that it does more ([`note_at_least`]).

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Kernels that wait to be handed over, at most, however small.
pub(super) const TASKS_A_SUBMIT: usize = 256;
/// How long the work of one submit takes, about, before what is recorded last.
const SUBMIT_MS: f64 = 50.0;
/// How long one launch takes, about, where it can be cut.
const LAUNCH_MS: f64 = 30.0;
/// How long the work takes that is under way at a time, about.
const QUEUE_MS: f64 = 100.0;
/// Operations in a millisecond of a GPU that nothing is known of: 50 billion a second.
const CAUTIOUS_RATE: f64 = 5e7;
/// How much larger or smaller a rate is taken to be after one wait, at most: one may be chance.
const MOST_CHANGE: f64 = 4.0;
/// A shorter time says little of a step: browsers' clocks are as coarse.
const LEAST_MS: f64 = 1.0;
/// Of a wait, the part that is taken for work at least, however long an answer takes.
const LEAST_SHARE: f64 = 0.125;

/// Of the work that was recorded, and of that which was not waited for.
static RECORDED: AtomicU64 = AtomicU64::new(0);
static QUEUED: AtomicU64 = AtomicU64::new(0);
/// Operations in a millisecond, as the bits of an f64; 0 where nothing is known.
static RATE: AtomicU64 = AtomicU64::new(0);
/// Milliseconds that an answer takes for which nothing has to be computed, likewise.
static LATENCY: AtomicU64 = AtomicU64::new(u64::MAX);

/// Operations in a millisecond that [`assume_rate`] set, as the bits of an f64; 0 where it did not.
static ASSUMED_RATE: AtomicU64 = AtomicU64::new(0);
/// Of the launches since [`longest_launch`] was asked, the operations of the one with most.
static LONGEST: AtomicU64 = AtomicU64::new(0);

/// The most operations that were queued at a time since [`most_queued`] was asked.
static MOST_QUEUED: AtomicU64 = AtomicU64::new(0);

/// The most operations that were asked for and not waited for, since this was asked last. For tests.
pub fn most_queued() -> u64 {
    MOST_QUEUED.swap(0, Relaxed)
}

/// Takes every device for one that does so many operations in a millisecond, whatever is measured; 0 leaves it to what is measured.
/// For tests.
pub fn assume_rate(operations_a_ms: f64) {
    ASSUMED_RATE.store(operations_a_ms.to_bits(), Relaxed);
}

/// The most operations of one launch since this was asked last. For tests.
pub fn longest_launch() -> u64 {
    LONGEST.swap(0, Relaxed)
}

/// Operations that one launch may have, where it can be cut: about 30 ms of what is known of the device.
pub fn most_operations() -> u64 {
    ((LAUNCH_MS * rate()) as u64).max(1)
}

/// Steps whose numbers are read at once, as [`read_every`] set it; 0 where it did not.
static STEPS_A_READ: AtomicUsize = AtomicUsize::new(0);

/// Has the numbers of so many steps read at once on every device, whatever an answer takes; 0 leaves it to what is measured. For
/// tests.
pub fn read_every(steps: usize) {
    STEPS_A_READ.store(steps, Relaxed);
}

/// What [`read_every`] set, if anything.
pub(crate) fn steps_a_read() -> Option<usize> {
    Some(STEPS_A_READ.load(Relaxed)).filter(|&steps| steps > 0)
}

/// Operations in a millisecond.
fn rate() -> f64 {
    match (ASSUMED_RATE.load(Relaxed), RATE.load(Relaxed)) {
        (0, 0) => CAUTIOUS_RATE,
        (0, bits) | (bits, _) => f64::from_bits(bits),
    }
}

/// Milliseconds of an answer for which nothing has to be computed, where they were measured.
pub(crate) fn latency_ms() -> Option<f64> {
    Some(LATENCY.load(Relaxed))
        .filter(|&bits| bits != u64::MAX)
        .map(f64::from_bits)
}

/// Says what was measured: operations in a millisecond, and how long an answer takes.
pub(crate) fn expect_rate(operations_a_ms: f64, latency_ms: f64) {
    if operations_a_ms.is_finite() && operations_a_ms > 0.0 {
        RATE.store(operations_a_ms.to_bits(), Relaxed);
    }
    expect_latency(latency_ms);
}

/// Says how long an answer takes for which nothing has to be computed.
pub(crate) fn expect_latency(latency_ms: f64) {
    LATENCY.store(latency_ms.max(0.0).to_bits(), Relaxed);
}

/// A kernel of so many operations is recorded; `hand_over` submits what is.
pub(crate) fn note_work(operations: u64, hand_over: impl FnOnce()) {
    let queued = QUEUED.fetch_add(operations, Relaxed) + operations;
    MOST_QUEUED.fetch_max(queued, Relaxed);
    LONGEST.fetch_max(operations, Relaxed);
    let recorded = RECORDED.fetch_add(operations, Relaxed) + operations;
    if recorded as f64 > SUBMIT_MS * rate() {
        RECORDED.store(0, Relaxed);
        hand_over();
    }
}

/// All that was asked for is done.
pub(crate) fn note_done() {
    QUEUED.store(0, Relaxed);
    RECORDED.store(0, Relaxed);
}

/// Operations that were asked for and not waited for.
pub(crate) fn queued() -> u64 {
    QUEUED.load(Relaxed)
}

/// Whether to wait before as much again as the `last` stretch of work is added to what is `queued`.
pub(crate) fn is_due(queued: u64, last: u64) -> bool {
    too_much(queued, last, rate())
}

fn too_much(queued: u64, last: u64, rate: f64) -> bool {
    queued > 0 && queued.saturating_add(last) as f64 > QUEUE_MS * rate
}

/// So many operations took `ms`, the answer included.
pub(crate) fn note_time(operations: u64, ms: f64) {
    measured(rate_after(rate(), operations, ms, latency_ms().unwrap_or(0.0)));
}

/// Keeps a rate, where none is assumed.
fn measured(rate: f64) {
    if ASSUMED_RATE.load(Relaxed) == 0 {
        RATE.store(rate.to_bits(), Relaxed);
    }
}

/// So many operations, and perhaps more, took `ms`, whatever else was waited for: the GPU is not taken for a slower one.
pub(crate) fn note_at_least(operations: u64, ms: f64) {
    measured(rate_at_least(rate(), operations, ms));
}

fn rate_at_least(rate: f64, operations: u64, ms: f64) -> f64 {
    if ms < LEAST_MS {
        return rate;
    }
    (operations as f64 / ms).clamp(rate, rate * MOST_CHANGE)
}

fn rate_after(rate: f64, operations: u64, ms: f64, latency_ms: f64) -> f64 {
    let work_ms = (ms - latency_ms).max(LEAST_SHARE * ms);
    if operations == 0 || work_ms <= 0.0 {
        // A clock that stands still tells nothing.
        return rate;
    }
    (operations as f64 / work_ms).clamp(rate / MOST_CHANGE, rate * MOST_CHANGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A GPU that does `rate` operations in a millisecond and answers after `latency_ms`, given stretches of `stretch` operations:
    /// the longest time that work was under way after the first 20 waits, and the share of time in which it had none.
    fn served(rate: f64, latency_ms: f64, stretch: u64) -> (f64, f64) {
        let (mut known, mut queued, mut waits) = (CAUTIOUS_RATE, 0u64, 0);
        let (mut longest_ms, mut busy_ms, mut all_ms) = (0f64, 0.0, 0.0);
        while waits < 60 {
            queued += stretch;
            let under_way_ms = queued as f64 / rate;
            if waits >= 20 {
                longest_ms = longest_ms.max(under_way_ms);
            }
            if too_much(queued, stretch, known) {
                let ms = under_way_ms + latency_ms;
                known = rate_after(known, queued, ms, latency_ms);
                if waits >= 20 {
                    busy_ms += under_way_ms;
                    all_ms += ms;
                }
                (queued, waits) = (0, waits + 1);
            }
        }
        (longest_ms, 1.0 - busy_ms / all_ms)
    }

    #[test]
    fn a_gpu_of_any_speed_has_a_tenth_of_a_second_of_work_or_one_layer_at_most() {
        for rate in [1e6, 1e7, 1e8, 1e9, 1e10] {
            for latency_ms in [0.5, 5.0, 100.0] {
                for stretch in [10_000_000, 1_000_000_000, 20_000_000_000] {
                    let (longest_ms, idle) = served(rate, latency_ms, stretch);
                    let layer_ms = stretch as f64 / rate;
                    let most = (1.1 * QUEUE_MS).max(1.001 * layer_ms);
                    assert!(longest_ms <= most, "{rate} {latency_ms} {stretch}: {longest_ms} ms");
                    // What a wait costs is its answer, once in so much work at least.
                    let work_ms = layer_ms.max(QUEUE_MS - layer_ms);
                    let expected = latency_ms / (latency_ms + work_ms);
                    assert!(idle <= expected + 0.05, "{rate} {latency_ms} {stretch}: idle {idle}");
                }
            }
        }
    }

    #[test]
    fn steps_show_that_a_gpu_nothing_is_known_of_is_fast_and_never_that_it_is_slow() {
        let step = 20_000_000_000;
        let known = (0..20).fold(CAUTIOUS_RATE, |rate, _| rate_at_least(rate, step, 10.0));
        assert_eq!(known, 2e9);
        assert_eq!(rate_at_least(known, step, 1000.0), known);
        assert_eq!(rate_at_least(known, step, 0.0), known);
        assert_eq!(rate_at_least(known, 0, 10.0), known);
    }

    #[test]
    fn a_clock_that_stands_still_changes_no_rate() {
        assert_eq!(rate_after(5e7, 1_000_000, 0.0, 0.0), 5e7);
        assert_eq!(rate_after(5e7, 0, 10.0, 0.0), 5e7);
    }
}
