//! Whether a run goes wrong while its numbers are still finite: the loss leaves its range and stays outside, the gradient explodes
//! while nothing gets better, or there is none any more. It looks at what each step is read for anyway, and changes nothing.
//!
//! All is compared by medians, so that neither a hard row nor a spike is an alarm: of the last steps with those before them, and
//! with what the run began with, for a run that is no worse than its beginning has not diverged.

use crate::protocol::Sign;
use std::collections::VecDeque;

/// The steps that are compared with those before them: of the loss's range, of a gradient, whose explosion is soon over, and of a
/// loss far above the beginning.
const RECENT: usize = 15;
const RECENT_NORMS: usize = 5;
const RECENT_RISEN: usize = 10;
/// The most steps before them that are looked at, and the fewest that tell a range; of a gradient's size fewer do.
const BEFORE: usize = 80;
const FEWEST_BEFORE: usize = 30;
const FEWEST_NORMS: usize = 3;
/// The end of the range: so many deviations above the median, by the median of the distances from it, which are at least such a
/// share of the median. Of single rows with squared errors one loss in fifty lies above it, and most of many in a row never do.
const DEVIATIONS: f64 = 8.0;
const OF_MEDIAN_DISTANCE: f64 = 1.4826;
const LEAST_DEVIATION: f64 = 0.02;
/// How many times what the run began with is worse than that, and how many times is too much at any time.
const WORSE: f64 = 1.25;
const RISEN: f64 = 5.0;
/// How many times its usual size is an explosion of the gradient, if it is also so many times the largest there was.
const EXPLODED: f64 = 10.0;
const OF_LARGEST: f64 = 3.0;
/// So many steps in a row without any gradient are no chance.
const ZEROS: usize = LATEST;
/// So many steps after the first one that shows it every sign is told, at the latest.
pub(crate) const LATEST: usize = 20;
/// The first steps of a run without validation rows that tell what it begins with.
const FIRST_STEPS: usize = 10;

/// What a run's steps came to so far, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watchdog {
    /// What the run began with: the validation loss before it or the loss of its first steps, whichever is highest.
    pub(super) start: Option<f64>,
    /// Steps seen.
    pub(super) seen: usize,
    /// Loss and gradient norm of the last of them.
    pub(super) history: VecDeque<(f64, f64)>,
    /// Steps in a row without any gradient.
    pub(super) zeros: usize,
    /// What was said; each is said once.
    pub(super) told: Vec<Sign>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Alarm {
    /// By what it shows.
    pub sign: Sign,
    /// Since which step.
    pub since: usize,
    /// What the loss, or the gradient's norm, has been since then, by the median.
    pub value: f64,
    /// What it was before.
    pub usual: f64,
}

impl Watchdog {
    /// Takes a step into account; tells what is wrong, once of each sign. `before` is the validation loss before the run.
    pub fn see(&mut self, step: usize, (loss, norm): (f64, f64), before: Option<f64>) -> Option<Alarm> {
        self.seen += 1;
        let of_begin = match before {
            Some(_) => self.seen == 1,
            None => self.seen <= FIRST_STEPS,
        };
        if of_begin {
            let known = [self.start, before, Some(loss)].into_iter().flatten();
            self.start = known.filter(|value| value.is_finite()).max_by(f64::total_cmp);
        }
        self.zeros = if norm == 0.0 { self.zeros + 1 } else { 0 };
        self.history.push_back((loss, norm));
        if self.history.len() > RECENT + BEFORE {
            self.history.pop_front();
        }
        let alarm = self
            .vanished(step)
            .or_else(|| self.exploded(step))
            .or_else(|| self.rose(step));
        let alarm = alarm.filter(|alarm| !self.told.contains(&alarm.sign))?;
        self.told.push(alarm.sign);
        Some(alarm)
    }

    fn vanished(&self, step: usize) -> Option<Alarm> {
        let usual = || median(self.history.iter().map(|(_, norm)| *norm));
        (self.zeros >= ZEROS).then(|| Alarm {
            sign: Sign::GradientVanished,
            since: step + 1 - self.zeros,
            value: 0.0,
            usual: usual(),
        })
    }

    fn exploded(&self, step: usize) -> Option<Alarm> {
        let (before, recent) = self.parted(RECENT_NORMS)?;
        let norms = || before.iter().map(|(_, norm)| *norm);
        let (usual, largest) = (median(norms()), norms().fold(0.0, f64::max));
        let value = median(recent.iter().map(|(_, norm)| *norm));
        let is_known = before.len() >= FEWEST_NORMS && usual > 0.0;
        let is_worse = median(recent.iter().map(|(loss, _)| *loss)) > WORSE * self.start?;
        let limit = (EXPLODED * usual).max(OF_LARGEST * largest);
        (is_known && is_worse && value > limit).then(|| Alarm {
            sign: Sign::GradientExploded,
            since: since(step, &recent, |(_, norm)| norm > limit),
            value,
            usual,
        })
    }

    fn rose(&self, step: usize) -> Option<Alarm> {
        let start = self.start?;
        let losses = |steps: &[(f64, f64)]| median(steps.iter().map(|(loss, _)| *loss));
        let alarm = |recent: &[(f64, f64)], usual: f64, limit: f64| {
            let value = losses(recent);
            (value > limit).then(|| Alarm {
                sign: Sign::LossRose,
                since: since(step, recent, |(loss, _)| loss > limit),
                value,
                usual,
            })
        };
        let (_, recent) = self.parted(RECENT_RISEN)?;
        if start > 0.0
            && let Some(alarm) = alarm(&recent, start, RISEN * start)
        {
            return Some(alarm);
        }
        let (before, recent) = self.parted(RECENT)?;
        if before.len() < FEWEST_BEFORE {
            return None;
        }
        let usual = losses(&before);
        let distance = median(before.iter().map(|(loss, _)| (loss - usual).abs()));
        let deviation = (OF_MEDIAN_DISTANCE * distance).max(LEAST_DEVIATION * usual.abs());
        alarm(&recent, usual, (usual + DEVIATIONS * deviation).max(WORSE * start))
    }

    /// The last `count` steps, and those before them.
    fn parted(&self, count: usize) -> Option<(Vec<Measured>, Vec<Measured>)> {
        let at = self.history.len().checked_sub(count)?;
        let (before, recent) = (self.history.range(..at), self.history.range(at..));
        Some((before.copied().collect(), recent.copied().collect()))
    }
}

/// A step's loss and the norm of its gradient.
type Measured = (f64, f64);

/// The first of the last steps, which end with `step`, that is so.
fn since(step: usize, recent: &[(f64, f64)], is: impl Fn((f64, f64)) -> bool) -> usize {
    let first = recent.iter().position(|one| is(*one)).unwrap_or(0);
    (step + 1 + first).saturating_sub(recent.len())
}

/// The middle one, of an even number the lower one; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;

    fn alarms(numbers: impl IntoIterator<Item = (f64, f64)>, before: Option<f64>) -> Vec<(usize, Alarm)> {
        let mut watchdog = Watchdog::default();
        let steps = numbers.into_iter().zip(1..);
        steps
            .filter_map(|(numbers, step)| Some((step, watchdog.see(step, numbers, before)?)))
            .collect()
    }

    #[test]
    fn noise_of_single_rows_is_no_alarm() {
        for seed in 0..30 {
            let mut generator = Generator::new(seed, "noise");
            // Squared errors of a run that learns nothing: the heaviest tail that there is.
            let squares: Vec<(f64, f64)> = (0..3000)
                .map(|_| generator.normal())
                .map(|error| (error * error, error.abs()))
                .collect();
            assert_eq!(alarms(squares.iter().copied(), Some(1.0)), [], "{seed}");
            assert_eq!(alarms(squares, None), [], "{seed}");
            let falling = (0..2000).map(|step| {
                let loss = 3.0 * (-f64::from(step) / 300.0).exp() + 0.5 * generator.normal().abs();
                (loss, 0.1 + 3.0 * generator.normal().abs())
            });
            assert_eq!(alarms(falling.collect::<Vec<_>>(), Some(3.0)), [], "{seed}");
        }
    }

    #[test]
    fn a_loss_that_leaves_its_range_and_stays_outside_is_told_once_with_its_first_step() {
        let losses = (1..=120).map(|step| {
            let noise = f64::from(step % 5) / 10.0;
            (if step < 60 { 2.0 + noise } else { 9.0 + noise }, 1.0)
        });
        let found = alarms(losses, Some(2.5));
        let [(step, alarm)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((alarm.sign, alarm.since), (Sign::LossRose, 60));
        assert!(
            (66..75).contains(step) && alarm.value >= 9.0 && alarm.usual < 2.5,
            "{found:?}"
        );
        // A spike is over before.
        let spike = (1..=120).map(|step| match step {
            60..64 => (50.0, 1.0),
            _ => (2.0 + f64::from(step % 5), 1.0),
        });
        assert_eq!(alarms(spike, Some(2.5)), []);
        // What is worse than before and no worse than the beginning has not diverged.
        let back = (1..=120).map(|step| (if step < 60 { 0.1 } else { 2.0 }, 1.0));
        assert_eq!(alarms(back, Some(2.5)), []);
    }

    #[test]
    fn a_run_that_is_wrong_from_the_beginning_is_told_without_a_range() {
        let found = alarms((1..=12).map(|step| (if step == 1 { 1.0 } else { 8.0 }, 1.0)), Some(1.1));
        let [(10, alarm)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((alarm.sign, alarm.since), (Sign::LossRose, 2));
    }

    #[test]
    fn an_explosion_is_one_where_nothing_gets_better() {
        let norms = |step: i32| if step < 10 { 0.5 } else { 30.0 };
        let worse = alarms(
            (1..=30).map(|step| (if step < 10 { 3.0 } else { 4.0 }, norms(step))),
            Some(3.0),
        );
        let signs: Vec<(Sign, usize)> = worse.iter().map(|(_, alarm)| (alarm.sign, alarm.since)).collect();
        assert_eq!(signs, [(Sign::GradientExploded, 10)], "{worse:?}");
        let better = alarms(
            (1..=30).map(|step| (3.0 - f64::from(step) / 20.0, norms(step))),
            Some(3.0),
        );
        assert_eq!(better, []);
    }

    #[test]
    fn a_gradient_that_is_gone_is_told_after_many_steps() {
        let found = alarms((1..=60).map(|step| (1.0, if step < 11 { 1.0 } else { 0.0 })), None);
        let [(30, alarm)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((alarm.sign, alarm.since), (Sign::GradientVanished, 11));
        let now_and_then = (1..=60).map(|step| (1.0, if step % 10 == 0 { 1.0 } else { 0.0 }));
        assert_eq!(alarms(now_and_then, None), []);
    }
}
