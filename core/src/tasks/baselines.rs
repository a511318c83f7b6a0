//! Baselines: predictions without training that a tuned model has to beat, on the same validation rows. This is the part that
//! tasks share; each task's file says which baselines it has.

use super::examples::collate;
use super::head_start::{HeadStart, MIDDLE};
use super::{Rules, TaskSpec, by_task};
use crate::baseline::probe::{Features, Probe};
use crate::data::{Batch, Example, Target};
use crate::device::{Pass, make_room};
use crate::error::Result;
use crate::host::Emit;
use crate::metrics::answers::Predictions;
use crate::models::{Model, Waits, read};
use crate::protocol::{self, BaselineKind, Stage};
use crate::task::Task;
use lorakeet_i18n::messages::run as msg;

/// Training rows that a probe learns from where the run learns from fewer: each costs a forward pass.
const PROBE_ROWS: usize = 1000;
/// Training rows of a probe at most. Fewer rows than the run's make the baseline too weak, but the probe takes time and memory.
pub(super) const MOST_PROBE_ROWS: usize = 4000;
/// Of rows of numbers, which are vectors already, what a probe's time and memory allow: products, and numbers in all.
const MOST_PRODUCTS: f64 = 1e10;
const MOST_NUMBERS: usize = 1 << 24;
/// Rows through the model at once.
const ROWS: usize = 8;

/// Predictions and how they were made.
#[derive(Debug, Clone)]
pub(crate) struct Baseline {
    pub(crate) kind: BaselineKind,
    pub(crate) answers: Predictions,
}

impl Baseline {
    /// The scores as a front end shows them.
    pub(crate) fn scores(&self, task: Task) -> protocol::Baseline {
        let mut metrics = self.answers.metrics(task);
        if let Predictions::Pairs(_) = self.answers {
            // Likelihoods are not rewards: only their order can be compared.
            metrics.retain(|metric| metric.name == "preference_accuracy");
        }
        protocol::Baseline {
            kind: self.kind,
            name: self.kind.to_string(),
            metrics,
        }
    }
}

/// What a row's vector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// That of its text by the base model; of numbers, those themselves.
    Vectors,
    /// What the last layer of the run's head reads.
    HeadInputs,
}

/// The inputs of baselines.
pub(crate) struct Probed<'a> {
    pub(super) model: &'a Model,
    pub(super) spec: &'a TaskSpec,
    train: &'a [Example],
    /// The first of `train`, which a probe is fitted to.
    probed: &'a [Example],
    pub(super) held_out: &'a [Example],
    pub(super) batches: &'a [Batch],
    /// Labels of a row.
    pub(super) width: usize,
    /// The probe that the run's head starts from, which is the baseline then.
    start: Option<&'a HeadStart>,
}

/// Vectors of the rows that a probe is fitted to, and of those that it predicts.
pub(super) struct ProbeFeatures {
    pub(super) train: Features,
    pub(super) held_out: Features,
}

impl TaskSpec {
    /// All that the task has, where the run goes through `seen` rows of `train`, on the rows held out and their batches; none
    /// without such rows, or where a stop was asked for on the way. Where the head starts from a probe, `start`, it is that probe.
    pub(crate) async fn baselines(
        &self,
        model: &Model,
        (train, seen): (&[Example], usize),
        (held_out, batches): (&[Example], &[Batch]),
        start: Option<&HeadStart>,
        emit: &mut Emit<'_>,
    ) -> Result<Vec<Baseline>> {
        if held_out.is_empty() {
            return Ok(Vec::new());
        }
        let most = match (start, self.shape) {
            (Some(start), _) => start.features.rows(),
            (None, Some(shape)) => numeric_rows(shape.features()),
            (None, None) => seen.clamp(PROBE_ROWS, MOST_PROBE_ROWS),
        };
        let probed = Probed {
            model,
            spec: self,
            train,
            probed: &train[..train.len().min(most)],
            held_out,
            batches,
            width: self.width(),
            start,
        };
        let found = by_task!(self.task(), R => R::baselines(probed, emit).await?);
        let found = found.into_iter();
        Ok(found.map(|(kind, answers)| Baseline { kind, answers }).collect())
    }

    /// Labels of a row.
    pub(super) fn width(&self) -> usize {
        self.answer.as_ref().map_or(1, |answer| answer.names.len())
    }
}

impl Probed<'_> {
    /// The labels of the rows that a probe is fitted to.
    pub(super) fn probe_labels(&self) -> Vec<f32> {
        labels(self.probed)
    }

    /// The labels of all training rows.
    pub(super) fn train_labels(&self) -> Vec<f32> {
        labels(self.train)
    }

    /// The labels of the rows held out.
    pub(super) fn held_out_labels(&self) -> Vec<f32> {
        labels(self.held_out)
    }

    /// Vectors of the rows' texts by the base model, or what the head reads that starts from a probe of it; `None` where a stop was
    /// asked for on the way.
    pub(super) async fn features(&self, emit: &mut Emit<'_>) -> Result<Option<ProbeFeatures>> {
        let (reads, known) = match self.start {
            Some(start) => (Reads::HeadInputs, Some(start.features.clone())),
            None => (Reads::Vectors, None),
        };
        let others = if known.is_some() { 0 } else { self.probed.len() };
        let total = (others + self.held_out.len()) as u64;
        let mut done = 0;
        let train = match known {
            Some(known) => Some(known),
            None => vectors(self.model, self.probed, reads, (&mut done, total), emit).await?,
        };
        let held_out = vectors(self.model, self.held_out, reads, (&mut done, total), emit).await?;
        let both = train.zip(held_out);
        Ok(both.map(|(train, held_out)| ProbeFeatures { train, held_out }))
    }

    /// The class that a linear probe gives each row held out; `train` are the classes of those that it learns from.
    pub(super) fn probed_classes(&self, features: &ProbeFeatures, train: &[usize]) -> Result<Vec<usize>> {
        match self.start {
            Some(start) => start.classes(&features.held_out),
            None => Probe::classes(&features.train, train, self.width)?.predict_classes(&features.held_out),
        }
    }

    /// What a linear probe for each number gives the rows held out, row after row.
    pub(super) fn probed_numbers(&self, features: &ProbeFeatures) -> Result<Vec<f64>> {
        match self.start {
            Some(start) => start.numbers(&features.held_out),
            None => probe_columns(features, &self.probe_labels(), self.width),
        }
    }

    /// The same for labels that apply, 1, or not, 0.
    pub(super) fn probed_shares(&self, features: &ProbeFeatures) -> Result<Vec<f64>> {
        let middle = if self.start.is_some() { MIDDLE } else { 0.0 };
        let answers = self.probed_numbers(features)?.into_iter();
        Ok(answers.map(|answer| answer + middle).collect())
    }
}

/// The predictions of the baseline `kind`; where it fails, a warning says why, since a run does not need it.
pub(super) fn try_baseline(
    kind: BaselineKind,
    answers: Result<Predictions>,
    emit: &mut Emit<'_>,
) -> Option<(BaselineKind, Predictions)> {
    match answers {
        Ok(answers) => Some((kind, answers)),
        Err(error) => {
            let kind = kind.message();
            let because = error.what;
            emit.warn(msg::NoBaseline { kind, because });
            None
        }
    }
}

/// How many rows of `width` numbers a probe learns from: its time grows with rows · width · the lesser of the two.
fn numeric_rows(width: usize) -> usize {
    let most = MOST_PRODUCTS / width.max(1) as f64;
    let rows = (most / width.max(1) as f64).max(most.sqrt().min(width as f64));
    (rows as usize).min(MOST_NUMBERS / width.max(1)).max(1)
}

/// The labels of all rows, row after row.
pub(super) fn labels(examples: &[Example]) -> Vec<f32> {
    let of = |example: &Example| match &example.target {
        Target::Row(labels) => labels.clone(),
        Target::Tokens(labels) => labels.iter().filter(|&&label| label >= 0).map(|&l| l as f32).collect(),
        _ => Vec::new(),
    };
    examples.iter().flat_map(of).collect()
}

/// Labels as numbers of classes.
pub(super) fn column_of_classes(labels: &[f32]) -> Vec<usize> {
    labels.iter().map(|&class| class as usize).collect()
}

/// One of `width` labels of each row.
pub(super) fn column(labels: &[f32], place: usize, width: usize) -> Vec<f64> {
    let values = labels.iter().skip(place).step_by(width);
    values.map(|&value| f64::from(value)).collect()
}

/// What a probe for each column answers, row after row.
fn probe_columns(features: &ProbeFeatures, labels: &[f32], width: usize) -> Result<Vec<f64>> {
    let mut answers = vec![0.0; features.held_out.rows() * width];
    for place in 0..width {
        let probe = Probe::numbers(&features.train, &column(labels, place, width))?;
        for (row, value) in probe.predict(&features.held_out)?.into_iter().enumerate() {
            answers[row * width + place] = value;
        }
    }
    Ok(answers)
}

/// The vectors of the examples; `None` where a stop was asked for.
pub(super) async fn vectors(
    model: &Model,
    examples: &[Example],
    reads: Reads,
    (done, total): (&mut u64, u64),
    emit: &mut Emit<'_>,
) -> Result<Option<Features>> {
    if let Some(width) = examples
        .first()
        .map(|example| example.features.len())
        .filter(|&width| width > 0 && reads == Reads::Vectors)
    {
        let values = examples.iter().flat_map(|example| example.features.iter().copied());
        *done += examples.len() as u64;
        emit.progress(Stage::Evaluate, *done, total);
        return Features::new(values.collect(), width).map(Some);
    }
    let leaves = model.parameters.plain();
    let (mut values, mut width) = (Vec::new(), 1);
    let mut waits = Waits::new(&emit.host);
    for rows in examples.chunks(ROWS) {
        if emit.control.is_stopped() {
            return Ok(None);
        }
        let batch = collate(&rows.iter().collect::<Vec<_>>(), model);
        make_room(model.device(), Pass::over(&batch, false));
        let adapts = reads == Reads::HeadInputs;
        let leaves = model.through_layers(&leaves, &batch, adapts, &mut waits).await?;
        let vectors = match reads {
            Reads::Vectors => model.vectors(&leaves, &batch, false, None),
            Reads::HeadInputs => model.head_inputs(&leaves, &batch)?,
        };
        width = vectors.dims()[1];
        values.extend(read(vectors.reshape([batch.rows * width])).await?);
        *done += rows.len() as u64;
        emit.progress(Stage::Evaluate, *done, total);
        (emit.host.yield_now)().await;
    }
    Features::new(values, width).map(Some)
}
