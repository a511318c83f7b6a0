//! Asking the trained model for a class, a number or an order of documents.

use crate::conversation::Job;
use crate::format;
use crate::report::ranks;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::TextPrediction;
use lorakeet_core::task::Task;

/// Labels that are shown of one text.
const LABELS: usize = 8;

/// The texts, the button and the answers.
#[component]
pub fn Ask() -> impl IntoView {
    let state = expect_context::<PageState>();
    let (first, second) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let task = Memo::new(move |_| state.task());
    let ranking = move || ranks(task.get());
    let busy = Memo::new(move |_| state.is_training());
    let asking = Memo::new(move |_| state.worker.job.get() == Some(Job::Predict));
    let ready = move || state.training.has_adapter.get() && !busy.get() && !asking.get();
    let strength = state.training.outcome.strength;
    let without = RwSignal::new(false);
    let can_leave_out = Memo::new(move |_| state.training.has_adapter.get() && !state.is_trained_whole());
    let ask = move || {
        state.worker.clear_error(&[Job::Predict]);
        let mut texts = vec![first.get_untracked()];
        if ranks(task.get_untracked()) {
            texts.extend(second.get_untracked().lines().map(str::to_owned));
        } else {
            texts.push(second.get_untracked());
        }
        state.predict(vec![texts], without.get_untracked() && can_leave_out.get_untracked());
    };
    // What stands there was answered at another strength.
    Effect::new(move |before: Option<f64>| {
        let now = strength.get();
        let is_other = before.is_some_and(|before| before != now);
        let is_answered = state
            .training
            .outcome
            .answers
            .with_untracked(|answers| !answers.is_empty());
        let is_asked = is_answered || asking.get_untracked();
        if is_other && is_asked && state.training.has_adapter.get_untracked() && !busy.get_untracked() {
            ask();
        }
        now
    });
    let first_label = move || {
        let words = state.words().tasks;
        if ranking() { words.query } else { words.text }
    };
    let second_label = move || {
        let words = state.words().tasks;
        if ranking() { words.documents } else { words.second_text }
    };
    let second_hint = move || {
        let words = state.words().tasks;
        if ranking() {
            words.documents_hint
        } else {
            words.second_text_hint
        }
    };
    view! {
        <label class="field">
            <span class="field-name">{first_label}</span>
            <textarea rows="3" data-testid="ask-text" prop:value=first
                on:input=move |event| first.set(event_target_value(&event))></textarea>
        </label>
        <Show when=move || task.get() != Task::TokenClassification>
            <label class="field">
                <span class="field-name">{second_label}</span>
                <textarea rows=move || if ranking() { "5" } else { "1" } data-testid="ask-second" prop:value=second
                    on:input=move |event| second.set(event_target_value(&event))></textarea>
                <span class="hint">{second_hint}</span>
            </label>
        </Show>
        <Show when=move || can_leave_out.get()>
            <label class="check">
                <input type="checkbox" data-testid="ask-without" prop:checked=without
                    on:change=move |event| without.set(event_target_checked(&event))/>
                {state.text(|w| w.judge.compare_without)}
            </label>
        </Show>
        <p class="buttons">
            <button type="button" class="primary" data-testid="ask" prop:disabled=move || !ready() on:click=move |_| ask()>
                {move || (state.words().tasks.ask)(task.get())}
            </button>
            <Show when=move || busy.get()><span class="hint">{state.text(|w| w.try_busy)}</span></Show>
            <Show when=move || !state.training.has_adapter.get() && !busy.get()>
                <span class="hint">{state.text(|w| w.tasks.ask_none)}</span>
            </Show>
            <Show when=move || asking.get()><span class="hint" role="status">{state.text(|w| w.tasks.asking)}</span></Show>
        </p>
        <Answers/>
    }
}

/// What was answered, and what without the adapter.
#[component]
fn Answers() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let (answers, without) = (outcome.answers, outcome.answers_without);
    let shown = move |answers: RwSignal<Vec<TextPrediction>>| {
        let task = state.task();
        let answers = answers.get();
        if ranks(task) || task == Task::TokenClassification {
            return view! { <List answers/> }.into_any();
        }
        let one = |answered: TextPrediction| view! { <One answered is_number=task == Task::Regression/> };
        answers.into_iter().map(one).collect_view().into_any()
    };
    view! {
        <Show when=move || answers.with(|answers| !answers.is_empty())>
            <section class="result" aria-live="polite" data-testid="answers">
                <h3>{state.text(|w| w.tasks.answers)}</h3>
                {move || shown(answers)}
            </section>
        </Show>
        <Show when=move || without.with(|answers| !answers.is_empty())>
            <section class="result" aria-live="polite" data-testid="answers-without">
                <h3>{state.text(|w| w.judge.without)}</h3>
                {move || shown(without)}
            </section>
        </Show>
    }
}

/// A text with its labels' probabilities, or its numbers.
#[component]
fn One(
    /// The answer.
    answered: TextPrediction,
    /// Whether its values are no probabilities.
    is_number: bool,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let kept = state.training.outcome.kept;
    let probabilities = answered.values.clone();
    let decided = move || {
        let decision = kept.with(|kept| {
            kept.as_ref()
                .filter(|_| !is_number)
                .map(|kept| kept.decide(&probabilities))
        })?;
        let words = state.words().judge;
        let shown = match decision.as_str() {
            "" => words.no_answer.to_owned(),
            labels => labels.replace('|', ", "),
        };
        Some(view! { <p data-testid="decided">{(words.decided)(&shown)}</p> })
    };
    let row = move |(name, value): (String, f64)| {
        let (shown, width) = if is_number {
            (number(value), 0.0)
        } else {
            (percent(value), 100.0 * value)
        };
        view! {
            <tr>
                <th scope="row">{name}</th>
                <td class="number-cell" data-value=value.to_string()>{shown}</td>
                <td class="bar-cell" aria-hidden="true"><span class="bar" style=format!("width:{width:.1}%")></span></td>
            </tr>
        }
    };
    let values = answered
        .values
        .into_iter()
        .take(LABELS)
        .map(|metric| (metric.name, metric.value));
    view! {
        <table class="bars">
            <caption>{answered.text}</caption>
            <tbody>{values.map(row).collect_view()}</tbody>
        </table>
        {decided}
    }
}

/// Texts with the first of their values: documents with scores, words with classes.
#[component]
fn List(
    /// The answers.
    answers: Vec<TextPrediction>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let words = state.task() == Task::TokenClassification;
    let row = move |answered: TextPrediction| {
        let best = answered.values.into_iter().next();
        let (name, value) = best.map_or((String::new(), f64::NAN), |metric| (metric.name, metric.value));
        let shown = if words {
            format!("{name} {}", percent(value))
        } else {
            number(value)
        };
        view! { <li><span class="ranked-text">{answered.text}</span> <span class="ranked-score" data-value=value.to_string()>{shown}</span></li> }
    };
    view! { <ol class="ranked">{answers.into_iter().map(row).collect_view()}</ol> }
}

fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

fn number(value: f64) -> String {
    format::loss(value)
}
