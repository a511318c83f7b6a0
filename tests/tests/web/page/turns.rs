//! Two tabs: one trains at a time, the other says so and can take over; what it ended can be continued.

use super::shorten;
use anyhow::{Context, Result, ensure};
use fantoccini::wd::WindowHandle;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::user_actions::{REACTION, READY, STATUS, STEP};
use serde_json::json;

/// Whether there is an element of this `data-testid`.
fn there(testid: &str) -> String {
    format!("return !!document.querySelector('[data-testid=\"{testid}\"]')")
}

async fn go_to(page: &Page, window: &WindowHandle) -> Result<()> {
    Ok(page.client.switch_to_window(window.clone()).await?)
}

/// A run in one tab, taken over by one in another, and gone on with when that is over.
pub(super) async fn take_over_and_go_on() -> Result<()> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    let first = page.client.window().await?;
    let address = page.client.current_url().await?;
    shorten(&page, "2000").await?;
    page.click("train").await?;
    page.wait_until("the second step", READY, &format!("return {STEP} >= 2"))
        .await?;

    let opened = page.client.new_window(true).await?.handle;
    go_to(&page, &opened).await?;
    page.client.goto(address.as_str()).await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "3").await?;
    page.click("train").await?;
    let named = format!(
        "return document.querySelector('[data-testid=\"elsewhere\"]')?.textContent.includes({})",
        json!("Another tab is training: ")
    );
    page.wait_until("the other run is named", REACTION, &named).await?;
    let status = page.run(&format!("return {STATUS}"), Vec::new()).await?;
    ensure!(
        status == "ready" || status == "idle",
        "it trains all the same: {status}"
    );
    page.click("take-over").await?;
    page.wait_until("its own run is over", READY, &format!("return {STATUS} == 'done'"))
        .await?;
    ensure!(page.run(&there("elsewhere"), Vec::new()).await? == json!(false));

    go_to(&page, &first).await?;
    page.wait_until(
        "the first run has stopped",
        READY,
        &format!("return {STATUS} == 'done'"),
    )
    .await?;
    let told =
        "return document.querySelector('[data-testid=\"notes\"]')?.textContent.includes('Another tab has started')";
    page.wait_until("it says why", REACTION, told).await?;
    // The other tab's run is over, so that this one's goes on unasked.
    let step = page.run(&format!("return {STEP}"), Vec::new()).await?;
    let step = step.as_u64().context("a step")?;
    let go_on = "const rows = [...document.querySelectorAll('[data-testid=\"stored-run\"]')];\
        const row = rows.find((row) => row.textContent.includes('stopped at step'));\
        document.querySelector('[data-testid=\"stored-runs\"]').open = true;\
        const button = row?.querySelector('button'); button?.click(); return !!button";
    page.wait_until("it can be continued", REACTION, go_on).await?;
    page.wait_until("it goes on", READY, &format!("return {STEP} > {step}"))
        .await?;
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_stays_on_while_a_run_is_under_way_unless_it_shall_not() -> Result<()> {
    let page = Page::open(&Options {
        webgpu: false,
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    // A browser without a window may refuse the lock itself.
    let fake = "window.locks = { taken: 0, released: 0 };\
        const request = async () => { window.locks.taken += 1; const lock = new EventTarget();\
            if (window.locks.taken === 1) document.dispatchEvent(new Event('visibilitychange'));\
            lock.release = async () => { window.locks.released += 1; lock.dispatchEvent(new Event('release')); }; return lock; };\
        Object.defineProperty(navigator, 'wakeLock', { configurable: true, value: { request } });";
    page.run(fake, Vec::new()).await?;
    let locks = "return [window.locks.taken, window.locks.released]";
    shorten(&page, "2").await?;
    page.train_to_the_end().await?;
    page.wait_until("the screen may go off", REACTION, "return window.locks.released == 1")
        .await?;
    ensure!(page.run(locks, Vec::new()).await? == json!([1, 1]));
    page.click("keep-awake").await?;
    page.train_to_the_end().await?;
    ensure!(page.run(locks, Vec::new()).await? == json!([1, 1]), "it was not wanted");
    page.no_panic()?;
    page.close().await
}
