//! The lab's program: nothing happens until `public/lab_page.js` asks it to show one (`lorakeet_lab::mount_lab`).

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

pub use lorakeet_lab::{LabHandle, mount_lab};

fn main() {}
