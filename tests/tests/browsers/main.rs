//! A lesson by keyboard, and the page, in Firefox ESR and WebKitGTK, which train on the CPU; in Chromium what every lesson's runs
//! take there. `cargo xtask test browsers` installs the browsers and runs these.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::driver::Browser;
use lorakeet_tests::lab_walk::{OPENED, Stop, lessons};
use lorakeet_tests::site::{Site, dist};
use lorakeet_tests::user_actions::{REACTION, READY, STEP};
use serde_json::json;

fn options(browser: Browser, query: String) -> Options {
    Options {
        browser,
        webgpu: false,
        width: 1024,
        query,
        ..Options::default()
    }
}

/// All parts of a lesson, trained on the CPU, by keyboard.
async fn walk(browser: Browser) -> Result<()> {
    let options = options(
        browser,
        "embed.html?lesson=activations&device=cpu&start=1&lang=en".into(),
    );
    let page = Page::open(&options).await?;
    page.wait_until("the lesson is there", READY, OPENED).await?;
    // The first key goes to the page, not to the browser around it.
    page.run("document.querySelector('.part-here').focus()", Vec::new())
        .await?;
    let look = async |Stop { part, is_done }| {
        if part == 2 && is_done {
            let device = "return document.querySelector('[data-device]').dataset.device";
            ensure!(page.run(device, Vec::new()).await? == "cpu");
        }
        if (part, is_done) == (3, true) {
            page.screenshot(&format!("{browser:?}-lab").to_lowercase()).await?;
        }
        Ok(())
    };
    let walked = page.walk_lesson(look).await?;
    println!(
        "activations in {browser:?}: {:.1} s and {:.1} s",
        walked.train.as_secs_f64(),
        walked.break_it.as_secs_f64()
    );
    page.close().await
}

/// The page trains its bundled model on its bundled data.
async fn train(browser: Browser) -> Result<()> {
    let page = Page::open(&options(browser, "?device=cpu".into())).await?;
    page.wait_enabled("train", READY).await?;
    page.shorten("5").await?;
    page.train_to_the_end().await?;
    ensure!(page.run(&format!("return {STEP}"), Vec::new()).await? == json!(5));
    let device = "return document.querySelector('[data-testid=\"device\"]').dataset.state";
    ensure!(page.run(device, Vec::new()).await? == "cpu");
    println!("the page in {browser:?}: {}", page.text("speed").await?);
    page.screenshot(&format!("{browser:?}-page").to_lowercase()).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_walks_through_a_lesson_by_keyboard() -> Result<()> {
    walk(Browser::Firefox).await
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_walks_through_a_lesson_by_keyboard() -> Result<()> {
    walk(Browser::WebKit).await
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_trains_the_page_s_example() -> Result<()> {
    train(Browser::Firefox).await
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_trains_the_page_s_example() -> Result<()> {
    train(Browser::WebKit).await
}

/// Not a test of time: what it prints is for docs/log.md.
#[tokio::test(flavor = "multi_thread")]
async fn every_lesson_s_runs_are_trained_on_the_cpu_and_their_seconds_are_told() -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let page = Page::open_at(&site.url(), &options(Browser::Chromium, String::new())).await?;
    for id in lessons()? {
        let query = format!("lesson={id}&device=cpu&start=1&lang=en");
        page.client.goto(&format!("{}embed.html?{query}", site.url())).await?;
        page.wait_until("the lesson is there", REACTION, OPENED).await?;
        let walked = page.walk_lesson(async |_| Ok(())).await.with_context(|| id.clone())?;
        let (train, break_it) = (walked.train.as_secs_f64(), walked.break_it.as_secs_f64());
        println!("{id}: the training part {train:.1} s, breaking it {break_it:.1} s");
    }
    page.close().await
}
