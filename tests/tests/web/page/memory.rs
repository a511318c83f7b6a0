//! The GPU's memory as Chromium gives it: what a run makes of buffers, and what it destroys.

use super::gpus::open;
use super::{READY, shown_error};
use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_core::estimate::estimate;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::store::{DiskFile, Source};
use lorakeet_tests::gpu_shim::GpuShim;
use std::path::Path;

/// What buffers may take, of what the run is said to take.
const MOST: f64 = 1.3;
/// Bind groups that a step makes, of four launches, at most, where it binds what the steps before it bound. (Measured: 194 for 311
/// launches.) Each mask of dropout has a seed of its own in a buffer of its own, in three launches of a linear.
const GROUPS_OF_FOUR: u64 = 3;
/// Buffers of a GPU that is too small for a run of [`LARGE`].
const SMALL_GPU_BYTES: u64 = 200 << 20;
/// Rows of a run that takes more.
const LARGE: &str = "64";

/// What the run of these settings on the page's own model is said to take.
async fn said_bytes(run_file: &str) -> Result<u64> {
    let config = RunConfig::parse(run_file, "run.yaml")?.config;
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/model");
    let names = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ];
    let files = names.map(|name| DiskFile::source(public.join(name)));
    let files = files.into_iter().collect::<Result<Vec<Source>, _>>()?;
    let files = ModelFiles::open(files).await?;
    let memory = estimate(&files, &config, None, 1 << 30).await?;
    memory.peak_bytes.context("the peak of this run is known")
}

/// Trains for so many steps on rows of such lengths, and gives the most bytes of buffers from each map to the next, in shares of
/// what the run is said to take.
async fn shares(knobs: &[(&str, &str)]) -> Result<Vec<f64>> {
    let page = open(GpuShim::default()).await?;
    for (knob, value) in knobs {
        page.set_knob(knob, value).await?;
    }
    let said = said_bytes(&page.run_file().await?).await?;
    page.train_to_the_end().await?;
    let answer = page.gpu().await?;
    page.no_panic()?;
    page.close().await?;
    let most = answer
        .between
        .iter()
        .map(|counts| counts.most_bytes as f64 / said as f64);
    let most: Vec<f64> = most.collect();
    println!("{knobs:?}: said {said} bytes, of which there were at most {most:.2?}");
    println!("{:?}", answer.counts);
    let step = answer.of_a_step().context("steps that are alike")?;
    let alike = answer.between.iter().filter(|counts| counts.launches == step.launches);
    let groups = alike.map(|counts| counts.bind_groups).min().unwrap_or(step.launches);
    println!("{} launches, {groups} bind groups", step.launches);
    ensure!(
        4 * groups <= GROUPS_OF_FOUR * step.launches,
        "{groups} bind groups for {} launches",
        step.launches
    );
    Ok(most)
}

#[tokio::test(flavor = "multi_thread")]
async fn buffers_take_little_more_than_a_run_is_said_to_take() -> Result<()> {
    let knobs = [
        ("per_device_eval_batch_size", "4"),
        ("val_size", "8"),
        ("max_steps", "24"),
    ];
    // Rows of which most are cut have one length; many lengths are a native test's.
    let own = [("per_device_train_batch_size", "8"), ("cutoff_len", "24")];
    let found = shares(&[&knobs[..], &own].concat()).await?;
    let (first, last) = found.split_at(found.len() / 2);
    let most = |shares: &[f64]| shares.iter().copied().fold(0.0, f64::max);
    ensure!(most(&found) <= MOST, "{} at most", most(&found));
    // Of what is free, a few megabytes may stay.
    ensure!(
        most(last) <= 1.1 * most(first),
        "from {} to {}",
        most(first),
        most(last)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_the_gpu_has_no_memory_for_is_refused_before_its_first_step() -> Result<()> {
    let page = open(GpuShim {
        memory_bytes: Some(SMALL_GPU_BYTES),
        ..GpuShim::default()
    })
    .await?;
    for (knob, value) in [("per_device_train_batch_size", LARGE), ("max_steps", "3")] {
        page.set_knob(knob, value).await?;
    }
    ensure!(said_bytes(&page.run_file().await?).await? > SMALL_GPU_BYTES.max(256 << 20));
    page.click("train").await?;
    let message = shown_error(&page, READY).await?;
    println!("{message}");
    ensure!(
        message.contains("could not provide it") && message.contains("per_device_train_batch_size"),
        "{message}"
    );
    // Nothing of the trial is left, and a smaller run goes.
    page.shorten("3").await?;
    page.train_to_the_end().await?;
    page.no_panic()?;
    page.close().await
}
