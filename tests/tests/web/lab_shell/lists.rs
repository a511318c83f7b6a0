//! Every list of what the element has says the same: `lab.js` as it behaves in a browser, its types, its manifest, its document.

use super::{Course, LAB_JS, lab, view};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TYPES: &str = include_str!("../../../../public/lab.d.ts");
const MANIFEST: &str = include_str!("../../../../public/custom-elements.json");
const DOCUMENT: &str = include_str!("../../../../docs/widget.md");

type Names = BTreeSet<String>;
/// The fields of each event's detail.
type Details = BTreeMap<String, Names>;

/// What a browser calls by itself.
const CALLBACKS: [&str; 5] = [
    "constructor",
    "connectedCallback",
    "disconnectedCallback",
    "connectedMoveCallback",
    "attributeChangedCallback",
];
/// What the manifest says of parts that only a lab inside the page has; they are the lab's, not the shell's.
const INLINE: &str = "With mode=inline";

#[tokio::test(flavor = "multi_thread")]
async fn types_manifest_and_document_list_what_the_element_has() -> Result<()> {
    let manifest: Value = serde_json::from_str(MANIFEST)?;
    let class = &manifest["modules"][0]["declarations"][0];
    let course = Course::open(&lab("lab", "")).await?;
    // Which custom properties are asked for can be seen only while that is done.
    let watch = "window.asked = new Set(); const { getPropertyValue } = CSSStyleDeclaration.prototype;\
                 CSSStyleDeclaration.prototype.getPropertyValue = function (name) { asked.add(name);\
                 return getPropertyValue.call(this, name); }";
    course.run(watch).await?;
    course.start("lab").await?;
    let found = course.run(FOUND).await?;

    let attributes = names(&found["attributes"]);
    same("attributes in the manifest", &attributes, &listed(&class["attributes"]))?;
    same("attributes in the document", &attributes, &rows("Attributes")?)?;

    let (properties, methods) = (names(&found["properties"]), names(&found["methods"]));
    let members: Vec<Value> = class["members"].as_array().cloned().unwrap_or_default();
    let of_kind = |kind: &str, is_static: bool| -> Names {
        let wanted = members
            .iter()
            .filter(|member| member["kind"] == kind && member["static"].as_bool().unwrap_or_default() == is_static);
        wanted
            .filter_map(|member| member["name"].as_str().map(str::to_owned))
            .collect()
    };
    same("properties in the manifest", &properties, &of_kind("field", false))?;
    same("methods in the manifest", &methods, &of_kind("method", false))?;
    let (typed_properties, typed_methods) = typed_members()?;
    same("properties in the types", &properties, &typed_properties)?;
    same("methods in the types", &methods, &typed_methods)?;
    same("methods in the document", &methods, &rows("Methods")?)?;
    let reflected: Names = attributes.iter().map(|name| camel(name)).collect();
    let more: Names = properties
        .iter()
        .filter(|name| !reflected.contains(*name) || ["state", "device"].contains(&name.as_str()))
        .cloned()
        .collect();
    same("properties in the document", &more, &rows("Properties")?)?;
    let statics = names(&found["statics"]);
    same("statics in the manifest", &statics, &of_kind("field", true))?;

    same(
        "slots in the manifest",
        &names(&found["slots"]),
        &listed(&class["slots"]),
    )?;
    let mut slots = rows("Slots")?;
    slots.insert(String::new());
    same("slots in the document", &names(&found["slots"]), &slots)?;

    let parts = class["cssParts"].as_array().context("the manifest lists parts")?;
    let (inline, shell): (Vec<&Value>, Vec<&Value>) = parts.iter().partition(|part| {
        part["description"]
            .as_str()
            .is_some_and(|text| text.starts_with(INLINE))
    });
    let part_names = |parts: &[&Value]| -> Names {
        parts
            .iter()
            .filter_map(|part| part["name"].as_str().map(str::to_owned))
            .collect()
    };
    same("parts in the manifest", &names(&found["parts"]), &part_names(&shell))?;
    let all: Names = part_names(&shell).union(&part_names(&inline)).cloned().collect();
    same("parts in the document", &all, &rows("Parts")?)?;

    let tokens = names(&found["tokens"]);
    same(
        "custom properties in the manifest",
        &tokens,
        &listed(&class["cssProperties"]),
    )?;
    same(
        "custom properties in the document",
        &tokens,
        &rows("Custom properties")?,
    )?;
    for used in LAB_JS
        .split("var(")
        .skip(1)
        .filter(|rest| rest.starts_with("--lorakeet"))
    {
        let name: String = used
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
            .collect();
        ensure!(tokens.contains(&name), "the style sheet uses {name}, which no list has");
    }

    let states = states(&course, &listed(&class["cssStates"])).await?;
    same("states in the manifest", &states, &listed(&class["cssStates"]))?;
    same("states in the document", &states, &rows("States")?)?;

    let events = events(&course).await?;
    let event_names: Names = events.keys().cloned().collect();
    same("events in the manifest", &event_names, &listed(&class["events"]))?;
    let mut typed = Details::new();
    for event in class["events"].as_array().into_iter().flatten() {
        let of = event["type"]["text"].as_str().unwrap_or_default();
        typed.insert(event["name"].as_str().unwrap_or_default().to_owned(), fields(of)?);
    }
    ensure!(
        typed == events,
        "details in the manifest: {typed:?}, in the browser: {events:?}"
    );
    let typed = typed_events()?;
    ensure!(
        typed == events,
        "details in the types: {typed:?}, in the browser: {events:?}"
    );
    let documented: Details = second_column("Events")?.into_iter().collect();
    ensure!(
        documented == events,
        "details in the document: {documented:?}, in the browser: {events:?}"
    );

    let mut known = messages()?;
    known.extend(["hello", "run", "call", "get"].map(str::to_owned));
    same("messages in the document", &known, &rows("Messages")?)?;
    course.page.close().await
}

const FOUND: &str = "const { LorakeetLab } = { LorakeetLab: customElements.get('lorakeet-lab') };\
    const all = Object.entries(Object.getOwnPropertyDescriptors(LorakeetLab.prototype));\
    const root = lab.shadowRoot;\
    return { attributes: LorakeetLab.observedAttributes,\
        properties: all.filter(([, entry]) => entry.get).map(([name]) => name),\
        methods: all.filter(([, entry]) => typeof entry.value === 'function').map(([name]) => name),\
        statics: Object.getOwnPropertyNames(LorakeetLab)\
            .filter((name) => !['length', 'name', 'prototype', 'observedAttributes'].includes(name)),\
        slots: [...root.querySelectorAll('slot')].map((slot) => slot.name),\
        parts: [...root.querySelectorAll('[part]')].map((element) => element.part.value),\
        tokens: [...asked].filter((name) => name.startsWith('--')) };";

/// The states that match in some phase or on some device, out of `listed` and those that the phases have.
async fn states(course: &Course, listed: &Names) -> Result<Names> {
    let phases = [
        "idle",
        "loading",
        "ready",
        "predicting",
        "training",
        "paused",
        "done",
        "error",
    ];
    let mut found = Names::new();
    for (phase, device) in phases
        .iter()
        .map(|phase| (*phase, "gpu"))
        .chain([("done", "cpu"), ("done", "replay")])
    {
        course
            .say("lab", &json!({ "type": "phase", "phase": phase, "device": device }))
            .await?;
        let matching = "return arguments[0].filter((state) => lab.matches(`:state(${state})`))";
        let asked: Vec<&str> = phases
            .iter()
            .copied()
            .chain(listed.iter().map(String::as_str))
            .collect();
        found.extend(names(&course.page.run(matching, vec![json!(asked)]).await?));
    }
    Ok(found)
}

/// Every event that was dispatched while a lab said all that it can say, by its name.
async fn events(course: &Course) -> Result<Details> {
    let said = json!([
        { "type": "progress", "what": "model", "loaded": 1, "total": 2 },
        { "type": "step", "step": 1, "loss": 1, "lr": 1, "tokensPerSecond": 1 },
        { "type": "predict", "question": "q", "answer": "a" },
        { "type": "lesson", "part": 1, "of": 5 },
        { "type": "done", "report": {} },
        { "type": "error", "kind": "lost", "message": "m", "fatal": false, "advice": "a" },
        { "type": "size", "height": 500 },
        { "type": "state", "state": "lab=1" },
        { "type": "keep", "run": {} },
    ]);
    course.say("lab", &said).await?;
    ensure!(course.run(&format!("return {}", view("lab"))).await? == "lab");
    let told = course
        .run("return told.map(({ name, detail }) => [`lorakeet-${name}`, Object.keys(detail)])")
        .await?;
    let mut details = Details::new();
    for event in told.as_array().context("events in a list")? {
        details.insert(event[0].as_str().unwrap_or_default().to_owned(), names(&event[1]));
    }
    let dispatched = course
        .run("return [...dispatched].filter((name) => name.startsWith('lorakeet'))")
        .await?;
    same(
        "events that the tests listen for",
        &names(&dispatched),
        &details.keys().cloned().collect(),
    )?;
    Ok(details)
}

/// The types of messages in `lab.js`, one a line of its table.
fn messages() -> Result<Names> {
    let (_, table) = LAB_JS
        .split_once("const SHAPES = {\n")
        .context("lab.js has a table of shapes")?;
    let (table, _) = table.split_once("\n};").context("the table of shapes ends")?;
    let found: Names = table
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once(": {"))
        .map(|(name, _)| name.to_owned())
        .collect();
    Ok(found)
}

/// Properties and methods of the class in `lab.d.ts`.
fn typed_members() -> Result<(Names, Names)> {
    let (_, class) = TYPES
        .split_once("class LorakeetLab extends HTMLElement {\n")
        .context("the class is typed")?;
    let (class, _) = class.split_once("\n}\n").context("the class ends")?;
    let (mut properties, mut methods) = (Names::new(), Names::new());
    for line in class.lines().filter_map(|line| line.strip_prefix("  ")) {
        let line = line.strip_prefix("get ").or(line.strip_prefix("set ")).unwrap_or(line);
        let name: String = line.chars().take_while(char::is_ascii_alphanumeric).collect();
        let rest = &line[name.len()..];
        let is_listener = name.ends_with("EventListener");
        if name.is_empty() || is_listener || line.starts_with("static ") {
            continue;
        }
        match rest.contains("): Promise") && rest.starts_with('(') && !rest.starts_with("(): Promise<LorakeetSupport>")
        {
            true => methods.insert(name),
            false => properties.insert(name),
        };
    }
    Ok((properties, methods))
}

/// The events in `lab.d.ts` with the fields of their details.
fn typed_events() -> Result<Details> {
    let (_, map) = TYPES
        .split_once("interface LorakeetLabEventMap {\n")
        .context("events are typed")?;
    let (map, _) = map.split_once("\n}\n").context("the events end")?;
    map.lines()
        .map(|line| {
            let (name, of) = line.trim().split_once("\": ").context("an event has a type")?;
            Ok((name.trim_start_matches('"').to_owned(), fields(of)?))
        })
        .collect()
}

/// The fields in `CustomEvent<{ a: …; b: … }>`, or those of a named interface of `lab.d.ts`.
fn fields(of: &str) -> Result<Names> {
    let (_, inner) = of.split_once("CustomEvent<").context("an event is a CustomEvent")?;
    let inner = inner.trim_end_matches(';').trim_end_matches('>');
    let Some(object) = inner.strip_prefix('{') else {
        let (_, interface) = TYPES
            .split_once(&format!("interface {inner} {{\n"))
            .with_context(|| format!("{inner} is typed"))?;
        let (interface, _) = interface.split_once("\n}\n").context("the interface ends")?;
        let lines = interface.lines().filter(|line| !line.trim().starts_with("/**"));
        return Ok(lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, _)| name.trim().to_owned())
            .collect());
    };
    let of_objects = object.trim_end_matches('}').split([';', ',']);
    Ok(of_objects
        .filter_map(|field| field.split_once(':'))
        .map(|(name, _)| name.trim().to_owned())
        .collect())
}

/// The names in the first column of the table under a heading of the document; of methods, what stands before the bracket.
fn rows(heading: &str) -> Result<Names> {
    Ok(table(heading)?
        .into_iter()
        .filter_map(|(first, _)| code(&first).into_iter().next())
        .map(|name| name.split('(').next().unwrap_or_default().to_owned())
        .collect())
}

/// The first name in the first column with all names in the second.
fn second_column(heading: &str) -> Result<Vec<(String, Names)>> {
    let rows = table(heading)?.into_iter();
    Ok(rows
        .filter_map(|(first, second)| Some((code(&first).into_iter().next()?, code(&second).into_iter().collect())))
        .collect())
}

/// The first two cells of each row under a heading.
fn table(heading: &str) -> Result<Vec<(String, String)>> {
    let (_, section) = DOCUMENT
        .split_once(&format!("\n## {heading}\n"))
        .with_context(|| format!("the document has no heading {heading}"))?;
    let section = section.split("\n## ").next().unwrap_or_default();
    let lines = section.lines().filter(|line| line.starts_with("| "));
    Ok(lines
        .map(|line| {
            let mut cells = line.split('|').skip(1);
            let mut next = || cells.next().unwrap_or_default().trim().to_owned();
            (next(), next())
        })
        .collect())
}

/// What stands between backticks.
fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn names(list: &Value) -> Names {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts
        .filter(|name| !CALLBACKS.contains(name))
        .map(str::to_owned)
        .collect()
}

/// The names in a list of the manifest.
fn listed(list: &Value) -> Names {
    let entries = list.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry["name"].as_str().map(str::to_owned))
        .collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        camel.push_str(&word[..1].to_uppercase());
        camel.push_str(&word[1..]);
    }
    camel
}

fn same(what: &str, found: &Names, listed: &Names) -> Result<()> {
    let missing: Vec<&String> = found.difference(listed).collect();
    let surplus: Vec<&String> = listed.difference(found).collect();
    ensure!(
        missing.is_empty() && surplus.is_empty(),
        "{what}: the element has {missing:?}, which are not listed; listed are {surplus:?}, which it has not"
    );
    Ok(())
}
