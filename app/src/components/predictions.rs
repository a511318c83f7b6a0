//! The answers row by row, the worst errors first, a page at a time.

use crate::download;
use crate::state::PageState;
use leptos::prelude::*;

/// Rows of a page.
const ROWS: usize = 20;
/// What the file is called.
const FILE: &str = "predictions.csv";

/// The table, and its file.
#[component]
pub fn PredictionTable() -> impl IntoView {
    let state = expect_context::<PageState>();
    let table = state.training.outcome.predictions;
    let first = RwSignal::new(0);
    Effect::new(move || {
        table.track();
        first.set(0);
    });
    let all = Memo::new(move |_| table.with(|table| table.rows.len()));
    let head = move || {
        let columns = table.with(|table| table.columns.clone()).into_iter();
        columns
            .map(|name| view! { <th scope="col">{name.replace('_', " ")}</th> })
            .collect_view()
    };
    let rows = move || {
        let shown: Vec<_> = table.with(|table| table.rows.iter().skip(first.get()).take(ROWS).cloned().collect());
        let row = |fields: Vec<String>| {
            let last = fields.len().saturating_sub(1);
            let field = |(place, text): (usize, String)| view! { <td class:wide-cell=place == last>{text}</td> };
            view! { <tr>{fields.into_iter().enumerate().map(field).collect_view()}</tr> }
        };
        shown.into_iter().map(row).collect_view()
    };
    let shown =
        move || (state.words().tasks.rows_shown)(first.get() + 1, (first.get() + ROWS).min(all.get()), all.get());
    let at_end = move || first.get() + ROWS >= all.get();
    let download = move |_| table.with_untracked(|table| download::save(FILE, table.to_csv().as_bytes(), "text/csv"));
    view! {
        <Show when=move || { all.get() > 0 }>
            <section class="result" data-testid="predictions">
                <h3>{state.text(|w| w.tasks.predictions)}</h3>
                <p class="hint">{move || (state.words().tasks.predictions_hint)(all.get())}</p>
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
                    <Show when=move || { all.get() > ROWS }>
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
