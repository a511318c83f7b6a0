//! What went wrong: what happened, why, and the way out.

use super::focus::focus_head;
use crate::conversation::{Engine, Job};
use crate::state::{PageState, asks_for_restart};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::DeviceChoice;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common::Sentence;
use web_sys::MouseEvent;

/// The error of these jobs, where there is one.
#[component]
pub fn Notice(
    /// Whose errors are shown here.
    jobs: &'static [Job],
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let error = Memo::new(move |_| {
        state
            .worker
            .error
            .get()
            .filter(|(job, _)| jobs.contains(job))
            .map(|(_, error)| error)
    });
    move || error.get().map(|error| view! { <ErrorBox error/> })
}

/// What is wrong, as a sentence in the language in use.
pub fn sentence(state: PageState, clause: Message) -> impl Fn() -> Vec<AnyView> {
    let sentence = Message::from(Sentence { clause });
    move || coded(&sentence.text(state.language.get()))
}

/// Where it is wrong, in the language in use; empty where that is not known.
pub fn place(state: PageState, error: &Error) -> impl Fn() -> String + use<> {
    let place = error.place();
    move || {
        place
            .as_ref()
            .map(|place| place.text(state.language.get()))
            .unwrap_or_default()
    }
}

/// A message in the language in use.
pub fn worded(state: PageState, message: Message) -> impl Fn() -> Vec<AnyView> {
    move || coded(&message.text(state.language.get()))
}

/// A text in which what stands between backticks is code.
pub fn coded(text: &str) -> Vec<AnyView> {
    let part = |(part, is_code): (&str, bool)| {
        let part = part.to_owned();
        if is_code {
            view! { <code>{part}</code> }.into_any()
        } else {
            part.into_any()
        }
    };
    parts(text).into_iter().map(part).collect()
}

/// The parts of a text, each with whether it stands between backticks. Where one backtick has no other, all are letters like others.
fn parts(text: &str) -> Vec<(&str, bool)> {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return vec![(text, false)];
    }
    let parts = parts.into_iter().enumerate();
    let parts = parts.map(|(place, part)| (part, !place.is_multiple_of(2)));
    parts.filter(|(part, _)| !part.is_empty()).collect()
}

/// One error.
#[component]
pub fn ErrorBox(
    /// What is wrong.
    error: Error,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let kind = error.kind;
    let title = move || {
        let words = state.words();
        if state.worker.engine.get() == Engine::Failed {
            words.engine_failed
        } else {
            (words.error_title)(kind)
        }
    };
    let placed = error.place().is_some();
    let place = place(state, &error);
    let remedy = {
        let remedy = error.remedy.clone();
        move || {
            let words = state.words();
            let is_gone = state.worker.engine.get() == Engine::Failed;
            let remedy = match &remedy {
                Some(remedy) => remedy.text(state.language.get()),
                None if is_gone && kind == Kind::OutOfMemory => {
                    format!("{} {}", words.engine_failed_remedy, (words.error_remedy)(kind))
                }
                None if is_gone => words.engine_failed_remedy.to_owned(),
                None => (words.error_remedy)(kind).to_owned(),
            };
            coded(&remedy)
        }
    };
    let restart = {
        let wanted = asks_for_restart(&error);
        move || wanted || state.worker.engine.get() == Engine::Failed
    };
    // Each of the buttons takes the notice away, and itself.
    let start_anew = move |event: MouseEvent| {
        focus_head(&event);
        state.start_engine();
    };
    let take_cpu = move |event: MouseEvent| {
        focus_head(&event);
        state.choose_device(DeviceChoice::Cpu);
    };
    let dismiss = move |event: MouseEvent| {
        focus_head(&event);
        state.worker.error.set(None);
    };
    let offers_cpu = move || kind == Kind::Device && state.device_choice.get() != DeviceChoice::Cpu;
    view! {
        <div class="notice notice-error" role="alert" data-testid="error">
            <p class="notice-title">{title}</p>
            <p class="notice-what">
                {placed.then(|| view! { <span class="place">{place}</span> {state.text(|w| w.colon)} })}
                {sentence(state, error.what)}
            </p>
            <p class="notice-remedy">{remedy}</p>
            <p class="buttons">
                <Show when=restart>
                    <button type="button" class="primary" data-testid="restart" on:click=start_anew>
                        {state.text(|w| w.restart_engine)}
                    </button>
                </Show>
                <Show when=offers_cpu>
                    <button type="button" data-testid="use-cpu" on:click=take_cpu>
                        {state.text(|w| w.use_cpu)}
                    </button>
                </Show>
                <Show when=move || state.worker.engine.get() != Engine::Failed>
                    <button type="button" class="quiet" data-testid="dismiss" on:click=dismiss>
                        {state.text(|w| w.dismiss)}
                    </button>
                </Show>
            </p>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn code_stands_between_two_backticks() {
        assert_eq!(
            parts("Run `lorakeet audit`, or `check`"),
            [
                ("Run ", false),
                ("lorakeet audit", true),
                (", or ", false),
                ("check", true)
            ]
        );
        assert_eq!(parts("one ` alone"), [("one ` alone", false)]);
        assert_eq!(parts("plain"), [("plain", false)]);
    }
}
