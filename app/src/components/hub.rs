//! A model from a hub: its name, the host that is asked, what it is made of, its download; and the models that are stored.

use super::focus::focus_head;
use super::notice::worded;
use super::storage::{Kind, StoredList};
use crate::conversation::Job;
use crate::format;
use crate::hub;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{HubListing, HubProgress};
use web_sys::MouseEvent;

/// The field, and what comes of it.
#[component]
pub fn FromHub() -> impl IntoView {
    let state = expect_context::<PageState>();
    let models = state.hub;
    let asks = move || state.worker.job.get() == Some(Job::Hub);
    let has_name = move || models.name.with(|name| !name.trim().is_empty());
    let host = move || models.endpoint.with(|endpoint| hub::host(endpoint).to_owned());
    let look = move || {
        if has_name() && state.hub_is_free() {
            state.look_at_hub(models.name.get_untracked());
        }
    };
    let write = move |event| {
        models.name.set(event_target_value(&event));
        models.listing.set(None);
    };
    let press = move |event: web_sys::KeyboardEvent| {
        if event.key() == "Enter" {
            look();
        }
    };
    let cancel = move |event: MouseEvent| {
        focus_head(&event);
        state.cancel_download();
    };
    view! {
        <details class="from-hub" data-testid="hub">
            <summary>{state.text(|w| w.hub.title)}</summary>
            <label class="field">
                <span class="field-name">{state.text(|w| w.hub.name)}</span>
                <input type="text" data-testid="hub-name" spellcheck="false" autocapitalize="off" autocomplete="off"
                    placeholder="HuggingFaceTB/SmolLM2-135M-Instruct" prop:value=models.name prop:disabled=asks
                    on:input=write on:keydown=press/>
            </label>
            <p class="hint" data-testid="hub-host">{move || (state.words().hub.host)(&host())}</p>
            <details>
                <summary>{state.text(|w| w.hub.more)}</summary>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.hub.endpoint)}</span>
                    <input type="url" data-testid="hub-endpoint" spellcheck="false" prop:value=models.endpoint prop:disabled=asks
                        on:change=move |event| models.take_endpoint(event_target_value(&event))/>
                </label>
                <label class="field">
                    <span class="field-name">{state.text(|w| w.hub.token)}</span>
                    <input type="password" data-testid="hub-token" autocomplete="off" prop:value=models.token prop:disabled=asks
                        on:change=move |event| models.take_token(event_target_value(&event))/>
                </label>
                <label class="check">
                    <input type="checkbox" data-testid="hub-keep-token" prop:checked=models.keeps_token
                        on:change=move |event| models.keep_token(event_target_checked(&event))/>
                    <span>{state.text(|w| w.hub.keep_token)}</span>
                </label>
                <p class="hint">{state.text(|w| w.hub.token_hint)}</p>
            </details>
            <p class="buttons">
                <button type="button" data-testid="hub-look" prop:disabled=move || !has_name() || !state.hub_is_free()
                    on:click=move |_| look()>{move || (state.words().hub.look)(&host())}</button>
                <Show when=asks>
                    <button type="button" data-testid="hub-cancel" on:click=cancel>
                        {state.text(|w| w.hub.cancel)}
                    </button>
                </Show>
            </p>
            {move || models.listing.get().map(|listing| view! { <Listing listing/> })}
        </details>
        {move || models.progress.get().filter(|_| asks()).map(|progress| view! { <Fetching progress/> })}
        <StoredList kind=Kind::Models/>
    }
}

/// What a model is made of, whether it fits, and the button that fetches it.
#[component]
fn Listing(listing: HubListing) -> impl IntoView {
    let state = expect_context::<PageState>();
    let total = listing.bytes();
    let rows = listing.files.iter().map(|file| {
        let (path, size) = (file.path.clone(), format::bytes(file.bytes));
        view! { <tr><th scope="row">{path}</th><td>{size}</td></tr> }
    });
    let rows = rows.collect::<Vec<_>>();
    let left = total.saturating_sub(listing.there_bytes);
    let free = listing.free_bytes.filter(|free| left > *free);
    let lacks_room = free.is_some();
    let no_room = free.map(|free| {
        let text = move || (state.words().hub.no_room)(&format::bytes(left), &format::bytes(free));
        view! { <p class="notice notice-error" role="alert" data-testid="hub-no-room">{text}</p> }
    });
    let storage = {
        let (free, in_memory, there) = (listing.free_bytes, listing.in_memory, listing.there_bytes);
        move || {
            let words = state.words().hub;
            let sized = |bytes: Option<u64>| bytes.map(format::bytes);
            match in_memory {
                true => words.in_memory.to_owned(),
                false => (words.room)(&format::bytes(total), &format::bytes(there), sized(free).as_deref()),
            }
        }
    };
    let fit = {
        let (memory, available) = (listing.memory.clone(), listing.available_bytes);
        move || {
            let words = state.words().hub;
            let memory = memory.as_ref()?;
            let peak = memory.peak_bytes.map(format::bytes)?;
            let too_much = available
                .filter(|available| memory.is_above(*available))
                .map(format::bytes);
            Some((words.fit)(&peak, too_much.as_deref()))
        }
    };
    let problem = listing.problem.as_ref().map(|error| {
        let text = worded(state, error.message());
        view! { <p class="notice notice-error" role="alert" data-testid="hub-problem">{text}</p> }
    });
    let choices = (listing.choices.len() > 1).then(|| {
        let id = format!("{}@{}", listing.id, listing.revision);
        let chosen = listing.chosen.clone();
        let options = listing.choices.iter().map(|file| {
            let is_chosen = Some(&file.path) == chosen.as_ref();
            let (path, text) = (
                file.path.clone(),
                format!("{} ({})", file.path, format::bytes(file.bytes)),
            );
            view! { <option value=path prop:selected=is_chosen>{text}</option> }
        });
        let options = options.collect::<Vec<_>>();
        let pick = move |event| state.look_at_hub(format!("{id}:{}", event_target_value(&event)));
        view! {
            <label class="field">
                <span class="field-name">{state.text(|w| w.hub.choose)}</span>
                <select data-testid="hub-file" on:change=pick prop:disabled=move || !state.hub_is_free()>{options}</select>
            </label>
        }
    });
    let has_problem = listing.problem.is_some();
    let label = move || match listing.there_bytes {
        0 => state.words().hub.download,
        _ => state.words().hub.go_on,
    };
    // The files make way for the model.
    let download = move |event: MouseEvent| {
        focus_head(&event);
        state.download();
    };
    view! {
        <div class="listing" data-testid="hub-listing">
            <table>
                <caption>{format!("{} · {}", listing.id, listing.commit.get(..12).unwrap_or_default())}</caption>
                <tbody>{rows}</tbody>
            </table>
            {choices}
            <p class="hint" data-testid="hub-room">{storage}</p>
            <p class="hint" data-testid="hub-fit">{fit}</p>
            {problem}
            {no_room}
            <p class="buttons">
                <button type="button" class="primary" data-testid="hub-download"
                    prop:disabled=move || !state.hub_is_free() || lacks_room || has_problem
                    on:click=download>{label}</button>
            </p>
        </div>
    }
}

/// How far a download is.
#[component]
fn Fetching(progress: HubProgress) -> impl IntoView {
    let state = expect_context::<PageState>();
    let bytes = progress.done.to_string();
    let share = progress.done as f64 / progress.total.max(1) as f64;
    let text = move || {
        let rate = (progress.bytes_per_second > 0.0).then(|| format::bytes(progress.bytes_per_second as u64));
        let left = progress.seconds_left().map(|seconds| seconds.ceil() as u64);
        let (done, total) = (format::bytes(progress.done), format::bytes(progress.total));
        (state.words().hub.progress)([&done, &total], rate.as_deref(), left)
    };
    let cancel = move |event: MouseEvent| {
        focus_head(&event);
        state.cancel_download();
    };
    view! {
        <div data-testid="hub-progress" data-done=bytes>
            <progress max="1" value=share aria-hidden="true"></progress>
            <p class="hint">{text}</p>
            <button type="button" on:click=cancel>{state.text(|w| w.hub.cancel)}</button>
        </div>
    }
}
