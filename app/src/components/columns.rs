//! What each column of the data is to the run: as it was found, and changed by a choice where there are knobs for it.

use crate::report::writes;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{ColumnRole, ColumnUse};
use lorakeet_core::task::Task;

/// Roles that `text_columns` and `label_columns` give, with the values of their options.
const CHOICES: [(ColumnRole, &str); 4] = [
    (ColumnRole::Text, "text"),
    (ColumnRole::SecondText, "second_text"),
    (ColumnRole::Label, "label"),
    (ColumnRole::Ignored, "ignored"),
];

/// The columns with their roles.
#[component]
pub fn Columns() -> impl IntoView {
    let state = expect_context::<PageState>();
    let uses = state.loaded.columns;
    let is_there = Memo::new(move |_| uses.with(|uses| !uses.is_empty()));
    let can_choose = Memo::new(move |_| {
        let task = state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.task));
        match task {
            Some(task) => matches!(task, Task::Classification | Task::MultiLabel | Task::Regression),
            // Nothing was found: the columns may be why.
            None => !writes(state.task()) || uses.with(|uses| uses.iter().any(|of| of.role == ColumnRole::Label)),
        }
    });
    // A column stays in its row whatever its role becomes, and the keyboard with it.
    let names = Memo::new(move |_| {
        uses.with(|uses| {
            let names = uses.iter().map(|of| of.column.clone());
            names.enumerate().collect::<Vec<(usize, String)>>()
        })
    });
    let itself = |named: &(usize, String)| named.clone();
    let row = move |(place, column): (usize, String)| {
        let role = Memo::new(move |_| role_at(state, place));
        let is_choice = Memo::new(move |_| {
            let role = role.get();
            can_choose.get() && CHOICES.iter().any(|(known, _)| Some(*known) == role)
        });
        let name = column.clone();
        let field = move || match is_choice.get() {
            true => choice(state, place, column.clone()),
            false => {
                let name = move || role.get().map(|role| (state.words().audit.role_name)(role));
                view! { <span>{name}</span> }.into_any()
            }
        };
        view! { <tr><th scope="row"><code>{name}</code></th><td>{field}</td></tr> }
    };
    view! {
        <Show when=move || is_there.get()>
            <div class="table-scroll" data-testid="column-roles" role="group" tabindex="0" aria-label=state.text(|w| w.audit.columns)>
                <table>
                    <caption>{state.text(|w| w.audit.columns)}</caption>
                    <thead><tr>
                        <th scope="col">{state.text(|w| w.columns)}</th>
                        <th scope="col">{state.text(|w| w.audit.role)}</th>
                    </tr></thead>
                    <tbody><For each=move || names.get() key=itself children=row/></tbody>
                </table>
            </div>
        </Show>
    }
}

/// What the column at a place is to the run.
fn role_at(state: PageState, place: usize) -> Option<ColumnRole> {
    let uses = state.loaded.columns;
    uses.with(|uses| uses.get(place).map(|of| of.role))
}

/// The choice of a column's role.
fn choice(state: PageState, place: usize, column: String) -> AnyView {
    let options = CHOICES.map(|(known, value)| {
        // Looked at whenever the engine tells the roles, changed or not: it may not have taken what was chosen.
        let is_it = move || role_at(state, place) == Some(known);
        view! { <option value=value prop:selected=is_it>{move || (state.words().audit.role_name)(known)}</option> }
    });
    let testid = format!("role-{column}");
    let label = {
        let column = column.clone();
        move || (state.words().audit.role_of)(&column)
    };
    let change = move |event| {
        let value = event_target_value(&event);
        let chosen = CHOICES.iter().find(|(_, known)| *known == value);
        if let Some((role, _)) = chosen {
            let (texts, labels) = state
                .loaded
                .columns
                .with_untracked(|uses| assigned(uses, &column, *role));
            state.set_names("text_columns", &texts);
            state.set_names("label_columns", &labels);
        }
    };
    let view = view! {
        <select data-testid=testid aria-label=label prop:disabled=move || state.training.phase.with(Phase::is_under_way)
            on:change=change>{options}</select>
    };
    view.into_any()
}

/// The columns of texts and of labels once one of them has another role. There is one first and one second text; of several labels
/// one more is added, a single one makes way.
fn assigned(uses: &[ColumnUse], column: &str, role: ColumnRole) -> (Vec<String>, Vec<String>) {
    let of = |role: ColumnRole| {
        let of_role = uses.iter().filter(|of| of.role == role && of.column != column);
        of_role.map(|of| of.column.clone()).collect::<Vec<_>>()
    };
    let (mut texts, mut second, mut labels) = (of(ColumnRole::Text), of(ColumnRole::SecondText), of(ColumnRole::Label));
    let given = vec![column.to_owned()];
    match role {
        ColumnRole::Text => texts = given,
        ColumnRole::SecondText => second = given,
        ColumnRole::Label if labels.len() > 1 => labels.extend(given),
        ColumnRole::Label => labels = given,
        _ => {}
    }
    texts.extend(second);
    (texts, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_the_place_of_the_one_that_had_its_role() {
        let of = |column: &str, role| ColumnUse {
            column: column.to_owned(),
            role,
        };
        let uses = [
            of("note", ColumnRole::Text),
            of("kind", ColumnRole::Label),
            of("mood", ColumnRole::Ignored),
        ];
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let changed = |column, role| assigned(&uses, column, role);
        assert_eq!(changed("mood", ColumnRole::Label), (names(&["note"]), names(&["mood"])));
        assert_eq!(changed("mood", ColumnRole::Text), (names(&["mood"]), names(&["kind"])));
        assert_eq!(
            changed("mood", ColumnRole::SecondText),
            (names(&["note", "mood"]), names(&["kind"]))
        );
        assert_eq!(changed("kind", ColumnRole::Ignored), (names(&["note"]), Vec::new()));
    }
}
