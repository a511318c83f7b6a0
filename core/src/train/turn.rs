//! Between the layers of a step: a turn for others, a wait where the GPU has enough to do, a hold while the run is paused, and a
//! word on kernels that are compiled. A step that is rehearsed has turns, too.

use super::compiling::Compiling;
use crate::device;
use crate::error::Result;
use crate::host::{Emit, Host};
use crate::models::{parts::PassInParts, read};
use crate::ops::Rehearsal;
use crate::protocol::Event;
use burn::tensor::{Device, Tensor};

/// Answers that are waited for to know how long one takes; the shortest counts.
const READS: usize = 2;

/// Who has a turn in the course of a step.
pub(crate) struct Turn<'t, 'e> {
    host: Host,
    /// The run; none where a step is taken alone.
    run: Option<OfRun<'t, 'e>>,
    /// What kernels are noted in, where the step is not taken but rehearsed.
    rehearsal: Option<&'t mut Rehearsal>,
    /// How long the step was held.
    pub(crate) held_ms: f64,
    /// Whether it waited for kernels that were compiled.
    pub(crate) compiles: bool,
    /// When the last wait was over, or the step began, and what was queued at the last turn.
    waited_ms: Option<f64>,
    queued: u64,
    /// What was queued when the last wait was over, or the step began, and when its numbers were asked for.
    carried: u64,
    asked: u64,
}

/// Who can pause and stop a step.
struct OfRun<'t, 'e> {
    emit: &'t mut Emit<'e>,
    /// Steps that are done.
    step: usize,
    compiling: &'t mut Compiling,
}

impl<'t, 'e> Turn<'t, 'e> {
    /// Of a step that nobody interrupts.
    pub(crate) fn alone(host: &Host) -> Self {
        Self {
            host: *host,
            run: None,
            rehearsal: None,
            held_ms: 0.0,
            compiles: false,
            waited_ms: Some((host.now_ms)()),
            queued: 0,
            carried: device::queued(),
            asked: 0,
        }
    }

    /// Of the step after `step` of a run.
    pub(crate) fn of_run(emit: &'t mut Emit<'e>, step: usize, compiling: &'t mut Compiling) -> Self {
        let alone = Self::alone(&emit.host);
        Self {
            run: Some(OfRun { emit, step, compiling }),
            ..alone
        }
    }

    /// Of a rehearsal after `step` of a run.
    pub(crate) fn of_rehearsal(
        emit: &'t mut Emit<'e>,
        step: usize,
        compiling: &'t mut Compiling,
        rehearsal: &'t mut Rehearsal,
    ) -> Self {
        Self {
            rehearsal: Some(rehearsal),
            ..Self::of_run(emit, step, compiling)
        }
    }

    /// Runs a pass of the step; what a rehearsed one gives is arbitrary.
    pub(crate) fn pass<T>(&mut self, pass: impl FnOnce() -> T) -> T {
        match &mut self.rehearsal {
            Some(rehearsal) => rehearsal.within(pass),
            None => pass(),
        }
    }

    /// A micro-batch ends: others have a turn.
    pub(crate) async fn give(&mut self) {
        self.look_at_compiling();
        (self.host.yield_now)().await;
    }

    /// The step's numbers are read next.
    pub(crate) fn before_read(&mut self) {
        self.asked = device::queued();
        if let Some(run) = &mut self.run {
            run.compiling.tell(run.emit);
        }
    }

    /// They are there.
    pub(crate) fn after_read(&mut self) {
        if let Some(since_ms) = self.waited_ms {
            let done = self.asked.saturating_sub(self.carried);
            device::note_at_least(done, (self.host.now_ms)() - since_ms);
        }
        if let Some(run) = &mut self.run {
            self.compiles = run.compiling.step_is_read(run.emit);
        }
    }

    fn look_at_compiling(&mut self) {
        if let Some(run) = &mut self.run {
            run.compiling.look(run.emit);
        }
    }

    /// A layer of `parts` is asked for: waits if the GPU has enough to do, gives others a turn, holds while the run is paused.
    /// Whether to go on.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn after_part(&mut self, parts: &PassInParts<'_>) -> Result<bool> {
        self.after(parts.device(), || parts.fence()).await
    }

    /// The same after any stretch of work, of which `fence` gives a number.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn after(&mut self, device: &Device, fence: impl FnOnce() -> Option<Tensor<1>>) -> Result<bool> {
        self.look_at_compiling();
        if device::is_gpu(device) {
            self.wait_where_due(device, fence).await?;
        }
        (self.host.yield_now)().await;
        let Some(OfRun { emit, step, .. }) = &mut self.run else {
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

    async fn wait_where_due(&mut self, device: &Device, fence: impl FnOnce() -> Option<Tensor<1>>) -> Result<()> {
        let queued = device::queued();
        let last = queued.saturating_sub(std::mem::replace(&mut self.queued, queued));
        if !device::is_due(queued, last) {
            return Ok(());
        }
        let Some(fence) = fence() else { return Ok(()) };
        read(fence).await?;
        let now_ms = (self.host.now_ms)();
        // After a pause nobody knows when what was queued began.
        if let Some(since_ms) = self.waited_ms.replace(now_ms) {
            device::note_time(queued, now_ms - since_ms);
        }
        (self.queued, self.carried) = (0, 0);
        if device::latency_ms().is_none() {
            measure_latency(device, &self.host).await?;
            self.waited_ms = Some((self.host.now_ms)());
        }
        Ok(())
    }
}

/// Measures how long an answer takes for which nothing has to be computed, in milliseconds.
///
/// # Errors
/// The device failed.
pub(crate) async fn measure_latency(device: &Device, host: &Host) -> Result<f64> {
    // Of a number that lies ready.
    let ready = Tensor::<1>::zeros([1], device);
    read(ready.clone()).await?;
    let mut latency_ms = f64::INFINITY;
    for _ in 0..READS {
        let start_ms = (host.now_ms)();
        read(ready.clone()).await?;
        latency_ms = latency_ms.min((host.now_ms)() - start_ms);
    }
    device::expect_latency(latency_ms);
    Ok(latency_ms)
}
