//! What can be had without training: the answers that a tuned model has to beat, on the same validation rows.

use super::answers::{lists, references};
use super::assignment::Assignment;
use super::evaluation::{HeldOut, collate};
use super::retrieval::Corpus;
use crate::baseline::constant::{majority_class, mean};
use crate::baseline::lexical::Bm25;
use crate::baseline::probe::{Features, NearestCentroid, Probe};
use crate::data::{Aim, Example};
use crate::error::Result;
use crate::host::{Emit, Host};
use crate::metrics::answers::Answers;
use crate::models::{Model, read};
use crate::protocol::{Baseline, Stage};
use crate::task::Task;

/// Training rows that a probe learns from where the run learns from fewer: each costs a forward pass.
const PROBE_ROWS: usize = 1000;
/// And at most: a probe on fewer rows than the run's own flatters the run, but its equation takes time and memory, too.
const MOST_PROBE_ROWS: usize = 4000;
/// Of rows of numbers, which are vectors already, what a probe's time and memory allow: products, and numbers in all.
const MOST_PRODUCTS: f64 = 1e10;
const MOST_NUMBERS: usize = 1 << 24;
/// Rows through the model at once.
const ROWS: usize = 8;

/// Answers and how they came about.
#[derive(Debug, Clone)]
pub(crate) struct Untuned {
    pub(crate) name: &'static str,
    pub(crate) answers: Answers,
}

impl Untuned {
    pub(crate) fn scores(&self, task: Task) -> Baseline {
        let mut metrics = self.answers.metrics(task);
        if task == Task::Preference {
            // Likelihoods are no rewards: only which is the larger can be compared.
            metrics.retain(|metric| metric.name == "preference_accuracy");
        }
        Baseline {
            name: self.name.to_owned(),
            metrics,
        }
    }
}

/// All that the task has, where the run goes through `seen` rows of `train`; none without validation rows, or where `stopped`
/// said so on the way.
pub(crate) async fn untuned(
    model: &Model,
    assignment: &Assignment,
    (train, seen): (&[Example], usize),
    held_out: &HeldOut,
    host: Host,
    stopped: &dyn Fn() -> bool,
    emit: &mut Emit<'_>,
) -> Result<Vec<Untuned>> {
    if held_out.examples.is_empty() {
        return Ok(Vec::new());
    }
    let width = assignment.answer.as_ref().map_or(1, |answer| answer.names.len());
    let most = match assignment.shape {
        Some(shape) => numeric_rows(shape.numbers()),
        None => seen.clamp(PROBE_ROWS, MOST_PROBE_ROWS),
    };
    let probed = &train[..train.len().min(most)];
    let (learnt, all, asked) = (labels(probed), labels(train), labels(&held_out.examples));
    let mut features = None;
    if matches!(
        assignment.task(),
        Task::Classification | Task::MultiLabel | Task::Regression
    ) {
        let total = (probed.len() + held_out.examples.len()) as u64;
        let mut done = 0;
        let mut progress = |rows: usize| {
            done += rows as u64;
            let stage = Stage::Evaluate;
            emit.progress(stage, done, total);
        };
        let of_train = vectors(model, probed, host, stopped, &mut progress).await?;
        let of_asked = vectors(model, &held_out.examples, host, stopped, &mut progress).await?;
        features = of_train.zip(of_asked);
        if features.is_none() {
            return Ok(Vec::new());
        }
    }
    let mut found = Vec::new();
    match assignment.task() {
        Task::Classification => {
            let numbers = |labels: &[f32]| -> Vec<usize> { labels.iter().map(|&class| class as usize).collect() };
            let truth = numbers(&asked);
            let classes = |predicted: Vec<usize>| Answers::Classes {
                classes: width,
                truth: truth.clone(),
                predicted,
                probabilities: Vec::new(),
            };
            let most = majority_class(&numbers(&all))?;
            found.push(("majority class", classes(vec![most; truth.len()])));
            if let Some((of_train, of_asked)) = &features {
                let learnt = numbers(&learnt);
                let nearest = NearestCentroid::fit(of_train, &learnt).and_then(|fit| fit.predict(of_asked));
                found.extend(had("nearest centroid", nearest.map(classes), emit));
                let probe = Probe::classes(of_train, &learnt, width).and_then(|fit| fit.predict_classes(of_asked));
                found.extend(had("linear probe", probe.map(classes), emit));
            }
        }
        Task::MultiLabel => {
            let flags = |predicted: Vec<bool>| Answers::Labels {
                labels: width,
                truth: asked.iter().map(|&flag| flag > 0.5).collect(),
                predicted,
                probabilities: Vec::new(),
            };
            let rows = asked.len() / width;
            let mut often = Vec::with_capacity(width);
            for label in 0..width {
                often.push(mean(&column(&all, label, width))? > 0.5);
            }
            found.push(("usual labels", flags(often.repeat(rows))));
            if let Some((of_train, of_asked)) = &features {
                let answered = probe_columns(of_train, of_asked, &learnt, width);
                let answered = answered.map(|shares| flags(shares.iter().map(|share| *share > 0.5).collect()));
                found.extend(had("linear probe", answered, emit));
            }
        }
        Task::Regression => {
            let unscaled = |(i, value): (usize, f64)| assignment.scaling.unscaled(i % width, value);
            let numbers = |predicted: Vec<f64>| Answers::Numbers {
                targets: width,
                truth: asked.iter().map(|&v| f64::from(v)).enumerate().map(unscaled).collect(),
                predicted: predicted.into_iter().enumerate().map(unscaled).collect(),
            };
            let mut means = Vec::with_capacity(width);
            for target in 0..width {
                means.push(mean(&column(&all, target, width))?);
            }
            if assignment.is_forecast() && width == 1 {
                // Rows follow each other, so that the last number that goes into one is the answer to the one before.
                let before = all.last().into_iter().chain(&asked).take(asked.len());
                found.push((
                    "the last value again",
                    numbers(before.map(|&value| f64::from(value)).collect()),
                ));
            }
            found.push(("mean of the training rows", numbers(means.repeat(asked.len() / width))));
            if let Some((of_train, of_asked)) = &features {
                let answered = probe_columns(of_train, of_asked, &learnt, width).map(numbers);
                found.extend(had("linear probe", answered, emit));
            }
        }
        Task::TokenClassification => {
            let numbers = |labels: &[f32]| -> Vec<usize> { labels.iter().map(|&class| class as usize).collect() };
            let truth = numbers(&asked);
            found.push((
                "majority class",
                Answers::Classes {
                    classes: width,
                    predicted: vec![majority_class(&numbers(&all))?; truth.len()],
                    truth,
                    probabilities: Vec::new(),
                },
            ));
        }
        Task::Ranking => {
            let documents = held_out
                .examples
                .iter()
                .flat_map(|example| example.texts.iter().skip(1));
            let words = Bm25::new(&documents.map(String::as_str).collect::<Vec<_>>());
            let mut start = 0;
            let of = |example: &Example| {
                let scores = words.scores(example.texts.first().map_or("", String::as_str));
                let count = example.others.len() + 1;
                start += count;
                scores[start - count..start].to_vec()
            };
            let mut scores = held_out.examples.iter().map(of).collect::<Vec<_>>().into_iter();
            let answered = lists(&held_out.examples, |_| scores.next().unwrap_or_default());
            found.push(("BM25", Answers::Lists(answered)));
        }
        Task::Embedding => {
            // Words rank documents; how alike two texts are is no number of theirs.
            if !assignment.objective.loss.is_of_numbers() {
                found.push(("BM25", Corpus::of(&held_out.examples).by_words()));
            }
            let leaves = model.parameters.plain();
            let (mut values, mut width) = (Vec::new(), 1);
            for batch in &held_out.batches {
                if stopped() {
                    return Ok(Vec::new());
                }
                let vectors = model.vectors(&leaves, batch, false, None);
                width = vectors.dims()[1];
                values.extend(read(vectors.reshape([batch.rows * width])).await?);
                (host.yield_now)().await;
            }
            let answered = assignment.of_vectors(&held_out.examples, &values, width);
            found.push(("untouched model", answered));
        }
        Task::Preference => {
            let both = references(&held_out.examples);
            let pairs = both.chunks_exact(2).map(|pair| (pair[0], pair[1]));
            found.push(("untouched model's likelihood", Answers::Pairs(pairs.collect())));
        }
        Task::Generation => {}
    }
    Ok(found
        .into_iter()
        .map(|(name, answers)| Untuned { name, answers })
        .collect())
}

/// The answers under their name; where there can be none, a word on why: a run does not need them.
fn had(name: &'static str, answers: Result<Answers>, emit: &mut Emit<'_>) -> Option<(&'static str, Answers)> {
    match answers {
        Ok(answers) => Some((name, answers)),
        Err(error) => {
            let message = format!("There is no {name} to compare with: {}.", error.what);
            emit.warn(message);
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
fn labels(examples: &[Example]) -> Vec<f32> {
    let of = |example: &Example| match &example.aim {
        Aim::Row(labels) => labels.clone(),
        Aim::Tokens(labels) => labels.iter().filter(|&&label| label >= 0).map(|&l| l as f32).collect(),
        _ => Vec::new(),
    };
    examples.iter().flat_map(of).collect()
}

fn column(labels: &[f32], place: usize, width: usize) -> Vec<f64> {
    let values = labels.iter().skip(place).step_by(width);
    values.map(|&value| f64::from(value)).collect()
}

/// What a probe for each column answers, row after row.
fn probe_columns(train: &Features, asked: &Features, labels: &[f32], width: usize) -> Result<Vec<f64>> {
    let mut answers = vec![0.0; asked.rows() * width];
    for place in 0..width {
        let probe = Probe::numbers(train, &column(labels, place, width))?;
        for (row, value) in probe.predict(asked)?.into_iter().enumerate() {
            answers[row * width + place] = value;
        }
    }
    Ok(answers)
}

/// The untouched model's vectors of the examples' texts, the mean over their tokens; of numbers, those themselves.
async fn vectors(
    model: &Model,
    examples: &[Example],
    host: Host,
    stopped: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(usize),
) -> Result<Option<Features>> {
    if let Some(width) = examples
        .first()
        .map(|example| example.numbers.len())
        .filter(|&width| width > 0)
    {
        let values = examples.iter().flat_map(|example| example.numbers.iter().copied());
        progress(examples.len());
        return Features::new(values.collect(), width).map(Some);
    }
    let leaves = model.parameters.plain();
    let (mut values, mut width) = (Vec::new(), 1);
    for rows in examples.chunks(ROWS) {
        if stopped() {
            return Ok(None);
        }
        let batch = collate(&rows.iter().collect::<Vec<_>>(), model);
        let vectors = model.vectors(&leaves, &batch, false, None);
        width = vectors.dims()[1];
        values.extend(read(vectors.reshape([batch.rows * width])).await?);
        progress(rows.len());
        (host.yield_now)().await;
    }
    Features::new(values, width).map(Some)
}
