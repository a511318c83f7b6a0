//! GPUs that have less than others, and GPUs that fail: how the page trains on the ones, and what it says of the others.

use super::{device, shorten, shown_error};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::gpu_shim::{GpuFault, GpuShim};
use lorakeet_tests::user_actions::{REACTION, READY, STEP};

/// Launches of a step of the page's own model, all linears with adapters and dropout. It may go down, never up.
const MOST_LAUNCHES: u64 = 385;
/// Submits of such a step.
const MOST_SUBMITS: u64 = 5;

pub(super) async fn open(shim: GpuShim) -> Result<Page> {
    let page = Page::open(&Options {
        gpu_shim: Some(shim),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    ensure!(device(&page).await? == "gpu", "the engine does not run on the GPU");
    Ok(page)
}

/// The same in a run that has taken two of its many steps.
pub(super) async fn open_in_a_run(shim: GpuShim) -> Result<Page> {
    let page = open(shim).await?;
    shorten(&page, "500").await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;
    Ok(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_without_features_and_with_the_lowest_limits_trains() -> Result<()> {
    let page = open(GpuShim {
        hides_features: true,
        lowest_limits: true,
        ..GpuShim::default()
    })
    .await?;
    let answer = page.gpu().await?;
    for feature in ["timestamp-query", "shader-f16", "subgroups"] {
        ensure!(
            !answer.features.iter().any(|name| name == feature),
            "{feature} is there"
        );
    }
    for (limit, value) in [
        ("maxStorageBuffersPerShaderStage", 8),
        ("maxComputeWorkgroupStorageSize", 16_384),
        ("maxComputeInvocationsPerWorkgroup", 256),
        ("maxStorageBufferBindingSize", 128 << 20),
        ("maxBufferSize", 256 << 20),
    ] {
        ensure!(answer.limits.get(limit) == Some(&value), "{limit}: {:?}", answer.limits);
    }
    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_takes_no_more_launches_than_it_did() -> Result<()> {
    let page = open(GpuShim::default()).await?;
    shorten(&page, "8").await?;
    page.train_to_the_end().await?;
    let answer = page.gpu().await?;
    let step = answer.of_a_step().context("steps that are alike")?;
    println!("{step:?}");
    // Kernels are compiled before the first step.
    let steps = answer.between.iter().filter(|counts| counts.launches >= step.launches);
    let compiled: Vec<u64> = steps.map(|counts| counts.pipelines).collect();
    ensure!(
        compiled.iter().all(|count| *count == 0),
        "compiled in steps: {compiled:?}"
    );
    ensure!(step.launches <= MOST_LAUNCHES, "{} launches", step.launches);
    ensure!(step.submits <= MOST_SUBMITS, "{} submits", step.submits);
    ensure!(step.maps == 1, "{} maps", step.maps);
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gpu_reports_ends_the_run_in_a_message_and_a_restart() -> Result<()> {
    let page = open(GpuShim::default()).await?;
    shorten(&page, "500").await?;
    for (fault, said) in [
        (GpuFault::Validation, "a fake validation error"),
        (GpuFault::Internal, "a fake internal error"),
    ] {
        page.click("train").await?;
        page.wait_for_step(2).await?;
        page.break_gpu(fault).await?;
        let message = shown_error(&page, REACTION).await?;
        println!("{fault:?}: {message}");
        ensure!(message.contains(said), "{fault:?}: {message}");
        page.no_panic()?;
        page.click("restart").await?;
        page.wait_enabled("train", READY).await?;
    }
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_in_halves_after_the_gpu_s_memory_was_full() -> Result<()> {
    let page = open_in_a_run(GpuShim::default()).await?;
    page.break_gpu(GpuFault::Memory).await?;
    let told =
        "return document.querySelector('[data-testid=\"notes\"]')?.textContent.includes('memory was full in step')";
    page.wait_until("the page says so", REACTION, told).await?;
    let step = page.run(&format!("return {STEP}"), Vec::new()).await?;
    let step = step.as_u64().context("a step")?;
    page.wait_until("the run goes on", READY, &format!("return {STEP} > {step}"))
        .await?;
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

/// The run that was under way has gone on by itself, which the page says.
pub(super) async fn went_on(page: &Page) -> Result<()> {
    let goes_on = format!(
        "return document.querySelector('[data-testid=\"notes\"]')?.textContent.includes('The GPU was lost after step') \
         && {STEP} >= 3"
    );
    page.wait_until("the run goes on", READY, &goes_on).await?;
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_a_run_that_lost_its_gpu_says_that_it_starts_anew() -> Result<()> {
    let page = Page::open(&Options {
        gpu_shim: Some(GpuShim::default()),
        missing: vec!["shelf"],
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let told = page.text("no-store").await?;
    ensure!(told.contains("no run can be continued"), "{told}");
    shorten(&page, "500").await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;
    page.break_gpu(GpuFault::Destroyed).await?;
    let said =
        "return document.querySelector('[data-testid=\"notes\"]')?.textContent.includes('starts from the beginning')";
    page.wait_until("it says so", READY, said).await?;
    page.wait_until("it trains", READY, &format!("return {STEP} >= 1"))
        .await?;
    let notes = page.content("[data-testid=\"notes\"]").await?;
    ensure!(notes.contains("no checkpoint to resume from"), "{notes}");
    ensure!(!notes.contains("the run continues"), "{notes}");
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_after_it_lost_its_gpu_does_not_go_on() -> Result<()> {
    let page = open_in_a_run(GpuShim::default()).await?;
    page.break_gpu(GpuFault::Destroyed).await?;
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    let notes = page.content("[data-testid=\"notes\"]").await?;
    ensure!(!notes.contains("The GPU was lost after step"), "{notes}");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_loss_the_page_asks_three_times_for_a_gpu_and_then_offers_the_cpu() -> Result<()> {
    // The third engine that asks gets one.
    let page = open_in_a_run(GpuShim {
        refused: &[2, 3],
        ..GpuShim::default()
    })
    .await?;
    page.break_gpu(GpuFault::Destroyed).await?;
    went_on(&page).await?;
    ensure!(device(&page).await? == "gpu");
    page.close().await?;

    // None does.
    let page = open_in_a_run(GpuShim {
        refused: &[2, 3, 4],
        ..GpuShim::default()
    })
    .await?;
    page.break_gpu(GpuFault::Destroyed).await?;
    let no_adapter =
        "return document.querySelector('[data-testid=\"error\"]')?.textContent.includes('no WebGPU adapter')";
    page.wait_until("the last try fails", READY, no_adapter).await?;
    // It does not ask for ever: were there a fourth try, it would get an adapter.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    page.click("use-cpu").await?;
    let trains = format!("return {STEP} >= 3");
    page.wait_until("the run goes on", READY, &trains).await?;
    ensure!(device(&page).await? == "cpu");
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_told_what_would_end_its_page() -> Result<()> {
    let page = Page::open(&Options {
        flags: vec![
            "--user-agent=Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 Mobile Safari",
        ],
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    for (knob, value) in [("per_device_train_batch_size", "512"), ("max_steps", "3")] {
        page.set_knob(knob, value).await?;
    }
    page.click("train").await?;
    let message = shown_error(&page, REACTION).await?;
    println!("{message}");
    ensure!(message.contains("1024 MiB"), "{message}");
    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    page.close().await
}
