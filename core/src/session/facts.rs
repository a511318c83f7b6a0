//! What is known of a run on the loaded model and data before it starts: what it takes, and the facts for advice on its settings.

use super::cut::MOST_TOKENS;
use super::{Session, no_data};
use crate::advice::{Facts, ModelKind, advise};
use crate::config::{Group, KNOBS, RunConfig};
use crate::data::audit::Reading;
use crate::data::{self, Content, Dataset, Example};
use crate::device;
use crate::error::Result;
use crate::estimate::{LastPace, StepWork, estimate, estimate_with_work};
use crate::host::{Emit, Receiver};
use crate::loaded_model::{LoadedModel, fit_inputs_to_data, loaded};
use crate::models::registry::{Kind, of_model_type};
use crate::protocol::{Event, MemoryEstimate};
use crate::task::Task;
use crate::tasks::{Rows, TaskSpec};
use crate::train::throughput::Pace;

/// Of larger files, a front end that waits for advice has so many bytes made into tokens, which takes about a second in a browser.
const PART_BYTES: u64 = 2 << 20;
/// Of the knobs of training, those that have a part in what rows are.
const OF_ROWS: [&str; 2] = ["loss", "seed"];

/// What is known of a run's rows, as long as the model, the data and the settings that shape rows stay.
pub(super) struct Measured {
    shaped_by: ShapedBy,
    rows: RowFacts,
}

/// The data and the settings that decide about rows, and about what can be made of them.
#[derive(PartialEq)]
struct ShapedBy {
    config: RunConfig,
    data: [Option<(String, Reading)>; 2],
    has_adapter: bool,
}

/// What is known of a run's rows.
#[derive(Clone)]
struct RowFacts {
    task: Task,
    compares_batch: bool,
    /// As [`Facts::takes_probe`].
    takes_probe: bool,
    rows: usize,
    held_out: usize,
    /// As [`Facts::lengths`].
    lengths: Vec<usize>,
    /// The most tokens of a row, of packed ones too; none of numbers.
    longest: Option<usize>,
}

impl Session {
    /// The facts that [`crate::advice::advise`] needs of the run `config`. Its rows are made as the run makes them, but not cut.
    ///
    /// # Errors
    /// Nothing loaded; settings, a model and data that do not go together; a stop.
    pub async fn facts(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<Facts> {
        let emit = &mut self.emit(receiver);
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        fit_inputs_to_data(&mut self.model, data, config, emit).await?;
        let rows = self.rows(config, u64::MAX, emit).await?;
        self.with_memory(config, rows, emit).await
    }

    /// [`crate::protocol::Command::Advise`]. What the rows are is kept until something changes it, for a person who turns a knob
    /// waits for this.
    pub(super) async fn answer_advice(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        loaded(&self.model)?;
        self.read_as(config, emit).await?;
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        fit_inputs_to_data(&mut self.model, data, config, emit).await?;
        let facts = self.quick_facts(config, emit).await?;
        emit.event(Event::Advice {
            advice: Box::new(advise(&facts, config)),
            rows: facts.rows,
            held_out: facts.held_out,
        });
        Ok(())
    }

    /// The facts from a part of large data, and from what is known already. What is skipped or cut is said by the run.
    async fn quick_facts(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<Facts> {
        let (host, control) = (emit.host, emit.control.clone());
        let mut told = emit.progress_only();
        let quiet = &mut Emit::new(&mut told, host, control);
        let shaped_by = self.shaped_by(config);
        let known = self.measured.take().filter(|known| known.shaped_by == shaped_by);
        let rows = match known {
            Some(known) => known.rows,
            None => self.rows(config, PART_BYTES, quiet).await?,
        };
        self.measured = Some(Measured {
            shaped_by,
            rows: rows.clone(),
        });
        self.with_memory(config, rows, quiet).await
    }

    /// What decides about the rows of the run `config`.
    fn shaped_by(&self, config: &RunConfig) -> ShapedBy {
        let mut config = config.clone();
        for knob in KNOBS {
            let shapes = matches!(knob.group, Group::Model | Group::Data) || OF_ROWS.contains(&knob.name);
            if !shapes {
                // Its default is a value of each knob.
                let _ = config.set(knob.name, &knob.default());
            }
        }
        let data = [&self.data, &self.validation];
        ShapedBy {
            config,
            data: data.map(|data| data.as_ref().map(|data| (data.digest.clone(), data.reading.clone()))),
            has_adapter: self.adapter.is_some(),
        }
    }

    /// What the rows of the run `config` are. Of files of more than `most_bytes` the first rows are looked at, and the others are
    /// taken to be like them.
    async fn rows(&self, config: &RunConfig, most_bytes: u64, emit: &mut Emit<'_>) -> Result<RowFacts> {
        let model = loaded(&self.model)?;
        let data = &self.data.as_ref().ok_or_else(no_data)?.rows;
        let validation = self.validation.as_ref().map(|data| &data.rows);
        let mut spec = TaskSpec::resolve(config, model, data)?;
        spec.emit_notes(emit);
        let is_packed = spec.packs(config, &model.head, data);
        let measured = RunConfig {
            cutoff_len: if is_packed { config.cutoff_len } else { MOST_TOKENS },
            ..config.clone()
        };
        let bytes: u64 = self.inputs.data.iter().map(|file| file.len_bytes()).sum();
        let (seen, rows, held_out) = match bytes > most_bytes {
            false => {
                let split = spec.datasets(&measured, model, data, validation, emit).await?;
                let (rows, held_out) = (split.train.len(), split.held_out.len());
                (Seen::all(&split.train, &split.held_out), rows, held_out)
            }
            true => {
                let share = most_bytes as f64 / bytes as f64;
                let (examples, all) = first_rows(&spec, (model, data), &measured, share, emit).await?;
                let (rows, held_out) = match validation {
                    Some(validation) => (all, validation.info().rows),
                    None => {
                        let seed = config.data_seed.unwrap_or(config.seed);
                        let (train, held_out) = data::split(all, config.val_size, seed)?;
                        (train.len(), held_out.len())
                    }
                };
                (Seen::all(&examples, &[]), rows, held_out)
            }
        };
        let has_lengths = !is_packed && spec.shape.is_none();
        Ok(RowFacts {
            task: spec.task(),
            compares_batch: spec.objective.loss.compares_batch(),
            takes_probe: spec.takes_probe(config, model, self.adapter.is_some()),
            rows,
            held_out,
            lengths: if has_lengths { seen.lengths } else { Vec::new() },
            longest: seen.longest,
        })
    }

    /// The facts of a run with these rows: the model, and what the run takes.
    async fn with_memory(&self, config: &RunConfig, rows: RowFacts, emit: &mut Emit<'_>) -> Result<Facts> {
        let model = loaded(&self.model)?;
        let device = model.model.device();
        let limit = device::largest_buffer_bytes(device);
        let adapter = self.adapter.as_ref().map(|adapter| &adapter.config);
        // As the run plans it: no more rows at a time than there are, and no more tokens than the longest has.
        let longest = rows.longest.unwrap_or(config.cutoff_len);
        let planned = RunConfig {
            cutoff_len: longest.min(config.cutoff_len),
            per_device_train_batch_size: config.per_device_train_batch_size.min(rows.rows),
            per_device_eval_batch_size: config.per_device_eval_batch_size.min(rows.held_out.max(1)),
            ..config.clone()
        };
        let plain = RunConfig {
            quantization_bit: None,
            fp8: None,
            ..planned.clone()
        };
        let mut peaks = [None, None];
        for (place, config) in [&planned, &plain].into_iter().enumerate() {
            if place == 1 && plain == planned {
                peaks[1] = peaks[0];
                break;
            }
            match estimate(&model.files, config, adapter, limit).await {
                Ok(memory) => peaks[place] = memory.peak_bytes,
                // The advice does without it.
                Err(error) => {
                    emit.warn(error.message());
                    break;
                }
            }
        }
        let [peak_bytes, plain_peak_bytes] = peaks;
        Ok(Facts {
            task: rows.task,
            model: kind(model)?,
            parameters: model.model.info.parameters,
            rows: rows.rows,
            held_out: rows.held_out,
            lengths: rows.lengths,
            most_tokens: model.model.limits().tokens,
            compares_batch: rows.compares_batch,
            takes_probe: rows.takes_probe,
            available_bytes: device::available_bytes(device),
            peak_bytes,
            plain_peak_bytes,
        })
    }

    /// [`crate::protocol::Command::Estimate`].
    pub(super) async fn estimate(&self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let device = loaded(&self.model)?.model.device();
        let (memory, work) = self.memory_and_work(config).await?;
        let learnt = self.pace.as_ref().zip(work.as_ref());
        let learnt = learnt.map(|(last, work)| last.forecast(work, memory.peak_bytes, self.probe.as_ref()));
        let (seconds_per_step, learnt) = match learnt {
            Some((seconds, learnt)) => (Some(seconds), Some(learnt)),
            None => (self.probe.zip(work).map(|(probe, work)| work.seconds(&probe)), None),
        };
        emit.event(Event::Estimate {
            memory,
            available_bytes: device::available_bytes(device),
            seconds_per_step,
            learnt,
        });
        Ok(())
    }

    /// Keeps what a run by `config` took, for the forecasts of the next ones; of a run whose work is not known, nothing.
    pub(super) async fn keep_pace(&mut self, pace: Pace, config: &RunConfig) {
        self.pace = None;
        if let Ok((memory, Some(work))) = self.memory_and_work(config).await {
            let peak_bytes = memory.peak_bytes;
            self.pace = Some(LastPace { pace, work, peak_bytes });
        }
    }

    /// What a run on the loaded model takes of the device, and what there is to do in a step, where that is known.
    async fn memory_and_work(&self, config: &RunConfig) -> Result<(MemoryEstimate, Option<StepWork>)> {
        let loaded = loaded(&self.model)?;
        let adapter = self.adapter.as_ref().map(|adapter| &adapter.config);
        let limit = device::largest_buffer_bytes(loaded.model.device());
        estimate_with_work(&loaded.files, config, adapter, limit).await
    }
}

/// The lengths of rows.
struct Seen {
    /// Of those that are trained on, ascending.
    lengths: Vec<usize>,
    longest: Option<usize>,
}

impl Seen {
    fn all(train: &[Example], held_out: &[Example]) -> Self {
        let mut lengths: Vec<usize> = train.iter().map(|row| tokens(row, true)).collect();
        lengths.sort_unstable();
        let longest = train.iter().chain(held_out).map(|row| tokens(row, false)).max();
        Self {
            lengths,
            longest: longest.filter(|&tokens| tokens > 0),
        }
    }
}

/// Tokens of the longest text of a row, or of its answer; with `counts_cut`, one more where it was cut.
fn tokens(row: &Example, counts_cut: bool) -> usize {
    let texts = std::iter::once(row).chain(&row.others);
    let lengths = texts.map(|text| {
        let tokens = text.input_ids.len().max(text.labels.len());
        tokens + usize::from(counts_cut && text.truncated)
    });
    lengths.max().unwrap_or(0)
}

/// The examples of about this `share` of the rows, the first ones, and how many the rows would have in all.
async fn first_rows(
    spec: &TaskSpec,
    (model, dataset): (&LoadedModel, &Dataset),
    config: &RunConfig,
    share: f64,
    emit: &mut Emit<'_>,
) -> Result<(Vec<Example>, usize)> {
    let all = dataset.info().rows.max(1);
    let most = ((all as f64 * share).ceil() as usize).max(1);
    let mut start = None;
    // How many times so many there are.
    let mut times = all as f64 / most as f64;
    if spec.objective.learns_texts() {
        let mut part = dataset.part(0, most);
        // One text may be the whole file.
        let bytes = |part: &Dataset| part.rows.iter().map(|row| text_bytes(&row.content)).sum::<usize>();
        let before = bytes(&part);
        for row in &mut part.rows {
            if let Content::Text(text) = &mut row.content {
                *text = text.first(PART_BYTES as usize);
            }
        }
        times *= before.max(1) as f64 / bytes(&part).max(1) as f64;
        start = Some(part);
    }
    let rows = Rows {
        most: if start.is_some() { usize::MAX } else { most },
        model,
        dataset: start.as_ref().unwrap_or(dataset),
        config,
        optional: false,
    };
    let examples = spec.examples(&rows, emit).await?;
    let count = (examples.len() as f64 * times).round() as usize;
    Ok((examples, count.min(config.max_samples.unwrap_or(usize::MAX))))
}

/// The bytes of a row that is one text.
fn text_bytes(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.len(),
        _ => 0,
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
