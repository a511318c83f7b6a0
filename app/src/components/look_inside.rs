//! Pictures that explain: what there is to choose for each, the button that draws it, and what the engine drew. Drawing is
//! `lorakeet_lab::pictures`' part: an image, a sentence and a table, as HTML.

use super::notice::Notice;
use crate::conversation::Job;
use crate::i18n::inside::InsideWords;
use crate::pictures::{FORMATS, applies, can_be_asked, can_follow, has_layer, has_module, has_text, needs_adapter};
use crate::state::PageState;
use leptos::html::Div;
use leptos::prelude::*;
use lorakeet_core::protocol::{ModelInfo, PictureKind};
use lorakeet_lab::pictures;
use web_sys::{Element, HtmlDetailsElement};

/// One of the words about pictures.
type Label = fn(&'static InsideWords) -> &'static str;

/// All pictures, each behind a fold.
#[component]
pub fn LookInside() -> impl IntoView {
    let state = expect_context::<PageState>();
    view! {
        <details class="fold inside" data-testid="inside">
            <summary>{move || state.words().inside.title}</summary>
            <p class="hint">{move || state.words().inside.hint}</p>
            {PictureKind::ALL.map(|kind| view! { <PicturePanel kind/> })}
        </details>
    }
}

#[component]
fn PicturePanel(
    /// What it shows.
    kind: PictureKind,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let panel = state.pictures.panel(kind);
    let word = move |pick: Label| move || pick(state.words().inside);
    let is_open = RwSignal::new(false);
    let toggle = move |event: web_sys::Event| is_open.set(event_target::<HtmlDetailsElement>(&event).open());

    let is_under_way = Memo::new(move |_| state.is_training());
    let is_applicable = Memo::new(move |_| applies(state.subject(), kind));
    let is_drawing =
        Memo::new(move |_| state.worker.job.get() == Some(Job::Picture) && state.pictures.asked.get() == Some(kind));
    let can_draw = Memo::new(move |_| {
        let is_there = match needs_adapter(kind) {
            true => state.training.has_adapter.get(),
            false => is_applicable.get(),
        };
        is_there && !is_under_way.get() && state.worker.job.get() != Some(Job::Picture)
    });
    // What keeps the picture from being drawn now.
    let reason = move || {
        let words = state.words().inside;
        match () {
            () if state.loaded.model.with(Option::is_none) => Some(words.no_model),
            () if is_under_way.get() => Some(words.under_way),
            () if !is_applicable.get() && !can_draw.get() => Some((words.condition)(kind)),
            () if !can_be_asked(kind) => Some(words.run_only),
            () if needs_adapter(kind) && !state.training.has_adapter.get() => Some(words.no_adapter),
            () => None,
        }
    };
    let draw = can_be_asked(kind).then(|| {
        view! {
            <button type="button" data-testid=format!("draw-{}", kind.name()) prop:disabled=move || !can_draw.get()
                on:click=move |_| state.draw(kind)>{word(|w| w.draw)}</button>
        }
    });
    let follow = can_follow(kind).then(|| {
        view! {
            <label class="check">
                <input type="checkbox" data-testid=format!("follow-{}", kind.name()) prop:checked=panel.follows
                    prop:disabled=move || is_under_way.get() || !is_applicable.get()
                    on:change=move |event| panel.follows.set(event_target_checked(&event))/>
                {word(|w| w.follow)}
            </label>
        }
    });
    let errors = move || (state.pictures.asked.get() == Some(kind)).then(|| view! { <Notice jobs=&[Job::Picture]/> });
    view! {
        <details class="fold" data-testid=format!("inside-{}", kind.name()) on:toggle=toggle>
            <summary>{move || (state.words().inside.name)(kind)}</summary>
            <p class="hint">{move || (state.words().inside.about)(kind)}</p>
            <Choices kind/>
            <p class="buttons">
                {draw}
                {follow}
                <span class="hint" role="status">{move || is_drawing.get().then(|| state.words().inside.drawing)}</span>
            </p>
            {move || reason().map(|reason| view! { <p class="hint" data-testid=format!("why-{}", kind.name())>{reason}</p> })}
            {errors}
            <Drawn kind is_open/>
        </details>
    }
}

/// What can be chosen for a picture.
#[component]
fn Choices(
    /// Which.
    kind: PictureKind,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let panel = state.pictures.panel(kind);
    let word = move |pick: Label| move || pick(state.words().inside);
    let name = kind.name();
    let is_locked = move || state.is_training();
    let text = move || panel.text(state.subject());
    let write = move |event| panel.own_text.set(Some(event_target_value(&event)));
    let sentence = has_text(kind).then(|| {
        view! {
            <label class="field">
                <span class="field-name">{word(|w| w.text)}</span>
                <textarea rows="2" data-testid=format!("text-{name}") prop:value=text prop:disabled=is_locked on:input=write></textarea>
            </label>
        }
    });
    let modules = move || {
        let modules = state.loaded.model.with(|model| {
            let names = model.as_ref().map(|model| model.linear_modules.clone());
            names.unwrap_or_default()
        });
        modules
            .into_iter()
            .map(|module| view! { <option value=module></option> })
            .collect_view()
    };
    let module = has_module(kind).then(|| {
        let list = format!("modules-{name}");
        view! {
            <label class="field">
                <span class="field-name">{word(|w| w.module)}</span>
                <input type="text" list=list.clone() autocomplete="off" spellcheck="false" data-testid=format!("module-{name}")
                    prop:value=text prop:disabled=is_locked on:change=write/>
                <span class="hint">{word(|w| w.module_hint)}</span>
                <datalist id=list>{modules}</datalist>
            </label>
        }
    });
    let count = move |of: fn(&ModelInfo) -> usize| {
        Signal::derive(move || state.loaded.model.with(|model| model.as_ref().map_or(1, of)).max(1))
    };
    let layer = has_layer(kind).then(|| {
        let layers = count(|model| model.num_hidden_layers);
        view! { <Place id=format!("layer-{name}") label=|w| w.layer count=layers value=panel.layer/> }
    });
    let head = (kind == PictureKind::Attention).then(|| {
        let heads = count(|model| model.num_attention_heads);
        view! { <Place id=format!("head-{name}") label=|w| w.head count=heads value=panel.head/> }
    });
    let format = (kind == PictureKind::PackedWeights).then(|| {
        let choose = move |event| {
            let name = event_target_value(&event);
            let known = FORMATS.into_iter().find(|known| *known == name);
            panel.format.set(known.unwrap_or(FORMATS[0]));
        };
        let options = FORMATS.map(|name| {
            view! { <option value=name prop:selected=move || panel.format.get() == name>{name}</option> }
        });
        view! {
            <label class="field">
                <span class="field-name">{word(|w| w.format)}</span>
                <select data-testid=format!("format-{name}") prop:disabled=is_locked on:change=choose>{options}</select>
            </label>
        }
    });
    view! {
        {sentence}
        <div class="inside-choices">{module} {layer} {head} {format}</div>
    }
}

/// A layer or a head: shown from 1, kept from 0.
#[component]
fn Place(
    /// Test id.
    id: String,
    /// Its name.
    label: Label,
    /// How many there are.
    count: Signal<usize>,
    /// The one that is chosen.
    value: RwSignal<usize>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let is_locked = move || state.is_training();
    let options = move || {
        let option = |place: usize| {
            view! { <option value=place.to_string() prop:selected=move || value.get() == place>{place + 1}</option> }
        };
        (0..count.get()).map(option).collect_view()
    };
    view! {
        <label class="field">
            <span class="field-name">{move || label(state.words().inside)}</span>
            <select data-testid=id prop:disabled=is_locked
                on:change=move |event| value.set(event_target_value(&event).parse().unwrap_or(0))>{options}</select>
        </label>
    }
}

/// What was drawn: the newest, or the one at the slider.
#[component]
fn Drawn(
    /// Which.
    kind: PictureKind,
    /// Whether it can be seen; it is made only then.
    is_open: RwSignal<bool>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let panel = state.pictures.panel(kind);
    // None follows the newest.
    let chosen = RwSignal::new(None::<usize>);
    let count = Memo::new(move |_| panel.drawn.with(Vec::len));
    Effect::new(move || {
        if count.get() < 2 {
            chosen.set(None);
        }
    });
    let place = move || {
        let last = count.get().saturating_sub(1);
        chosen.get().map_or(last, |place| place.min(last))
    };
    let frame = NodeRef::<Div>::new();
    Effect::new(move || {
        let (Some(frame), true) = (frame.get(), is_open.get()) else {
            return;
        };
        let (language, place) = (state.language.get(), place());
        let html = panel.drawn.with(|drawn| {
            let shown = drawn.get(place);
            shown.map_or(String::new(), |(step, picture)| {
                pictures::html(picture, *step, language)
            })
        });
        put(&frame, &html);
    });
    let at = move || {
        let step = panel.drawn.with(|drawn| drawn.get(place()).and_then(|(step, _)| *step));
        (state.words().inside.at)(step)
    };
    let slide = move |event| {
        let place = event_target_value(&event).parse::<usize>().unwrap_or(0);
        chosen.set((place + 1 < count.get_untracked()).then_some(place));
    };
    view! {
        <div class="inside-picture" data-testid=format!("picture-{}", kind.name()) data-count=move || count.get() node_ref=frame></div>
        <Show when=move || { count.get() > 1 }>
            <label class="slider">
                <span class="unseen">{move || state.words().inside.slider}</span>
                <input type="range" min="0" max=move || count.get().saturating_sub(1) data-testid=format!("slide-{}", kind.name())
                    prop:value=place aria-valuetext=at on:input=slide/>
            </label>
        </Show>
    }
}

/// Puts a picture into its place; a table that was unfolded stays so.
fn put(frame: &Element, html: &str) {
    let table = |state: &str| frame.query_selector(&format!("details{state}")).ok().flatten();
    let was_open = table("[open]").is_some();
    frame.set_inner_html(html);
    if let Some(table) = table("").filter(|_| was_open) {
        let _ = table.set_attribute("open", "");
    }
}
