//! Devices that the page finds, does not find, or loses.

use super::files::smollm2;
use super::gpus::went_on;
use super::{device, page_in_a_run, shown_error};
use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_run_goes_on_after_the_end_of_the_gpu_process() -> Result<()> {
    let page = page_in_a_run().await?;
    page.end_gpu_process()?;
    went_on(&page).await?;
    page.screenshots("lost-gpu-1440").await?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_a_gpu_that_is_not_there_is_refused_and_the_switch_offers_the_cpu() -> Result<()> {
    let page = Page::open(&Options {
        webgpu: false,
        ..Options::default()
    })
    .await?;
    let message = shown_error(&page, READY).await?;
    println!("{message}");
    page.set_field("device-choice", "cpu").await?;
    page.wait_enabled("train", READY).await?;
    ensure!(device(&page).await? == "cpu");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn left_to_choose_the_engine_takes_the_cpu_before_a_software_adapter_and_says_so() -> Result<()> {
    let page = Page::open(&Options {
        query: String::new(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    ensure!(device(&page).await? == "cpu");
    let said = page.text("device").await?;
    ensure!(said.contains("software"), "the page does not say why: {said}");
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_measured_tells_its_figures_and_the_time_of_a_step() -> Result<()> {
    let page = Page::open(&Options::default()).await?;
    for name in ["gpu", "cpu"] {
        if name == "cpu" {
            page.set_field("device-choice", name).await?;
        }
        let is_it = format!("return document.querySelector('[data-testid=\"device\"]').dataset.state === '{name}'");
        page.wait_until(name, READY, &is_it).await?;
        page.wait_enabled("train", READY).await?;
        page.click("measure").await?;
        let told = "return document.querySelector('[data-testid=step-time]')?.textContent";
        let time = page.wait_until("the time of a step is told", REACTION, told).await?;
        let figures = page.text("measured").await?;
        println!("{name}: {figures} {time}");
        ensure!(figures.contains("GFLOP/s"), "{name}: {figures}");
    }
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_memory_ends_in_a_message_and_the_page_goes_on() -> Result<()> {
    // 64 MiB for the engine: enough for the page's own model, too little for the largest tensor of SmolLM2.
    let page = Page::open(&Options {
        flags: vec!["--js-flags=--wasm-max-mem-pages=1024"],
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    page.upload("model-input", &[&smollm2()?]).await?;
    let message = shown_error(&page, REACTION).await?;
    println!("{message}");
    ensure!(message.contains("memory"), "the message does not say why: {message}");
    page.click("model-bundled").await?;
    page.wait_enabled("train", READY).await?;
    page.close().await
}
