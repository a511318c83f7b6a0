//! Lessons: those beside the page are whole, and the schema and the guide say what the engine reads.

mod recordings;
mod refusals;
mod results;

use anyhow::Result;
use lorakeet_core::config::SMALL_MODELS;
use lorakeet_core::lesson::{BUNDLED_MODEL, Lesson, PartPictureKind, setting_names};
use lorakeet_core::protocol::PictureKind;
use lorakeet_i18n::Language;
use lorakeet_tests::json_schema::faults;
use lorakeet_tests::lesson_recorder as recorder;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SAMPLE: &str = include_str!("lessons/page/lessons/enough-steps.json");

/// A page's folder with the sample lesson and its data.
fn sample_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native/lessons/page")
}

fn sample() -> Value {
    serde_json::from_str(SAMPLE).expect("the sample is JSON")
}

fn schema() -> Value {
    let text = recorder::text(&recorder::page_folder(), "lessons/lesson.schema.json").expect("the schema is there");
    serde_json::from_str(&text).expect("the schema is JSON")
}

/// The sample with another value in one place.
fn changed(pointer: &str, value: Value) -> Value {
    let mut lesson = sample();
    *lesson.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    lesson
}

fn parse(lesson: &Value) -> lorakeet_core::Result<Lesson> {
    Lesson::parse(&lesson.to_string(), "sample.json")
}

/// Every lesson beside the page keeps to the schema, says what it means by its own name, and has its files.
#[test]
fn every_lesson_beside_the_page_is_whole() -> Result<()> {
    let (page, schema) = (recorder::page_folder(), schema());
    for id in recorder::lesson_ids(&page)? {
        let text = recorder::text(&page, &format!("lessons/{id}.json"))?;
        let found = faults(&schema, &serde_json::from_str(&text)?);
        assert!(found.is_empty(), "{id}.json breaks the schema:\n{}", found.join("\n"));
        let lesson = recorder::lesson(&page, &id)?;
        assert_eq!(lesson.id, id, "the lesson's id is its file's name");
        let root = page.join("..");
        assert!(
            root.join(&lesson.teacher).is_file(),
            "{id}: there is no {}",
            lesson.teacher
        );
        for (name, run) in &lesson.runs {
            for file in [Some(&run.data), run.validation.as_ref()].into_iter().flatten() {
                assert!(
                    page.join(file).is_file(),
                    "{id}: {name} trains on {file}, which does not exist"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn the_list_of_lessons_has_each_with_its_title() -> Result<()> {
    let page = recorder::page_folder();
    if recorder::lesson_ids(&page)?.is_empty() {
        return Ok(());
    }
    let list = recorder::text(&page, "lessons/index.json")?;
    let wanted = recorder::index(&page, &list)?;
    let (list, wanted): (Value, Value) = (serde_json::from_str(&list)?, serde_json::from_str(&wanted)?);
    assert_eq!(
        list, wanted,
        "`cargo xtask record-lessons` writes public/lessons/index.json"
    );
    Ok(())
}

#[test]
fn the_sample_keeps_to_the_schema_and_is_read() {
    assert_eq!(faults(&schema(), &sample()), Vec::<String>::new());
    let lesson = Lesson::parse(SAMPLE, "sample.json").expect("the sample is a lesson");
    assert_eq!(lesson.order(), ["few", "many", "wild"]);
    assert_eq!(lesson.explain.text.paragraphs(Language::Chinese).count(), 2);
    let again = serde_json::to_string(&lesson).expect("a lesson can be written");
    assert_eq!(Lesson::parse(&again, "again.json").expect("it is the same"), lesson);
}

#[test]
fn the_guides_example_is_a_lesson() -> Result<()> {
    let guide = recorder::text(&recorder::page_folder(), "../docs/lessons.md")?;
    let example = guide
        .split("```json\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let example = example.expect("the guide has an example");
    assert_eq!(faults(&schema(), &serde_json::from_str(example)?), Vec::<String>::new());
    Lesson::parse(example, "docs/lessons.md")?;
    Ok(())
}

#[test]
fn the_schema_lists_what_the_engine_knows() {
    let schema = schema();
    let words = |pointer: &str| -> Vec<String> {
        let list = schema.pointer(pointer).unwrap_or_else(|| panic!("no {pointer}"));
        serde_json::from_value(list.clone()).expect("a list of words")
    };
    let names: Vec<&str> = setting_names().collect();
    assert_eq!(words("/$defs/run/properties/settings/propertyNames/enum"), names);
    let controls: Vec<&str> = names.into_iter().chain(["data"]).collect();
    assert_eq!(words("/$defs/controls/items/enum"), controls);
    let models: Vec<&str> = [BUNDLED_MODEL].into_iter().chain(SMALL_MODELS).collect();
    assert_eq!(words("/$defs/run/properties/model/enum"), models);
    let kinds = words("/$defs/pictures/items/properties/kind/enum");
    let known: Vec<&str> = PartPictureKind::all().map(PartPictureKind::name).collect();
    assert_eq!(kinds, known);
}

#[test]
fn the_schema_takes_every_picture_that_the_engine_makes() {
    let schema = schema();
    let requests = json!([
        { "kind": "tokens", "text": "a" },
        { "kind": "lora_update", "module": "layers.0.self_attn.q_proj" },
        { "kind": "attention", "text": "a", "layer": 0, "head": 0 },
        { "kind": "loss_surface" },
        { "kind": "packed_weights", "module": "layers.0.mlp.up_proj", "format": "nf4", "cells": 16 },
        { "kind": "units", "layer": 0, "cells": 24 },
        { "kind": "layer_updates" },
    ]);
    let lesson = changed("/runs/few/watch", requests);
    assert_eq!(faults(&schema, &lesson), Vec::<String>::new());
    let lesson = parse(&lesson).expect("a lesson");
    let requests = lesson.runs["few"].requests().expect("requests of pictures");
    let kinds: Vec<&str> = requests
        .iter()
        .map(|request| PictureKind::from(request).name())
        .collect();
    let mut known: Vec<&str> = Vec::new();
    for kind in schema["$defs"]["watch"]["oneOf"].as_array().into_iter().flatten() {
        known.extend(kind["properties"]["kind"]["const"].as_str());
    }
    assert_eq!(kinds, known);
    for wrong in [
        json!({ "kind": "units", "cells": 0 }),
        json!({ "kind": "tokens" }),
        json!({ "kind": "tokens", "text": "a", "cells": 3 }),
    ] {
        let lesson = changed("/runs/few/watch", json!([wrong]));
        assert!(!faults(&schema, &lesson).is_empty(), "{wrong}");
    }
}
