//! The numbers of the charts as a table, for those who do not see them and for those who want to know exactly.

use super::small_charts::{memory, norm, rate, speed};
use crate::chart_view::ChartView;
use crate::curves::{Curves, Measure, smoothed};
use crate::format;
use crate::i18n::Words;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::StepInfo;
use lorakeet_lab::pictures::numbers;
use web_sys::HtmlDetailsElement;

/// Steps that are told of at most.
const ROWS: usize = 50;

/// The table behind a fold. It is made while it is open, and anew when the validation rows were scored or the run's phase
/// changed: who reads it has time to.
#[component]
pub fn ChartTable(
    /// How the charts are looked at.
    chart: ChartView,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_open = RwSignal::new(false);
    let toggle = move |event: web_sys::Event| is_open.set(event_target::<HtmlDetailsElement>(&event).open());
    let scored = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| run.curves.evals.len())
    });
    let table = move || {
        if !is_open.get() {
            return String::new();
        }
        scored.track();
        state.training.phase.track();
        let (words, beta) = (state.words(), chart.smoothing.get());
        state.training.run.with_value(|run| table_of(&run.curves, beta, words))
    };
    let name = move || state.words().charts.as_table;
    view! {
        <details class="fold" data-testid="chart-table" on:toggle=toggle>
            <summary>{name}</summary>
            <div class="table-scroll" tabindex="0" role="group" aria-label=name inner_html=table></div>
        </details>
    }
    .into_any()
}

/// At most [`ROWS`] steps, evenly spaced, the last among them.
fn table_of(curves: &Curves, beta: f64, words: &Words) -> String {
    let smooth = smoothed(&curves.losses(Measure::Step), beta);
    let heads = [
        words.step,
        (words.charts.measure)(Measure::Seconds),
        words.loss,
        words.charts.smoothed,
        words.validation_loss,
        words.learning_rate,
        words.grad_norm,
        words.speed,
        words.charts.memory,
    ];
    let count = curves.steps.len();
    let every = count.div_ceil(ROWS).max(1);
    // Counted from the end, so that the newest is told.
    let kept = curves.steps.iter().rev().step_by(every).collect::<Vec<&StepInfo>>();
    let written = |value: Option<f64>, show: fn(f64) -> String| value.map_or("–".to_owned(), show);
    let time = |seconds: f64| match seconds {
        0.0..60.0 => (words.charts.seconds)(seconds, 1),
        60.0.. => (words.duration)(seconds),
        _ => "–".to_owned(),
    };
    let row = |info: &&StepInfo| {
        let mean = smooth.iter().find(|point| point.0 == info.step as f64);
        let eval = curves.evals.iter().find(|eval| eval.step == info.step);
        vec![
            info.step.to_string(),
            time(info.seconds),
            format::loss(info.loss),
            written(mean.map(|point| point.1), format::loss),
            written(eval.map(|eval| eval.loss), format::loss),
            written(rate(info), format::rate),
            written(norm(info), format::loss),
            written(speed(info), format::speed),
            written(memory(info), |bytes| format::bytes(bytes as u64)),
        ]
    };
    let rows: Vec<Vec<String>> = kept.iter().rev().map(row).collect();
    let caption = (words.charts.table)(rows.len(), count);
    numbers(&caption, &heads.map(str::to_owned), &rows)
}
