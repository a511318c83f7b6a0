//! What a device does in a second, measured on it by the engine's own operations, in about half a second.
//!
//! Each of the four figures of a [`Probe`] comes of rounds of one kind of work. A round ends in a read, whose time alone is
//! known by then; rounds grow until one takes some 20 ms besides, and the best of a few of that size counts:
//!
//! - `await_ms`: a read of four bytes that nothing has to be computed for;
//! - `launch_us`: a chain of [`ops::rms_norm`] of eight numbers, each launch waiting for the one before;
//! - `gbytes_per_s`: sums of two tensors, 12 bytes an element (two read, one written);
//! - `gflops`: square products \[n, n\]·\[n, n\] by [`ops::linear`], 2·n³ operations each.
//!
//! Where a read takes longer than a round's work (some browsers answer every 100 ms), it cannot be told from the work and
//! stays in: rates are then lower bounds. Such a device takes up to two seconds. What the first launch of a kernel takes to
//! compile is not measured, and comes on top.

use crate::error::Result;
use crate::host::Host;
use crate::models::read;
use crate::ops;
use crate::protocol::Probe;
use burn::tensor::{Device, Tensor};

/// Time of a round's work that is long enough: the clocks of browsers go in steps of up to 1 ms.
const ROUND_MS: f64 = 20.0;
/// Rounds of one size.
const ROUNDS: usize = 4;
/// No time is taken for shorter, so that no rate is infinite.
const SHORTEST_MS: f64 = 1e-3;
/// A round of this size takes every device longer than a step of the clock, unless the clock stands still.
const UNITS_OF_TIME: u64 = 4096;
/// What each kind may take, awaits not counted.
const AWAIT_LIMIT_MS: f64 = 40.0;
const LAUNCH_LIMIT_MS: f64 = 90.0;
const SUM_LIMIT_MS: f64 = 120.0;
const PRODUCT_LIMIT_MS: f64 = 250.0;

/// Elements of the smallest sum, and how often they double at most: to 32 MiB a tensor.
const SUM_ELEMENTS: usize = 1 << 18;
const SUM_DOUBLINGS: u32 = 5;
/// Side of the smallest product, and how often it doubles at most: to 16 MiB a matrix.
const PRODUCT_SIDE: usize = 256;
const PRODUCT_DOUBLINGS: u32 = 3;

/// Measures `device`.
///
/// # Errors
/// The device failed.
pub async fn probe(device: &Device, host: &Host) -> Result<Probe> {
    let await_ms = shortest_read_ms(device, host).await?;
    let launches = Launches::new(device);
    let launches_a_ms = best_rate(host, await_ms, LAUNCH_LIMIT_MS, |units| launches.round(units)).await?;
    let mut sums = Sums::new(device);
    let bytes_a_ms = best_rate(host, await_ms, SUM_LIMIT_MS, |units| sums.round(units)).await?;
    drop(sums);
    let mut products = Products::new(device);
    let operations_a_ms = best_rate(host, await_ms, PRODUCT_LIMIT_MS, |units| products.round(units)).await?;
    Ok(Probe {
        gflops: operations_a_ms * 1e-6,
        gbytes_per_s: bytes_a_ms * 1e-6,
        await_ms,
        launch_us: 1e3 / launches_a_ms,
    })
}

/// The shortest of a few reads of one number that lies ready.
async fn shortest_read_ms(device: &Device, host: &Host) -> Result<f64> {
    let number = Tensor::<1>::ones([1], device);
    // Makes the number, and whatever else was asked for before.
    read(number.clone()).await?;
    let (mut spent_ms, mut shortest_ms) = (0.0, f64::INFINITY);
    for _ in 0..2 * ROUNDS {
        let start_ms = (host.now_ms)();
        read(number.clone()).await?;
        let ms = (host.now_ms)() - start_ms;
        shortest_ms = ms.min(shortest_ms);
        spent_ms += ms;
        if spent_ms > AWAIT_LIMIT_MS {
            break;
        }
    }
    Ok(shortest_ms)
}

/// The most that is done in a millisecond by rounds, which are given their size and give what they do with a tensor to read
/// when it is done.
async fn best_rate(
    host: &Host,
    await_ms: f64,
    limit_ms: f64,
    mut round: impl FnMut(u64) -> (f64, Tensor<1>),
) -> Result<f64> {
    // The first launch compiles.
    read(round(1).1).await?;
    let mut rounds = Rounds::new(await_ms, limit_ms);
    let mut next = Some(1);
    while let Some(units) = next {
        let start_ms = (host.now_ms)();
        let (done, last) = round(units);
        read(last).await?;
        next = rounds.take(done, (host.now_ms)() - start_ms);
        (host.yield_now)().await;
    }
    Ok(rounds.best_rate)
}

/// How large rounds are to be, from what the ones before took.
#[derive(Debug)]
struct Rounds {
    await_ms: f64,
    limit_ms: f64,
    spent_ms: f64,
    units: u64,
    /// Of the present size.
    taken: usize,
    best_rate: f64,
}

impl Rounds {
    fn new(await_ms: f64, limit_ms: f64) -> Self {
        Self {
            await_ms,
            // Awaits that are no part of the work are not held against it.
            limit_ms: limit_ms + 4.0 * await_ms,
            spent_ms: 0.0,
            units: 1,
            taken: 0,
            best_rate: 0.0,
        }
    }

    /// Takes note of a round that did `done` in `ms`, its await included; gives the size of the next, if there is to be one.
    fn take(&mut self, done: f64, ms: f64) -> Option<u64> {
        self.spent_ms += ms;
        let work_ms = (ms - self.await_ms).max(0.0);
        let told_ms = if work_ms > self.await_ms { work_ms } else { ms };
        self.best_rate = self.best_rate.max(done / told_ms.max(SHORTEST_MS));
        let enough_ms = ROUND_MS.max(self.await_ms);
        let stands_still = ms <= 0.0 && self.units >= UNITS_OF_TIME;
        if stands_still || self.spent_ms + enough_ms + self.await_ms > self.limit_ms {
            return None;
        }
        if work_ms >= 0.5 * enough_ms {
            self.taken += 1;
            return (self.taken < ROUNDS).then_some(self.units);
        }
        // 64-fold, a round of up to a 64th of the time cannot become too long.
        let factor = (enough_ms / work_ms.max(enough_ms / 64.0)).clamp(2.0, 64.0);
        self.units *= factor as u64;
        (self.taken, self.best_rate) = (0, 0.0);
        Some(self.units)
    }
}

/// Kernels with next to nothing to do.
struct Launches {
    x: Tensor<2>,
    weight: Tensor<1>,
}

impl Launches {
    fn new(device: &Device) -> Self {
        Self {
            x: Tensor::ones([1, 8], device),
            weight: Tensor::ones([8], device),
        }
    }

    fn round(&self, launches: u64) -> (f64, Tensor<1>) {
        let normed = |x, _| ops::rms_norm(x, self.weight.clone(), 1e-6);
        let last = (0..launches).fold(self.x.clone(), normed);
        (launches as f64, last.reshape([8]))
    }
}

/// Sums of two tensors.
struct Sums<'a> {
    device: &'a Device,
    terms: [Tensor<1>; 2],
}

impl<'a> Sums<'a> {
    fn new(device: &'a Device) -> Self {
        let terms = Self::terms(SUM_ELEMENTS, device);
        Self { device, terms }
    }

    fn terms(elements: usize, device: &Device) -> [Tensor<1>; 2] {
        [(); 2].map(|()| Tensor::ones([elements], device))
    }

    /// `units` times the smallest sum, in larger ones as far as those go; gives its bytes.
    fn round(&mut self, units: u64) -> (f64, Tensor<1>) {
        let doublings = units.ilog2().min(SUM_DOUBLINGS);
        let (elements, times) = (SUM_ELEMENTS << doublings, units >> doublings);
        if self.terms[0].dims() != [elements] {
            self.terms = Self::terms(elements, self.device);
        }
        let [a, b] = &self.terms;
        let last = repeated(times, || a.clone() + b.clone());
        ((12 * elements as u64 * times) as f64, last.slice(0..1))
    }
}

/// Products of two square matrices.
struct Products<'a> {
    device: &'a Device,
    factors: [Tensor<2>; 2],
}

impl<'a> Products<'a> {
    fn new(device: &'a Device) -> Self {
        let factors = Self::factors(PRODUCT_SIDE, device);
        Self { device, factors }
    }

    fn factors(side: usize, device: &Device) -> [Tensor<2>; 2] {
        [(); 2].map(|()| Tensor::ones([side, side], device))
    }

    /// `units` times the smallest product, in larger ones as far as those go; gives its operations.
    fn round(&mut self, units: u64) -> (f64, Tensor<1>) {
        // Twice the side is eight times the work.
        let doublings = (units.ilog2() / 3).min(PRODUCT_DOUBLINGS);
        let (side, times) = (PRODUCT_SIDE << doublings, units >> (3 * doublings));
        if self.factors[0].dims() != [side, side] {
            self.factors = Self::factors(side, self.device);
        }
        let [x, w] = &self.factors;
        let last = repeated(times, || ops::linear(x.clone(), w.clone(), None, false));
        let operations = 2 * (side as u64).pow(3) * times;
        (operations as f64, ops::first_number(&last))
    }
}

/// The last of `times` results, each of which goes when the next is asked for.
fn repeated<T>(times: u64, make: impl Fn() -> T) -> T {
    for _ in 1..times {
        drop(make());
    }
    make()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate that rounds find on a device that does `rate` a millisecond, answers after `await_ms`, and compiles for
    /// `compile_ms` at the first round of each size; and the time of them all.
    fn found(rate: f64, await_ms: f64, compile_ms: f64, limit_ms: f64) -> (f64, f64) {
        let mut rounds = Rounds::new(await_ms, limit_ms);
        let (mut next, mut last, mut spent_ms) = (Some(1), 0, 0.0);
        while let Some(units) = next {
            let compiled_ms = if units == last { 0.0 } else { compile_ms };
            let ms = compiled_ms + await_ms + units as f64 / rate;
            (last, spent_ms) = (units, spent_ms + ms);
            next = rounds.take(units as f64, ms);
        }
        (rounds.best_rate, spent_ms)
    }

    #[test]
    fn the_rate_of_a_device_is_found_over_nine_powers_of_ten() {
        for power in -2..7 {
            for await_ms in [0.0, 0.2, 5.0] {
                let rate = 10f64.powi(power);
                let (best, spent_ms) = found(rate, await_ms, 4.0, 200.0);
                assert!((best / rate - 1.0).abs() < 0.02, "{rate} a ms, {await_ms} ms: {best}");
                let slowest_ms = 200.0 + 4.0 * await_ms + 2.0 * ROUND_MS + 1.0 / rate;
                assert!(spent_ms < slowest_ms, "{rate} a ms: {spent_ms} ms");
            }
        }
    }

    #[test]
    fn a_clock_that_stands_still_ends_it() {
        let mut rounds = Rounds::new(0.0, 250.0);
        let sizes: Vec<u64> = std::iter::from_fn(|| rounds.take(1.0, 0.0)).collect();
        assert_eq!(sizes, [64, 4096]);
        assert!(rounds.best_rate.is_finite());
    }

    #[test]
    fn an_await_that_hides_the_work_leaves_a_lower_bound() {
        for power in 0..6 {
            let rate = 10f64.powi(power);
            let (best, _) = found(rate, 100.0, 0.0, 250.0);
            assert!(best <= 1.001 * rate && best >= 0.3 * rate, "{rate} a ms: {best}");
        }
    }
}
