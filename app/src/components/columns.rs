//! What each column of the data is to the run: as it was found, and changed by a choice where there are knobs for it.

use crate::report::writes;
use crate::state::PageState;
use crate::state::columns::{HEADER, WrittenColumns};
use leptos::prelude::*;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{ColumnRole, ColumnUse, DataInfo};
use lorakeet_core::task::Task;

/// Roles with the values of their options.
type Choices = &'static [(ColumnRole, &'static str)];

/// Roles that `text_columns` and `label_columns` give.
const ANSWERED: Choices = &[
    (ColumnRole::Text, "text"),
    (ColumnRole::SecondText, "second_text"),
    (ColumnRole::Label, "label"),
    (ColumnRole::Ignored, "ignored"),
];

/// Roles that `prompt_columns`, `completion_column` and `system_column` give.
const WRITTEN: Choices = &[
    (ColumnRole::Text, "text"),
    (ColumnRole::Prompt, "prompt"),
    (ColumnRole::Completion, "completion"),
    (ColumnRole::System, "system"),
    (ColumnRole::Ignored, "ignored"),
];

/// Prompts that a run reads: what to do, and what with.
const MOST_PROMPTS: usize = 2;

/// The columns with their roles.
#[component]
pub fn Columns() -> impl IntoView {
    let state = expect_context::<PageState>();
    let uses = state.loaded.columns;
    let is_there = Memo::new(move |_| uses.with(|uses| !uses.is_empty()));
    let choices = Memo::new(move |_| -> Choices {
        let task = state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.task));
        let has = |role| uses.with(|uses| uses.iter().any(|of| of.role == role));
        match task {
            Some(Task::Classification | Task::MultiLabel | Task::Regression) => ANSWERED,
            // Turns have their columns by the names that data sets give them.
            Some(Task::Generation) if !has(ColumnRole::Conversation) => WRITTEN,
            Some(_) => &[],
            // Nothing was found: the columns may be why.
            None if !writes(state.task()) || has(ColumnRole::Label) => ANSWERED,
            None if !has(ColumnRole::Conversation) => WRITTEN,
            None => &[],
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
        let offered = Memo::new(move |_| {
            let (role, choices) = (role.get(), choices.get());
            choices.iter().any(|(known, _)| Some(*known) == role).then_some(choices)
        });
        let name = column.clone();
        let field = move || match offered.get() {
            Some(choices) => choice(state, place, column.clone(), choices),
            None => {
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
                <FirstRow/>
            </div>
        </Show>
    }
}

/// Whether the first row of the table names its columns.
#[component]
fn FirstRow() -> impl IntoView {
    let state = expect_context::<PageState>();
    let data = state.loaded.data;
    let is_there = Memo::new(move |_| data.with(|data| data.as_ref().is_some_and(has_first_row)));
    let text = Memo::new(move |_| find(HEADER).map(|knob| state.settings.text(knob)).unwrap_or_default());
    let option = move |value: &'static str| move || text.with(|text| text == value);
    view! {
        <Show when=move || is_there.get()>
            <label class="inline-field">
                {state.text(|w| w.audit.first_row)} " "
                <select data-testid="first-row" prop:disabled=move || state.is_training()
                    on:change=move |event| state.say_header(&event_target_value(&event))>
                    <option value="" prop:selected=option("")>{state.text(|w| w.audit.encoding_found)}</option>
                    <option value="true" prop:selected=option("true")>{state.text(|w| w.audit.first_row_names)}</option>
                    <option value="false" prop:selected=option("false")>{state.text(|w| w.audit.first_row_data)}</option>
                </select>
            </label>
        </Show>
    }
}

/// Whether the first row of the data may name their columns: that of a sheet or a delimited table. JSON and Parquet name them anyway.
fn has_first_row(info: &DataInfo) -> bool {
    let ending = info.name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    !info.sheets.is_empty() || matches!(ending.as_deref(), Some("csv" | "tsv" | "tab"))
}

/// What the column at a place is to the run.
fn role_at(state: PageState, place: usize) -> Option<ColumnRole> {
    let uses = state.loaded.columns;
    uses.with(|uses| uses.get(place).map(|of| of.role))
}

/// The choice of a column's role.
fn choice(state: PageState, place: usize, column: String, choices: Choices) -> AnyView {
    let options = choices.iter().map(|&(known, value)| {
        // Looked at whenever the engine tells the roles, changed or not: it may not have taken what was chosen.
        let is_it = move || role_at(state, place) == Some(known);
        view! { <option value=value prop:selected=is_it>{move || (state.words().audit.role_name)(known)}</option> }
    });
    let options = options.collect_view();
    let testid = format!("role-{column}");
    let label = {
        let column = column.clone();
        move || (state.words().audit.role_of)(&column)
    };
    let change = move |event| {
        let value = event_target_value(&event);
        let Some(&(role, _)) = choices.iter().find(|(_, known)| *known == value) else {
            return;
        };
        let uses = state.loaded.columns;
        if choices == ANSWERED {
            let (texts, labels) = uses.with_untracked(|uses| assigned(uses, &column, role));
            state.name_answered(&texts, &labels);
        } else {
            match uses.with_untracked(|uses| written(uses, &column, role)) {
                Some(columns) => state.name_columns(&columns),
                // The choice goes back to what the column is.
                None => uses.notify(),
            }
        }
    };
    let view = view! {
        <select data-testid=testid aria-label=label prop:disabled=move || state.is_training()
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

/// The columns of texts that are written once one of them has another role. There is one answer: prompt and answer change places where
/// one becomes the other, and where the answer loses its role, the first column takes it that has none. A third prompt takes the place of
/// the second. `None` where no column is left to be learnt.
fn written(uses: &[ColumnUse], column: &str, role: ColumnRole) -> Option<WrittenColumns> {
    let of = |role: ColumnRole| {
        let of_role = uses.iter().filter(move |of| of.role == role && of.column != column);
        of_role.map(|of| of.column.clone())
    };
    let is_answer = |of: &ColumnUse| matches!(of.role, ColumnRole::Completion | ColumnRole::Text);
    let former = uses.iter().find(|of| of.column == column);
    let mut prompts: Vec<String> = of(ColumnRole::Prompt).take(MOST_PROMPTS).collect();
    let mut completion = of(ColumnRole::Completion).chain(of(ColumnRole::Text)).next();
    let mut system = of(ColumnRole::System).next();
    let itself = Some(column.to_owned());
    match role {
        ColumnRole::Text => (prompts, completion) = (Vec::new(), itself),
        ColumnRole::Completion => {
            let was_prompt = former.is_some_and(|of| of.role == ColumnRole::Prompt);
            prompts.extend(completion.filter(|_| was_prompt));
            completion = itself;
        }
        ColumnRole::System => system = itself,
        ColumnRole::Prompt => {
            if former.is_some_and(is_answer) && !prompts.is_empty() {
                completion = Some(prompts.remove(0));
            }
            prompts.truncate(MOST_PROMPTS - 1);
            prompts.extend(itself);
        }
        _ => {}
    }
    let completion = completion.or_else(|| of(ColumnRole::Ignored).next())?;
    prompts.sort_by_key(|name| uses.iter().position(|of| of.column == *name));
    // It is told in front of a prompt.
    let system = system.filter(|_| !prompts.is_empty());
    Some(WrittenColumns {
        prompts,
        completion,
        system,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_and_sheets_have_a_first_row_that_may_name_columns() {
        let has = |name: &str, sheets: &[&str]| {
            has_first_row(&DataInfo {
                name: name.to_owned(),
                form: "table".to_owned(),
                rows: 2,
                columns: Vec::new(),
                sheets: sheets.iter().map(|sheet| (*sheet).to_owned()).collect(),
                notes: Vec::new(),
            })
        };
        assert!(has("rows.CSV", &[]) && has("all.zip › rows.tsv", &[]) && has("book.xlsx", &["Sheet1"]));
        assert!(!has("rows.jsonl", &[]) && !has("rows.csv.zip › rows.json", &[]) && !has("rows.parquet", &[]));
    }

    #[test]
    fn a_table_has_one_answer_whatever_is_chosen() {
        let of = |column: &str, role| ColumnUse {
            column: column.to_owned(),
            role,
        };
        let uses = [
            of("about", ColumnRole::Ignored),
            of("ask", ColumnRole::Prompt),
            of("say", ColumnRole::Completion),
        ];
        let changed = |column, role| {
            let columns = written(&uses, column, role).expect("an answer is left");
            (
                columns.prompts.join(" "),
                columns.completion,
                columns.system.unwrap_or_default(),
            )
        };
        let want = |prompts: &str, completion: &str, system: &str| {
            (prompts.to_owned(), completion.to_owned(), system.to_owned())
        };
        assert_eq!(changed("about", ColumnRole::Prompt), want("about ask", "say", ""));
        assert_eq!(changed("about", ColumnRole::System), want("ask", "say", "about"));
        assert_eq!(changed("about", ColumnRole::Completion), want("ask", "about", ""));
        assert_eq!(changed("say", ColumnRole::Prompt), want("say", "ask", ""));
        assert_eq!(changed("ask", ColumnRole::Completion), want("say", "ask", ""));
        assert_eq!(changed("say", ColumnRole::Ignored), want("ask", "about", ""));
        assert_eq!(changed("ask", ColumnRole::Ignored), want("", "say", ""));
        assert_eq!(changed("ask", ColumnRole::Text), want("", "ask", ""));
        assert_eq!(
            written(&[of("only", ColumnRole::Text)], "only", ColumnRole::Prompt),
            None
        );
    }

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
