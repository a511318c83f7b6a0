//! What goes between shell and lab: calls and their answers, events and how many, and messages from whom nothing is taken.

use super::{Course, REACTION, lab};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::file_site::FileSite;
use serde_json::{Value, json};
use std::time::Duration;

/// A page that takes itself for a lab: it tells its parent so again and again, and keeps what it is answered.
const LIAR: &str = "<!DOCTYPE html><title>Liar</title><script>addEventListener('message', ({ data }) => { document.title = 'answered' });\
    setInterval(() => parent.postMessage({ protocol: 'lorakeet-lab', version: 1, type: 'ready', capabilities: ['lies'] }, '*'), 50);\
    setInterval(() => parent.postMessage({ protocol: 'lorakeet-lab', version: 1, type: 'done', report: 'lies' }, '*'), 50);\
    setInterval(() => parent.postMessage({ liar: document.title }, '*'), 50)</script>";

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_start_and_are_answered() -> Result<()> {
    let course = Course::open(&format!("{}{}", lab("early", ""), lab("late", ""))).await?;
    // Called before anything is there, in this order; the last one starts the lab.
    let early = "return (async () => {\
        const calls = [early.predict('a'), early.step(3), early.step(), early.reset({ seed: 4 }), early.setKnob('rank', 8)];\
        await new Promise((later) => setTimeout(later, 300));\
        const before = [early.phase, early.shadowRoot.querySelectorAll('iframe').length];\
        calls.push(early.start());\
        return [before, await Promise.all(calls)]; })()";
    let early = course.run(early).await?;
    let expected = json!([["idle", 0], ["after a", 3, 1, { "seed": 4 }, "rank", "started"]]);
    ensure!(early == expected, "{early}");
    let calls = course.seen("early").await?["calls"].clone();
    let expected = json!([
        ["predict", "a"], ["step", 3], ["step", 1], ["reset", { "seed": 4 }], ["setKnob", "rank", 8], ["start"], ["toURL"]
    ]);
    ensure!(calls == expected, "{calls}");

    // A button pressed by a person releases them as well, and asks for nothing by itself.
    course
        .run("window.answer = null; late.predict('b').then((text) => { answer = text })")
        .await?;
    course.start("late").await?;
    course
        .wait_until("the call is answered", "return answer === 'after b'")
        .await?;
    let seen = course.seen("late").await?;
    ensure!(
        seen["calls"] == json!([["predict", "b"], ["toURL"]]),
        "{}",
        seen["calls"]
    );

    let files = "return (async () => { const [adapter, answers] = [await late.exportAdapter(), await late.exportAnswers()];\
        return [adapter.type, await adapter.text(), answers.type, await answers.text()] })()";
    let files = course.run(files).await?;
    ensure!(
        files == json!(["application/zip", "adapter", "text/csv", "question,answer"]),
        "{files}"
    );
    let refused = "return late.exportAdapter('gguf').catch((error) =>\
        [error instanceof Error, error.message, error.kind, error.advice])";
    let refused = course.run(refused).await?;
    ensure!(
        refused == json!([true, "no gguf here", "bad-file", "take peft"]),
        "{refused}"
    );
    let unsendable = course
        .run("return late.setKnob('x', () => 1).catch((error) => error.name)")
        .await?;
    ensure!(unsendable == "DataCloneError", "{unsendable}");

    // Nobody waits for ever for a lab that is gone.
    let gone = "return (async () => { const paused = late.pause().catch((error) => error.kind); await late.destroy();\
        return [await paused, late.phase, late.shadowRoot.querySelectorAll('iframe').length,\
                late.shadowRoot.activeElement?.localName] })()";
    let gone = course.run(gone).await?;
    ensure!(gone == json!(["lost", "idle", 0, "button"]), "{gone}");
    course.start("late").await?;
    let supported = course.run("return late.supported").await?;
    ensure!(
        supported["wasm"] == true && supported["webgpu"].is_boolean(),
        "{supported}"
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lab_says_becomes_events_and_properties() -> Result<()> {
    let course = Course::open(&lab("lab", "")).await?;
    course.start("lab").await?;
    let step = json!({ "type": "step", "step": 7, "loss": null, "lr": 0.1, "tokensPerSecond": 90.5 });
    let said = json!([
        { "type": "phase", "phase": "ready", "device": "cpu" },
        { "type": "phase", "phase": "ready", "device": "cpu" },
        { "type": "progress", "what": "model", "loaded": 1, "total": 2, "extra": "dropped" },
        { "type": "progress", "what": "engine", "loaded": 1 },
        { "type": "predict", "question": "q", "answer": "a" },
        { "type": "lesson", "part": "train", "of": 5 },
        step,
        { "type": "done", "report": { "loss": 1.5 } },
        { "type": "error", "kind": "lost", "message": "gone", "fatal": false, "advice": "again" },
        { "type": "phase", "phase": "done", "device": "replay" },
        { "type": "state", "state": "lab=1&rank=2" },
    ]);
    course.say("lab", &said).await?;
    let told = course
        .run("return told.map(({ name, lab, detail, composed }) => [name, lab, detail, composed])")
        .await?;
    let step = json!({ "step": 7, "loss": null, "lr": 0.1, "tokensPerSecond": 90.5 });
    let expected: Vec<Value> = [
        ("phase", json!({ "phase": "loading", "device": null })),
        ("ready", json!({ "capabilities": ["stub"] })),
        ("phase", json!({ "phase": "ready", "device": "cpu" })),
        ("progress", json!({ "what": "model", "loaded": 1, "total": 2 })),
        ("progress", json!({ "what": "engine", "loaded": 1, "total": null })),
        ("predict", json!({ "question": "q", "answer": "a" })),
        ("lesson", json!({ "part": "train", "of": 5 })),
        ("step", step.clone()),
        ("done", json!({ "report": { "loss": 1.5 } })),
        (
            "error",
            json!({ "kind": "lost", "message": "gone", "fatal": false, "advice": "again" }),
        ),
        ("phase", json!({ "phase": "done", "device": "replay" })),
    ]
    .into_iter()
    .map(|(name, detail)| json!([name, "lab", detail, true]))
    .collect();
    ensure!(told == json!(expected), "{told}");
    let properties = "return [lab.phase, lab.device, lab.metrics, lab.report, lab.state, lab.getAttribute('state'),\
        ['done', 'replay', 'cpu', 'ready'].map((state) => lab.matches(`:state(${state})`))]";
    let properties = course.run(properties).await?;
    let expected = json!(["done", "replay", step, { "loss": 1.5 }, "lab=1&rank=2", null, [true, true, false, false]]);
    ensure!(properties == expected, "{properties}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_ten_steps_a_second_are_told_and_the_last_always() -> Result<()> {
    let course = Course::open(&lab("lab", "")).await?;
    course.start("lab").await?;
    // 200 steps a second for two seconds.
    for round in 0..40 {
        let steps: Vec<Value> = (0..10)
            .map(|k| json!({ "type": "step", "step": round * 10 + k, "loss": 1, "lr": 0.1, "tokensPerSecond": 9 }))
            .collect();
        course.say("lab", &json!(steps)).await?;
        tokio::time::sleep(Duration::from_millis(45)).await;
    }
    course.say("lab", &json!({ "type": "done", "report": null })).await?;
    let events = course
        .run("return told.filter(({ name }) => ['step', 'done'].includes(name))")
        .await?;
    let events = events.as_array().context("events in a list")?;
    let last = events
        .iter()
        .rposition(|event| event["name"] == "step")
        .context("a step was told")?;
    ensure!(
        events[last]["detail"]["step"] == 399 && events[last + 1]["name"] == "done",
        "{:?}",
        &events[last..]
    );
    let times: Vec<f64> = events[..=last]
        .iter()
        .filter_map(|event| event["at"].as_f64())
        .collect();
    ensure!(
        times.len() > 10,
        "of 400 steps in two seconds only {} were told",
        times.len()
    );
    for (index, start) in times.iter().enumerate() {
        let in_a_second = times[index..].iter().filter(|time| **time < start + 1000.0).count();
        ensure!(
            in_a_second <= 10,
            "{in_a_second} steps were told in one second: {times:?}"
        );
    }
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_messages_change_nothing() -> Result<()> {
    let (lies, body) = (FileSite::start().await?, lab("lab", ""));
    lies.serve("/liar.html", LIAR, &[]);
    let course = Course::open(&format!(
        "{body}<iframe id='beside' src='{}/liar.html'></iframe>",
        lies.origin()
    ))
    .await?;
    course.lab.serve("/liar.html", LIAR, &[]);
    let from_lab = format!("{}/liar.html", course.lab.origin());
    let insert = "window.answers = []; addEventListener('message', ({ data }) => data.liar && answers.push(data.liar));\
                  const frame = document.createElement('iframe'); frame.src = arguments[0]; document.body.append(frame);";
    course.page.run(insert, vec![json!(from_lab)]).await?;
    course.start("lab").await?;
    let before = course.run("return [told.length, lab.phase, lab.state]").await?;

    // From windows that are no lab of this page, one of them of the lab's own origin.
    course
        .wait_until("both windows have lied for a while", "return answers.length > 40")
        .await?;
    // From the lab's window, but not over the port.
    let unasked = json!({ "protocol": "lorakeet-lab", "version": 1, "type": "done", "report": "over the window" });
    course
        .page
        .run("return lab.setKnob('post', arguments[0])", vec![unasked])
        .await?;
    // Over the port, but of no known shape.
    let wrong = json!([
        { "type": "done", "report": 1, "protocol": "other" },
        { "type": "done", "report": 1, "version": 2 },
        { "type": "done", "report": 1, "version": "1" },
        { "type": "surprise", "report": 1 },
        { "type": "constructor" },
        { "type": "step", "step": "7", "loss": 1, "lr": 1, "tokensPerSecond": 1 },
        { "type": "step", "step": 7.5, "loss": 1, "lr": 1, "tokensPerSecond": 1 },
        { "type": "phase", "phase": "elsewhere" },
        { "type": "phase", "phase": ["ready"] },
        { "type": "progress", "what": {}, "loaded": 1, "total": 1 },
        { "type": "predict", "question": "q" },
        { "type": "error", "kind": "lost", "message": "m", "fatal": "yes" },
        { "type": "size", "height": "900" },
        { "type": "size", "height": null },
        { "type": "state", "state": "rank=2" },
        { "type": "state", "state": format!("lab=1&x={}", "y".repeat(2048)) },
        { "type": "reply", "id": "1", "value": 1 },
        { "type": "reply", "id": 99_999, "value": 1 },
        { "type": "lesson", "of": 3 },
        { "type": "ready", "capabilities": ["again"] },
        { "type": "hello", "state": "" },
    ]);
    course.say("lab", &wrong).await?;
    let after = course.run("return [told.length, lab.phase, lab.state]").await?;
    ensure!(
        after == before,
        "before {before}, after {after}: {}",
        course.run("return told").await?
    );
    let height = course
        .run("return lab.shadowRoot.querySelector('iframe').style.blockSize")
        .await?;
    ensure!(height == "", "the frame has taken the height {height}");

    // The lab's own window, when it shows a page of another origin.
    let navigate = "told.length = 0; answers.length = 0; beside.remove();\
                    lab.shadowRoot.querySelector('iframe').src = arguments[0];";
    course
        .page
        .run(navigate, vec![json!(format!("{}/liar.html", lies.origin()))])
        .await?;
    course
        .wait_until("the window has lied for a while", "return answers.length > 40")
        .await?;
    let answers = course.run("return [...new Set(answers)]").await?;
    ensure!(answers == json!(["Liar"]), "a window that lied was answered: {answers}");
    let told = course.run("return told").await?;
    ensure!(told == json!([]), "{told}");
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_labs_on_a_page_do_not_hear_each_other() -> Result<()> {
    let body = format!("{}{}", lab("one", "lesson='one'"), lab("two", "lesson='two'"));
    let course = Course::open(&body).await?;
    course.start("one").await?;
    course.start("two").await?;
    course
        .say("two", &json!({ "type": "phase", "phase": "training", "device": "cpu" }))
        .await?;
    course
        .say("one", &json!({ "type": "state", "state": "lab=1&of=one" }))
        .await?;
    let both = course
        .run("return [one.phase, two.phase, one.state, two.state]")
        .await?;
    ensure!(both == json!(["loading", "training", "lab=1&of=one", ""]), "{both}");
    let (first, second) = (course.seen("one").await?, course.seen("two").await?);
    ensure!(first["hellos"][0]["lesson"] == "one" && second["hellos"][0]["lesson"] == "two");
    ensure!(
        first["hellos"].as_array().map(Vec::len) == Some(1),
        "{}",
        first["hellos"]
    );
    course.page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_kept_in_the_address_where_that_is_wanted() -> Result<()> {
    let course = Course::open(&format!(
        "{}{}",
        lab("lab", "sync='hash' state='lab=1&amp;rank=1'"),
        lab("other", "")
    ))
    .await?;
    let page = &course.page;
    let keep = "history.replaceState('kept', '', '#lab=1&rank=2'); return history.length";
    let pages = page.run(keep, vec![]).await?;
    course.start("lab").await?;
    let told = course.seen("lab").await?["hellos"][0]["state"].clone();
    ensure!(
        told == "lab=1&rank=2",
        "the address has rank=2, the lab was told {told}"
    );
    for rank in 3..200 {
        course
            .page
            .run(
                "lab.setKnob('say', arguments[0])",
                vec![json!({ "type": "state", "state": format!("lab=1&rank={rank}") })],
            )
            .await?;
    }
    let written = "return location.hash === '#lab=1&rank=199' && history.state";
    ensure!(page.wait_until("the address has the state", REACTION, written).await? == "kept");
    course.start("other").await?;
    course
        .say("other", &json!({ "type": "state", "state": "lab=1&rank=0" }))
        .await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let address = course.run("return location.href").await?;
    ensure!(
        address == format!("{}/course.html#lab=1&rank=199", course.host.origin()),
        "{address}"
    );
    ensure!(
        course.run("return history.length").await? == pages,
        "states are no history"
    );
    course.page.close().await
}
