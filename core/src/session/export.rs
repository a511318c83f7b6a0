//! What was trained, handed over: in which forms it can be had, and its files in pieces.

use super::Session;
use crate::config::RunConfig;
use crate::error::Result;
use crate::export::{Form, PieceSink, RunRecord, Settings, Trained, dtype, export, outlook, run_report};
use crate::finetune::{Data, Finished};
use crate::formats::{ModelFiles, peft::Adapter};
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, loaded};
use crate::protocol::{Event, ExportCommand, ExportEvent, ExportOption, ReportRequest};
use crate::quant::BaseFormat;
use crate::store::Source;
use lorakeet_i18n::messages::run as msg;

/// What is offered: forms with their number formats, the usual ones of each.
const OFFERED: [(Form, Option<&str>); 9] = [
    (Form::Peft, None),
    (Form::GgufAdapter, None),
    (Form::Gguf, Some("float16")),
    (Form::Gguf, Some("q8_0")),
    (Form::Gguf, Some("q4_k_m")),
    (Form::Gguf, Some("q4_0")),
    (Form::Mlx, None),
    (Form::Merged, None),
    (Form::SentenceTransformers, None),
];

/// The most bytes of weights in one file of a merged model: a zip archive counts a file's bytes in 32 bits.
const SHARD_BYTES: u64 = 2_000_000_000;

/// Writes a run's report, of which the front end knows everything.
pub(super) fn write_report(request: &ReportRequest, emit: &mut Emit<'_>) -> Result<()> {
    let (form, text) = (request.form, run_report::write(request));
    emit.event(Event::ReportFile { form, text });
    Ok(())
}

/// The run that the model's weights come from, as its model card tells of it.
pub(super) struct LastRun {
    /// Its settings.
    pub(super) config: RunConfig,
    record: RunRecord,
}

impl LastRun {
    /// `data` are what was trained on and what was scored, where that is a file of its own.
    pub(super) fn new(config: &RunConfig, finished: &Finished, data: [Option<&Data>; 2]) -> Self {
        let Finished { summary, kept, task } = finished;
        let named = ["train_file", "validation_file"].into_iter().zip(data);
        let digests = named.filter_map(|(part, data)| Some((part.to_owned(), data?.digest.clone())));
        let loss = summary.eval_loss_after.map(|loss| ("loss".to_owned(), loss));
        Self {
            config: config.clone(),
            record: RunRecord {
                task: Some(*task),
                pooling: config.classifier_pooling,
                most_tokens: Some(config.cutoff_len),
                step: Some(*kept as u64),
                is_best: *kept != summary.steps,
                settings: Some(config.to_yaml()),
                scores: loss.into_iter().collect(),
                data: digests.collect(),
                ..RunRecord::default()
            },
        }
    }

    /// Whether it was trained on these data, and scored on those.
    pub(super) fn is_on(&self, data: [Option<&Data>; 2]) -> bool {
        let digests = data.iter().flatten().map(|data| &data.digest);
        digests.eq(self.record.data.iter().map(|(_, digest)| digest))
    }
}

impl Session {
    pub(super) async fn serve_export(&self, command: ExportCommand, emit: &mut Emit<'_>) -> Result<()> {
        match command {
            ExportCommand::Forms => {
                let forms = self.forms().await?;
                emit.event(Event::Export(ExportEvent::Forms { forms }));
                Ok(())
            }
            ExportCommand::Write { form, dtype, ahead } => {
                self.control.begin_export();
                self.write_export((form, dtype.as_deref()), ahead, emit).await
            }
            // Commands are served one after the other; what is under way hears of it by [`crate::host::Control`].
            ExportCommand::Taken | ExportCommand::Cancel => Ok(()),
        }
    }

    /// The forms in which what was trained can be had, and why not in the others. Nothing is read from the device.
    async fn forms(&self) -> Result<Vec<ExportOption>> {
        let model = loaded(&self.model)?;
        let adapter = match model.full {
            true => None,
            false => Some(
                model
                    .model
                    .adapter_of_zeros()
                    .map_err(|error| error.remedy(msg::TrainFirst))?,
            ),
        };
        let (files, head) = model.export_files(&self.inputs.model)?;
        let unknown = RunRecord::default();
        let record = self.trained.as_ref().map_or(&unknown, |run| &run.record);
        // The adapter can be had as it is where the base's files are gone.
        let (base, gone) = match base(model, &files).await {
            Ok(base) => (base, None),
            Err(error) => (unread(model), Some(error)),
        };
        let trained = Trained {
            base,
            base_files: &files,
            adapter: adapter.as_ref(),
            head: head.as_ref(),
            record,
        };
        let mut wanted = Vec::new();
        for (form, name) in OFFERED {
            wanted.push((form, name.map(|name| dtype(name, form)).transpose()?));
        }
        let found = outlook(trained, &wanted).await;
        let option = |((form, dtype), found): ((Form, Option<&str>), Result<u64>)| {
            let (bytes, problem) = match found {
                Ok(bytes) => (Some(bytes), None),
                Err(error) => (None, Some(gone.clone().unwrap_or(error))),
            };
            ExportOption {
                form,
                dtype: dtype.map(str::to_owned),
                bytes,
                problem,
            }
        };
        Ok(OFFERED.into_iter().zip(found).map(option).collect())
    }

    async fn write_export(&self, wanted: (Form, Option<&str>), ahead: u64, emit: &mut Emit<'_>) -> Result<()> {
        let (form, format) = wanted;
        let model = loaded(&self.model)?;
        let adapter: Option<Adapter> = match model.full {
            true => None,
            false => Some(
                model
                    .model
                    .adapter()
                    .await
                    .map_err(|error| error.remedy(msg::TrainFirst))?,
            ),
        };
        let (files, head) = model.export_files(&self.inputs.model)?;
        let unknown = RunRecord::default();
        let record = self.trained.as_ref().map_or(&unknown, |run| &run.record);
        let trained = Trained {
            base: match form {
                Form::Peft => unread(model),
                _ => base(model, &files).await?,
            },
            base_files: &files,
            adapter: adapter.as_ref(),
            head: head.as_ref(),
            record,
        };
        let settings = Settings {
            form,
            dtype: format.map(|name| dtype(name, form)).transpose()?,
            shard_bytes: SHARD_BYTES,
            base: BaseFormat::AsStored,
        };
        let notes = {
            let sink = PieceSink::new(emit, ahead);
            let mut progress = |done, total| sink.progress(done, total);
            export(trained, settings, &sink, &mut progress).await?
        };
        emit.event(Event::Export(ExportEvent::Done {
            form,
            step: record.step,
            is_best: record.is_best,
            notes,
        }));
        Ok(())
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
