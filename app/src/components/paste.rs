//! Rows that are pasted or typed in place of a file.

use crate::loaded::DataSource;
use crate::state::PageState;
use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::JsValue;
use web_sys::File;

/// Lines that are looked at to tell what was pasted.
const LINES: usize = 20;

/// The field, and the button that takes what stands in it as the data.
#[component]
pub fn Paste() -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = RwSignal::new(String::new());
    let is_blank = move || text.with(|text| text.trim().is_empty());
    let locked = move || state.is_training();
    let take = move |_| {
        let file = text
            .with_untracked(|text| File::new_with_str_sequence(&Array::of1(&JsValue::from_str(text)), name_of(text)));
        if let Ok(file) = file {
            state.choose_data(DataSource::Own(vec![file]));
        }
    };
    view! {
        <details class="fold" data-testid="paste">
            <summary>{state.text(|w| w.audit.paste)}</summary>
            <textarea rows="6" spellcheck="false" data-testid="paste-text" aria-label=state.text(|w| w.audit.paste)
                aria-describedby="paste-hint" prop:disabled=locked
                on:input=move |event| text.set(event_target_value(&event))></textarea>
            <p class="hint" id="paste-hint">{state.text(|w| w.audit.paste_hint)}</p>
            <p class="buttons">
                <button type="button" data-testid="paste-use" prop:disabled=move || locked() || is_blank() on:click=take>
                    {state.text(|w| w.audit.paste_use)}
                </button>
            </p>
        </details>
    }
}

/// The name of a file with this text, whose ending says how it is read. Spreadsheets copy their cells with tabs between them, and in
/// quotes where there is a line break within.
fn name_of(text: &str) -> &'static str {
    let lines = || text.lines().filter(|line| !line.trim().is_empty()).take(LINES);
    let first = lines().next().unwrap_or_default();
    let is_separated_by = |sign: char| {
        let mut counts = lines().map(|line| line.matches(sign).count());
        let count = counts.next().unwrap_or_default();
        count > 0 && lines().nth(1).is_some() && counts.all(|other| other == count)
    };
    match text.trim_start().chars().next() {
        Some('{' | '[') => "pasted.json",
        _ if first.contains('\t') && text.contains('"') => "pasted.csv",
        _ if first.contains('\t') => "pasted.tsv",
        _ if is_separated_by(',') || is_separated_by(';') => "pasted.csv",
        _ => "pasted.txt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pasted_is_told_from_its_first_lines() {
        for (text, name) in [
            ("text\tlabel\nGood, really.\tyes\n", "pasted.tsv"),
            ("text\tlabel\n\"two\nlines\"\tyes\n", "pasted.csv"),
            ("text,label\na,b\nc,d", "pasted.csv"),
            ("text;label\na;b", "pasted.csv"),
            ("{\"text\": \"a\"}\n{\"text\": \"b\"}", "pasted.json"),
            (" [{\"text\": \"a\"}]", "pasted.json"),
            ("Once upon a time, there was\na parrot.", "pasted.txt"),
            ("One line, alone", "pasted.txt"),
        ] {
            assert_eq!(name_of(text), name, "{text}");
        }
    }
}
