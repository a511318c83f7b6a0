//! How good the answers of each class are.

use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::ClassRow;

/// A row for each class.
#[component]
pub fn Classes(
    /// The classes.
    classes: Vec<ClassRow>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let row = |class: ClassRow| {
        let cells = [class.precision, class.recall, class.f1].map(format::loss);
        view! {
            <tr>
                <th scope="row">{class.label}</th>
                {cells.map(|cell| view! { <td class="number-cell">{cell}</td> })}
                <td class="number-cell">{class.support}</td>
            </tr>
        }
    };
    let head = (0..5).map(|place| view! { <th scope="col" class:number-cell={place > 0}>{move || state.words().tasks.class_columns[place]}</th> });
    let head = head.collect_view();
    view! {
        <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.tasks.classes) data-testid="classes">
            <table>
                <caption>{state.text(|w| w.tasks.classes)}</caption>
                <thead><tr>{head}</tr></thead>
                <tbody>{classes.into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
}
