//! One optimizer step: micro-batches forward and backward, one read, clip, update.
//!
//! The loss of a step is the mean over *all* target tokens of its micro-batches, so that splitting a batch changes nothing:
//! each micro-batch's sum of losses is scaled by 1 / (targets of them all). Losses and squared norms are read back together,
//! once a step, and nothing is updated unless both are finite: what a diverged step leaves behind is the last good state.

use super::optim::{AdamW, clip_scale};
use crate::data::Batch;
use crate::device::{Pass, make_room, make_room_for};
use crate::error::{Error, Kind, Result};
use crate::host::Host;
use crate::models::{Model, read};
use crate::random::Generator;
use crate::tasks::Objective;
use burn::tensor::Tensor;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;

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
    let counts = objective.total(model, batches)?;
    let mut gradients = optimizer.gradients(&mut model.parameters);
    let leaves = model.parameters.tracked();
    let mut losses = Vec::with_capacity(batches.len());
    for (i, batch) in batches.iter().enumerate() {
        make_room(model.device(), Pass::over(batch, true));
        let seed = settings.dropout_seed.map(|seed| dropout_seed(seed, settings.step, i));
        let loss = objective.loss(model, &leaves, batch, &counts, seed)?;
        losses.push(loss.clone().inner());
        gradients.add(&leaves, loss);
        (host.yield_now)().await;
    }
    let micro_batches = losses.len();
    losses.extend(gradients.sums_of_squares());
    let numbers = read(Tensor::cat(losses, 0)).await?;
    let (losses, squares) = numbers.split_at(micro_batches);
    let sum = |numbers: &[f32]| numbers.iter().map(|&x| f64::from(x)).sum::<f64>();
    let result = StepResult {
        loss: sum(losses),
        grad_norm: sum(squares).sqrt(),
    };
    check(result, settings)?;
    let clip = clip_scale(result.grad_norm, settings.max_grad_norm);
    // They hold the old weights, which go one by one as the new ones come.
    drop(leaves);
    // A tensor or a group of them and its moments are there twice while it is updated.
    make_room_for(model.device(), 3 * 4 * optimizer.largest_update(&model.parameters) as u64);
    optimizer.step(&mut model.parameters, gradients, settings.learning_rate, clip);
    // What the first step gathers, it leaves.
    make_room_for(model.device(), 0);
    Ok(result)
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
