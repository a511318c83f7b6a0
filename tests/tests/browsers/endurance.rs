//! Runs in Firefox and WebKitGTK that are left and come back to, and in Firefox one whose storage is full, on the CPU.
//! `cargo xtask test endurance` does the same more often.

use super::options;
use anyhow::{Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::driver::Browser;
use lorakeet_tests::endurance::{figure, times};
use lorakeet_tests::user_actions::READY;
use std::time::Instant;

/// Room for a site in Firefox: enough for the page and its checkpoints, and soon filled.
const ROOM: u64 = 200 << 20;

/// A run goes on after the page was left where the browser stores it; elsewhere the page says that it does not, and trains.
async fn leave_and_go_on(browser: Browser) -> Result<()> {
    let (leaves, started) = (times(1, 5), Instant::now());
    let page = Page::open(&options(browser, "?device=cpu".into())).await?;
    page.wait_enabled("train", READY).await?;
    let has_store = page.has_store().await?;
    page.shorten("2000").await?;
    page.click("train").await?;
    page.wait_for_step(2).await?;
    if !has_store {
        let told = page.content("[data-testid=\"no-store\"]").await?;
        ensure!(told.contains("no run can be continued"), "{told}");
        page.leave_and_come_back().await?;
        ensure!(!page.offers_a_run().await?, "a run is offered that is stored nowhere");
        page.shorten("3").await?;
        page.train_to_the_end().await?;
        figure(
            format!("{browser:?}: no storage, which the page says, and trains"),
            started,
        );
        page.no_panic()?;
        return page.close().await;
    }
    let mut saved = 0;
    for _ in 0..leaves {
        saved = page.save_by_leaving(saved).await?;
        page.leave_and_come_back().await?;
        let from = page.go_on_with_offer().await?;
        ensure!(from >= saved, "it goes on from step {from}, saved was {saved}");
        saved = from;
    }
    figure(
        format!("{browser:?}: a run left {leaves} times, gone on from each time"),
        started,
    );
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_goes_on_with_a_run_after_the_page_was_left() -> Result<()> {
    leave_and_go_on(Browser::Firefox).await
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_goes_on_with_a_run_after_the_page_was_left() -> Result<()> {
    leave_and_go_on(Browser::WebKit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_firefox_whose_storage_is_full_trains_on_and_keeps_its_last_checkpoint() -> Result<()> {
    let (faults, started) = (times(1, 8), Instant::now());
    let page = Page::open(&Options {
        storage_bytes: Some(ROOM),
        ..options(Browser::Firefox, "?device=cpu".into())
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    page.shorten("2000").await?;
    page.click("train").await?;
    page.wait_for_step(2).await?;
    page.train_on_without_room(faults, async |page: &Page, is_full: bool| {
        page.fill_storage(is_full).await
    })
    .await?;
    figure(
        format!(
            "Firefox: storage full {faults} times in a run, which trained on and was saved again when there was room"
        ),
        started,
    );
    page.click("stop").await?;
    page.wait_enabled("train", READY).await?;
    page.no_panic()?;
    page.close().await
}
