//! How a person looks at the charts of a run: what they are drawn over, the part that is zoomed into, where the cursor stands; and
//! what keys and the pointer change of it.

use crate::curves::{Curves, Measure, Window};
use crate::run::Phase;
use crate::training::Training;
use leptos::prelude::*;

/// How much losses are smoothed at first.
pub const SMOOTHING: f64 = 0.6;
/// The most that they can be.
pub const MOST_SMOOTHING: f64 = 0.99;
/// The share of the width over which the pointer is dragged at least to zoom in.
const LEAST_DRAG: f64 = 0.02;
/// Steps that the cursor goes with Shift.
const FAR: isize = 10;

/// What all charts of the run have in common.
#[derive(Clone, Copy)]
pub struct ChartView {
    training: Training,
    /// What was chosen to draw over.
    pub chosen: RwSignal<Measure>,
    /// β of the moving average.
    pub smoothing: RwSignal<f64>,
    /// Whether losses are drawn by their logarithms.
    pub is_log: RwSignal<bool>,
    /// What was zoomed into; none is the whole run.
    pub window: RwSignal<Option<Window>>,
    /// The step at the cursor.
    pub cursor: RwSignal<Option<usize>>,
    /// Where a drag began and where it is, as shares of the width.
    pub drag: RwSignal<Option<(f64, f64)>>,
    /// How it is drawn now.
    pub look: Memo<Look>,
}

/// What a line depends on besides the run's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// What lies across.
    pub measure: Measure,
    /// The part of it.
    pub window: Window,
}

impl ChartView {
    /// The whole run over its steps.
    pub fn new(training: Training) -> Self {
        let (chosen, window) = (RwSignal::new(Measure::default()), RwSignal::new(None::<Window>));
        let look = Memo::new(move |_| {
            training.frame.track();
            let (chosen, window) = (chosen.get(), window.get());
            training.run.with_value(|run| {
                let measure = if run.curves.has(chosen) { chosen } else { Measure::Step };
                let window = window.unwrap_or_else(|| run.curves.whole(measure));
                Look { measure, window }
            })
        });
        let view = Self {
            training,
            chosen,
            smoothing: RwSignal::new(SMOOTHING),
            is_log: RwSignal::new(false),
            window,
            cursor: RwSignal::new(None),
            drag: RwSignal::new(None),
            look,
        };
        // Another run has other steps.
        Effect::new(move || {
            if training
                .phase
                .with(|phase| matches!(phase, Phase::Idle | Phase::Starting))
            {
                view.show_all();
                view.cursor.set(None);
            }
        });
        view
    }

    /// Draws over something else: all of it, for the old part has no place there.
    pub fn choose(self, measure: Measure) {
        self.chosen.set(measure);
        self.show_all();
    }

    /// The whole run.
    pub fn show_all(self) {
        self.window.set(None);
        self.drag.set(None);
    }

    /// Where the cursor stands, as a share of the width; none where it is out of sight.
    pub fn cursor_share(self) -> Option<f64> {
        let (step, look) = (self.cursor.get()?, self.look.get());
        let place = self.with_curves(|curves| curves.place(look.measure, step));
        look.window.holds(place).then(|| look.window.share(place))
    }

    /// Whether a key is one of the chart's, which it has then done.
    pub fn press(self, key: &str, is_far: bool) -> bool {
        let by = if is_far { FAR } else { 1 };
        match key {
            "ArrowLeft" => self.go(self.cursor.get_untracked(), -by),
            "ArrowRight" => self.go(self.cursor.get_untracked(), by),
            "Home" => self.go(Some(0), 0),
            "End" => self.go(Some(usize::MAX), 0),
            "+" | "=" => self.zoom(0.5),
            "-" | "_" => self.zoom(2.0),
            "0" => self.show_all(),
            "Escape" => {
                self.cursor.set(None);
                self.drag.set(None);
            }
            _ => return false,
        }
        true
    }

    /// The cursor goes so many steps on from a step; without one it begins at the side that it comes from.
    fn go(self, from: Option<usize>, by: isize) {
        let look = self.look.get_untracked();
        let found = self.with_curves(|curves| {
            let side = if by < 0 { look.window.high } else { look.window.low };
            let step = match from {
                Some(step) => curves.beside(step, by),
                None => curves.nearest(look.measure, side),
            };
            step.map(|step| (step.step, look.measure.of(step), curves.whole(look.measure)))
        });
        let Some((step, place, whole)) = found else {
            return;
        };
        self.cursor.set(Some(step));
        if self.window.get_untracked().is_some() && !look.window.holds(place) {
            self.window.set(look.window.moved_to(place).within(whole, look.measure));
        }
    }

    /// Shows so many times as much, around the cursor where it is in sight.
    fn zoom(self, factor: f64) {
        let look = self.look.get_untracked();
        let around = look.window.at(untrack(|| self.cursor_share()).unwrap_or(0.5));
        self.zoom_to(look.window.zoomed(factor, around), look.measure);
    }

    fn zoom_to(self, window: Window, measure: Measure) {
        let whole = self.with_curves(|curves| curves.whole(measure));
        self.window.set(window.within(whole, measure));
    }

    /// The pointer is over this share of the width.
    pub fn point(self, share: f64) {
        let look = self.look.get_untracked();
        let found = self.with_curves(|curves| {
            let step = curves.nearest(look.measure, look.window.at(share));
            step.map(|step| step.step)
        });
        if self.cursor.get_untracked() != found {
            self.cursor.set(found);
        }
        if let Some((from, _)) = self.drag.get_untracked() {
            self.drag.set(Some((from, share)));
        }
    }

    /// The pointer was released: what it was dragged over is shown.
    pub fn end_drag(self) {
        let Some((from, to)) = self.drag.get_untracked() else {
            return;
        };
        self.drag.set(None);
        if (to - from).abs() < LEAST_DRAG {
            return;
        }
        let look = self.look.get_untracked();
        let window = Window {
            low: look.window.at(from.min(to)),
            high: look.window.at(from.max(to)),
        };
        self.zoom_to(window, look.measure);
    }

    fn with_curves<T>(self, read: impl FnOnce(&Curves) -> T) -> T {
        self.training.run.with_value(|run| read(&run.curves))
    }
}
