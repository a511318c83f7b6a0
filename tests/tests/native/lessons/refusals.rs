//! What is wrong in a lesson is said where it is wrong, with the way out, in both languages.

use super::{SAMPLE, changed, parse, sample, schema};
use lorakeet_core::lesson::Lesson;
use lorakeet_i18n::Language;
use lorakeet_tests::json_schema::faults;
use serde_json::json;

#[test]
fn what_is_wrong_in_a_lesson_is_said_where_it_is_wrong() {
    let choice = |when: &str| json!({ "text": { "en": "a", "zh": "甲" }, "when": [when] });
    let two = |first: &str| json!([choice(first), choice("few.loss > 1")]);
    let cases = [
        ("/format", json!(2), "format: is 2"),
        ("/id", json!("Enough steps"), "id: 'Enough steps' is not a name"),
        ("/minutes", json!(0), "minutes: must be from 1 to 90, got 0"),
        ("/title/zh", json!(" "), "title.zh: is empty"),
        (
            "/question/answer",
            json!(2),
            "question.answer: is 2, and there are 2 choices",
        ),
        (
            "/question/choices",
            json!([]),
            "question.choices: must be at least 2 choices, got 0",
        ),
        (
            "/runs/few/model",
            json!("small_mpl"),
            "runs.few.model: lessons have no model small_mpl. Did you mean small_mlp?",
        ),
        (
            "/runs/few/data",
            json!("../secret.csv"),
            "runs.few.data: '../secret.csv' is not a file beside the page",
        ),
        ("/runs/few/data", json!("https://example.org/a.csv"), "runs.few.data:"),
        (
            "/runs/few/settings",
            json!({ "learning_rat": 0.1 }),
            "runs.few.settings.learning_rat: there is no such key, got 0.1. Did you mean learning_rate?",
        ),
        (
            "/runs/few/settings",
            json!({ "learning_rate": -1 }),
            "runs.few.settings.learning_rate: must be",
        ),
        (
            "/runs/few/settings",
            json!({ "quantization_bit": 4 }),
            "runs.few.settings.quantization_bit: cannot be trained",
        ),
        (
            "/runs/few/settings",
            json!({ "train_file": "a.csv" }),
            "Remove it from settings and write data.",
        ),
        (
            "/runs/few/settings",
            json!({ "output_dir": "a" }),
            "runs.few.settings.output_dir: has no effect in a lesson",
        ),
        (
            "/runs/few/watch",
            json!([{ "kind": "units" }, { "kind": "units", "layer": 1 }]),
            "runs.few.watch[1]: asks for units a second time",
        ),
        ("/runs/few/watch", json!([{ "kind": "loss" }]), "unknown variant `loss`"),
        (
            "/predict/choices",
            two("fwe.loss < 1"),
            "predict.choices[0].when: there is no run fwe. Did you mean few?",
        ),
        (
            "/predict/choices",
            two("wild.loss < 1"),
            "predict.choices[0].when: the run wild is not trained by then. Add wild to train.runs.",
        ),
        (
            "/predict/choices",
            two("few.los < 1"),
            "line 1, predict.choices[0].when[0]: runs have no value los. Did you mean loss?",
        ),
        ("/predict/choices", two("few.loss"), "'few.loss' compares nothing"),
        (
            "/predict/choices/1/when",
            json!([]),
            "predict.choices[1].when: has no conditions",
        ),
        ("/predict/choices", json!([]), "predict: takes choices or a number"),
        (
            "/train/runs/0",
            json!("fwe"),
            "train.runs[0]: there is no run fwe. Did you mean few?",
        ),
        ("/train/runs", json!(["few", "few"]), "train.runs[1]: stands here twice"),
        ("/train/runs", json!([]), "train.runs: names no run"),
        (
            "/train/controls",
            json!(["max_step"]),
            "train.controls[0]: there is no knob max_step. Did you mean max_steps?",
        ),
        (
            "/train/controls",
            json!(["train_file"]),
            "train.controls[0]: there is no knob train_file",
        ),
        (
            "/train/pictures",
            json!([{ "kind": "report" }]),
            "train.pictures[0]: report needs the run",
        ),
        (
            "/train/pictures",
            json!([{ "kind": "loss", "run": "few" }]),
            "train.pictures[0].run: the loss is shown of all runs",
        ),
        (
            "/train/pictures",
            json!([{ "kind": "units", "run": "many" }]),
            "train.pictures[0]: shows units of the run many, which does not watch it. Add a request of the kind units to",
        ),
        (
            "/train/pictures",
            json!([{ "kind": "los" }]),
            "train.pictures[0].kind: cannot be understood (unknown variant `los`",
        ),
        (
            "/compare",
            json!({ "text": { "en": "a", "zh": "甲" } }),
            "line 1, compare: cannot be understood (missing field `show`)",
        ),
        (
            "/title",
            json!({ "en": "a", "zh": "甲", "fr": "a" }),
            "title.fr: cannot be understood (unknown field `fr`",
        ),
        (
            "/explain/pictures",
            json!([{ "kind": "report", "run": "wild" }]),
            "explain.pictures[0].run: the run wild is not trained by then",
        ),
        (
            "/break_it",
            json!({ "text": { "en": "a", "zh": "甲" }, "runs": ["few"] }),
            "runs.wild: is trained in no part",
        ),
        (
            "/break_it/show",
            json!(["wild.f1"]),
            "runs have no value f1. Name one of loss, eval_loss",
        ),
        (
            "/teacher",
            json!(3),
            "teacher: cannot be understood (invalid type: integer `3`, expected a string",
        ),
    ];
    for (pointer, value, said) in cases {
        let error = parse(&changed(pointer, value)).expect_err(pointer);
        let text = error.to_string();
        assert!(text.starts_with("sample.json"), "{pointer}: {text}");
        assert!(text.contains(said), "{pointer}: {text}\n should have {said}");
        let chinese = error.message().text(Language::Chinese);
        assert!(
            chinese.contains(|letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter)),
            "{chinese}"
        );
    }
    parse(&sample()).expect("unchanged it is a lesson");
}

#[test]
fn a_key_that_stands_twice_is_an_error_with_its_line() {
    let text = SAMPLE.replacen("\"wild\": {", "\"few\": {", 1);
    let error = Lesson::parse(&text, "sample.json").expect_err("a run stands twice");
    assert_eq!(error.field_name(), Some("runs.few"));
    let line = text
        .lines()
        .position(|line| line.contains("\"runs\""))
        .expect("it has runs")
        + 1;
    assert!(error.row.is_some_and(|row| row > line + 1), "{error}");
    let text = SAMPLE.replacen("\"max_steps\": 4", "\"max_steps\": 4, \"max_steps\": 5", 1);
    let error = Lesson::parse(&text, "sample.json").expect_err("a setting stands twice");
    assert!(error.to_string().contains("max_steps: stands here twice"), "{error}");
}

#[test]
fn an_estimate_takes_the_place_of_choices() {
    let number = |of: &str, to: f64| {
        let estimate = json!({ "of": of, "from": 0, "to": to, "step": 0.01, "unit": "%" });
        json!({ "text": { "en": "How many?", "zh": "多少？" }, "number": estimate })
    };
    let lesson = changed("/predict", number("many.accuracy", 1.0));
    assert_eq!(faults(&schema(), &lesson), Vec::<String>::new());
    parse(&lesson).expect("an estimate is a prediction");
    let mut rows = lesson.clone();
    rows["predict"]["number"]["unit"] = json!("rows");
    assert_eq!(faults(&schema(), &rows), Vec::<String>::new());
    parse(&rows).expect("any text is a unit");
    for (of, to, said) in [
        (
            "wild.accuracy",
            1.0,
            "predict.number.of: the run wild is not trained by then",
        ),
        ("many.accuracy", 0.0, "predict.number: needs a from below its to"),
    ] {
        let error = parse(&changed("/predict", number(of, to))).expect_err(of).to_string();
        assert!(error.contains(said), "{error}");
    }
    let mut both = lesson;
    both["predict"]["choices"] = sample()["predict"]["choices"].clone();
    assert!(!faults(&schema(), &both).is_empty() && parse(&both).is_err());
}

#[test]
fn the_schema_refuses_what_no_lesson_may_have() {
    let schema = schema();
    for (pointer, value) in [
        ("/idea", json!({ "en": "only English" })),
        ("/minutes", json!(12.5)),
        ("/runs/few/settings", json!({ "learning_rat": 1 })),
        ("/runs/few/data", json!("../secret.csv")),
        ("/predict/choices/0/when", json!(["few.loss = 1"])),
        ("/predict/choices/0/when", json!(["few.loss < -0.5 * many.loss"])),
        ("/train/pictures", json!([{ "kind": "loss", "colour": "red" }])),
        ("/compare/show", json!(["few"])),
    ] {
        assert!(!faults(&schema, &changed(pointer, value)).is_empty(), "{pointer}");
    }
    let mut extra = sample();
    extra["colour"] = json!("red");
    assert_eq!(faults(&schema, &extra), ["/colour: there is no such field"]);
}
