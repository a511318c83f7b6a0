//! The lab in a real browser: every lesson from its first part to its last by keyboard alone, in both languages, on its
//! recorded runs; a lesson that is trained there; the lab inside another page's `<lorakeet-lab>`.

use anyhow::{Context, Result, ensure};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::site::{Site, dist};
use serde_json::{Value, json};
use std::time::Duration;

/// A change in the lab without training.
const REACTION: Duration = Duration::from_secs(20);
/// The runs of a part, replayed or trained on a slow machine.
const RUNS: Duration = Duration::from_secs(180);

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// A lab in a browser without WebGPU.
struct Lab {
    page: Page,
}

impl Lab {
    async fn open(query: &str) -> Result<Self> {
        let options = Options {
            webgpu: false,
            query: format!("embed.html?{query}"),
            width: 640,
            ..Options::default()
        };
        let page = Page::open(&options).await?;
        let lab = Self { page };
        lab.wait(
            "the lab is there",
            "return !!document.querySelector('.part-here, .lesson, .notice-error')",
        )
        .await?;
        Ok(lab)
    }

    async fn wait(&self, what: &str, script: &str) -> Result<Value> {
        self.page.wait_until(what, REACTION, script).await
    }

    async fn is(&self, script: &str) -> Result<bool> {
        Ok(self.page.run(script, Vec::new()).await? == json!(true))
    }

    async fn press(&self, key: char) -> Result<()> {
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.page
            .client
            .perform_actions(keys)
            .await
            .context("a key was not pressed")
    }

    async fn write(&self, text: &str) -> Result<()> {
        for letter in text.chars() {
            self.press(letter).await?;
        }
        Ok(())
    }

    /// Goes on with the Tab key until an element has the focus.
    async fn tab_to(&self, selector: &str) -> Result<()> {
        let focused = format!(
            "return !!document.activeElement && document.activeElement.matches({})",
            json!(selector)
        );
        for _ in 0..120 {
            if self.is(&focused).await? {
                return Ok(());
            }
            self.press(TAB).await?;
        }
        anyhow::bail!("the Tab key does not come to {selector}\n{}", self.page.console())
    }

    async fn next_part(&self, part: usize) -> Result<()> {
        self.tab_to("[data-region=foot] .primary").await?;
        self.press(ENTER).await?;
        let shown = format!("return document.querySelector('[aria-current]')?.dataset.of === '{part}'");
        self.wait("the next part is shown", &shown).await?;
        ensure!(
            self.is("return document.activeElement.matches('[data-focus=part]')")
                .await?,
            "the next part has the focus"
        );
        Ok(())
    }

    /// Chooses the first answer and commits to it.
    async fn answer(&self, name: &str) -> Result<()> {
        self.tab_to(&format!("input[name={name}]")).await?;
        match self.is("return document.activeElement.type === 'number'").await? {
            true => self.write("1").await?,
            false => self.press(' ').await?,
        }
        self.tab_to("[data-do=commit]").await?;
        self.press(ENTER).await?;
        let kept = format!("return document.querySelector('input[name={name}]').disabled");
        self.wait("the answer is kept", &kept).await.map(drop)
    }

    /// Trains the runs of the part that is shown.
    async fn train(&self) -> Result<()> {
        self.wait(
            "Train can be pressed",
            "return !!document.querySelector('[data-do=train]:not(:disabled)')",
        )
        .await?;
        self.tab_to("[data-do=train]").await?;
        self.page
            .run(
                "window.phases = [];\
            new MutationObserver(() => window.phases.push(document.querySelector('.lab').dataset.phase))\
            .observe(document.querySelector('.lab'), { attributes: true, attributeFilter: ['data-phase'] })",
                Vec::new(),
            )
            .await?;
        self.press(ENTER).await?;
        let script = "return window.phases.includes('training') && ['done', 'error'].includes(window.phases.at(-1))";
        self.page.wait_until("the runs are over", RUNS, script).await?;
        let phase = self
            .page
            .run("return document.querySelector('.lab').dataset.phase", Vec::new())
            .await?;
        ensure!(phase == "done", "the runs ended in {phase}: {}", self.shown().await?);
        Ok(())
    }

    async fn shown(&self) -> Result<String> {
        let text = self.page.run("return document.body.innerText", Vec::new()).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// All seven parts, by keyboard alone.
    async fn walk(&self, id: &str) -> Result<()> {
        self.answer("before").await?;
        self.next_part(1).await?;
        self.answer("predict").await?;
        self.next_part(2).await?;
        self.train().await?;
        let waiting = "return document.querySelectorAll('[data-region=pictures] .waiting').length";
        ensure!(
            self.page.run(waiting, Vec::new()).await? == 0,
            "{id}: a picture is missing: {}",
            self.shown().await?
        );
        self.next_part(3).await?;
        let verdict = self
            .page
            .run(
                "return document.querySelector('.outcome-verdict').innerText",
                Vec::new(),
            )
            .await?;
        let is_number = self
            .is("return !document.querySelector('.outcome-verdict').innerText")
            .await?;
        ensure!(
            is_number || verdict.as_str().is_some_and(|text| !text.is_empty()),
            "{id}: no verdict"
        );
        let measured = self
            .page
            .run(
                "return document.querySelectorAll('[data-region=values] td').length",
                Vec::new(),
            )
            .await?;
        ensure!(measured.as_u64() > Some(1), "{id}: nothing was measured");
        self.next_part(4).await?;
        self.tab_to("textarea[name=explanation]").await?;
        self.write("The rows repeat.").await?;
        self.tab_to("[data-do=explain]").await?;
        self.press(ENTER).await?;
        self.wait(
            "the explanation is shown",
            "return !!document.querySelector('[data-region=part] .lesson-text')",
        )
        .await?;
        self.next_part(5).await?;
        self.train().await?;
        self.next_part(6).await?;
        self.answer("after").await?;
        self.wait(
            "the answers can be saved",
            "return !!document.querySelector('[data-do=save-answers]')",
        )
        .await?;
        Ok(())
    }
}

fn lessons() -> Result<Vec<String>> {
    let list = std::fs::read_to_string(dist()?.join("lessons/index.json"))?;
    let list: Value = serde_json::from_str(&list)?;
    let ids = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|lesson| lesson["id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

#[tokio::test]
async fn every_lesson_is_walked_through_by_keyboard_alone_on_its_recorded_runs() -> Result<()> {
    let ids = lessons()?;
    ensure!(ids.len() == 10, "ten lessons are listed");
    let site = Site::start(&dist()?, &[]).await?;
    let lab = Lab::open("device=replay").await?;
    for (place, id) in ids.iter().enumerate() {
        let language = ["en", "zh"][place % 2];
        let address = format!(
            "{}embed.html?lesson={id}&device=replay&start=1&lang={language}",
            site.url()
        );
        lab.page.client.goto(&address).await?;
        lab.wait("the lesson is there", "return !!document.querySelector('.part-here')")
            .await?;
        lab.walk(id).await.with_context(|| format!("{id} in {language}"))?;
        let device = lab
            .page
            .run("return document.querySelector('.lab').lang", Vec::new())
            .await?;
        ensure!(
            device.as_str().is_some_and(|tag| tag.starts_with(language)),
            "{id} is in {language}"
        );
    }
    lab.page.screenshot("lab-last-part").await?;
    lab.page.close().await
}

#[tokio::test]
async fn a_lesson_is_trained_on_the_cpu_and_its_outcome_is_worked_out_from_that() -> Result<()> {
    let lab = Lab::open("lesson=activations&start=1&device=cpu").await?;
    lab.walk("activations").await?;
    ensure!(
        lab.is("return [...document.querySelectorAll('.part')].every(part => !part.disabled)")
            .await?,
        "all parts were reached"
    );
    // Back to the comparison: what happened is one of the choices, and was measured here.
    lab.tab_to(".part[data-of='3']").await?;
    lab.press(ENTER).await?;
    lab.wait(
        "the comparison is shown",
        "return document.querySelectorAll('.outcome dd').length === 2",
    )
    .await?;
    let script = "return [...document.querySelectorAll('.outcome dd')].map(dd => dd.innerText)";
    let outcome = lab.page.run(script, Vec::new()).await?;
    let lesson: Value = serde_json::from_str(&std::fs::read_to_string(dist()?.join("lessons/activations.json"))?)?;
    let choices: Vec<&str> = lesson["predict"]["choices"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|choice| choice["text"]["en"].as_str())
        .collect();
    ensure!(
        outcome[1].as_str().is_some_and(|text| choices.contains(&text)),
        "{outcome} is one of {choices:?}"
    );
    let device = lab
        .page
        .run(
            "return document.querySelector('[data-device]')?.dataset.device",
            Vec::new(),
        )
        .await?;
    ensure!(device.is_null() || device == "cpu", "trained on {device}");
    lab.page.close().await
}

#[tokio::test]
async fn nothing_of_the_engine_is_fetched_before_start() -> Result<()> {
    let lab = Lab::open("lesson=loss&device=cpu").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let script = "return performance.getEntriesByType('resource').map(entry => new URL(entry.name).pathname).filter(\
                  path => /engine|worker|model/.test(path))";
    let early = lab.page.run(script, Vec::new()).await?;
    ensure!(early == json!([]), "{early} was fetched before Start");
    lab.page.close().await
}

#[tokio::test]
async fn a_state_comes_out_of_the_lab_as_it_went_in_for_every_lesson() -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let host = FileSite::start().await?;
    let labs: String = lessons()?
        .iter()
        .map(|id| {
            let state = format!("lab=1&lesson={id}&part=2&before=1&learning_rate=0.01&of_tomorrow=x%26y");
            format!(
                "<lorakeet-lab loading='eager' state='{}'></lorakeet-lab>",
                state.replace('&', "&amp;")
            )
        })
        .collect();
    let page = format!(
        "<!DOCTYPE html><html lang='en'><title>Course</title><script type='module' src='{}lab.js'></script>{labs}</html>",
        site.url()
    );
    host.serve("/course.html", page, &[("content-type", "text/html")]);
    let page = Page::open_at(&format!("{}/course.html", host.origin()), &Options::default()).await?;
    let script = "const labs = [...document.querySelectorAll('lorakeet-lab')];\
                  window.told ??= labs.map((lab) => { const list = []; lab.addEventListener('lorakeet-lesson', (event) => list.push(event.detail)); return list; });\
                  return labs.length === 10 && labs.every((lab) => lab.state.includes('part=2'));";
    page.wait_until("every lab has its state", REACTION, script).await?;
    let states = page.run("return [...document.querySelectorAll('lorakeet-lab')].map((lab) => [lab.state, lab.getAttribute('state')])", Vec::new()).await?;
    for pair in states.as_array().into_iter().flatten() {
        ensure!(pair[0] == pair[1], "{} came out as {}", pair[1], pair[0]);
    }
    page.close().await
}

#[tokio::test]
async fn a_lab_in_another_sites_page_trains_and_tells_that_page_of_it() -> Result<()> {
    let site = Site::start(&dist()?, &[]).await?;
    let host = FileSite::start().await?;
    let page = format!(
        "<!DOCTYPE html><html lang='en'><title>Course</title><script type='module' src='{}lab.js'></script>\
         <lorakeet-lab lesson='activations' device='cpu' label='Units'></lorakeet-lab></html>",
        site.url()
    );
    host.serve("/course.html", page, &[("content-type", "text/html")]);
    let options = Options {
        webgpu: false,
        ..Options::default()
    };
    let page = Page::open_at(&format!("{}/course.html", host.origin()), &options).await?;
    page.wait_until(
        "the element is there",
        REACTION,
        "return !!document.querySelector('lorakeet-lab')?.start",
    )
    .await?;
    let script = "const lab = document.querySelector('lorakeet-lab'); window.heard = [];\
        for (const name of ['ready', 'phase', 'step', 'lesson', 'done', 'error', 'progress'])\
          lab.addEventListener(`lorakeet-${name}`, (event) => heard.push([name, event.detail]));\
        lab.state = 'lab=1&lesson=activations&part=3&before=0&predicted=0'; lab.start();";
    page.run(script, Vec::new()).await?;
    let phase = "return document.querySelector('lorakeet-lab').phase";
    page.wait_until("the lab is ready", RUNS, &format!("{phase} === 'ready'"))
        .await?;
    page.run("document.querySelector('lorakeet-lab').start()", Vec::new())
        .await?;
    page.wait_until("the runs are done", RUNS, &format!("{phase} === 'done'"))
        .await?;
    let heard = page.run("return heard.map(([name]) => name)", Vec::new()).await?;
    let names: Vec<&str> = heard
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for name in ["phase", "step", "lesson", "done", "progress"] {
        ensure!(names.contains(&name), "{name} was heard among {names:?}");
    }
    let csv = "const lab = document.querySelector('lorakeet-lab'); const done = arguments[0];\
        lab.exportAnswers().then((blob) => blob.text()).then(done, (error) => done(`error: ${error.message}`));";
    let csv = page.client.execute_async(csv, Vec::new()).await?;
    ensure!(
        csv.as_str()
            .is_some_and(|text| text.starts_with("lesson,part,question,answer,correct\nactivations,")),
        "{csv}"
    );
    page.close().await
}

#[tokio::test]
async fn a_lesson_that_is_not_there_and_a_value_that_cannot_be_used_are_named() -> Result<()> {
    let lab = Lab::open("lesson=losss").await?;
    let shown = lab.shown().await?;
    ensure!(shown.contains("lessons/losss.json"), "{shown}");
    lab.page.close().await?;
    let lab = Lab::open("lesson=loss#lab=2&lesson=lora").await?;
    let shown = lab.shown().await?;
    ensure!(shown.contains("lab=2"), "{shown}");
    lab.page.close().await
}
