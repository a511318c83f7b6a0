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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The page that tells how all of this is used.
    const PAGE: &str = include_str!("../README.md");
    /// Where what it calls in core is.
    const DEVICE: [&str; 4] = [
        include_str!("../../core/src/device.rs"),
        include_str!("../../core/src/device/launches.rs"),
        include_str!("../../core/src/device/memory.rs"),
        include_str!("../../core/src/device/work.rs"),
    ];

    /// The names behind `before` in the page.
    fn names(before: &str) -> Vec<&str> {
        let behind = PAGE.split(before).skip(1);
        let name = |text: &'static str| {
            let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
            &text[..end.unwrap_or(text.len())]
        };
        behind.map(name).collect()
    }

    #[test]
    fn the_page_about_counters_and_shims_names_what_there_is() {
        let called = names("device::");
        assert!(called.len() > 10, "{called:?}");
        for name in called {
            let is_there = DEVICE.iter().any(|text| text.contains(&format!("pub fn {name}(")));
            assert!(is_there, "device::{name}");
        }
        let Value::Object(fields) = json!(GpuShim::default()) else {
            panic!("fields")
        };
        for name in fields.keys() {
            assert!(PAGE.contains(&format!("`{name}`")), "{name} is not in the page");
            assert!(SCRIPT.contains(name), "{name} is not in the script");
        }
    }

    #[test]
    fn the_script_has_every_fault_and_every_count() {
        let faults = [
            GpuFault::Validation,
            GpuFault::Memory,
            GpuFault::Internal,
            GpuFault::Destroyed,
            GpuFault::Silent,
        ];
        let told: Vec<String> = names("GpuFault::").into_iter().map(str::to_lowercase).collect();
        assert_eq!(told.len(), faults.len());
        for fault in faults {
            let name = format!("{fault:?}").to_lowercase();
            assert!(
                told.contains(&name) && SCRIPT.contains(&format!("{name}: () =>")),
                "{name}"
            );
        }
        let (_, row) = PAGE.split_once("`GpuAnswer` | ").expect("the row of the counts");
        let (row, _) = row.split_once(';').expect("the names end");
        let counts: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        let read: serde_json::Map<String, Value> = counts.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
        serde_json::from_value::<GpuCounts>(Value::Object(read)).expect("all that is read is told of");
        for name in counts {
            assert!(SCRIPT.contains(&format!("{name}: ")), "{name} is not in the script");
        }
    }
}
