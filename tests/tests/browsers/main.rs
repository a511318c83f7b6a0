//! Every lesson from its first part to its last, trained and by keyboard alone: on the CPU in Firefox ESR, WebKitGTK and
//! Chromium in both languages, on WebGPU in Chromium. The seconds that the runs take are printed, for docs/log.md. And whole ways
//! through the page. `cargo xtask test browsers` installs the browsers and runs these (hours).

mod endurance;
mod journeys;

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::driver::Browser;
use lorakeet_tests::lab_walk::{OPENED, Stop, lessons};
use lorakeet_tests::site::{Site, dist};
use lorakeet_tests::user_actions::READY;

const LANGUAGES: [&str; 2] = ["en", "zh"];

fn options(browser: Browser, query: String) -> Options {
    Options {
        browser,
        webgpu: false,
        width: 1024,
        query,
        ..Options::default()
    }
}

/// All parts of every lesson in the languages that `languages` gives for the lesson's place in the list.
async fn walk(options: &Options, device: &str, languages: impl Fn(usize) -> &'static [&'static str]) -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let page = Page::open_at(&site.url(), options).await?;
    for (place, id) in lessons()?.into_iter().enumerate() {
        for language in languages(place) {
            let name = format!("{:?}-{id}-{device}-{language}", options.browser).to_lowercase();
            walk_one(&page, &site.url(), &id, device, language)
                .await
                .with_context(|| name.clone())?;
            page.screenshot(&name).await?;
        }
    }
    page.no_panic()?;
    page.close().await
}

async fn walk_one(page: &Page, site: &str, id: &str, device: &str, language: &str) -> Result<()> {
    let query = format!("lesson={id}&device={device}&start=1&lang={language}");
    page.client.goto(&format!("{site}embed.html?{query}")).await?;
    page.wait_until("the lesson is there", READY, OPENED).await?;
    let tag = page
        .run("return document.querySelector('.lab').lang", Vec::new())
        .await?;
    ensure!(
        tag.as_str().is_some_and(|tag| tag.starts_with(language)),
        "it is in {tag}"
    );
    // The first key goes to the page, not to the browser around it.
    page.run("document.querySelector('.part-here').focus()", Vec::new())
        .await?;
    let look = async |Stop { part, is_done }| {
        if (part, is_done) == (2, true) {
            let trained_on = "return document.querySelector('[data-device]').dataset.device";
            ensure!(page.run(trained_on, Vec::new()).await? == device);
        }
        Ok(())
    };
    let walked = page.walk_lesson(look).await?;
    let (train, break_it) = (walked.train.as_secs_f64(), walked.break_it.as_secs_f64());
    println!("{id} in {language} on the {device}: the training part {train:.1} s, breaking it {break_it:.1} s");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn firefox_walks_through_every_lesson_in_both_languages() -> Result<()> {
    walk(&options(Browser::Firefox, String::new()), "cpu", |_| &LANGUAGES).await
}

#[tokio::test(flavor = "multi_thread")]
async fn webkit_walks_through_every_lesson_in_both_languages() -> Result<()> {
    walk(&options(Browser::WebKit, String::new()), "cpu", |_| &LANGUAGES).await
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_walks_through_every_lesson_in_both_languages() -> Result<()> {
    walk(&options(Browser::Chromium, String::new()), "cpu", |_| &LANGUAGES).await
}

/// In one language each: what is said of a lesson does not depend on where it is trained.
#[tokio::test(flavor = "multi_thread")]
async fn chromium_walks_through_every_lesson_on_its_gpu() -> Result<()> {
    let options = Options {
        webgpu: true,
        ..options(Browser::Chromium, String::new())
    };
    walk(&options, "gpu", |place| &LANGUAGES[place % 2..=place % 2]).await
}
