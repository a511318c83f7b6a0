//! Recordings: those beside the page belong to their lessons, and the recorder keeps what a lesson needs.

use super::{SAMPLE, changed, parse, sample, sample_page};
use anyhow::{Result, ensure};
use lorakeet_core::lesson::{Lesson, Recording, RunResults};
use lorakeet_core::protocol::Event;
use lorakeet_tests::lesson_recorder as recorder;
use lorakeet_tests::test_session::HOST;
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn every_recording_belongs_to_its_lesson() -> Result<()> {
    let page = recorder::page_folder();
    for id in recorder::lesson_ids(&page)? {
        check_recording(&page, &id).map_err(|error| error.context(format!("`cargo xtask record-lessons {id}`")))?;
    }
    Ok(())
}

fn check_recording(page: &Path, id: &str) -> Result<()> {
    let lesson = recorder::lesson(page, id)?;
    let name = format!("lessons/{id}.recording.json");
    let text = recorder::text(page, &name)?;
    ensure!(text.len() <= Recording::MOST_BYTES, "{name} has {} bytes", text.len());
    let recording = Recording::parse(&text, &name)?;
    ensure!(recording.lesson == id, "{name} is of the lesson {}", recording.lesson);
    let digest = recorder::digest(page, &lesson)?;
    ensure!(
        recording.digest == digest,
        "{name} was made of other runs or data than the lesson has now"
    );
    let runs: Vec<&String> = recording.runs.keys().collect();
    ensure!(
        runs == lesson.runs.keys().collect::<Vec<_>>(),
        "{name} has the runs {runs:?}"
    );
    let results = recording.results();
    ensure!(
        results.values().all(RunResults::is_over),
        "{name} has a run without an end"
    );
    recorder::outcome(&lesson, &results)?;
    for value in lesson.compare.show.iter().chain(&lesson.break_it.show) {
        ensure!(value.of(&results).is_some(), "{name}: {value} was not measured");
    }
    Ok(())
}

#[test]
fn a_recording_is_the_same_each_time_and_tells_the_outcome() -> Result<()> {
    let (page, lesson) = (sample_page(), Lesson::parse(SAMPLE, "sample.json")?);
    let mut said = Vec::new();
    let text = recorder::record(&page, &lesson, "2026-01-31", HOST, &mut |line| {
        said.push(line.to_owned())
    })?;
    assert_eq!(recorder::record(&page, &lesson, "2026-01-31", HOST, &mut |_| ())?, text);
    assert!(said.iter().any(|line| line.starts_with("many: 120 steps")), "{said:?}");
    assert!(text.len() <= Recording::MOST_BYTES, "{}", text.len());
    let recording = Recording::parse(&text, "recording.json")?;
    let results = recording.results();
    assert_eq!(lesson.outcome(&results), Some(1), "{said:?}");
    for value in lesson.compare.show.iter().chain(&lesson.break_it.show) {
        assert!(value.of(&results).is_some(), "{value} is not in the recording");
    }
    let steps = |run: &str| {
        recording.runs[run]
            .iter()
            .filter(|event| matches!(event, Event::Step(_)))
            .count()
    };
    assert_eq!((steps("few"), steps("many")), (4, Recording::MOST_STEPS));
    assert_eq!(recording.digest, recorder::digest(&page, &lesson)?);
    Ok(())
}

#[test]
fn a_recording_belongs_to_runs_and_data_and_not_to_words() -> Result<()> {
    let page = sample_page();
    let digest = |lesson: &Value| -> Result<String> { recorder::digest(&page, &parse(lesson)?) };
    let own = digest(&sample())?;
    assert_eq!(digest(&changed("/title/en", json!("Other words")))?, own);
    assert_eq!(digest(&changed("/runs/few/label/en", json!("other")))?, own);
    assert_ne!(digest(&changed("/runs/few/settings/max_steps", json!(5)))?, own);
    let folder = std::env::temp_dir().join(format!("lorakeet-lessons-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("lessons/data"))?;
    let mut rows = recorder::text(&page, "lessons/data/points.csv")?;
    rows += "0.5,0.5,inside\n";
    std::fs::write(folder.join("lessons/data/points.csv"), rows)?;
    let other = recorder::digest(&folder, &parse(&sample())?)?;
    std::fs::remove_dir_all(&folder)?;
    assert_ne!(other, own);
    Ok(())
}

#[test]
fn an_outcome_that_no_choice_foresees_is_not_recorded() -> Result<()> {
    let mut lesson = sample();
    lesson["predict"]["choices"][1]["when"] = json!(["many.eval_loss < 0.001 * few.eval_loss"]);
    let error = recorder::record(&sample_page(), &parse(&lesson)?, "2026-01-31", HOST, &mut |_| ());
    let error = format!("{:#}", error.expect_err("no choice holds"));
    assert!(
        error.contains("not exactly one of the choices holds") && error.contains("few.eval_loss"),
        "{error}"
    );
    Ok(())
}

/// A run on the bundled model, packed: its bytes are those of the packed weights.
#[test]
fn a_run_on_the_bundled_model_is_recorded_with_its_bytes() -> Result<()> {
    let run = |settings: Value| {
        json!({ "label": { "en": "a", "zh": "甲" }, "model": "model", "data": "data/king-james.txt", "settings": settings,
            "prompt": "And the lady said" })
    };
    let small = |bits: Option<u8>| {
        let mut settings = json!({ "max_steps": 2, "max_samples": 12, "val_size": 4, "cutoff_len": 16,
            "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1 });
        if let Some(bits) = bits {
            settings["quantization_bit"] = bits.into();
        }
        run(settings)
    };
    let mut lesson = sample();
    lesson["runs"] = json!({ "whole": small(None), "packed": small(Some(4)) });
    lesson["predict"]["choices"][0]["when"] = json!(["packed.base_bytes < whole.base_bytes"]);
    lesson["predict"]["choices"][1]["when"] = json!(["packed.base_bytes > whole.base_bytes"]);
    lesson["train"]["runs"] = json!(["whole"]);
    lesson["train"]["pictures"] = json!([{ "kind": "samples", "run": "whole" }]);
    lesson["train"]["runs"] = json!(["whole", "packed"]);
    lesson["break_it"]["runs"] = json!(["packed"]);
    lesson["break_it"]["show"] = json!([]);
    lesson["compare"]["show"] = json!(["packed.eval_loss"]);
    lesson["explain"]["pictures"] = json!([]);
    let lesson = parse(&lesson)?;
    let text = recorder::record(&recorder::page_folder(), &lesson, "2026-01-31", HOST, &mut |_| ())?;
    let recording = Recording::parse(&text, "recording.json")?;
    assert_eq!(lesson.outcome(&recording.results()), Some(0));
    let samples = |event: &&Event| matches!(event, Event::Sample { prompt, .. } if prompt == "And the lady said");
    assert_eq!(recording.runs["whole"].iter().filter(samples).count(), 2);
    Ok(())
}

#[test]
fn the_list_keeps_its_order_and_follows_the_lessons() -> Result<()> {
    let page = sample_page();
    let list = recorder::index(&page, "[]")?;
    let wanted = json!([{ "id": "enough-steps", "title": sample()["title"], "minutes": 10 }]);
    assert_eq!(serde_json::from_str::<Value>(&list)?, wanted);
    let old = list
        .replace("Enough steps", "An older title")
        .replace("enough-steps", "gone");
    assert_eq!(
        recorder::index(&page, &old)?,
        list,
        "a lesson that is gone is taken out"
    );
    assert!(recorder::index(&page, "{}").is_err());
    let ids = recorder::lesson_ids(&page)?;
    assert_eq!(ids, ["enough-steps"]);
    Ok(())
}
