//! Recommended settings with their reasons, cautions about those that do not go well together, and doubts whether to tune at all.

use super::knob::go_to;
use super::notice::{coded, worded};
use crate::settings::show;
use crate::state::PageState;
use leptos::html::Section;
use leptos::prelude::*;
use lorakeet_core::advice::{Caution, Doubt, Recommendation};
use lorakeet_core::protocol::doubt_of_baselines;
use lorakeet_i18n::Message;
use serde_json::Value;

/// A value as a knob's field shows it.
pub fn shown(state: PageState, value: &Value) -> String {
    match show(value) {
        text if text.is_empty() => state.words().not_set.to_owned(),
        text => text,
    }
}

/// What is recommended for the task, the model, the data and the device.
#[component]
pub fn Recommended() -> impl IntoView {
    let state = expect_context::<PageState>();
    let (advice, settings) = (state.advice, state.settings);
    let knobs = Memo::new(move |_| advice.knobs());
    let differing = Memo::new(move |_| advice.differing(settings));
    let is_used = Memo::new(move |_| advice.is_used(None));
    let is_locked = Memo::new(move |_| state.is_training());
    let none = move || differing.with(Vec::is_empty);
    let summary = move || {
        let words = state.words().advice;
        match knobs.with(Vec::len) {
            0 => words.none.to_owned(),
            all => differing.with(|differing| {
                let names: Vec<&str> = differing.iter().map(|(knob, _)| *knob).collect();
                (words.differ)(differing.len(), all, &names.join(", "))
            }),
        }
    };
    // One button for both, so that the keyboard stays where it is.
    let label = move || match none() && is_used.get() {
        true => state.words().advice.undo_all,
        false => state.words().advice.use_all,
    };
    let itself = |knob: &&'static str| *knob;
    let press = move |_| match differing.get_untracked() {
        wanted if wanted.is_empty() => advice.undo(settings, None),
        wanted => advice.take(settings, &wanted),
    };
    view! {
        <section class="advice" data-testid="advice" aria-labelledby="advice-title">
            <h3 id="advice-title">{state.text(|w| w.advice.title)}</h3>
            <p class="hint" role="status" data-testid="advice-summary">{summary}</p>
            <Show when=move || !knobs.with(Vec::is_empty)>
                <p class="buttons">
                    <button type="button" data-testid="use-all" on:click=press
                        prop:disabled=move || is_locked.get() || (none() && !is_used.get())>{label}</button>
                    <button type="button" class="quiet" data-testid="undo-all" class:gone=move || none() || !is_used.get()
                        prop:disabled=is_locked on:click=move |_| advice.undo(settings, None)>
                        {state.text(|w| w.advice.undo_all)}
                    </button>
                </p>
                <details class="fold" data-testid="advice-fold">
                    <summary>{state.text(|w| w.advice.list)}</summary>
                    <ul class="advice-list">
                        <For each=move || knobs.get() key=itself let:knob><RecommendedRow knob is_locked/></For>
                    </ul>
                </details>
            </Show>
        </section>
    }
    .into_any()
}

/// One of them.
#[component]
fn RecommendedRow(
    /// The knob.
    knob: &'static str,
    /// Whether settings stay as they are for now.
    is_locked: Memo<bool>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let (advice, settings) = (state.advice, state.settings);
    let one = Memo::new(move |_| advice.of(knob));
    let differs = Memo::new(move |_| one.with(|one| one.as_ref().is_some_and(|one| settings.value(knob) != one.value)));
    let is_used = Memo::new(move |_| advice.is_used(Some(knob)));
    let value = move || one.with(|one| one.as_ref().map(|one| shown(state, &one.value)).unwrap_or_default());
    let yours = move || {
        let words = state.words().advice;
        match differs.get() {
            true => (words.yours)(&shown(state, &settings.value(knob))),
            false => words.same.to_owned(),
        }
    };
    let label = move || match differs.get() {
        true => state.words().advice.use_one,
        false => state.words().runs.undo,
    };
    let press = move |_| match one.get_untracked().filter(|_| differs.get_untracked()) {
        Some(one) => advice.take(settings, &[(knob, one.value)]),
        None => advice.undo(settings, Some(knob)),
    };
    let sentence = move |pick: fn(&Recommendation) -> &Message| {
        move || one.with(|one| one.as_ref().map(|one| coded(&pick(one).text(state.language.get()))))
    };
    view! {
        <li>
            <p class="buttons">
                <KnobLink knob/>
                <b data-testid=format!("recommended-{knob}")>{value}</b>
                <span class="hint">{yours}</span>
                <button type="button" data-testid=format!("use-{knob}") class:gone=move || !differs.get() && !is_used.get()
                    prop:disabled=is_locked on:click=press aria-label=move || format!("{} {knob}: {}", label(), value())>
                    {label}
                </button>
            </p>
            <p>{sentence(|one| &one.reason)}</p>
            <details>
                <summary class="hint">{state.text(|w| w.advice.evidence)}</summary>
                <p class="hint">{sentence(|one| &one.evidence)}</p>
                <p class="hint">{sentence(|one| &one.why_not)}</p>
            </details>
        </li>
    }
    .into_any()
}

/// A knob's name that leads to its field.
#[component]
fn KnobLink(
    /// The knob.
    knob: &'static str,
) -> impl IntoView {
    view! { <button type="button" class="quiet knob-link" on:click=move |_| go_to(knob)><code>{knob}</code></button> }
}

/// Settings that do not go well together, or with the data. None of them keeps a run from being started.
#[component]
pub fn Cautions() -> impl IntoView {
    let state = expect_context::<PageState>();
    let advice = state.advice;
    let section = NodeRef::<Section>::new();
    let is_known = Memo::new(move |_| advice.found.with(Option::is_some));
    let keys = Memo::new(move |_| {
        let cautions = advice.cautions();
        cautions.iter().map(key).collect::<Vec<_>>()
    });
    let itself = |of: &(&'static str, String)| of.clone();
    // The caution goes with its button: the keyboard does not go astray.
    let done = Callback::new(move |()| {
        if let Some(section) = section.get_untracked() {
            let _ = section.focus();
        }
    });
    view! {
        <section class="advice" data-testid="cautions" aria-labelledby="cautions-title" tabindex="-1" node_ref=section
            class:gone=move || !is_known.get()>
            <h3 id="cautions-title">{state.text(|w| w.advice.cautions)}</h3>
            <p class="hint" role="status">{move || (state.words().advice.cautions_count)(keys.with(Vec::len))}</p>
            <ul class="advice-list" class:gone=move || keys.with(Vec::is_empty)>
                <For each=move || keys.get() key=itself let:of><CautionRow of done/></For>
            </ul>
        </section>
    }
    .into_any()
}

/// By what a caution is the same when its numbers change.
fn key(caution: &Caution) -> (&'static str, String) {
    (caution.knob, caution.what.key().to_owned())
}

/// One of them.
#[component]
fn CautionRow(
    /// Which.
    of: (&'static str, String),
    /// It was seen to.
    done: Callback<()>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let (advice, knob) = (state.advice, of.0);
    let caution = Memo::new(move |_| advice.cautions().into_iter().find(|caution| key(caution) == of));
    let knobs = Memo::new(move |_| {
        let all = |caution: Caution| [vec![caution.knob], caution.others].concat();
        caution.get().map(all).unwrap_or_default()
    });
    let way_out = Memo::new(move |_| caution.get().and_then(|caution| caution.way_out));
    let text = move || {
        let language = state.language.get();
        let said = |caution: &Caution| {
            let (what, remedy) = (caution.what.text(language), caution.remedy.text(language));
            coded(&format!("{what} {remedy}"))
        };
        caution.with(|caution| caution.as_ref().map(said))
    };
    let press = move |_| {
        if let Some(value) = way_out.get_untracked() {
            advice.take(state.settings, &[(knob, value)]);
            done.run(());
        }
    };
    let itself = |knob: &&'static str| *knob;
    let label = move || {
        way_out.with(|value| {
            value
                .as_ref()
                .map(|value| (state.words().advice.set_to)(knob, &shown(state, value)))
        })
    };
    view! {
        <li class="notice" data-testid=format!("caution-{knob}")>
            <p>{text}</p>
            <p class="buttons">
                <Show when=move || way_out.with(Option::is_some)>
                    <button type="button" data-testid=format!("way-out-{knob}") on:click=press
                        prop:disabled=move || state.is_training()>{label}</button>
                </Show>
                <For each=move || knobs.get() key=itself let:knob><KnobLink knob/></For>
            </p>
        </li>
    }
    .into_any()
}

/// A reason why tuning may not be worth it, with what to do, in a list of them.
pub fn doubt_item(state: PageState, Doubt { what, remedy }: Doubt) -> AnyView {
    view! { <li>{worded(state, what)} " " {worded(state, remedy)}</li> }.into_any()
}

/// Why tuning may not be worth it: where a run is started.
#[component]
pub fn Doubts() -> impl IntoView {
    let state = expect_context::<PageState>();
    let doubts = Memo::new(move |_| {
        let outcome = state.training.outcome;
        // By the run's own metric: as long as it has not told that, it is under way with these settings.
        let of_report = outcome
            .report
            .with(|report| report.as_ref().map(|report| report.metric.clone()));
        let metric = match state.is_training() {
            true => state.metric(),
            false => of_report.filter(|_| !outcome.is_of_other_data.get()),
        };
        let of_baselines = outcome
            .baselines
            .with(|baselines| doubt_of_baselines(metric.as_deref()?, baselines));
        let of_measured = || {
            let found = state.baselines.found(state.settings)?;
            doubt_of_baselines(&found.metric, &found.scores)
        };
        let of_scores = of_baselines.or_else(of_measured);
        let doubts = state.advice.doubts().into_iter().chain(of_scores);
        doubts.collect::<Vec<_>>()
    });
    move || {
        let items: Vec<_> = doubts.get().into_iter().map(|doubt| doubt_item(state, doubt)).collect();
        (!items.is_empty()).then(|| {
            view! {
                <div class="notice" role="status" data-testid="doubts">
                    <p class="notice-title">{state.text(|w| w.advice.doubts)}</p>
                    <ul>{items}</ul>
                </div>
            }
        })
    }
}
