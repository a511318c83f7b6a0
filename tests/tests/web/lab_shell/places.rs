//! Where a lab can stand: in a frame of another origin or of the page's own, inside the page, and elsewhere in the page after
//! a move.

use super::{Course, lab, view};
use anyhow::{Result, ensure};
use serde_json::json;
use std::time::Duration;

const ATTRIBUTES: &str = "const frame = lab.shadowRoot.querySelector('iframe');\
    return [frame.getAttribute('sandbox'), frame.title, frame.referrerPolicy, frame.allow];";

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_sandboxed_where_that_holds_something_back() -> Result<()> {
    let allow = "fullscreen; clipboard-write; screen-wake-lock";
    let course = Course::open(&lab("lab", "label='Tune it'")).await?;
    course.start("lab").await?;
    let foreign = course.run(ATTRIBUTES).await?;
    let sandbox = "allow-scripts allow-same-origin allow-downloads";
    ensure!(
        foreign == json!([sandbox, "Tune it", "no-referrer", allow]),
        "{foreign}"
    );
    // Another name is another title.
    let title = course
        .run("lab.label = 'Tune it again'; return lab.shadowRoot.querySelector('iframe').title")
        .await?;
    ensure!(title == "Tune it again", "{title}");
    course.page.close().await?;

    let course = Course::open_beside(&lab("lab", "")).await?;
    course.start("lab").await?;
    let own = course.run(ATTRIBUTES).await?;
    ensure!(
        own == json!([null, "Language model lab", "no-referrer", allow]),
        "{own}"
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_with_an_origin_of_its_own_is_greeted_too() -> Result<()> {
    for is_beside in [false, true] {
        let body = lab("lab", "opaque lesson='one'");
        let course = match is_beside {
            true => Course::open_beside(&body).await?,
            false => Course::open(&body).await?,
        };
        course.start("lab").await?;
        let sandbox = course
            .run("return lab.shadowRoot.querySelector('iframe').getAttribute('sandbox')")
            .await?;
        ensure!(sandbox == "allow-scripts allow-downloads", "{sandbox}");
        let seen = course.seen("lab").await?;
        ensure!(
            seen["origin"] == "null" && seen["hellos"][0]["lesson"] == "one",
            "{seen}"
        );
        course.page.close().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_can_be_inside_a_page_of_its_own_origin() -> Result<()> {
    let body = lab("lab", "mode='inline' lesson='one' style='--lorakeet-accent: teal'");
    let course = Course::open_beside(&body).await?;
    let before = course.lab.requests();
    ensure!(!before.iter().any(|path| path.contains("lab_page")), "{before:?}");
    course.start("lab").await?;
    let inside = course
        .run(
            "return [lab.shadowRoot.querySelectorAll('iframe').length, lab.shadowRoot.activeElement?.part.value,\
              lab.shadowRoot.querySelector('[part=frame] button').textContent]",
        )
        .await?;
    ensure!(inside == json!([0, "frame", "Inside"]), "{inside}");
    let seen = course.seen("lab").await?;
    let hello = &seen["hellos"][0];
    ensure!(
        hello["lesson"] == "one" && hello["start"] == true && hello["style"] == json!({ "--lorakeet-accent": "teal" }),
        "{hello}"
    );
    course
        .say("lab", &json!({ "type": "phase", "phase": "training", "device": "cpu" }))
        .await?;

    // A move leaves it alone: the same lab, in the same phase, and what it is asked meanwhile is answered.
    let moved = "return (async () => { const inside = lab.shadowRoot.querySelector('[part=frame] button'); lab.remove();\
        const answer = lab.predict('on the way'); await new Promise((later) => setTimeout(later, 600));\
        document.body.prepend(lab); await new Promise((later) => setTimeout(later, 1000));\
        return [await answer, inside.isConnected, lab.phase, window.stubDestroyed ?? 0] })()";
    let moved = course.run(moved).await?;
    ensure!(moved == json!(["after on the way", true, "training", 0]), "{moved}");
    // It is told once more what may be another at the new place.
    let hellos = course.seen("lab").await?["hellos"].clone();
    ensure!(
        hellos.as_array().map(Vec::len) == Some(2) && hellos[1]["state"] == "",
        "{hellos}"
    );

    // Taken away for good, it ends.
    let gone = "return (async () => { lab.remove(); await new Promise((later) => setTimeout(later, 1200));\
        return [lab.phase, window.stubDestroyed] })()";
    let gone = course.run(gone).await?;
    ensure!(gone == json!(["idle", 1]), "{gone}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_of_another_origin_is_refused_inside_the_page() -> Result<()> {
    let course = Course::open(&lab("lab", "mode='inline'")).await?;
    course
        .wait_until("it says so", &format!("return {} === 'error'", view("lab")))
        .await?;
    let shown = "const root = lab.shadowRoot; return [root.querySelector('[part=error]').innerText,\
        root.querySelector('button').checkVisibility(), fallback.checkVisibility(), lab.phase]";
    let shown = course.run(shown).await?;
    let text = shown[0].as_str().unwrap_or_default();
    ensure!(
        text.contains("mode=\"inline\"") && text.contains(&course.lab.origin()) && text.contains("own site"),
        "{text}"
    );
    ensure!(shown[1] == false && shown[2] == true && shown[3] == "error", "{shown}");
    let kinds: Vec<_> = course.told("error").await?;
    ensure!(kinds.len() == 1 && kinds[0]["detail"]["kind"] == "blocked", "{kinds:?}");
    let refused = course.run("return lab.start().catch((error) => error.kind)").await?;
    ensure!(refused == "blocked", "{refused}");
    let loaded = course.loaded();
    ensure!(loaded == ["/lab.js", "/record.js"], "{loaded:?}");

    // In a frame it may be there after all.
    course.run("lab.mode = 'frame'").await?;
    course.start("lab").await?;
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_is_moved_goes_on_with_its_state() -> Result<()> {
    let course = Course::open(&format!(
        "{}<div id='elsewhere'></div>",
        lab("lab", "state='lab=1&amp;rank=1'")
    ))
    .await?;
    course.start("lab").await?;
    course
        .say("lab", &json!({ "type": "state", "state": "lab=1&rank=9" }))
        .await?;
    let moved = "return (async () => { const paused = lab.pause().catch((error) => error.kind); told.length = 0;\
        elsewhere.append(lab); const answer = lab.predict('meanwhile'); return [await paused, await answer] })()";
    let moved = course.run(moved).await?;
    ensure!(moved == json!(["lost", "after meanwhile"]), "{moved}");
    let seen = course.seen("lab").await?;
    let hellos = &seen["hellos"];
    ensure!(
        hellos.as_array().map(Vec::len) == Some(1)
            && hellos[0]["state"] == "lab=1&rank=9"
            && hellos[0]["start"] == true,
        "{hellos}"
    );
    ensure!(
        course.told("ready").await?.len() == 1,
        "the lab is ready once more after a move"
    );
    ensure!(course.run(&format!("return {}", view("lab"))).await? == "lab");

    // What the lab has given to be kept of a run is given to it once more, as often as it is loaded anew.
    let run = json!({ "lesson": "one", "files": [{ "name": "manifest.json" }] });
    course
        .say(
            "lab",
            &json!([{ "type": "keep", "run": run }, { "type": "phase", "phase": "training", "device": "cpu" }]),
        )
        .await?;
    ensure!(
        course.seen("lab").await?["runs"] == json!([]),
        "nothing was kept before"
    );
    let notice = "return lab.shadowRoot.querySelector('.moved').textContent";
    for place in ["document.body", "elsewhere"] {
        let moved =
            format!("{place}.append(lab); return [lab.phase, lab.shadowRoot.querySelector('.moved').textContent]");
        let moved = course.run(&moved).await?;
        ensure!(
            moved[0] == "loading" && moved[1].as_str().is_some_and(|text| text.contains("goes on")),
            "{moved}"
        );
        ensure!(course.seen("lab").await?["runs"] == json!([run]), "in {place}");
        course
            .say("lab", &json!({ "type": "phase", "phase": "training", "device": "cpu" }))
            .await?;
        ensure!(course.run(notice).await? == "", "the run goes on");
    }
    ensure!(course.told("error").await?.is_empty(), "a move ends nothing");

    // A move that keeps the frame keeps the lab, where the browser can do that.
    let kept = "if (!document.body.moveBefore) return null; document.body.moveBefore(lab, document.body.firstChild);\
                return lab.predict('kept')";
    let kept = course.run(kept).await?;
    ensure!(kept.is_null() || kept == "after kept", "{kept}");

    // Away for longer than a move takes: it ends, and begins again with its state when it is back.
    let back = "return (async () => { lab.remove(); await new Promise((later) => setTimeout(later, 1200));\
        const away = lab.phase; document.body.append(lab); return [away, lab.phase, lab.state] })()";
    let back = course.run(back).await?;
    ensure!(back == json!(["idle", "idle", "lab=1&rank=9"]), "{back}");
    course.start("lab").await?;
    ensure!(course.seen("lab").await?["hellos"][0]["state"] == "lab=1&rank=9");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lab_far_down_the_page_can_be_reached_and_an_eager_one_is_there_before_start() -> Result<()> {
    let far = "<p style='height: 20000px'>Text</p>";
    let course = Course::open(&format!("{}{far}{}", lab("eager", "loading='eager'"), lab("far", ""))).await?;
    // A keyboard has to find the button of a lab that nobody has scrolled to.
    course
        .wait_until(
            "the far button is there",
            "return !!far.shadowRoot.querySelector('button')",
        )
        .await?;
    course
        .wait_until(
            "the eager frame is ready",
            "return told.some(({ name, lab }) => name === 'ready' && lab === 'eager')",
        )
        .await?;
    let requests = course.lab.requests();
    let embeds: Vec<_> = requests.iter().filter(|path| path.starts_with("/embed.html")).collect();
    ensure!(embeds.len() == 1 && !embeds[0].contains("start"), "{embeds:?}");
    let shown = "const root = eager.shadowRoot; return [eager.phase, root.querySelector('button').checkVisibility(),\
        root.querySelector('iframe').checkVisibility({ checkVisibilityCSS: true })]";
    let shown = course.run(shown).await?;
    ensure!(shown == json!(["idle", true, false]), "{shown}");
    // What is called waits for Start, also where the lab is there.
    course
        .run("window.answer = 'none'; eager.predict('a').then((text) => { answer = text })")
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(course.run("return answer").await? == "none");
    course.start("eager").await?;
    course
        .wait_until("the call is answered", "return answer === 'after a'")
        .await?;
    let hellos = course.seen("eager").await?["hellos"].clone();
    ensure!(hellos[0]["start"] == false && hellos[1]["start"] == true, "{hellos}");
    let focus = course
        .run("return [document.activeElement.id, eager.shadowRoot.activeElement.localName]")
        .await?;
    ensure!(focus == json!(["eager", "iframe"]), "{focus}");
    course.page.close().await
}
