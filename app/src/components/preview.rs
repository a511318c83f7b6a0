//! The first examples, token by token: what is learnt from is underlined and coloured, what is only read is not.

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
    let examples = move || {
        let examples = state.loaded.preview.get();
        if examples.is_empty() {
            return view! { <p class="hint">{state.text(|w| w.preview_none)}</p> }.into_any();
        }
        let shown = examples.into_iter().take(EXAMPLES).enumerate();
        shown
            .map(|(index, example)| view! { <Example number=index + 1 example/> })
            .collect_view()
            .into_any()
    };
    let texts = Memo::new(move |_| writes(state.task()));
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
            {examples}
        </section>
    }
}

/// One example.
#[component]
fn Example(
    /// From 1.
    number: usize,
    /// Its tokens.
    example: PreviewExample,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let all = example.tokens.len();
    let trained = example.tokens.iter().filter(|token| token.1).count();
    let truncated = example.truncated;
    let label = example.label;
    let heading = move || {
        let words = state.words();
        let cut = if truncated {
            format!(" · {}", words.truncated)
        } else {
            String::new()
        };
        let tokens = match trained {
            0 => (words.tokens)(all.to_string()),
            _ => (words.example_tokens)(all, trained),
        };
        let answer = match label.as_str() {
            "" => String::new(),
            label => format!(" · {}", (words.tasks.answer_is)(label)),
        };
        format!("{} · {tokens}{cut}{answer}", (words.example)(number))
    };
    let tokens = example.tokens.into_iter().take(TOKENS).map(|(text, trained)| {
        // A line break that is a token of its own would be invisible.
        let text = text.replace('\n', "↵\n");
        view! { <span class="token" class:trained=trained>{text}</span> }
    });
    let tokens = tokens.collect_view();
    view! {
        <article class="example">
            <h4>{heading.clone()}</h4>
            <p class="tokens" tabindex="0" role="group" aria-label=heading>{tokens}{(all > TOKENS).then_some("…")}</p>
        </article>
    }
}
