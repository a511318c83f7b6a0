//! Ways through the page that need no model but its own, on the CPU. `cargo xtask test browsers` walks them, and those with real
//! models, in every browser.

use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page, selector};
use lorakeet_tests::journeys;
use lorakeet_tests::user_actions::READY;
use serde_json::json;

/// A browser without WebGPU, which is left to find that out.
async fn open() -> Result<Page> {
    let page = Page::open(&Options {
        webgpu: false,
        query: String::new(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let device = format!("return document.querySelector('{}').dataset.state", selector("device"));
    ensure!(
        page.run(&device, vec![]).await? == json!("cpu"),
        "without WebGPU it is the CPU"
    );
    println!("{}", page.text("device").await?);
    Ok(page)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_trains_reads_the_verdict_tries_looks_inside_and_shares() -> Result<()> {
    let page = open().await?;
    journeys::learner(&page).await?;
    page.screenshots("journey-learner").await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_goes_from_run_file_to_run_file_and_mistakes_have_ways_out() -> Result<()> {
    let page = open().await?;
    journeys::engineer(&page).await?;
    journeys::mistakes(&page).await?;
    page.no_panic()?;
    page.close().await
}
