//! The marks beside and below a chart: HTML in percent of its size, so that no text is stretched with the lines.

use leptos::prelude::*;

/// Marks beside it: how far up each stands, as a share of the height, and its label.
pub fn row_marks(marks: impl IntoIterator<Item = (f64, String)>) -> AnyView {
    let mark = |(place, label): (f64, String)| {
        let top = format!("top:{:.2}%", 100.0 * (1.0 - place));
        view! { <div class="row-mark" style=top><span>{label}</span></div> }
    };
    marks.into_iter().map(mark).collect_view().into_any()
}

/// Marks below it: how far to the right each stands, as a share of the width, and its label.
pub fn column_marks(marks: impl IntoIterator<Item = (f64, String)>) -> AnyView {
    let mark = |(place, label): (f64, String)| {
        let left = format!("left:{:.2}%", 100.0 * place);
        view! { <span class="column-mark" style=left>{label}</span> }
    };
    marks.into_iter().map(mark).collect_view().into_any()
}
