//! Stored runs side by side: found, named, tagged, compared, and removed.

use super::shorten;
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::{Value, json};

/// How many runs the table shows.
const ROWS: &str = "document.querySelectorAll('[data-testid=\"run-row\"]').length";

/// How many curves are drawn that have points.
const CURVES: &str =
    "[...document.querySelectorAll('[data-testid=\"run-curve\"]')].filter((curve) => curve.getAttribute('d')).length";

async fn open() -> Result<Page> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    Ok(page)
}

async fn wait_for_rows(page: &Page, rows: usize) -> Result<()> {
    let are_there = format!("return {ROWS} === {rows}");
    let what = format!("{rows} runs are listed");
    page.wait_until(&what, REACTION, &are_there).await.map(drop)
}

/// A run at this rate, to its end.
async fn run_at(page: &Page, rate: &str) -> Result<()> {
    page.set_knob("learning_rate", rate).await?;
    page.train_to_the_end().await?;
    page.wait_enabled("train", REACTION).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_are_compared_and_a_reload_shows_the_same() -> Result<()> {
    let page = open().await?;
    shorten(&page, "6").await?;
    run_at(&page, "0.0005").await?;
    run_at(&page, "0.005").await?;
    page.press("runs-opener").await?;
    wait_for_rows(&page, 2).await?;
    let table = page.content("[data-testid=\"run-table\"]").await?;
    ensure!(
        table.contains("finished, 6 steps") && table.contains("to beat:") && table.contains(" → "),
        "{table}"
    );

    // The newest is the first.
    page.set_field("run-name", "A high rate").await?;
    let is_named = "return document.querySelector('[data-testid=\"run-choice\"]')?.ariaLabel === 'Compare A high rate'";
    page.wait_until("it has its name", REACTION, is_named).await?;
    page.wait_enabled("run-name", REACTION).await?;
    let choose = "document.querySelectorAll('[data-testid=\"run-choice\"]').forEach((box) => box.click())";
    page.run(choose, Vec::new()).await?;
    let both = format!("return {CURVES} === 2");
    page.wait_until("both curves are drawn", REACTION, &both).await?;
    let styles = "return [...document.querySelectorAll('[data-testid=\"run-curve\"]')].map((curve) => curve.getAttribute('class'))";
    let styles = page.run(styles, Vec::new()).await?;
    ensure!(styles[0] != styles[1], "two runs look alike: {styles}");
    let differences = page
        .content("[data-testid=\"run-differences\"] .run-differences")
        .await?;
    ensure!(
        differences.contains("learning_rate") && differences.contains("0.0005") && differences.contains("0.005"),
        "{differences}"
    );
    ensure!(
        !differences.contains("lora_r") && !differences.contains("SHA-256"),
        "{differences}"
    );
    page.set_field("group-by", "learning_rate").await?;
    page.set_field("curves-over", "tokens").await?;
    let groups = "return document.querySelectorAll('[data-testid=\"run-groups\"] tbody tr').length === 2";
    page.wait_until("they are grouped", REACTION, groups).await?;
    page.wait_until("both have tokens", REACTION, &both).await?;
    page.screenshots("runs-compared").await?;

    page.client.refresh().await?;
    page.wait_enabled("train", READY).await?;
    page.wait_until("both curves are there again", READY, &both).await?;
    page.wait_until("the groups are, too", REACTION, groups).await?;
    let over = page
        .run(
            "return document.querySelector('[data-testid=\"curves-over\"]').value",
            Vec::new(),
        )
        .await?;
    ensure!(over == json!("tokens"), "{over}");
    let legend = page.content("[data-testid=\"curves-legend\"]").await?;
    ensure!(legend.contains("A high rate"), "the name is stored: {legend}");

    // The settings of the older one, for the next run.
    let knob = "return document.querySelector('[data-testid=\"learning_rate\"]').value";
    ensure!(page.run(knob, Vec::new()).await? != json!("0.0005"));
    page.run(
        "[...document.querySelectorAll('[data-testid=\"run-use\"]')].at(-1).click()",
        Vec::new(),
    )
    .await?;
    page.wait_until("the settings are taken", REACTION, &format!("{knob} === '0.0005'"))
        .await?;
    ensure!(page.content("[data-testid=\"settings-used\"]").await?.contains("step"));
    // Nobody else has these runs.
    page.press("share").await?;
    let link = "return document.querySelector('[data-testid=\"share-link\"]')?.value";
    let link = page.wait_until("the link is shown", REACTION, link).await?;
    ensure!(!link.as_str().context("a text")?.contains("runs="), "{link}");
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_tagged_found_removed_and_had_back() -> Result<()> {
    let page = open().await?;
    page.press("runs-opener").await?;
    let empty = page.content("[data-testid=\"no-runs\"]").await?;
    ensure!(empty.contains("Press Train"), "{empty}");
    shorten(&page, "2").await?;
    run_at(&page, "0.001").await?;
    wait_for_rows(&page, 1).await?;
    page.set_field("run-tag-add", "Parrots").await?;
    let tags = "return document.querySelector('[data-testid=\"run-tags\"]').textContent.includes('Parrots')";
    page.wait_until("the tag is there", REACTION, tags).await?;
    page.write("run-search", "no such run").await?;
    wait_for_rows(&page, 0).await?;
    ensure!(!page.content("[data-testid=\"none-found\"]").await?.is_empty());
    page.write("run-search", "parrots").await?;
    wait_for_rows(&page, 1).await?;

    page.press("run-forget").await?;
    wait_for_rows(&page, 0).await?;
    let on_undo = "return document.activeElement?.dataset.testid === 'run-undo'";
    page.wait_until("the focus is on the way back", REACTION, on_undo)
        .await?;
    page.press("run-undo").await?;
    wait_for_rows(&page, 1).await?;
    ensure!(page.run(tags, Vec::new()).await? == Value::Bool(true));
    page.press("run-tag-remove").await?;
    // Without the tag it is not found any more.
    wait_for_rows(&page, 0).await?;
    page.write("run-search", "").await?;
    wait_for_rows(&page, 1).await?;
    page.press("run-forget").await?;
    page.run("window.dispatchEvent(new Event('pagehide'))", Vec::new())
        .await?;
    let gone = "return !!document.querySelector('[data-testid=\"no-runs\"]')";
    page.wait_until("it is removed for good", REACTION, gone).await?;
    page.press("runs-close").await?;
    let closed = "return !document.querySelector('[data-testid=\"runs-view\"]') && !location.hash.includes('runs')";
    page.wait_until("the view is closed", REACTION, closed).await?;
    page.no_panic()?;
    page.close().await
}
