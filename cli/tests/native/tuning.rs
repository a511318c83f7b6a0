//! `lorakeet find-rate`, `advise`, `compare` and `sweep`: what comes before and after a run.

use super::Place;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A run whose steps see all rows, so that its loss has no noise.
const LINES: &str = "train_file: rows.csv\noutput_dir: out\nmax_steps: 8\n";
const WHOLE: [&str; 2] = ["--set", "per_device_train_batch_size=48"];

/// Everything under a folder.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
        found.insert(entry.path().display().to_string());
        if entry.path().is_dir() {
            found.extend(files(&entry.path()));
        }
    }
    found
}

/// The last line of JSON that a command prints.
fn last(text: &str) -> Value {
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn a_rate_is_found_twice_the_same_and_nothing_is_left_behind() {
    let place = Place::new("rate");
    place.run(LINES);
    let before = files(&place.0);
    let words = [&["find-rate", "run.yaml", "--from", "1e-5"][..], &WHOLE].concat();
    let json = [&words[..], &["--json"]].concat();
    let found = last(&place.prints(&json));
    assert_eq!(found["type"], "rate_search");
    let rate = found["recommended"].as_f64().expect("a rate");
    assert!((1e-5..1.0).contains(&rate), "{found}");
    assert_eq!(found["learning_rate"], 0.02, "the run's own");
    assert!(
        found["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("Recommended")),
        "{found}"
    );
    assert_eq!(last(&place.prints(&json)), found, "the same again");
    let text = place.prints(&words);
    for part in ["smoothed", "steepest fall", "*", "--set learning_rate="] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(files(&place.0), before);

    let said = place.says(2, &["find-rate", "run.yaml", "--from", "0.1", "--to", "0.01"]);
    assert!(said.contains("from: the rates have to grow"), "{said}");
    let said = place.says(2, &["find-rate", "run.yaml", "--steps", "3"]);
    assert!(said.contains("steps: a search has from 20"), "{said}");
}

#[test]
fn baselines_are_those_of_the_run_and_say_whether_to_tune() {
    let place = Place::new("baselines");
    place.run(LINES);
    let before = files(&place.0);
    let found = last(&place.prints(&["baselines", "run.yaml", "--json"]));
    assert_eq!(
        (&found["type"], &found["metric"], &found["rows"], &found["held_out"]),
        (&"baselines_measured".into(), &"accuracy".into(), &48.into(), &12.into())
    );
    let kinds: Vec<&str> = found["scores"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["majority_class", "nearest_centroid", "linear_probe"]);
    assert!(
        found["sentence"]
            .as_str()
            .is_some_and(|said| said.contains("on 12 held-out rows")),
        "{found}"
    );
    // A model and data take the place of a run file, and settings go on top.
    let again = last(&place.prints(&[
        "baselines",
        "small_mlp",
        "rows.csv",
        "--set",
        "task=classification",
        "--set",
        "val_size=12",
        "--set",
        "finetuning_type=full",
        "--json",
    ]));
    assert_eq!(again["scores"], found["scores"]);
    let text = place.prints(&["baselines", "run.yaml"]);
    for part in [
        "classification: 48 rows to train on, 12 held out, judged by accuracy",
        "linear probe",
        "* ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(files(&place.0), before);
    let said = place.says(2, &["baselines", "run.yaml", "--set", "val_size=0"]);
    assert!(
        said.contains("val_size") && said.contains("no rows are held out"),
        "{said}"
    );
}

#[test]
fn advice_has_reasons_and_cautions_and_writes_nothing() {
    let place = Place::new("advice");
    place.run(LINES);
    let before = files(&place.0);
    let found = last(&place.prints(&["advise", "run.yaml", "--json"]));
    assert_eq!(
        (&found["type"], &found["facts"]["rows"]),
        (&"advice".into(), &48.into())
    );
    let settings = found["settings"].as_array().expect("a list");
    let rate = settings
        .iter()
        .find(|one| one["knob"] == "learning_rate")
        .expect("a rate");
    assert_eq!((&rate["value"], &rate["current"]), (&0.001.into(), &0.02.into()));
    for part in ["reason", "evidence", "why_not"] {
        assert!(
            rate[part].as_str().is_some_and(|text| text.ends_with('.')),
            "{part}: {rate}"
        );
    }
    let text = place.prints(&["advise", "run.yaml", "--set", "val_size=0"]);
    for part in [
        "classification: 60 rows to train on, 0 held out",
        "val_size: No rows are held out",
        "learning_rate: 0.001",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A model and data, without a run file.
    let text = place.prints(&["advise", "small_mlp", "rows.csv"]);
    assert!(
        text.contains("finetuning_type: full  (as in the run)") && text.contains("  nothing"),
        "{text}"
    );
    assert_eq!(files(&place.0), before);
    let said = place.says(1, &["advise", "small_mlp", "none.csv"]);
    assert!(said.contains("none.csv"), "{said}");
}

#[test]
fn runs_are_compared_by_what_differs() {
    let place = Place::new("compare");
    place.run(LINES);
    let train = |folder: &str, setting: &str| {
        let folder = format!("output_dir={folder}");
        place.says(0, &["train", "run.yaml", "--set", &folder, "--set", setting]);
    };
    train("one", "learning_rate=0.02");
    train("two", "learning_rate=0.001");
    let found = last(&place.prints(&["compare", "one", "two", "--json"]));
    let names: Vec<&str> = found["settings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["learning_rate"], "and no place: {found}");
    assert_eq!(found["settings"][0]["values"], serde_json::json!([0.02, 0.001]));
    let losses = found["losses"].as_array().expect("a list");
    assert_eq!(losses.len(), 8, "{found}");
    assert_eq!(losses.last().expect("some")["step"], 8);
    // The first step of both is from the same weights.
    assert_eq!(losses[0]["values"][0], losses[0]["values"][1]);
    for run in found["runs"].as_array().expect("a list") {
        assert!(
            run["scores"]["eval_loss"].is_f64() && run["scores"]["accuracy"].is_f64(),
            "{run}"
        );
        assert!(run["gain"]["comparison"]["low"].is_f64(), "{run}");
    }
    assert_eq!(found["notes"], serde_json::json!([]));
    let text = place.prints(&["compare", "one", "two"]);
    for part in [
        "learning_rate",
        "final scores",
        "against the best baseline",
        "training loss at step",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["lora_r", "max_steps", "output_dir"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    // Other held-out rows, and fewer steps.
    train("three", "val_size=20");
    let text = place.prints(&["compare", "one", "three"]);
    assert!(
        text.contains("not of the same rows") && text.contains("val_size"),
        "{text}"
    );
    let said = place.says(2, &["compare", "one", "nowhere"]);
    assert!(said.contains("nowhere: is not the folder of a run"), "{said}");
    place.says(2, &["compare", "one"]);
}

/// The folder of the only sweep under `out`.
fn sweep_in(place: &Place) -> String {
    let entries = fs::read_dir(place.0.join("out")).expect("it can be listed").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let sweeps: Vec<String> = names.filter(|name| name.starts_with("sweep-")).collect();
    assert_eq!(sweeps.len(), 1, "{sweeps:?}");
    format!("out/{}", sweeps[0])
}

/// The events of a kind in a run's log.
fn events(place: &Place, run: &str, kind: &str) -> Vec<Value> {
    let log = fs::read_to_string(place.0.join(run).join("train_log.jsonl")).unwrap_or_default();
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["type"] == kind).collect()
}

/// The numbers of the steps in a run's log.
fn steps_of(place: &Place, run: &str) -> Vec<u64> {
    let steps = events(place, run, "step");
    steps.iter().filter_map(|event| event["step"].as_u64()).collect()
}

/// The held-out loss of a run after a step.
fn loss_at(place: &Place, run: &str, step: u64) -> Option<f64> {
    let scores = events(place, run, "eval");
    scores.iter().find(|event| event["step"] == step)?["loss"].as_f64()
}

#[test]
fn a_sweep_leaves_the_worse_half_behind_twice_and_repeats_nothing() {
    let place = Place::new("halving");
    place.run(LINES);
    let words = ["sweep", "run.yaml", "--knob", "learning_rate=1e-6,0.02,1e-5,0.001"];
    let json = [&words[..], &["--json"]].concat();
    let found = last(&place.prints(&json));
    let runs = found["runs"].as_array().expect("a list");
    let steps: Vec<u64> = runs.iter().filter_map(|run| run["step"].as_u64()).collect();
    assert_eq!(steps, [8, 4, 2, 2], "of 8 steps: {found}");
    assert_eq!((&found["tried"], &found["held_out"]), (&4.into(), &12.into()));
    assert_eq!(
        (&runs[0]["state"], &runs[1]["state"]),
        (&"finished".into(), &"stopped".into())
    );
    for run in runs {
        assert!(
            run["scores"]["eval_loss"].is_f64() && run["settings"]["learning_rate"].is_f64(),
            "{run}"
        );
    }
    // Those that went on had the lower loss at the step at which all were compared.
    let losses: Vec<f64> = runs
        .iter()
        .filter_map(|run| loss_at(&place, run["folder"].as_str()?, 2))
        .collect();
    assert_eq!(losses.len(), 4, "{found}");
    assert!(
        losses[..2]
            .iter()
            .all(|went_on| losses[2..].iter().all(|left| went_on <= left)),
        "{losses:?}"
    );

    let folder = sweep_in(&place);
    let all: Vec<(String, Vec<u8>)> = files(&place.0.join(&folder))
        .into_iter()
        .filter(|path| Path::new(path).is_file())
        .map(|path| (path.clone(), fs::read(&path).expect("it can be read")))
        .collect();
    assert_eq!(last(&place.prints(&json)), found, "the same command");
    for (path, bytes) in &all {
        assert!(
            fs::read(path).is_ok_and(|now| now == *bytes),
            "{path} was written again"
        );
    }
    let text = place.prints(&words);
    for part in [
        "run-02",
        "learning_rate",
        "4 settings were tried",
        "12 held-out rows",
        "chance",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The one that came to its end in three parts is the run that it would have been alone.
    let best = runs[0]["folder"].as_str().expect("a folder");
    let rate = format!("learning_rate={}", runs[0]["settings"]["learning_rate"]);
    let alone = [
        "train",
        "run.yaml",
        "--set",
        "output_dir=alone",
        "--set",
        "eval_steps=0.25",
        "--set",
        &rate,
    ];
    place.says(0, &alone);
    assert!(place.read("alone/model.safetensors") == place.read(&format!("{best}/model.safetensors")));
    assert_eq!(steps_of(&place, best), (1..=8).collect::<Vec<_>>());
    // Each is a run as any other.
    assert!(place.prints(&["runs"]).contains("run-04"));

    fs::write(place.0.join("rows.csv"), "a,b,label\n1,2,less\n2,1,more\n".repeat(20)).expect("it is written");
    let said = place.says(2, &words);
    assert!(said.contains("was trained on other data"), "{said}");
}

#[test]
fn a_sweep_that_was_cut_off_goes_on() {
    let place = Place::new("swept");
    place.run(LINES);
    let words = [
        "sweep",
        "run.yaml",
        "--knob",
        "learning_rate=0.02,0.001",
        "--knob",
        "hidden_size=4,8",
        "--no-halving",
    ];
    // No time at all: nothing is begun.
    let said = place.says(0, &[&words[..], &["--budget", "0.000001s"]].concat());
    assert!(said.contains("The time is up"), "{said}");
    assert!(!place.0.join("out").exists());

    let json = [&words[..], &["--json"]].concat();
    let found = last(&place.prints(&json));
    let folder = sweep_in(&place);
    let (first, second) = (format!("{folder}/run-01"), format!("{folder}/run-02"));
    let model = |run: &str| place.read(&format!("{run}/model.safetensors"));
    let log = |run: &str| place.read(&format!("{run}/train_log.jsonl"));
    let before = (model(&first), log(&first), model(&second));
    // As if it had been cut off after the first run.
    fs::remove_dir_all(place.0.join(&second)).expect("it is removed");
    let again = last(&place.prints(&json));
    assert_eq!(again, found);
    assert!(before == (model(&first), log(&first), model(&second)));
    let states: Vec<&Value> = found["runs"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| &run["state"])
        .collect();
    assert_eq!(states, [&Value::from("finished"); 4]);
}

#[cfg(unix)]
#[test]
fn a_sweep_that_is_told_to_end_saves_and_goes_on_with_the_run_under_way() {
    use std::process::{Command, Stdio};
    let place = Place::new("sweep-ended");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 2000\n");
    let words = ["sweep", "run.yaml", "--knob", "learning_rate=0.02,0.001"];
    let mut child = place.command(&words).stderr(Stdio::null()).spawn().expect("it starts");
    let started = std::time::Instant::now();
    let under_way = || -> bool {
        let mut sweeps = fs::read_dir(place.0.join("out")).into_iter().flatten().flatten();
        sweeps.any(|sweep| {
            let log = fs::read_to_string(sweep.path().join("run-01/train_log.jsonl")).unwrap_or_default();
            log.lines().count() > 8
        })
    };
    while !under_way() && child.try_wait().expect("its state is known").is_none() {
        assert!(started.elapsed().as_secs() < 120, "the sweep does not move");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // It may have come to its end already.
    let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let code = child.wait().expect("it ends").code();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
    place.says(0, &words);
    let folder = sweep_in(&place);
    for run in ["run-01", "run-02"] {
        let steps = steps_of(&place, &format!("{folder}/{run}"));
        assert_eq!(steps, (1..=2000).collect::<Vec<_>>(), "{run}");
    }
}

#[test]
fn a_sweep_is_checked_before_its_first_run() {
    let place = Place::new("checked");
    place.run(LINES);
    for (words, what) in [
        (&["--knob", "learning_rate=0.02,-1"][..], "learning_rate: must be"),
        (&["--knob", "val_size=4,8"], "cannot be swept"),
        (&["--knob", "learning_rat=1"], "Did you mean learning_rate?"),
        (&["--knob", "lora_r"], "KNOB=VALUE"),
        (
            &["--knob", "lora_r=4,8", "--budget", "soon"],
            "--budget: must be a time",
        ),
        (&["--knob", "lora_r=4,8", "--set", "val_size=0"], "holds none out"),
        (
            &["--knob", "seed=1,2", "--set", "resume_from_checkpoint=true"],
            "continues automatically",
        ),
        (&[], "--knob"),
    ] {
        let said = place.says(2, &[&["sweep", "run.yaml"][..], words].concat());
        assert!(said.contains(what), "{words:?}: {said}");
    }
    assert!(!place.0.join("out").exists());
}

#[test]
fn settings_that_do_not_fit_the_model_are_out_and_the_others_go_on() {
    let place = Place::new("unfit");
    place.run(LINES);
    // A fresh network has nothing that adapters could be put on.
    let words = [
        "sweep",
        "run.yaml",
        "--no-halving",
        "--knob",
        "learning_rate=0.02,0.001",
    ];
    let all = [&words[..], &["--knob", "finetuning_type=full,lora"]].concat();
    for again in [false, true] {
        let said = place.says(0, &all);
        for run in ["run-02", "run-04"] {
            assert!(said.contains(&format!("{run} is out: ")), "again {again}: {said}");
        }
        let folder = sweep_in(&place);
        for run in ["run-01", "run-03"] {
            assert_eq!(
                steps_of(&place, &format!("{folder}/{run}")),
                (1..=8).collect::<Vec<_>>(),
                "again {again}: {run}"
            );
        }
    }
    // Where the first one is refused, so may be all.
    fs::remove_dir_all(place.0.join("out")).expect("it is removed");
    let said = place.says(2, &[&words[..], &["--knob", "finetuning_type=lora,full"]].concat());
    assert!(said.contains("finetuning_type") && !said.contains("is out"), "{said}");
}

#[test]
fn a_run_file_can_say_what_to_sweep() {
    let place = Place::new("sweep-file");
    let run = place.run(LINES);
    let text = fs::read_to_string(run).expect("it is there") + "sweep:\n  learning_rate: [0.02, 0.001]\n";
    fs::write(place.0.join("sweep.yaml"), text).expect("it is written");
    let by_file = last(&place.prints(&["sweep", "sweep.yaml", "--json"]));
    assert_eq!(
        (&by_file["tried"], &by_file["runs"][1]["state"]),
        (&2.into(), &"finished".into())
    );
    let words = ["sweep", "run.yaml", "--knob", "learning_rate=0.02,0.001", "--json"];
    assert_eq!(last(&place.prints(&words)), by_file, "it is the same sweep");
    sweep_in(&place);
    let said = place.says(2, &["train", "sweep.yaml"]);
    assert!(said.contains("sweep"), "{said}");
    let said = place.says(2, &["sweep", "sweep.yaml", "--knob", "learning_rate=0.1"]);
    assert!(said.contains("learning_rate: is swept twice"), "{said}");
}
