//! The page in a real browser; `cargo xtask test web` builds the page and runs these.

mod accessibility;
mod hostile;
mod journeys;
mod lab;
mod lab_shell;
mod package;
mod page;
mod tasks;
