//! A sweep in the step of the settings: what to try, how long that takes, how far it is, and what it comes to.

mod outcome;

use super::focus::{BAR, focus};
use super::notice::{Notice, coded};
use super::stored_runs::Missing;
use crate::conversation::Job;
use crate::settings::show;
use crate::state::PageState;
use crate::stored_runs::name_of;
use crate::sweep::{Choice, MOST_RUNS, Obstacle, knobs};
use leptos::prelude::*;
use lorakeet_core::protocol::Sweep;
use outcome::{Outcome, SweptTable};

/// The head of the fold and the button that adds a knob, on the page.
const HEAD: &str = "sweep-head";
const ADD: &str = "sweep-add";

/// The fold.
#[component]
pub fn SweepFold() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = state.sweep;
    // One that there is to be seen is not hidden behind the fold.
    let is_shown = Memo::new(move |_| sweep.shown.with(Option::is_some));
    let open = RwSignal::new(false);
    Effect::new(move || {
        if is_shown.get() {
            open.set(true);
        }
    });
    let toggle = move |event: web_sys::Event| {
        let details: web_sys::HtmlDetailsElement = event_target(&event);
        open.set(details.open());
    };
    view! {
        <details class="fold" data-testid="sweep-fold" prop:open=move || open.get() on:toggle=toggle>
            <summary id=HEAD>{state.text(|w| w.sweep.title)}</summary>
            <div class="rate-finder">
                <p class="hint">{state.text(|w| w.sweep.hint)}</p>
                <Choices/>
                <Limits/>
                <Start/>
                <Notice jobs=&[Job::Sweep]/>
                <Show when=move || is_shown.get()>
                    <Standing/>
                    <SweptTable/>
                    <Outcome/>
                </Show>
            </div>
        </details>
    }
    .into_any()
}

/// Whether what is chosen stays as it is for now.
fn is_locked(state: PageState) -> bool {
    state.is_training() || state.sweep.is_going.get()
}

/// The knobs and their values.
#[component]
fn Choices() -> impl IntoView {
    let state = expect_context::<PageState>();
    let (sweep, settings) = (state.sweep, state.settings);
    let choices = Memo::new(move |_| sweep.choices(settings));
    let places = move || 0..choices.with(Vec::len);
    let itself = |place: &usize| *place;
    let add = move |_| {
        sweep.change(settings, |choices| {
            let free = knobs().find(|knob| choices.iter().all(|choice| choice.knob != knob.name));
            if let Some(knob) = free {
                let values = show(&untrack(|| settings.value(knob.name)));
                let knob = knob.name.to_owned();
                choices.push(Choice { knob, values });
            }
        });
    };
    view! {
        <ul class="sweep-choices" data-testid="sweep-choices">
            <For each=places key=itself let:place><ChoiceRow choices place/></For>
        </ul>
        <p class="hint" id="sweep-values-hint">{state.text(|w| w.sweep.values_hint)}</p>
        <p class="buttons">
            <button type="button" class="quiet" id=ADD data-testid="sweep-add" prop:disabled=move || is_locked(state)
                on:click=add>{state.text(|w| w.sweep.add)}</button>
        </p>
    }
}

/// One of them.
#[component]
fn ChoiceRow(
    /// All of them.
    choices: Memo<Vec<Choice>>,
    /// Which.
    place: usize,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let (sweep, settings) = (state.sweep, state.settings);
    let knob = Memo::new(move |_| choices.with(|all| all.get(place).map(|one| one.knob.clone()).unwrap_or_default()));
    let values =
        Memo::new(move |_| choices.with(|all| all.get(place).map(|one| one.values.clone()).unwrap_or_default()));
    let choose = move |event| {
        let name: String = event_target_value(&event);
        let values = show(&untrack(|| settings.value(&name)));
        sweep.change(settings, |choices| {
            if let Some(one) = choices.get_mut(place) {
                *one = Choice { knob: name, values };
            }
        });
    };
    let write = move |event| {
        let text: String = event_target_value(&event);
        sweep.change(settings, |choices| {
            if let Some(one) = choices.get_mut(place) {
                one.values = text;
            }
        });
    };
    let remove = move |_| {
        sweep.change(settings, |choices| {
            if place < choices.len() {
                choices.remove(place);
            }
        });
        // The last row goes, and a single one cannot be removed.
        let left = choices.with_untracked(Vec::len);
        if place >= left || left < 2 {
            focus(ADD);
        }
    };
    let options = knobs().map(|known| {
        view! { <option value=known.name prop:selected=move || knob.get() == known.name>{known.name}</option> }
    });
    let locked = move || is_locked(state);
    view! {
        <li>
            <select data-testid=format!("sweep-knob-{place}") aria-label=move || (state.words().sweep.knob)(place + 1)
                prop:disabled=locked on:change=choose>{options.collect_view()}</select>
            <input type="text" data-testid=format!("sweep-values-{place}") autocomplete="off" spellcheck="false"
                aria-label=move || (state.words().sweep.values)(&knob.get()) aria-describedby="sweep-values-hint"
                prop:value=values prop:disabled=locked on:change=write/>
            <button type="button" class="quiet" data-testid=format!("sweep-remove-{place}")
                prop:disabled=move || locked() || choices.with(|all| all.len() < 2)
                aria-label=move || (state.words().sweep.remove)(&knob.get()) on:click=remove>"×"</button>
        </li>
    }
}

/// How many runs, how long, and whether hopeless ones are ended.
#[component]
fn Limits() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = state.sweep;
    let locked = move || is_locked(state);
    let has_store = move || state.stored.has_store.get();
    let halves_hint = move || match has_store() {
        true => state.words().sweep.halves_hint,
        false => state.words().sweep.halves_needs_store,
    };
    view! {
        <div class="sweep-limits">
            <label class="field">
                <span class="field-name">{state.text(|w| w.sweep.draws)}</span>
                <input type="text" inputmode="numeric" data-testid="sweep-random" autocomplete="off" prop:value=sweep.draws
                    prop:disabled=locked on:change=move |event| sweep.draws.set(event_target_value(&event))/>
                <span class="hint">{state.text(|w| w.sweep.draws_hint)}</span>
            </label>
            <label class="field">
                <span class="field-name">{state.text(|w| w.sweep.minutes)}</span>
                <input type="text" inputmode="decimal" data-testid="sweep-minutes" autocomplete="off" prop:value=sweep.minutes
                    prop:disabled=locked on:change=move |event| sweep.minutes.set(event_target_value(&event))/>
                <span class="hint">{state.text(|w| w.sweep.minutes_hint)}</span>
            </label>
        </div>
        <label class="check">
            <input type="checkbox" data-testid="sweep-halves" aria-describedby="sweep-halves-hint"
                prop:checked=move || has_store() && sweep.halves.get() prop:disabled=move || locked() || !has_store()
                on:change=move |event| sweep.halves.set(event_target_checked(&event))/>
            {state.text(|w| w.sweep.halves)}
        </label>
        <p class="hint" id="sweep-halves-hint">{halves_hint}</p>
    }
}

/// What keeps it from being started, in words.
fn told(state: PageState, obstacle: &Obstacle) -> String {
    let words = state.words().sweep;
    match obstacle {
        Obstacle::Wrong(error) => error.message().text(state.language.get()),
        Obstacle::TooMany(runs) => (words.too_many)(*runs, MOST_RUNS),
        Obstacle::NoNumber => words.no_number.to_owned(),
    }
}

/// What the sweep would be, and the buttons.
#[component]
fn Start() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = state.sweep;
    let outlook = Memo::new(move |_| state.sweep_outlook());
    let can_start = Memo::new(move |_| outlook.with(|outlook| matches!(outlook, Some(Ok(_)))) && state.can_sweep());
    let forecast = move || {
        outlook.get().and_then(Result::ok).map(|outlook| {
            let words = state.words();
            let seconds = state.loaded.seconds_per_step.get().zip(outlook.steps);
            let time = seconds.map(|(seconds, steps)| (words.duration)(seconds * steps));
            (words.sweep.outlook)(outlook.runs, outlook.halves, time.as_deref())
        })
    };
    let wrong = move || {
        let obstacle = outlook.get().and_then(Result::err);
        obstacle.map(|obstacle| {
            let text = coded(&told(state, &obstacle));
            view! { <p class="field-error" role="alert" data-testid="sweep-wrong">{text}</p> }
        })
    };
    // What else keeps it from being begun.
    let reason = move || {
        let words = state.words();
        match () {
            () if sweep.is_going.get() => None,
            () if sweep.is_elsewhere.get() => Some(words.sweep.elsewhere),
            () => state.why_not_now(words.advice.run_under_way),
        }
    };
    // One button for both, so that the keyboard stays where it is.
    let label = move || match sweep.is_going.get() {
        true => state.words().sweep.stop,
        false => state.words().sweep.start,
    };
    // Nor does it go astray before the sweep is under way, and before its run has stopped.
    let is_asked = RwSignal::new(false);
    Effect::new(move || {
        if sweep.is_going.get() || can_start.get() {
            is_asked.set(false);
        }
    });
    let press = move |_| {
        match sweep.is_going.get_untracked() {
            true => state.stop_sweep(),
            false => state.start_sweep(),
        }
        is_asked.set(true);
    };
    let is_off = move || !sweep.is_going.get() && !can_start.get() && !is_asked.get();
    let replaces = move || {
        let is_in_the_way = sweep.shown.with(Option::is_some) && !sweep.is_going.get();
        is_in_the_way.then(|| state.words().sweep.replaces)
    };
    view! {
        <p class="hint" role="status" data-testid="sweep-outlook">{forecast}</p>
        {wrong}
        <p class="buttons">
            <button type="button" data-testid="sweep-start" aria-describedby="sweep-start-hint" on:click=press
                prop:disabled=is_off>{label}</button>
        </p>
        <p class="hint" id="sweep-start-hint">{replaces} " " <b data-testid="why-no-sweep">{reason}</b></p>
    }
}

/// How far the sweep is that is shown, and the ways on.
#[component]
fn Standing() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = state.sweep;
    let told = Memo::new(move |_| {
        sweep.shown.with(|sweep| {
            sweep.as_ref().map(|sweep| {
                let what = format!("{} · {}", name_of(&sweep.model), name_of(&sweep.data));
                (
                    what,
                    sweep.done(),
                    sweep.runs.len(),
                    sweep.can_go_on(),
                    sweep.is_out_of_time(),
                )
            })
        })
    });
    let progress = move || {
        told.get()
            .map(|(what, done, all, ..)| format!("{what}: {}", (state.words().sweep.progress)(done, all)))
    };
    let out_of_time = move || {
        let is_out = told.get().is_some_and(|(.., can_go_on, is_out)| can_go_on && is_out);
        (is_out && !sweep.is_going.get()).then(|| state.words().sweep.out_of_time)
    };
    let forget = move |_| {
        state.forget_sweep();
        // The button goes with the sweep.
        focus(HEAD);
    };
    let is_idle = Memo::new(move |_| !sweep.is_going.get());
    let can_go_on = Memo::new(move |_| is_idle.get() && told.get().is_some_and(|told| told.3));
    view! {
        <p role="status" data-testid="sweep-progress">{progress}</p>
        <p class="hint">{out_of_time}</p>
        <p class="buttons">
            <Show when=move || can_go_on.get()><Continue testid="sweep-continue"/></Show>
            <Show when=move || is_idle.get()>
                <button type="button" class="quiet" data-testid="sweep-forget" on:click=forget>
                    {state.text(|w| w.sweep.put_away)}
                </button>
            </Show>
        </p>
    }
}

/// The button that goes on with it.
#[component]
fn Continue(
    /// What tests call it.
    testid: &'static str,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let label = move || {
        let counts = state
            .sweep
            .shown
            .with(|sweep| sweep.as_ref().map_or((0, 0), |sweep| (sweep.done(), sweep.runs.len())));
        (state.words().sweep.go_on)(counts.0, counts.1)
    };
    let press = move |_| {
        state.continue_sweep();
        // It makes way for the run.
        focus(BAR);
    };
    view! {
        <button type="button" class="primary" data-testid=testid prop:disabled=move || !state.can_continue_sweep()
            on:click=press>{label}</button>
    }
}

/// The sweep that was interrupted, with the button that goes on with it: where a run is started.
#[component]
pub fn InterruptedSweep() -> impl IntoView {
    let state = expect_context::<PageState>();
    let sweep = Memo::new(move |_| state.sweep.interrupted());
    let forget = move |_| {
        state.forget_sweep();
        // The notice goes with its buttons.
        focus("train");
    };
    let notice = move |sweep: Sweep| {
        let text = move || {
            let what = format!("{} · {}", name_of(&sweep.model), name_of(&sweep.data));
            let knobs = sweep.knobs.join(", ");
            (state.words().sweep.interrupted)(&what, &knobs, sweep.done(), sweep.runs.len())
        };
        view! {
            <div class="notice" role="status" data-testid="interrupted-sweep">
                <p>{text}</p>
                <Missing/>
                <p class="buttons">
                    <Continue testid="sweep-go-on"/>
                    <button type="button" data-testid="forget-interrupted-sweep" on:click=forget>
                        {state.text(|w| w.sweep.put_away)}
                    </button>
                </p>
            </div>
        }
    };
    let is_free = move || !state.is_training();
    move || sweep.get().filter(|_| is_free()).map(notice)
}
