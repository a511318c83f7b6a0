//! The runs of a sweep in a table, and the best of them.

use crate::components::focus::{focus, focus_soon};
use crate::components::notice::coded;
use crate::format;
use crate::settings::show;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Sweep, SweptScore};
use lorakeet_core::sweep::{Halving, Row};

/// The view of stored runs, on the page.
const RUNS: &str = "runs";

/// A run's line.
#[derive(Clone, PartialEq)]
struct Line {
    place: usize,
    values: Vec<String>,
    /// The state in words; none of the run under way.
    state: Option<String>,
    steps: String,
    loss: String,
    score: String,
    is_best: bool,
}

/// A score in a cell: `accuracy 0.930`.
fn score_of(score: &SweptScore) -> String {
    format!("{} {}", score.metric, format::loss(score.value))
}

fn lines(state: PageState, sweep: &Sweep) -> Vec<Line> {
    let words = state.words().sweep;
    let turn = state.sweep.turn.get();
    let under_way = turn.filter(|_| state.sweep.is_going.get()).map(|turn| turn.run);
    let best = sweep.best().map(|best| best.run);
    let rows = sweep.rows();
    let line = |place: usize| {
        let run = &sweep.runs[place];
        let state = match rows[place] {
            _ if under_way == Some(place) => None,
            Row::Waiting => Some(words.waiting.to_owned()),
            Row::Begun => Some(words.begun.to_owned()),
            Row::LeftBehind(parts) => Some((words.left_behind)(100 * parts / Halving::PARTS)),
            Row::Finished => Some(words.finished.to_owned()),
            Row::Out => {
                let why = run
                    .failure
                    .as_ref()
                    .map(|error| error.message().text(state.language.get()));
                Some((words.out)(&why.unwrap_or_default()))
            }
        };
        Line {
            place,
            values: run.values.iter().map(show).collect(),
            state,
            steps: match run.max_steps {
                Some(steps) => format!("{} / {steps}", run.step),
                None => "–".to_owned(),
            },
            loss: run.loss.map_or("–".to_owned(), format::loss),
            score: run.score.as_ref().map_or("–".to_owned(), score_of),
            is_best: best == Some(place),
        }
    };
    // As they are trained while they are, by how good they are afterwards.
    match state.sweep.is_going.get() {
        true => (0..sweep.runs.len()).map(line).collect(),
        false => sweep.order().into_iter().map(line).collect(),
    }
}

/// All runs of the sweep that is shown.
#[component]
pub fn SweptTable() -> impl IntoView {
    let state = expect_context::<PageState>();
    let shown = state.sweep.shown;
    let lines = Memo::new(move |_| {
        shown
            .with(|sweep| sweep.as_ref().map(|sweep| lines(state, sweep)))
            .unwrap_or_default()
    });
    let knobs = Memo::new(move |_| {
        shown
            .with(|sweep| sweep.as_ref().map(|sweep| sweep.knobs.clone()))
            .unwrap_or_default()
    });
    let live = Memo::new(move |_| {
        state.training.frame.track();
        let step = state.training.run.with_value(|run| {
            (
                run.curves.steps.last().map_or(0, |step| step.step),
                run.curves.max_steps,
            )
        });
        match step {
            (_, 0) => String::new(),
            (step, steps) => format!(" {step} / {steps}"),
        }
    });
    let heads = move || {
        let [run, rest @ ..] = state.words().sweep.columns;
        let names = std::iter::once(run.to_owned()).chain(knobs.get());
        let heads = names.chain(rest.map(str::to_owned));
        heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view()
    };
    let row = move |line: Line| {
        let values = line.values.into_iter().map(|value| view! { <td>{value}</td> });
        let standing = match line.state {
            Some(standing) => coded(&standing).into_any(),
            None => view! { {state.text(|w| w.sweep.training)} {live} }.into_any(),
        };
        let mark = line
            .is_best
            .then(|| view! { " " <b>{state.text(|w| w.sweep.best_mark)}</b> });
        view! {
            <tr data-testid="sweep-row">
                <th scope="row">{line.place + 1}{mark}</th>
                {values.collect_view()}
                <td>{standing}</td>
                <td class="number-cell">{line.steps}</td>
                <td class="number-cell">{line.loss}</td>
                <td class="number-cell">{line.score}</td>
            </tr>
        }
    };
    view! {
        <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.sweep.table)>
            <table data-testid="sweep-table">
                <caption class="unseen">{state.text(|w| w.sweep.table)}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{move || lines.get().into_iter().map(row).collect_view()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

/// The best run, once the sweep rests, with what its lead is worth.
#[component]
pub fn Outcome() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = state.sweep;
    let best = Memo::new(move |_| {
        let shown = sweep.shown.get().filter(|_| !sweep.is_going.get())?;
        let best = shown.best()?;
        let run = &shown.runs[best.run];
        let values = shown.knobs.iter().zip(&run.values);
        let settings: Vec<String> = values.map(|(knob, value)| format!("{knob} {}", show(value))).collect();
        let loss = || (state.words().moments.loss_is)(&run.loss.map_or("–".to_owned(), format::loss));
        let score = run.score.as_ref().map_or_else(loss, |score| match score.interval {
            Some(interval) => {
                let ends = [interval.low, interval.high].map(format::loss);
                format!("{} ({} – {})", score_of(score), ends[0], ends[1])
            }
            None => score_of(score),
        });
        Some((best, settings.join(" · "), score))
    });
    let is_over = Memo::new(move |_| {
        let is_done = |sweep: &Sweep| sweep.next().is_none();
        !sweep.is_going.get() && sweep.shown.with(|sweep| sweep.as_ref().is_some_and(is_done))
    });
    let text = move || {
        let words = state.words().sweep;
        match best.get() {
            Some((best, settings, score)) => {
                let named = (words.best)(&settings, &score, best.scored, best.held_out);
                format!("{named} {} {}", (words.alike)(best.alike), words.score_again)
            }
            None if is_over.get() => words.no_best.to_owned(),
            None => String::new(),
        }
    };
    let take = move |_| {
        if let Some((best, ..)) = best.get_untracked() {
            state.take_swept(best.run);
        }
    };
    let compare = move |_| {
        state.compare_swept();
        // It is there then, unless it was already.
        focus(RUNS);
        focus_soon(RUNS.to_owned());
    };
    let used = move || sweep.taken.get().map(|_| state.words().sweep.used);
    let has_best = Memo::new(move |_| best.with(Option::is_some));
    view! {
        <p role="status" data-testid="sweep-best">{text}</p>
        <Show when=move || has_best.get()>
            <p class="buttons">
                <button type="button" class="primary" data-testid="sweep-use" on:click=take
                    prop:disabled=move || state.is_training()>{state.text(|w| w.sweep.use_best)}</button>
                <button type="button" data-testid="sweep-compare" on:click=compare>{state.text(|w| w.sweep.compare)}</button>
            </p>
        </Show>
        <p role="status" data-testid="sweep-used">{used}</p>
    }
    .into_any()
}
