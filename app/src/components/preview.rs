//! A few examples, token by token: what is learnt from is underlined and coloured, what is only read is not, what is cut off is
//! struck; and the way to any other.

use crate::report::writes;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::PreviewExample;

/// Examples that are shown.
const EXAMPLES: usize = 4;
/// Tokens of an example that are shown.
const TOKENS: usize = 320;

/// The examples.
#[component]
pub fn Preview() -> impl IntoView {
    let state = expect_context::<PageState>();
    let texts = Memo::new(move |_| writes(state.task()));
    let examples = move || {
        let examples = state.loaded.preview.get();
        if examples.is_empty() {
            return view! { <p class="hint">{state.text(|w| w.preview_none)}</p> }.into_any();
        }
        let (after, _) = state.loaded.preview_place.get();
        let shown = examples.into_iter().take(EXAMPLES).enumerate();
        shown
            .map(|(index, example)| view! { <Example number=after + index + 1 example texts/> })
            .collect_view()
            .into_any()
    };
    let is_cut = Memo::new(move |_| {
        let examples = state.loaded.preview;
        examples.with(|examples| examples.iter().any(|example| !example.cut_tokens.is_empty()))
    });
    let answered = move || view! { <p class="hint">{state.text(|w| w.tasks.preview_legend)}</p> };
    view! {
        <section class="preview" data-testid="preview">
            <h3>{state.text(|w| w.preview)}</h3>
            <Show when=move || texts.get() fallback=answered>
            <p class="hint">
                <span class="token trained">{state.text(|w| w.preview_trained)}</span> " "
                <span class="token">{state.text(|w| w.preview_read)}</span> " · " {state.text(|w| w.preview_legend)}
            </p>
            </Show>
            <Show when=move || is_cut.get()>
                <p class="hint"><del class="token cut">{state.text(|w| w.audit.preview_cut)}</del></p>
            </Show>
            {examples}
            <Pager/>
        </section>
    }
}

/// The way to other rows, where there are more than are shown.
#[component]
fn Pager() -> impl IntoView {
    let state = expect_context::<PageState>();
    let place = state.loaded.preview_place;
    let is_there = Memo::new(move |_| {
        let (after, total) = place.get();
        state.loaded.preview.with(|examples| !examples.is_empty()) && (total > EXAMPLES || after > 0)
    });
    let locked = move || state.is_training();
    let shown = move || {
        let (after, total) = place.get();
        (state.words().tasks.rows_shown)(after + 1, (after + EXAMPLES).min(total), total)
    };
    let at_begin = move || (place.get().0 == 0).to_string();
    let at_end = move || {
        let (after, total) = place.get();
        (after + EXAMPLES >= total).to_string()
    };
    let step = move |is_back: bool| {
        let (_, total) = place.get_untracked();
        // Of several presses each goes on from the one before, whether or not its rows are here.
        let after = state.loaded.preview_after.get_value();
        match is_back {
            true if after > 0 => state.show_rows(after.saturating_sub(EXAMPLES)),
            false if after + EXAMPLES < total => state.show_rows(after + EXAMPLES),
            // At either end the buttons are not disabled but by name, so that the keyboard stays on them.
            _ => {}
        }
    };
    let go = move |event| {
        if let Ok(number) = event_target_value(&event).trim().parse::<usize>() {
            let (_, total) = place.get_untracked();
            state.show_rows(number.clamp(1, total.max(1)) - 1);
        }
    };
    view! {
        <Show when=move || is_there.get()>
            <div class="buttons" data-testid="preview-pager">
                <button type="button" class="quiet" data-testid="preview-back" prop:disabled=locked aria-disabled=at_begin
                    on:click=move |_| step(true)>{state.text(|w| w.tasks.earlier)}</button>
                <span class="hint" role="status" data-testid="preview-place">{shown}</span>
                <button type="button" class="quiet" data-testid="preview-next" prop:disabled=locked aria-disabled=at_end
                    on:click=move |_| step(false)>{state.text(|w| w.tasks.later)}</button>
                <label class="inline-field">
                    {state.text(|w| w.audit.go_to)} " "
                    <input type="text" inputmode="numeric" size="6" autocomplete="off" data-testid="preview-row" prop:disabled=locked
                        prop:value=move || (place.get().0 + 1).to_string() on:change=go/>
                </label>
            </div>
        </Show>
    }
}

/// One example.
#[component]
fn Example(
    /// From 1.
    number: usize,
    /// Its tokens.
    example: PreviewExample,
    /// Whether tokens are learnt.
    texts: Memo<bool>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let all = example.tokens.len();
    let trained = example.tokens.iter().filter(|token| token.1).count();
    let (truncated, cut) = (example.truncated, example.cut);
    let label = example.label;
    let heading = move || {
        let words = state.words();
        let end = match (cut, truncated) {
            (0, false) => String::new(),
            (0, true) => format!(" · {}", words.truncated),
            (cut, _) => format!(" · {}", (words.audit.cut)(cut)),
        };
        let tokens = match trained {
            0 => (words.tokens)(all.to_string()),
            _ => (words.example_tokens)(all, trained),
        };
        let answer = match label.as_str() {
            "" => String::new(),
            label => format!(" · {}", (words.tasks.answer_is)(label)),
        };
        format!("{} · {tokens}{end}{answer}", (words.example)(number))
    };
    let nothing = move || {
        let words = state.words().audit;
        let text = match truncated {
            true => (words.answer_cut)(all + cut),
            false => words.nothing_learnt.to_owned(),
        };
        let is_said = texts.get() && trained == 0;
        is_said.then(|| view! { <p class="field-error" data-testid="nothing-learnt">{text}</p> })
    };
    // A line break that is a token of its own would be invisible.
    let visible = |text: String| text.replace('\n', "↵\n");
    let tokens = example.tokens.into_iter().take(TOKENS);
    let tokens =
        tokens.map(|(text, trained)| view! { <span class="token" class:trained=trained>{visible(text)}</span> });
    let tokens = tokens.collect_view();
    let cut_tokens = example.cut_tokens.into_iter();
    let cut_tokens = cut_tokens.map(|text| view! { <del class="token cut">{visible(text)}</del> });
    let cut_tokens = cut_tokens.collect_view();
    view! {
        <article class="example">
            <h4>{heading.clone()}</h4>
            {nothing}
            <p class="tokens" tabindex="0" role="group" aria-label=heading>{tokens}{(all > TOKENS).then_some("…")}{cut_tokens}</p>
        </article>
    }
}
