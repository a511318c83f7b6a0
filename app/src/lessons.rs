//! The lessons beside the page: their list, fetched when it is asked for.

use leptos::prelude::window;
use lorakeet_core::lesson::{ListedLesson, Text};
use serde_json::Value;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Response;

/// The list, beside the page.
const LIST: &str = "lessons/index.json";

/// Fetches the list; none where it cannot be fetched or read.
pub async fn list() -> Option<Vec<ListedLesson>> {
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
