//! The answers row by row, the worst errors first, a page at a time: those that the person wants to see.

use crate::download;
use crate::judging::{Order, RowFilter, Which, confidence, labels, shown_rows, tells_right};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::PredictionTable as Table;
use web_sys::Event;

/// Rows of a page.
const ROWS: usize = 20;
/// What the file is called.
const FILE: &str = "predictions.csv";

/// The orders, as the choice has them.
const ORDERS: [Order; 4] = [
    Order::LargestLoss,
    Order::SmallestLoss,
    Order::LeastConfident,
    Order::MostConfident,
];
/// The choice of rows.
const WHICH: [Which; 3] = [Which::All, Which::Wrong, Which::Right];

/// The table, and its file.
#[component]
pub fn PredictionTable() -> impl IntoView {
    let state = expect_context::<PageState>();
    let table = state.training.outcome.predictions;
    let filter = RwSignal::new(RowFilter::default());
    let first = RwSignal::new(0);
    Effect::new(move || {
        table.track();
        filter.set(RowFilter::default());
    });
    Effect::new(move || {
        filter.track();
        first.set(0);
    });
    let all = Memo::new(move |_| table.with(|table| table.rows.len()));
    let places = Memo::new(move |_| table.with(|table| filter.with(|filter| shown_rows(table, filter))));
    let count = Memo::new(move |_| places.with(Vec::len));
    let head = move || {
        let columns = table.with(|table| table.columns.clone()).into_iter();
        columns
            .map(|name| view! { <th scope="col">{name.replace('_', " ")}</th> })
            .collect_view()
    };
    let rows = move || {
        let shown: Vec<Vec<String>> = places.with(|places| {
            let places = places.iter().skip(first.get()).take(ROWS);
            table.with(|table| places.filter_map(|place| table.rows.get(*place).cloned()).collect())
        });
        let row = |fields: Vec<String>| {
            let last = fields.len().saturating_sub(1);
            let field = |(place, text): (usize, String)| view! { <td class:wide-cell=place == last>{text}</td> };
            view! { <tr>{fields.into_iter().enumerate().map(field).collect_view()}</tr> }
        };
        shown.into_iter().map(row).collect_view()
    };
    let shown = move || {
        let to = (first.get() + ROWS).min(count.get());
        (state.words().tasks.rows_shown)(first.get() + 1, to, count.get())
    };
    let at_end = move || first.get() + ROWS >= count.get();
    let matching = move || {
        let (count, all) = (count.get(), all.get());
        (count < all).then(
            || view! { <p class="hint" data-testid="rows-matching">{(state.words().judge.matching)(count, all)}</p> },
        )
    };
    let download = move |_| download::save(FILE, with_decisions(state).to_csv().as_bytes(), "text/csv");
    view! {
        <Show when=move || { all.get() > 0 }>
            <section class="result" data-testid="predictions">
                <h3>{state.text(|w| w.tasks.predictions)}</h3>
                <p class="hint">{move || (state.words().tasks.predictions_hint)(all.get())}</p>
                <Filters filter/>
                {matching}
                <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.tasks.predictions)>
                    <table class="predictions">
                        <thead><tr>{head}</tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                <p class="buttons">
                    <button type="button" data-testid="download-predictions" on:click=download>
                        {state.text(|w| w.tasks.download_predictions)}
                    </button>
                    <Show when=move || { count.get() > ROWS }>
                        <button type="button" class="quiet" data-testid="predictions-back" prop:disabled=move || first.get() == 0
                            on:click=move |_| first.update(|first| *first = first.saturating_sub(ROWS))>{state.text(|w| w.tasks.earlier)}</button>
                        <span class="hint" role="status">{shown}</span>
                        <button type="button" class="quiet" data-testid="predictions-next"
                            prop:disabled=at_end
                            on:click=move |_| first.update(|first| *first += ROWS)>{state.text(|w| w.tasks.later)}</button>
                    </Show>
                </p>
            </section>
        </Show>
    }
}

/// All rows, with what a kept threshold decides of them.
fn with_decisions(state: PageState) -> Table {
    let outcome = state.training.outcome;
    let table = outcome.predictions.get_untracked();
    let decisions = outcome
        .judgement
        .with_untracked(|found| found.as_ref().and_then(|found| found.decisions.clone()));
    match (outcome.kept.get_untracked(), decisions) {
        (Some(kept), Some(decisions)) => kept.decided(&table, &decisions),
        _ => table,
    }
}

/// Which rows, in which order.
#[component]
fn Filters(
    /// What is chosen.
    filter: RwSignal<RowFilter>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let table = state.training.outcome.predictions;
    let tells = Memo::new(move |_| table.with(tells_right));
    let names = Memo::new(move |_| table.with(labels));
    let orders = Memo::new(move |_| {
        if table.with(confidence).is_some() {
            ORDERS.len()
        } else {
            2
        }
    });
    let which = move |event: Event| {
        let chosen = place_of(&event_target_value(&event));
        filter.update(|filter| filter.which = WHICH.get(chosen).copied().unwrap_or_default());
    };
    let order = move |event: Event| {
        let chosen = place_of(&event_target_value(&event));
        filter.update(|filter| filter.order = ORDERS.get(chosen).copied().unwrap_or_default());
    };
    let label = move |event: Event| filter.update(|filter| filter.label = event_target_value(&event));
    let search =
        move |event: Event| filter.update(|filter| filter.text = event_target_value(&event).trim().to_lowercase());
    let option = move |place: usize, name: fn(PageState, usize) -> &'static str| {
        view! { <option value=place.to_string()>{move || name(state, place)}</option> }
    };
    let which_value = move || {
        filter.with(|filter| {
            WHICH
                .iter()
                .position(|which| *which == filter.which)
                .unwrap_or(0)
                .to_string()
        })
    };
    let order_value = move || {
        filter.with(|filter| {
            ORDERS
                .iter()
                .position(|order| *order == filter.order)
                .unwrap_or(0)
                .to_string()
        })
    };
    let label_options = move || {
        let names = names.get().into_iter();
        names
            .map(|name| view! { <option value=name.clone()>{name.clone()}</option> })
            .collect_view()
    };
    view! {
        <div class="sampling filters">
            <Show when=move || tells.get()>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.judge.rows)}</span>
                    <select data-testid="filter-which" prop:value=which_value on:change=which>
                        {[0, 1, 2].map(|place| option(place, |state, place| state.words().judge.which_rows[place]))}
                    </select>
                </label>
            </Show>
            <Show when=move || { names.with(Vec::len) > 1 }>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.judge.of_label)}</span>
                    <select data-testid="filter-label" prop:value=move || filter.with(|filter| filter.label.clone()) on:change=label>
                        <option value="">{state.text(|w| w.judge.any_label)}</option>
                        {label_options}
                    </select>
                </label>
            </Show>
            <label class="field">
                <span class="field-name">{state.text(|w| w.judge.order)}</span>
                <select data-testid="filter-order" prop:value=order_value on:change=order>
                    {move || (0..orders.get()).map(|place| option(place, |state, place| state.words().judge.orders[place])).collect_view()}
                </select>
            </label>
            <label class="field">
                <span class="field-name">{state.text(|w| w.judge.search)}</span>
                <input type="text" data-testid="filter-text" prop:value=move || filter.with(|filter| filter.text.clone()) on:change=search/>
            </label>
        </div>
    }
    .into_any()
}

fn place_of(value: &str) -> usize {
    value.parse().unwrap_or_default()
}
