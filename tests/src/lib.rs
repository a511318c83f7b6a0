//! What the tests of Lorakeet have in common: a real browser, and a server that shows it the built page.
//!
//! The integration tests beside this library are sorted by their names: `golden*`, `smollm2*`, `web*` and `soak*` are
//! stages of `cargo xtask test` of their own, all others run in its stage `native`.

pub mod browser;
pub mod site;
