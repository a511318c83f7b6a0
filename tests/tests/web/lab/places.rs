//! Where the lab can be: in a frame with an origin of its own, under policies, inside a page, elsewhere after a move, and
//! without JavaScript.

use super::{LONG, REACTION, RUNS, SHORT, built_site, without_gpu};
use crate::lab_shell::failures::failure;
use crate::lab_shell::{ANYBODY, Course, lab};
use anyhow::{Result, ensure};
use fantoccini::Locator;
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::lab_walk::OPENED;
use lorakeet_tests::site::dist;
use serde_json::json;

/// Keeps which policies were broken.
const WATCH_POLICY: &str = "window.broken = []; document.addEventListener('securitypolicyviolation', (event) => {\
    broken.push([event.effectiveDirective, event.blockedURI]) })";

/// Keeps the engine's worker.
const WATCH_WORKER: &str = "const { Worker: Own } = window;\
    window.Worker = class extends Own { constructor(...of) { super(...of); window.worker = this } }";

/// Has that worker say that a run did not fit into memory.
const FULL_MEMORY: &str = "const message = JSON.stringify({ type: 'failed', kind: 'out_of_memory' });\
    worker.dispatchEvent(new MessageEvent('message', { data: { message, said: 'Memory is full.' } }))";

/// Gives the lab one width after the other; for each, whether it has room there, and its phase.
const RESIZE: &str = "return (async () => { const found = [];\
    for (const width of [280, 320, 640, 1024, 1440, 280]) {\
        lab.style.inlineSize = `${width}px`;\
        await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));\
        const inside = lab.shadowRoot.querySelector('.lab');\
        found.push([inside.scrollWidth <= inside.clientWidth, lab.phase]) }\
    lab.style.inlineSize = ''; return found })()";

/// Counts the messages in which a lab hands a checkpoint over.
const WATCH_KEPT: &str = "window.checkpoints = 0;\
    const own = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage');\
    Object.defineProperty(MessagePort.prototype, 'onmessage', { ...own, set(hear) {\
        own.set.call(this, (event) => {\
            if (event.data?.type === 'keep' && event.data.run.files.length > 0) checkpoints += 1;\
            hear(event) }) } })";

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_with_an_origin_of_its_own_trains_and_keeps_nothing() -> Result<()> {
    let frame = format!(
        "<iframe id='frame' width='600' height='800' sandbox='allow-scripts allow-downloads' \
         src='LAB/embed.html?device=cpu&amp;start=1&amp;max-steps=20#{SHORT}'></iframe>"
    );
    let course = Course::frames(&frame).await?;
    let frame = course.page.client.find(Locator::Css("#frame")).await?;
    frame.enter_frame().await?;
    let train =
        "const train = document.querySelector('[data-do=train]:not(:disabled)'); train?.click(); return !!train";
    course.wait_long("Train can be pressed", train).await?;
    let done = "return document.querySelector('.lab').dataset.phase === 'done'";
    course.wait_long("the runs are done", done).await?;
    let found = "const has = (name) => { try { return !!window[name] } catch (error) { return error.name } };\
        return [self.origin, has('localStorage'), document.querySelector('[data-device]').dataset.device,\
                document.querySelectorAll('p.notice, .notice-error').length]";
    let found = course.run(found).await?;
    ensure!(found == json!(["null", "SecurityError", "cpu", 0]), "{found}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_trains_in_pages_with_the_policies_of_its_document() -> Result<()> {
    let of_frame = "default-src 'none'; script-src LAB; frame-src LAB; img-src data:";
    let of_inline = "default-src 'none'; script-src LAB 'wasm-unsafe-eval'; worker-src LAB; connect-src LAB; style-src LAB; \
                     img-src data:";
    for (mode, policy) in [("frame", of_frame), ("inline", of_inline)] {
        let attributes = format!("mode='{mode}' device='cpu' max-steps='20' state='{SHORT}'");
        let (body, headers) = (lab("lab", &attributes), [("content-security-policy", policy)]);
        let site = built_site().await?;
        let course = match mode {
            "frame" => Course::open_for(site, &body, &headers, &without_gpu()).await?,
            _ => Course::open_on(site, &body, &headers, &without_gpu()).await?,
        };
        course.run(WATCH_POLICY).await?;
        course.make_ready("lab").await?;
        course.train("lab").await?;
        let end = course.run("return [lab.device, lab.report.steps, broken]").await?;
        ensure!(end == json!(["cpu", 20, []]), "{mode}: {end}");
        course.page.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_page_that_forbids_webassembly_the_fallback_says_so() -> Result<()> {
    let policy = [(
        "content-security-policy",
        "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self'; img-src data:",
    )];
    let body = lab("lab", "mode='inline' lesson='loss'");
    let course = Course::open_on(built_site().await?, &body, &policy, &without_gpu()).await?;
    course.press_start("lab").await?;
    let (shown, detail) = failure(&course, RUNS).await?;
    let text = shown["text"].as_str().unwrap_or_default();
    ensure!(
        text.contains("WebAssembly is not allowed") && text.contains("'wasm-unsafe-eval'"),
        "{text}"
    );
    ensure!(
        shown["fallback"] == true && detail["kind"] == "blocked",
        "{shown} {detail}"
    );
    let requests = course.lab.requests();
    ensure!(!requests.iter().any(|path| path.ends_with(".wasm")), "{requests:?}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_a_page_a_run_goes_on_through_a_move() -> Result<()> {
    let body = lab(
        "lab",
        &format!("mode='inline' device='cpu' max-steps='9' state='{LONG}'"),
    );
    let course = Course::inline(&format!("<div id='elsewhere'></div>{body}")).await?;
    course.run(WATCH_WORKER).await?;
    course.make_ready("lab").await?;
    course.hold_a_run("lab").await?;
    let sizes = course.run(RESIZE).await?;
    let fits = sizes
        .as_array()
        .is_some_and(|sizes| sizes.iter().all(|size| *size == json!([true, "paused"])));
    ensure!(fits, "wider than its place, or no longer paused: {sizes}");
    let moved = "lab.remove(); elsewhere.append(lab); return lab.phase";
    ensure!(course.run(moved).await? == "paused");
    course.train("lab").await?;
    let end = course
        .run("return [lab.report.steps, told.filter(({ name }) => name === 'error')]")
        .await?;
    ensure!(end == json!([9, []]), "{end}");

    // Memory that is full ends the run, and the lab can be started again.
    course.hold_a_run("lab").await?;
    course.run(FULL_MEMORY).await?;
    // What is shown follows the phase a moment later.
    let is_told = "return lab.phase === 'error' && !!lab.shadowRoot.querySelector('.notice-error [data-do=start]')";
    course.wait_long("it is told", is_told).await?;
    let told = "const { kind, message, fatal } = told.findLast(({ name }) => name === 'error').detail;\
        return [kind, message, fatal, lab.shadowRoot.querySelector('.notice-error [data-do=start]')?.innerText]";
    let told = course.run(told).await?;
    ensure!(
        told == json!(["out-of-memory", "Memory is full.", false, "Start the engine again"]),
        "{told}"
    );
    course.run("lab.start()").await?;
    let is_back = "return ['ready', 'done'].includes(lab.phase)";
    course.wait_long("the engine is back", is_back).await?;
    course.train("lab").await?;
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_a_frame_of_its_own_origin_goes_on_through_a_move_to_the_same_numbers() -> Result<()> {
    let body = lab("lab", &format!("opaque device='cpu' max-steps='9' state='{LONG}'"));
    let course = Course::frames(&format!("<div id='elsewhere'></div>{body}")).await?;
    course.run(WATCH_KEPT).await?;
    course.make_ready("lab").await?;
    course.hold_a_run("lab").await?;
    course
        .wait_long("the page has a checkpoint", "return checkpoints > 0")
        .await?;
    let moved = "const state = lab.state; elsewhere.append(lab);\
        window.after = told.length; window.step = lab.metrics.step; return [lab.phase, lab.state === state,\
        lab.shadowRoot.querySelector('.moved').innerText.includes('then the run goes on')]";
    let moved = course.run(moved).await?;
    ensure!(moved == json!(["loading", true, true]), "{moved}");
    course
        .wait_long("the run holds again", "return lab.phase === 'paused'")
        .await?;
    course.train("lab").await?;
    let end = "return [lab.report.steps, lab.shadowRoot.querySelector('.moved').innerText,\
        told.filter(({ name }) => name === 'error'),\
        told.slice(after).some(({ name, detail }) => name === 'step' && detail.step <= window.step)]";
    let end = course.run(end).await?;
    ensure!(end == json!([9, "", [], false]), "{end}");
    // The same run once more, without a move.
    let report = "const { seconds, ...report } = lab.report; return report";
    let through_a_move = course.run(report).await?;
    course.train("lab").await?;
    let whole = course.run(report).await?;
    ensure!(whole == through_a_move, "{whole} instead of {through_a_move}");
    let files = "return (async () => { const start = async (format) => {\
        const file = await lab.exportAdapter(format); return (await file.text()).slice(0, 4) };\
        return [(await start('peft')).slice(0, 2), await start('gguf')] })()";
    let files = course.run(files).await?;
    ensure!(files == json!(["PK", "GGUF"]), "{files}");

    // A GPU that is wished for and is not there.
    course.run("return lab.destroy()").await?;
    course.run("lab.device = 'gpu'").await?;
    course.make_ready("lab").await?;
    let end = "return [lab.device, told.filter(({ name }) => name === 'error').map(({ detail }) => [detail.kind, detail.fatal])]";
    let end = course.run(end).await?;
    ensure!(end == json!(["replay", [["no-webgpu", false]]]), "{end}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_whose_program_is_missing_says_so_and_can_be_loaded_again() -> Result<()> {
    // The JavaScript of the frame, and the WebAssembly behind it.
    for path in ["lab_page.js", "lesson_bg.wasm"] {
        let site = built_site().await?;
        site.serve(&format!("/{path}"), "?", ANYBODY);
        let address = format!("{}/embed.html?lesson=loss&lang=zh", site.origin());
        let page = Page::open_at(&address, &without_gpu()).await?;
        page.wait_until("the lab is there", RUNS, OPENED).await?;
        let shown = "const notice = document.querySelector('.notice-error');\
            return [notice.role, notice.querySelector('h1').innerText, notice.querySelector('.notice-what').innerText,\
                    notice.querySelector('button').innerText, document.documentElement.lang]";
        let shown = page.run(shown, Vec::new()).await?;
        ensure!(
            shown[2].as_str().is_some_and(|text| text.contains("lab_page.js")),
            "{path}: {shown}"
        );
        let rest = [&shown[0], &shown[1], &shown[3], &shown[4]];
        ensure!(
            rest == ["alert", "实验的程序未能启动。", "重试", "zh"],
            "{path}: {shown}"
        );
        site.serve(&format!("/{path}"), std::fs::read(dist()?.join(path))?, ANYBODY);
        page.run("document.querySelector('.notice-error button').click()", Vec::new())
            .await?;
        let lesson = "return !!document.querySelector('.part-here')";
        page.wait_until("the lesson is there", RUNS, lesson).await?;
        page.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_that_the_program_of_its_frame_is_missing() -> Result<()> {
    let site = built_site().await?;
    site.serve("/lesson_bg.wasm", "?", ANYBODY);
    let body = lab("lab", "lesson='loss' loading='eager'");
    let course = Course::open_for(site, &body, &[], &without_gpu()).await?;
    let told = "return told.some(({ name }) => name === 'ready')";
    course.wait_long("the frame is there", told).await?;
    // Nobody has pressed Start, so there is nothing to say yet.
    ensure!(course.told("error").await?.is_empty());
    course.press_start("lab").await?;
    let (shown, detail) = failure(&course, REACTION).await?;
    let text = shown["text"].as_str().unwrap_or_default();
    ensure!(text.contains("did not start") && text.contains("try again"), "{text}");
    ensure!(
        shown["fallback"] == true && detail["kind"] == "network" && detail["fatal"] == true,
        "{shown} {detail}"
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_frame_says_what_it_needs() -> Result<()> {
    let without = Options {
        flags: vec!["--blink-settings=scriptEnabled=false"],
        ..without_gpu()
    };
    let site = built_site().await?;
    let page = Page::open_at(&format!("{}/embed.html?lesson=loss", site.origin()), &without).await?;
    let text = page.client.find(Locator::Css("noscript")).await?.text().await?;
    ensure!(
        text.contains("needs JavaScript") && text.contains("JavaScript 和 WebAssembly"),
        "{text}"
    );
    let requests = site.requests();
    ensure!(!requests.iter().any(|path| path.ends_with(".wasm")), "{requests:?}");
    page.close().await
}
