//! The live picture: training and validation loss, and three small ones for learning rate, gradient norm and speed.
//!
//! Lines are SVG paths in a square of 1000 × 1000 that is stretched to the room there is; labels are HTML placed in percent,
//! so that text is never stretched. Everything is redrawn at most once an animation frame.

use crate::curves::Axis;
use crate::format;
use crate::state::PageState;
use leptos::html::Div;
use leptos::prelude::*;
use lorakeet_core::protocol::StepInfo;
use lorakeet_lab::pictures::{path, to_svg};
use std::fmt::Write;
use web_sys::PointerEvent;

/// What the large chart shows at one moment.
#[derive(Clone, PartialEq, Default)]
struct Picture {
    raw: String,
    smooth: String,
    eval: String,
    eval_points: String,
    rows: Vec<(f64, String)>,
    columns: Vec<(f64, String)>,
    high: f64,
    empty: bool,
    first: f64,
    last: f64,
    last_eval: Option<f64>,
    steps: usize,
}

/// The loss over the steps.
#[component]
pub fn LossChart() -> impl IntoView {
    let state = expect_context::<PageState>();
    let plot = NodeRef::<Div>::new();
    let cursor = RwSignal::new(None::<f64>);
    let picture = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| draw(&run.curves))
    });
    let moved = move |event: PointerEvent| {
        if let Some(plot) = plot.get_untracked() {
            let bounds = plot.get_bounding_client_rect();
            cursor.set(Some(
                ((f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0)).clamp(0.0, 1.0),
            ));
        }
    };
    // The step under the pointer, and where it is.
    let pointed = move || {
        let share = cursor.get()?;
        state.training.frame.track();
        let high = picture.with(|picture| picture.high);
        state.training.run.with_value(|run| {
            run.curves
                .nearest(share * high)
                .map(|step| (step.step as f64 / high, step.clone()))
        })
    };
    let summary = move || {
        let words = state.words();
        picture.with(|p| match p.empty {
            true => words.chart_empty.to_owned(),
            false => {
                let eval = p.last_eval.map(format::loss);
                (words.chart_summary)(p.steps, format::loss(p.first), format::loss(p.last), eval)
            }
        })
    };
    let rows = move || {
        let row = |(place, label): (f64, String)| {
            let top = format!("top:{:.2}%", 100.0 * (1.0 - place));
            view! { <div class="row-mark" style=top><span>{label}</span></div> }
        };
        picture.with(|p| p.rows.clone()).into_iter().map(row).collect_view()
    };
    let columns = move || {
        let column = |(place, label): (f64, String)| {
            let left = format!("left:{:.2}%", 100.0 * place);
            view! { <span class="column-mark" style=left>{label}</span> }
        };
        picture
            .with(|p| p.columns.clone())
            .into_iter()
            .map(column)
            .collect_view()
    };
    view! {
        <figure class="chart" data-testid="chart">
            <figcaption>
                <span class="chart-title">{state.text(|w| w.chart)}</span>
                <span class="legend"><span class="key key-train"></span>{state.text(|w| w.training)}</span>
                <span class="legend"><span class="key key-eval"></span>{state.text(|w| w.validation)}</span>
            </figcaption>
            <div class="plot" node_ref=plot on:pointermove=moved on:pointerleave=move |_| cursor.set(None)>
                <div class="marks" aria-hidden="true">{rows}</div>
                <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=summary>
                    <path class="line-raw" d=move || picture.with(|p| p.raw.clone())></path>
                    <path class="line-train" d=move || picture.with(|p| p.smooth.clone())></path>
                    <path class="line-eval" d=move || picture.with(|p| p.eval.clone())></path>
                    <path class="dots-eval" d=move || picture.with(|p| p.eval_points.clone())></path>
                </svg>
                <p class="chart-empty" class:gone=move || picture.with(|p| !p.empty)>{state.text(|w| w.chart_empty)}</p>
                {move || pointed().map(|(place, step)| view! { <Pointed place step/> })}
            </div>
            <div class="columns" aria-hidden="true">{columns}</div>
        </figure>
    }
}

/// The numbers of the step under the pointer.
#[component]
fn Pointed(
    /// Share of the width.
    place: f64,
    /// The step.
    step: StepInfo,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let style = format!("left:{:.2}%", 100.0 * place);
    let side = if place > 0.6 { "pointed left" } else { "pointed" };
    view! {
        <div class=side style=style aria-hidden="true">
            <p>
                <b>{state.text(|w| w.step)} " " {step.step}</b><br/>
                {state.text(|w| w.loss)} " " {format::loss(step.loss)}<br/>
                {state.text(|w| w.learning_rate)} " " {format::rate(step.learning_rate)}<br/>
                {state.text(|w| w.grad_norm)} " " {format::loss(step.grad_norm)}
            </p>
        </div>
    }
}

/// One of the small pictures: a number over the steps.
#[component]
pub fn SmallChart(
    /// Its title.
    #[prop(into)]
    title: Signal<&'static str>,
    /// The number of a step.
    value: fn(&StepInfo) -> f64,
    /// How the number is written.
    show: fn(f64) -> String,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let drawn = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| {
            let line = run.curves.line(value);
            let high = line.iter().map(|point| point.1).fold(0.0, f64::max);
            let columns = Axis::steps(run.curves.max_steps.max(run.curves.steps.len()), 4);
            let rows = Axis {
                low: 0.0,
                high: if high > 0.0 { high * 1.05 } else { 1.0 },
                ticks: Vec::new(),
                decimals: 0,
            };
            (
                path(&line, &columns, &rows),
                if line.is_empty() { String::new() } else { show(high) },
            )
        })
    });
    view! {
        <figure class="small-chart">
            <figcaption>{title}<span class="small-high">{move || drawn.with(|drawn| drawn.1.clone())}</span></figcaption>
            <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
                <path class="line-small" d=move || drawn.with(|drawn| drawn.0.clone())></path>
            </svg>
        </figure>
    }
}

fn draw(curves: &crate::curves::Curves) -> Picture {
    let (raw, smooth, eval) = (curves.loss(), curves.smooth_loss(), curves.eval_loss());
    let empty = raw.is_empty() && eval.is_empty();
    if empty {
        return Picture {
            empty,
            high: 1.0,
            ..Picture::default()
        };
    }
    let columns = Axis::steps(curves.max_steps.max(curves.steps.last().map_or(1, |step| step.step)), 5);
    let rows = Axis::around(raw.iter().chain(&eval).map(|point| point.1), 4);
    let mark = |axis: &Axis, tick: &f64| (axis.place(*tick), format!("{tick:.*}", axis.decimals));
    let dots = eval.iter().fold(String::new(), |mut text, point| {
        let (x, y) = to_svg(point, &columns, &rows);
        // A line of no length: its round cap is a dot that the stretching leaves round.
        let _ = write!(text, "M{x:.1} {y:.1}h0");
        text
    });
    Picture {
        raw: path(&raw, &columns, &rows),
        smooth: path(&smooth, &columns, &rows),
        eval: path(&eval, &columns, &rows),
        eval_points: dots,
        rows: rows.ticks.iter().map(|tick| mark(&rows, tick)).collect(),
        columns: columns.ticks.iter().map(|tick| mark(&columns, tick)).collect(),
        high: columns.high,
        empty,
        first: smooth.first().map_or(f64::NAN, |point| point.1),
        last: smooth.last().map_or(f64::NAN, |point| point.1),
        last_eval: eval.last().map(|point| point.1),
        steps: curves.steps.len(),
    }
}
