//! The training loop's parts: the learning rate ([`schedule`]), the optimizer ([`optim`]), one step ([`step`]), how fast it
//! goes ([`pace`]), what a run leaves behind ([`checkpoint`]) and who may interrupt it ([`control`]).
//! [`crate::finetune`] puts them together.

pub mod checkpoint;
pub mod control;
pub mod optim;
pub mod pace;
pub mod schedule;
pub mod step;
