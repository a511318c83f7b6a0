//! The blind comparison: two answers to a prompt in an order that nobody knows, and how often each model's was preferred.

use crate::judging::Tally;
use crate::playground::Answer;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::metrics::sign_test::sign_test;

/// The comparison under way.
#[derive(Clone, Copy)]
pub struct Blind {
    /// Whether it is asked for.
    pub is_on: RwSignal<bool>,
    /// Whether A is the fine-tuned model's.
    pub tuned_first: RwSignal<bool>,
    /// Whether it was chosen, so that the authors may be told.
    pub is_told: RwSignal<bool>,
}

impl Blind {
    /// None yet.
    pub fn new() -> Self {
        Self {
            is_on: RwSignal::new(false),
            tuned_first: RwSignal::new(false),
            is_told: RwSignal::new(true),
        }
    }

    /// Two new answers are asked for, in a new order.
    pub fn begin(self) {
        self.tuned_first.set(js_sys::Math::random() < 0.5);
        self.is_told.set(false);
    }

    /// The place among the answers of A (0) or B (1): base, then fine-tuned.
    pub fn place(self, letter: usize) -> usize {
        letter ^ usize::from(self.tuned_first.get())
    }
}

/// A, B, the choice and the tally.
#[component]
pub fn BlindPair(
    /// The comparison.
    blind: Blind,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let tally = state.training.outcome.tally;
    let answers = state.training.answers;
    let is_whole = move |answer: &Answer| answer.id != 0 && !answer.growing && answer.speed.is_some();
    let can_choose = Memo::new(move |_| !blind.is_told.get() && answers.iter().all(|answer| answer.with(is_whole)));
    let choose = move |choice: usize| {
        let tuned = usize::from(!blind.tuned_first.get_untracked());
        tally.update(|tally| match choice {
            2 => tally.ties += 1,
            choice if choice == tuned => tally.tuned += 1,
            _ => tally.base += 1,
        });
        blind.is_told.set(true);
    };
    let button = move |choice: usize| {
        view! {
            <button type="button" data-testid=format!("choose-{choice}") prop:disabled=move || !can_choose.get()
                on:click=move |_| choose(choice)>{move || state.words().judge.choose[choice]}</button>
        }
    };
    let pane = move |letter: usize| {
        let name = ["A", "B"][letter];
        let heading = move || {
            let words = state.words();
            let who = if blind.place(letter) == 1 {
                words.tuned_model
            } else {
                words.base_model
            };
            match blind.is_told.get() && answers.iter().all(|answer| answer.with(is_whole)) {
                true => (words.judge.told)(name, who),
                false => name.to_owned(),
            }
        };
        let text = move || {
            let answer = answers[blind.place(letter)].get();
            let is_empty = answer.id == 0;
            let shown = if is_empty {
                state.words().base_empty.to_owned()
            } else {
                answer.text
            };
            let class = if is_empty { "written empty" } else { "written" };
            view! { <p class=class aria-busy=answer.growing.to_string()>{shown}</p> }
        };
        view! { <article class="sample" data-testid=format!("blind-{name}")><h3>{heading}</h3>{text}</article> }
    };
    let counted = move || {
        let Tally { tuned, base, ties } = tally.get();
        let p = format!("{:.3}", sign_test(tuned, base));
        (state.words().judge.tally)(tuned, base, ties, &p)
    };
    view! {
        <div class="pair">{[0, 1].map(pane)}</div>
        <p class="buttons">
            {[0, 1, 2].map(button)}
            <span role="status" data-testid="tally">{counted}</span>
            <button type="button" class="quiet" on:click=move |_| tally.set(Tally::default())>{state.text(|w| w.judge.reset_tally)}</button>
        </p>
    }
    .into_any()
}

/// The switch, or why there is nothing to compare with.
#[component]
pub fn BlindSwitch(
    /// The comparison.
    blind: Blind,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let has_base = Memo::new(move |_| !state.is_trained_whole());
    let hint = move || {
        let words = state.words().judge;
        if has_base.get() {
            words.blind_hint
        } else {
            words.no_base
        }
    };
    view! {
        <label class="check">
            <input type="checkbox" data-testid="blind" prop:checked=blind.is_on prop:disabled=move || !has_base.get()
                on:change=move |event| blind.is_on.set(event_target_checked(&event))/>
            {state.text(|w| w.judge.blind)}
            <span class="hint">{hint}</span>
        </label>
    }
    .into_any()
}
