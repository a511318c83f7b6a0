//! What small models learn from fresh weights on images and on time series: Fashion-MNIST and the UCR archive, on the sets' own
//! test rows, beside what needs no training. Prints the tables of `docs/results-lessons.md`.
//!
//! `cargo xtask bench lessons`; takes a quarter of an hour, so a run of all benches leaves it out. One setting for each kind of
//! data, the last weights whatever their score, and no look at the test rows on the way. Beside the run's own baselines
//! stands the nearest neighbour (by Euclid's distance on the same scaled rows), which the archive itself compares with.

use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_core::data::{Columns, Dataset, Labelled, LabelledRow, labels_of};
use lorakeet_core::protocol::{Event, Metric, Report, RunInfo};
use lorakeet_core::store::{DiskFile, Source};
use lorakeet_tests::{golden::block_on, test_session::TestSession};
use std::path::{Path, PathBuf};
use std::time::Instant;

const DATA: &str = "LORAKEET_LESSONS";
const SEEDS: [u64; 3] = [42, 43, 44];

/// Data, and the models that are trained on it.
struct Lesson {
    name: &'static str,
    train: &'static str,
    test: &'static str,
    models: &'static [&'static str],
    metric: &'static str,
    seeds: usize,
    settings: &'static str,
}

const LESSONS: [Lesson; 4] = [
    Lesson {
        name: "GunPoint",
        train: "GunPoint_TRAIN.ts",
        test: "GunPoint_TEST.ts",
        models: &["small_series", "small_mlp", "small_gru"],
        metric: "accuracy",
        seeds: 3,
        settings: SERIES,
    },
    Lesson {
        name: "ItalyPowerDemand",
        train: "ItalyPowerDemand_TRAIN.ts",
        test: "ItalyPowerDemand_TEST.ts",
        models: &["small_series", "small_mlp", "small_lstm"],
        metric: "accuracy",
        seeds: 3,
        settings: SERIES,
    },
    Lesson {
        name: "Tecator",
        train: "Tecator_TRAIN.ts",
        test: "Tecator_TEST.ts",
        models: &["small_series", "small_mlp"],
        metric: "rmse",
        seeds: 3,
        settings: SERIES,
    },
    Lesson {
        name: "Fashion-MNIST",
        train: "train-images-idx3-ubyte",
        test: "t10k-images-idx3-ubyte",
        models: &["small_vit", "small_mlp"],
        metric: "accuracy",
        seeds: 1,
        settings: IMAGES,
    },
];

const SERIES: &str =
    "batch_size: 16\naccumulation_steps: 1\nlearning_rate: 2e-3\nmax_steps: 600\nhidden_dropout_prob: 0.1\n";
/// A twelfth of the training images: what two slow cores learn in some minutes.
const IMAGES: &str = "max_samples: 5000\nbatch_size: 50\naccumulation_steps: 1\nlearning_rate: 2e-3\nepochs: 10\n";

fn main() -> Result<()> {
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    if !filter.is_some_and(|word| "lessons".starts_with(&word)) {
        eprintln!("lessons: left out; `cargo xtask bench lessons` runs it");
        return Ok(());
    }
    let folder = PathBuf::from(std::env::var_os(DATA).with_context(|| format!("{DATA} names no folder"))?);
    println!(
        "| data | model | weights | rows | metric | without training | nearest neighbour | model | verdict | seconds |"
    );
    println!("| --- | --- | ---: | ---: | --- | --- | ---: | ---: | --- | ---: |");
    for lesson in &LESSONS {
        let neighbour = match lesson.metric {
            "accuracy" if lesson.seeds > 1 => format!("{:.3}", neighbour(&folder, lesson)?),
            _ => "—".to_owned(),
        };
        for model in lesson.models {
            let mut values = Vec::new();
            let started = Instant::now();
            let mut first = None;
            for seed in &SEEDS[..lesson.seeds] {
                let done = run(&folder, lesson, model, *seed).with_context(|| format!("{model} on {}", lesson.name))?;
                values.push(value(&done.last, lesson.metric)?);
                first.get_or_insert(done);
            }
            let Done { info, report, .. } = first.context("no seed")?;
            let baselines = report.baselines.iter().map(|baseline| {
                let value = value(&baseline.metrics, lesson.metric).unwrap_or(f64::NAN);
                format!("{} {value:.3}", baseline.name)
            });
            println!(
                "| {} | {model} | {} | {} + {} | {} | {} | {neighbour} | {} | {:?} | {:.0} |",
                lesson.name,
                info.all_parameters,
                info.train_examples,
                info.eval_examples,
                lesson.metric,
                baselines.collect::<Vec<_>>().join(", "),
                values
                    .iter()
                    .map(|value| format!("{value:.3}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                report.verdict.context("no verdict")?,
                started.elapsed().as_secs_f64() / lesson.seeds as f64,
            );
        }
    }
    Ok(())
}

struct Done {
    info: RunInfo,
    report: Report,
    last: Vec<Metric>,
}

fn run(folder: &Path, lesson: &Lesson, model: &str, seed: u64) -> Result<Done> {
    let text = format!(
        "model: {model}\ntrain_file: {}\nseed: {seed}\nper_device_eval_batch_size: 250\nsave_steps: 0\n{}",
        lesson.train, lesson.settings
    );
    let config = RunConfig::parse(&text, "run.yaml")?.config;
    let mut session = TestSession::small(model, sources(folder, lesson.train)?);
    block_on(session.inner.load_validation(sources(folder, lesson.test)?))?;
    session.train(config);
    ensure!(
        matches!(session.events.last(), Some(Event::Done(_))),
        "the run ended with {:?}",
        session.events.last()
    );
    let mut done = (None, None);
    for event in &session.events {
        match event {
            Event::Started(info) => done.0 = Some(info.clone()),
            Event::Report(report) => done.1 = Some(report.as_ref().clone()),
            _ => {}
        }
    }
    let last = session.evals().pop().context("no score")?.metrics;
    let (info, report) = (done.0.context("no run")?, done.1.context("no report")?);
    Ok(Done { info, report, last })
}

/// A file, and behind images their labels.
fn sources(folder: &Path, name: &str) -> Result<Vec<Source>> {
    let mut files: Vec<Source> = vec![DiskFile::source(folder.join(name))?];
    if let Some(labels) = labels_of(name) {
        files.push(DiskFile::source(folder.join(labels))?);
    }
    Ok(files)
}

fn value(metrics: &[Metric], name: &str) -> Result<f64> {
    let found = metrics.iter().find(|metric| metric.name == name);
    Ok(found.with_context(|| format!("no {name}"))?.value)
}

/// The share of test rows whose nearest training row is of their class.
fn neighbour(folder: &Path, lesson: &Lesson) -> Result<f64> {
    let read = |name: &str| -> Result<Labelled> {
        let bytes = std::fs::read(folder.join(name))?;
        Ok(Dataset::parse(name, &bytes)?.numeric(&Columns::default())?)
    };
    let (train, test) = (read(lesson.train)?, read(lesson.test)?);
    let known: Vec<Vec<f64>> = train.rows.iter().map(normed).collect();
    let is_right = |row: &&LabelledRow| {
        let asked = normed(row);
        let distance = |row: &Vec<f64>| row.iter().zip(&asked).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let nearest = (0..known.len()).min_by(|a, b| distance(&known[*a]).total_cmp(&distance(&known[*b])));
        nearest.is_some_and(|nearest| train.rows[nearest].values == row.values)
    };
    Ok(test.rows.iter().filter(is_right).count() as f64 / test.rows.len() as f64)
}

/// A series by its own mean and deviation.
fn normed(row: &LabelledRow) -> Vec<f64> {
    let numbers = || row.features.iter().map(|&number| f64::from(number));
    let count = row.features.len() as f64;
    let mean = numbers().sum::<f64>() / count;
    let deviation = (numbers().map(|number| (number - mean).powi(2)).sum::<f64>() / count).sqrt();
    numbers().map(|number| (number - mean) / deviation.max(1e-12)).collect()
}
