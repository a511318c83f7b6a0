//! Sweeps: a run with several values of some settings, of which the worse ones are left behind on the way. What is decided is
//! decided here, on plain numbers: which settings are tried ([`Variants`]), which run is trained next and how far ([`Halving`]),
//! and which came out best ([`Standing`], [`Sweep::best`](crate::protocol::Sweep::best)). Command and page do the training.
//!
//! By successive halving (Jamieson and Talwalkar, 2016) the half with the lower held-out loss goes on after a quarter and after a
//! half of the steps.

mod kept;
mod standing;
mod variants;

pub use kept::{Best, Heard, Row};
pub use standing::Standing;
pub use variants::{Variant, Variants, check_adapter, split_values};

use standing::or_last;

/// Whether a sweep leaves runs behind on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halving {
    /// Every run is trained to its end.
    None,
    /// The worse half is left behind, twice.
    Halves,
}

/// What is to be trained next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Which run, by its place.
    pub run: usize,
    /// To the end of so many of its [`Halving::PARTS`].
    pub parts: usize,
}

/// How far a run of a sweep has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Its held-out losses at the ends of parts.
    pub losses: Vec<(usize, f64)>,
    /// Whether it cannot go on: it diverged, does not fit or was refused.
    pub is_out: bool,
}

impl Progress {
    /// The held-out loss after so many parts; none where it has not come so far.
    pub fn loss_after(&self, parts: usize) -> Option<f64> {
        let found = self.losses.iter().find(|(reached, _)| *reached == parts);
        found.map(|(_, loss)| *loss)
    }
}

impl Halving {
    /// Of fewer runs every one is trained whole.
    pub const FEWEST: usize = 4;
    /// `eval_steps` of runs that are compared on the way: a share of the run.
    pub const EVERY: &'static str = "0.25";
    /// Parts of a run; after the first and after the second one runs are left behind.
    pub const PARTS: usize = 4;

    /// What there is for so many runs: the worse half is left behind, unless there are few of them or all are to be trained whole.
    pub fn of(runs: usize, is_whole: bool) -> Self {
        match !is_whole && runs >= Self::FEWEST {
            true => Self::Halves,
            false => Self::None,
        }
    }

    /// The parts after which runs are compared, the whole run last.
    pub fn rungs(self) -> &'static [usize] {
        match self {
            Self::None => &[Self::PARTS],
            Self::Halves => &[1, 2, Self::PARTS],
        }
    }

    /// The step with which so many parts of a run of `steps` end, as `eval_steps` has it: ⌈steps / 4⌉ a part.
    pub fn step_after(parts: usize, steps: usize) -> usize {
        match parts {
            Self::PARTS => steps,
            parts => parts.saturating_mul(steps.div_ceil(Self::PARTS)).min(steps),
        }
    }

    /// What is to be trained next, in the order of the runs; none once the sweep is over.
    pub fn next(self, runs: &[Progress]) -> Option<Turn> {
        self.walk(runs).0
    }

    /// Of each run the parts after which it was left behind, where it was.
    pub fn left_behind(self, runs: &[Progress]) -> Vec<Option<usize>> {
        self.walk(runs).1
    }

    /// From rung to rung up to the first run that has not reached one. Of equal losses the first goes on.
    fn walk(self, runs: &[Progress]) -> (Option<Turn>, Vec<Option<usize>>) {
        let mut behind = vec![None; runs.len()];
        let mut left: Vec<usize> = (0..runs.len()).collect();
        for &parts in self.rungs() {
            let has_to_go = |run: &usize| !runs[*run].is_out && runs[*run].loss_after(parts).is_none();
            if let Some(run) = left.iter().copied().find(has_to_go) {
                return (Some(Turn { run, parts }), behind);
            }
            let losses = left.iter().filter_map(|&run| Some((runs[run].loss_after(parts)?, run)));
            let mut reached: Vec<(f64, usize)> = losses.collect();
            if parts < Self::PARTS {
                reached.sort_by(|a, b| or_last(a.0).total_cmp(&or_last(b.0)));
                for (_, run) in reached.split_off(reached.len().div_ceil(2)) {
                    behind[run] = Some(parts);
                }
            }
            left = reached.into_iter().map(|(_, run)| run).collect();
            left.sort_unstable();
        }
        (None, behind)
    }

    /// How many whole runs the training of a sweep of `runs` amounts to: of 6 runs that are halved 6·¼ + 3·¼ + 2·½ = 3.25.
    pub fn whole_runs(self, runs: usize) -> f64 {
        let (mut left, mut done, mut whole) = (runs, 0, 0.0);
        for &parts in self.rungs() {
            whole += left as f64 * (parts - done) as f64 / Self::PARTS as f64;
            (left, done) = (left.div_ceil(2), parts);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Trains a sweep whose runs have these losses at every part; those without one go out at once. Gives the turns.
    fn turns(halving: Halving, losses: &[Option<f64>]) -> (Vec<(usize, usize)>, Vec<Option<usize>>) {
        let mut runs = vec![Progress::default(); losses.len()];
        let mut turns = Vec::new();
        while let Some(Turn { run, parts }) = halving.next(&runs) {
            turns.push((run, parts));
            match losses[run] {
                Some(loss) => runs[run].losses.push((parts, loss)),
                None => runs[run].is_out = true,
            }
            assert!(turns.len() < 100, "it never ends: {turns:?}");
        }
        (turns, halving.left_behind(&runs))
    }

    #[test]
    fn the_worse_half_is_left_behind_twice() {
        let losses = [Some(4.0), Some(1.0), Some(3.0), Some(2.0)];
        let (all, behind) = turns(Halving::Halves, &losses);
        assert_eq!(all, [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (3, 2), (1, 4)]);
        assert_eq!(behind, [Some(1), None, Some(1), Some(2)]);
        let (all, behind) = turns(Halving::None, &losses);
        assert_eq!(all, [(0, 4), (1, 4), (2, 4), (3, 4)]);
        assert_eq!(behind, [None; 4]);
    }

    #[test]
    fn what_fails_is_no_longer_counted_and_of_equal_losses_the_first_goes_on() {
        for none in [f64::NAN, -f64::NAN] {
            let losses = [Some(1.0), None, Some(1.0), Some(1.0), Some(none)];
            let (all, behind) = turns(Halving::Halves, &losses);
            assert_eq!(all, [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2), (2, 2), (0, 4)]);
            assert_eq!(behind, [None, None, Some(2), Some(1), Some(1)]);
        }
        // One that fails on the way to its end leaves the sweep without a best one.
        let mut runs = vec![Progress::default(); 1];
        runs[0].is_out = true;
        assert_eq!(Halving::Halves.next(&runs), None);
        assert_eq!(Halving::Halves.next(&[]), None);
    }

    #[test]
    fn what_training_takes_is_counted_in_whole_runs() {
        assert_eq!(Halving::None.whole_runs(6), 6.0);
        assert_eq!(Halving::Halves.whole_runs(6), 3.25);
        assert_eq!(Halving::Halves.whole_runs(4), 2.0);
        assert!(Halving::of(4, false) == Halving::Halves && Halving::of(4, true) == Halving::None);
        assert!(Halving::of(3, false) == Halving::None);
    }

    #[test]
    fn parts_end_where_runs_are_scored() {
        assert_eq!([1, 2, 4].map(|parts| Halving::step_after(parts, 10)), [3, 6, 10]);
        assert_eq!([1, 2, 4].map(|parts| Halving::step_after(parts, 1)), [1, 1, 1]);
        assert_eq!([1, 2, 4].map(|parts| Halving::step_after(parts, 48)), [12, 24, 48]);
    }
}
