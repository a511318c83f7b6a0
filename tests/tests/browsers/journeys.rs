//! All ways of `lorakeet_tests::journeys`, those with real models, too, in each browser: what they take is printed.

use super::options;
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::driver::Browser;
use lorakeet_tests::journeys;
use std::path::PathBuf;
use std::time::Instant;

/// A model that `cargo xtask test browsers` fetches.
fn model(variable: &str) -> Result<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    path.with_context(|| format!("{variable} does not name the model; `cargo xtask test browsers` fetches it"))
}

/// Walks one way in a browser of its own.
async fn walk_one(options: &Options, way: &str) -> Result<()> {
    let started = Instant::now();
    let page = Page::open(options).await?;
    match way {
        "learner" => journeys::learner(&page).await?,
        "engineer" => journeys::engineer(&page).await?,
        "mistakes" => journeys::mistakes(&page).await?,
        "classifier" => journeys::classifier(&page, &model("LORAKEET_MINILM")?).await?,
        _ => journeys::chat(&page, &model("LORAKEET_SMOLLM2")?).await?,
    }
    let name = format!("{:?}{}-{way}", options.browser, options.query.replace("?device=", "-")).to_lowercase();
    page.screenshots(&name).await?;
    println!("{name}: {:.0} s", started.elapsed().as_secs_f64());
    page.no_panic()?;
    page.close().await
}

/// Walks all of them, and tells of every one that ends early.
async fn walk(options: &Options) -> Result<()> {
    let mut faults = Vec::new();
    for way in ["learner", "engineer", "mistakes", "classifier", "chat"] {
        if let Err(error) = walk_one(options, way).await {
            faults.push(format!("{way}: {error:#}"));
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
    Ok(())
}

fn on_cpu(browser: Browser) -> Options {
    options(browser, "?device=cpu".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_is_open_in_chromium_on_its_gpu() -> Result<()> {
    walk(&Options {
        webgpu: true,
        ..options(Browser::Chromium, "?device=gpu".into())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_is_open_in_chromium_on_the_cpu() -> Result<()> {
    walk(&on_cpu(Browser::Chromium)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_is_open_in_firefox() -> Result<()> {
    walk(&on_cpu(Browser::Firefox)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_is_open_in_webkit() -> Result<()> {
    walk(&on_cpu(Browser::WebKit)).await
}
