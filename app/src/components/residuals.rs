//! A regression's answers against what is right.

use super::scatter_plot::{ScatterPlot, diagonal};
use crate::curves::{Axis, Line};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_lab::pictures::to_svg;
use std::fmt::Write;

/// Points that are drawn.
const POINTS: usize = 2000;

/// The picture of one target.
#[component]
pub fn Residuals(
    /// The target's name; may be empty.
    name: String,
    /// What is right, and the answer.
    points: Line,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let values = || points.iter().flat_map(|point| [point.0, point.1]);
    let axis = Axis::around(values(), 4);
    let dots = points.iter().take(POINTS).fold(String::new(), |mut text, point| {
        let (x, y) = to_svg(point, &axis, &axis);
        let _ = write!(text, "M{x:.1} {y:.1}h0");
        text
    });
    let line = diagonal(&axis, &axis);
    let title = move || (state.words().tasks.residuals)(&name);
    let title = Signal::derive(title);
    view! {
        <figure class="chart" data-testid="residuals" data-points=points.len().to_string()>
            <figcaption><span class="chart-title">{title}</span></figcaption>
            <p class="hint">{state.text(|w| w.tasks.residuals_hint)}</p>
            <ScatterPlot rows=axis.clone() columns=axis across=Signal::derive(state.text(|w| w.tasks.right_number))
                upwards=Signal::derive(state.text(|w| w.tasks.answered_number)) spoken=title>
                <path class="line-diagonal" d=line></path>
                <path class="dots" d=dots></path>
            </ScatterPlot>
        </figure>
    }
}
