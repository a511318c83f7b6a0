//! What is known of a run on the loaded model and data before it starts, for advice on its settings.

use super::{Session, no_data};
use crate::advice::{Facts, ModelKind};
use crate::config::RunConfig;
use crate::data::Schema;
use crate::device;
use crate::error::Result;
use crate::estimate::estimate;
use crate::head_spec::HeadKind;
use crate::host::Receiver;
use crate::loaded_model::{LoadedModel, fit_inputs_to_data, loaded};
use crate::models::registry::{Kind, of_model_type};
use crate::tasks::TaskSpec;

/// Rows are measured up to so many tokens.
const MOST_TOKENS: usize = 1 << 20;

impl Session {
    /// The facts that [`crate::advice::advise`] needs of the run `config`. Its rows are made as the run makes them, but not cut.
    ///
    /// # Errors
    /// Nothing loaded; settings, a model and data that do not go together; a stop.
    pub async fn facts(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<Facts> {
        let emit = &mut self.emit(receiver);
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        fit_inputs_to_data(&mut self.model, data, config, emit).await?;
        let model = loaded(&self.model)?;
        let mut spec = TaskSpec::resolve(config, model, data)?;
        spec.emit_notes(emit);
        let packs = spec.objective.learns_texts() && model.head.task == HeadKind::CausalLm;
        let is_packed = packs && config.packing.unwrap_or(data.form == Schema::Text);
        let measured = RunConfig {
            cutoff_len: if is_packed { config.cutoff_len } else { MOST_TOKENS },
            ..config.clone()
        };
        let validation = self.validation.as_ref().map(|data| &data.rows);
        let split = spec.datasets(&measured, model, data, validation, emit).await?;
        let has_lengths = !is_packed && spec.shape.is_none();
        let rows = split.train.iter().filter(|_| has_lengths);
        let mut lengths: Vec<usize> = rows
            .map(|row| {
                let texts = std::iter::once(row).chain(&row.others);
                let lengths = texts.map(|text| {
                    let tokens = text.input_ids.len().max(text.labels.len());
                    tokens + usize::from(text.truncated)
                });
                lengths.max().unwrap_or(0)
            })
            .collect();
        lengths.sort_unstable();

        let device = model.model.device();
        let limit = device::largest_buffer_bytes(device);
        let adapter = self.adapter.as_ref().map(|adapter| &adapter.config);
        // As the run plans it: no more rows at a time than there are, and no more tokens than the longest has.
        let longest = split.longest_row().unwrap_or(config.cutoff_len);
        let planned = RunConfig {
            cutoff_len: longest.min(config.cutoff_len),
            per_device_train_batch_size: config.per_device_train_batch_size.min(split.train.len()),
            per_device_eval_batch_size: config.per_device_eval_batch_size.min(split.held_out.len().max(1)),
            ..config.clone()
        };
        let plain = RunConfig {
            quantization_bit: None,
            fp8: None,
            ..planned.clone()
        };
        let mut peaks = [None, None];
        for (peak, config) in peaks.iter_mut().zip([&planned, &plain]) {
            match estimate(&model.files, config, adapter, limit).await {
                Ok(memory) => *peak = memory.peak_bytes,
                // The advice does without it.
                Err(error) => {
                    emit.warn(error.message());
                    break;
                }
            }
        }
        let [peak_bytes, plain_peak_bytes] = peaks;
        Ok(Facts {
            task: spec.task(),
            model: kind(model)?,
            parameters: model.model.info.parameters,
            rows: split.train.len(),
            held_out: split.held_out.len(),
            lengths,
            most_tokens: model.model.limits().tokens,
            compares_batch: spec.objective.loss.compares_batch(),
            takes_probe: spec.takes_probe(config, model, self.adapter.is_some()),
            available_bytes: device::available_bytes(device),
            peak_bytes,
            plain_peak_bytes,
        })
    }
}

/// The kind of a model; one without weights in its files is fresh.
fn kind(model: &LoadedModel) -> Result<ModelKind> {
    let kind = of_model_type(&model.model.info.model_type)?.kind;
    Ok(match kind {
        Kind::Small => ModelKind::Fresh,
        _ if model.files.entries().is_empty() => ModelKind::Fresh,
        Kind::Decoder => ModelKind::Decoder,
        Kind::Encoder => ModelKind::Encoder,
        Kind::EncoderDecoder => ModelKind::EncoderDecoder,
    })
}
