//! One optimizer step: micro-batches forward and backward, clip, one read, update.
//!
//! With `gradient_checkpointing` a micro-batch goes through the model layer by layer (`models/parts.rs`), and others have
//! a turn after each.
//!
//! The loss of a step is the mean over *all* target tokens of its micro-batches, so that splitting a batch changes nothing:
//! each micro-batch's sum of losses is scaled by 1 / (targets of them all). The norm and the factor that clips are found on the
//! device, which updates nothing from the first step on whose loss or norm is no finite number: what a diverged step leaves behind
//! is the last good state. Losses and squared norms are read back together, once a step, before the update; where an answer takes
//! long, those of several steps at once (`Unread`).
//!
//! A step can be rehearsed (`rehearse_step`): it goes the same way, and computes and changes nothing.

use super::optim::{AdamW, GradientSum};
use super::turn::Turn;
use crate::data::Batch;
use crate::device::{Pass, make_room, make_room_for, reserved_of_gpu};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::models::{Leaves, Model, parts::PassInParts, read};
use crate::ops;
use crate::random::Generator;
use crate::tasks::Objective;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use lorakeet_shaders::VERDICT;

/// What a step is done with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSettings {
    /// The step's number, from 1, for messages.
    pub step: usize,
    /// The rate.
    pub learning_rate: f64,
    /// Global norm to clip at; 0 does not clip.
    pub max_grad_norm: f64,
    /// The run's seed, from which each micro-batch's dropout mask follows; `None` drops nothing.
    pub dropout_seed: Option<u64>,
    /// Whether only the inputs of layers are kept for the backward pass.
    pub gradient_checkpointing: bool,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepResult {
    /// Mean loss a target token, before the update.
    pub loss: f64,
    /// Global norm before clipping.
    pub grad_norm: f64,
}

/// Takes one optimizer step towards `objective` on `batches`, its micro-batches.
///
/// # Errors
/// [`Kind::Diverged`] where the loss or the norm is not a finite number (nothing was updated then); a lost device; labels that
/// do not fit the model's head.
pub async fn train_step(
    model: &mut Model,
    optimizer: &mut AdamW,
    objective: &Objective,
    batches: &[Batch],
    settings: StepSettings,
    host: &Host,
) -> Result<StepResult> {
    let (unread, turn) = (&mut Unread::default(), &mut Turn::alone(host));
    let found = step_in_turns(model, optimizer, objective, batches, settings, unread, turn).await?;
    let Some(Found { taken, error }) = found else {
        return Err(Error::stopped(msg::StoppedStep));
    };
    match (error, taken.first()) {
        (Some(error), _) => Err(error),
        (None, Some(result)) => Ok(*result),
        (None, None) => Err(Error::stopped(msg::StoppedStep)),
    }
}

/// Steps whose numbers are still on the device.
#[derive(Default)]
pub(crate) struct Unread {
    /// Whether those of the next step are left there, too.
    pub(crate) defers: bool,
    /// Whether the norms of the next step's gradients are read, of each tensor: a picture of them is due. Not of a step that defers.
    pub(crate) wants_norms: bool,
    /// The last norms that were read: before clipping, by the tensors' numbers, with the step.
    pub(crate) norms: Option<(usize, Vec<f64>)>,
    steps: Vec<Asked>,
    /// The numbers of the step before them.
    last: Option<Tensor<1>>,
}

/// A step that was asked for.
struct Asked {
    /// What [`ops::clip_factor`] gives.
    numbers: Tensor<1>,
    micro_batches: usize,
    settings: StepSettings,
}

/// What was read of steps.
#[derive(Default)]
pub(crate) struct Found {
    /// Of those that were taken, in their order.
    pub(crate) taken: Vec<StepResult>,
    /// Why the one after them was none; from it on nothing was updated.
    pub(crate) error: Option<Error>,
}

impl Unread {
    /// The numbers of the newest step.
    fn newest(&self, device: &Device) -> Tensor<1> {
        let newest = self.steps.last().map(|step| &step.numbers).or(self.last.as_ref());
        newest.cloned().unwrap_or_else(|| {
            // A factor, and that the steps have not come to an end.
            Tensor::from_data(TensorData::new(vec![1f32, 0.0], [VERDICT]), device)
        })
    }

    /// Reads all of them at once.
    ///
    /// # Errors
    /// The device failed: then nothing is known of any of them.
    pub(crate) async fn read(&mut self) -> Result<Found> {
        let steps = std::mem::take(&mut self.steps);
        let Some(newest) = steps.last().map(|step| step.numbers.clone()) else {
            return Ok(Found::default());
        };
        let all = steps.iter().map(|step| step.numbers.clone()).collect();
        let numbers = read(joined(all).unwrap_or_else(|| newest.clone())).await?;
        self.last = Some(newest);
        let mut found = Found::default();
        let mut rest = numbers.as_slice();
        for step in &steps {
            let (numbers, others) = rest.split_at(step.numbers.dims()[0]);
            rest = others;
            match step.result(numbers) {
                Ok(result) => found.taken.push(result),
                Err(error) => {
                    found.error = Some(error);
                    break;
                }
            }
        }
        Ok(found)
    }
}

impl Asked {
    /// What it did by its numbers.
    fn result(&self, numbers: &[f32]) -> Result<StepResult> {
        let has_ended = numbers.last().is_some_and(|&ended| ended != 0.0);
        let (numbers, _) = numbers.split_at(numbers.len() - VERDICT);
        let (losses, squares) = numbers.split_at(self.micro_batches);
        let sum = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x)).sum::<f64>();
        let (loss, grad_norm) = (sum(losses), sum(squares).sqrt());
        // A sum that is too large for the device's 32 bits.
        let is_too_large = has_ended && loss.is_finite() && grad_norm.is_finite();
        let grad_norm = if is_too_large { f64::INFINITY } else { grad_norm };
        let result = StepResult { loss, grad_norm };
        check(result, self.settings)?;
        Ok(result)
    }
}

/// Tensors one after the other; `None` where there are none.
fn joined(mut tensors: Vec<Tensor<1>>) -> Option<Tensor<1>> {
    match tensors.len() {
        0 | 1 => tensors.pop(),
        _ => Some(Tensor::cat(tensors, 0)),
    }
}

/// [`train_step`] in the course of a run; `None` where a stop ended it before it changed anything. What is given is what was read:
/// nothing where `unread` defers it, else of all steps whose numbers were not read before, this one the last.
///
/// # Errors
/// The device failed; labels that do not fit the model's head.
pub(crate) async fn step_in_turns(
    model: &mut Model,
    optimizer: &mut AdamW,
    objective: &Objective,
    batches: &[Batch],
    settings: StepSettings,
    unread: &mut Unread,
    turn: &mut Turn<'_, '_>,
) -> Result<Option<Found>> {
    let Some(passed) = passes(model, optimizer, objective, batches, settings, turn).await? else {
        return Ok(None);
    };
    let Passed {
        leaves,
        gradients,
        losses,
        squares,
    } = passed;
    let last = unread.newest(model.device());
    let numbers = ops::clip_factor(losses, squares, last, settings.max_grad_norm);
    unread.steps.push(Asked {
        numbers: numbers.clone(),
        micro_batches: batches.len(),
        settings,
    });
    let mut found = Found::default();
    if !unread.defers {
        turn.before_read();
        found = unread.read().await?;
        turn.after_read();
        if found.error.is_some() {
            return Ok(Some(found));
        }
        if unread.wants_norms {
            unread.norms = Some((settings.step, gradients.norms().await?));
        }
    }
    // They hold the old weights, which go one by one as the new ones come.
    drop(leaves);
    // A tensor or a group of them and its moments are there twice while it is updated.
    make_room_for(
        model.device(),
        3 * 4 * optimizer.largest_update(&model.parameters) as u64,
    );
    let reserved = reserved_of_gpu(model.device());
    optimizer.step_clipped(&mut model.parameters, gradients, settings.learning_rate, numbers);
    settle(model.device(), reserved).await?;
    // What was made once, it leaves.
    make_room_for(model.device(), 0);
    Ok(Some(found))
}

/// Has the kernels noted that a step on `batches` launches, its update included; `turn` is of a rehearsal. Nothing is computed of
/// model and optimizer; parameters become slices of their groups, as at the beginning of the first step. `false` where a stop
/// ended it.
///
/// # Errors
/// The device failed; labels that do not fit the model's head.
pub(crate) async fn rehearse_step(
    model: &mut Model,
    optimizer: &mut AdamW,
    objective: &Objective,
    batches: &[Batch],
    settings: StepSettings,
    turn: &mut Turn<'_, '_>,
) -> Result<bool> {
    let Some(passed) = passes(model, optimizer, objective, batches, settings, turn).await? else {
        return Ok(false);
    };
    let Passed { losses, squares, .. } = passed;
    let last = Unread::default().newest(model.device());
    turn.pass(|| optimizer.rehearse(ops::clip_factor(losses, squares, last, settings.max_grad_norm)));
    Ok(true)
}

/// What the passes over a step's micro-batches leave.
struct Passed {
    leaves: Leaves,
    gradients: GradientSum,
    /// A number of each micro-batch.
    losses: Tensor<1>,
    /// Numbers that add up to Σ g².
    squares: Tensor<1>,
}

/// Goes through the micro-batches, forward and backward; `None` where a stop ended it.
async fn passes(
    model: &mut Model,
    optimizer: &mut AdamW,
    objective: &Objective,
    batches: &[Batch],
    settings: StepSettings,
    turn: &mut Turn<'_, '_>,
) -> Result<Option<Passed>> {
    let counts = objective.total(model, batches)?;
    let reserved = reserved_of_gpu(model.device());
    let gathered = optimizer.gather(&model.parameters);
    settle(model.device(), reserved).await?;
    let gathers = !gathered.is_empty();
    let mut gradients = optimizer.begin(gathered, &mut model.parameters);
    if gathers {
        // What the first step gathers, it leaves.
        make_room_for(model.device(), 0);
    }
    let leaves = model.parameters.tracked();
    let mut losses = Vec::with_capacity(batches.len());
    for (i, batch) in batches.iter().enumerate() {
        make_room(model.device(), Pass::over(batch, true));
        let seed = settings.dropout_seed.map(|seed| dropout_seed(seed, settings.step, i));
        let parts = match settings.gradient_checkpointing {
            true => model.in_parts(batch, seed),
            false => None,
        };
        match parts {
            None => {
                let loss = turn.pass(|| objective.loss(model, &leaves, batch, &counts, seed))?;
                losses.push(loss.clone().inner());
                turn.pass(|| gradients.add(&leaves, loss));
            }
            Some(parts) => {
                let learnt = Learnt {
                    model,
                    objective,
                    batch,
                    counts: &counts,
                    seed,
                };
                let Some(loss) = layer_by_layer(parts, (&leaves, &mut gradients), learnt, turn).await? else {
                    return Ok(None);
                };
                losses.push(loss);
            }
        }
        turn.give().await;
    }
    let zero = || Tensor::zeros([1], model.device());
    let losses = joined(losses).unwrap_or_else(zero);
    let squares = turn.pass(|| joined(gradients.sums_of_squares()));
    let squares = squares.unwrap_or_else(zero);
    Ok(Some(Passed {
        leaves,
        gradients,
        losses,
        squares,
    }))
}

/// Waits for `device` where it reserved more than `reserved`: buffers that were made since may have been refused, which has to be
/// known before anything is computed with what is in them.
async fn settle(device: &Device, reserved: Option<u64>) -> Result<()> {
    if reserved_of_gpu(device) > reserved {
        read(Tensor::zeros([1], device)).await?;
    }
    Ok(())
}

/// A micro-batch and what its loss is made of.
#[derive(Clone, Copy)]
struct Learnt<'a> {
    model: &'a Model,
    objective: &'a Objective,
    batch: &'a Batch,
    counts: &'a [f64],
    seed: Option<u64>,
}

impl Learnt<'_> {
    /// The loss on hidden states that are there; that of a frozen vocabulary chunk by chunk, with turns in between. `None` where a
    /// stop ended it.
    async fn loss(&self, leaves: &Leaves, hidden: Tensor<2>, turn: &mut Turn<'_, '_>) -> Result<Option<Tensor<1>>> {
        let rows = (hidden.clone(), self.batch);
        let begun = turn.pass(|| self.objective.loss_in_chunks(self.model, leaves, rows, self.counts));
        let Some((mut chunks, scale)) = begun else {
            let behind = leaves.behind(hidden);
            let loss = || {
                self.objective
                    .loss(self.model, &behind, self.batch, self.counts, self.seed)
            };
            return turn.pass(loss).map(Some);
        };
        while let Some(newest) = turn.pass(|| chunks.learn_next(scale)) {
            if !turn.after(self.model.device(), || Some(newest)).await? {
                return Ok(None);
            }
        }
        Ok(Some(turn.pass(|| chunks.loss(scale))))
    }
}

/// The loss of one micro-batch, whose backward pass makes each layer's activations anew and adds the gradients of `leaves` to those
/// of the step. `None` where a stop ended it, and nothing was added.
async fn layer_by_layer(
    mut parts: PassInParts<'_>,
    (leaves, gradients): (&Leaves, &mut GradientSum),
    learnt: Learnt<'_>,
    turn: &mut Turn<'_, '_>,
) -> Result<Option<Tensor<1>>> {
    let plain = leaves.without_gradients();
    while turn.pass(|| parts.forward(&plain)) {
        if !turn.after_part(&parts).await? {
            return Ok(None);
        }
    }
    let hidden = turn.pass(|| parts.hidden(leaves));
    let Some(loss) = learnt.loss(leaves, hidden, turn).await? else {
        return Ok(None);
    };
    let mut places = gradients.places();
    let mut of_head = turn.pass(|| places.within(|| loss.backward()));
    parts.begin_backward(&mut of_head);
    if !turn.after_part(&parts).await? {
        return Ok(None);
    }
    let mut of_parts: Vec<Gradients> = Vec::new();
    while let Some(of_part) = turn.pass(|| places.within(|| parts.backward(leaves))) {
        of_parts.push(of_part);
        if !turn.after_part(&parts).await? {
            return Ok(None);
        }
    }
    // A table that several parts use: the terms of its gradient are added up as in the graph of the whole, where the head's comes
    // first and the others follow from the first part on.
    let passes = std::iter::once(of_head).chain(of_parts.into_iter().rev());
    turn.pass(|| gradients.add_passes(leaves, places, passes));
    Ok(Some(loss.inner()))
}

/// Refuses to go on from numbers that are none.
fn check(result: StepResult, settings: StepSettings) -> Result<()> {
    let (name, value): (Message, f64) = match (result.loss.is_finite(), result.grad_norm.is_finite()) {
        (true, true) => return Ok(()),
        (false, _) => (msg::Loss.into(), result.loss),
        (true, false) => (msg::GradientNorm.into(), result.grad_norm),
    };
    let StepSettings {
        step, learning_rate, ..
    } = settings;
    let what = msg::Diverged {
        name,
        value,
        step,
        learning_rate: format!("{learning_rate:e}"),
    };
    Err(Error::new(Kind::Diverged, what).remedy(msg::LowerLearningRate))
}

/// The seed of one micro-batch's dropout masks, so that a resumed run draws the masks of one that never stopped.
fn dropout_seed(seed: u64, step: usize, micro_batch: usize) -> u64 {
    Generator::new(seed, &format!("dropout/{step}/{micro_batch}")).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: StepSettings = StepSettings {
        step: 7,
        learning_rate: 2e-4,
        max_grad_norm: 1.0,
        dropout_seed: None,
        gradient_checkpointing: false,
    };

    #[test]
    fn a_loss_that_is_no_number_stops_the_run_and_says_what_to_lower() {
        let error = check(
            StepResult {
                loss: f64::NAN,
                grad_norm: 1.0,
            },
            SETTINGS,
        )
        .expect_err("NaN");
        assert_eq!(error.kind, Kind::Diverged);
        let text = error.to_string();
        assert!(
            text.contains("step 7") && text.contains("2e-4") && text.contains("Lower learning_rate"),
            "{text}"
        );
        assert!(
            check(
                StepResult {
                    loss: 1.0,
                    grad_norm: f64::INFINITY
                },
                SETTINGS
            )
            .is_err()
        );
        assert!(
            check(
                StepResult {
                    loss: 1.0,
                    grad_norm: 0.0
                },
                SETTINGS
            )
            .is_ok()
        );
    }

    #[test]
    fn every_micro_batch_of_every_step_has_a_dropout_mask_of_its_own() {
        let mut seeds: Vec<u64> = (0..50)
            .flat_map(|s| (0..8).map(move |i| dropout_seed(42, s, i)))
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), 400);
    }
}
