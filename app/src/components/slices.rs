//! The metric on parts of the rows: by the length of the text and by the data's other columns.

use crate::format;
use crate::report::value;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Interval, Judgement, Slice, SliceBy};

/// The slices of the last run, where it has any.
#[component]
pub fn Slices() -> impl IntoView {
    let state = expect_context::<PageState>();
    let judgement = state.training.outcome.judgement;
    let found = move || judgement.get().filter(|found| !found.slices.is_empty());
    move || found().map(|judgement| view! { <Table judgement/> })
}

/// A slice in words.
fn name(state: PageState, by: &SliceBy) -> String {
    match by {
        SliceBy::Length { from, to, in_tokens } => (state.words().judge.length)(*from, *to, *in_tokens),
        SliceBy::Column { name, value } => format!("{name} = {value}"),
    }
}

/// An interval as `0.812–0.934`.
pub fn range(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |found| {
        format!("{} … {}", format::loss(found.low), format::loss(found.high))
    })
}

#[component]
fn Table(
    /// The run's.
    judgement: Judgement,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let Judgement { metric, slices, .. } = judgement;
    let whole = {
        let metric = metric.clone();
        let report = state.training.outcome.report;
        move || report.with(|report| report.as_ref().and_then(|report| value(&report.metrics, &metric)))
    };
    let hint = {
        let metric = metric.clone();
        move || (state.words().judge.slices_hint)(&metric, &whole().map_or("–".to_owned(), format::loss))
    };
    let worse: Vec<SliceBy> = slices
        .iter()
        .filter(|slice| slice.is_worse)
        .map(|slice| slice.by.clone())
        .collect();
    let sentence = move || match worse.as_slice() {
        [] => state.words().judge.none_worse.to_owned(),
        worse => {
            let names: Vec<String> = worse.iter().map(|by| name(state, by)).collect();
            (state.words().judge.worse_on)(&names.join("; "))
        }
    };
    let row = move |slice: Slice| {
        let Slice {
            by,
            rows,
            value,
            interval,
            is_worse,
        } = slice;
        let remark = move || if is_worse { state.words().judge.worse } else { "" };
        view! {
            <tr class:worse=is_worse data-worse=is_worse.to_string()>
                <th scope="row">{move || name(state, &by)}</th>
                <td class="number-cell">{format::whole(rows as f64)}</td>
                <td class="number-cell">{format::loss(value)}</td>
                <td class="number-cell">{range(interval)}</td>
                <td>{remark}</td>
            </tr>
        }
    };
    let column = move |place: usize| move || state.words().judge.slice_columns[place];
    view! {
        <section class="result" data-testid="slices">
            <h3>{state.text(|w| w.judge.slices)}</h3>
            <p data-testid="slices-sentence">{sentence}</p>
            <p class="hint">{hint}</p>
            <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.judge.slices)>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{column(0)}</th>
                            <th scope="col" class="number-cell">{column(1)}</th>
                            <th scope="col" class="number-cell"><code>{metric}</code></th>
                            <th scope="col" class="number-cell">{column(2)}</th>
                            <th scope="col">{column(3)}</th>
                        </tr>
                    </thead>
                    <tbody>{slices.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
    .into_any()
}
