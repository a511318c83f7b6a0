//! The task's metrics on the validation rows while the training goes on, beside the scores without training.

use crate::curves::{Axis, Line};
use crate::format;
use crate::report::{metric_curves, value};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_lab::pictures::path;

/// One small picture a metric.
#[component]
pub fn MetricCurves() -> impl IntoView {
    let state = expect_context::<PageState>();
    let drawn = Memo::new(move |_| {
        state.training.frame.track();
        state
            .training
            .run
            .with_value(|run| (metric_curves(&run.curves.evals), run.curves.max_steps))
    });
    let pictures = move || {
        let (metric_curves, steps) = drawn.get();
        let picture = |(name, line)| view! { <MetricCurve name line steps/> };
        metric_curves.into_iter().map(picture).collect_view()
    };
    view! {
        <Show when=move || drawn.with(|(metric_curves, _)| !metric_curves.is_empty())>
            <section class="result" data-testid="metric-curves">
                <h3>{state.text(|w| w.tasks.metric_curves)}</h3>
                <div class="small-charts">{pictures}</div>
                <p class="hint">{state.text(|w| w.tasks.metric_curves_hint)}</p>
            </section>
        </Show>
    }
}

/// One metric.
#[component]
fn MetricCurve(
    /// Its name.
    name: String,
    /// Its values at the scored steps.
    line: Line,
    /// Steps planned.
    steps: usize,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let baselines: Vec<f64> = state.training.outcome.baselines.with(|baselines| {
        let of = |baseline: &lorakeet_core::protocol::Baseline| value(&baseline.metrics, &name);
        baselines
            .iter()
            .filter_map(of)
            .filter(|value| value.is_finite())
            .collect()
    });
    let columns = Axis::steps(steps, 4);
    let rows = Axis::around(line.iter().map(|point| point.1).chain(baselines.iter().copied()), 4);
    let level = |value: &f64| path(&vec![(0.0, *value), (columns.high, *value)], &columns, &rows);
    let to_beat: String = baselines.iter().map(level).collect();
    let drawn = path(&line, &columns, &rows);
    let last = line.last().map_or("–".to_owned(), |point| format::loss(point.1));
    let first = line.first().map_or("–".to_owned(), |point| format::loss(point.1));
    let spoken = {
        let (name, last) = (name.clone(), last.clone());
        move || (state.words().tasks.metric_curve)(&name, &first, &last)
    };
    view! {
        <figure class="small-chart" data-testid="metric-curve">
            <figcaption><code>{name}</code><span class="small-high">{last}</span></figcaption>
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=spoken>
                <path class="line-level" d=to_beat></path>
                <path class="line-metric" d=drawn></path>
            </svg>
        </figure>
    }
}
