//! The lab as one file of HTML, opened from the disk in a browser without a network.

use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::site::dist;
use serde_json::{Value, json};
use std::time::Duration;

/// Unpacking, or a change in the lab without training.
const REACTION: Duration = Duration::from_secs(30);
/// The runs of a part on a slow machine.
const RUNS: Duration = Duration::from_secs(180);

/// The file in a browser that knows no other computer.
struct OneFile {
    page: Page,
    address: String,
}

impl OneFile {
    async fn open(state: &str, webgpu: bool) -> Result<Self> {
        let file = dist()?.with_file_name("package").join("lorakeet-lab.html");
        let file = file
            .canonicalize()
            .with_context(|| format!("{} is missing; `cargo xtask package` makes it", file.display()))?;
        let address = format!("file://{}", file.display());
        let options = Options {
            webgpu,
            width: 400,
            flags: vec!["--host-resolver-rules=MAP * ~NOTFOUND", "--lang=en"],
            ..Options::default()
        };
        let page = Page::open_at(&format!("{address}#{state}"), &options).await?;
        Ok(Self { page, address })
    }

    async fn wait(&self, what: &str, limit: Duration, condition: &str) -> Result<Value> {
        self.page.wait_until(what, limit, &format!("return {condition}")).await
    }

    async fn press(&self, selector: &str) -> Result<()> {
        let enabled = format!(
            "document.querySelector({})",
            json!(format!("{selector}:not(:disabled)"))
        );
        self.wait(&format!("{selector} can be pressed"), RUNS, &format!("!!{enabled}"))
            .await?;
        self.page.run(&format!("{enabled}.click()"), Vec::new()).await.map(drop)
    }

    /// Starts the engine and trains the runs of the part that is shown.
    async fn train(&self, device: &str) -> Result<()> {
        self.press("[data-do=start]").await?;
        self.press("[data-do=train]").await?;
        let phase = "document.querySelector('.lab').dataset.phase";
        self.wait(
            "the runs are over",
            RUNS,
            &format!("['done', 'error'].includes({phase})"),
        )
        .await?;
        let text = self.read("document.body.innerText").await?;
        ensure!(self.read(phase).await? == "done", "{text}");
        let trained_on = self
            .read("document.querySelector('[data-device]')?.dataset.device")
            .await?;
        ensure!(trained_on == device, "{text}");
        Ok(())
    }

    async fn read(&self, expression: &str) -> Result<Value> {
        self.page.run(&format!("return {expression}"), Vec::new()).await
    }

    /// Nothing was asked of anybody, and the file's own policy had nothing to forbid.
    async fn asked_for_nothing(self) -> Result<()> {
        let asked = "performance.getEntriesByType('resource').map(({ name }) => name).filter(name => !/^(blob|data):/.test(name))";
        let asked = self.read(asked).await?;
        ensure!(asked == json!([]), "{asked} was asked for");
        let console = self.page.console();
        ensure!(!console.contains("Content Security Policy"), "{console}");
        self.page.close().await
    }
}

#[tokio::test]
async fn a_lesson_is_found_in_the_file_and_trained_from_the_disk() -> Result<()> {
    let one = OneFile::open("", false).await?;
    one.wait(
        "the list is there",
        REACTION,
        "document.querySelectorAll('a.lesson').length === 10",
    )
    .await?;
    let listed = std::fs::read_to_string(dist()?.join("lessons/index.json"))?;
    let listed: Value = serde_json::from_str(&listed)?;
    for language in ["zh", "en"] {
        one.press(".file-bar button").await?;
        let shown = format!("document.documentElement.lang === '{language}'");
        one.wait("the other language is shown", REACTION, &shown).await?;
        let titles = one
            .read("[...document.querySelectorAll('a.lesson b')].map(title => title.innerText)")
            .await?;
        let known: Value = listed
            .as_array()
            .into_iter()
            .flatten()
            .map(|lesson| lesson["title"][language].clone())
            .collect();
        ensure!(titles == known, "{titles} are the titles in {language}");
    }
    one.press("a.lesson[href*='activations']").await?;
    one.wait(
        "the lesson is there",
        REACTION,
        "!!document.querySelector('.part-here')",
    )
    .await?;
    one.page
        .run(
            "location.hash = 'lab=1&lesson=activations&lang=en&part=3&before=0&predicted=0'",
            Vec::new(),
        )
        .await?;
    one.wait(
        "the third part is there",
        REACTION,
        "document.querySelector('[aria-current]')?.dataset.of === '2'",
    )
    .await?;
    one.train("cpu").await?;
    // The other language, in the middle of a lesson: what was done stays.
    one.press(".file-bar button").await?;
    let chinese = "document.querySelector('.lab').lang.startsWith('zh') && location.hash.includes('lang=zh')";
    one.wait("the lab is in Chinese", REACTION, chinese).await?;
    ensure!(
        one.read("document.querySelector('.lab').dataset.phase").await? == "done",
        "the runs are still there"
    );
    let wide = one.read("document.documentElement.scrollWidth > innerWidth").await?;
    ensure!(wide == json!(false), "the lab is wider than the window");
    one.asked_for_nothing().await
}

#[tokio::test]
async fn a_lesson_is_trained_on_the_gpu_from_the_disk() -> Result<()> {
    let state = "lab=1&lesson=activations&lang=en&part=3&before=0&predicted=0&device=gpu";
    let one = OneFile::open(state, true).await?;
    one.train("gpu").await?;
    one.asked_for_nothing().await
}

#[tokio::test]
async fn a_state_in_the_file_s_address_is_kept_over_a_reload_and_leads_to_recorded_runs() -> Result<()> {
    let state = "lab=1&lesson=loss&lang=zh&part=3&before=0&predicted=0&device=replay";
    let one = OneFile::open(state, false).await?;
    one.press("[data-do=start]").await?;
    one.press("[data-do=train]").await?;
    one.wait(
        "the runs are over",
        RUNS,
        "document.querySelector('.lab').dataset.phase === 'done'",
    )
    .await?;
    one.press(".part[data-of='1']").await?;
    one.wait(
        "the state is in the address",
        REACTION,
        "location.hash.includes('part=2')",
    )
    .await?;
    one.page.client.refresh().await?;
    one.wait(
        "the second part is there again",
        REACTION,
        "document.querySelector('[aria-current]')?.dataset.of === '1'",
    )
    .await?;
    let address = one.read("location.href").await?;
    let address = address.as_str().unwrap_or_default();
    ensure!(address.starts_with(&format!("{}#lab=1&", one.address)), "{address}");
    one.page
        .run("document.querySelector('.file-bar a').click()", Vec::new())
        .await?;
    one.wait(
        "the list is there",
        REACTION,
        "document.querySelectorAll('a.lesson').length === 10",
    )
    .await?;
    one.asked_for_nothing().await
}
