//! The page. It holds no engine: it drives one in a worker through `lorakeet_core::protocol` and draws what comes back.

mod advice;
mod audit;
mod baselines;
mod bundled;
mod chart_view;
mod client;
mod components;
mod conversation;
mod download;
mod export;
mod files;
mod history;
mod hub;
mod i18n;
mod judging;
mod lessons;
mod link;
mod loaded;
mod page;
mod pictures;
mod playground;
mod report;
mod results;
mod run;
mod settings;
mod state;
mod storage;
mod stored_runs;
mod sweep;
mod theme;
mod training;
mod turn;

use lorakeet_lab::{curves, format, zip};

use leptos::mount::mount_to;
use leptos::prelude::document;
use wasm_bindgen::JsCast;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

fn main() {
    console_error_panic_hook::set_once();
    let Some(root) = document().get_element_by_id("app") else {
        return;
    };
    // What stood there while this code loaded.
    root.set_inner_html("");
    if let Ok(root) = root.dyn_into() {
        mount_to(root, page::Page).forget();
    }
}
