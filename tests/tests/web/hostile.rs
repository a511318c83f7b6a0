//! Broken files in the page's engine, whose stack is a megabyte and whose numbers of bytes have 32 bits.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use std::time::Duration;

const CASES: &str = include_str!("hostile.js");
/// How long all cases may take together.
const ALL: Duration = Duration::from_secs(240);

/// What is not refused, since the engine reads it by less memory or by a shorter row than was asked for.
const READ: [&str; 1] = ["rows longer than the positions"];

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_broken_files() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.run(CASES, vec![]).await?;
    let end = page
        .wait_until("all cases are through", ALL, "return window.hostileDone")
        .await?;
    ensure!(end == "well", "the engine did not survive: {end}");
    let found = page.run("return window.hostile", vec![]).await?;
    for (name, case) in found.as_object().context("the cases by name")? {
        ensure!(case["after"] == "generated", "{name}: afterwards {}", case["after"]);
        let outcome = &case["outcome"];
        println!("{name}: {} {}", outcome["type"], outcome["what"]);
        match READ.contains(&name.as_str()) {
            true => ensure!(outcome["type"] == "done", "{name}: {outcome}"),
            false => {
                ensure!(outcome["type"] == "failed", "{name}: {outcome}");
                ensure!(outcome["kind"] != "internal", "{name}: {outcome}");
            }
        }
    }
    page.no_panic()?;
    page.close().await
}
