//! Between the layers of a step: a turn for others, a wait where the GPU has enough to do, a hold while the run is paused.

use crate::device;
use crate::error::Result;
use crate::host::{Emit, Host};
use crate::models::{parts::PassInParts, read};
use crate::protocol::Event;
use burn::tensor::Tensor;

/// Who has a turn in the course of a step.
pub(crate) struct Turn<'t, 'e> {
    host: Host,
    /// Who can pause and stop it, and the steps that are done; nobody where a step is taken alone.
    run: Option<(&'t mut Emit<'e>, usize)>,
    /// How long the step was held.
    pub(crate) held_ms: f64,
    /// When the last wait was over, or the step began, and what was queued at the last turn.
    waited_ms: Option<f64>,
    queued: u64,
}

impl<'t, 'e> Turn<'t, 'e> {
    /// Of a step that nobody interrupts.
    pub(crate) fn alone(host: &Host) -> Self {
        Self {
            host: *host,
            run: None,
            held_ms: 0.0,
            waited_ms: Some((host.now_ms)()),
            queued: 0,
        }
    }

    /// Of the step after `step` of a run.
    pub(crate) fn of_run(emit: &'t mut Emit<'e>, step: usize) -> Self {
        let alone = Self::alone(&emit.host);
        Self {
            run: Some((emit, step)),
            ..alone
        }
    }

    /// A micro-batch ends: others have a turn.
    pub(crate) async fn give(&self) {
        (self.host.yield_now)().await;
    }

    /// A layer of `parts` is asked for: waits if the GPU has enough to do, gives others a turn, holds while the run is paused.
    /// Whether to go on.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn after_part(&mut self, parts: &PassInParts<'_>) -> Result<bool> {
        if device::is_gpu(parts.device()) {
            self.wait_where_due(parts).await?;
        }
        (self.host.yield_now)().await;
        let Some((emit, step)) = &mut self.run else {
            return Ok(true);
        };
        // Requests are served between steps.
        if emit.control.is_paused() && !emit.control.is_stopped() && !emit.control.is_asked() {
            let start_ms = (self.host.now_ms)();
            emit.event(Event::Paused { step: *step });
            emit.control.wait().await;
            if !emit.control.is_paused() {
                emit.event(Event::Resumed);
            }
            self.held_ms += (self.host.now_ms)() - start_ms;
            self.waited_ms = None;
        }
        Ok(!emit.control.is_stopped())
    }

    async fn wait_where_due(&mut self, parts: &PassInParts<'_>) -> Result<()> {
        let queued = device::queued();
        let last = queued.saturating_sub(std::mem::replace(&mut self.queued, queued));
        if !device::is_due(queued, last) {
            return Ok(());
        }
        let Some(fence) = parts.fence() else { return Ok(()) };
        read(fence).await?;
        let now_ms = (self.host.now_ms)();
        // After a pause nobody knows when what was queued began.
        if let Some(since_ms) = self.waited_ms.replace(now_ms) {
            device::note_time(queued, now_ms - since_ms);
        }
        self.queued = 0;
        if device::latency_ms().is_none() {
            // Of a number that lies ready.
            let ready = Tensor::<1>::zeros([1], parts.device());
            read(ready.clone()).await?;
            let start_ms = (self.host.now_ms)();
            read(ready).await?;
            let end_ms = (self.host.now_ms)();
            device::expect_latency(end_ms - start_ms);
            self.waited_ms = Some(end_ms);
        }
        Ok(())
    }
}
