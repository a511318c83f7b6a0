//! The lab and the page by WCAG 2.2's rules, as far as a program can tell them: axe-core in light and dark, nothing wider than
//! the window, targets of 24 pixels; from 280 pixels (1280 at 400 %, and less) to 1440.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::accessibility::{Faults, THEMES};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::contact_sheet::ContactSheet;
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::lab_walk::{OPENED, lessons};
use lorakeet_tests::site::{Site, dist};
use lorakeet_tests::user_actions::{REACTION, READY};

/// A window of 1280 pixels at 400 % has 320; a lab may have 40 less.
const NARROW: u32 = 280;

/// Whether a stored run is shown, and its curve.
const RUN_LISTED: &str = "return !!document.querySelector('[data-testid=\"run-choice\"]')";
const CURVE_DRAWN: &str = "return !!document.querySelector('[data-testid=\"run-curve\"]')?.getAttribute('d')";

/// The settings' step unfolded; whether the way to what to do next is there, and the judging step unfolded.
const SETTINGS_UNFOLDED: &str = "document.getElementById('settings').open = true";
/// Whether the keyboard is on Train, which made way for other buttons meanwhile.
const ON_TRAIN: &str = "return document.activeElement?.dataset.testid === 'train'";
const TOLD_NEXT: &str =
    "return !!document.querySelector('[data-testid=\"next\"]') && document.getElementById('judge').open";

fn without_webgpu(width: u32, query: String) -> Options {
    Options {
        webgpu: false,
        width,
        query,
        // Colours change at once.
        flags: vec!["--force-prefers-reduced-motion"],
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_every_lesson_is_usable_in_280_pixels_in_light_and_dark() -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let page = Page::open_at(&site.url(), &without_webgpu(NARROW, String::new())).await?;
    let mut faults = Faults::default();
    for (place, id) in lessons()?.iter().enumerate() {
        let language = ["zh", "en"][place / 2 % 2];
        let query = format!("lesson={id}&device=replay&start=1&lang={language}");
        page.client.goto(&format!("{}embed.html?{query}", site.url())).await?;
        page.wait_until("the lesson is there", REACTION, OPENED).await?;
        let look = async |stop| {
            // One theme a lesson: colours do not depend on what a lesson says.
            let found = page.accessibility_faults(&THEMES[place % 2..=place % 2]).await?;
            faults.add(&format!("{id}, {stop}, {language}"), found);
            Ok(())
        };
        page.walk_lesson(look)
            .await
            .with_context(|| format!("{id} in {language}"))?;
    }
    faults.none()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lab_is_usable_at_other_widths_and_in_its_other_states() -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let mut faults = Faults::default();
    for width in [640, 1440] {
        let page = Page::open_at(&site.url(), &without_webgpu(width, String::new())).await?;
        for query in [
            "",
            "lang=zh",
            "lesson=no-such-lesson",
            "lesson=loss#lab=2&lesson=loss",
            "lesson=loss&locked=1&device=cpu#lab=1&lesson=loss&part=3&before=1&predicted=1",
        ] {
            page.client.goto(&format!("{}embed.html?{query}", site.url())).await?;
            page.wait_until("the lab is there", REACTION, OPENED).await?;
            faults.add(&format!("{query} {width}"), page.accessibility_faults(&THEMES).await?);
        }
        let query = "lesson=when-not-to-tune&device=replay&start=1";
        page.client.goto(&format!("{}embed.html?{query}", site.url())).await?;
        page.wait_until("the lesson is there", REACTION, OPENED).await?;
        let look = async |stop| {
            faults.add(&format!("{stop}, {width}"), page.accessibility_faults(&THEMES).await?);
            Ok(())
        };
        page.walk_lesson(look).await?;
        page.close().await?;
    }
    faults.none()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_is_usable_before_start_and_where_the_lab_cannot_be_had() -> Result<()> {
    let lab = Site::start(&dist()?, &[]).await?;
    let host = FileSite::start().await?;
    // A lab inside of a page of another origin is refused.
    for mode in ["frame", "inline"] {
        let course = format!(
            "<!DOCTYPE html><html lang='en'><head><meta name='viewport' content='width=device-width'><title>Course</title>\
             <style>:root {{ color-scheme: light dark; background: Canvas; color: CanvasText }}</style>\
             <script type='module' src='{}lab.js'></script></head><body><main><h1>Course</h1>\
             <lorakeet-lab lesson='loss' label='Loss' mode='{mode}'><p>What happens here.</p></lorakeet-lab></main></body></html>",
            lab.url()
        );
        host.serve(&format!("/{mode}.html"), course, &[]);
    }
    let shown = |view: &str| {
        format!(
            "return document.querySelector('lorakeet-lab').shadowRoot?.querySelector('[part=shell]')?.dataset.view === '{view}'"
        )
    };
    let mut faults = Faults::default();
    for width in [NARROW, 1440] {
        let address = |mode: &str| format!("{}/{mode}.html", host.origin());
        let page = Page::open_at(&address("frame"), &without_webgpu(width, String::new())).await?;
        for (mode, view) in [("frame", "poster"), ("inline", "error")] {
            page.client.goto(&address(mode)).await?;
            let there = "return !!document.querySelector('lorakeet-lab').shadowRoot?.querySelector('button')";
            page.wait_until("the shell is there", REACTION, there).await?;
            if mode == "inline" {
                page.run(
                    "document.querySelector('lorakeet-lab').start().catch(() => {})",
                    Vec::new(),
                )
                .await?;
            }
            page.wait_until("the shell shows it", REACTION, &shown(view)).await?;
            for theme in THEMES {
                let set = format!("document.querySelector('lorakeet-lab').theme = '{theme}'");
                page.run(&set, Vec::new()).await?;
                faults.add(
                    &format!("{view}, {width}, {theme}"),
                    page.accessibility_faults(&[theme]).await?,
                );
            }
        }
        page.close().await?;
    }
    faults.none()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_usable_before_and_after_a_run_at_every_width() -> Result<()> {
    let mut faults = Faults::default();
    let mut sheet = ContactSheet::default();
    for (width, language) in [(NARROW, "zh-Hans"), (1440, "en")] {
        // Every state has to be looked at once.
        let is_looked_at = width == 1440;
        let page = Page::open(&without_webgpu(width, "?device=cpu".into())).await?;
        page.wait_enabled("train", READY).await?;
        page.set_field("language", language).await?;
        if is_looked_at {
            sheet.add(&page, "ready").await?;
            page.run(SETTINGS_UNFOLDED, Vec::new()).await?;
            page.press("more-learning_rate").await?;
            sheet.add(&page, "settings, and why a hint says so").await?;
        }
        faults.add(&format!("before, {width}"), page.accessibility_faults(&THEMES).await?);
        faults.add(&format!("before, {width}"), page.covered_by_bar().await?);
        page.shorten("3").await?;
        page.train_to_the_end().await?;
        page.wait_until("the keyboard is on Train again", REACTION, ON_TRAIN)
            .await?;
        let said = page.content("[data-testid=verdict] .verdict-said").await?;
        let row = page.content("#judge .step-summary").await?;
        ensure!(
            !said.is_empty() && said == row,
            "the verdict is {said:?}, in its row {row:?}"
        );
        ensure!(
            page.run(TOLD_NEXT, Vec::new()).await? == true,
            "what to do next is said"
        );
        if is_looked_at {
            sheet.add(&page, "after a run").await?;
        }
        faults.add(
            &format!("after a run, {width}"),
            page.accessibility_faults(&THEMES).await?,
        );
        page.press("runs-opener").await?;
        page.wait_until("the run is listed", REACTION, RUN_LISTED).await?;
        page.press("run-choice").await?;
        page.wait_until("its curve is drawn", REACTION, CURVE_DRAWN).await?;
        faults.add(
            &format!("stored runs, {width}"),
            page.accessibility_faults(&THEMES).await?,
        );
        if is_looked_at {
            sheet.add(&page, "stored runs").await?;
        }
        page.close().await?;
    }
    println!("all states at a glance: {}", sheet.write()?.display());
    faults.none()
}
