//! A data file in words: its name, its rows and their form.

use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::DataInfo;
use lorakeet_core::task::Task;
use web_sys::File;

/// How many rows a file has, and of what form.
pub fn rows(state: PageState, info: &DataInfo) -> String {
    let words = state.words();
    let outlook = state.loaded.outlook;
    let task = outlook.with(|outlook| outlook.as_ref().map(|outlook| outlook.task));
    let form = match task.filter(|task| *task != Task::Generation) {
        Some(task) => (words.tasks.rows)(task).to_owned(),
        None => (words.data_form)(&info.form),
    };
    (words.data_summary)(format::whole(info.rows as f64), form)
}

/// What files are called together.
pub fn names(files: &[File]) -> String {
    files.iter().map(File::name).collect::<Vec<_>>().join(" + ")
}
