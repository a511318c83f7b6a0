//! The part of a run that a chart shows: what it is drawn over, the window that is zoomed into, few points of many, and an axis
//! of logarithms.

use super::{Axis, Curves, Line};
use lorakeet_core::protocol::StepInfo;

/// Columns of points in which a line is drawn at most: of each the smallest and the largest stay, so that no spike is lost.
pub const COLUMNS: usize = 480;

/// What a run is drawn over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// Optimizer steps.
    #[default]
    Step,
    /// Tokens seen, padding not counted.
    Tokens,
    /// Epochs done.
    Epoch,
    /// Seconds of the run.
    Seconds,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Step, Self::Tokens, Self::Epoch, Self::Seconds];

    /// Its name for style sheets and tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Tokens => "tokens",
            Self::Epoch => "epoch",
            Self::Seconds => "time",
        }
    }

    /// Where a step lies on it.
    pub fn of(self, step: &StepInfo) -> f64 {
        match self {
            Self::Step => step.step as f64,
            Self::Tokens => step.num_input_tokens_seen as f64,
            Self::Epoch => step.epoch,
            Self::Seconds => step.seconds,
        }
    }

    /// The shortest part of it that can be zoomed into.
    fn least(self) -> f64 {
        match self {
            Self::Step | Self::Tokens => 2.0,
            Self::Epoch => 1e-4,
            Self::Seconds => 1e-2,
        }
    }
}

/// A part of what a run is drawn over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// Where it begins.
    pub low: f64,
    /// Where it ends, above `low`.
    pub high: f64,
}

impl Window {
    fn width(self) -> f64 {
        self.high - self.low
    }

    /// Where a place lies in it: 0 at its beginning, 1 at its end.
    pub fn share(self, place: f64) -> f64 {
        (place - self.low) / self.width()
    }

    /// The place at a share of it.
    pub fn at(self, share: f64) -> f64 {
        self.low + share * self.width()
    }

    /// Whether a place is in it.
    pub fn holds(self, place: f64) -> bool {
        (self.low..=self.high).contains(&place)
    }

    /// So many times as wide, with `around` in the same place of it.
    pub fn zoomed(self, factor: f64, around: f64) -> Self {
        let share = self.share(around);
        let width = self.width() * factor;
        let low = around - share * width;
        Self { low, high: low + width }
    }

    /// Moved, if it has to be, so that `place` is in it.
    pub fn moved_to(self, place: f64) -> Self {
        let by = (place - self.high).max(0.0) + (place - self.low).min(0.0);
        Self {
            low: self.low + by,
            high: self.high + by,
        }
    }

    /// The same within `whole`, and at least as wide as `measure` can be looked at; `None` where that is all of it.
    pub fn within(self, whole: Self, measure: Measure) -> Option<Self> {
        if self.width() >= whole.width() {
            return None;
        }
        let width = self.width().max(measure.least());
        if width >= whole.width() {
            return None;
        }
        let low = (self.low + self.high - width) / 2.0;
        let low = low.min(whole.high - width).max(whole.low);
        Some(Self { low, high: low + width })
    }

    /// Its axis, with round marks inside.
    pub fn axis(self, measure: Measure, marks: usize) -> Axis {
        let least = match measure {
            Measure::Step | Measure::Tokens => 1.0,
            Measure::Epoch | Measure::Seconds => 0.0,
        };
        Axis::between(self.low, self.high, marks, least)
    }
}

impl Curves {
    /// Whether the run can be drawn over it: results that came with a link know their steps alone.
    pub fn has(&self, measure: Measure) -> bool {
        measure == Measure::Step || self.steps.last().is_some_and(|step| measure.of(step) > 0.0)
    }

    /// All of the run, to the end that is planned.
    pub fn whole(&self, measure: Measure) -> Window {
        let last = self.steps.last();
        let scored = self.evals.last().map_or(0, |eval| eval.step);
        let steps = last.map_or(0, |step| step.step).max(scored).max(self.max_steps).max(1);
        if measure == Measure::Step {
            return Window {
                low: 0.0,
                high: steps as f64,
            };
        }
        let done = last.map_or(0.0, |step| measure.of(step));
        let planned = done * steps as f64 / last.map_or(1, |step| step.step.max(1)) as f64;
        let high = if planned > 0.0 { planned } else { 1.0 };
        // It is a guess that changes with every step: it is rounded up, so that the axis seldom moves.
        let unit = super::round_step(high / 20.0);
        Window {
            low: 0.0,
            high: (high / unit - 1e-9).ceil() * unit,
        }
    }

    /// Where a step lies, reported or not.
    pub fn place(&self, measure: Measure, step: usize) -> f64 {
        if measure == Measure::Step {
            return step as f64;
        }
        let upto = self.steps.partition_point(|info| info.step <= step);
        let before = upto.checked_sub(1).and_then(|place| self.steps.get(place));
        before.map_or(0.0, |info| measure.of(info))
    }

    /// One number of each step; those that a step does not have are left out.
    pub fn points(&self, measure: Measure, value: impl Fn(&StepInfo) -> Option<f64>) -> Line {
        let points = self.steps.iter().filter_map(|step| {
            let value = value(step).filter(|value| value.is_finite())?;
            Some((measure.of(step), value))
        });
        points.filter(|point| point.0.is_finite()).collect()
    }

    /// The training losses.
    pub fn losses(&self, measure: Measure) -> Line {
        self.points(measure, |step| Some(step.loss))
    }

    /// The losses on the validation rows.
    pub fn eval_points(&self, measure: Measure) -> Line {
        let evals = self.eval_loss().into_iter();
        evals
            .map(|(step, loss)| (self.place(measure, step as usize), loss))
            .collect()
    }

    /// The step nearest to a place.
    pub fn nearest(&self, measure: Measure, place: f64) -> Option<&StepInfo> {
        let distance = |info: &&StepInfo| (measure.of(info) - place).abs();
        self.steps.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    /// The reported step so many entries from `step`, the first or the last where there are fewer.
    pub fn beside(&self, step: usize, by: isize) -> Option<&StepInfo> {
        let place = self.steps.partition_point(|info| info.step < step);
        let last = self.steps.len().checked_sub(1)?;
        self.steps.get(place.saturating_add_signed(by).min(last))
    }

    /// The newest validation loss at a step: of it or of one before it.
    pub fn eval_before(&self, step: usize) -> Option<(usize, f64)> {
        let mut evals = self.evals.iter().rev().filter(|eval| eval.loss.is_finite());
        let found = evals.find(|eval| eval.step <= step)?;
        Some((found.step, found.loss))
    }
}

/// An exponential moving average without a start at 0, as TensorBoard smooths: sₙ = β·sₙ₋₁ + (1 − β)·xₙ over 1 − βⁿ.
pub fn smoothed(line: &[(f64, f64)], beta: f64) -> Line {
    let (mut sum, mut rest) = (0.0, 1.0);
    let mean = |&(x, y): &(f64, f64)| {
        sum = beta * sum + (1.0 - beta) * y;
        rest *= beta;
        (x, sum / (1.0 - rest))
    };
    line.iter().map(mean).collect()
}

/// The part of a line in a window. Where it enters and leaves, it has a point on its way to the next one.
pub fn clipped(line: &[(f64, f64)], window: Window) -> Line {
    let first = line.partition_point(|point| point.0 < window.low);
    let end = line.partition_point(|point| point.0 <= window.high).max(first);
    let between = |place: usize, x: f64| {
        let (a, b) = (line.get(place.checked_sub(1)?)?, line.get(place)?);
        let share = (x - a.0) / (b.0 - a.0);
        (b.0 > a.0).then_some((x, a.1 + share * (b.1 - a.1)))
    };
    let inside = line.get(first..end).unwrap_or_default();
    let entry = between(first, window.low).filter(|_| inside.first().is_none_or(|point| point.0 > window.low));
    let exit = between(end, window.high).filter(|_| inside.last().is_none_or(|point| point.0 < window.high));
    entry.into_iter().chain(inside.iter().copied()).chain(exit).collect()
}

/// At most two points a column of a window, the smallest and the largest of each.
pub fn extremes(line: &[(f64, f64)], window: Window, columns: usize) -> Line {
    if line.len() <= 2 * columns {
        return line.to_vec();
    }
    let column = |point: &(f64, f64)| {
        (window.share(point.0) * columns as f64)
            .floor()
            .min(columns as f64 - 1.0)
    };
    let mut kept = Line::new();
    for points in line.chunk_by(|a, b| column(a) == column(b)) {
        let least = points.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
        let most = points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
        let ends = least.zip(most).map(|(least, most)| match least.0 <= most.0 {
            true => [least, most],
            false => [most, least],
        });
        match ends {
            Some([first, last]) if first == last => kept.push(first),
            Some(ends) => kept.extend(ends),
            None => {}
        }
    }
    kept
}

/// The logarithms of a line's values; those that have none are left out.
pub fn logarithms(line: Line) -> Line {
    let positive = line.into_iter().filter(|point| point.1 > 0.0);
    positive.map(|(x, y)| (x, y.log10())).collect()
}

/// An axis of logarithms (base 10) that holds those of the positive values, with marks at round values.
pub fn log_axis(values: impl Iterator<Item = f64>, marks: usize) -> Axis {
    let positive = values.filter(|value| *value > 0.0 && value.is_finite());
    let (low, high) = positive.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let (low, high) = match () {
        () if low > high => (0.1, 10.0),
        () if high / low < 1.0 + 1e-9 => (low / 2.0, high * 2.0),
        () => (low, high),
    };
    let (low_end, high_end) = (low.log10(), high.log10());
    if high_end - low_end < 1.0 {
        // Within a power of ten the marks of a plain axis are round, too.
        let plain = Axis::around([low, high].into_iter(), marks);
        let ticks: Vec<f64> = plain
            .ticks
            .iter()
            .filter(|tick| **tick > 0.0)
            .map(|tick| tick.log10())
            .collect();
        return Axis {
            low: ticks.iter().copied().fold(low_end, f64::min),
            high: ticks.iter().copied().fold(high_end, f64::max),
            ticks,
            decimals: plain.decimals,
        };
    }
    let (first, last) = (low_end.floor() as i32, high_end.ceil() as i32);
    let every = ((last - first) as usize).div_ceil(marks.max(1)).max(1);
    let parts: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (first..=last).step_by(every);
    let ticks = powers.flat_map(|power| parts.iter().map(move |part| part.log10() + f64::from(power)));
    let ticks: Vec<f64> = ticks.collect();
    let below = ticks.iter().copied().filter(|tick| *tick <= low_end + 1e-9);
    let above = ticks.iter().copied().filter(|tick| *tick >= high_end - 1e-9);
    let (low, high) = (
        below.fold(f64::from(first), f64::max),
        above.fold(f64::from(last), f64::min),
    );
    Axis {
        low,
        high,
        ticks: ticks.into_iter().filter(|tick| (low..=high).contains(tick)).collect(),
        decimals: 0,
    }
}

/// What a mark of an axis of logarithms says: the value itself.
pub fn log_label(axis: &Axis, tick: f64) -> String {
    let value = 10f64.powf(tick);
    let own = (-(tick + 1e-9).floor()).max(0.0) as usize;
    match own > 4 || value >= 1e6 {
        true => format!("{value:.0e}"),
        false => format!("{value:.*}", axis.decimals.max(own)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::step;
    use super::*;
    use lorakeet_core::protocol::EvalInfo;

    fn window(low: f64, high: f64) -> Window {
        Window { low, high }
    }

    fn run(steps: usize) -> Curves {
        let of = |n: usize| StepInfo {
            num_input_tokens_seen: 100 * n as u64,
            epoch: n as f64 / 8.0,
            seconds: n as f64 / 4.0,
            ..step(n, 1.0 / n as f64)
        };
        Curves {
            steps: (1..=steps).map(of).collect(),
            max_steps: 2 * steps,
            ..Curves::default()
        }
    }

    #[test]
    fn smoothing_begins_with_the_first_value_and_keeps_a_constant() {
        let line = [(1.0, 4.0), (2.0, 2.0), (3.0, 2.0)];
        let found = smoothed(&line, 0.5);
        // 4; (0.5·0.5·4 + 0.5·2) / 0.75; (0.125·4 + 0.25·2 + 0.5·2) / 0.875.
        for (found, wanted) in found.iter().zip([4.0, 2.0 / 0.75, 2.0 / 0.875]) {
            assert!((found.1 - wanted).abs() < 1e-12, "{found:?} instead of {wanted}");
        }
        assert_eq!(smoothed(&line, 0.0), line);
        let flat: Line = (0..200).map(|x| (f64::from(x), 2.5)).collect();
        assert!(smoothed(&flat, 0.99).iter().all(|point| (point.1 - 2.5).abs() < 1e-9));
    }

    #[test]
    fn a_line_is_cut_where_it_enters_and_leaves_the_window() {
        let line = [(0.0, 0.0), (2.0, 4.0), (4.0, 0.0)];
        assert_eq!(clipped(&line, window(1.0, 3.0)), [(1.0, 2.0), (2.0, 4.0), (3.0, 2.0)]);
        assert_eq!(clipped(&line, window(0.5, 1.5)), [(0.5, 1.0), (1.5, 3.0)]);
        assert_eq!(clipped(&line, window(0.0, 4.0)), line);
        assert!(clipped(&line, window(-3.0, -1.0)).is_empty());
        assert!(clipped(&line, window(5.0, 6.0)).is_empty());
        assert!(clipped(&[], window(0.0, 1.0)).is_empty());
    }

    #[test]
    fn few_points_of_many_keep_every_spike() {
        let mut line: Line = (0..10_000).map(|x| (f64::from(x), 1.0)).collect();
        line[4321].1 = 9.0;
        line[4324].1 = -9.0;
        let few = extremes(&line, window(0.0, 9999.0), 100);
        assert!(few.len() <= 200, "{} points", few.len());
        assert!(few.contains(&(4321.0, 9.0)) && few.contains(&(4324.0, -9.0)));
        assert!(few.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(extremes(&line[..150], window(0.0, 149.0), 100), line[..150]);
    }

    #[test]
    fn a_window_is_zoomed_around_a_place_and_stays_within_the_run() {
        let whole = window(0.0, 100.0);
        let near = whole.zoomed(0.5, 80.0);
        assert_eq!(near, window(40.0, 90.0));
        assert_eq!(near.share(80.0), 0.8);
        assert_eq!(near.at(0.8), 80.0);
        assert_eq!(near.moved_to(95.0), window(45.0, 95.0));
        assert_eq!(near.moved_to(10.0), window(10.0, 60.0));
        assert_eq!(near.moved_to(50.0), near);
        assert_eq!(
            window(90.0, 110.0).within(whole, Measure::Step),
            Some(window(80.0, 100.0))
        );
        assert_eq!(
            window(50.0, 50.5).within(whole, Measure::Step),
            Some(window(49.25, 51.25))
        );
        assert_eq!(whole.zoomed(1.5, 50.0).within(whole, Measure::Step), None);
        assert_eq!(window(0.0, 0.5).within(window(0.0, 1.0), Measure::Step), None);
    }

    #[test]
    fn a_run_is_drawn_over_steps_tokens_epochs_and_time() {
        let curves = run(10);
        assert_eq!(curves.whole(Measure::Step), window(0.0, 20.0));
        assert_eq!(curves.whole(Measure::Tokens), window(0.0, 2000.0));
        assert_eq!(curves.whole(Measure::Epoch).high, 2.6);
        assert_eq!(curves.whole(Measure::Seconds), window(0.0, 5.0));
        assert_eq!(curves.place(Measure::Tokens, 3), 300.0);
        assert_eq!(curves.place(Measure::Epoch, 0), 0.0);
        assert_eq!(curves.place(Measure::Tokens, 99), 1000.0);
        let line = curves.points(Measure::Tokens, |info| (info.step > 8).then_some(info.loss));
        assert_eq!(line, [(900.0, 1.0 / 9.0), (1000.0, 0.1)]);
        assert!(Measure::ALL.iter().all(|measure| curves.has(*measure)));
        // The losses of a link.
        let shared = Curves {
            steps: vec![StepInfo {
                epoch: f64::NAN,
                seconds: f64::NAN,
                ..step(1, 2.0)
            }],
            ..Curves::default()
        };
        let has = Measure::ALL.map(|measure| shared.has(measure));
        assert_eq!(has, [true, false, false, false]);
        assert_eq!(Curves::default().whole(Measure::Tokens), window(0.0, 1.0));
    }

    #[test]
    fn the_cursor_goes_from_step_to_step_and_stops_at_the_ends() {
        let curves = run(10);
        let at = |step, by| curves.beside(step, by).map(|info| info.step);
        assert_eq!((at(5, 1), at(5, -1)), (Some(6), Some(4)));
        assert_eq!((at(10, 1), at(1, -1)), (Some(10), Some(1)));
        assert_eq!(at(5, isize::MAX), Some(10));
        assert_eq!(Curves::default().beside(1, 1), None);
        let nearest = curves.nearest(Measure::Tokens, 349.0).map(|info| info.step);
        assert_eq!(nearest, Some(3));
    }

    #[test]
    fn the_newest_score_up_to_a_step_is_told() {
        let eval = |step, loss| EvalInfo {
            step,
            loss,
            perplexity: 1.0,
            tokens: 1,
            metrics: Vec::new(),
        };
        let curves = Curves {
            evals: vec![eval(0, 4.0), eval(4, 3.0), eval(8, f64::NAN)],
            ..run(10)
        };
        assert_eq!(curves.eval_before(3), Some((0, 4.0)));
        assert_eq!(curves.eval_before(9), Some((4, 3.0)));
        assert_eq!(curves.eval_points(Measure::Tokens), [(0.0, 4.0), (400.0, 3.0)]);
    }

    #[test]
    fn an_axis_of_logarithms_has_round_values_for_marks() {
        let said = |values: &[f64]| {
            let axis = log_axis(values.iter().copied(), 5);
            let held = |value: &f64| (axis.low - 1e-9..=axis.high + 1e-9).contains(&value.log10());
            assert!(values.iter().filter(|value| **value > 0.0).all(held), "{axis:?}");
            let label = |tick: &f64| log_label(&axis, *tick);
            axis.ticks.iter().map(label).collect::<Vec<_>>()
        };
        assert_eq!(said(&[0.9, 9.5]), ["0.5", "1", "2", "5", "10"]);
        assert_eq!(said(&[0.02, 30.0]), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(said(&[2.1, 4.4]), ["2.0", "2.5", "3.0", "3.5", "4.0", "4.5"]);
        assert_eq!(said(&[0.0, -1.0, 3.0, 5.0]), ["3.0", "3.5", "4.0", "4.5", "5.0"]);
        assert_eq!(said(&[1e-7, 1e-6, 1.0]).first().map(String::as_str), Some("1e-7"));
        assert!(!said(&[]).is_empty() && !said(&[2.0]).is_empty());
        assert_eq!(
            logarithms(vec![(1.0, 100.0), (2.0, 0.0), (3.0, 0.1)]),
            [(1.0, 2.0), (3.0, -1.0)]
        );
    }

    #[test]
    fn an_axis_of_a_window_has_round_marks_inside() {
        let axis = window(130.0, 171.0).axis(Measure::Step, 4);
        assert_eq!((axis.low, axis.high), (130.0, 171.0));
        assert_eq!(axis.ticks, [140.0, 160.0]);
        let close = window(7.0, 9.0).axis(Measure::Step, 5);
        assert_eq!(close.ticks, [7.0, 8.0, 9.0], "no half steps");
    }
}
