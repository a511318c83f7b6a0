//! An export is read back before it is offered: its tensors beside what was meant to be in them, and its loss on the run's
//! validation rows beside that of the weights that the run left, both on the same rows.
//!
//! An adapter that was read back takes the place of the trained one while it is scored. A whole model is loaded beside the trained
//! one, where it is not too large for that; of a larger one the tensors alone are compared.

use super::super::Session;
use super::super::predict::held_out_rows;
use super::Wanted;
use crate::config::RunConfig;
use crate::data::Dataset;
use crate::device;
use crate::error::{Error, Kind, Result};
use crate::export::{Settings, expected_difference, explanation, read_back};
use crate::formats::ModelFiles;
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, PretrainedHead, Weights, loaded, no_model, read_weights};
use crate::protocol::{EvalInfo, Event, ExportCheck, ExportEvent, ExportScore, ReadBack};
use crate::quant::BaseFormat;
use crate::store::Source;
use crate::task::Task;
use burn::tensor::Device;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use std::cell::RefCell;

/// The model card, which holds no weights.
const CARD: &str = "README.md";

/// Validation rows that an export is scored on at most.
const MOST_ROWS: usize = 64;

/// What the weights of a whole model may take beside the loaded one, to be scored.
const MOST_BYTES: u64 = 600 << 20;

/// The data of a run, and its validation data where they are a file of their own.
type Rows<'a> = (&'a Dataset, Option<&'a Dataset>);

impl Session {
    pub(super) async fn check_export(
        &mut self,
        wanted: Wanted<'_>,
        files: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let written: Vec<Source> = files.into_iter().filter(|file| file.name() != CARD).collect();
        let settings = self.export_settings(wanted)?;
        let parts = self.parts().await?;
        let trained = parts.on(self.export_base(settings.form, &parts).await?);
        let read_back = read_back(trained, settings, written.clone(), emit).await?;
        let scored = self.score_export(settings, written, emit).await;
        let is_lost = matches!(&scored, Err(error) if error.kind == Kind::Device);
        if let (false, Some(own)) = (settings.form.holds_base() || is_lost, &parts.adapter) {
            // What was trained comes back in the place of what was read.
            self.model.as_mut().ok_or_else(no_model)?.model.load_adapter(own)?;
        }
        let scored = match scored {
            Err(error) if matches!(error.kind, Kind::Stopped | Kind::Device) => return Err(error),
            Err(error) => Err(error.message()),
            Ok(scored) => scored,
        };
        let packs = loaded(&self.model)?.base != settings.base && settings.form.holds_base();
        let (score, not_scored) = match scored {
            Ok(score) => (Some(score), None),
            Err(why) => (None, Some(msg::NotChecked { why }.into())),
        };
        let check = ExportCheck {
            explanation: explained(score.as_ref(), &read_back, settings, packs),
            read_back,
            score,
            not_scored,
        };
        let form = settings.form;
        emit.event(Event::Export(ExportEvent::Checked { form, check }));
        Ok(())
    }

    /// The loss of what was written beside that of what the model holds, or why there is none.
    async fn score_export(
        &mut self,
        settings: Settings,
        written: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<Result<ExportScore, Message>> {
        let form = settings.form;
        let Some(run) = &self.trained else {
            return Ok(Err(msg::NoRunOfWeights.into()));
        };
        if form.holds_base() && run.record.task == Some(Task::Preference) {
            return Ok(Err(msg::ComparesWithBase.into()));
        }
        let validation = self.validation.as_ref();
        let is_same = run.is_on([self.data.as_ref(), validation]);
        let Some(data) = self.data.as_ref().filter(|_| is_same) else {
            return Ok(Err(msg::RunDataGone.into()));
        };
        let rows: Rows<'_> = (&data.rows, validation.map(|data| &data.rows));
        // What there is to say about the rows was said by the run.
        let (host, control) = (emit.host, emit.control.clone());
        let asked = control.clone();
        let stopped = move || asked.is_export_cancelled();
        let mut heard = emit.progress_only();
        let emit = &mut Emit::new(&mut heard, host, control);
        let config = &run.config;
        let Some(held_out) = held_out_rows(&mut self.model, rows, (config, MOST_ROWS), emit).await? else {
            return Ok(Err(msg::NothingHeldOut.into()));
        };
        let of_run = held_out.score(loaded(&self.model)?, config, &stopped, emit).await?;
        let of_export = if form.holds_base() {
            let device = loaded(&self.model)?.model.device().clone();
            let mut other = match load(written, &device, emit).await? {
                Ok(model) => Some(model),
                Err(why) => return Ok(Err(why)),
            };
            let scored = score(&mut other, rows, config, &stopped, emit).await;
            drop(other);
            device::release(&device);
            scored?
        } else {
            let model = self.model.as_mut().ok_or_else(no_model)?;
            let read = model.files.open_adapter(written).await?;
            model.model.load_adapter(&read)?;
            held_out.score(model, config, &stopped, emit).await?
        };
        Ok(Ok(ExportScore {
            rows: held_out.count(),
            held_out: held_out.held_out,
            loss_of_run: of_run.loss,
            loss_of_export: of_export.loss,
            tolerance: expected_difference(of_run.loss, settings.dtype, form),
        }))
    }
}

/// What there is to say of a difference that is larger than expected; `packs` where the run computed with fewer bits than the base
/// in the files has.
fn explained(score: Option<&ExportScore>, read_back: &ReadBack, settings: Settings, packs: bool) -> Option<Message> {
    if score.is_some_and(|score| !score.is_close()) {
        return Some(explanation(settings.dtype, packs));
    }
    let worst = read_back.worst.as_ref().filter(|_| !read_back.is_close())?;
    let storage = &worst.storage;
    Some(msg::RoundedByMore { storage }.into())
}

/// The score of a model that was read back, on rows that its own tokenizer makes ready.
async fn score(
    slot: &mut Option<LoadedModel>,
    rows: Rows<'_>,
    config: &RunConfig,
    stopped: &dyn Fn() -> bool,
    emit: &mut Emit<'_>,
) -> Result<EvalInfo> {
    let held_out = held_out_rows(slot, rows, (config, MOST_ROWS), emit).await?;
    let held_out = held_out.ok_or_else(|| Error::data(msg::NothingHeldOut))?;
    held_out.score(loaded(slot)?, config, stopped, emit).await
}

/// The model in the files, beside the one that is loaded; or why it is not loaded.
async fn load(written: Vec<Source>, device: &Device, emit: &mut Emit<'_>) -> Result<Result<LoadedModel, Message>> {
    let files = ModelFiles::open(written).await?;
    let numbers = files.entries().iter().map(|entry| entry.elements() as u64);
    let bytes = numbers.sum::<u64>() * size_of::<f32>() as u64;
    if bytes > MOST_BYTES {
        let (size, most) = (bytes >> 20, MOST_BYTES >> 20);
        return Ok(Err(msg::TooLargeToScore { size, most }.into()));
    }
    let beside = device::reserved_bytes(device).unwrap_or(0);
    device::try_memory(device, beside + bytes).await?;
    let weights = Weights {
        full: false,
        base: BaseFormat::AsStored,
        seed: 0,
    };
    let model = read_weights(&files, weights, device, emit).await?;
    Ok(Ok(LoadedModel {
        head: PretrainedHead::of(&model, &files.config)?,
        files,
        model,
        full: weights.full,
        base: weights.base,
        companions: Vec::new(),
        digest: RefCell::default(),
    }))
}
