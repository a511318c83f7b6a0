//! The lessons beside the page: their list, fetched when it is asked for, and where each is shown.

use crate::link;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::lesson::{ListedLesson, Text};
use lorakeet_i18n::messages::page as msg;
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Response;

/// The list, beside the page.
const LIST: &str = "lessons/index.json";

/// Fetches the list where it is not there yet. A lesson that the page's link names and that is not in it is told above the steps.
pub fn fetch_list(state: PageState) {
    if state.lessons.with_untracked(|lessons| !lessons.is_empty()) {
        return;
    }
    spawn_local(async move {
        let lessons = list().await.unwrap_or_default();
        let wanted = state.lesson.get_untracked();
        let unknown = wanted.filter(|id| !lessons.iter().any(|lesson| lesson.id == *id));
        if let Some(id) = unknown {
            state.lesson.set(None);
            match lessons.is_empty() {
                true => link::tell(state, msg::LessonsNotFetched),
                false => link::unusable(state, link::LESSON, &id),
            }
        }
        state.lessons.set(lessons);
    });
}

async fn list() -> Option<Vec<ListedLesson>> {
    let response: Response = JsFuture::from(window().fetch_with_str(LIST))
        .await
        .ok()?
        .dyn_into()
        .ok()?;
    let text = JsFuture::from(response.text().ok()?).await.ok()?.as_string()?;
    let lessons: Vec<Value> = serde_json::from_str(&text).ok()?;
    lessons.iter().map(listed).collect()
}

fn listed(lesson: &Value) -> Option<ListedLesson> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let title = lesson.get("title")?;
    Some(ListedLesson {
        id: text(lesson.get("id")?)?,
        title: Text {
            en: text(title.get("en")?)?,
            zh: text(title.get("zh")?)?,
        },
        minutes: u32::try_from(lesson.get("minutes")?.as_u64()?).ok()?,
    })
}
