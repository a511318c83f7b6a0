//! The same prompt continued by the base model and by the tuned one, side by side.

use super::blind::{Blind, BlindPair, BlindSwitch};
use crate::conversation::Job;
use crate::format;
use crate::judging::Tally;
use crate::playground::Answer;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{ChatMessage, Command, GenerateOptions, Prompt};
use serde_json::Value;

/// The prompt, the button and both answers.
#[component]
pub fn Write() -> impl IntoView {
    let state = expect_context::<PageState>();
    let prompt = RwSignal::new(None::<String>);
    let temperature = RwSignal::new("0.8".to_owned());
    let top_p = RwSignal::new("0.95".to_owned());
    let max_tokens = RwSignal::new("64".to_owned());
    let as_chat = RwSignal::new(None::<bool>);
    let can_chat = Memo::new(move |_| {
        state
            .loaded
            .model
            .with(|model| model.as_ref().is_some_and(|model| model.has_chat_template))
    });
    let can_think = Memo::new(move |_| {
        state
            .loaded
            .model
            .with(|model| model.as_ref().is_some_and(|model| model.has_thinking_switch))
    });
    // A template's own default is to think: Qwen3's is.
    let thinks = move || state.settings.value(THINKING) != Value::Bool(false);
    let think = move |event: web_sys::Event| {
        let is_on = event_target_checked(&event);
        state.settings.put(&[(THINKING, Value::Bool(is_on))]);
    };
    let chat = move || can_chat.get() && as_chat.get().unwrap_or(true);
    let prompt_text = move || prompt.get().unwrap_or_else(|| state.sample_prompt.get());

    let busy = Memo::new(move |_| state.is_training());
    let writing = Memo::new(move |_| {
        state
            .training
            .answers
            .iter()
            .any(|answer| answer.with(|answer| answer.growing))
    });
    let ready = move || state.loaded.model.with(Option::is_some) && !busy.get() && !writing.get();
    let strength = state.training.outcome.strength;
    let blind = Blind::new();
    let is_blind =
        Memo::new(move |_| blind.is_on.get() && state.training.has_adapter.get() && !state.is_trained_whole());
    let write_sides = move |sides: &[bool]| {
        state.worker.clear_error(&[Job::Generate]);
        let text = prompt_text();
        let options = options(&temperature.get(), &top_p.get(), &max_tokens.get(), strength.get());
        let prompt = match chat() {
            true => Prompt::Messages(vec![ChatMessage {
                role: "user".into(),
                content: text,
            }]),
            false => Prompt::Text(text),
        };
        for adapter in sides {
            let id = state.worker.next_id();
            state.training.answers[usize::from(*adapter)].set(Answer::asked(id));
            state.generate(Command::Generate {
                id,
                prompt: prompt.clone(),
                options: options.clone(),
                adapter: *adapter,
            });
        }
    };
    let write = move || {
        untrack(|| match (state.training.has_adapter.get(), state.is_trained_whole()) {
            (false, _) => write_sides(&[false]),
            // The base is not there any more.
            (true, true) => write_sides(&[true]),
            (true, false) if blind.is_on.get() => {
                blind.begin();
                // A comes first, whoever wrote it.
                let tuned_first = blind.tuned_first.get();
                write_sides(&[tuned_first, !tuned_first]);
            }
            (true, false) => write_sides(&[false, true]),
        });
    };
    // One button for both, so that the keyboard stays where it is.
    let press = move |_| match writing.get_untracked() {
        true => state.cancel_generate(),
        false => write(),
    };
    let press_id = move || match writing.get() {
        true => "cancel-generate",
        false => "generate",
    };
    let press_label = move || match writing.get() {
        true => state.words().cancel,
        false => state.words().generate,
    };
    // What stands there was written at another strength.
    Effect::new(move |before: Option<f64>| {
        let now = strength.get();
        let is_other = before.is_some_and(|before| before != now);
        if is_other {
            state.training.outcome.tally.set(Tally::default());
        }
        untrack(|| {
            if is_other && is_blind.get() {
                // Nor is there a choice between the two of it.
                if writing.get() {
                    state.cancel_generate();
                }
                state.training.each_answer(|answer| *answer = Answer::default());
            }
            let is_written = state.training.answers[1].with(|answer| answer.id != 0);
            if is_other && is_written && ready() && !blind.is_on.get() {
                write_sides(&[true]);
            }
        });
        now
    });
    let base_empty = Signal::derive(move || {
        let words = state.words();
        match state.training.has_adapter.get() && state.is_trained_whole() {
            true => words.judge.no_base,
            false => words.base_empty,
        }
    });
    let tuned_title = Signal::derive(move || {
        let (words, strength) = (state.words(), strength.get());
        match strength == 1.0 {
            true => words.tuned_model.to_owned(),
            false => (words.judge.tuned_at)(&format!("{strength:.2}")),
        }
    });
    let base_title = Signal::derive(move || state.words().base_model.to_owned());
    let tuned_empty = Signal::derive(move || {
        let words = state.words();
        if state.training.has_adapter.get() {
            words.tuned_ready
        } else {
            words.tuned_empty
        }
    });
    let number = move |id: &'static str, value: RwSignal<String>, name: &'static str, label: Label, hint: Label| {
        view! {
            <label class="field">
                <span class="field-name">{state.text(label)}</span>
                <input type="text" inputmode="decimal" class="short" id=id data-testid=id name=name prop:value=value
                    on:change=move |event| value.set(event_target_value(&event))/>
                <span class="hint">{state.text(hint)}</span>
            </label>
        }
    };
    view! {
            <label class="field">
                <span class="field-name">{state.text(|w| w.prompt)}</span>
                <textarea rows="3" data-testid="prompt" prop:value=prompt_text
                    on:input=move |event| prompt.set(Some(event_target_value(&event)))></textarea>
            </label>
            <div class="sampling">
                {number("temperature", temperature, "temperature", |w| w.temperature, |w| w.temperature_hint)}
                {number("top-p", top_p, "top_p", |w| w.top_p, |w| w.top_p_hint)}
                {number("max-tokens", max_tokens, "max_new_tokens", |w| w.max_tokens, |w| w.max_tokens_hint)}
                <Show when=move || can_chat.get()>
                    <label class="check">
                        <input type="checkbox" prop:checked=chat on:change=move |event| as_chat.set(Some(event_target_checked(&event)))/>
                        {state.text(|w| w.as_chat)}
                    </label>
                </Show>
                <Show when=move || can_think.get()>
                    <label class="check">
                        <input type="checkbox" data-testid="thinking" prop:checked=thinks prop:disabled=move || !ready() on:change=think/>
                        <code>"enable_thinking"</code>
                    </label>
                </Show>
            </div>
            <p class="buttons">
                <button type="button" class:primary=move || !writing.get() data-testid=press_id
                    prop:disabled=move || !writing.get() && !ready() on:click=press>{press_label}</button>
                <Show when=move || busy.get()><span class="hint">{state.text(|w| w.try_busy)}</span></Show>
            </p>
            <Show when=move || state.training.has_adapter.get()><BlindSwitch blind/></Show>
            <Show when=move || !is_blind.get() fallback=move || view! { <BlindPair blind/> }>
                <div class="pair">
                    <Pane id="answer-base" answer=state.training.answers[0] title=base_title empty=base_empty/>
                    <Pane id="answer-tuned" answer=state.training.answers[1] title=tuned_title empty=tuned_empty/>
                </div>
            </Show>
    }
}

/// The knob that chat templates with a thinking switch are told.
const THINKING: &str = "enable_thinking";

type Label = fn(&'static crate::i18n::Words) -> &'static str;

/// One answer.
#[component]
fn Pane(
    /// Test id.
    id: &'static str,
    /// The answer.
    answer: RwSignal<Answer>,
    /// Whose it is.
    title: Signal<String>,
    /// Words while there is none.
    empty: Signal<&'static str>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let speed = move || {
        let speed = answer.with(|answer| answer.speed);
        speed.map(|(tokens, speed)| (state.words().generated)(tokens, format::speed(speed)))
    };
    let text = move || {
        match answer.get() {
        answer if answer.id == 0 => view! { <p class="written empty">{empty}</p> }.into_any(),
        answer => {
            view! { <p class="written" class:growing=answer.growing aria-busy=answer.growing.to_string()>{answer.text}</p> }
                .into_any()
        }
    }
    };
    view! {
        <article class="sample" data-testid=id>
            <h3>{title}</h3>
            {text}
            <p class="hint">{speed}</p>
        </article>
    }
}

/// The sampler's settings; what is no number falls back to the middle of the road.
fn options(temperature: &str, top_p: &str, max_tokens: &str, strength: f64) -> GenerateOptions {
    let temperature = temperature
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|t| t.is_finite())
        .unwrap_or(0.8);
    let top_p = top_p.trim().parse::<f64>().ok().filter(|p| *p > 0.0).unwrap_or(0.95);
    let max_new_tokens = max_tokens.trim().parse::<usize>().ok().filter(|n| *n > 0).unwrap_or(64);
    let do_sample = temperature > 0.0;
    GenerateOptions {
        max_new_tokens: max_new_tokens.min(4096),
        do_sample,
        temperature: if do_sample { temperature } else { 1.0 },
        top_p: top_p.min(1.0),
        adapter_strength: strength,
        ..GenerateOptions::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temperature_of_zero_is_greedy() {
        assert!(!options("0", "0.9", "10", 1.0).do_sample);
        assert!(options("0.7", "0.9", "10", 1.0).do_sample);
    }

    #[test]
    fn fields_that_are_no_numbers_fall_back() {
        let fallback = options("hot", "-1", "many", 0.5);
        assert_eq!(
            (fallback.temperature, fallback.top_p, fallback.max_new_tokens),
            (0.8, 0.95, 64)
        );
        assert_eq!(fallback.adapter_strength, 0.5);
    }
}
