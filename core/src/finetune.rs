//! One run, from top to bottom: [`finetune`] is the whole way from resolved settings to report and adapter. What computes lives
//! elsewhere: files in [`crate::formats`], examples in [`crate::data`], what a task decides in [`crate::tasks`], the model in
//! [`crate::models`], one step in [`crate::train::step`].

use crate::config::RunConfig;
use crate::data::{Columns, Data};
use crate::device;
use crate::error::{Kind, Result};
use crate::estimate;
use crate::formats::peft::Adapter;
use crate::host::Emit;
use crate::loaded_model::{LoadedModel, fit_inputs_to_data, loaded, prepare};
use crate::protocol::{BaselineKind, Metric, PictureRequest, RunSummary};
use crate::store::Sink;
use crate::task::Task;
use crate::tasks::TaskSpec;
use crate::train::checkpoint::{self, Checkpoint};
use crate::train::evaluation::{HeldOut, QUESTIONS};
use crate::train::fingerprint::{Fingerprint, TRAIN, VALIDATION};
use crate::train::record::RecordFile;
use crate::train::throughput::Pace;
use crate::train::trainer::Trainer;
use lorakeet_i18n::messages::device::KeepLess;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::messages::run::NothingToRecompute;
use std::rc::Rc;

/// What a run is made of.
pub(crate) struct Job<'a> {
    pub(crate) config: &'a RunConfig,
    /// The loaded model; it is read again where the run needs another head or other weights.
    pub(crate) model: &'a mut Option<LoadedModel>,
    pub(crate) data: &'a Data,
    /// Validation rows of a file of their own; without one they are split off.
    pub(crate) validation: Option<&'a Data>,
    /// An adapter to go on from.
    pub(crate) adapter: Option<&'a Adapter>,
    /// What the model is to continue now and then.
    pub(crate) sample_prompt: Option<String>,
    /// Pictures that are drawn now and then.
    pub(crate) watch: Vec<PictureRequest>,
    /// Place for checkpoints and results.
    pub(crate) sink: Option<Rc<dyn Sink>>,
    /// What is written down of the run there.
    pub(crate) record: Option<Rc<RecordFile>>,
    /// Of a run that is kept in case it is interrupted: milliseconds between two checkpoints.
    pub(crate) save_interval_ms: Option<f64>,
    /// Bytes that can still be written there, where that is known.
    pub(crate) free_bytes: Option<u64>,
    /// Of how large a model every weight is looked at, to know it again.
    pub(crate) most_whole_bytes: u64,
    /// Whether the front end may ask for a checkpoint, also where there is no such place.
    pub(crate) hands_over: bool,
    /// Where the run goes on from; it is taken.
    pub(crate) resume: &'a mut Option<Checkpoint>,
}

/// What a run came to.
pub(crate) struct Finished {
    pub(crate) summary: RunSummary,
    /// The step whose weights were kept.
    pub(crate) kept: usize,
    /// What was learnt.
    pub(crate) task: Task,
    /// The metrics of the last score.
    pub(crate) metrics: Vec<Metric>,
    /// What its last steps took.
    pub(crate) pace: Option<Pace>,
}

/// Trains the loaded model on the data: resolve the task, build examples, attach the adapter, score baselines, train, report.
///
/// Everything waits for the device without blocking and gives turns to others, so that a front end hears 'pause' while it trains.
///
/// # Errors
/// Settings, a model and data that do not go together; a step that diverges; a lost device; a sink that refuses.
pub(crate) async fn finetune(job: Job<'_>, emit: &mut Emit<'_>) -> Result<Finished> {
    let started_ms = (emit.host.now_ms)();
    let (config, data) = (job.config, &job.data.rows);

    // The task, its labels, loss and metric, and the head that it needs.
    fit_inputs_to_data(job.model, data, config, emit).await?;
    let model = loaded(job.model)?;
    let mut spec = TaskSpec::resolve(config, model, data)?;
    spec.check_head_init(config, model, job.adapter.is_some())?;
    spec.note_cutoff(config, model);
    spec.emit_notes(emit);

    // Rows → examples → those that are trained on and those that are held out.
    let validation = job.validation.map(|data| &data.rows);
    let mut split = spec.datasets(config, model, data, validation, emit).await?;
    let scored = split.held_out.iter().map(|example| example.row).collect();
    let columns = validation.unwrap_or(data).few_values(&Columns::of(config), &scored);

    // The model: its head, and a fresh adapter, a given one, or every weight.
    let head = spec.head(&model.head);
    let model = prepare(job.model, head, spec.shape, job.adapter, config, emit).await?;
    model.pool_texts_by((spec.task() == Task::Embedding).then_some(config));
    model.check_features(&split.train, data)?;
    // A run that its device cannot take is refused before it computes anything. Its batches have no more rows than there are,
    // and no more tokens than the longest of them.
    let longest = split.longest_row().unwrap_or(config.cutoff_len);
    let planned = RunConfig {
        cutoff_len: longest.min(config.cutoff_len),
        per_device_train_batch_size: config.per_device_train_batch_size.min(split.train.len()),
        per_device_eval_batch_size: config.per_device_eval_batch_size.min(split.held_out.len().max(1)),
        ..config.clone()
    };
    let adapter = job.adapter.map(|adapter| &adapter.config);
    let device = model.model.device();
    let peak_bytes = estimate::check(&model.files, &planned, adapter, device).await?;
    if let Err(error) = device::try_memory(device, peak_bytes.unwrap_or(0)).await {
        let less = estimate::with_less(&model.files, &planned, adapter, device).await?;
        return Err(match less {
            Some(bytes) => error.remedy(KeepLess { size: bytes >> 20 }),
            None => error,
        });
    }
    if config.gradient_checkpointing && !model.model.has_parts() {
        emit.warn(NothingToRecompute);
    }
    let _expected = device::expect_memory(peak_bytes.unwrap_or(0));

    // Where it goes on from, and by what its checkpoints know it again: only those need a look at the model's files.
    let plan = config.plan(split.train.len());
    let resume = job.resume.take();
    let mut fingerprint = Fingerprint::of(&spec.settled(config));
    if job.sink.is_some() || job.hands_over || resume.is_some() {
        let saved = resume.as_ref().map(|checkpoint| &checkpoint.fingerprint);
        fingerprint
            .add_model(model, (job.most_whole_bytes, saved), emit)
            .await?;
        fingerprint.add_adapter(job.adapter)?;
        fingerprint.add_data(TRAIN, Some(job.data));
        fingerprint.add_data(VALIDATION, job.validation);
        fingerprint.add_rows([&split.train, &split.held_out]);
    }
    let back = job.record.as_ref().and_then(|record| record.rate_change());
    let known = (&fingerprint, [Some(job.data), job.validation]);
    checkpoint::check(resume.as_ref(), config, &plan, known, back, emit)?;
    let goes_on_from = resume.as_ref().map(|checkpoint| checkpoint.progress.step);
    let mut is_refused = false;
    if let Some(record) = &job.record {
        let length = (plan.max_steps, goes_on_from);
        let begun = record.begin(config, &fingerprint, length, spec.task()).await;
        match begun {
            // Of a run that is kept in case it is interrupted, as with its checkpoints.
            Err(error) if error.kind == Kind::File && job.save_interval_ms.is_some() => {
                is_refused = true;
                let why = error.message();
                emit.warn(msg::NotKept { why });
            }
            begun => begun?,
        }
    }

    // What a tuned model has to beat, from the weights that the run starts from.
    for examples in [&mut split.train, &mut split.held_out] {
        spec.add_reference(config, &model.model, examples, emit).await?;
    }
    let mut held_out = HeldOut::new(split.held_out, config, &model.model);
    held_out.ask(config, model, QUESTIONS)?;
    let rows = config.planned_rows(&plan);
    // A run that goes on has its head in the checkpoint, and needs the probe to be compared with it only.
    let start = match resume.is_none() || !held_out.examples.is_empty() {
        true => spec.head_start(config, &model.model, &split.train, emit).await?,
        false => None,
    };
    if let Some(start) = start.as_ref().filter(|_| resume.is_none()) {
        start.put_into(&mut model.model, emit)?;
    }
    let baselines = spec
        .baselines(
            &model.model,
            (&split.train, rows),
            held_out.scored(),
            start.as_ref(),
            emit,
        )
        .await?;
    drop(start);

    let task = spec.task();
    let sample_prompt = job.sample_prompt.map(|prompt| model.prompt(prompt, data));
    let mut trainer = Trainer::new(config, plan, model, spec, split.train, held_out);
    (trainer.sink, trainer.save_interval_ms, trainer.fingerprint) = (job.sink, job.save_interval_ms, fingerprint);
    (trainer.is_refused, trainer.record) = (is_refused, job.record);
    if let Some(free_bytes) = job.free_bytes {
        trainer.keep_if_it_fits(free_bytes, emit);
    }
    (trainer.baselines, trainer.sample_prompt, trainer.watch) = (baselines, sample_prompt, job.watch);
    trainer.columns = columns;
    if job.adapter.is_some() {
        trainer.before = BaselineKind::ModelBefore;
    }
    if let Some(checkpoint) = resume {
        trainer.resume(checkpoint)?;
    }
    trainer.start(emit).await?;
    trainer.rehearse(emit).await?;
    while !trainer.is_done(emit).await? {
        if !trainer.step(emit).await? {
            continue;
        }
        if trainer.evaluates() {
            trainer.evaluate(emit).await?;
        }
        if trainer.samples() {
            trainer.sample(emit).await?;
            trainer.draw_watched(false, emit).await;
        }
        if trainer.saves(emit) {
            trainer.save_checkpoint(emit).await?;
        }
    }
    let pace = trainer.pace();
    let (summary, kept, metrics) = trainer.finish(emit).await?;
    let seconds = ((emit.host.now_ms)() - started_ms) / 1000.0;
    Ok(Finished {
        summary: RunSummary { seconds, ..summary },
        kept,
        task,
        metrics,
        pace,
    })
}
