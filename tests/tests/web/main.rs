//! The page in a real browser; `cargo xtask test web` builds the page and runs these.

mod page;
mod tasks;
