//! The panel of the button Share: the page as it stands, or a lesson, as a link, as a frame and as an element.

use super::notice::worded;
use crate::download;
use crate::i18n::share::ShareWords;
use crate::link::{self, Sharing};
use crate::state::PageState;
use leptos::html::Select;
use leptos::prelude::*;
use lorakeet_core::Error;
use web_sys::HtmlTextAreaElement;

/// One of the words about sharing.
type Label = fn(&'static ShareWords) -> &'static str;

/// What was copied last; none of the fields where the browser refused.
type Told = RwSignal<Option<Option<Label>>>;

/// What can be copied, made while it is shown.
#[component]
pub fn Share(
    /// Takes the panel away.
    close: Callback<()>,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    // The id of a lesson; empty for the page.
    let chosen = RwSignal::new(state.lesson.get_untracked().unwrap_or_default());
    let wants_results = RwSignal::new(false);
    let told: Told = RwSignal::new(None);
    link::fetch_lessons(state);

    let first = NodeRef::<Select>::new();
    Effect::new(move || {
        if let Some(first) = first.get() {
            let _ = first.focus();
        }
    });
    let escape = window_event_listener(leptos::ev::keydown, move |event| {
        if event.key() == "Escape" {
            close.run(());
        }
    });
    on_cleanup(move || escape.remove());

    let word = move |pick: Label| move || pick(state.words().sharing);
    let is_page = Memo::new(move |_| chosen.with(String::is_empty));
    let has_result = Memo::new(move |_| link::result(state).is_some());
    let title = move || {
        let (language, id) = (state.language.get(), chosen.get());
        let title = state.lessons.with(|lessons| {
            let found = lessons.iter().find(|lesson| lesson.id == id);
            found.map(|lesson| lesson.title.get(language).to_owned())
        });
        title.unwrap_or_else(|| state.words().sharing.frame_title.to_owned())
    };
    let address = move |compact: bool| match is_page.get() {
        true => link::address(
            state,
            Sharing {
                results: wants_results.get(),
                compact,
            },
        ),
        false => link::lesson_address(state, &chosen.get()),
    };
    let link = Memo::new(move |_| Some(address(false)));
    let frame = Memo::new(move |_| Some(address(true).map(|address| link::frame(&address, &title(), is_page.get()))));
    let element = Memo::new(move |_| (!is_page.get()).then(|| link::element(state, &chosen.get(), &title())));
    let hint = move |page: Label, lesson: Label| {
        Signal::derive(move || (if is_page.get() { page } else { lesson })(state.words().sharing))
    };
    let options = move || {
        let lessons = state.lessons.get().into_iter();
        let option = move |lesson: lorakeet_core::lesson::ListedLesson| {
            let id = lesson.id.clone();
            let label = move || (state.words().sharing.lesson)(lesson.title.get(state.language.get()));
            view! { <option value=lesson.id.clone() prop:selected=move || chosen.get() == id>{label}</option> }
        };
        lessons.map(option).collect_view()
    };
    view! {
        <section class="share" id="share-panel" role="dialog" data-testid="share-panel" aria-label=word(|w| w.title)>
            <div class="share-head">
                <label class="field">
                    <span class="field-name">{word(|w| w.what)}</span>
                    <select data-testid="share-what" node_ref=first on:change=move |event| chosen.set(event_target_value(&event))>
                        <option value="" prop:selected=move || is_page.get()>{word(|w| w.this_page)}</option>
                        {options}
                    </select>
                </label>
                <button type="button" class="quiet" data-testid="share-close" on:click=move |_| close.run(())>
                    {word(|w| w.close)}
                </button>
            </div>
            <Show when=move || is_page.get() && has_result.get()>
                <div>
                    <label class="check">
                        <input type="checkbox" data-testid="share-results" aria-describedby="share-results-hint"
                            prop:checked=wants_results on:change=move |event| wants_results.set(event_target_checked(&event))/>
                        {word(|w| w.results)}
                    </label>
                    <p class="hint" id="share-results-hint">{word(|w| w.results_hint)}</p>
                </div>
            </Show>
            <Copied id="share-link" rows=2 name=|w| w.link text=link hint=hint(|w| w.link_hint, |w| w.lesson_link_hint) told/>
            <Copied id="share-frame" rows=4 name=|w| w.frame text=frame hint=hint(|w| w.frame_hint, |w| w.lesson_frame_hint) told/>
            <Copied id="share-element" rows=5 name=|w| w.element text=element hint=hint(|w| w.element_none, |w| w.element_hint) told/>
            <p class="hint" role="status" data-testid="share-status">
                {move || told.get().map(|told| {
                    let words = state.words().sharing;
                    told.map_or(words.not_copied.to_owned(), |name| (words.copied)(name(words)))
                })}
            </p>
        </section>
    }
}

/// A text that can be copied.
#[component]
fn Copied(
    /// Test id of the field; the button's has `-copy` behind it.
    id: &'static str,
    /// Lines.
    rows: u8,
    /// Its name.
    name: Label,
    /// The text; none where there is none.
    text: Memo<Option<Result<String, Error>>>,
    /// What it is.
    hint: Signal<&'static str>,
    /// Hears what was copied.
    told: Told,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let label = move || name(state.words().sharing);
    let hint_id = format!("{id}-hint");
    let described = hint_id.clone();
    let choose_all = |event: web_sys::FocusEvent| event_target::<HtmlTextAreaElement>(&event).select();
    let copy = move |_| {
        told.set(None);
        if let Some(Ok(text)) = text.get_untracked() {
            download::copy(&text, move |is_copied| told.set(Some(is_copied.then_some(name))));
        }
    };
    let shown = move || match text.get() {
        Some(Ok(text)) => {
            let copy_label = move || (state.words().sharing.copy_what)(label());
            let described = described.clone();
            view! {
                <div class="share-text">
                    <textarea readonly spellcheck="false" rows=rows data-testid=id aria-label=label aria-describedby=described
                        prop:value=text on:focus=choose_all></textarea>
                    <button type="button" data-testid=format!("{id}-copy") aria-label=copy_label on:click=copy>
                        {state.text(|w| w.copy)}
                    </button>
                </div>
            }
            .into_any()
        }
        Some(Err(error)) => {
            view! { <p class="field-error" role="alert">{worded(state, error.message())}</p> }.into_any()
        }
        None => ().into_any(),
    };
    view! {
        <div class="share-part">
            <p class="field-name">{label}</p>
            {shown}
            <p class="hint" id=hint_id>{hint}</p>
        </div>
    }
}
