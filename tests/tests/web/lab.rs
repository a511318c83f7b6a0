//! The lab in a real browser: every lesson from its first part to its last by keyboard alone, in both languages, on its
//! recorded runs; a lesson that is trained there; the lab inside another page's `<lorakeet-lab>`.

mod devices;
mod places;
mod turns;

use crate::lab_shell::{ANYBODY, Course, lab};
use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::lab_walk::{OPENED, Stop, lessons};
use lorakeet_tests::site::{Site, dist};
use serde_json::{Value, json};
use std::time::Duration;

/// A change in the lab without training.
const REACTION: Duration = Duration::from_secs(20);
/// The runs of a part, replayed or trained on a slow machine.
const RUNS: Duration = Duration::from_secs(180);

/// A state past the prediction in a lesson whose runs take milliseconds, with `&` as HTML has it.
const SHORT: &str = "lab=1&amp;lesson=activations&amp;part=3&amp;before=0&amp;predicted=0";
/// The same in a lesson whose run takes seconds.
const LONG: &str = "lab=1&amp;lesson=loss&amp;part=3&amp;before=0&amp;predicted=0";

/// The built page on a site from which every page may load everything.
async fn built_site() -> Result<FileSite> {
    let (site, root) = (FileSite::start().await?, dist()?);
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
            site.serve(&format!("/{name}"), std::fs::read(&path)?, ANYBODY);
        }
    }
    Ok(site)
}

/// A browser without WebGPU.
fn without_gpu() -> Options {
    Options {
        webgpu: false,
        ..Options::default()
    }
}

/// What labs do in pages of others.
impl Course {
    /// A course page of another origin than the labs', in a browser without WebGPU.
    async fn frames(body: &str) -> Result<Self> {
        Self::open_for(built_site().await?, body, &[], &without_gpu()).await
    }

    /// A course page on the labs' own site, in a browser without WebGPU.
    async fn inline(body: &str) -> Result<Self> {
        Self::open_on(built_site().await?, body, &[], &without_gpu()).await
    }

    /// Waits for what may take as long as a run.
    async fn wait_long(&self, what: &str, script: &str) -> Result<Value> {
        self.page.wait_until(what, RUNS, script).await
    }

    /// Presses Start and waits until the lab can train.
    async fn make_ready(&self, id: &str) -> Result<()> {
        self.wait_long("the element is there", &format!("return !!window.{id}?.start"))
            .await?;
        self.run(&format!("{id}.start()")).await?;
        self.wait_long("the lab is ready", &format!("return {id}.phase === 'ready'"))
            .await
            .map(drop)
    }

    /// Trains the runs of the part that is shown, to the end.
    async fn train(&self, id: &str) -> Result<()> {
        self.run(&format!("window.from = told.length; {id}.start()")).await?;
        let script = format!(
            "return told.slice(from).some(({{ detail }}) => detail.phase === 'training') &&\
             ['done', 'error'].includes({id}.phase) && {id}.phase"
        );
        let phase = self.wait_long("the runs are over", &script).await?;
        ensure!(
            phase == "done",
            "the runs ended in {phase}: {:?}",
            self.told("error").await?
        );
        Ok(())
    }

    /// Trains one step and holds.
    async fn hold_a_run(&self, id: &str) -> Result<()> {
        self.run(&format!("{id}.step()")).await?;
        self.wait_long("the run holds", &format!("return {id}.phase === 'paused'"))
            .await
            .map(drop)
    }

    /// Goes into the frame of a lab: scripts run there.
    async fn enter(&self, id: &str) -> Result<()> {
        let lab = self.page.client.find(Locator::Css(&format!("#{id}"))).await?;
        let frame = lab.shadow_root().await?.find(Locator::Css("iframe")).await?;
        Ok(frame.enter_frame().await?)
    }

    /// Back to the course page.
    async fn leave(&self) -> Result<()> {
        Ok(self.page.client.clone().enter_parent_frame().await?)
    }
}

/// A lab on a page of its own, in a browser without WebGPU.
async fn open_lab(query: &str) -> Result<Page> {
    let options = Options {
        query: format!("embed.html?{query}"),
        width: 640,
        ..without_gpu()
    };
    let page = Page::open(&options).await?;
    page.wait_until("the lab is there", REACTION, OPENED).await?;
    Ok(page)
}

/// All seven parts of the lesson that is shown; the runs come from `device`.
async fn walk(page: &Page, device: &str) -> Result<()> {
    let trained_on = "return document.querySelector('[data-device]').dataset.device";
    let look = async |stop: Stop| {
        if (stop.part, stop.is_done) == (2, true) {
            let trained_on = page.run(trained_on, Vec::new()).await?;
            ensure!(trained_on == device, "the runs come from {trained_on}");
        }
        Ok(())
    };
    page.walk_lesson(look).await.map(drop)
}

#[tokio::test]
async fn every_lesson_is_walked_through_by_keyboard_alone_on_its_recorded_runs() -> Result<()> {
    let ids = lessons()?;
    ensure!(ids.len() == 10, "ten lessons are listed");
    let site = Site::start(&dist()?, &[]).await?;
    let page = open_lab("device=replay").await?;
    for (place, id) in ids.iter().enumerate() {
        let language = ["en", "zh"][place % 2];
        let address = format!(
            "{}embed.html?lesson={id}&device=replay&start=1&lang={language}",
            site.url()
        );
        page.client.goto(&address).await?;
        let shown = "return !!document.querySelector('.part-here')";
        page.wait_until("the lesson is there", REACTION, shown).await?;
        walk(&page, "replay")
            .await
            .with_context(|| format!("{id} in {language}"))?;
        let tag = page
            .run("return document.querySelector('.lab').lang", Vec::new())
            .await?;
        ensure!(
            tag.as_str().is_some_and(|tag| tag.starts_with(language)),
            "{id} is in {tag}"
        );
    }
    page.screenshot("lab-last-part").await?;
    page.close().await
}

#[tokio::test]
async fn a_lesson_is_trained_on_the_cpu_and_its_outcome_is_worked_out_from_that() -> Result<()> {
    let page = open_lab("lesson=activations&start=1&device=cpu").await?;
    walk(&page, "cpu").await?;
    let reached = "return [...document.querySelectorAll('.part')].every(part => !part.disabled)";
    ensure!(
        page.run(reached, Vec::new()).await? == json!(true),
        "all parts were reached"
    );
    // Back to the comparison: what happened is one of the choices, and was measured here.
    page.tab_to_and_press(".part[data-of='3']").await?;
    let shown = "return document.querySelectorAll('.outcome dd').length === 2";
    page.wait_until("the comparison is shown", REACTION, shown).await?;
    let script = "return [...document.querySelectorAll('.outcome dd')].map(dd => dd.innerText)";
    let outcome = page.run(script, Vec::new()).await?;
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
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_shell_is_requested_before_start_and_no_engine_by_an_eager_lab() -> Result<()> {
    let body = lab("lazy", "lesson='loss'");
    let course = Course::frames(&body).await?;
    course
        .wait_long(
            "the button is there",
            "return !!lazy.shadowRoot?.querySelector('button')",
        )
        .await?;
    // An eager lab on the same page shows its lesson; by then a lazy one would have asked for something, too.
    let eager = "const eager = document.createElement('lorakeet-lab'); eager.id = 'eager'; eager.lesson = 'loss';\
        eager.loading = 'eager'; document.body.append(eager)";
    let mut before = course.lab.requests();
    before.sort();
    ensure!(before == ["/lab.js", "/record.js"], "{before:?}");
    course.run(eager).await?;
    let shown = "return told.some(({ name, lab }) => name === 'lesson' && lab === 'eager')";
    course.wait_long("the eager lab shows its lesson", shown).await?;
    let requests = course.lab.requests();
    let frames: Vec<&String> = requests.iter().filter(|path| path.starts_with("/embed.html")).collect();
    ensure!(frames.len() == 1, "{frames:?}");
    let of_engine: Vec<&String> = requests
        .iter()
        .filter(|path| ["engine", "worker", "model"].iter().any(|part| path.contains(part)))
        .collect();
    ensure!(of_engine.is_empty(), "{of_engine:?} was fetched before Start");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_out_of_the_lab_as_it_went_in_for_every_lesson() -> Result<()> {
    let ids = lessons()?;
    let state = |id: &str| format!("lab=1&lesson={id}&part=2&before=1&learning_rate=0.01&of_tomorrow=x%26y");
    let labs: String = ids
        .iter()
        .map(|id| {
            lab(
                &id.replace('-', "_"),
                &format!("device='replay' state='{}'", state(id).replace('&', "&amp;")),
            )
        })
        .collect();
    let course = Course::frames(&labs).await?;
    course
        .wait_long("the elements are there", "return !!customElements.get('lorakeet-lab')")
        .await?;
    course
        .run("window.labs = [...document.querySelectorAll('lorakeet-lab')]; for (const lab of labs) lab.start()")
        .await?;
    let shown =
        "return new Set(told.filter(({ name }) => name === 'lesson').map(({ lab }) => lab)).size === labs.length";
    course.wait_long("every lab shows its lesson", shown).await?;
    // In the address that the lab gives, the state is what it was told; after a change of colours, too.
    let addresses = "return (async () => { const urls = () => Promise.all(labs.map((lab) => lab.toURL()));\
        const before = await urls(); for (const lab of labs) lab.theme = 'dark';\
        return [before, await urls()] })()";
    let addresses = course.run(addresses).await?;
    for round in addresses.as_array().into_iter().flatten() {
        for (id, address) in ids.iter().zip(round.as_array().into_iter().flatten()) {
            let expected = format!("{}/embed.html#{}", course.lab.origin(), state(id));
            ensure!(*address == expected, "{expected} came out as {address}");
        }
        ensure!(round.as_array().map(Vec::len) == Some(ids.len()), "{round}");
    }
    course.page.close().await
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
    let page = open_lab("lesson=losss").await?;
    let shown = page.content("#lab").await?;
    ensure!(shown.contains("lessons/losss.json"), "{shown}");
    let heading = page.content("h1").await?;
    ensure!(heading == "Something went wrong", "the heading is {heading}");
    page.close().await?;
    let page = open_lab("lesson=loss#lab=2&lesson=lora").await?;
    let shown = page.content("#lab").await?;
    ensure!(shown.contains("lab=2"), "{shown}");
    page.close().await
}
