//! The curves of the runs that are compared, over one another: a colour, dashes and a letter for each, and all of it as a table.

use super::{letter, lettered};
use crate::chart_view::SMOOTHING;
use crate::components::axis_marks::{column_marks, row_marks};
use crate::curves::{Axis, Line, smoothed};
use crate::format;
use crate::history::{LOSS, looks};
use crate::state::PageState;
use crate::stored_runs::title;
use leptos::prelude::*;
use lorakeet_core::protocol::{CurveAxis, RunCurve};
use lorakeet_lab::pictures::{path, to_svg};
use std::fmt::Write;

/// The curve of a run, in the square of 1000 × 1000.
#[derive(Clone, PartialEq)]
struct Stroke {
    letter: char,
    /// The letter and the run's name.
    name: String,
    /// How it looks.
    class: String,
    line: String,
    dots: String,
    /// Where it ends, as shares of width and height.
    end: Option<(f64, f64)>,
    /// Its first and last value.
    ends: String,
}

/// What is shown at one moment.
#[derive(Clone, PartialEq, Default)]
struct Picture {
    strokes: Vec<Stroke>,
    rows: Vec<(f64, String)>,
    columns: Vec<(f64, String)>,
    /// Runs of which nothing is there to draw.
    not_kept: Vec<String>,
    heads: Vec<String>,
    table: Vec<Vec<String>>,
}

/// A run's line and its dots.
fn lines(curve: &RunCurve, axis: CurveAxis, metric: &str) -> (Line, Line) {
    let scores = curve.scores(metric, axis);
    match metric {
        LOSS => (smoothed(&curve.training(axis), SMOOTHING), scores),
        _ => (scores.clone(), scores),
    }
}

/// A value of an axis.
fn written(state: PageState, axis: CurveAxis, value: f64) -> String {
    match axis {
        CurveAxis::Step => format!("{value:.0}"),
        CurveAxis::Tokens => format::count(value as u64),
        CurveAxis::Seconds => (state.words().duration)(value),
    }
}

fn draw(state: PageState) -> Picture {
    let (axis, metric) = (state.history.axis.get(), state.history.metric.get());
    let runs = state.compared();
    // None where the engine has not told it yet.
    let told: Vec<Option<(Line, Line)>> = state.history.curves.with(|curves| {
        let curve = |id: &String| curves.get(id).map(|curve| lines(curve, axis, &metric));
        runs.iter().map(|run| curve(&run.record.id)).collect()
    });
    let points = || {
        let lines = told.iter().flatten();
        lines.flat_map(|(line, dots)| line.iter().chain(dots)).copied()
    };
    let columns = Axis::steps(points().map(|point| point.0).fold(0.0, f64::max).ceil() as usize, 5);
    let rows = Axis::around(points().map(|point| point.1), 4);
    let ids: Vec<&str> = runs.iter().map(|run| run.record.id.as_str()).collect();
    let looks = looks(&ids);

    let (mut strokes, mut not_kept, mut series) = (Vec::new(), Vec::new(), Vec::new());
    for (place, run) in runs.iter().enumerate() {
        let Some((line, dots)) = &told[place] else { continue };
        if line.is_empty() && dots.is_empty() {
            not_kept.push(title(&run.record));
        }
        let look = looks[place];
        let shown = if line.is_empty() { dots } else { line };
        let ends = shown.first().zip(shown.last());
        let end = shown.last().map(|point| {
            let (x, y) = to_svg(point, &columns, &rows);
            (x / 1000.0, y / 1000.0)
        });
        let mut marks = String::new();
        for point in dots {
            let (x, y) = to_svg(point, &columns, &rows);
            // A line of no length: its round cap is a dot that the stretching leaves round.
            let _ = write!(marks, "M{x:.1} {y:.1}h0");
        }
        strokes.push(Stroke {
            letter: letter(place),
            name: lettered(place, run),
            class: format!("compared colour-{} dash-{}", look.colour, look.dash),
            line: path(line, &columns, &rows),
            dots: marks,
            end,
            ends: ends.map_or("–".to_owned(), |(first, last)| {
                format!("{} → {}", format::loss(first.1), format::loss(last.1))
            }),
        });
        let words = state.words();
        let head = letter(place);
        match metric.as_str() {
            LOSS => {
                series.push((format!("{head} · {}", words.training), line.clone()));
                if !dots.is_empty() {
                    series.push((format!("{head} · {}", words.validation), dots.clone()));
                }
            }
            _ => series.push((lettered(place, run), line.clone())),
        }
    }
    let across = columns
        .ticks
        .iter()
        .map(|tick| (columns.place(*tick), written(state, axis, *tick)));
    let upwards = rows
        .ticks
        .iter()
        .map(|tick| (rows.place(*tick), format!("{tick:.*}", rows.decimals)));
    Picture {
        columns: across.collect(),
        rows: upwards.collect(),
        not_kept,
        strokes,
        table: table(state, axis, &columns.ticks, &series),
        heads: series.into_iter().map(|(head, _)| head).collect(),
    }
}

/// The lines as rows of text: their values at the marks of the axis, each the last one up to there, and where they end.
fn table(state: PageState, axis: CurveAxis, ticks: &[f64], series: &[(String, Line)]) -> Vec<Vec<String>> {
    let value = |value: Option<f64>| value.map_or("–".to_owned(), format::loss);
    let at = |line: &Line, place: f64| {
        let is_over = line.last().is_none_or(|last| last.0 < place);
        let before = line.iter().rev().find(|point| point.0 <= place);
        before.filter(|_| !is_over).map(|point| point.1)
    };
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(ticks.len() + 1);
    for tick in ticks {
        let cells = series.iter().map(|(_, line)| value(at(line, *tick)));
        rows.push(std::iter::once(written(state, axis, *tick)).chain(cells).collect());
    }
    let last = series.iter().map(|(_, line)| value(line.last().map(|point| point.1)));
    rows.push(
        std::iter::once(state.words().history.last.to_owned())
            .chain(last)
            .collect(),
    );
    rows
}

/// The metrics that there are, the one that is shown among them.
fn metrics(state: PageState) -> Vec<String> {
    let mut names = vec![LOSS.to_owned()];
    let mut add = |name: &String| {
        if !names.contains(name) {
            names.push(name.clone());
        }
    };
    let compared = state.compared();
    state.history.curves.with(|curves| {
        let curves = compared.iter().filter_map(|run| curves.get(&run.record.id));
        let first = curves.filter_map(|curve| curve.evals.first());
        first
            .flat_map(|eval| &eval.metrics)
            .for_each(|metric| add(&metric.name));
    });
    add(&state.history.metric.get());
    names
}

/// The curves, and what they are drawn over.
#[component]
pub fn Curves() -> impl IntoView {
    let state = expect_context::<PageState>();
    let history = state.history;
    let picture = Memo::new(move |_| draw(state));
    let names = Memo::new(move |_| metrics(state));
    let choose_axis = move |event| {
        let name = event_target_value(&event);
        let found = CurveAxis::ALL.into_iter().find(|axis| axis.name() == name);
        history.axis.set(found.unwrap_or_default());
    };
    let axes = CurveAxis::ALL.map(|axis| {
        let label = move || (state.words().history.axis)(axis);
        view! { <option value=axis.name() prop:selected=move || history.axis.get() == axis>{label}</option> }
    });
    let options = move || {
        let option = |name: String| {
            let is_it = history.metric.with_untracked(|metric| *metric == name);
            let value = name.clone();
            view! { <option value=value prop:selected=is_it>{name}</option> }
        };
        names.get().into_iter().map(option).collect_view()
    };
    let not_kept = move || {
        let names = picture.with(|picture| picture.not_kept.join(", "));
        (!names.is_empty()).then(|| (state.words().history.not_kept)(&names))
    };
    let hint = move || {
        history
            .metric
            .with(|metric| metric == LOSS)
            .then(|| state.words().history.loss_hint)
    };
    view! {
        <section class="result" data-testid="run-curves">
            <h3>{state.text(|w| w.history.curves)}</h3>
            <div class="sampling">
                <label class="field">
                    <span class="field-name">{state.text(|w| w.history.over)}</span>
                    <select data-testid="curves-over" on:change=choose_axis>{axes}</select>
                </label>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.history.metric)}</span>
                    <select data-testid="curves-metric" on:change=move |event| history.metric.set(event_target_value(&event))>{options}</select>
                </label>
            </div>
            <Plot picture/>
            <p class="hint">{hint}</p>
            <p class="hint" role="status" data-testid="curves-not-kept">{not_kept}</p>
            <details class="fold" data-testid="curves-table">
                <summary>{state.text(|w| w.tasks.as_table)}</summary>
                <Table picture/>
            </details>
        </section>
    }
}

#[component]
fn Plot(picture: Memo<Picture>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let spoken = move || {
        let metric = state.history.metric.get();
        let ends = picture.with(|picture| {
            let ends = picture
                .strokes
                .iter()
                .map(|stroke| format!("{}: {}", stroke.name, stroke.ends));
            ends.collect::<Vec<_>>().join("; ")
        });
        format!("{metric}. {ends}")
    };
    let rows = move || row_marks(picture.with(|picture| picture.rows.clone()));
    let columns = move || column_marks(picture.with(|picture| picture.columns.clone()));
    let strokes = move || {
        let stroke = |stroke: Stroke| {
            let dots = format!("{} dots-compared", stroke.class);
            view! {
                <path class=stroke.class d=stroke.line data-testid="run-curve"></path>
                <path class=dots d=stroke.dots></path>
            }
        };
        picture
            .with(|picture| picture.strokes.clone())
            .into_iter()
            .map(stroke)
            .collect_view()
    };
    let letters = move || {
        let letter = |stroke: Stroke| {
            stroke.end.map(|(x, y)| {
                let place = format!("left:{:.2}%;top:{:.2}%", 100.0 * x, 100.0 * y);
                view! { <span class="curve-letter" style=place>{stroke.letter.to_string()}</span> }
            })
        };
        picture
            .with(|picture| picture.strokes.clone())
            .into_iter()
            .map(letter)
            .collect_view()
    };
    let legend = move || {
        let entry = |stroke: Stroke| {
            view! {
                <li>
                    <svg viewBox="0 0 30 6" aria-hidden="true"><path class=stroke.class d="M0 3H30"></path></svg>
                    <span>{stroke.name}</span>
                    <span class="hint">{stroke.ends}</span>
                </li>
            }
        };
        picture
            .with(|picture| picture.strokes.clone())
            .into_iter()
            .map(entry)
            .collect_view()
    };
    view! {
        <figure class="chart">
            <ul class="curve-legend" data-testid="curves-legend">{legend}</ul>
            <div class="plot">
                <div class="marks" aria-hidden="true">{rows}</div>
                <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=spoken>{strokes}</svg>
                <div aria-hidden="true">{letters}</div>
            </div>
            <div class="columns" aria-hidden="true">{columns}</div>
        </figure>
    }
}

#[component]
fn Table(picture: Memo<Picture>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let heads = move || {
        let over = (state.words().history.axis)(state.history.axis.get()).to_owned();
        let heads = picture.with(|picture| picture.heads.clone());
        let heads = std::iter::once(over).chain(heads);
        heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view()
    };
    let rows = move || {
        let row = |cells: Vec<String>| {
            let mut cells = cells.into_iter();
            let head = cells.next();
            let cells = cells
                .map(|cell| view! { <td class="number-cell">{cell}</td> })
                .collect_view();
            view! { <tr><th scope="row">{head}</th>{cells}</tr> }
        };
        picture
            .with(|picture| picture.table.clone())
            .into_iter()
            .map(row)
            .collect_view()
    };
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label=state.text(|w| w.history.curves)>
            <table>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
