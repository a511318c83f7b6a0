//! The task's metrics on the validation rows while the training goes on, beside what can be had without it.

use super::chart::path;
use crate::curves::{Axis, Line};
use crate::format;
use crate::report::{courses, value};
use crate::state::Lab;
use leptos::prelude::*;

/// One small picture a metric.
#[component]
pub fn Courses() -> impl IntoView {
    let lab = expect_context::<Lab>();
    let drawn = Memo::new(move |_| {
        lab.frame.track();
        lab.run
            .with_value(|run| (courses(&run.curves.evals), run.curves.max_steps))
    });
    let pictures = move || {
        let (courses, steps) = drawn.get();
        let picture = |(name, line)| view! { <Course name line steps/> };
        courses.into_iter().map(picture).collect_view()
    };
    view! {
        <Show when=move || drawn.with(|(courses, _)| !courses.is_empty())>
            <section class="result" data-testid="courses">
                <h3>{lab.text(|w| w.tasks.courses)}</h3>
                <div class="small-charts">{pictures}</div>
                <p class="hint">{lab.text(|w| w.tasks.courses_hint)}</p>
            </section>
        </Show>
    }
}

/// One metric.
#[component]
fn Course(
    /// Its name.
    name: String,
    /// Its values at the scored steps.
    line: Line,
    /// Steps planned.
    steps: usize,
) -> impl IntoView {
    let lab = expect_context::<Lab>();
    let baselines: Vec<f64> = lab.outcome.baselines.with(|baselines| {
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
        move || (lab.words().tasks.course)(&name, &first, &last)
    };
    view! {
        <figure class="small-chart" data-testid="course">
            <figcaption><code>{name}</code><span class="small-high">{last}</span></figcaption>
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=spoken>
                <path class="line-level" d=to_beat></path>
                <path class="line-course" d=drawn></path>
            </svg>
        </figure>
    }
}
