//! WebGPU as other machines have it, or lose it: a script in the page's worker (`gpu_shim.js`) that takes features and limits
//! from the adapter, counts launches, submits, maps, bytes and buffers, and makes the device fail when a test asks for it.

use crate::browser::Page;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

const SCRIPT: &str = include_str!("gpu_shim.js");

/// Asks the worker's script, and waits for its answer.
const ASK: &str = "const [fault] = arguments; const channel = new BroadcastChannel('lorakeet-gpu-shim');\
    return new Promise((resolve) => { channel.onmessage = ({ data }) => { channel.close(); resolve(data); };\
    channel.postMessage(fault); });";

/// What the adapter is without.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct GpuShim {
    /// It has no optional feature: no timestamps, no numbers of 16 bits, no subgroups.
    pub hides_features: bool,
    /// Its limits are those that the WebGPU specification gives every adapter.
    pub lowest_limits: bool,
    /// The requests for an adapter that get none, counted from 1 over all workers of the page.
    pub refused: &'static [u32],
    /// The most bytes of buffers that the device gives.
    pub memory_bytes: Option<u64>,
}

/// How the worker's device fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuFault {
    /// A GPUValidationError.
    Validation,
    /// A GPUOutOfMemoryError.
    Memory,
    /// A GPUInternalError.
    Internal,
    /// The device is destroyed.
    Destroyed,
    /// Nothing that is asked of the GPU is ever done.
    Silent,
}

/// What was asked of WebGPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct GpuCounts {
    /// Kernels launched.
    pub launches: u64,
    /// Calls of `submit`.
    pub submits: u64,
    /// Calls of `mapAsync`.
    pub maps: u64,
    /// Compute pipelines made.
    pub pipelines: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Bytes uploaded by `writeBuffer`.
    pub bytes_written: u64,
    /// The most bytes of one call of it.
    pub most_written: u64,
    /// Buffers made.
    pub buffers_created: u64,
    /// Their bytes.
    pub bytes_created: u64,
    /// Buffers destroyed.
    pub buffers_destroyed: u64,
    /// Their bytes.
    pub bytes_destroyed: u64,
    /// The most bytes of buffers that were made and not destroyed, in the time of which these are the counts; of those since the
    /// worker started, what there is now.
    pub most_bytes: u64,
}

/// The script's answer.
#[derive(Debug, Clone, Deserialize)]
pub struct GpuAnswer {
    /// Since the worker started.
    pub counts: GpuCounts,
    /// From each map to the next.
    pub between: Vec<GpuCounts>,
    /// The device's features.
    pub features: Vec<String>,
    /// The device's limits.
    pub limits: BTreeMap<String, u64>,
}

impl GpuAnswer {
    /// The counts of a training step: of those that came three times or more from one map to the next, the ones with the most
    /// launches. Tokens of a sample take fewer.
    pub fn of_a_step(&self) -> Option<GpuCounts> {
        let times = |launches: u64| self.between.iter().filter(|counts| counts.launches == launches).count();
        let steady = self.between.iter().filter(|counts| times(counts.launches) >= 3);
        steady.copied().max_by_key(|counts| counts.launches)
    }
}

impl GpuShim {
    /// What is to run before `engine.js`.
    pub(crate) fn script(self) -> String {
        format!("const SHIM = {};\n{SCRIPT}", json!(self))
    }
}

impl Page {
    /// What was asked of WebGPU so far.
    ///
    /// # Errors
    /// The page was opened without a [`GpuShim`], or the worker does not answer.
    pub async fn gpu(&self) -> Result<GpuAnswer> {
        let answer = self.run(ASK, vec![json!("counts")]).await?;
        serde_json::from_value(answer).context("the script's answer")
    }

    /// Has the worker's device fail.
    ///
    /// # Errors
    /// As of [`Page::gpu`].
    pub async fn break_gpu(&self, fault: GpuFault) -> Result<()> {
        let name = format!("{fault:?}").to_lowercase();
        self.run(ASK, vec![json!(name)]).await.map(drop)
    }
}
