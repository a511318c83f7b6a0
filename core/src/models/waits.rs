//! Waits for a GPU in the course of what keeps no graph: scores, baselines, prompts. A slow GPU is given about a tenth of a second of
//! work at a time there as in a step ([`crate::device`]), so that frames go on and a stop is heard.
//!
//! Numbers do not depend on it: the same kernels work on the same rows, whether anybody waits in between or not.

use super::graph::TensorGraph;
use super::parts::{Constants, Part, TensorPart};
use super::{Leaves, Model, Pass, read};
use crate::data::Batch;
use crate::device;
use crate::error::Result;
use crate::host::Host;
use crate::ops::first_number;
use burn::tensor::{Device, Tensor};

/// Who waits.
pub(crate) struct Waits {
    host: Host,
    /// What was queued when the last stretch of work was asked for.
    queued: u64,
    /// When the last wait was over.
    since_ms: Option<f64>,
}

impl Waits {
    pub(crate) fn new(host: &Host) -> Self {
        Self {
            host: *host,
            queued: device::queued(),
            since_ms: None,
        }
    }

    /// A stretch of work was asked for, of which `newest` is a number: waits for it, and gives others a turn, where as much again
    /// would be too much for `device`.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn after(&mut self, device: &Device, newest: impl FnOnce() -> Option<Tensor<1>>) -> Result<()> {
        if !device::is_gpu(device) {
            return Ok(());
        }
        let queued = device::queued();
        let last = queued.saturating_sub(std::mem::replace(&mut self.queued, queued));
        if !device::is_due(queued, last) {
            return Ok(());
        }
        let Some(newest) = newest() else { return Ok(()) };
        read(newest).await?;
        let now_ms = (self.host.now_ms)();
        // Before the first wait nobody knows when what was queued began.
        if let Some(since_ms) = self.since_ms {
            device::note_time(queued, now_ms - since_ms);
        }
        self.queued = 0;
        (self.host.yield_now)().await;
        self.since_ms = Some((self.host.now_ms)());
        Ok(())
    }
}

impl Model {
    /// Computes what comes before the head, layer by layer, and gives leaves with which the same pass over `batch` has the head
    /// alone left. Nothing is computed ahead where nobody would wait: on a CPU, and of models that are one piece.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn through_layers(
        &self,
        leaves: &Leaves,
        batch: &Batch,
        use_adapter: bool,
        waits: &mut Waits,
    ) -> Result<Leaves> {
        let cuts = self.body.cuts();
        if cuts == 0 || !device::is_gpu(&self.device) {
            return Ok(leaves.clone());
        }
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        let constants = Constants::default();
        let run = |part: &TensorPart| {
            let g = TensorGraph::of_part(&pass, &self.device, part, &constants);
            self.body.hidden(&g, batch)
        };
        let (mut x, mut shared) = (None, Vec::new());
        for number in 0..cuts {
            let part = Part::new(number, x.take(), std::mem::take(&mut shared));
            drop(run(&part));
            (x, shared) = part.take_outputs();
            if let Some(rows) = &x {
                waits.after(&self.device, || Some(first_number(rows))).await?;
            }
        }
        let hidden = run(&Part::new(cuts, x, shared));
        waits.after(&self.device, || Some(first_number(&hidden))).await?;
        Ok(leaves.behind(hidden))
    }
}
