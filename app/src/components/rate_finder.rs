//! The search for a learning rate, beside its knob: the button, how far it is, and what the loss did over the rate.

use super::axis_marks::{column_marks, row_marks};
use super::notice::{Notice, worded};
use crate::advice::Search;
use crate::conversation::Job;
use crate::curves::{Axis, Line};
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{RatePoint, RateSearch};
use lorakeet_i18n::messages::tuning as msg;
use lorakeet_lab::pictures::path;

/// The knob that it is for.
pub const KNOB: &str = "learning_rate";
/// Losses above so many times the first are drawn at the chart's top.
const TOP: f64 = 1.5;
/// Rows of the table.
const ROWS: usize = 20;
/// Steps of a search.
const STEPS: usize = 100;

/// The button, and what comes of it.
#[component]
pub fn RateFinder() -> impl IntoView {
    let state = expect_context::<PageState>();
    let search = state.advice.search;
    let is_searching = Memo::new(move |_| state.advice.is_searching());
    let can_search = Memo::new(move |_| state.can_train());
    // What keeps it from being begun.
    let reason = move || {
        let words = state.words().advice;
        let is_elsewhere = || search.with(|search| *search == Search::Elsewhere);
        match is_searching.get() {
            true => None,
            false => state
                .why_not_now(words.run_under_way)
                .or_else(|| is_elsewhere().then_some(words.trains_elsewhere)),
        }
    };
    let cost = move || {
        let drops = state.training.has_adapter.get() && !is_searching.get();
        drops.then(|| view! { <p class="hint changed">{state.text(|w| w.advice.drops_adapter)}</p> })
    };
    let press = move |_| match is_searching.get_untracked() {
        true => state.stop_search(),
        false => state.find_rate(),
    };
    // One button for both, so that the keyboard stays where it is.
    let label = move || match is_searching.get() {
        true => state.words().stop,
        false => state.words().advice.find_rate,
    };
    let newest = Memo::new(move |_| match search.get() {
        Search::UnderWay(newest) => newest.map(|step| (step.step, step.learning_rate)),
        _ => None,
    });
    let progress = move || {
        let newest = newest.get();
        let share = newest.map_or(0.0, |(step, _)| step as f64 / STEPS as f64);
        is_searching.get().then(|| {
            let rate = newest.map(|(_, rate)| format!("{rate:.1e}")).unwrap_or_default();
            let text = (state.words().advice.searching)(newest.map(|(step, _)| (step, rate.as_str())));
            view! {
                <p class="hint" data-testid="rate-progress">{text}</p>
                <progress max="1" value=share aria-hidden="true"></progress>
            }
        })
    };
    let found = Memo::new(move |_| match search.get() {
        Search::Done(found) => Some(found),
        _ => None,
    });
    let is_current = Memo::new(move |_| state.advice.is_of(state.settings));
    let outcome = move || {
        found.get().map(|found| match is_current.get() {
            true => view! { <Found found/> }.into_any(),
            false => view! { <p data-testid="rate-outdated">{state.text(|w| w.advice.rate_outdated)}</p> }.into_any(),
        })
    };
    view! {
        <div class="rate-finder" data-testid="rate-finder">
            <p class="buttons">
                <button type="button" data-testid="find-rate" aria-describedby="find-rate-hint" on:click=press
                    prop:disabled=move || !is_searching.get() && !can_search.get()>{label}</button>
            </p>
            <p class="hint" id="find-rate-hint">
                {state.text(|w| w.advice.find_rate_hint)} " " <b data-testid="why-no-search">{reason}</b>
            </p>
            {cost}
            {progress}
            <Notice jobs=&[Job::FindRate]/>
            <div role="status" data-testid="found-rate">{outcome}</div>
        </div>
    }
    .into_any()
}

/// What was found.
#[component]
fn Found(
    /// The search.
    found: RateSearch,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let RateSearch {
        points,
        recommended,
        reason,
        ..
    } = found;
    let take = recommended.map(|value| {
        let rate = format!("{value:.1e}");
        let take = move |_| state.advice.take(state.settings, &[(KNOB, value.into())]);
        view! {
            <p class="buttons">
                <button type="button" class="primary" data-testid="use-rate" on:click=take
                    prop:disabled=move || state.is_training()>
                    {move || (state.words().advice.use_rate)(&rate)}
                </button>
            </p>
        }
    });
    view! {
        <p>{worded(state, reason)}</p>
        {take}
        <p class="hint">{worded(state, msg::StartOnly.into())}</p>
        <RateChart points recommended/>
    }
    .into_any()
}

/// The smoothed loss over the rate, on a logarithmic axis.
#[component]
fn RateChart(
    /// The steps.
    points: Vec<RatePoint>,
    /// The rate that is suggested.
    recommended: Option<f64>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let (columns, rows) = axes(&points);
    let top = rows.high;
    let line: Line = points
        .iter()
        .map(|point| (point.learning_rate.log10(), point.smoothed.min(top)))
        .collect();
    let drawn = path(&line, &columns, &rows);
    let mark = recommended.map(|rate| {
        let place = rate.log10();
        path(&vec![(place, rows.low), (place, rows.high)], &columns, &rows)
    });
    let ends = points.first().zip(points.last());
    let (first, last) = ends.map_or((f64::NAN, f64::NAN), |(first, last)| {
        (first.learning_rate, last.learning_rate)
    });
    let steps = points.len();
    let spoken = move || {
        let [first, last] = [first, last].map(|rate| format!("{rate:.0e}"));
        let found = recommended.map(|rate| format!("{rate:.1e}"));
        (state.words().advice.rate_summary)(steps, &first, &last, found.as_deref())
    };
    let of_row = |tick: &f64| (rows.place(*tick), format!("{tick:.*}", rows.decimals));
    let of_column = |tick: &f64| (columns.place(*tick), format!("1e{tick:.0}"));
    let row_marks = row_marks(rows.ticks.iter().map(of_row));
    let column_marks = column_marks(columns.ticks.iter().map(of_column));
    let every = steps.div_ceil(ROWS).max(1);
    let kept = points
        .iter()
        .enumerate()
        .filter(|(place, _)| place % every == 0 || place + 1 == steps);
    let table = kept.map(|(_, point)| {
        let cells =
            [point.loss, point.smoothed].map(|loss| view! { <td class="number-cell">{format::loss(loss)}</td> });
        view! { <tr><th scope="row">{format!("{:.1e}", point.learning_rate)}</th>{cells}</tr> }
    });
    let heads = move || {
        let heads = state.words().advice.rate_heads;
        heads.map(|head| view! { <th scope="col">{head}</th> })
    };
    view! {
        <figure class="chart rate-chart" data-testid="rate-chart">
            <figcaption><span class="chart-title">{state.text(|w| w.advice.rate_chart)}</span></figcaption>
            <div class="plot">
                <div class="marks" aria-hidden="true">{row_marks}</div>
                <svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=spoken>
                    <path class="line-level" d=mark></path>
                    <path class="line-train" d=drawn></path>
                </svg>
            </div>
            <div class="columns" aria-hidden="true">{column_marks}</div>
        </figure>
        <details>
            <summary class="hint">{state.text(|w| w.advice.rate_table)}</summary>
            <table>
                <caption class="unseen">{state.text(|w| w.advice.rate_chart)}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{table.collect_view()}</tbody>
            </table>
        </details>
    }
    .into_any()
}

/// The powers of ten that the rates lie between, every second one marked, and the losses up to half again the first.
fn axes(points: &[RatePoint]) -> (Axis, Axis) {
    let logs = points.iter().map(|point| point.learning_rate.log10());
    let (low, high) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), log| {
        (low.min(log), high.max(log))
    });
    // A power that is computed may lie a little beside the whole number.
    let (low, high) = match low <= high {
        true => ((low + 1e-6).floor(), (high - 1e-6).ceil()),
        false => (-1.0, 0.0),
    };
    let columns = Axis {
        low,
        high: high.max(low + 1.0),
        ticks: (low as i32..=high as i32).step_by(2).map(f64::from).collect(),
        decimals: 0,
    };
    let first = points.first().map_or(0.0, |point| point.smoothed);
    let most = TOP * first.abs();
    let losses = points.iter().map(|point| point.smoothed.min(most.max(first)));
    (columns, Axis::around(losses, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_of_rates_ends_at_powers_of_ten_and_a_loss_that_exploded_at_its_top() {
        let point = |(step, learning_rate, smoothed): (usize, f64, f64)| RatePoint {
            step,
            learning_rate,
            loss: smoothed,
            smoothed,
        };
        let points: Vec<_> = [(1, 1e-7, 2.0), (2, 3e-4, 1.0), (3, 1.0, 50.0)].map(point).into();
        let (columns, rows) = axes(&points);
        assert_eq!((columns.low, columns.high), (-7.0, 0.0));
        assert_eq!(columns.ticks, [-7.0, -5.0, -3.0, -1.0]);
        assert!(rows.low <= 1.0 && (3.0..4.0).contains(&rows.high), "{rows:?}");
        let (columns, _) = axes(&[]);
        assert!(columns.low < columns.high);
    }
}
