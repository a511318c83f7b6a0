//! The lab as HTML text: every part of every lesson with its recorded runs, in both languages.

use super::{REGIONS, region};
use crate::answers::Prediction;
use crate::events::{self, Heard, KnobField, KnobRange};
use crate::model::{Device, Model, OWN, PARTS, Phase, Problem};
use crate::options::Options;
use crate::record::RunRecord;
use lorakeet_core::lesson::Lesson;
use lorakeet_i18n::Language;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a pupil might write to break out of the lab's HTML.
const HOSTILE: &str = "</textarea>\"'><img src=x onerror=alert(1)>";

fn public(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../public").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&public(name)).expect("a file beside the page is JSON")
}

fn ids() -> Vec<String> {
    let list = json("lessons/index.json");
    let ids = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|lesson| lesson["id"].as_str());
    ids.map(str::to_owned).collect()
}

/// A lab with a lesson, ready to train.
fn lab(id: &str, language: &str) -> Model {
    let mut model = Model::new(Options::parse(&format!(r#"{{"lang":"{language}"}}"#)), "en");
    model.set_lesson(Lesson::read(&json(&format!("lessons/{id}.json"))).expect("a lesson"));
    (model.device, model.phase) = (Device::Cpu, Phase::Ready);
    let field = |name| KnobField {
        name,
        guidance: "How to choose it.".into(),
        choices: Vec::new(),
        unit: "steps".into(),
        range: Some(KnobRange {
            min: 0.0,
            max: 1e9,
            is_above: true,
            is_below: false,
            is_whole: false,
        }),
    };
    model.knobs = model.controls().into_iter().map(field).collect();
    model
}

/// The same once everything was answered and trained.
fn done(id: &str, language: &str) -> Model {
    let mut model = lab(id, language);
    model.phase = Phase::Done;
    let answers = &mut model.answers;
    (answers.before, answers.after, answers.is_explained) = (Some(0), Some(1), true);
    let lesson = model.lesson.clone().expect("it has a lesson");
    answers.predicted = Some(match lesson.predict.number {
        Some(_) => Prediction::Number(0.5),
        None => Prediction::Choice(0),
    });
    let recording = json(&format!("lessons/{id}.recording.json"));
    for (name, events) in recording["runs"].as_object().into_iter().flatten() {
        let mut run = RunRecord::default();
        for event in events.as_array().into_iter().flatten() {
            match events::read(event) {
                Some(Heard::Failed(kind)) => {
                    run.fail(kind, "The loss is not a number.");
                }
                Some(heard) => run.take(heard, None),
                None => {}
            }
        }
        model.runs.insert(name.clone(), run);
    }
    model
}

fn html(model: &Model) -> String {
    REGIONS.iter().map(|name| region(name, model)).collect()
}

/// The labs in every part, before anything was done and after everything was.
fn all_shown() -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for (id, language) in ids().iter().flat_map(|id| ["en", "zh"].map(|language| (id, language))) {
        for mut model in [lab(id, language), done(id, language)] {
            for part in 0..PARTS {
                model.part = part;
                shown.push((format!("{id}, part {part}, {language}"), html(&model)));
            }
        }
    }
    shown
}

/// The words in an attribute of HTML, wherever it stands.
fn words_of<'a>(html: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let start = format!(" {attribute}=\"");
    let pieces: Vec<&str> = html.split(start.as_str()).skip(1).collect();
    let values = pieces.into_iter().filter_map(|piece| piece.split('"').next());
    values.flat_map(str::split_whitespace)
}

#[test]
fn training_is_closed_until_the_prediction_is_made() {
    for part in [2, 5] {
        let mut model = lab("loss", "en");
        model.part = part;
        let closed = |action: &str| format!("data-do=\"{action}\" data-of=\"\" disabled");
        assert!(html(&model).contains(&closed("train")), "{}", html(&model));
        model.answers.predicted = Some(Prediction::Choice(0));
        assert!(html(&model).contains("data-do=\"train\"") && !html(&model).contains(&closed("train")));
        model.phase = Phase::Loading;
        assert!(html(&model).contains(&closed("train")));
    }
}

#[test]
fn what_a_pupil_and_an_address_say_is_text_and_never_a_tag() {
    let id = ids()
        .into_iter()
        .find(|id| {
            let lesson = lab(id, "en").lesson.expect("it has a lesson");
            lesson.break_it.controls.iter().any(|name| name == "data") && lesson.break_it.controls.len() > 1
        })
        .expect("a lesson has rows and knobs");
    let mut model = done(&id, "en");
    model.answers.explanation = HOSTILE.into();
    model.rows = Some(HOSTILE.into());
    model.options.unusable.push(("part".into(), HOSTILE.into()));
    model.foreign = Some((HOSTILE.into(), HOSTILE.into()));
    model.device = Device::Gpu(HOSTILE.into());
    model.notes.push(HOSTILE.into());
    model.live = HOSTILE.into();
    for name in model.controls() {
        model.settings.insert(name, HOSTILE.into());
    }
    for part in 0..PARTS {
        model.part = part;
        let html = html(&model);
        assert!(
            !html.contains("<img src=x") && !html.contains(HOSTILE),
            "part {part}: {html}"
        );
        assert!(html.contains("&lt;img src=x"), "part {part} names what cannot be used");
    }
}

#[test]
fn every_part_is_shown_in_both_languages_without_a_style_that_a_policy_would_stop() {
    for (what, html) in all_shown() {
        assert!(!html.contains(" style=") && !html.contains("<script"), "{what}: {html}");
        assert!(html.contains("data-focus=\"part\""), "{what} has a heading");
        let open = html.matches("<div").count();
        assert_eq!(open, html.matches("</div>").count(), "{what}: {html}");
        if what.ends_with("zh") {
            let has_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(&letter));
            assert!(has_chinese(&html), "{what}");
        }
    }
}

#[test]
fn of_two_landmarks_each_has_a_name_of_its_own() {
    for (what, html) in all_shown() {
        let regions = html.split("role=\"region\" aria-label=\"").skip(1);
        let names: Vec<&str> = regions.filter_map(|rest| rest.split('"').next()).collect();
        let different: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), names.len(), "{what}: {names:?}");
    }
}

#[test]
fn a_lab_without_a_lesson_has_a_heading_all_the_same() {
    let headings = |model: &Model| html(model).matches("<h1 ").count();
    let mut model = Model::new(Options::parse(r#"{"framed":true}"#), "en");
    assert_eq!(headings(&model), 0, "nothing is there yet");
    model.problem = Some(Problem {
        text: "It was not fetched.".into(),
        restarts: false,
    });
    assert!(
        html(&model).contains("<h1 class=\"notice-title\">Something went wrong</h1>"),
        "{}",
        html(&model)
    );
    model.foreign = Some(("https://other.example/a.json".into(), "https://other.example".into()));
    assert_eq!(headings(&model), 1, "{}", html(&model));
    model.set_lesson(Lesson::read(&json("lessons/loss.json")).expect("a lesson"));
    assert!(!html(&model).contains("<h1 class=\"notice-title\""));
    assert_eq!(headings(&model), 1, "{}", html(&model));
}

#[test]
fn every_picture_of_a_lesson_is_there_once_its_runs_are_recorded() {
    for id in ids() {
        let mut model = done(&id, "en");
        for part in [2, 4, 5] {
            model.part = part;
            let html = html(&model);
            assert!(!html.contains("class=\"waiting\""), "{id}, part {part}: {html}");
        }
    }
}

#[test]
fn a_knob_has_a_field_and_a_slider_that_says_its_value_with_its_unit() {
    let mut model = lab("lora", "en");
    model.part = 2;
    let slider = |html: &str| {
        let start = "<input type=\"range\" class=\"slide\" data-do=\"slide\" data-of=\"lora_r\"";
        let rest = html.split(start).nth(1)?;
        rest.split('>').next().map(str::to_owned)
    };
    let before = html(&model);
    assert!(
        before.contains("data-do=\"set\" data-of=\"lora_r\" value=\"1\""),
        "{before}"
    );
    let first = slider(&before).expect("it has a slider");
    assert!(
        first.contains("aria-valuetext=\"1 steps\"") && first.contains("aria-label=\"lora_r\""),
        "{first}"
    );
    model.settings.insert("lora_r".into(), "5".into());
    let moved = slider(&html(&model)).expect("it has a slider");
    assert!(
        moved.contains("aria-valuetext=\"5 steps\"") && moved != first,
        "{moved}"
    );
}

#[test]
fn classes_and_parts_are_those_of_the_style_sheets_and_of_the_guide() {
    let sheets = public("parts.css") + &public("lab.css");
    let is_styled = |class: &str| {
        let selector = format!(".{class}");
        let mut uses = sheets.split(&selector).skip(1);
        uses.any(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-'))
    };
    let (mut classes, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for (_, html) in all_shown() {
        classes.extend(words_of(&html, "class").map(str::to_owned));
        parts.extend(words_of(&html, "part").map(str::to_owned));
    }
    // Of the shades the lightest ones are the surface's own colour, and the first line has the colour of all.
    let is_plain = |class: &str| class.starts_with("shade-") || class == "series-1";
    let bare = classes.iter().filter(|class| !is_plain(class) && !is_styled(class));
    let bare: Vec<&String> = bare.collect();
    assert!(bare.is_empty(), "no style sheet knows {bare:?}");
    let guide = ["chart", "knob", "legend", "prediction", "sample", "table", "toolbar"];
    assert_eq!(parts.into_iter().collect::<Vec<_>>(), guide);
}

#[test]
fn warnings_stand_below_the_pictures_of_their_part() {
    let mut model = done("loss", "en");
    let run = RunRecord {
        notes: vec!["2 rows are too long.".into(), "2 rows are too long.".into()],
        ..RunRecord::default()
    };
    model.runs.insert(OWN.into(), run);
    model.notes.push("The GPU is a software one.".into());
    model.part = 2;
    let notes = region("notes", &model);
    assert_eq!(notes.matches("2 rows are too long.").count(), 1, "{notes}");
    assert!(notes.contains("The GPU is a software one."));
    model.part = 0;
    assert_eq!(region("notes", &model), "");
}

#[test]
fn a_recording_and_a_locked_lab_say_why_nothing_can_be_changed() {
    let id = ids()
        .into_iter()
        .find(|id| !lab(id, "en").lesson.expect("it has a lesson").train.controls.is_empty())
        .expect("a lesson has knobs");
    for language in Language::ALL {
        let mut model = lab(&id, language.tag());
        model.part = 2;
        model.device = Device::Recording("CPU".into(), "2026-01-01".into());
        assert!(html(&model).contains(model.words().settings_recorded));
        model.device = Device::Cpu;
        model.options = Options::parse(r#"{"locked":true}"#);
        assert!(html(&model).contains(model.words().settings_locked));
    }
}
