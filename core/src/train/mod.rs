//! What a run is made of beside its task: the learning rate ([`schedule`]), the optimizer ([`optim`]), one step ([`step`]) and who
//! has a turn in it (`turn`), the score (`evaluation`), how fast it goes ([`throughput`]), what a GPU compiles for it (`compiling`), whether it goes wrong ([`watchdog`]), the
//! run under way (`trainer`), the search for its rate (`finder`), what it comes to (`report`) and what that is like row by row
//! (`judgement`), what it leaves behind ([`checkpoint`]), by what it is known again
//! ([`fingerprint`]), what it may change when it goes on ([`resume`]) and what is written down of it ([`record`]). `finetune.rs`
//! puts them together.

pub mod checkpoint;
pub(crate) mod compiling;
pub(crate) mod evaluation;
pub mod finder;
pub mod fingerprint;
pub(crate) mod judgement;
pub mod optim;
pub mod record;
pub(crate) mod report;
pub mod resume;
pub mod schedule;
pub mod step;
pub mod throughput;
pub(crate) mod trainer;
pub(crate) mod turn;
pub mod watchdog;
