//! The better one of two answers, trained directly on pairs (DPO).

use super::baselines::Probed;
use super::examples::collate;
use super::objective::{rows_of, texts};
use super::predictions::lists;
use super::{Rows, Rules, TaskSpec};
use crate::config::RunConfig;
use crate::data::{Batch, Dataset, Example, Target};
use crate::device::{Pass, make_room};
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::loaded_model::PretrainedHead;
use crate::loss::{Compared, Loss, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::models::{self, Leaves, Model, Waits, read, registry::names_for};
use crate::protocol::{BaselineKind, Stage};
use crate::task::Task;
use burn::tensor::Tensor;
use lorakeet_i18n::messages::run as msg;

pub(crate) struct Preference;

impl Rules for Preference {
    const CONTINUES_TEXTS: bool = true;

    fn check_model(task: Task, head: &PretrainedHead, model: &Model) -> Result<()> {
        if head.task == models::HeadKind::CausalLm {
            return Ok(());
        }
        let (model_type, names) = (&model.info.model_type, names_for(task));
        Err(Error::model(msg::DoesNotContinue { model_type }).remedy(msg::LoadModelFor { task, names }))
    }

    async fn examples(_spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        let settings = crate::data::Settings::new(rows.config, rows.dataset, rows.cutoff());
        let template = rows.model.files.chat_template.as_ref();
        let turns = &mut emit.turns(Stage::Tokenize);
        let tokenizer = rows.model.tokenizer()?;
        let (examples, dropped) = rows
            .dataset
            .preferences(tokenizer, template, &settings, rows.most, turns)
            .await?;
        if dropped > 0 {
            emit.warn(msg::DroppedBeyondCutoff { dropped });
        }
        Ok(examples)
    }

    fn knows_answers(_spec: &TaskSpec, _dataset: &Dataset) -> bool {
        true
    }

    /// Puts the log-probabilities of the model that the run starts from on the answers.
    async fn add_reference(
        config: &RunConfig,
        model: &Model,
        examples: &mut [Example],
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let leaves = model.parameters.plain();
        let mut waits = Waits::new(&emit.host);
        for some in examples.chunks_mut(config.per_device_eval_batch_size) {
            let batch = collate(&some.iter().collect::<Vec<_>>(), model);
            make_room(model.device(), Pass::over(&batch, false));
            let leaves = model.through_layers(&leaves, &batch, false, &mut waits).await?;
            let found = model.answer_log_probs(&leaves, &batch, false, None);
            let found = read(found.reshape([batch.rows])).await?;
            let (pairs, []) = found.as_chunks::<2>() else {
                return Err(Error::internal(msg::TwoAnswers));
            };
            for (example, [chosen, rejected]) in some.iter_mut().zip(pairs) {
                example.target = Target::Row(vec![*chosen]);
                for other in &mut example.others {
                    other.target = Target::Row(vec![*rejected]);
                }
            }
            emit.yield_or_stop(msg::StoppedScoringReference).await?;
        }
        Ok(())
    }

    fn outputs(model: &Model, leaves: &Leaves, batch: &Batch, seed: Option<u64>) -> Option<Tensor<2>> {
        Some(model.answer_log_probs(leaves, batch, true, seed))
    }

    fn width(_model: &Model) -> usize {
        1
    }

    fn compared<'b>(_loss: &WeightedSum, outputs: Tensor<2>, batch: &'b Batch) -> Result<Compared<'b>> {
        let [chosen, rejected] = [0, 1].map(|place| texts(batch, |text| text == place));
        let reference = |rows: &[usize]| -> Vec<f32> { rows.iter().map(|&row| batch.row_labels[row]).collect() };
        let flat = |rows: &[usize]| rows_of(&outputs, rows).reshape([rows.len()]);
        Ok(Compared::Answers {
            policy: [flat(&chosen), flat(&rejected)],
            reference: [reference(&chosen), reference(&rejected)],
        })
    }

    fn answers(spec: &TaskSpec, examples: &[Example], outputs: &[f32], _width: usize) -> Option<Predictions> {
        let beta = spec.objective.loss.terms().iter().find_map(|term| match term.loss {
            Loss::Dpo { beta, .. } => Some(beta),
            _ => None,
        });
        let reward = |(policy, reference): (&f32, f64)| beta.unwrap_or(0.1) * (f64::from(*policy) - reference);
        let rewards: Vec<f64> = outputs.iter().zip(references(examples)).map(reward).collect();
        let pairs = rewards.chunks(2).map(|pair| (pair[0], pair[pair.len() - 1]));
        Some(Predictions::Pairs(pairs.collect()))
    }

    async fn baselines(probed: Probed<'_>, _emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        let both = references(probed.held_out);
        let pairs = both.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        Ok(vec![(
            BaselineKind::BaseLikelihood,
            Predictions::Pairs(pairs.collect()),
        )])
    }

    fn label(_spec: &TaskSpec, _target: &Target) -> Vec<String> {
        Vec::new()
    }
}

/// The log-probabilities by the reference of all answers, chosen and rejected in turn.
fn references(examples: &[Example]) -> Vec<f64> {
    let both = lists(examples, |_| Vec::new()).into_iter();
    both.flat_map(|(_, both)| both).collect()
}
