//! The device, and what a run with the present settings takes on it: memory, what it is made of, and time.

use crate::conversation::{Engine, Job};
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::DeviceKind;

/// The device, what was measured on it, and what a run takes.
#[component]
pub fn Forecast() -> impl IntoView {
    let state = expect_context::<PageState>();
    let device = state.worker.device;
    let adapter = move || {
        device.with(|device| match device {
            Some(info) if info.kind == DeviceKind::Cpu => state.words().device_cpu.to_owned(),
            Some(info) => format!("{} · {}", info.backend, info.name),
            None => state.words().device_unknown.to_owned(),
        })
    };
    let buffer = move || {
        let words = state.words().advice;
        match device.with(|device| device.as_ref().map(|info| info.max_binding_bytes)) {
            // A CPU has none but its memory.
            Some(u64::MAX) => words.unlimited.to_owned(),
            Some(bytes) => format::bytes(bytes),
            None => words.unknown.to_owned(),
        }
    };
    let available = move || {
        let bytes = state.loaded.estimate.with(|estimate| estimate.as_ref()?.1);
        bytes.map_or_else(|| state.words().advice.unknown.to_owned(), format::bytes)
    };
    let speed = move || {
        let words = state.words().advice;
        state.worker.probe.get().map_or_else(
            || words.not_measured.to_owned(),
            |probe| (words.speed_value)(&format::figure(probe.gflops), &format::figure(probe.gbytes_per_s)),
        )
    };
    let is_measuring = Memo::new(move |_| state.worker.job.get() == Some(Job::Probe));
    let can_measure = Memo::new(move |_| {
        let is_open = device.with(Option::is_some) && state.worker.engine.get() == Engine::Ready;
        is_open && !state.is_training()
    });
    // It stays where it is while the device is measured, and the keyboard on it.
    let press = move |_| {
        if !is_measuring.get_untracked() {
            state.measure();
        }
    };
    let label = move || match is_measuring.get() {
        true => state.words().measuring,
        false => state.words().measure,
    };
    view! {
        <section class="advice" data-testid="forecast" aria-labelledby="forecast-title">
            <h3 id="forecast-title">{state.text(|w| w.advice.device)}</h3>
            <dl class="facts">
                <div><dt>{state.text(|w| w.advice.adapter)}</dt><dd>{adapter}</dd></div>
                <div><dt>{state.text(|w| w.advice.largest_buffer)}</dt><dd>{buffer}</dd></div>
                <div><dt>{state.text(|w| w.advice.available)}</dt><dd>{available}</dd></div>
                <div><dt>{state.text(|w| w.advice.speed)}</dt><dd>{speed}</dd></div>
            </dl>
            <p class="buttons">
                <button type="button" class="quiet" data-testid="measure-again" prop:disabled=move || !can_measure.get()
                    aria-disabled=move || is_measuring.get().to_string() on:click=press>{label}</button>
            </p>
            <Memory/>
            <Parts/>
        </section>
    }
    .into_any()
}

/// How long a step will take on this device, in words, where that is known.
pub fn step_time(state: PageState) -> Option<String> {
    let seconds = state.loaded.seconds_per_step.get()?;
    Some(match seconds {
        s if s < 1.0 => format!("{} ms", format::figure(1e3 * s)),
        s if s < 100.0 => format!("{} s", format::figure(s)),
        s => (state.words().duration)(s),
    })
}

/// What a run with these settings takes on the device.
#[component]
fn Memory() -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = move || {
        let words = state.words();
        state.loaded.estimate.get().map(|(memory, _)| {
            (words.memory)(
                memory.peak_bytes.map(format::bytes),
                format::bytes(memory.base_bytes),
                format::hundredths(memory.bytes_per_parameter()),
            )
        })
    };
    let too_much = move || {
        let words = state.words();
        let (memory, available) = state.loaded.estimate.get()?;
        let available = available.filter(|&available| memory.is_above(available))?;
        let text = (words.memory_too_much)(format::bytes(available));
        Some(view! { <p class="field-error" role="status" data-testid="memory-too-much">{text}</p> })
    };
    let time = move || {
        let text = (state.words().step_time)(step_time(state)?);
        Some(view! { <p class="hint" role="status" data-testid="step-time">{text}</p> })
    };
    let whole = move || {
        let rows = state.advice.rows.get()?;
        let steps = state.settings.with(|config| config.plan(rows).max_steps);
        let seconds = state.loaded.seconds_per_step.get();
        let words = state.words();
        let time = seconds.map(|seconds| (words.duration)(seconds * steps as f64));
        let text = (words.advice.run_time)(steps, time);
        Some(view! { <p class="hint" data-testid="run-time">{text}</p> })
    };
    let learnt = move || {
        let learnt = state.loaded.learnt.get()?;
        let peak = learnt.peak_bytes.map(format::bytes);
        let text = (state.words().advice.learnt)(learnt.steps, peak);
        Some(view! { <p class="hint" data-testid="forecast-learnt">{text}</p> })
    };
    view! {
        <p class="hint" data-testid="memory">{text}</p>
        {too_much}
        {time}
        {whole}
        {learnt}
    }
}

/// What the forecast of memory is made of.
#[component]
fn Parts() -> impl IntoView {
    let state = expect_context::<PageState>();
    let rows = move || {
        let words = state.words().advice;
        let unknown = || words.unknown.to_owned();
        state.loaded.estimate.get().map(|(memory, _)| {
            let bytes = [
                Some(memory.base_bytes),
                Some(memory.adapter_bytes),
                Some(memory.gradient_bytes),
                Some(memory.optimizer_bytes),
                memory.activation_bytes,
                memory.peak_bytes,
            ];
            let row = |(part, bytes): (&'static str, Option<u64>)| {
                let bytes = bytes.map_or_else(unknown, format::bytes);
                view! { <tr><th scope="row">{part}</th><td class="number-cell">{bytes}</td></tr> }
            };
            words.parts.into_iter().zip(bytes).map(row).collect_view()
        })
    };
    let heads = move || {
        let heads = state.words().advice.forecast_heads;
        heads.map(|head| view! { <th scope="col">{head}</th> })
    };
    view! {
        <details class="fold" data-testid="forecast-fold">
            <summary>{state.text(|w| w.advice.forecast)}</summary>
            <table data-testid="forecast-parts">
                <caption class="unseen">{state.text(|w| w.advice.forecast)}</caption>
                <thead><tr>{heads}</tr></thead>
                <tbody>{rows}</tbody>
            </table>
            <p class="hint">{state.text(|w| w.advice.parts_hint)}</p>
        </details>
    }
}
