//! What the tests of Lorakeet have in common: a session to talk to, a tiny model and rows that it learns, models of any shape,
//! golden cases and training steps on them, GGUF files, ggml's formats and spreadsheets as they are written, broken copies of files, every
//! reader of files with sound ones for it, the recorder of lessons, GPUs with less than others, real browsers and what a person
//! does in the page and in the lab, whole journeys of a person through the page, servers that show them the built page or a test's
//! own, and a look at how much memory a process takes.
//!
//! Integration tests are one program a stage of `cargo xtask test`: `native`, `golden`, `hostile`, `models`, `web`, `browsers`,
//! `hosts` and `soak`. The stage `endurance` runs their modules of that name at length.

pub mod accessibility;
pub mod alone;
pub mod browser;
pub mod contact_sheet;
pub mod devtools;
pub mod driver;
pub mod endurance;
pub mod fake_hub;
pub mod file_site;
pub mod files_in_page;
pub mod generated;
pub mod ggml;
#[path = "../../core/tests/common/gguf.rs"]
pub mod gguf;
pub mod golden;
pub mod gpu_shim;
pub mod journeys;
pub mod json_schema;
pub mod kept_run;
pub mod lab_walk;
pub mod lesson_recorder;
pub mod marionette;
pub mod memory;
pub mod memory_shelf;
#[path = "../../core/tests/common/mutations.rs"]
pub mod mutations;
pub mod packed;
pub mod reader_seeds;
pub mod readers;
pub mod rows;
pub mod site;
pub mod soak;
pub mod software_gpu;
pub mod test_session;
pub mod tiny;
pub mod trajectory;
pub mod user_actions;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");
