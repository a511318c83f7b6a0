//! Sweeps that outlive the program: what is written down of each, and how a front end asks for them. `lorakeet_core::sweep` decides
//! what is trained next.

use super::judgement::Interval;
use super::kept_run::{RunInput, RunState};
use super::number;
use crate::error::Error;
use crate::task::Task;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A request that concerns the sweeps in the session's store; each is answered by [`super::Event::Sweeps`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum SweepCommand {
    /// Tell which there are.
    List,
    /// Write down a sweep as it is now. As long as it is open, it is this session's and no other one's.
    Keep {
        /// The sweep.
        sweep: Box<Sweep>,
    },
    /// Remove what is written down of a sweep; its runs stay.
    Forget {
        /// Its id.
        id: String,
    },
}

/// A sweep: what it tries, and how far it has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Names it in its store: letters, digits and hyphens.
    pub id: String,
    /// When it was started: milliseconds since 1970 in UTC.
    #[serde(with = "number")]
    pub started_ms: f64,
    /// The swept knobs.
    pub knobs: Vec<String>,
    /// Every knob of the run whose variants it tries.
    pub settings: Map<String, Value>,
    /// Whether the worse half of its runs is left behind twice on the way.
    pub halves: bool,
    /// Milliseconds of training after which it ends; none where it may take as long as it takes.
    #[serde(with = "number::optional", default)]
    pub budget_ms: Option<f64>,
    /// Milliseconds that it has trained so far.
    #[serde(with = "number")]
    pub spent_ms: f64,
    /// Where it stands: open while it is under way or was interrupted.
    #[serde(default)]
    pub state: RunState,
    /// What its runs learn.
    pub task: Task,
    /// Their model.
    pub model: RunInput,
    /// Their training data.
    pub data: RunInput,
    /// Their validation data, where it is in files of its own.
    pub validation: Option<RunInput>,
    /// The adapter that they start from, where they start from one.
    #[serde(default)]
    pub adapter: Option<RunInput>,
    /// The runs, in the order in which they are trained.
    pub runs: Vec<SweptRun>,
}

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweptRun {
    /// The values of the swept knobs, in their order.
    pub values: Vec<Value>,
    /// Every knob that is not as in [`Sweep::settings`].
    pub settings: BTreeMap<String, Value>,
    /// The id of its record in the store; none before it has begun.
    #[serde(default)]
    pub run: Option<String>,
    /// The optimizer steps that it is to have; not known before it has begun.
    #[serde(default)]
    pub max_steps: Option<usize>,
    /// Those after which it was scored last.
    #[serde(default)]
    pub step: usize,
    /// Rows held out.
    #[serde(default)]
    pub held_out: usize,
    /// The held-out losses by which it was compared on the way and at its end.
    #[serde(default)]
    pub rungs: Vec<SweptRung>,
    /// Its newest held-out loss.
    #[serde(with = "number::optional", default)]
    pub loss: Option<f64>,
    /// What its report says of it, once it was written.
    #[serde(default)]
    pub score: Option<SweptScore>,
    /// Whether it has come to its end.
    #[serde(default)]
    pub is_finished: bool,
    /// Why it is out, where it is: it diverged, does not fit or was refused.
    #[serde(default)]
    pub failure: Option<Error>,
}

/// The loss of a run where it is compared with the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SweptRung {
    /// After so many of the parts of the run.
    pub parts: usize,
    /// The held-out loss.
    #[serde(with = "number")]
    pub loss: f64,
}

/// How good a run of a sweep became by the metric that judges it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweptScore {
    /// The metric.
    pub metric: String,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
    /// Where it may lie by chance, where that was told.
    #[serde(default)]
    pub interval: Option<Interval>,
}

/// A sweep in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredSweep {
    /// What it is.
    pub sweep: Sweep,
    /// Whether it is under way in another tab or window.
    pub is_under_way: bool,
}
