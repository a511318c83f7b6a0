//! `cargo xtask pretrain`: the bundled model made again, from the texts to the numbers of its card.
//!
//! Texts into the cache, training by `lorakeet` with `public/model/pretrain.yaml` from fresh weights, the result stored as
//! f16, and that file scored and heard. What a run needs besides the run file (where the text is, a model's folder
//! without weights) is named here, so that the run file holds no place of any machine.

use crate::places::{Places, say};
use crate::process::{capture, run};
use crate::texts;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const RUN_FILE: &str = "public/model/pretrain.yaml";
const HELD_OUT: &str = "public/data/austen.txt";
const WEIGHTS: &str = "model.safetensors";
/// What makes a folder a model, apart from its weights.
const COMPANIONS: [&str; 3] = ["config.json", "tokenizer.json", "tokenizer_config.json"];

/// The sample of the card.
const PROMPT: &str = "It was a truth";
const TEMPERATURE: &str = "0.8";
const SEED: &str = "7";
const SAMPLE_TOKENS: &str = "60";

/// What can be changed for a trial.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Steps, instead of the run file's.
    steps: Option<u32>,
    /// The folder that the model goes to, instead of `public/model`; what the training leaves behind stays in it.
    out: Option<PathBuf>,
}

impl Options {
    /// Reads `--steps N` and `--out DIR`, also with `=`.
    pub fn read(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (*word, words.next().copied()),
            };
            match (name, value) {
                ("--steps", Some(number)) => match number.parse() {
                    Ok(0) | Err(_) => bail!("--steps takes a number above 0, not `{number}`"),
                    Ok(steps) => options.steps = Some(steps),
                },
                ("--out", Some(folder)) => options.out = Some(std::path::absolute(folder)?),
                _ => bail!("`pretrain` takes `--steps N` and `--out DIR`, not `{word}`"),
            }
        }
        Ok(options)
    }
}

/// Makes the model and prints what its card says of it.
pub fn make_model(places: &Places, options: &Options) -> Result<()> {
    let bundled = places.root.join("public/model");
    let out = options.out.as_ref().unwrap_or(&bundled);
    say("pretrain: texts");
    let text = texts::write_pretraining_rows(&places.packages())?;
    let programs = Programs::build(places)?;

    // A folder with weights would be trained on; without, training starts from fresh ones. A trial has folders of its own,
    // so that it can be made beside the real training.
    let work = match &options.out {
        Some(out) => out.join("pretraining"),
        None => places.cache.join("pretraining"),
    };
    let (fresh, trained) = (work.join("fresh"), work.join("trained"));
    copy_companions(&bundled, &fresh)?;
    let mut train = programs.lorakeet();
    train.args(["train", RUN_FILE, "--set", "overwrite_output_dir=true"]);
    for (key, place) in [
        ("model_name_or_path", &fresh),
        ("train_file", &text),
        ("output_dir", &trained),
    ] {
        train.arg("--set").arg(format!("{key}={}", place.display()));
    }
    if let Some(steps) = options.steps {
        train.arg("--set").arg(format!("max_steps={steps}"));
    }
    say("pretrain: training");
    run(&mut train)?;

    say(format!("pretrain: weights as f16 to {}", out.display()));
    if *out != bundled {
        copy_companions(&bundled, out)?;
    }
    let weights = out.join(WEIGHTS);
    run(Command::new(&programs.store_as_f16)
        .arg(trained.join(WEIGHTS))
        .arg(&weights))?;

    say("pretrain: score and sample of the file as stored");
    let mut score = programs.lorakeet();
    score.args(["--json", "eval", RUN_FILE, "--data", HELD_OUT, "--model"]);
    let score = event(&capture(score.arg(out))?, "eval")?;
    let mut sample = programs.lorakeet();
    sample.args([
        "--json",
        "generate",
        PROMPT,
        "--temperature",
        TEMPERATURE,
        "--seed",
        SEED,
    ]);
    sample.args(["--max-new-tokens", SAMPLE_TOKENS, "--model"]);
    let sample = event(&capture(sample.arg(out))?, "generated")?;
    let log = trained.join("train_log.jsonl");
    let log = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let bytes = fs::metadata(&weights)?.len();
    println!("{}", card(bytes, &log, &score, &sample)?);
    Ok(())
}

/// The programs of the recipe, compiled with everything else that is native, so that burn is not compiled anew.
struct Programs {
    root: PathBuf,
    lorakeet: PathBuf,
    store_as_f16: PathBuf,
}

impl Programs {
    fn build(places: &Places) -> Result<Self> {
        let mut command = places.cargo("build");
        command.args([
            "--locked",
            "--release",
            "--bin",
            "lorakeet",
            "--example",
            "store_as_f16",
        ]);
        run(&mut command)?;
        let folder = places.target.join("release");
        let program = |name: &str| folder.join(name).with_extension(std::env::consts::EXE_EXTENSION);
        Ok(Self {
            root: places.root.clone(),
            lorakeet: program("lorakeet"),
            store_as_f16: program("examples/store_as_f16"),
        })
    }

    /// The command, in the workspace: the run file's places count from there.
    fn lorakeet(&self) -> Command {
        let mut command = Command::new(&self.lorakeet);
        command.current_dir(&self.root);
        command
    }
}

fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for name in COMPANIONS {
        fs::copy(from.join(name), to.join(name)).with_context(|| format!("cannot copy {name} to {}", to.display()))?;
    }
    Ok(())
}

/// The last event of a kind among `lines`, which hold one a line as JSON.
fn event(lines: &str, kind: &str) -> Result<Value> {
    let mut events = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found = events.rfind(|event| event["type"] == kind);
    found.with_context(|| format!("lorakeet told of no event `{kind}`"))
}

/// The lines of the card that a training changes.
fn card(bytes: u64, log: &str, score: &Value, sample: &Value) -> Result<String> {
    let (done, step) = (event(log, "done")?, event(log, "step")?);
    let number = |value: &Value, key: &str| {
        let number = value[key].as_f64();
        number.with_context(|| format!("lorakeet told of no {key}"))
    };
    let text = sample["text"].as_str().unwrap_or_default();
    let text: Vec<&str> = text.split_whitespace().collect();
    Ok(format!(
        "- **Weights**: {WEIGHTS}, f16, {bytes} bytes.\n\
         - **Trained**: {} steps, {} tokens, {:.1} minutes.\n\
         - **Validated on**: {} tokens of `{HELD_OUT}`. Loss {:.3} nats a token (perplexity {:.0}) as stored, {:.3} in f32, \
         from {:.3} before training.\n\
         - **Sample** (temperature {TEMPERATURE}, seed {SEED}, after '{PROMPT}'): '{}'",
        done["steps"],
        step["num_input_tokens_seen"],
        number(&done, "seconds")? / 60.0,
        score["tokens"],
        number(score, "loss")?,
        number(score, "perplexity")?,
        number(&done, "eval_loss_after")?,
        number(&done, "eval_loss_before")?,
        text.join(" "),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_names_its_steps_and_its_folder_in_both_spellings() {
        let folder = std::env::temp_dir();
        let named = folder.display().to_string();
        let trial = Options {
            steps: Some(3),
            out: Some(folder),
        };
        assert_eq!(Options::read(&["--steps", "3", "--out", &named]).unwrap(), trial);
        let joined = format!("--out={named}");
        assert_eq!(Options::read(&[&joined, "--steps=3"]).unwrap(), trial);
        assert_eq!(Options::read(&[]).unwrap(), Options::default());
    }

    #[test]
    fn a_word_that_is_no_option_is_named() {
        for (words, fault) in [
            (&["--steps", "0"][..], "`0`"),
            (&["--steps"], "`--steps`"),
            (&["--stpes", "3"], "`--stpes`"),
        ] {
            let error = Options::read(words).unwrap_err().to_string();
            assert!(error.contains(fault), "{error}");
        }
    }

    #[test]
    fn the_card_has_the_last_numbers_of_the_log_and_those_of_the_stored_file() {
        let log = r#"{"type":"eval","step":0,"loss":8.0631,"perplexity":3175.0,"tokens":17399}
            {"type":"step","step":1,"loss":8.0,"num_input_tokens_seen":2048}
            {"type":"step","step":3,"loss":7.5,"num_input_tokens_seen":6144}
            {"type":"done","finished":true,"steps":3,"eval_loss_before":8.0631,"eval_loss_after":7.4,"seconds":90.0}"#;
        let score = serde_json::json!({"type": "eval", "loss": 7.4004, "perplexity": 1636.6, "tokens": 17399});
        let sample = serde_json::json!({"type": "generated", "text": " universally\nacknowledged"});
        let card = card(4_332_880, log, &score, &sample).unwrap();
        for part in [
            "4332880 bytes",
            "3 steps, 6144 tokens, 1.5 minutes",
            "Loss 7.400 nats a token (perplexity 1637) as stored, 7.400 in f32, from 8.063",
            "'universally acknowledged'",
        ] {
            assert!(card.contains(part), "{part} is not in\n{card}");
        }
    }
}
