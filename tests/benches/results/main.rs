//! What tuning buys on real data: all-MiniLM-L6-v2 and a small model from nothing on real texts, against baselines that need no
//! training. Prints the measured parts of `docs/results.md`.
//!
//! `cargo xtask bench results` runs the run files of `docs/runs`, `cargo xtask bench results-NAME` one of them; it takes an
//! hour or two, so a run of all benches leaves it out. Each run file is also written with full paths beside the data that are
//! made for it, so that `lorakeet --device cpu train FILE` repeats it.

mod corpora;

use anyhow::{Context, Result, bail};
use corpora::Parts;
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{DeviceChoice, Event, Metric, Report};
use lorakeet_core::store::{DiskFile, Source};
use lorakeet_tests::{golden::block_on, test_session::TestSession};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A run file of `docs/runs`, where its rows come from (the folder of fetched data, that of bundled data, a seed), and its
/// seeds.
struct Run {
    name: &'static str,
    rows: fn(&Path, &Path, u64) -> Result<Parts>,
    seeds: &'static [u64],
}

const RUNS: [Run; 5] = [
    Run {
        name: "reuters",
        rows: corpora::reuters,
        seeds: &[42, 43],
    },
    Run {
        name: "lee",
        rows: corpora::lee,
        seeds: &[42, 43, 44],
    },
    Run {
        name: "headwords",
        rows: corpora::headwords,
        seeds: &[42, 43],
    },
    Run {
        name: "authors",
        rows: corpora::authors,
        seeds: &[42, 43, 44],
    },
    Run {
        name: "chinese",
        rows: corpora::chinese,
        seeds: &[42, 43, 44],
    },
];

fn main() -> Result<()> {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let Some(word) = word.filter(|word| word.starts_with("results")) else {
        eprintln!("results: left out; `cargo xtask bench results` runs it");
        return Ok(());
    };
    let mut runs = RUNS
        .iter()
        .filter(|run| format!("results-{}", run.name).contains(&word));
    let Some(first) = runs.next() else {
        let names = RUNS.map(|run| format!("results-{}", run.name));
        bail!("there is no {word}; there are results, {}", names.join(", "));
    };
    for run in [first].into_iter().chain(runs) {
        run.show().with_context(|| run.name)?;
    }
    Ok(())
}

impl Run {
    /// Runs each seed and prints what it came to.
    fn show(&self) -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("results");
        fs::create_dir_all(&folder)?;
        println!("## {}\n", self.name);
        for seed in self.seeds {
            self.write_rows(&root, &folder, *seed)?;
            let config = self.config(&root, &folder, *seed)?;
            let started = Instant::now();
            let session = train(&config)?;
            print(&session, *seed, started.elapsed().as_secs_f64())?;
        }
        Ok(())
    }

    /// Makes the rows, and the model where it comes with them.
    fn write_rows(&self, root: &Path, folder: &Path, seed: u64) -> Result<()> {
        let parts = (self.rows)(&named("LORAKEET_DATASETS")?, &root.join("public/data"), seed)?;
        for (part, rows) in [
            ("train", &parts.train),
            ("validation", &parts.validation),
            ("test", &parts.test),
        ] {
            println!("{} {part} rows", rows.len());
            let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
            fs::write(folder.join(format!("{}-{part}.jsonl", self.name)), lines)?;
        }
        for (name, content) in &parts.model {
            let model = folder.join(format!("{}-model", self.name));
            fs::create_dir_all(&model)?;
            fs::write(model.join(name), content.to_string())?;
        }
        Ok(())
    }

    /// The run file with full paths, which is also written into `folder`.
    fn config(&self, root: &Path, folder: &Path, seed: u64) -> Result<RunConfig> {
        let file = root.join("docs/runs").join(format!("{}.yaml", self.name));
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut config = RunConfig::parse(&text, &file.display().to_string())?.config;
        let model = match config.model_name_or_path.as_str() {
            "all-MiniLM-L6-v2" => named("LORAKEET_MINILM")?,
            made => folder.join(made),
        };
        let place = |path: &Path| path.display().to_string();
        config.model_name_or_path = place(&model);
        config.train_file = place(&folder.join(&config.train_file));
        config.validation_file = config.validation_file.map(|name| place(&folder.join(name)));
        config.output_dir = place(&folder.join(self.name));
        config.seed = seed;
        let written = folder.join(format!("{}.yaml", self.name));
        fs::write(&written, config.to_yaml())?;
        eprintln!("results: seed {seed} of {}", written.display());
        Ok(config)
    }
}

fn train(config: &RunConfig) -> Result<TestSession> {
    let data = DiskFile::source(Path::new(&config.train_file))?;
    let mut session = TestSession::with(DeviceChoice::Cpu, files(Path::new(&config.model_name_or_path))?, data);
    let validation = config.validation_file.as_ref().context("no validation_file")?;
    block_on(
        session
            .inner
            .load_validation(vec![DiskFile::source(Path::new(validation))?]),
    )?;
    session.train(config.clone());
    Ok(session)
}

/// The baselines, the model before and after, and what that means.
fn print(session: &TestSession, seed: u64, seconds: f64) -> Result<()> {
    let report = |event: &Event| match event {
        Event::Report(report) => Some((**report).clone()),
        _ => None,
    };
    let Some(report) = session.events.iter().rev().find_map(report) else {
        bail!("the run came to no report: {:?}", session.events.last());
    };
    let Report { metrics, baselines, .. } = &report;
    let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
    println!("\nSeed {seed}, {seconds:.0} s, {}:\n", tokens(session));
    println!("| | {} |", names.join(" | "));
    println!("| --- |{}", " ---: |".repeat(names.len()));
    let row = |name: &str, metrics: &[Metric]| {
        let value = |name: &&str| metrics.iter().find(|metric| metric.name == **name);
        let values = names.iter().map(|name| match value(name) {
            Some(metric) => format!(" {:.3} |", metric.value),
            None => " |".to_owned(),
        });
        println!("| {name} |{}", values.collect::<String>());
    };
    for baseline in baselines {
        row(&baseline.name, &baseline.metrics);
    }
    row("tuned", metrics);
    println!("\n{}\n", report.sentence.english());
    Ok(())
}

/// How many tokens were learnt from, in how many steps.
fn tokens(session: &TestSession) -> String {
    session.steps().last().map_or_else(String::new, |step| {
        format!("{} steps, {} tokens", step.step, step.num_input_tokens_seen)
    })
}

fn named(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable);
    Ok(path
        .with_context(|| format!("{variable} is not set; cargo xtask bench sets it"))?
        .into())
}

/// All files of a model's folder.
fn files(folder: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths.iter().map(DiskFile::source).collect::<Result<_, _>>()?)
}
