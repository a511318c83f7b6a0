//! `public/lab.js` in course pages of another origin and of its own, with a stub of the lab (`stub/`) in place of the real one:
//! what is requested when, what reaches the lab, what comes back, and what is shown. The real lab has tests of its own.

pub(crate) mod failures;
mod lists;
mod messages;
mod places;

use anyhow::{Context, Result, ensure};
use fantoccini::Locator;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::lab_walk::ENTER;
use serde_json::{Value, json};
use std::time::Duration;

/// One reaction of the shell and of the stub.
const REACTION: Duration = Duration::from_secs(10);

const LAB_JS: &str = include_str!("../../../public/lab.js");
const STUB: [(&str, &str); 3] = [
    ("/stub.js", include_str!("stub/stub.js")),
    ("/embed.html", include_str!("stub/embed.html")),
    ("/lab_page.js", include_str!("stub/lab_page.js")),
];
const RECORD_JS: &str = include_str!("stub/record.js");
/// Lets pages of every origin load a file.
pub(crate) const ANYBODY: Headers = &[("access-control-allow-origin", "*")];
const POSTER: &str = "<img slot='poster' alt='The loss falls' src=\"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' \
                      width='300' height='900'/>\"><p id='fallback'>What happens here.</p>";

/// Names and values of headers.
pub(crate) type Headers<'a> = &'a [(&'static str, &'a str)];

/// A page with labs in it, the site that it is on, and the site that the labs come from.
pub(crate) struct Course {
    pub(crate) page: Page,
    pub(crate) lab: FileSite,
    pub(crate) host: FileSite,
}

impl Course {
    /// Opens a course page of another origin than the stub's.
    async fn open(body: &str) -> Result<Self> {
        Self::open_with(body, &[], &Options::default()).await
    }

    /// The same with headers of the page and options of the browser.
    async fn open_with(body: &str, headers: Headers<'_>, options: &Options) -> Result<Self> {
        Self::open_for(lab_site().await?, body, headers, options).await
    }

    /// Opens a course page that lies beside the stub.
    async fn open_beside(body: &str) -> Result<Self> {
        Self::open_on(lab_site().await?, body, &[], &Options::default()).await
    }

    /// Opens a course page of another origin than the site of these labs. `LAB` in the page and its headers is that origin.
    pub(crate) async fn open_for(lab: FileSite, body: &str, headers: Headers<'_>, options: &Options) -> Result<Self> {
        let host = FileSite::start().await?;
        serve_course(&host, &lab, body, headers);
        let page = Page::open_at(&format!("{}/course.html", host.origin()), options).await?;
        Ok(Self { page, lab, host })
    }

    /// Opens a course page on the site of these labs.
    pub(crate) async fn open_on(lab: FileSite, body: &str, headers: Headers<'_>, options: &Options) -> Result<Self> {
        let host = FileSite::start().await?;
        serve_course(&lab, &lab, body, headers);
        let page = Page::open_at(&format!("{}/course.html", lab.origin()), options).await?;
        Ok(Self { page, lab, host })
    }

    /// Runs a script; a promise that it returns is waited for.
    pub(crate) async fn run(&self, script: &str) -> Result<Value> {
        self.page.run(script, vec![]).await
    }

    async fn wait_until(&self, what: &str, script: &str) -> Result<Value> {
        self.page.wait_until(what, REACTION, script).await
    }

    /// Waits until the lab with this id has its button, and presses it as a person does.
    pub(crate) async fn press_start(&self, id: &str) -> Result<()> {
        self.wait_until(
            "the button is there",
            &format!("return !!{id}.shadowRoot?.querySelector('button')"),
        )
        .await?;
        let lab = self.page.client.find(Locator::Css(&format!("#{id}"))).await?;
        let button = lab.shadow_root().await?.find(Locator::Css("button")).await?;
        button.click().await.context("Start cannot be pressed")
    }

    /// Presses Start and waits until the lab is shown.
    async fn start(&self, id: &str) -> Result<()> {
        self.press_start(id).await?;
        self.wait_until("the lab is shown", &format!("return {} === 'lab'", view(id)))
            .await
            .map(drop)
    }

    /// What the stub has seen so far: `{address, hellos, calls, …}`.
    async fn seen(&self, id: &str) -> Result<Value> {
        let seen = self.run(&format!("return {id}.toURL()")).await?;
        Ok(serde_json::from_str(seen.as_str().context("the stub tells a text")?)?)
    }

    /// Has the stub say messages over its port, and waits until they have arrived.
    async fn say(&self, id: &str, messages: &Value) -> Result<()> {
        let script = format!("return {id}.setKnob('say', arguments[0])");
        self.page.run(&script, vec![messages.clone()]).await.map(drop)
    }

    /// What was asked of the lab's site so far, sorted: a browser asks for several files at once.
    fn loaded(&self) -> Vec<String> {
        let mut paths = self.lab.requests();
        paths.sort();
        paths
    }

    /// The events of a name that reached the document, with all that was kept of them.
    pub(crate) async fn told(&self, name: &str) -> Result<Vec<Value>> {
        let all = self.run("return told").await?;
        let all = all.as_array().context("the events in a list")?;
        Ok(all.iter().filter(|event| event["name"] == name).cloned().collect())
    }
}

/// The view of a lab's shell, as an expression.
pub(crate) fn view(id: &str) -> String {
    format!("{id}.shadowRoot?.querySelector('[part=shell]')?.dataset.view")
}

async fn lab_site() -> Result<FileSite> {
    let lab = FileSite::start().await?;
    lab.serve("/lab.js", LAB_JS, ANYBODY);
    for (path, text) in STUB {
        lab.serve(path, text, ANYBODY);
    }
    Ok(lab)
}

fn serve_course(host: &FileSite, lab: &FileSite, body: &str, headers: Headers<'_>) {
    lab.serve("/record.js", RECORD_JS, ANYBODY);
    let page = format!(
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Course</title>\
         <script src='LAB/record.js'></script><script type='module' src='LAB/lab.js'></script></head>\
         <body><h1>Course</h1>{body}<p id='below'>Below</p></body></html>"
    );
    let headers: Vec<(&'static str, String)> = headers
        .iter()
        .map(|(name, value)| (*name, value.replace("LAB", &lab.origin())))
        .collect();
    let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    host.serve("/course.html", page.replace("LAB", &lab.origin()), &headers);
}

/// A lab with this id and these attributes.
pub(crate) fn lab(id: &str, attributes: &str) -> String {
    format!("<lorakeet-lab id='{id}' {attributes}>{POSTER}</lorakeet-lab>")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_requested_before_start() -> Result<()> {
    let course = Course::open(&lab("lab", "lesson='one' label='Tune it'")).await?;
    course
        .wait_until("the button is there", "return !!lab.shadowRoot.querySelector('button')")
        .await?;
    // Somebody is about to press it: the connection is opened, once, and nothing is asked over it.
    let warm = "const start = lab.shadowRoot.querySelector('button');\
                for (const type of ['pointerover', 'focusin', 'pointerover']) start.dispatchEvent(new Event(type));\
                return [...document.querySelectorAll('link')].map((link) => [link.rel, link.href]);";
    let links = course.run(warm).await?;
    ensure!(
        links == json!([["preconnect", format!("{}/", course.lab.origin())]]),
        "the head has {links}"
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let loaded = course.loaded();
    ensure!(loaded == ["/lab.js", "/record.js"], "{loaded:?}");
    ensure!(
        course.host.requests() == ["/course.html"],
        "{:?}",
        course.host.requests()
    );
    let there = course
        .run("return [lab.phase, lab.shadowRoot.querySelectorAll('iframe').length, told.length]")
        .await?;
    ensure!(there == json!(["idle", 0, 0]), "{there}");

    course.start("lab").await?;
    let requests = course.lab.requests();
    let embeds: Vec<&String> = requests
        .iter()
        .filter(|path| path.starts_with("/embed.html?"))
        .collect();
    ensure!(embeds.len() == 1 && embeds[0].contains("start=1"), "{requests:?}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn start_by_keyboard_moves_the_focus_into_the_lab() -> Result<()> {
    let course = Course::open(&lab("lab", "label='Tune it'")).await?;
    course
        .wait_until("the button is there", "return !!lab.shadowRoot.querySelector('button')")
        .await?;
    let body = course.page.client.find(Locator::Css("body")).await?;
    body.send_keys("\u{e004}").await?;
    let button = "const start = lab.shadowRoot.activeElement; const box = start?.getBoundingClientRect();\
                  const { outlineStyle, outlineWidth } = getComputedStyle(start);\
                  return { name: start.ariaLabel, text: start.textContent, tag: start.localName,\
                           size: Math.min(box.width, box.height), outline: [outlineStyle, outlineWidth] };";
    let button = course.run(button).await?;
    ensure!(
        button["tag"] == "button" && button["name"] == "Start: Tune it" && button["text"] == "Start",
        "{button}"
    );
    ensure!(
        button["size"].as_f64() >= Some(24.0),
        "the button is too small: {button}"
    );
    ensure!(
        button["outline"] == json!(["solid", "3px"]),
        "the focus cannot be seen: {button}"
    );

    // As the driver types: to whatever has the focus.
    course.page.press_key(ENTER).await?;
    course
        .wait_until("the lab is shown", &format!("return {} === 'lab'", view("lab")))
        .await?;
    let focus = course
        .run("return [document.activeElement.id, lab.shadowRoot.activeElement?.localName]")
        .await?;
    ensure!(focus == json!(["lab", "iframe"]), "the focus is at {focus}");
    ensure!(
        course.seen("lab").await?["hasFocus"] == true,
        "the lab's page has no focus"
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_reach_the_address_and_the_greeting_of_the_lab() -> Result<()> {
    let attributes = "lesson='one' src='own/lab.json' controls='rank data' state='lab=1&amp;rank=4' device='cpu' max-steps='20' \
                      max-seconds='30' seed='7' offscreen='run' lang='zh-CN' theme='dark' label='调一调' locked height='300' \
                      style='--lorakeet-accent: rgb(1, 2, 3); --lorakeet-series-4: teal; --lorakeet-other: 1'";
    let course = Course::open(&lab("lab", attributes)).await?;
    course.start("lab").await?;
    let seen = course.seen("lab").await?;
    let source = format!("{}/own/lab.json", course.host.origin());
    let parts = "const url = new URL(arguments[0]); return [Object.fromEntries(url.searchParams), url.hash]";
    let address = course.page.run(parts, vec![seen["address"].clone()]).await?;
    let query = json!({
        "lesson": "one", "src": source, "controls": "rank data", "device": "cpu", "max-steps": "20", "max-seconds": "30",
        "seed": "7", "offscreen": "run", "lang": "zh", "theme": "dark", "label": "调一调", "locked": "1", "start": "1",
        "host": "shell",
    });
    ensure!(
        address == json!([query, "#lab=1&rank=4"]),
        "the frame's address has {address}"
    );
    let greeting = json!({
        "protocol": "lorakeet-lab", "version": 1, "type": "hello", "state": "lab=1&rank=4", "theme": "dark", "lang": "zh",
        "label": "调一调", "lesson": "one", "src": source, "controls": "rank data", "device": "cpu",
        "caps": { "maxSteps": 20, "maxSeconds": 30, "seed": 7 }, "locked": true, "offscreen": "run",
        "style": { "--lorakeet-accent": "rgb(1, 2, 3)", "--lorakeet-series-4": "teal" }, "keeps": true, "start": true,
    });
    ensure!(seen["hellos"] == json!([greeting]), "{}", seen["hellos"]);

    // Changes of one go are told in one greeting; the state is told again only when the page has set it.
    course
        .run("lab.theme = 'light'; lab.maxSteps = 5; lab.locked = false; lab.height = '30rem'")
        .await?;
    // What was changed before a call counts for it.
    course
        .run("lab.state = 'lab=1&rank=8'; return lab.predict('a')")
        .await?;
    let order = course.seen("lab").await?["order"].clone();
    ensure!(
        order == json!(["toURL", "hello", "hello", "predict", "toURL"]),
        "{order}"
    );
    let hellos = course.seen("lab").await?["hellos"].clone();
    ensure!(hellos.as_array().is_some_and(|hellos| hellos.len() == 3), "{hellos}");
    let [second, third] = [&hellos[1], &hellos[2]];
    ensure!(
        second["theme"] == "light" && second["caps"]["maxSteps"] == 5 && second["locked"] == false,
        "{second}"
    );
    ensure!(
        second["state"] == "" && third["state"] == "lab=1&rank=8",
        "{second}\n{third}"
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_properties_and_wrong_values_are_named() -> Result<()> {
    let wrong = "sync='no' loading='soon' device='tpu' max-steps='0' max-seconds='1.5' seed='-1' offscreen='stop' lang='fr' \
                 theme='blue' height='tall' state='rank=4' mode='tab'";
    let body = format!("{}{}", lab("wrong", wrong), lab("fine", ""));
    let course = Course::open(&body).await?;
    course
        .wait_until("the labs are there", "return !!customElements.get('lorakeet-lab')")
        .await?;
    let warned = course.run("return warned").await?;
    let warned: Vec<&str> = warned
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    ensure!(
        warned.len() == 12,
        "twelve values are wrong; the console says {warned:?}"
    );
    for (attribute, allowed) in [
        ("device", "auto, gpu, cpu, replay"),
        ("max-steps", "whole numbers from 1 on"),
    ] {
        let named = format!("{attribute} takes {allowed}");
        ensure!(
            warned.iter().any(|text| text.contains(&named)),
            "{named} is not in {warned:?}"
        );
    }
    let properties = "return ['lesson', 'src', 'controls', 'state', 'sync', 'loading', 'device', 'maxSteps', 'maxSeconds', 'seed',\
                      'offscreen', 'theme', 'label', 'height', 'locked', 'mode', 'opaque'].map((name) => arguments[0] ?\
                      document.getElementById(arguments[0])[name] : name)";
    let of_fine = course.page.run(properties, vec![json!("fine")]).await?;
    let defaults = json!([
        "", "", "", "", "none", "lazy", "auto", null, null, null, "pause", "auto", "", "420px", false, "frame", false
    ]);
    ensure!(of_fine == defaults, "without attributes the properties are {of_fine}");
    let of_wrong = course.page.run(properties, vec![json!("wrong")]).await?;
    ensure!(
        of_wrong == defaults,
        "with wrong attributes the properties are {of_wrong}"
    );
    let set = "fine.maxSteps = 5; fine.locked = true; fine.opaque = true; fine.theme = 'dark'; fine.opaque = false;\
               fine.device = 'gpu'; fine.label = 'Fine'; fine.label = null; fine.state = 'lab=1&x=1';\
               return [...fine.attributes].map(({ name, value }) => `${name}=${value}`).sort()";
    let set = course.run(set).await?;
    ensure!(
        set == json!([
            "device=gpu",
            "id=fine",
            "locked=",
            "max-steps=5",
            "state=lab=1&x=1",
            "theme=dark"
        ]),
        "{set}"
    );
    // A framework may set properties before lab.js is there.
    let early = "const early = document.createElement('lorakeet-early'); early.maxSteps = 9; early.device = 'cpu';\
                 const { LorakeetLab } = await import(document.querySelector('script[type=module]').src);\
                 customElements.define('lorakeet-early', class extends LorakeetLab {}); document.body.append(early);\
                 return [early.getAttribute('max-steps'), early.getAttribute('device')]";
    let early = course.run(&format!("return (async () => {{ {early} }})()")).await?;
    ensure!(early == json!(["9", "cpu"]), "{early}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_speaks_the_language_of_the_page_around_it() -> Result<()> {
    let body = format!(
        "<div lang='zh-TW'>{}<p lang='en'>{}</p></div>{}",
        lab("chinese", "label='标题'"),
        lab("english", ""),
        lab("own", "lang='zh'")
    );
    let course = Course::open(&body).await?;
    let all = "[chinese, english, own].map((lab) => lab.shadowRoot?.querySelector('button'))";
    course
        .wait_until("the buttons are there", &format!("return {all}.every(Boolean)"))
        .await?;
    let words = course
        .run(&format!(
            "return {all}.map((button) => [button.textContent, button.ariaLabel])"
        ))
        .await?;
    let expected = json!([
        ["开始", "开始：标题"],
        ["Start", "Start: Language model lab"],
        ["开始", "开始：语言模型实验"]
    ]);
    ensure!(words == expected, "{words}");
    let changed = "own.lang = 'en'; return own.shadowRoot.querySelector('button').textContent";
    ensure!(course.run(changed).await? == "Start");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_while_the_lab_is_loaded_and_shown() -> Result<()> {
    let body = format!(
        "<style>lorakeet-lab:not(:defined) {{ display: block; min-height: 500px }}\
         lorakeet-lab:not(:defined) > [slot='poster'] {{ max-height: 300px }}</style>{}",
        lab("lab", "height='500'")
    );
    let course = Course::open(&body).await?;
    let before = course.run("return below.getBoundingClientRect().top").await?;
    course.start("lab").await?;
    // Less than what is reserved changes nothing; a difference of a pixel neither.
    course.say("lab", &json!([{ "type": "size", "height": 300 }])).await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = course.run("return [below.getBoundingClientRect().top, moved]").await?;
    ensure!(after == json!([before, 0]), "before {before}, after and moved {after}");

    let height = "return lab.shadowRoot.querySelector('iframe').offsetHeight";
    for (asked, expected) in [(700.0, 700), (701.4, 700), (703.0, 703), (90000.0, 4000)] {
        course.say("lab", &json!([{ "type": "size", "height": asked }])).await?;
        let got = course.run(height).await?;
        ensure!(got == expected, "asked for {asked}, the frame has {got}");
    }
    course.page.close().await
}
