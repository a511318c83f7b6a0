//! Advice before a run: what is recommended is taken and taken back, cautions have ways out, a learning rate is searched for,
//! baselines are measured.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY, RUN};
use serde_json::json;

async fn open() -> Result<Page> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    page.run(
        "document.querySelector('[data-testid=settings]').open = true",
        Vec::new(),
    )
    .await?;
    Ok(page)
}

/// What stands in a knob's field.
async fn knob(page: &Page, name: &str) -> Result<String> {
    let script = "return document.getElementById(arguments[0]).value";
    let value = page.run(script, vec![json!(name)]).await?;
    Ok(value.as_str().context("a text")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recommended_is_taken_and_taken_back_and_a_caution_has_a_way_out() -> Result<()> {
    let page = open().await?;
    let is_there = "return !!document.querySelector('[data-testid=use-learning_rate]')";
    page.wait_until("there is advice", REACTION, is_there).await?;
    let (own, rank) = (knob(&page, "learning_rate").await?, knob(&page, "lora_r").await?);
    let recommended = page.content("[data-testid=recommended-learning_rate]").await?;
    ensure!(recommended != own, "{own}");
    page.press("use-learning_rate").await?;
    ensure!(knob(&page, "learning_rate").await? == recommended);
    page.press("use-learning_rate").await?;
    ensure!(knob(&page, "learning_rate").await? == own, "taken back");

    page.press("use-all").await?;
    let all = "return document.querySelector('[data-testid=advice-summary]').textContent.startsWith('All ')";
    page.wait_until("all are as recommended", REACTION, all).await?;
    page.screenshots("advice-1440").await?;
    page.press("use-all").await?;
    ensure!(
        knob(&page, "learning_rate").await? == own,
        "the same button takes all back"
    );

    let parts =
        "return [...document.querySelectorAll('[data-testid=forecast-parts] td')].map((td) => td.textContent).join()";
    let before = page.run(parts, Vec::new()).await?;
    page.set_knob("lora_r", "512").await?;
    let is_warned = "return !!document.querySelector('[data-testid=caution-lora_r]')";
    page.wait_until("it is cautioned", REACTION, is_warned).await?;
    ensure!(
        page.run(parts, Vec::new()).await? != before,
        "the forecast moves with the knob"
    );
    ensure!(page.is_enabled("train").await?, "a caution stops nothing");
    let focused = "document.querySelector('[data-testid=caution-lora_r] .knob-link').click();\
                   return document.activeElement.id";
    ensure!(page.run(focused, Vec::new()).await? == "lora_r");
    page.press("way-out-lora_r").await?;
    let is_over = "return !document.querySelector('[data-testid=caution-lora_r]')";
    page.wait_until("the caution is gone", REACTION, is_over).await?;
    let better: usize = knob(&page, "lora_r").await?.parse()?;
    ensure!(better < 512, "{better}, and {rank} before");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learning_rate_is_searched_for_taken_and_the_search_can_be_stopped() -> Result<()> {
    let page = open().await?;
    for (name, value) in [
        ("per_device_train_batch_size", "4"),
        ("cutoff_len", "64"),
        ("val_size", "16"),
    ] {
        page.set_knob(name, value).await?;
    }
    page.wait_enabled("find-rate", READY).await?;
    page.press("find-rate").await?;
    let third =
        "return /Step ([3-9]|[1-9][0-9])/.test(document.querySelector('[data-testid=rate-progress]')?.textContent)";
    page.wait_until("the third step", READY, third).await?;
    ensure!(!page.is_enabled("train").await?, "one at a time");
    // The same button.
    page.press("find-rate").await?;
    page.wait_enabled("train", REACTION).await?;
    ensure!(page.content("[data-testid=found-rate]").await?.is_empty());

    page.press("find-rate").await?;
    let over = "return !!document.querySelector('[data-testid=rate-chart]')";
    page.wait_until("the search is over", RUN, over).await?;
    page.screenshots("found-rate-1440").await?;
    let rate = page.content("[data-testid=use-rate]").await?;
    let rate = rate
        .strip_prefix("Use ")
        .with_context(|| rate.clone())?
        .parse::<f64>()?;
    ensure!(rate > 0.0 && rate < 1.0, "{rate}");
    page.press("use-rate").await?;
    ensure!(knob(&page, "learning_rate").await?.parse::<f64>()? == rate);
    let rows = "return document.querySelectorAll('[data-testid=rate-finder] tbody tr').length";
    ensure!(
        page.run(rows, Vec::new()).await?.as_u64() > Some(10),
        "the chart's numbers"
    );
    // Of other settings it is no recommendation.
    page.set_knob("lora_r", "5").await?;
    let outdated = "return !!document.querySelector('[data-testid=rate-outdated]')\
                    && !document.querySelector('[data-testid=rate-chart]')";
    page.wait_until("it is said that the settings are others", REACTION, outdated)
        .await?;
    // Its steps are none of a run's.
    ensure!(page.text("step").await? == "–");
    page.wait_enabled("train", REACTION).await?;

    // What there is to beat is measured without a run, and holds until the rows are others.
    let unfold = "document.querySelector('[data-testid=baseline]').open = true";
    page.run(unfold, Vec::new()).await?;
    page.wait_enabled("measure-baselines", READY).await?;
    page.press("measure-baselines").await?;
    let said = "return !!document.querySelector('[data-testid=tuning-outlook]')?.dataset.outlook";
    page.wait_until("the baselines are measured", RUN, said).await?;
    let ways = "return document.querySelectorAll('[data-testid=baselines] tbody tr').length";
    ensure!(page.run(ways, Vec::new()).await?.as_u64() >= Some(1));
    page.set_knob("learning_rate", "1e-5").await?;
    ensure!(
        page.run(said, Vec::new()).await? == json!(true),
        "the rate has no part in it"
    );
    page.set_knob("cutoff_len", "32").await?;
    let gone = "return !document.querySelector('[data-testid=tuning-outlook]')";
    page.wait_until("they are of other rows", REACTION, gone).await?;
    page.no_panic()?;
    page.close().await
}
