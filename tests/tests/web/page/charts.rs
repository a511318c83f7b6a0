//! The charts of a run by keyboard and by pointer: the cursor, zoom, smoothing, axes, and the same numbers as a table.

use super::shorten;
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY};
use serde_json::json;

const PLOT: &str = "document.querySelector('[data-testid=chart-plot]')";

/// Presses a key on the chart, as a person does who came to it by Tab.
async fn key(page: &Page, key: &str) -> Result<()> {
    let script = format!(
        "const plot = {PLOT}; plot.focus(); \
         const event = new KeyboardEvent('keydown', {{ key: arguments[0], bubbles: true, cancelable: true }}); \
         plot.dispatchEvent(event); return document.activeElement === plot && event.defaultPrevented"
    );
    let is_taken = page.run(&script, vec![json!(key)]).await?;
    ensure!(is_taken == json!(true), "the chart does not take {key}");
    Ok(())
}

/// Waits until the chart shows this part of the run.
async fn shows(page: &Page, what: &str, condition: &str) -> Result<()> {
    let script =
        format!("const low = Number({PLOT}.dataset.low), high = Number({PLOT}.dataset.high); return {condition}");
    page.wait_until(what, REACTION, &script).await.map(drop)
}

/// Waits until the numbers at the cursor hold this text.
async fn tells(page: &Page, part: &str) -> Result<()> {
    let script = "return document.querySelector('[data-testid=chart-readout]').textContent".to_owned();
    let is_told = format!("{script}.includes('{part}')");
    let told = page.wait_until(part, REACTION, &is_told).await;
    let text = page.run(&script, vec![]).await?;
    told.with_context(|| format!("{part} is not in {text}")).map(drop)
}

/// The line of the training losses.
async fn line(page: &Page) -> Result<String> {
    page.run(
        "return document.querySelector('[data-testid=line-raw]').getAttribute('d')",
        vec![],
    )
    .await?
    .as_str()
    .map(str::to_owned)
    .context("a path")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_read_by_keyboard_zoomed_into_and_shown_whole_again() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        width: 400,
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "12").await?;
    page.set_knob("eval_steps", "6").await?;
    page.train_to_the_end().await?;

    shows(&page, "the whole run", "low === 0 && high === 12").await?;
    let whole = line(&page).await?;
    ensure!(
        whole.matches(['M', 'L']).count() == 12,
        "a point for each step: {whole}"
    );
    key(&page, "End").await?;
    tells(&page, "Step 12 ").await?;
    tells(&page, "smoothed").await?;
    key(&page, "ArrowLeft").await?;
    tells(&page, "Step 11 ").await?;
    tells(&page, "(step 6)").await?;
    let spoken = "return document.querySelector('[data-testid=chart-spoken]').textContent.includes('Step 11 ')";
    page.wait_until("the numbers are spoken", REACTION, spoken).await?;

    // Around the cursor, twice as near; another step that is out of sight comes into it.
    key(&page, "+").await?;
    shows(&page, "half of the run", "Math.abs(high - low - 6) < 1e-6 && high > 11").await?;
    key(&page, "Home").await?;
    shows(
        &page,
        "the part with the first step",
        "Math.abs(high - low - 6) < 1e-6 && low <= 1",
    )
    .await?;
    tells(&page, "Step 1 ").await?;
    key(&page, "0").await?;
    shows(&page, "the whole run again", "low === 0 && high === 12").await?;
    ensure!(line(&page).await? == whole, "the same line as before");

    // By the pointer: from a quarter to three quarters of the width.
    let drag = format!(
        "const plot = {PLOT}, box = plot.getBoundingClientRect(); \
         const at = (type, share) => plot.dispatchEvent(new PointerEvent(type, {{ bubbles: true, pointerType: 'mouse', \
             clientX: box.left + share * box.width, clientY: box.top + 9 }})); \
         at('pointerdown', 0.25); at('pointermove', 0.5); at('pointermove', 0.75); at('pointerup', 0.75);"
    );
    page.run(&drag, vec![]).await?;
    shows(
        &page,
        "what was dragged over",
        "Math.abs(low - 3) < 0.2 && Math.abs(high - 9) < 0.2",
    )
    .await?;
    page.press("chart-whole").await?;
    shows(&page, "the whole run by its button", "low === 0 && high === 12").await?;

    // Other axes.
    page.press("chart-log").await?;
    let elsewhere = format!("return document.querySelector('[data-testid=line-raw]').getAttribute('d') !== '{whole}'");
    page.wait_until("the losses by their logarithms", REACTION, &elsewhere)
        .await?;
    page.set_field("chart-across", "tokens").await?;
    shows(&page, "the run over its tokens", "low === 0 && high > 100").await?;
    let over_tokens = line(&page).await?;
    page.set_field("chart-across", "time").await?;
    let moved =
        format!("return document.querySelector('[data-testid=line-raw]').getAttribute('d') !== '{over_tokens}'");
    page.wait_until("the run over its seconds", REACTION, &moved).await?;
    shows(&page, "a part from its beginning", "low === 0 && high > 0").await?;
    let all = line(&page).await?;
    ensure!(all.matches(['M', 'L']).count() == 12, "each step has its time: {all}");
    let raw = "return document.querySelector('.line-train').getAttribute('d')";
    let smooth = page.run(raw, vec![]).await?;
    page.write("chart-smoothing", "0").await?;
    let is_rough = format!("{raw} === document.querySelector('.line-raw').getAttribute('d')");
    page.wait_until("nothing is smoothed", REACTION, &is_rough).await?;
    ensure!(page.run(raw, vec![]).await? != smooth);

    // The same numbers for those who do not see the chart.
    let rows = "const table = document.querySelector('[data-testid=chart-table]'); table.open = true; \
                const rows = [...table.querySelectorAll('tbody tr')]; \
                return rows.length === 12 && rows[11].textContent";
    let last = page.wait_until("the table has all steps", REACTION, rows).await?;
    ensure!(last.as_str().is_some_and(|row| row.starts_with("12")), "{last}");
    let small = page.run("return [...document.querySelectorAll('.small-chart')].filter((chart) => !chart.hidden && chart.closest('[data-testid=small-charts]')).length", vec![]).await?;
    ensure!(small.as_u64() >= Some(3), "rate, norm and speed are drawn: {small}");
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    ensure!(
        page.run(wide, vec![]).await? == json!(0),
        "the page is wider than its window"
    );
    page.screenshots("charts-400").await?;
    page.no_panic()?;
    page.close().await
}
