//! The training loop's parts: the learning rate ([`schedule`]), the optimizer ([`optim`]), one step ([`step`]) and what a
//! run leaves behind ([`checkpoint`]). [`crate::finetune`] puts them together.

pub mod checkpoint;
pub mod optim;
pub mod schedule;
pub mod step;
