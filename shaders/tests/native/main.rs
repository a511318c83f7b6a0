//! Kernels against their twins and their gradients.

mod cases;
mod gpu;
mod gradients;
mod texts;
