//! Scores side by side: a row for each way to answer, a column for each metric.

use super::slices::range;
use crate::format;
use crate::report::value;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Interval, Metric};

/// One way to answer: its name, its metrics, and whether it is the tuned model.
pub type Way = (String, Vec<Metric>, bool);

/// The table.
#[component]
pub fn Scores(
    /// Its caption.
    #[prop(into)]
    caption: Signal<&'static str>,
    /// The ways, in the order of the rows.
    #[prop(into)]
    ways: Signal<Vec<Way>>,
    /// The metric by which the run is judged, where that is known.
    #[prop(into)]
    judged: Signal<Option<String>>,
    /// The intervals of that metric, in the order of the ways, where there are any.
    #[prop(optional)]
    intervals: Option<Signal<Vec<Option<Interval>>>>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let names = Memo::new(move |_| {
        let mut names: Vec<String> = Vec::new();
        for metric in ways.get().iter().flat_map(|way| &way.1) {
            if !names.contains(&metric.name) {
                names.push(metric.name.clone());
            }
        }
        names
    });
    let intervals = Memo::new(move |_| intervals.map(|intervals| intervals.get()).unwrap_or_default());
    let interval_head = move || {
        let confidence = intervals.with(|all| all.iter().flatten().next().map(|interval| interval.confidence));
        confidence.map(|confidence| {
            let percent = format!("{:.0}", 100.0 * confidence);
            let judged = judged.get().unwrap_or_default();
            view! { <th scope="col" class="number-cell"><code>{judged}</code>" "{(state.words().judge.interval)(&percent)}</th> }
        })
    };
    let is_judged = move |name: &str| judged.with(|judged| judged.as_deref() == Some(name));
    let head = move || {
        let column = |name: String| {
            let judged = is_judged(&name);
            view! { <th scope="col" class="number-cell" class:judged=judged><code>{name}</code></th> }
        };
        names.get().into_iter().map(column).collect_view()
    };
    let rows = move || {
        let names = names.get();
        let has_intervals = intervals.with(|all| all.iter().any(Option::is_some));
        let row = |(place, (way, metrics, tuned)): (usize, Way)| {
            let interval = has_intervals.then(|| {
                let found = intervals.with(|all| all.get(place).copied().flatten());
                view! { <td class="number-cell">{range(found)}</td> }
            });
            let cells = names.iter().map(|name| {
                let shown = value(&metrics, name).map_or("–".to_owned(), format::loss);
                let judged = is_judged(name);
                view! { <td class="number-cell" class:judged=judged data-metric=name.clone()>{shown}</td> }
            });
            let cells = cells.collect_view();
            view! { <tr class:tuned=tuned><th scope="row">{way}</th>{cells}{interval}</tr> }
        };
        ways.get().into_iter().enumerate().map(row).collect_view()
    };
    view! {
        <div class="table-scroll" role="group" tabindex="0" aria-label=caption>
            <table>
                <caption>{caption}</caption>
                <thead><tr><th scope="col">{state.text(|w| w.tasks.way)}</th>{head}{interval_head}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
}
