//! Before the first step: the kernels of the steps to come are compiled, so that none of them waits for one.
//!
//! A step is rehearsed ([`rehearse_step`]) on a micro-batch of each shape that the run has: it computes nothing, and takes the
//! memory of a step. So the result is the same as without, and a slow GPU has no step more to take.

use super::Trainer;
use crate::data::Batch;
use crate::device::{self, Pass};
use crate::error::{Kind, Result};
use crate::host::Emit;
use crate::models::read;
use crate::ops::Rehearsal;
use crate::protocol::Stage;
use crate::train::step::rehearse_step;
use crate::train::turn::Turn;
use burn::tensor::Tensor;

/// Micro-batches whose shapes are looked at, the next ones of the run, and the shapes that are rehearsed, at most. What others
/// need is compiled when they come, and told of then.
const LOOKED_AT: usize = 256;
const MOST_SHAPES: usize = 16;
/// Kernels that are compiled between two answers of the GPU: a stop, a pause and requests are heard after each.
const AT_A_TIME: usize = 4;

impl Trainer<'_> {
    /// On a GPU, has the kernels compiled that the steps launch; on a CPU there are none.
    ///
    /// # Errors
    /// The device failed; labels that do not fit the model's head.
    pub(crate) async fn rehearse(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let device = self.model.model.device().clone();
        let is_over = self.is_finished() || emit.control.is_stopped();
        if !device::is_gpu(&device) || !device::compiles_ahead() || is_over {
            return Ok(());
        }
        match self.try_rehearse(emit).await {
            // The step over those rows is the one to say so, and to take fewer at a time.
            Err(error) if error.kind == Kind::OutOfMemory => {
                device::recover(&device);
                Ok(())
            }
            outcome => outcome,
        }
    }

    async fn try_rehearse(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let device = self.model.model.device().clone();
        // What was compiled until here was waited for.
        self.compiling.all_ready();
        let settings = self.settings(self.progress.step + 1);
        // Gradients of a second micro-batch are added to those of the first.
        let times = self.config.gradient_accumulation_steps.min(2);
        let mut rehearsal = Rehearsal::default();
        let mut is_stopped = false;
        for batch in self.shapes() {
            let batches = vec![batch; times];
            let mut turn = Turn::of_rehearsal(emit, self.progress.step, &mut self.compiling, &mut rehearsal);
            let goes_on = rehearse_step(
                &mut self.model.model,
                &mut self.optimizer,
                &self.spec.objective,
                &batches,
                settings,
                &mut turn,
            )
            .await?;
            is_stopped = !goes_on || emit.control.is_stopped();
            if is_stopped {
                break;
            }
        }
        // Memory that was refused is known before a step, or the end of the run, computes in it.
        device::trim(&device);
        read(Tensor::zeros([1], &device)).await?;
        let total = rehearsal.left();
        while !is_stopped && rehearsal.left() > 0 {
            emit.progress(Stage::Compile, (total - rehearsal.left()) as u64, total as u64);
            rehearsal.compile(AT_A_TIME);
            read(Tensor::zeros([1], &device)).await?;
            is_stopped = self.poll_control(emit).await?;
        }
        if total > 0 && rehearsal.left() == 0 {
            emit.progress(Stage::Compile, total as u64, total as u64);
        }
        self.compiling.all_ready();
        Ok(())
    }

    /// A micro-batch of each shape, in the order in which the run meets them.
    fn shapes(&self) -> Vec<Batch> {
        let (rows, batches) = (
            self.config.per_device_train_batch_size,
            self.config.gradient_accumulation_steps,
        );
        let mut cursor = self.cursor;
        let mut order = self.order_of(cursor.epoch);
        let (mut passes, mut shapes): (Vec<Pass>, Vec<Batch>) = (Vec::new(), Vec::new());
        let mut looked_at = 0;
        for _ in self.progress.step..self.plan.max_steps {
            let epoch = cursor.epoch;
            let step = cursor.take_step(&order, rows, batches);
            if cursor.epoch != epoch {
                order = self.order_of(cursor.epoch);
            }
            for batch in self.batches(&step) {
                let pass = Pass::over(&batch, true);
                looked_at += 1;
                if !passes.contains(&pass) {
                    passes.push(pass);
                    shapes.push(batch);
                }
                if looked_at == LOOKED_AT || shapes.len() == MOST_SHAPES {
                    return shapes;
                }
            }
        }
        shapes
    }
}
