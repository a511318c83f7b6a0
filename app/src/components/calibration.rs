//! Whether a classifier is right as often as it is certain.

use super::scatter_plot::{ScatterPlot, diagonal, share_axis};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::CalibrationBin;
use std::fmt::Write;

/// The picture, and its numbers as a table.
#[component]
pub fn Calibration(
    /// The answers by their certainty.
    bins: Vec<CalibrationBin>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let axis = share_axis();
    let bars = bins.iter().fold(String::new(), |mut text, bin| {
        let (left, right, top) = (1000.0 * bin.from, 1000.0 * bin.to, 1000.0 * (1.0 - bin.accuracy));
        let _ = write!(text, "M{left:.1} 1000V{top:.1}H{right:.1}V1000Z");
        text
    });
    let line = diagonal(&axis, &axis);
    let cells = |bin: CalibrationBin| {
        let between = format!("{:.1}–{:.1}", bin.from, bin.to);
        view! {
            <tr>
                <th scope="row">{between}</th>
                <td class="number-cell">{percent(bin.accuracy)}</td>
                <td class="number-cell">{bin.count}</td>
            </tr>
        }
    };
    let rows = bins.into_iter().map(cells).collect_view();
    let column = move |place: usize| move || state.words().tasks.calibration_columns[place];
    view! {
        <figure class="chart" data-testid="calibration">
            <figcaption><span class="chart-title">{state.text(|w| w.tasks.calibration)}</span></figcaption>
            <p class="hint">{state.text(|w| w.tasks.calibration_hint)}</p>
            <ScatterPlot rows=axis.clone() columns=axis across=Signal::derive(column(0)) upwards=Signal::derive(column(1))
                spoken=Signal::derive(move || state.words().tasks.calibration.to_owned())>
                <path class="calibration-bars" d=bars></path>
                <path class="line-diagonal" d=line></path>
            </ScatterPlot>
            <details class="fold">
                <summary>{state.text(|w| w.tasks.as_table)}</summary>
                <table>
                    <thead><tr>{[0, 1, 2].map(|place| view! { <th scope="col" class:number-cell={place > 0}>{column(place)}</th> })}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </details>
        </figure>
    }
}

fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}
