//! One run as the page sees it: where it stands, its curves, its samples.

use crate::curves::Curves;
pub use lorakeet_core::protocol::RunSample as Sample;
use lorakeet_core::protocol::{RunInfo, RunSummary};

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// Nothing was started.
    #[default]
    Idle,
    /// Asked for; the engine prepares it.
    Starting,
    /// Steps are made.
    Running,
    /// A pause was asked for.
    Pausing,
    /// It holds after this step.
    Paused(usize),
    /// A stop was asked for.
    Stopping,
    /// It is over.
    Done(RunSummary),
    /// It broke off.
    Failed,
}

impl Phase {
    /// Whether the engine is busy with the run.
    pub fn is_under_way(&self) -> bool {
        matches!(
            self,
            Self::Starting | Self::Running | Self::Pausing | Self::Paused(_) | Self::Stopping
        )
    }
    /// Its name for style sheets and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused(_) => "paused",
            Self::Stopping => "stopping",
            Self::Done(_) => "done",
            Self::Failed => "failed",
        }
    }
}

/// A run's numbers and texts; the newest state, drawn once a frame.
#[derive(Debug, Default)]
pub struct Run {
    /// Its numbers.
    pub curves: Curves,
    /// Its texts, oldest first.
    pub samples: Vec<Sample>,
    /// The steps at which it was saved.
    pub saved: Vec<usize>,
    /// What was said when it started.
    pub info: Option<RunInfo>,
}
