//! What was trained, handed over: in which forms it can be exported, its files in pieces, and what they are when they are read back.

mod check;

use super::Session;
use crate::config::RunConfig;
use crate::data::Data;
use crate::data::audit::Reading;
use crate::error::Result;
use crate::export::{
    Form, License, PieceSink, RunRecord, Settings, Trained, dtype, export, license, outlook,
    write_report as report_text,
};
use crate::finetune::Finished;
use crate::formats::{ModelFiles, peft::Adapter};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, loaded};
use crate::protocol::{Event, ExportCommand, ExportEvent, ExportOption, ReportRequest};
use crate::quant::BaseFormat;
use crate::store::Source;
use crate::train::fingerprint::{TRAIN, VALIDATION};
use serde_json::Value;

/// What is offered: forms with their number formats, the usual one of each first.
const OFFERED: [Wanted<'static>; 16] = [
    (Form::Peft, None, false),
    (Form::GgufAdapter, None, false),
    (Form::Gguf, Some("float16"), false),
    (Form::Gguf, Some("bfloat16"), false),
    (Form::Gguf, Some("float32"), false),
    (Form::Gguf, Some("q8_0"), false),
    (Form::Gguf, Some("q5_k_m"), false),
    (Form::Gguf, Some("q4_k_m"), false),
    (Form::Gguf, Some("q4_1"), false),
    (Form::Gguf, Some("q4_0"), false),
    (Form::Mlx, None, false),
    (Form::Merged, None, false),
    (Form::Merged, Some("bfloat16"), false),
    (Form::Merged, Some("float16"), false),
    (Form::Merged, Some("float32"), false),
    (Form::SentenceTransformers, None, false),
];

/// What is offered besides of a run that packed its base.
const OFFERED_DEQUANTIZED: [Wanted<'static>; 2] = [(Form::Gguf, Some("float16"), true), (Form::Merged, None, true)];

/// The most bytes of weights in one file of a merged model: a zip archive counts a file's bytes in 32 bits.
const SHARD_BYTES: u64 = 2_000_000_000;

/// A form, the name of its number format, and whether the base's linears are rounded as the run rounded them.
type Wanted<'a> = (Form, Option<&'a str>, bool);

/// Writes a run's report, of which the front end knows everything.
pub(super) fn write_report(request: &ReportRequest, emit: &mut Emit<'_>) -> Result<()> {
    let (form, text) = (request.form, report_text(request));
    emit.event(Event::ReportFile { form, text });
    Ok(())
}

/// The run that the model's weights come from: what its model card tells of it, and what scores them again.
pub(super) struct LastRun {
    record: RunRecord,
    /// Its settings, with the task that it had.
    pub(super) config: RunConfig,
}

impl LastRun {
    /// `data` are the [`digests`] of what was trained on and scored.
    pub(super) fn new(config: &RunConfig, finished: &Finished, data: Vec<(String, String)>) -> Self {
        let Finished {
            summary,
            kept,
            task,
            metrics,
            ..
        } = finished;
        let loss = summary.eval_loss_after.map(|loss| ("loss".to_owned(), loss));
        let metrics = metrics.iter().map(|metric| (metric.name.clone(), metric.value));
        Self {
            record: RunRecord {
                task: Some(*task),
                pooling: config.classifier_pooling,
                most_tokens: Some(config.cutoff_len),
                step: Some(*kept as u64),
                is_best: *kept != summary.steps,
                is_last: *kept == summary.steps,
                settings: Some(config.to_yaml()),
                scores: loss.into_iter().chain(metrics).collect(),
                data,
                ..RunRecord::default()
            },
            config: RunConfig {
                task: Some(*task),
                ..config.clone()
            },
        }
    }

    /// Whether it was trained on these data, and scored on those, read as they are now.
    pub(super) fn is_on(&self, data: [Option<&Data>; 2]) -> bool {
        let reading = Reading::of(&self.config);
        let is_read_so = data.iter().flatten().all(|data| data.reading == reading);
        is_read_so && digests(data) == self.record.data
    }
}

/// The digests of what was trained on and of what was scored, by the names of their settings.
pub(super) fn digests(data: [Option<&Data>; 2]) -> Vec<(String, String)> {
    let named = [TRAIN, VALIDATION].into_iter().zip(data);
    named
        .filter_map(|(part, data)| Some((part.to_owned(), data?.digest.clone())))
        .collect()
}

/// What an export is made of besides the base's tensors.
struct Parts {
    /// What was trained beside the base; none of a model that was trained throughout.
    adapter: Option<Adapter>,
    /// The files of the base, or of that model.
    files: Vec<Source>,
    /// config.json, where the adapter brings a head.
    head: Option<Value>,
    record: RunRecord,
}

impl Parts {
    /// The same with the base's files opened.
    fn on(&self, base: ModelFiles) -> Trained<'_> {
        Trained {
            base,
            base_files: &self.files,
            adapter: self.adapter.as_ref(),
            head: self.head.as_ref(),
            record: &self.record,
        }
    }
}

impl Session {
    pub(super) async fn serve_export(
        &mut self,
        command: ExportCommand,
        files: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        match command {
            ExportCommand::Forms => {
                let forms = self.forms().await?;
                emit.event(Event::Export(ExportEvent::Forms { forms }));
                Ok(())
            }
            ExportCommand::Write {
                form,
                dtype,
                dequantized,
                ahead,
                license,
            } => {
                self.control.begin_export();
                let wanted = (form, dtype.as_deref(), dequantized);
                let license = license.as_deref().and_then(License::named);
                self.write_export(wanted, (ahead, license), emit).await
            }
            ExportCommand::Check {
                form,
                dtype,
                dequantized,
            } => {
                let wanted = (form, dtype.as_deref(), dequantized);
                self.check_export(wanted, files, emit).await
            }
            // Commands are served one after the other; what is under way hears of it by [`crate::host::Control`].
            ExportCommand::Taken | ExportCommand::Cancel => Ok(()),
        }
    }

    /// The forms in which what was trained can be exported, and why not in the others; of a model that nothing was trained of, those that
    /// hold a whole model. Nothing is read from the device.
    async fn forms(&self) -> Result<Vec<ExportOption>> {
        let model = loaded(&self.model)?;
        let adapter = match self.has_adapter()? {
            true => Some(model.model.adapter_of_zeros()?),
            false => None,
        };
        let adapter_is_missing = adapter.is_none();
        let parts = self.parts_with(adapter)?;
        // The adapter can be exported as it is where the base's files are gone.
        let (base, gone) = match base(model, &parts.files).await {
            Ok(base) => (base, None),
            Err(error) => (unread(model), Some(error)),
        };
        let is_base = adapter_is_missing && !model.full;
        let mut offered = OFFERED.to_vec();
        offered.retain(|(form, ..)| form.holds_base() || !is_base);
        if model.base != BaseFormat::AsStored {
            offered.extend(OFFERED_DEQUANTIZED);
        }
        let mut wanted = Vec::new();
        for (form, name, _) in &offered {
            wanted.push((*form, name.map(|name| dtype(name, *form)).transpose()?));
        }
        let found = outlook(parts.on(base), &wanted).await;
        let option = |((form, dtype, dequantized), found): (Wanted<'_>, Result<u64>)| {
            let (bytes, problem) = match found {
                Ok(bytes) => (Some(bytes), None),
                Err(error) => (None, Some(gone.clone().unwrap_or(error))),
            };
            ExportOption {
                form,
                dtype: dtype.map(str::to_owned),
                dequantized,
                bytes,
                problem,
            }
        };
        Ok(offered.into_iter().zip(found).map(option).collect())
    }

    async fn write_export(
        &self,
        wanted: Wanted<'_>,
        (ahead, named): (u64, Option<License>),
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let settings = self.export_settings(wanted)?;
        let mut parts = self.parts().await?;
        parts.record.license = match named {
            Some(named) => Some(named),
            None => self.license().await,
        };
        let trained = parts.on(self.export_base(settings.form, &parts).await?);
        let notes = {
            let sink = PieceSink::new(emit, ahead);
            let mut progress = |done, total| sink.progress(done, total);
            export(trained, settings, &sink, &mut progress).await?
        };
        emit.event(Event::Export(ExportEvent::Done {
            form: settings.form,
            step: parts.record.step,
            is_best: parts.record.is_best,
            notes,
        }));
        Ok(())
    }

    /// What was trained, read from the device.
    async fn parts(&self) -> Result<Parts> {
        let adapter = match self.has_adapter()? {
            true => Some(loaded(&self.model)?.model.adapter().await?),
            false => None,
        };
        self.parts_with(adapter)
    }

    /// Whether an adapter is what is exported, or goes into it.
    fn has_adapter(&self) -> Result<bool> {
        let model = loaded(&self.model)?;
        Ok(!model.full && model.model.has_adapter())
    }

    /// The base's licence, as its files say it, else its hub.
    async fn license(&self) -> Option<License> {
        let of_hub = || License::named(self.origin.as_ref()?.license.as_deref()?);
        license(&self.inputs.model).await.or_else(of_hub)
    }

    fn parts_with(&self, adapter: Option<Adapter>) -> Result<Parts> {
        let model = loaded(&self.model)?;
        let (files, head) = model.export_files(&self.inputs.model)?;
        let record = self.trained.as_ref().map(|run| run.record.clone());
        let mut record = record.unwrap_or_default();
        record.base = self.origin.as_ref().map(|origin| origin.id.clone());
        if let (None, true) = (record.task, adapter.is_some()) {
            // Of an adapter that no run here trained, its head says it.
            record.task = model.current_head()?.task().filter(|task| task.has_head());
        }
        Ok(Parts {
            adapter,
            files,
            head,
            record,
        })
    }

    /// The base that an export of this form is made with; PEFT's adapter needs none of its files.
    async fn export_base(&self, form: Form, parts: &Parts) -> Result<ModelFiles> {
        let model = loaded(&self.model)?;
        match form {
            Form::Peft => Ok(unread(model)),
            _ => base(model, &parts.files).await,
        }
    }

    fn export_settings(&self, (form, format, dequantized): Wanted<'_>) -> Result<Settings> {
        Ok(Settings {
            form,
            dtype: format.map(|name| dtype(name, form)).transpose()?,
            shard_bytes: SHARD_BYTES,
            base: match dequantized {
                true => loaded(&self.model)?.base,
                false => BaseFormat::AsStored,
            },
        })
    }
}

/// What is known of the base without its files.
fn unread(model: &LoadedModel) -> ModelFiles {
    ModelFiles::from_config(model.files.name.clone(), model.files.config.clone())
}

/// The files opened, under the name that the model has here.
async fn base(model: &LoadedModel, files: &[Source]) -> Result<ModelFiles> {
    let mut base = ModelFiles::open(files.to_vec()).await?;
    base.name = model.files.name.clone();
    Ok(base)
}
