//! The second row of charts: learning rate, gradient norm, speed and memory over the same part of the run, with the same cursor.

use crate::chart_view::ChartView;
use crate::curves::{Axis, COLUMNS, clipped, extremes};
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::StepInfo;
use lorakeet_lab::pictures::path;

/// All of them; those of which the run has no numbers are left out.
#[component]
pub fn SmallCharts(
    /// How they are looked at.
    chart: ChartView,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let rate_title = Signal::derive(state.text(|w| w.learning_rate));
    let norm_title = Signal::derive(state.text(|w| w.grad_norm));
    let speed_title = Signal::derive(state.text(|w| w.speed));
    let memory_title = Signal::derive(move || state.words().charts.memory);
    view! {
        <div class="small-charts run-charts" data-testid="small-charts">
            <SmallChart chart id="rate" title=rate_title value=rate show=format::rate/>
            <SmallChart chart id="norm" title=norm_title value=norm show=format::loss/>
            <SmallChart chart id="speed" title=speed_title value=speed show=per_second/>
            <SmallChart chart id="memory" title=memory_title value=memory show=bytes/>
        </div>
    }
    .into_any()
}

/// The learning rate of a step.
pub fn rate(step: &StepInfo) -> Option<f64> {
    Some(step.learning_rate).filter(|rate| rate.is_finite())
}

/// The gradient's norm.
pub fn norm(step: &StepInfo) -> Option<f64> {
    Some(step.grad_norm).filter(|norm| norm.is_finite())
}

/// Tokens a second; a run that goes on does not know those of its earlier steps.
pub fn speed(step: &StepInfo) -> Option<f64> {
    Some(step.tokens_per_second).filter(|speed| speed.is_finite() && *speed > 0.0)
}

/// The device's memory in use, where it tells.
pub fn memory(step: &StepInfo) -> Option<f64> {
    step.device_bytes.filter(|bytes| *bytes > 0).map(|bytes| bytes as f64)
}

fn per_second(value: f64) -> String {
    format!("{} /s", format::speed(value))
}

fn bytes(value: f64) -> String {
    format::bytes(value as u64)
}

/// What one of them shows.
#[derive(Clone, PartialEq, Default)]
struct Drawn {
    line: String,
    range: String,
    is_missing: bool,
}

/// A number over the run.
#[component]
fn SmallChart(
    /// How it is looked at.
    chart: ChartView,
    /// Test id.
    id: &'static str,
    /// Its title.
    title: Signal<&'static str>,
    /// The number of a step.
    value: fn(&StepInfo) -> Option<f64>,
    /// How the number is written.
    show: fn(f64) -> String,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let drawn = Memo::new(move |_| {
        state.training.frame.track();
        let look = chart.look.get();
        let is_under_way = state.is_training();
        state.training.run.with_value(|run| {
            let points = run.curves.points(look.measure, value);
            if points.is_empty() {
                // Numbers that every run brings have their room before its first step.
                let waits = id != "memory" && (is_under_way || run.curves.steps.is_empty());
                return Drawn {
                    is_missing: !waits,
                    ..Drawn::default()
                };
            }
            let line = extremes(&clipped(&points, look.window), look.window, COLUMNS);
            let high = line.iter().map(|point| point.1).fold(0.0, f64::max);
            let rows = Axis {
                low: 0.0,
                high: if high > 0.0 { high * 1.05 } else { 1.0 },
                ticks: Vec::new(),
                decimals: 0,
            };
            Drawn {
                line: path(&line, &look.window.axis(look.measure, 4), &rows),
                range: format!("0 – {}", show(high)),
                is_missing: false,
            }
        })
    });
    // The number at the cursor, else the ends of the axis.
    let told = move || {
        let step = chart.cursor.get();
        let at_cursor = state.training.run.with_value(|run| {
            let info = run.curves.beside(step?, 0)?;
            value(info).map(show)
        });
        at_cursor.unwrap_or_else(|| drawn.with(|drawn| drawn.range.clone()))
    };
    let cursor = move || {
        let share = chart.cursor_share();
        share.map_or(String::new(), |share| format!("M{:.1} 0V1000", 1000.0 * share))
    };
    view! {
        <figure class="small-chart" data-testid=format!("small-{id}") prop:hidden=move || drawn.with(|drawn| drawn.is_missing)>
            <figcaption>{title}<span class="small-high">{told}</span></figcaption>
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
                <path class="line-cursor" d=cursor></path>
                <path class="line-small" d=move || drawn.with(|drawn| drawn.line.clone())></path>
            </svg>
        </figure>
    }
    .into_any()
}
