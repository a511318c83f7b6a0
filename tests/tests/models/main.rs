//! The engine on real models, which `cargo xtask test models` fetches and names in the environment.

mod minilm;
mod smollm2;
mod smollm2_rewritten;
