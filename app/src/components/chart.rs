//! The live picture: training and validation loss over the whole run or the part that is zoomed into.
//!
//! Lines are SVG paths in a square of 1000 × 1000 that is stretched to the room there is; labels are HTML placed in percent,
//! so that text is never stretched. Everything is redrawn at most once an animation frame, and only where it changed.

use super::axis_marks::{column_marks, row_marks};
use super::chart_controls::ChartControls;
use super::chart_table::ChartTable;
use crate::chart_view::{ChartView, Look};
use crate::curves::{Axis, COLUMNS, Curves, Measure, clipped, extremes, log_axis, log_label, logarithms, smoothed};
use crate::format;
use crate::i18n::Words;
use crate::state::PageState;
use leptos::html::Div;
use leptos::prelude::*;
use lorakeet_lab::pictures::{path, to_svg};
use std::fmt::Write;
use std::time::Duration;
use web_sys::{KeyboardEvent, PointerEvent};

/// How long the cursor's numbers wait before they are spoken: the next place of a cursor that moves takes their place.
const BEFORE_SPOKEN: Duration = Duration::from_millis(500);

/// What the chart shows at one moment.
#[derive(Clone, PartialEq, Default)]
struct Picture {
    raw: String,
    smooth: String,
    eval: String,
    eval_points: String,
    saved: String,
    rows: Vec<(f64, String)>,
    columns: Vec<(f64, String)>,
    empty: bool,
    first: f64,
    last: f64,
    last_eval: Option<f64>,
    steps: usize,
}

/// The loss over the run.
#[component]
pub fn LossChart(
    /// How it is looked at.
    chart: ChartView,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let picture = Memo::new(move |_| {
        state.training.frame.track();
        let (look, beta, is_log) = (chart.look.get(), chart.smoothing.get(), chart.is_log.get());
        let (words, run) = (state.words(), state.training.run);
        run.with_value(|run| draw((&run.curves, run.saved.as_slice()), look, beta, is_log, words))
    });
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
    // Without a checkpoint the legend names none; its room is kept, so that nothing moves at the first.
    let has_saved = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| !run.saved.is_empty())
    });
    let rows = move || row_marks(picture.with(|p| p.rows.clone()));
    let columns = move || column_marks(picture.with(|p| p.columns.clone()));
    view! {
        <figure class="chart" data-testid="chart">
            <figcaption>
                <span class="chart-title">{state.text(|w| w.chart)}</span>
                <span class="legend"><span class="key key-train"></span>{state.text(|w| w.training)}</span>
                <span class="legend"><span class="key key-eval"></span>{state.text(|w| w.validation)}</span>
                <span class="legend" class:gone=move || !has_saved.get()>
                    <span class="key key-saved"></span>{move || state.words().charts.checkpoints}
                </span>
            </figcaption>
            <Plot chart>
                <div class="marks" aria-hidden="true">{rows}</div>
                <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=summary>
                    <path class="line-raw" data-testid="line-raw" d=move || picture.with(|p| p.raw.clone())></path>
                    <path class="line-train" d=move || picture.with(|p| p.smooth.clone())></path>
                    <path class="line-eval" d=move || picture.with(|p| p.eval.clone())></path>
                    <path class="dots-eval" d=move || picture.with(|p| p.eval_points.clone())></path>
                    <path class="line-saved" d=move || picture.with(|p| p.saved.clone())></path>
                </svg>
                <p class="chart-empty" class:gone=move || picture.with(|p| !p.empty)>{state.text(|w| w.chart_empty)}</p>
            </Plot>
            <div class="columns" aria-hidden="true">{columns}</div>
            <Readout chart/>
            <ChartControls chart/>
            <ChartTable chart/>
        </figure>
    }
    .into_any()
}

/// The room of the lines: it takes the keys and the pointer, and shows the cursor and what is dragged over.
#[component]
fn Plot(
    /// How it is looked at.
    chart: ChartView,
    /// What is drawn in it.
    children: Children,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let plot = NodeRef::<Div>::new();
    let share = move |event: &PointerEvent| {
        let bounds = plot.get_untracked()?.get_bounding_client_rect();
        let place = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        Some(place.clamp(0.0, 1.0))
    };
    let moved = move |event: PointerEvent| {
        if let Some(share) = share(&event) {
            chart.point(share);
        }
    };
    let pressed = move |event: PointerEvent| {
        let Some(share) = share(&event).filter(|_| event.button() == 0) else {
            return;
        };
        chart.point(share);
        chart.drag.set(Some((share, share)));
        // So that a drag can end outside. A pointer that is gone by now cannot be held.
        if let Some(plot) = plot.get_untracked() {
            let _ = plot.set_pointer_capture(event.pointer_id());
        }
    };
    let left = move |event: PointerEvent| {
        // A finger leaves whenever it is lifted: what it pointed at stays.
        if event.pointer_type() == "mouse" && chart.drag.get_untracked().is_none() {
            chart.cursor.set(None);
        }
    };
    let key = move |event: KeyboardEvent| {
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.alt_key();
        if is_plain && chart.press(&event.key(), event.shift_key()) {
            event.prevent_default();
        }
    };
    let cursor = move || {
        chart.cursor_share().map(|share| {
            let left = format!("left:{:.2}%", 100.0 * share);
            view! { <div class="pointed" style=left aria-hidden="true"></div> }
        })
    };
    let band = move || {
        chart.drag.get().map(|(from, to)| {
            let style = format!(
                "left:{:.2}%;width:{:.2}%",
                100.0 * from.min(to),
                100.0 * (to - from).abs()
            );
            view! { <div class="band" style=style aria-hidden="true"></div> }
        })
    };
    let low = move || chart.look.get().window.low.to_string();
    let high = move || chart.look.get().window.high.to_string();
    view! {
        <div class="plot loss-plot" data-testid="chart-plot" tabindex="0" role="application" aria-describedby="chart-keys"
            aria-label=state.text(|w| w.chart) data-low=low data-high=high
            node_ref=plot on:pointermove=moved on:pointerdown=pressed on:pointerup=move |_| chart.end_drag()
            on:pointercancel=move |_| chart.drag.set(None) on:pointerleave=left on:keydown=key>
            {children()}
            {band}
            {cursor}
        </div>
    }
    .into_any()
}

/// The numbers of the step at the cursor.
#[component]
fn Readout(
    /// How it is looked at.
    chart: ChartView,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = Memo::new(move |_| -> Option<String> {
        let (step, beta) = (chart.cursor.get()?, chart.smoothing.get());
        let look = chart.look.get();
        let (words, run) = (state.words(), state.training.run);
        run.with_value(|run| {
            let curves = &run.curves;
            let info = curves.beside(step, 0)?;
            let mut parts = vec![
                format!("{} {}", words.step, info.step),
                format!("{} {}", words.loss, format::loss(info.loss)),
            ];
            let place = look.measure.of(info);
            let line = smoothed(&curves.losses(look.measure), beta);
            let smooth = line.iter().find(|point| point.0 >= place);
            parts.extend(smooth.map(|point| format!("{} {}", words.charts.smoothed, format::loss(point.1))));
            let eval = curves.eval_before(info.step);
            parts.extend(eval.map(|(step, loss)| {
                let of_step = (words.charts.of_step)(step);
                format!("{} {} ({of_step})", words.validation_loss, format::loss(loss))
            }));
            if info.learning_rate.is_finite() {
                parts.push(format!("{} {}", words.learning_rate, format::rate(info.learning_rate)));
            }
            Some(parts.join(" · "))
        })
    });
    let spoken = RwSignal::new(String::new());
    let waits = StoredValue::new(false);
    Effect::new(move || {
        chart.cursor.track();
        if waits.get_value() {
            return;
        }
        waits.set_value(true);
        let speak = move || {
            waits.set_value(false);
            spoken.set(text.get_untracked().unwrap_or_default());
        };
        set_timeout(speak, BEFORE_SPOKEN);
    });
    view! {
        <p class="chart-readout" data-testid="chart-readout" aria-hidden="true">{move || text.get()}</p>
        <p class="unseen" role="status" aria-live="polite" data-testid="chart-spoken">{spoken}</p>
        <p class="hint" id="chart-keys">{move || state.words().charts.keys}</p>
    }
    .into_any()
}

fn draw((curves, saved): (&Curves, &[usize]), look: Look, beta: f64, is_log: bool, words: &Words) -> Picture {
    let Look { measure, window } = look;
    let (raw, eval) = (curves.losses(measure), curves.eval_points(measure));
    let columns = window.axis(measure, 5);
    let marks = |axis: &Axis, label: &dyn Fn(f64) -> String| -> Vec<(f64, String)> {
        let mark = |tick: &f64| (axis.place(*tick), label(*tick));
        axis.ticks.iter().map(mark).collect()
    };
    let of_columns = marks(&columns, &|tick| column_label(measure, &columns, tick, words));
    if raw.is_empty() && eval.is_empty() {
        return Picture {
            columns: of_columns,
            empty: true,
            ..Picture::default()
        };
    }
    let smooth = smoothed(&raw, beta);
    let ends = smooth.first().zip(smooth.last()).map(|(first, last)| (first.1, last.1));
    let last_eval = eval.last().map(|point| point.1);
    let [raw, smooth, eval] = [raw, smooth, eval].map(|line| clipped(&line, window));
    let values = raw.iter().chain(&eval).map(|point| point.1);
    let rows = match is_log {
        true => log_axis(values, 4),
        false => Axis::around(values, 4),
    };
    let label = |tick: f64| match is_log {
        true => log_label(&rows, tick),
        false => format!("{tick:.*}", rows.decimals),
    };
    let [raw, smooth, eval] = [raw, smooth, eval].map(|line| if is_log { logarithms(line) } else { line });
    let [raw, smooth] = [raw, smooth].map(|line| extremes(&line, window, COLUMNS));
    let (first, last) = ends.unwrap_or((f64::NAN, f64::NAN));
    Picture {
        raw: path(&raw, &columns, &rows),
        smooth: path(&smooth, &columns, &rows),
        eval_points: dots(curves, &eval, look, (&columns, &rows)),
        eval: path(&eval, &columns, &rows),
        saved: checkpoints(curves, saved, look),
        rows: marks(&rows, &label),
        columns: of_columns,
        empty: false,
        first,
        last,
        last_eval,
        steps: curves.steps.len(),
    }
}

/// Dots at the scores, not where their line is cut off.
fn dots(curves: &Curves, line: &[(f64, f64)], look: Look, (columns, rows): (&Axis, &Axis)) -> String {
    let scored = curves.eval_points(look.measure);
    let is_score = |point: &&(f64, f64)| scored.iter().any(|score| score.0 == point.0);
    line.iter().filter(is_score).fold(String::new(), |mut text, point| {
        let (x, y) = to_svg(point, columns, rows);
        // A line of no length: its round cap is a dot that the stretching leaves round.
        let _ = write!(text, "M{x:.1} {y:.1}h0");
        text
    })
}

/// Marks on the axis where the run was saved.
fn checkpoints(curves: &Curves, saved: &[usize], look: Look) -> String {
    let places = saved.iter().map(|step| curves.place(look.measure, *step));
    let shown = places.filter(|place| look.window.holds(*place));
    shown.fold(String::new(), |mut text, place| {
        let x = 1000.0 * look.window.share(place);
        let _ = write!(text, "M{x:.1} 1000v-40");
        text
    })
}

/// A mark of the axis across.
fn column_label(measure: Measure, axis: &Axis, tick: f64, words: &Words) -> String {
    match measure {
        // Whole seconds would be alike.
        Measure::Seconds if axis.decimals > 0 => (words.charts.seconds)(tick, axis.decimals),
        Measure::Seconds => (words.duration)(tick),
        Measure::Epoch => format!("{tick:.*}", axis.decimals),
        // Close to each other they are alike in short.
        Measure::Tokens if axis.high - axis.low > axis.high / 20.0 => format::count(tick as u64),
        Measure::Tokens | Measure::Step => format::whole(tick),
    }
}
