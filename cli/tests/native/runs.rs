//! `lorakeet runs` and `lorakeet show`: what a run leaves of itself on disk, whole or damaged.

use super::{AGAIN, FIRST, Place};
use serde_json::Value;
use std::fs;
use std::process::{Child, Stdio};

const LINES: &str = "train_file: rows.csv\noutput_dir: out\nmax_steps: 6\nsave_steps: 2\n";

/// A run that does not outlive its test.
struct Running(Child);

impl Running {
    fn end(&mut self) {
        let _ = self.0.kill();
        self.0.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl Place {
    fn starts(&self, words: &[&str]) -> Running {
        Running(self.command(words).stderr(Stdio::null()).spawn().expect("it starts"))
    }

    /// What the command writes to standard output, where it ends well.
    pub(super) fn prints(&self, words: &[&str]) -> String {
        let output = self.command(words).stdout(Stdio::piped()).output().expect("it runs");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn lists(&self) -> Vec<Value> {
        let lines = self.prints(&["runs", "--json"]);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    fn shows(&self, run: &str) -> Value {
        serde_json::from_str(&self.prints(&["show", run, "--json"])).expect("JSON")
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.0.join(path), text).expect("it is written");
    }
}

#[test]
fn a_finished_run_is_listed_and_shown_with_all_that_it_left() {
    let place = Place::new("listed");
    place.run(LINES);
    place.says(0, FIRST);
    let listed = place.lists();
    let [run] = &listed[..] else { panic!("{listed:?}") };
    for (key, value) in [
        ("type", "run"),
        ("folder", "out"),
        ("task", "classification"),
        ("model", "small_mlp"),
        ("state", "finished"),
    ] {
        assert_eq!(run[key], value, "{run}");
    }
    assert_eq!((&run["step"], &run["max_steps"]), (&6.into(), &6.into()));
    assert!(
        run["loss"].is_f64() && run["scores"]["eval_loss"].is_f64() && run["scores"]["accuracy"].is_f64(),
        "{run}"
    );
    assert!(
        run["bytes"].as_u64() > Some(1000) && run["started_ms"].as_f64() > Some(1.7e12),
        "{run}"
    );
    let table = place.prints(&["runs"]);
    for words in ["started (UTC)", "out ", "6/6", "finished", "eval_loss"] {
        assert!(table.contains(words), "{words}: {table}");
    }

    let shown = place.shows("out");
    let settings = shown["settings"].as_array().expect("a list");
    let first_usual = settings
        .iter()
        .position(|setting| setting["differs"] == false)
        .expect("some are usual");
    let differing: Vec<&str> = settings[..first_usual]
        .iter()
        .filter_map(|setting| setting["name"].as_str())
        .collect();
    assert!(
        differing.contains(&"learning_rate") && differing.contains(&"max_steps"),
        "{differing:?}"
    );
    assert!(
        settings[first_usual..]
            .iter()
            .all(|setting| setting["differs"] == false)
    );
    assert_eq!(settings.len(), lorakeet_core::config::KNOBS.len());
    let rows = lorakeet_core::store::sha256(&place.read("rows.csv"));
    assert_eq!(shown["inputs"]["train_file"], rows.as_str());
    for input in ["model_name_or_path", "rows"] {
        assert_eq!(shown["inputs"][input].as_str().map(str::len), Some(64), "{input}");
    }
    let of_kind = |kind: &str| {
        let events = shown["events"].as_array().expect("a list");
        events.iter().filter(|event| event["type"] == kind).count()
    };
    assert_eq!((of_kind("step"), of_kind("done")), (6, 1));
    assert!(of_kind("eval") >= 2 && of_kind("warning") >= 1, "{}", shown["events"]);
    let steps = shown["checkpoints"].as_array().expect("a list").iter();
    let steps: Vec<(u64, bool)> = steps
        .map(|one| (one["step"].as_u64().expect("a step"), one["whole"] == true))
        .collect();
    assert_eq!(steps, [(6, true), (4, true), (2, true)]);
    assert!(shown["report"]["sentence"].is_string(), "{}", shown["report"]);
    assert!(shown["notes"].is_array(), "{}", shown["notes"]);
    assert!(place.0.join("out/outcome.json").is_file(), "what it came to is kept");
    let files = shown["files"].as_array().expect("a list").iter();
    let files: Vec<&str> = files.filter_map(|file| file["name"].as_str()).collect();
    assert!(
        files.contains(&"model.safetensors") && files.contains(&"predictions.csv"),
        "{files:?}"
    );
    // The run's file means the run, and so does what lies in its folder.
    for path in ["run.yaml", "out/run.yaml", "out/run.json"] {
        let text = place.prints(&["show", path]);
        for words in [
            "finished, step 6/6",
            "learning_rate: 0.02  (default 0.0002)",
            "checkpoint-4",
            "whole",
            "tuned model",
            &rows,
        ] {
            assert!(text.contains(words), "{path}: {words}: {text}");
        }
    }
    // The same rows in another order are other rows.
    let text = String::from_utf8(place.read("rows.csv")).expect("text");
    let (head, rest) = text.split_once('\n').expect("a heading");
    let mut turned: Vec<&str> = rest.lines().collect();
    turned.reverse();
    place.write("rows.csv", &format!("{head}\n{}\n", turned.join("\n")));
    place.says(0, &[FIRST, &["--set", "output_dir=turned"]].concat());
    let other = place.shows("turned");
    assert_ne!(other["inputs"]["train_file"], shown["inputs"]["train_file"]);
    let newest_first: Vec<Value> = place.lists().into_iter().map(|run| run["folder"].clone()).collect();
    assert_eq!(newest_first, ["turned", "out"]);
}

#[test]
fn a_run_that_was_killed_is_interrupted_and_keeps_its_name_when_it_goes_on() {
    let place = Place::new("cut");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 200000\nsave_steps: 2\nsave_total_limit: 2\n");
    let mut first = place.starts(FIRST);
    place.wait_for_steps(&mut first.0, 8);
    let under_way = place.shows("out");
    assert_eq!(under_way["state"], "under way");
    assert_eq!(under_way["writer"]["process"], first.0.id(), "{}", under_way["writer"]);
    let said = place.says(1, FIRST);
    assert!(said.contains(&format!("process {}", first.0.id())), "{said}");
    first.end();
    let before = place.shows("out");
    assert_eq!(
        (&before["state"], &before["writer"]),
        (&"interrupted".into(), &Value::Null)
    );
    assert!(
        before["step"].as_u64() >= Some(8) && before["max_steps"] == 200_000,
        "{before}"
    );
    // Whoever goes on is told of in the same record.
    let done = place.steps().len();
    let mut next = place.starts(AGAIN);
    place.wait_for_steps(&mut next.0, done + 4);
    next.end();
    let after = place.shows("out");
    assert_eq!(
        (&after["id"], &after["started_ms"]),
        (&before["id"], &before["started_ms"])
    );
}

#[test]
fn what_is_no_run_or_an_older_one_or_damaged_is_told_apart() {
    let place = Place::new("told");
    let said = place.says(0, &["runs"]);
    assert!(said.contains("There is no run under ."), "{said}");
    let said = place.says(1, &["runs", "nowhere"]);
    assert!(said.contains("nowhere"), "{said}");
    for path in [".", "rows.csv", "nowhere"] {
        let said = place.says(2, &["show", path]);
        assert!(
            said.contains("is not the folder of a run") && said.contains("lorakeet runs DIR"),
            "{path}: {said}"
        );
    }
    place.run(LINES);
    place.says(0, FIRST);
    let whole = String::from_utf8(place.read("out/run.json")).expect("text");

    fs::remove_file(place.0.join("out/run.json")).expect("it is removed");
    let said = place.says(1, &["show", "out"]);
    assert!(
        said.contains("older release") && said.contains("train_log.jsonl"),
        "{said}"
    );
    let said = place.says(0, &["runs"]);
    assert!(
        said.contains("out is not listed") && said.contains("older release"),
        "{said}"
    );

    // A record that breaks off anywhere, or holds anything else.
    let cuts = [0, 1, whole.len() / 3, whole.len() - 2].map(|at| whole[..at].to_owned());
    let others = ["null", "[]", "{}", "\u{fffd}", "{\"id\": 3}"].map(str::to_owned);
    for text in cuts.into_iter().chain(others) {
        place.write("out/run.json", &text);
        let said = place.says(1, &["show", "out"]);
        assert!(
            said.contains("run.json: the record of the run is damaged") && said.contains("resume_from_checkpoint"),
            "{text}: {said}"
        );
        let lists = place.lists();
        assert!(
            lists.len() == 1 && lists[0]["type"] == "unreadable" && lists[0]["folder"] == "out",
            "{lists:?}"
        );
    }
    // The run goes on all the same, which writes the record anew.
    let said = place.says(0, AGAIN);
    assert!(said.contains("written again"), "{said}");
    assert_eq!(place.shows("out")["state"], "finished");

    // Neither a torn log nor a damaged checkpoint keeps a run from being shown.
    let log = place.read("out/train_log.jsonl");
    fs::write(
        place.0.join("out/train_log.jsonl"),
        [b"\xff\x00{]\n", &log[..log.len() - 5]].concat(),
    )
    .expect("it is written");
    fs::write(place.0.join("out/checkpoint-4/trainer_state.json"), "{}").expect("it is written");
    let shown = place.shows("out");
    assert_eq!(shown["damaged_log_lines"], 2);
    let damaged = &shown["checkpoints"][1];
    assert!(damaged["step"] == 4 && damaged["whole"] == false, "{damaged}");
    assert!(
        damaged["why"]
            .as_str()
            .is_some_and(|why| why.contains("trainer_state.json")),
        "{damaged}"
    );
    let text = place.prints(&["show", "out"]);
    assert!(
        text.contains("damaged: trainer_state.json") && text.contains("2 lines of train_log.jsonl"),
        "{text}"
    );
}

#[test]
fn a_run_s_name_and_tags_are_listed_and_shown_and_stay_when_it_goes_on() {
    let place = Place::new("named");
    place.run(LINES);
    place.says(0, FIRST);
    // An older record has neither.
    assert_eq!(
        (&place.shows("out")["name"], &place.shows("out")["tags"]),
        (&Value::Null, &Value::Array(Vec::new()))
    );
    let mut record: Value = serde_json::from_slice(&place.read("out/run.json")).expect("JSON");
    record.as_object_mut().expect("an object").remove("labels");
    place.write("out/run.json", &record.to_string());
    assert_eq!(place.shows("out")["name"], Value::Null);
    record["labels"] = serde_json::json!({ "name": "first try", "tags": ["baseline", "films"] });
    place.write("out/run.json", &record.to_string());
    for _ in 0..2 {
        assert!(place.prints(&["runs"]).contains("out \"first try\" #baseline #films"));
        let text = place.prints(&["show", "out"]);
        assert!(
            text.contains("first try\n") && text.contains("baseline, films\n"),
            "{text}"
        );
        let listed = place.lists();
        assert_eq!(
            (&listed[0]["name"], &listed[0]["tags"][1]),
            (&"first try".into(), &"films".into())
        );
        // It goes on, and is called the same.
        place.says(0, AGAIN);
    }
}

#[test]
fn a_run_file_is_never_replaced_by_a_record() {
    let place = Place::new("record");
    fs::create_dir(place.0.join("mine")).expect("a folder");
    let by_hand = r#"{"model": "small_mlp", "task": "classification", "train_file": "rows.csv", "output_dir": "mine"}"#;
    place.write("mine/run.json", by_hand);
    let said = place.says(2, &["train", "mine/run.json"]);
    assert!(said.contains("output_dir: holds the run file run.json"), "{said}");
    place.run("train_file: rows.csv\noutput_dir: mine\nmax_steps: 2\n");
    let said = place.says(2, FIRST);
    assert!(said.contains("mine holds run.json"), "{said}");
    assert_eq!(place.read("mine/run.json"), by_hand.as_bytes());
    assert!(place.lists().is_empty(), "a run file is no run");
}
