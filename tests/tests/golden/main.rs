//! The engine against the numbers of the reference stack, from the folder that `LORAKEET_GOLDEN` names.

mod config_json;
mod gguf;
mod losses;
mod metrics;
mod models;
mod optim;
mod qlora;
mod quant;
mod train;
