//! Two thousand steps with memory watched, on the CPU, on the GPU and in a browser: `cargo xtask test soak`.

mod cpu;
mod gpu;
mod web;
