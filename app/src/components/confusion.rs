//! Which class was taken for which.

use crate::report::{matrix, mistakes};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::Report;

/// Classes up to which all pairs are shown.
const CLASSES: usize = 16;
/// Mistakes that are shown of more.
const MISTAKES: usize = 20;

/// All pairs, or of many classes the most frequent mistakes.
#[component]
pub fn Confusion(
    /// The run's.
    report: Report,
) -> impl IntoView {
    match report.labels.len() {
        0 => ().into_any(),
        classes if classes <= CLASSES => view! { <Matrix report/> }.into_any(),
        _ => view! { <Mistakes report/> }.into_any(),
    }
}

#[component]
fn Matrix(
    /// The run's.
    report: Report,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let columns = report
        .labels
        .iter()
        .map(|label| view! { <th scope="col">{label.clone()}</th> });
    let columns = columns.collect_view();
    let of_class = |(truth, counts): (usize, Vec<u64>)| {
        let all = counts.iter().sum::<u64>().max(1);
        let cells = counts.into_iter().enumerate().map(move |(answer, count)| {
            let share = format!("--share:{:.3}", count as f64 / all as f64);
            view! { <td class="number-cell" class:agreed=truth == answer style=share>{count}</td> }
        });
        view! { <tr><th scope="row">{report.labels[truth].clone()}</th>{cells.collect_view()}</tr> }
    };
    let rows = matrix(&report).into_iter().enumerate().map(of_class).collect_view();
    let corner = move || format!("{} ↓ {} →", state.words().tasks.right_label, state.words().tasks.answer);
    view! {
        <div data-testid="confusion">
            <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.tasks.confusion)>
                <table class="confusion">
                    <caption>{state.text(|w| w.tasks.confusion)}</caption>
                    <thead><tr><td class="corner">{corner}</td>{columns}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="hint">{state.text(|w| w.tasks.confusion_hint)}</p>
        </div>
    }
}

#[component]
fn Mistakes(
    /// The run's.
    report: Report,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let classes = report.labels.len();
    let name = |class: usize| report.labels.get(class).cloned().unwrap_or_default();
    let row = |(truth, answer, count): (usize, usize, u64)| {
        view! { <tr><td>{name(truth)}</td><td>{name(answer)}</td><td class="number-cell">{count}</td></tr> }
    };
    let rows: Vec<_> = mistakes(&report).into_iter().take(MISTAKES).map(row).collect();
    if rows.is_empty() {
        return view! { <p>{state.text(|w| w.tasks.no_mistakes)}</p> }.into_any();
    }
    view! {
        <table data-testid="confusion">
            <caption>{move || (state.words().tasks.mistakes)(classes)}</caption>
            <thead>
                <tr>
                    <th scope="col">{state.text(|w| w.tasks.right_label)}</th>
                    <th scope="col">{state.text(|w| w.tasks.answer)}</th>
                    <th scope="col">{move || state.words().tasks.class_columns[4]}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}
