//! The training loop's parts: a model with its files (`loaded`), the learning rate ([`schedule`]), the optimizer
//! ([`optim`]), one step ([`step`]), how fast it goes ([`pace`]), what a run leaves behind ([`checkpoint`]) and who may
//! interrupt it ([`control`]).
//! [`crate::finetune`] puts them together.

pub mod checkpoint;
pub mod control;
pub(crate) mod loaded;
pub mod optim;
pub mod pace;
pub mod schedule;
pub mod step;
