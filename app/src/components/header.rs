//! The top of the page: the name, and the switches for device, language and theme; what the engine runs on.

use super::focus::after_focus;
use super::lesson_offer::LessonOffer;
use super::new_version::NewVersion;
use super::notice::worded;
use super::run_history::RunsButton;
use super::share::Share;
use crate::conversation::{Engine, Job};
use crate::format;
use crate::i18n::Language;
use crate::link::{self, Sharing};
use crate::state::PageState;
use crate::theme::{self, Theme};
use leptos::html::Button;
use leptos::prelude::*;
use lorakeet_core::protocol::DeviceKind;

/// The page's head.
#[component]
pub fn Header() -> impl IntoView {
    let state = expect_context::<PageState>();
    let shown = RwSignal::new(false);
    let opener = NodeRef::<Button>::new();
    let close = Callback::new(move |()| {
        shown.set(false);
        if let Some(opener) = opener.get_untracked() {
            let _ = opener.focus();
        }
    });
    let choose_language = move |event| {
        let tag = event_target_value(&event);
        let language = Language::ALL
            .into_iter()
            .find(|language| language.tag() == tag)
            .unwrap_or(Language::English);
        theme::keep_language(language);
        state.language.set(language);
    };
    let choose_theme = move |event| {
        let name = event_target_value(&event);
        let theme = Theme::named(&name).unwrap_or(Theme::Auto);
        theme::keep_theme(theme);
        state.theme.set(theme);
    };
    let languages = Language::ALL.map(|language| {
        view! {
            <option value=language.tag() lang=language.tag() prop:selected=move || state.language.get() == language>
                {language.name()}
            </option>
        }
    });
    let themes = Theme::ALL.map(|theme| {
        let label = move || match theme {
            Theme::Auto => state.words().theme_auto,
            Theme::Light => state.words().theme_light,
            Theme::Dark => state.words().theme_dark,
        };
        view! { <option value=theme.name() prop:selected=move || state.theme.get() == theme>{label}</option> }
    });
    let choose_device = move |event| {
        let choice = theme::device_named(&event_target_value(&event));
        theme::keep_device(choice);
        state.choose_device(choice);
    };
    let devices = theme::DEVICES.map(|(name, choice)| {
        let label = move || (state.words().device_choice)(choice);
        view! { <option value=name prop:selected=move || state.device_choice.get() == choice>{label}</option> }
    });
    view! {
        <header>
            <div class="top">
                <a class="skip" href="#run-bar">{state.text(|w| w.skip_to_train)}</a>
                <div class="brand">
                    <Bird/>
                    <h1>"Lorakeet"</h1>
                </div>
                <div class="switches">
                    <RunsButton/>
                    <button type="button" class="quiet" data-testid="share" node_ref=opener aria-controls="share-panel"
                        aria-expanded=move || shown.get().to_string() on:click=move |_| shown.update(|shown| *shown = !*shown)>{state.text(|w| w.share)}</button>
                    <label>
                        <span class="unseen">{state.text(|w| w.device_switch)}</span>
                        <select data-testid="device-choice" on:change=choose_device title=state.text(|w| w.device_switch)
                            prop:disabled=move || state.is_training()>{devices}</select>
                    </label>
                    <label>
                        <span class="unseen">{state.text(|w| w.language)}</span>
                        <select data-testid="language" on:change=choose_language>{languages}</select>
                    </label>
                    <label>
                        <span class="unseen">{state.text(|w| w.theme)}</span>
                        <select data-testid="theme" on:change=choose_theme>{themes}</select>
                    </label>
                </div>
            </div>
            <Show when=move || shown.get()><Share close/></Show>
            <NewVersion/>
            <LinkProblems/>
            <LessonOffer/>
            <p class="tagline">{state.text(|w| w.tagline)}</p>
            <DeviceLine measurable=true/>
        </header>
    }
}

/// The head of a page that shows training only, in a frame: the name, and the way to the whole page.
#[component]
pub fn CompactHeader() -> impl IntoView {
    let state = expect_context::<PageState>();
    let address = move || {
        let sharing = Sharing {
            results: true,
            compact: false,
        };
        link::address(state, sharing).ok()
    };
    view! {
        <header>
            <div class="top">
                <div class="brand">
                    <Bird/>
                    <h1>"Lorakeet"</h1>
                </div>
                <a class="button" target="_blank" rel="noopener" data-testid="whole-page" href=address>
                    {move || state.words().sharing.whole_page}
                </a>
            </div>
            <LinkProblems/>
            <DeviceLine measurable=false/>
        </header>
    }
}

/// What cannot be used of the link that the page was opened with.
#[component]
fn LinkProblems() -> impl IntoView {
    let state = expect_context::<PageState>();
    let problems = state.link_problems;
    let lines = move || {
        let problems = problems.get().into_iter();
        problems
            .map(|problem| view! { <li>{worded(state, problem)}</li> })
            .collect_view()
    };
    view! {
        <Show when=move || !problems.with(Vec::is_empty)>
            <div class="notice" role="status" data-testid="link-problems">
                <p class="notice-title">{state.text(|w| w.link_problems)}</p>
                <ul>{lines}</ul>
                <p class="buttons">
                    <button type="button" class="quiet" on:click=move |_| problems.set(Vec::new())>{state.text(|w| w.dismiss)}</button>
                </p>
            </div>
        </Show>
    }
}

/// A parakeet's head in one stroke of the accent colour.
#[component]
fn Bird() -> impl IntoView {
    view! {
        <svg class="bird" viewBox="0 0 32 32" aria-hidden="true">
            <path class="bird-head" d="M6 28V15a11 11 0 0 1 21-4.6c2.4.6 3.6 2.6 3 5.2-.5 2-2 3.4-4 3.9A11 11 0 0 1 17 26v2z"/>
            <path class="bird-beak" d="M24.4 11.6c3 0 4.5 1.6 4 3.8-.5 1.9-2.2 2.8-4 2.6-1.2-2-1.2-4.4 0-6.4z"/>
            <circle class="bird-eye" cx="19" cy="12" r="2"/>
        </svg>
    }
}

/// What the engine runs on, and what to expect of it.
#[component]
fn DeviceLine(
    /// Whether it can be measured here.
    measurable: bool,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let device_state = move || match state.worker.engine.get() {
        Engine::Loading(..) => "loading",
        Engine::Failed => "failed",
        Engine::Ready if state.worker.device.with(Option::is_none) => "loading",
        Engine::Ready
            if state
                .worker
                .device
                .with(|d| d.as_ref().is_some_and(|d| d.kind == DeviceKind::Cpu)) =>
        {
            "cpu"
        }
        Engine::Ready => "gpu",
    };
    let line = move || {
        let words = state.words();
        match (state.worker.engine.get(), state.worker.device.get()) {
            (Engine::Loading(0, _), _) => words.engine_starting.to_owned(),
            (Engine::Loading(done, total), _) if done == total => words.engine_starting.to_owned(),
            (Engine::Loading(done, total), _) => {
                (words.engine_loading)(format::percent(done, total), format::bytes(done))
            }
            (Engine::Failed, _) => words.engine_failed.to_owned(),
            (Engine::Ready, None) => words.device_unknown.to_owned(),
            (Engine::Ready, Some(info)) if info.kind == DeviceKind::Cpu => {
                format!("{} {}", words.device, words.device_cpu)
            }
            (Engine::Ready, Some(info)) => format!("{} {} · {}", words.device, info.backend, info.name),
        }
    };
    let share = move || match state.worker.engine.get() {
        Engine::Loading(done, total) if total > 0 && done < total => Some(done as f64 / total as f64),
        _ => None,
    };
    let note = move || state.worker.device.get().and_then(|info| info.note);
    view! {
        <div class="device" data-testid="device" data-state=device_state>
            <p class="device-line"><span class="lamp" aria-hidden="true"></span>{line}</p>
            {move || share().map(|share| view! { <progress max="1" value=share aria-hidden="true"></progress> })}
            {move || note().map(|note| view! { <p class="hint">{worded(state, note)}</p> })}
            {measurable.then(|| view! { <Speed/> })}
        </div>
    }
}

/// The button that measures the device, and the place of what it was measured to do.
const MEASURE: &str = "measure-device";
const MEASURED: &str = "measured-device";

/// What the device was measured to do, or the button that measures it.
#[component]
fn Speed() -> impl IntoView {
    let state = expect_context::<PageState>();
    let worker = state.worker;
    let is_under_way = Memo::new(move |_| worker.job.get() == Some(Job::Probe));
    let is_wanted = Memo::new(move |_| {
        let is_open = worker.device.with(Option::is_some) && worker.engine.get() == Engine::Ready;
        is_open && worker.probe.get().is_none()
    });
    let is_shown = after_focus(is_wanted, MEASURE, &[MEASURED]);
    let label = move || match is_under_way.get() {
        true => state.words().measuring,
        false => state.words().measure,
    };
    // It stays where it is while the device is measured, and the keyboard on it.
    let press = move |_| {
        if !is_under_way.get_untracked() {
            state.measure();
        }
    };
    let text = move || {
        let probe = worker.probe.get()?;
        let figures = [probe.gflops, probe.gbytes_per_s, probe.await_ms, probe.launch_us];
        Some((state.words().measured)(figures.map(format::figure)))
    };
    view! {
        <p class="hint" role="status" id=MEASURED tabindex="-1" data-testid="measured">{text}</p>
        <Show when=move || is_shown.get()>
            <p class="buttons">
                <button type="button" class="quiet" id=MEASURE data-testid="measure" prop:disabled=move || state.is_training()
                    aria-disabled=move || is_under_way.get().to_string() on:click=press>{label}</button>
            </p>
        </Show>
    }
}
