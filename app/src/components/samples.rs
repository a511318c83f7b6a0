//! The text that changes: the same beginning continued by the base model and by the model as it is now.

use crate::run::{Phase, Sample};
use crate::state::PageState;
use leptos::prelude::*;

/// Before and now, side by side, with a slider through the steps.
#[component]
pub fn Samples() -> impl IntoView {
    let state = expect_context::<PageState>();
    // None follows the newest sample.
    let chosen = RwSignal::new(None::<usize>);
    let samples = Memo::new(move |_| {
        state.training.frame.track();
        state.training.run.with_value(|run| run.samples.clone())
    });
    // A run that goes on has none of before its first step.
    let later = Memo::new(move |_| {
        samples.with(|all| {
            let later = all.iter().filter(|sample| sample.step > 0);
            later.cloned().collect::<Vec<Sample>>()
        })
    });
    Effect::new(move || {
        if later.with(Vec::is_empty) {
            chosen.set(None);
        }
    });
    let index = move || {
        let last = later.with(Vec::len).saturating_sub(1);
        chosen.get().map_or(last, |index| index.min(last))
    };
    let before = move || samples.with(|all| all.iter().find(|sample| sample.step == 0).cloned());
    let present = move || later.with(|later| later.get(index()).cloned());
    let heading = move || {
        let words = state.words();
        let is_last = index() + 1 >= later.with(Vec::len);
        match (present(), state.training.phase.get()) {
            (Some(sample), Phase::Done(_)) if is_last => (words.after)(sample.step),
            (Some(sample), _) if is_last => (words.now)(sample.step),
            (Some(sample), _) => (words.after)(sample.step),
            (None, _) => words.afterwards.to_owned(),
        }
    };
    let slide = move |event| {
        let index = event_target_value(&event).parse::<usize>().unwrap_or(0);
        let at_end = index + 1 >= later.with_untracked(Vec::len);
        chosen.set((!at_end).then_some(index));
    };
    view! {
        <section class="samples" data-testid="samples">
            <h3>{state.text(|w| w.samples)}</h3>
            <div class="pair">
                <article class="sample" data-testid="sample-before">
                    <h4>{state.text(|w| w.before)}</h4>
                    <Written sample=before name=Signal::derive(move || state.words().before.to_owned())
                        empty=Signal::derive(state.text(|w| w.sample_none))/>
                </article>
                <article class="sample sample-now" data-testid="sample-now">
                    <h4>{heading}</h4>
                    <Written sample=present name=Signal::derive(heading) empty=Signal::derive(state.text(|w| w.sample_waiting))/>
                </article>
            </div>
            <label class="slider" class:gone=move || { later.with(Vec::len) < 2 }>
                <span class="unseen">{state.text(|w| w.sample_slider)}</span>
                <input type="range" min="0" max=move || later.with(Vec::len).saturating_sub(1) prop:value=index
                    aria-valuetext=heading on:input=slide/>
            </label>
        </section>
    }
}

/// A sample, or what will be there. A long one is scrolled in its place, by the keyboard, too.
#[component]
fn Written(
    /// The sample.
    sample: impl Fn() -> Option<Sample> + Send + Sync + Copy + 'static,
    /// Its name.
    name: Signal<String>,
    /// Words for none.
    empty: Signal<&'static str>,
) -> impl IntoView {
    move || match sample() {
        Some(sample) => view! {
            <p class="written" tabindex="0" role="group" aria-label=name>
                <span class="given">{sample.prompt}</span><span>{sample.text}</span>
            </p>
        }
        .into_any(),
        None => view! { <p class="written empty">{empty}</p> }.into_any(),
    }
}
