//! Step 4: the scores to beat, measured before a run or at its start, and what they say about whether to tune.

use super::advice::doubt_item;
use super::focus::{BAR, focus};
use super::notice::{Notice, coded, worded};
use super::scores::{Scores, Way};
use super::step::{Step, StepStatus};
use crate::baselines::Measuring;
use crate::conversation::Job;
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Baseline, MeasuredBaselines, Stage, best_baseline};

/// The step of what there is to beat.
#[component]
pub fn BaselineStep() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let is_empty = Memo::new(move |_| known(state).is_empty());
    let is_busy = Memo::new(move |_| {
        let starts = state.training.phase.with(|phase| *phase == Phase::Starting);
        starts || state.baselines.is_under_way()
    });
    let best = Memo::new(move |_| {
        let of_report = outcome
            .report
            .with(|report| report.as_ref().map(|report| report.metric.clone()));
        let metric = of_report.or_else(|| state.metric())?;
        let known = known(state);
        let (best, value) = best_baseline(&metric, &known)?;
        Some((metric, best.kind, value))
    });
    let summary = Signal::derive(move || {
        let words = state.words().moments;
        match best.get() {
            Some((metric, kind, value)) => {
                let way = kind.message().text(state.language.get());
                (words.to_beat)(&metric, &format::loss(value), &way)
            }
            None if is_busy.get() => words.baseline_busy.to_owned(),
            None => words.baseline_none.to_owned(),
        }
    });
    let standing = Signal::derive(move || {
        let has_failed = || {
            let error = state.worker.error;
            error.with(|error| error.as_ref().is_some_and(|(job, _)| *job == Job::Baselines))
        };
        match () {
            () if is_busy.get() && is_empty.get() => StepStatus::Busy,
            () if has_failed() => StepStatus::Failed,
            () if is_empty.get() => StepStatus::Waiting,
            () => StepStatus::Ready,
        }
    });
    view! {
        <Step number=4 id="baseline" title=Signal::derive(state.text(|w| w.moments.baseline)) summary standing>
            <Measure/>
            <Baselines/>
        </Step>
    }
}

/// The baselines: of the run, as long as the data are those that they were scored on, else those that were measured before it.
fn known(state: PageState) -> Vec<Baseline> {
    let training = state.training;
    let is_old = training.outcome.is_of_other_data.get() && training.shared.with(Option::is_none);
    let of_run = match is_old {
        true => Vec::new(),
        false => training.outcome.baselines.get(),
    };
    match of_run.is_empty() {
        true => state.baselines.scores(state.settings),
        false => of_run,
    }
}

/// The button that measures them, how far it is, and what they say.
#[component]
fn Measure() -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_measuring = Memo::new(move |_| state.baselines.is_under_way());
    let can_measure = Memo::new(move |_| state.can_train());
    // What keeps it from being begun.
    let reason = move || {
        let words = state.words();
        let is_elsewhere = || state.baselines.state.with(|one| *one == Measuring::Elsewhere);
        match is_measuring.get() {
            true => None,
            false => state
                .why_not_now(words.moments.run_measures)
                .or_else(|| is_elsewhere().then_some(words.advice.trains_elsewhere)),
        }
    };
    let cost = move || {
        let drops = state.training.has_adapter.get() && !is_measuring.get();
        drops.then(|| view! { <p class="hint changed">{state.text(|w| w.moments.measure_drops)}</p> })
    };
    let press = move |_| match is_measuring.get_untracked() {
        true => state.stop_baselines(),
        false => state.measure_baselines(),
    };
    // One button for both, so that the keyboard stays where it is.
    let label = move || match is_measuring.get() {
        true => state.words().stop,
        false => state.words().moments.measure,
    };
    let progress = move || {
        is_measuring.get().then(|| {
            let share = match state.worker.progress.get() {
                Some((Stage::Evaluate | Stage::Tokenize | Stage::LoadModel, done, total)) if total > 0 => {
                    Some(done as f64 / total as f64)
                }
                _ => None,
            };
            view! {
                <p class="hint" data-testid="baselines-progress">{state.text(|w| w.moments.measuring)}</p>
                <progress max="1" value=share aria-hidden="true"></progress>
            }
        })
    };
    let found = Memo::new(move |_| state.baselines.found(state.settings));
    let outcome = move || found.get().map(|found| view! { <Outlook found/> });
    view! {
        <div class="rate-finder" data-testid="measure">
            <p class="buttons">
                <button type="button" data-testid="measure-baselines" aria-describedby="measure-hint" on:click=press
                    prop:disabled=move || !is_measuring.get() && !can_measure.get()>{label}</button>
            </p>
            <p class="hint" id="measure-hint">
                {state.text(|w| w.moments.measure_hint)} " " <b data-testid="why-no-baselines">{reason}</b>
            </p>
            {cost}
            {progress}
            <Notice jobs=&[Job::Baselines]/>
            <div role="status" data-testid="baselines-say">{outcome}</div>
        </div>
    }
    .into_any()
}

/// What the baselines say about tuning, and the probe to be taken where it is the best.
#[component]
fn Outlook(
    /// What was measured.
    found: MeasuredBaselines,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let MeasuredBaselines {
        outlook,
        sentence,
        doubts,
        keeps_probe,
        ..
    } = found;
    let reasons: Vec<_> = doubts.into_iter().map(|doubt| doubt_item(state, doubt)).collect();
    let take = move |_| {
        state.keep_probe();
        // What comes of it is told there.
        focus(BAR);
    };
    let keep = keeps_probe.then(|| {
        view! {
            <p class="buttons">
                <button type="button" class="primary" data-testid="keep-probe" on:click=take
                    prop:disabled=move || !state.can_train()>{state.text(|w| w.moments.keep_probe)}</button>
            </p>
            <p class="hint">{move || coded(state.words().moments.keep_probe_hint)}</p>
        }
    });
    view! {
        <div class="notice" data-testid="tuning-outlook" data-outlook=outlook.name()>
            <p class="notice-title">{worded(state, outlook.message())}</p>
            <p>{worded(state, sentence)}</p>
            {(!reasons.is_empty()).then(|| view! { <ul>{reasons}</ul> })}
            {keep}
        </div>
    }
    .into_any()
}

/// Scores without training.
#[component]
pub fn Baselines() -> impl IntoView {
    let state = expect_context::<PageState>();
    let empty = Memo::new(move |_| known(state).is_empty());
    let ways = Signal::derive(move || ways(state, known(state)));
    let judged = Signal::derive(move || state.metric());
    view! {
        <section class="result" data-testid="baselines">
            <h3>{state.text(|w| w.tasks.baselines)}</h3>
            <p class="hint">{state.text(|w| w.tasks.baselines_hint)}</p>
            <Show when=move || !empty.get()
                fallback=move || view! { <p class="waiting">{state.text(|w| w.tasks.baselines_waiting)}</p> }>
                <Scores caption=Signal::derive(state.text(|w| w.tasks.metrics)) ways judged/>
            </Show>
        </section>
    }
}

/// The ways to answer without training, in words.
pub fn ways(state: PageState, baselines: Vec<Baseline>) -> Vec<Way> {
    let language = state.language.get();
    let way = |baseline: Baseline| (baseline.kind.message().text(language), baseline.metrics, false);
    baselines.into_iter().map(way).collect()
}
