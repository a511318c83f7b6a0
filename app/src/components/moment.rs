//! What happens at this moment of a run: what Train will do, the parts before its first step, and the verdict with what to do next.

use super::judge::verdict;
use super::knob::go_to;
use super::notice::coded;
use super::step::unfold;
use crate::format;
use crate::next::after;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{self, DeviceKind, Stage};

/// Above the numbers of the run; its room is there before its text.
#[component]
pub fn Moment() -> impl IntoView {
    let state = expect_context::<PageState>();
    let training = state.training;
    let has_steps = Memo::new(move |_| {
        training.frame.track();
        training.run.with_value(|run| !run.curves.steps.is_empty())
    });
    let extent = move || {
        training.frame.track();
        let words = state.words();
        training.run.with_value(|run| run.info.clone()).map(|info| {
            let weights = (words.trainable)(
                format::count(info.trainable_parameters),
                format::count(info.all_parameters),
            );
            format!("{weights} · {}", (words.split)(info.train_examples, info.eval_examples))
        })
    };
    let change = move || match training.phase.get() {
        Phase::Done(summary) => match (summary.eval_loss_before, summary.eval_loss_after) {
            (Some(before), Some(after)) => Some((state.words().change)(format::loss(before), format::loss(after))),
            _ => None,
        },
        _ => None,
    };
    let shown = move || match training.phase.get() {
        Phase::Idle => {
            view! { <p class="hint">{move || (state.words().moments.before)(step_time(state))}</p> }.into_any()
        }
        phase if phase.is_under_way() && !has_steps.get() => view! { <Stages/> }.into_any(),
        _ => ().into_any(),
    };
    view! {
        <div class="moment" data-testid="moment">
            {shown}
            {move || change().map(|change| view! { <p class="change" data-testid="change">{change}</p> })}
            <p class="hint" data-testid="extent">{extent}</p>
        </div>
    }
}

/// How long a step will take on this device, in words, where that is known.
fn step_time(state: PageState) -> Option<String> {
    let seconds = state.loaded.seconds_per_step.get()?;
    Some(match seconds {
        s if s < 1.0 => format!("{} ms", format::figure(1e3 * s)),
        s if s < 100.0 => format!("{} s", format::figure(s)),
        s => (state.words().duration)(s),
    })
}

/// The parts of a run before its first step.
#[component]
fn Stages() -> impl IntoView {
    let state = expect_context::<PageState>();
    let compiles = Memo::new(move |_| {
        let device = state.worker.device;
        device.with(|device| device.as_ref().is_some_and(|device| device.kind == DeviceKind::Gpu))
    });
    // Preparing tells of nothing; the baselines are scored before the run is said to have started.
    let now = Memo::new(move |_| {
        let is_running = state.training.phase.with(|phase| *phase != Phase::Starting);
        match state.worker.progress.get() {
            Some((Stage::Compile, ..)) => 2,
            _ if is_running => 3,
            Some((Stage::Evaluate, ..)) => 1,
            _ => 0,
        }
    });
    let stages = move || {
        let stages = state.words().moments.stages.into_iter().enumerate();
        let stages = stages.filter(|(place, _)| *place != 2 || compiles.get());
        let stage = |(place, name): (usize, &'static str)| {
            let is_now = move || (now.get() == place).then_some("step");
            view! { <li aria-current=is_now>{name}</li> }
        };
        stages.map(stage).collect_view()
    };
    view! {
        <ol class="stages" data-testid="stages">{stages}</ol>
        <p class="hint">{move || (state.words().moments.first_loss)(step_time(state), compiles.get())}</p>
    }
}

/// The verdict in a sentence, and what to do next, once the run is over.
#[component]
pub fn Outcome() -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_over = Memo::new(move |_| state.training.phase.with(|phase| matches!(phase, Phase::Done(_))));
    view! { <Show when=move || is_over.get()><Verdict/></Show> }
}

#[component]
fn Verdict() -> impl IntoView {
    let state = expect_context::<PageState>();
    let training = state.training;
    let said = Memo::new(move |_| verdict(state));
    // By the settings that the run ended with: they change as the person goes on.
    let next = Memo::new(move |_| {
        training.outcome.report.with(|report| {
            let report = report.as_ref()?;
            let settings = untrack(|| state.settings.with(Clone::clone));
            Some(training.run.with_value(|run| after(report, &run.curves, &settings)))
        })
    });
    let kind = move || match said.get() {
        Some((protocol::Verdict::Better, _)) => "better",
        Some((protocol::Verdict::Worse, _)) => "worse",
        _ => "open",
    };
    let sentence = move || match said.get() {
        Some((_, sentence)) => sentence,
        None => state.words().moments.judge_nothing.to_owned(),
    };
    // In a frame there is nothing of what it leads to.
    let what_next = move || {
        let words = state.words().moments;
        let next = next
            .get()
            .filter(|_| said.with(Option::is_some) && !state.is_compact.get())?;
        let lead = match next.knob() {
            Some(knob) => view! {
                <button type="button" data-testid="next" on:click=move |_| go_to(knob)><code>{knob}</code></button>
            }
            .into_any(),
            None => view! {
                <button type="button" data-testid="next" on:click=move |_| unfold("export")>{words.to_export}</button>
            }
            .into_any(),
        };
        Some(view! {
            <p><b>{words.next}</b> " " {coded((words.what_next)(next))}</p>
            <p class="buttons">
                {lead}
                <button type="button" class="quiet" on:click=move |_| unfold("judge")>{words.to_judge}</button>
            </p>
        })
    };
    view! {
        <div class="verdict outcome" data-verdict=kind data-testid="verdict">
            <p class="verdict-said">{sentence}</p>
            {what_next}
        </div>
    }
}
