//! Training steps in a real Chromium, on WebGPU and on the CPU in WebAssembly: one JSON object a line.
//!
//! Each measurement runs in a worker of its own, with a memory and a first step of its own. `cargo xtask bench --browser`
//! builds the worker and runs all; a word behind it picks those whose name (`mlp gpu`) contains it.

use anyhow::{Context, Result, bail};
use lorakeet_bench::{CASES, Measurement};
use lorakeet_tests::browser::{Options, Page};
use serde_json::json;
use std::time::Duration;

/// One measurement on a software adapter, kernels compiled on the way.
const LIMIT: Duration = Duration::from_secs(900);
/// Predictions as soon as there is an answer, else after half a minute: asking a page ten times a second would slow the worker.
const RESULT: &str = "return Promise.race([window.result, new Promise((wake) => setTimeout(wake, 30000, null))])";

#[tokio::main]
async fn main() -> Result<()> {
    // cargo itself passes `--bench`.
    let filter = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let hardware = std::env::var_os("LORAKEET_HARDWARE").is_some();
    let page = Page::open(&Options {
        hardware,
        ..Options::default()
    })
    .await?;
    let mut failed = Vec::new();
    for device in ["gpu", "cpu"] {
        for case in CASES.iter().filter(|case| !case.needs_model()) {
            let words = format!("{} {device}", case.name);
            if !words.contains(&filter) {
                continue;
            }
            eprintln!("{words}: measuring");
            match measure(&page, &words).await {
                Ok(measurement) => println!("{}", serde_json::to_string(&measurement)?),
                Err(error) => {
                    eprintln!("{words}: {error:#}\n{}", page.console());
                    failed.push(words);
                    // Ends a worker that may still run, lest the next one be measured beside it.
                    page.client.refresh().await?;
                }
            }
        }
    }
    page.close().await?;
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("these measurements failed: {}", failed.join(", "))
    }
}

async fn measure(page: &Page, words: &str) -> Result<Measurement> {
    page.run("window.result = measure(arguments[0])", vec![json!(words)])
        .await?;
    let result = page.wait_until("the worker answers", LIMIT, RESULT).await?;
    let text = result.as_str().context("a worker answers in text")?;
    // What is no measurement is the worker's own account of what went wrong.
    serde_json::from_str(text).map_err(|_| anyhow::anyhow!("{text}"))
}
