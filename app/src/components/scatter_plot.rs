//! A scatter plot: a square with marks on both axes.

use super::axis_marks::{column_marks, row_marks};
use crate::curves::Axis;
use leptos::prelude::*;
use lorakeet_lab::pictures::to_svg;

/// The picture: its marks, and what is drawn in a square of 1000 × 1000.
#[component]
pub fn ScatterPlot(
    /// Upwards.
    rows: Axis,
    /// Across.
    columns: Axis,
    /// What stands below.
    #[prop(into)]
    across: Signal<&'static str>,
    /// What stands beside.
    #[prop(into)]
    upwards: Signal<&'static str>,
    /// The picture in a sentence.
    #[prop(into)]
    spoken: Signal<String>,
    /// SVG.
    children: Children,
) -> impl IntoView {
    let mark = |axis: &Axis, tick: &f64| (axis.place(*tick), format!("{tick:.*}", axis.decimals));
    let row_marks = row_marks(rows.ticks.iter().map(|tick| mark(&rows, tick)));
    let column_marks = column_marks(columns.ticks.iter().map(|tick| mark(&columns, tick)));
    view! {
        <div class="scatter-plot">
            <p class="scatter-plot-upwards" aria-hidden="true">{upwards}</p>
            <div class="plot">
                <div class="marks" aria-hidden="true">{row_marks}</div>
                <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=spoken>{children()}</svg>
            </div>
            <div class="columns" aria-hidden="true">{column_marks}</div>
            <p class="scatter-plot-across" aria-hidden="true">{across}</p>
        </div>
    }
}

/// The line on which both sides agree.
pub fn diagonal(columns: &Axis, rows: &Axis) -> String {
    let (low, high) = (columns.low.max(rows.low), columns.high.min(rows.high));
    let (from, to) = (to_svg(&(low, low), columns, rows), to_svg(&(high, high), columns, rows));
    format!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1)
}

/// From 0 to 1.
pub fn share_axis() -> Axis {
    Axis {
        low: 0.0,
        high: 1.0,
        ticks: vec![0.0, 0.25, 0.5, 0.75, 1.0],
        decimals: 2,
    }
}
