//! How many rows each label has.

use crate::format;
use crate::report::writes;
use crate::state::PageState;
use leptos::prelude::*;

/// Labels that are shown.
const SHOWN: usize = 12;
/// So many times as many rows as the next label make the labels unequal.
const UNEQUAL: u64 = 3;

/// The labels of the data, the most frequent first.
#[component]
pub fn Labels() -> impl IntoView {
    let state = expect_context::<PageState>();
    let labels = Memo::new(move |_| {
        let of =
            |outlook: &lorakeet_core::protocol::RunPreview| (!writes(outlook.task)).then(|| outlook.labels.clone());
        state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().and_then(of))
            .unwrap_or_default()
    });
    let bars = move || {
        let labels = labels.get();
        let most = labels.iter().map(|(_, rows)| *rows).max().unwrap_or(0).max(1);
        let shown = labels.into_iter().take(SHOWN).map(move |(label, rows)| {
            let width = format!("width:{:.1}%", 100.0 * rows as f64 / most as f64);
            view! {
                <tr>
                    <th scope="row">{label}</th>
                    <td class="number-cell">{format::whole(rows as f64)}</td>
                    <td class="bar-cell" aria-hidden="true"><span class="bar" style=width></span></td>
                </tr>
            }
        });
        shown.collect_view()
    };
    let more = move || {
        let hidden = labels.with(Vec::len).saturating_sub(SHOWN);
        (hidden > 0).then(|| view! { <p class="hint">{(state.words().tasks.more_labels)(hidden)}</p> })
    };
    let unequal = move || {
        let is = labels.with(|labels| matches!(&labels[..], [first, second, ..] if first.1 > UNEQUAL * second.1));
        is.then(|| view! { <p class="hint">{state.text(|w| w.tasks.unequal)}</p> })
    };
    view! {
        <Show when=move || labels.with(|labels| !labels.is_empty())>
            <div data-testid="label-counts">
                <table class="bars">
                    <caption>{state.text(|w| w.tasks.labels)}</caption>
                    <tbody>{bars}</tbody>
                </table>
                {more}
                {unequal}
            </div>
        </Show>
    }
}
