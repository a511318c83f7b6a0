//! What happens at this moment of a run: what Train will do, the parts before its first step, and the verdict with what to do next.

use super::forecast::step_time;
use super::judge::verdict;
use super::knob::go_to;
use super::notice::worded;
use super::step::unfold;
use crate::format;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{DeviceKind, NextStep, Stage};

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
    // Of a run that came with a link it is not known on how many rows it was scored.
    let next = Memo::new(move |_| {
        let is_own = training.shared.with(Option::is_none);
        training.outcome.report.with(|report| {
            let report = report.as_ref().filter(|_| is_own)?;
            Some(training.run.with_value(|run| report.next_step(&run.curves.eval_loss())))
        })
    });
    let kind = move || said.with(|said| said.as_ref().map_or("open", |(kind, _)| *kind));
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
        let lead = match lead_of(next) {
            Lead::Knob(knob) => view! {
                <button type="button" data-testid="next" on:click=move |_| go_to(knob)><code>{knob}</code></button>
            }
            .into_any(),
            Lead::Export => view! {
                <button type="button" data-testid="next" on:click=move |_| unfold("export")>{words.to_export}</button>
            }
            .into_any(),
            Lead::Judge => view! {
                <button type="button" data-testid="next" on:click=move |_| unfold("judge")>{words.to_judge}</button>
            }
            .into_any(),
        };
        let to_judge = (lead_of(next) != Lead::Judge).then(|| {
            view! { <button type="button" class="quiet" on:click=move |_| unfold("judge")>{words.to_judge}</button> }
        });
        Some(view! {
            <p><b>{words.next}</b> " " {worded(state, next.message())}</p>
            <p class="buttons">{lead} {to_judge}</p>
        })
    };
    view! {
        <div class="verdict outcome" data-verdict=kind data-testid="verdict">
            <p class="verdict-said">{sentence}</p>
            {what_next}
        </div>
    }
}

/// Where what is to be done next is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// At the field of a knob.
    Knob(&'static str),
    /// In the step of exporting.
    Export,
    /// In the step of judging: the answers are there.
    Judge,
}

fn lead_of(next: NextStep) -> Lead {
    match next {
        NextStep::Export => Lead::Export,
        NextStep::TrainLonger => Lead::Knob("num_train_epochs"),
        NextStep::TrainShorter => Lead::Knob("load_best_model_at_end"),
        NextStep::KeepProbe => Lead::Knob("head_init"),
        NextStep::HoldOutMore => Lead::Knob("val_size"),
        NextStep::FindRate => Lead::Knob("learning_rate"),
        NextStep::AddData | NextStep::ReadAnswers => Lead::Judge,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::shown;

    #[test]
    fn what_is_to_be_turned_has_a_field() {
        for next in NextStep::ALL {
            if let Lead::Knob(knob) = lead_of(next) {
                assert!(shown().any(|known| known.name == knob), "{knob}");
            }
        }
    }
}
