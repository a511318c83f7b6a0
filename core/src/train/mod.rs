//! The training loop (`run`) and its parts: a model with its files (`loaded`), what it is to do (`assignment`), on which rows
//! (`rows`), what its outputs mean (`answers`), what a step makes small ([`objective`]), the learning rate ([`schedule`]), the
//! optimizer ([`optim`]), one step ([`step`]), how fast it goes ([`pace`]), the score (`evaluation`, `written`), what can be
//! had without training (`untuned`), what the run comes to (`report`), what it leaves behind ([`checkpoint`]), by what it is
//! known again ([`fingerprint`]) and who may interrupt it ([`control`]). [`crate::finetune`] puts them together.

pub(crate) mod answers;
pub(crate) mod assignment;
pub mod checkpoint;
pub(crate) mod evaluation;
pub mod fingerprint;
pub(crate) mod loaded;
pub mod objective;
pub mod optim;
pub(crate) mod outlook;
pub(crate) mod own_head;
pub mod pace;
pub(crate) mod report;
pub(crate) mod retrieval;
pub(crate) mod rows;
pub(crate) mod run;
pub mod schedule;
pub mod step;
pub(crate) mod typed;
pub(crate) mod untuned;
pub(crate) mod written;
