//! Step 1: what the model is to learn, with the knobs that belong to it.

use super::knob::KnobField;
use super::notice::{sentence, worded};
use super::step::{Step, StepStatus};
use crate::settings::{of_task, task as knob};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::loss::usual;
use lorakeet_core::task::Task;

/// The step of the task.
#[component]
pub fn TaskChoice() -> impl IntoView {
    let state = expect_context::<PageState>();
    let chosen = Memo::new(move |_| state.settings.with(|config| config.task));
    let found = Memo::new(move |_| {
        state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.task))
    });
    let summary = Signal::derive(move || {
        let words = state.words().tasks;
        match (chosen.get(), found.get()) {
            _ if state.loaded.problem.with(Option::is_some) => words.summary_problem.to_owned(),
            (Some(task), _) => (words.name)(task).to_owned(),
            (None, Some(task)) => (words.summary_found)((words.name)(task)),
            (None, None) => words.found.to_owned(),
        }
    });
    let standing = Signal::derive(move || match (chosen.get(), found.get()) {
        _ if state.loaded.problem.with(Option::is_some) => StepStatus::Waiting,
        (None, None) => StepStatus::Waiting,
        _ => StepStatus::Ready,
    });
    let error = Memo::new(move |_| knob().and_then(|knob| state.settings.error(knob)));
    let problem = Memo::new(move |_| state.loaded.problem.get());
    view! {
        <Step number=1 id="goal" title=Signal::derive(state.text(|w| w.tasks.title)) summary standing>
            {move || problem.get().map(|error| {
                let remedy = error.remedy.map(|remedy| worded(state, remedy));
                view! {
                    <div class="notice" role="status" data-testid="task-problem">
                        <p class="notice-title">{state.text(|w| w.tasks.problem)}</p>
                        <p class="notice-what">{sentence(state, error.what)}</p>
                        <p>{remedy}</p>
                    </div>
                }
            })}
            <fieldset class="choices">
                <legend>{state.text(|w| w.tasks.question)}</legend>
                <Choice task=None/>
                {Task::ALL.map(|task| view! { <Choice task=Some(task)/> })}
            </fieldset>
            {move || error.get().map(|error| view! { <p class="field-error" role="alert">{worded(state, error.message())}</p> })}
            <Plan/>
            <details class="fold" data-testid="task-settings">
                <summary>{state.text(|w| w.tasks.knobs)}</summary>
                <div class="knobs">{of_task().map(|knob| view! { <KnobField knob/> }).collect_view()}</div>
            </details>
        </Step>
    }
}

/// A task, or the choice that leaves it to the data.
#[component]
fn Choice(
    /// Which.
    task: Option<Task>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_chosen = move || state.settings.with(|config| config.task == task);
    let locked = move || state.is_training();
    let name = move || match task {
        Some(task) => (state.words().tasks.name)(task),
        None => state.words().tasks.found,
    };
    let about = move || match task {
        Some(task) => (state.words().tasks.about)(task),
        None => state.words().tasks.found_about,
    };
    let value = task.map_or("found", Task::name);
    let choose = move |_| {
        if let Some(knob) = knob() {
            state.settings.set(knob, task.map_or("", Task::name));
        }
    };
    view! {
        <label class="choice">
            <input type="radio" name="task" value=value data-testid=format!("task-{value}") prop:checked=is_chosen prop:disabled=locked
                on:change=choose/>
            <span>
                <b>{name} {task.map(|task| view! { " " <code class="unit">{task.name()}</code> })}</b>
                <span class="hint">{about}</span>
            </span>
        </label>
    }
}

/// What was found, the loss and the metric.
#[component]
fn Plan() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outlook = state.loaded.outlook;
    let loss = move || {
        let words = state.words().tasks;
        let own = state.settings.with(|config| config.loss.clone());
        match own {
            Some(loss) => (words.own_loss)(&loss),
            None => (words.usual_loss)(&usual(state.task()).to_string()),
        }
    };
    let metric = move || {
        let metric = outlook.with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()));
        metric.map(|metric| format!(" {}", (state.words().tasks.metric)(&metric)))
    };
    let notes = move || {
        let notes = outlook.with(|outlook| outlook.as_ref().map(|outlook| outlook.notes.clone()));
        let notes = notes.unwrap_or_default().into_iter();
        notes
            .map(|note| view! { <p class="hint">{worded(state, note)}</p> })
            .collect_view()
    };
    view! {
        <div data-testid="task-plan">
            <p>{loss} {metric}</p>
            {notes}
        </div>
    }
}
