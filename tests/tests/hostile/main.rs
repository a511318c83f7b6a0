//! Whole sessions on broken files: a model, an adapter, a checkpoint, a run file or data of which some bytes are wrong is
//! refused in words or read. Nothing panics, hangs, or takes more memory than it is worth. So is each reader alone.
//!
//! A plain run breaks each file a few times; `cargo xtask test hostile` does so some thousand times. Both start from the
//! same seeds, so that what one finds, the other finds again.

mod broken;
mod readers;
mod watched;

#[global_allocator]
static ALLOCATOR: watched::Watched = watched::Watched;
