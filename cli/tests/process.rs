//! The command `lorakeet` as a process: killed, interrupted, without a reader, and in folders that hold something already.

#[path = "native/audit.rs"]
mod audit;
#[path = "native/convert.rs"]
mod convert;
#[path = "native/endurance.rs"]
mod endurance;
#[path = "native/inspect.rs"]
mod inspect;
#[path = "native/runs.rs"]
mod runs;
#[path = "native/trained.rs"]
mod trained;
#[path = "native/tuning.rs"]
mod tuning;

use lorakeet_core::store::{DirectorySink, DiskFile, Source};
use lorakeet_core::train::checkpoint::step_of;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Output, Stdio};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The value of a future that waits for nothing, as all are that read disk.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

/// A folder of a test's own, with rows of numbers in two classes, that is removed in the end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lorakeet-process-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder can be made");
        let row = |i: usize| {
            let (a, b) = (i * 37 % 101, i * 53 % 97);
            format!("{a},{b},{}\n", if a > b { "more" } else { "less" })
        };
        let rows: String = (0..60).map(row).collect();
        fs::write(folder.join("rows.csv"), format!("a,b,label\n{rows}")).expect("it is written");
        Self(folder)
    }

    /// Writes a run file of a small network with these lines on top.
    fn run(&self, lines: &str) -> PathBuf {
        let text = format!(
            "model: small_mlp\ntask: classification\nhidden_size: 8\nval_size: 12\nper_device_train_batch_size: 4\n\
             gradient_accumulation_steps: 1\nlearning_rate: 0.02\neval_steps: 5\nload_best_model_at_end: true\n{lines}"
        );
        let path = self.0.join("run.yaml");
        fs::write(&path, text).expect("it is written");
        path
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lorakeet"));
        command
            .args(["--device", "cpu"])
            .args(words)
            .current_dir(&self.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }

    /// What the command says on standard error, where it ends with this status.
    fn says(&self, status: i32, words: &[&str]) -> String {
        let output = self.output(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        said
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.0.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Number and loss of each step in the log of the run in `out`.
    fn steps(&self) -> Vec<(u64, f64)> {
        let log = fs::read_to_string(self.0.join("out/train_log.jsonl")).unwrap_or_default();
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let steps = events.filter(|event| event["type"] == "step");
        steps
            .map(|event| {
                (
                    event["step"].as_u64().expect("a number"),
                    event["loss"].as_f64().expect("a loss"),
                )
            })
            .collect()
    }

    /// Waits until the run in `out` has done `steps`, or has ended.
    fn wait_for_steps(&self, child: &mut Child, steps: usize) {
        let started = Instant::now();
        while self.steps().len() < steps && child.try_wait().expect("its state is known").is_none() {
            assert!(started.elapsed() < Duration::from_secs(120), "the run does not move");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn checkpoints(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("out")).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| step_of(name).is_some()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FIRST: &[&str] = &["train", "run.yaml"];
const AGAIN: &[&str] = &["train", "run.yaml", "--resume-from-checkpoint", "true"];

#[test]
fn the_newest_whole_checkpoint_is_taken_and_torn_ones_are_said() {
    let place = Place::new("torn");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 6\nsave_steps: 2\n");
    let said = place.says(2, AGAIN);
    assert!(said.contains("there is no checkpoint in out"), "{said}");
    place.says(0, FIRST);
    let model = place.read("out/model.safetensors");
    let torn = place.0.join("out/checkpoint-6/optimizer.safetensors");
    let bytes = fs::read(&torn).expect("it is there");
    fs::write(&torn, &bytes[..bytes.len() - 4]).expect("it is written");
    let said = place.says(0, AGAIN);
    assert!(
        said.contains("out/checkpoint-6 is skipped: ") && said.contains("optimizer.safetensors"),
        "{said}"
    );
    assert!(said.contains("continues after step 4"), "{said}");
    assert!(place.read("out/model.safetensors") == model);
    let said = place.says(1, &["train", "run.yaml", "--resume-from-checkpoint", "out"]);
    assert!(
        said.contains("out/manifest.json: this file of the checkpoint is missing"),
        "{said}"
    );
    let said = place.says(
        2,
        &[
            "train",
            "run.yaml",
            "--set",
            "resume_from_checkpoint=true",
            "--set",
            "seed=7",
        ],
    );
    assert!(said.contains("seed was 42, is 7"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_told_to_end_saves_and_can_go_on() {
    let place = Place::new("signals");
    for signal in ["TERM", "HUP", "INT"] {
        place.run(
            "train_file: rows.csv\noutput_dir: out\nmax_steps: 200000\nsave_steps: 0\nlr_scheduler_type: constant\n",
        );
        let mut child = place.command(FIRST).stderr(Stdio::null()).spawn().expect("it starts");
        place.wait_for_steps(&mut child, 3);
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("it is sent").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{signal}");
        let done = place.steps().len();
        assert_eq!(place.checkpoints(), [format!("checkpoint-{done}")], "{signal}");
        let longer = format!("max_steps={}", done + 2);
        place.says(0, &[AGAIN, &["--set", &longer]].concat());
        assert_eq!(place.steps().len(), done + 2, "{signal}");
        fs::remove_dir_all(place.0.join("out")).expect("it is removed");
    }
}

#[test]
fn a_run_whose_readers_are_gone_goes_on() {
    let place = Place::new("readers");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 4\nsave_steps: 2\n");
    for json in [&[][..], &["--json"]] {
        for stream in ["stdout", "stderr"] {
            let mut command = place.command(&[FIRST, json].concat());
            let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
            match stream {
                "stdout" => drop(child.stdout.take()),
                _ => drop(child.stderr.take()),
            }
            let output = child.wait_with_output().expect("it ends");
            assert!(output.status.success(), "{stream}: {output:?}");
            assert_eq!(place.steps().len(), 4, "{stream}");
            place.read("out/model.safetensors");
            fs::remove_dir_all(place.0.join("out")).expect("it is removed");
        }
    }
    for words in [&["check", "run.yaml"][..], &["devices"], &["train", "none.yaml"]] {
        let mut child = place.command(words).stdout(Stdio::piped()).spawn().expect("it starts");
        drop((child.stdout.take(), child.stderr.take()));
        let code = child.wait().expect("it ends").code();
        assert_eq!(code, Some(if words[0] == "train" { 1 } else { 0 }), "{words:?}");
    }
}

#[test]
fn a_knob_is_explained_without_a_run_file() {
    let place = Place::new("explain");
    let mut command = place.command(&["check", "--explain", "lora_rank"]);
    let output = command.stdout(Stdio::piped()).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.starts_with("lora_r: a whole number") && said.contains("torchtune"),
        "{said}"
    );
    let said = place.says(2, &["check", "--explain", "lora_rnk"]);
    assert!(said.contains("lora_rank"), "{said}");
    place.says(2, &["check"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_an_error() {
    let place = Place::new("full");
    place.run("train_file: rows.csv\n");
    let full = || fs::File::options().write(true).open("/dev/full").expect("Linux has it");
    let output = place
        .command(&["check", "run.yaml"])
        .stdout(full())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("standard output cannot be written"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_run_never_writes_over_what_it_reads() {
    let place = Place::new("inputs");
    place.run("train_file: rows.csv\noutput_dir: base\nmax_steps: 2\nsave_steps: 1\n");
    place.says(0, FIRST);
    std::os::unix::fs::symlink(place.0.join("base"), place.0.join("link")).expect("a link");
    fs::create_dir(place.0.join("held")).expect("a folder");
    fs::copy(place.0.join("rows.csv"), place.0.join("held/predictions.csv")).expect("it is copied");
    fs::create_dir(place.0.join("linked")).expect("a folder");
    std::os::unix::fs::symlink(place.0.join("rows.csv"), place.0.join("linked/predictions.csv")).expect("a link");
    let before = [place.read("base/model.safetensors"), place.read("held/predictions.csv")];
    let absolute = place.0.join("base").display().to_string();
    for (lines, what) in [
        (
            "train_file: rows.csv\nmodel_name_or_path: base\noutput_dir: base\n",
            "model_name_or_path",
        ),
        (
            "train_file: rows.csv\nmodel_name_or_path: base\noutput_dir: link\n",
            "model_name_or_path",
        ),
        (
            "train_file: rows.csv\nmodel_name_or_path: link\noutput_dir: ./held/../base/\n",
            "model_name_or_path",
        ),
        (
            "train_file: rows.csv\nmodel_name_or_path: base/checkpoint-1\noutput_dir: base\n",
            "model_name_or_path",
        ),
        (
            &format!("train_file: rows.csv\nmodel_name_or_path: base\noutput_dir: {absolute}\n"),
            "model_name_or_path",
        ),
        ("train_file: held/predictions.csv\noutput_dir: held\n", "train_file"),
        ("train_file: linked/predictions.csv\noutput_dir: linked\n", "train_file"),
        ("train_file: rows.csv\noutput_dir: .\n", "train_file"),
        (
            "train_file: rows.csv\nvalidation_file: held/predictions.csv\noutput_dir: held\n",
            "validation_file",
        ),
    ] {
        let text =
            format!("finetuning_type: full\ntask: classification\nmax_steps: 2\noverwrite_output_dir: true\n{lines}");
        let text = match lines.contains("model_name_or_path") {
            true => text,
            false => format!("model: small_mlp\n{text}"),
        };
        fs::write(place.0.join("over.yaml"), text).expect("it is written");
        let said = place.says(2, &["train", "over.yaml"]);
        assert!(said.contains("output_dir: ") && said.contains(what), "{lines}: {said}");
    }
    assert!(before == [place.read("base/model.safetensors"), place.read("held/predictions.csv")]);
    let rows = place.read("rows.csv");
    for table in ["rows.csv", "./base/../rows.csv", "linked/predictions.csv"] {
        let said = place.says(
            2,
            &["predict", "--model", "base", "--data", "rows.csv", "--output", table],
        );
        assert!(said.contains("--output: is train_file, too"), "{table}: {said}");
    }
    assert!(place.read("rows.csv") == rows);
    // In a folder of its own all is well.
    let text = "train_file: held/predictions.csv\nmodel_name_or_path: base\noutput_dir: base/next\n\
                finetuning_type: full\ntask: classification\nmax_steps: 2\n";
    fs::write(place.0.join("over.yaml"), text).expect("it is written");
    place.says(0, &["train", "over.yaml"]);
    place.read("base/next/model.safetensors");
}

#[test]
fn a_folder_that_holds_another_run_is_taken_only_where_that_is_asked_for() {
    let place = Place::new("another");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 6\nsave_steps: 2\n");
    place.says(0, FIRST);
    let (model, log) = (place.read("out/model.safetensors"), place.read("out/train_log.jsonl"));
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 3\nsave_steps: 2\nseed: 5\n");
    let said = place.says(2, FIRST);
    assert!(
        said.contains("out holds ") && said.contains("overwrite_output_dir"),
        "{said}"
    );
    assert!(place.read("out/model.safetensors") == model && place.read("out/train_log.jsonl") == log);
    let said = place.says(2, AGAIN);
    assert!(said.contains("seed was 42, is 5"), "{said}");
    assert!(
        place.read("out/train_log.jsonl") == log,
        "a run that is refused leaves the log"
    );
    place.says(0, &[FIRST, &["--set", "overwrite_output_dir=true"]].concat());
    assert_eq!(place.checkpoints(), ["checkpoint-2"], "no later one of the older run");
    assert!(place.read("out/model.safetensors") != model);
    assert_eq!(place.steps().len(), 3);

    // A run file that a person wrote into the folder stays as it is, whichever run file is meant.
    fs::create_dir(place.0.join("mine")).expect("a folder");
    let by_hand =
        "# mine\nmodel: small_mlp\ntask: classification\ntrain_file: rows.csv\noutput_dir: mine\nmax_steps: 2\n";
    fs::write(place.0.join("mine/run.yaml"), by_hand).expect("it is written");
    let said = place.says(2, &["train", "run.yaml", "--set", "output_dir=mine"]);
    assert!(said.contains("mine holds run.yaml"), "{said}");
    place.says(0, &["train", "mine/run.yaml"]);
    assert_eq!(place.read("mine/run.yaml"), by_hand.as_bytes());
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let place = Place::new("two");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 200000\nsave_steps: 0\n");
    let mut first = place.command(FIRST).stderr(Stdio::null()).spawn().expect("it starts");
    place.wait_for_steps(&mut first, 2);
    let said = place.says(1, FIRST);
    first.kill().expect("it is killed");
    first.wait().expect("it ends");
    let first = first.id();
    assert!(
        said.contains("writes into this folder") && said.contains(&format!("another run (process {first} on ")),
        "{said}"
    );
    // The lock of a killed process is nobody's; nor is a run protected that saved nothing.
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 2\nsave_steps: 0\n");
    place.says(0, FIRST);
    assert_eq!(place.steps().len(), 2);

    let folder = place.0.join("sinks");
    let sink = DirectorySink::claim(&folder).expect("nobody has it");
    let clone = sink.clone();
    drop(sink);
    let error = DirectorySink::claim(&folder).expect_err("the clone has it");
    assert!(error.what.english().contains("another run"), "{error}");
    drop(clone);
    DirectorySink::claim(&folder).expect("nobody has it any more");
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let place = Place::new("pipes");
    let pipe = place.0.join("pipe.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("it runs").success());
    let error = DiskFile::open(&pipe).expect_err("a pipe");
    assert!(
        error.what.english().contains("is a pipe or a device") && error.remedy.is_some(),
        "{error}"
    );
    place.run("train_file: pipe.csv\noutput_dir: out\n");
    assert!(place.says(1, FIRST).contains("is a pipe or a device"));
    let said = place.says(2, &["check", "/dev/zero"]);
    assert!(said.contains("a run file has at most"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_of_many_files_is_not_held_open() {
    let place = Place::new("many");
    let names: Vec<PathBuf> = (0..400).map(|i| place.0.join(format!("{i}.json"))).collect();
    names
        .iter()
        .for_each(|path| fs::write(path, "{}").expect("it is written"));
    let open = || fs::read_dir("/proc/self/fd").expect("Linux has it").count();
    let before = open();
    let sources: Vec<Source> = names
        .iter()
        .map(|path| DiskFile::source(path).expect("it is there"))
        .collect();
    assert!(open() < before + 200, "{} files are open", open());
    // What takes a file's place on the way is not mixed with it.
    std::thread::sleep(Duration::from_millis(20));
    fs::write(&names[7], "[]").expect("it is written");
    let error = now(sources[7].read_at(0, 2)).expect_err("it is another one");
    assert!(
        error.what.english().contains("was changed while it was read"),
        "{error}"
    );
}

#[test]
fn a_log_of_a_run_that_goes_on_has_each_step_once() {
    let place = Place::new("log");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 8\nsave_steps: 3\n");
    place.says(0, FIRST);
    let steps = place.steps();
    assert_eq!(steps.len(), 8);
    // As where it was killed while it wrote of the eighth step.
    let log = place.read("out/train_log.jsonl");
    let last = log
        .windows(10)
        .rposition(|bytes| bytes == b"\"step\":8,\"")
        .expect("the eighth step");
    fs::write(place.0.join("out/train_log.jsonl"), &log[..last + 6]).expect("it is written");
    place.says(
        0,
        &["train", "run.yaml", "--resume-from-checkpoint", "out/checkpoint-3"],
    );
    assert_eq!(place.steps(), steps);
    let lines = place.read("out/train_log.jsonl");
    for line in String::from_utf8(lines).expect("text").lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    fs::remove_file(place.0.join("out/train_log.jsonl")).expect("it is removed");
    link(Path::new("../rows.csv"), &place.0.join("out/train_log.jsonl"));
    let rows = place.read("rows.csv");
    assert!(place.says(1, AGAIN).contains("train_log.jsonl: is a link"));
    assert!(place.read("rows.csv") == rows);
}

#[test]
fn what_a_run_learnt_is_exported_with_a_card_and_not_over_anything() {
    let place = Place::new("export");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 10\nsave_steps: 5\n");
    place.says(0, FIRST);
    let told = |words: &[&str]| {
        let output = place.command(words).stdout(Stdio::piped()).output().expect("it runs");
        let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(output.status.success(), "{out}{error}");
        (out, error)
    };
    let (out, error) = told(&["export", "run.yaml", "--to", "merged", "--output_dir", "merged"]);
    let is_checked = out.contains("weights of step") && out.contains("loss on held-out rows");
    assert!(is_checked && !error.contains("Nothing explains"), "{out}{error}");
    assert!(out.contains("tensors back") && out.contains("is expected"), "{out}");
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    let (out, _) = told(&words(
        "export run.yaml --to merged --output_dir quick --no-check --license mit",
    ));
    assert!(out.contains("weights of step") && !out.contains("held-out"), "{out}");
    let card = String::from_utf8(place.read("quick/README.md")).expect("text");
    assert!(card.contains("license: \"mit\""), "{card}");
    let refused = place.says(2, &words("export run.yaml --to merged --output_dir x --dequantized"));
    assert!(refused.contains("quantization_bit"), "{refused}");
    let refused = place.says(2, &words("export run.yaml --to merged --output_dir x --license none"));
    assert!(
        refused.contains("--license") && refused.contains("apache-2.0"),
        "{refused}"
    );
    let card = String::from_utf8(place.read("merged/README.md")).expect("text");
    for words in [
        "base_model:",
        "after optimizer step",
        "accuracy",
        "SHA-256 of train_file",
        "hidden_size: 8",
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
    let data = ["--data", "rows.csv"];
    let scored = |model: &str| place.output(&[&["eval", "--model", model][..], &data].concat()).stdout;
    assert_eq!(scored("merged"), scored("out"));
    let again = place.says(2, &["export", "out", "--to", "merged", "--output_dir", "merged"]);
    assert!(again.contains("holds") && again.contains("new folder"), "{again}");
    for form in ["peft", "gguf", "gguf-adapter", "mlx", "sentence-transformers"] {
        let refused = place.output(&["export", "out", "--to", form, "--output_dir", "other"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("merged"), "{said}");
    }
    // What was trained on is not what lies there any more.
    let rows = place.read("rows.csv");
    fs::write(place.0.join("rows.csv"), [&rows[..], b"1,2,less\n"].concat()).expect("it is written");
    let (_, error) = told(&["export", "run.yaml", "--to", "merged", "--output_dir", "later"]);
    assert!(error.contains("not scored") && error.contains("rows.csv"), "{error}");
    fs::create_dir(place.0.join("empty")).expect("a folder");
    let nothing = place.says(2, &["export", "empty", "--to", "merged", "--output_dir", "x"]);
    assert!(nothing.contains("neither an adapter nor a model"), "{nothing}");
}

#[test]
fn a_run_is_exported_for_other_trainers_with_what_they_lack_named() {
    let place = Place::new("trainers");
    let write = |name: &str, text: &str| fs::write(place.0.join(name), text).expect("it is written");
    write("texts.jsonl", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
    write(
        "sft.yaml",
        "model: ORG/NAME\ntrain_file: texts.jsonl\ndivergence: stop\n",
    );
    for form in ["llamafactory", "axolotl", "trl"] {
        let said = place.says(0, &["export", "sft.yaml", "--to", form, "--output", form]);
        assert!(said.contains("no key for divergence"), "{said}");
        let file = format!("{form}/run.yaml");
        let text = String::from_utf8(place.read(&file)).expect("UTF-8");
        assert!(text.contains("#   divergence: stop"), "{text}");
        assert_eq!(place.read(&format!("{form}/train.jsonl")), place.read("texts.jsonl"));
        place.says(0, &["check", &file]);
        let again = place.says(2, &["export", "sft.yaml", "--to", form, "--output", form]);
        assert!(again.contains("holds"), "{again}");
    }
    for [flag, value] in [["--dtype", "float16"], ["--license", "mit"]] {
        let said = place.says(2, &["export", "sft.yaml", "--to", "trl", flag, value, "--output", "x"]);
        assert!(said.contains(flag), "{said}");
    }
    place.run("train_file: rows.csv\noutput_dir: out\n");
    for (form, way_out) in [("script", "architecture of transformers"), ("trl", "as script")] {
        let refused = place.output(&["export", "run.yaml", "--to", form, "--output", "x"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(way_out), "{said}");
    }
    let nothing = place.says(2, &["export", "texts.jsonl", "--to", "script", "--output", "x"]);
    assert!(nothing.contains("no run.yaml"), "{nothing}");
}

#[cfg(unix)]
fn link(to: &Path, at: &Path) {
    std::os::unix::fs::symlink(to, at).expect("a link");
}

#[cfg(not(unix))]
fn link(to: &Path, at: &Path) {
    std::os::windows::fs::symlink_file(to, at).expect("a link");
}

#[test]
fn devices_are_listed_with_what_was_measured_on_them() {
    let place = Place::new("devices");
    let listed = |words: &[&str]| {
        let output = place.command(words).stdout(Stdio::piped()).output().expect("it runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let lines = listed(&["devices", "--json"]);
    let devices: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    // The place asks for the CPU, so that no GPU is opened.
    for device in &devices {
        let measured = device["probe"]["gflops"].as_f64().is_some_and(|gflops| gflops > 0.0);
        assert_eq!(measured, device["kind"] == "cpu", "{device}");
    }
    assert!(devices.iter().any(|device| device["kind"] == "cpu"), "{lines}");
    assert!(listed(&["devices"]).contains("GFLOP/s"));
    assert!(!listed(&["devices", "--no-probe"]).contains("GFLOP/s"));
}
