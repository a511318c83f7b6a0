//! A page that was opened with the link of a lesson: what lesson it is, and the way to it.

use crate::link;
use crate::state::PageState;
use leptos::prelude::*;

/// The lesson that the link names, once the list of lessons is there.
#[component]
pub fn LessonOffer() -> impl IntoView {
    let state = expect_context::<PageState>();
    let offered = Memo::new(move |_| {
        let id = state.lesson.get()?;
        let language = state.language.get();
        state.lessons.with(|lessons| {
            let lesson = lessons.iter().find(|lesson| lesson.id == id)?;
            Some((id.clone(), lesson.title.get(language).to_owned()))
        })
    });
    move || {
        offered.get().map(|(id, title)| {
            let address = move || link::lesson_address(state, &id).ok();
            view! {
                <div class="notice" role="status" data-testid="lesson-offer">
                    <p class="notice-title">{move || (state.words().sharing.offer)(&title)}</p>
                    <p>{move || state.words().sharing.offer_hint}</p>
                    <p class="buttons">
                        <a class="button" data-testid="open-lesson" href=address>{move || state.words().sharing.open_lesson}</a>
                    </p>
                </div>
            }
        })
    }
}
