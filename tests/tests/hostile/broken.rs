//! Each kind of file, sound once and broken many times.

use crate::watched::name_case;
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    protocol::{ChatMessage, Command, DeviceChoice, Event, GenerateOptions, Prompt},
    store::{MemoryFile, MemorySink, Source, read_all},
    task::Task,
    train::checkpoint::{self, Checkpoint},
};
use lorakeet_tests::{gguf::GgufWriter, golden::block_on, mutations::Mutations, test_session::TestSession, tiny};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a session on these files may take; ones that are sound take some hundredths of a second.
const MOST_TIME: Duration = Duration::from_secs(20);

/// The memory that is counted is the process's, and a case's time that of the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Files by their names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// How often each file is broken.
fn rounds() -> usize {
    let named = std::env::var("LORAKEET_HOSTILE_ROUNDS").ok();
    named.map_or(200, |rounds| {
        rounds.parse().expect("LORAKEET_HOSTILE_ROUNDS is a number")
    })
}

/// How a session ended.
#[derive(Debug, PartialEq)]
pub enum End {
    Read,
    /// With what was said.
    Refused(String),
}

/// Uses the sound files, then broken ones, of which some are refused.
fn survive(kind: &str, sound: &Files, breaks: impl Fn(&mut Files, &mut Mutations), session: impl Fn(&Files) -> End) {
    assert!(
        refusals(kind, sound, breaks, session) > 0,
        "{kind}: none of {} was refused; are they broken at all?",
        rounds()
    );
}

/// Uses the sound files, then broken ones: `breaks` breaks a copy of them, `session` uses it. How many were refused.
pub fn refusals(
    kind: &str,
    sound: &Files,
    breaks: impl Fn(&mut Files, &mut Mutations),
    session: impl Fn(&Files) -> End,
) -> usize {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    name_case(kind, 0);
    assert_eq!(session(sound), End::Read, "{kind}: the sound files are read");
    let seed = kind.bytes().fold(0u64, |seed, byte| seed * 31 + u64::from(byte));
    let mut mutations = Mutations::new(seed);
    let mut refused = 0;
    for round in 1..=rounds() {
        let mut files = sound.clone();
        breaks(&mut files, &mut mutations);
        name_case(kind, round);
        let started = Instant::now();
        let end = catch_unwind(AssertUnwindSafe(|| session(&files)));
        let took = started.elapsed();
        let end = end.unwrap_or_else(|_| panic!("{kind} {round} panicked on {}", changed(sound, &files)));
        assert!(
            took < MOST_TIME,
            "{kind} {round} took {took:?} for {}",
            changed(sound, &files)
        );
        refused += usize::from(end != End::Read);
    }
    refused
}

/// The file that was changed, as text.
fn changed(sound: &Files, files: &Files) -> String {
    let differs = |(name, bytes): &(&String, &Vec<u8>)| sound.get(*name) != Some(bytes);
    files.iter().find(differs).map_or_else(String::new, |(name, bytes)| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]);
        format!("{name}: {text}")
    })
}

fn sources(files: &Files) -> Vec<Source> {
    files
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.as_str(), bytes.clone()) as Source)
        .collect()
}

fn bytes_of(sources: Vec<Source>) -> Files {
    let read = |source: Source| {
        let bytes = block_on(read_all(source.as_ref(), 1 << 26)).expect("in memory");
        (source.name().to_owned(), bytes)
    };
    sources.into_iter().map(read).collect()
}

/// What was refused on the way.
fn failure(session: &TestSession) -> Option<String> {
    session.events.iter().find_map(|event| match event {
        Event::Failed(error) => Some(error.to_string()),
        _ => None,
    })
}

fn end_of(session: &TestSession) -> End {
    match session.events.last() {
        Some(Event::Failed(error)) => {
            let told = error.to_string();
            assert!(told.len() < 8000, "an error of {} bytes: {}…", told.len(), &told[..200]);
            End::Refused(told)
        }
        Some(_) => End::Read,
        None => panic!("nothing was said"),
    }
}

/// Loads a model and continues a text, or a conversation, by three tokens.
fn written(files: &Files, chat: bool) -> End {
    let mut session = TestSession::with(DeviceChoice::Cpu, sources(files), tiny::rows(4));
    if let Some(error) = failure(&session) {
        return End::Refused(error);
    }
    continued(&mut session, chat);
    end_of(&session)
}

fn continued(session: &mut TestSession, chat: bool) {
    let (id, adapter) = (1, true);
    let options = GenerateOptions {
        max_new_tokens: 3,
        ..GenerateOptions::default()
    };
    let prompt = if chat {
        let said = |role: &str, content: &str| ChatMessage {
            role: role.into(),
            content: content.into(),
        };
        Prompt::Messages(vec![
            said("user", "say a"),
            said("assistant", "banana"),
            said("user", "say b"),
        ])
    } else {
        Prompt::Text("say a".into())
    };
    session.ask(
        Command::Generate {
            id,
            prompt,
            options,
            adapter,
        },
        Vec::new(),
    );
}

fn model() -> Files {
    bytes_of(tiny::model_files())
}

/// The tiny model of one layer as llama.cpp's converter would write it.
fn gguf() -> Files {
    let mut tokens: Vec<String> = ('a'..='z').map(String::from).collect();
    tokens.extend(["Ġ", "Ċ", ".", ",", "ab", "<end>"].map(String::from));
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut writer = GgufWriter::llama(&tokens, &["a b"]);
    let end = tokens.len() as u32 - 1;
    writer.u32("tokenizer.ggml.eos_token_id", end);
    writer.u32("tokenizer.ggml.bos_token_id", end);
    let mut kinds = vec![1; tokens.len()];
    kinds[end as usize] = 3;
    writer.i32s("tokenizer.ggml.token_type", &kinds);
    writer.text(
        "tokenizer.chat_template",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    );
    writer.without("token_embd.weight");
    let mut add = |name: &str, shape: &[u64]| {
        let count: u64 = shape.iter().product();
        let value = |i: u64| {
            if shape.len() == 1 {
                1.0
            } else {
                ((i * 37 % 101) as f32 - 50.0) / 500.0
            }
        };
        let bytes = (0..count).flat_map(|i| value(i).to_le_bytes()).collect();
        writer.tensor(&format!("{name}.weight"), shape, 0, bytes);
    };
    add("token_embd", &[tokens.len() as u64, 32]);
    add("output_norm", &[32]);
    add("blk.0.attn_norm", &[32]);
    add("blk.0.ffn_norm", &[32]);
    add("blk.0.attn_q", &[32, 32]);
    add("blk.0.attn_k", &[16, 32]);
    add("blk.0.attn_v", &[16, 32]);
    add("blk.0.attn_output", &[32, 32]);
    add("blk.0.ffn_gate", &[64, 32]);
    add("blk.0.ffn_up", &[64, 32]);
    add("blk.0.ffn_down", &[32, 64]);
    Files::from([("model.gguf".to_owned(), writer.bytes())])
}

#[test]
fn models_with_a_broken_gguf_file() {
    let breaks = |files: &mut Files, mutations: &mut Mutations| {
        let file = files.get_mut("model.gguf").expect("the file");
        *file = mutations.of_start(file, 3000);
    };
    survive("gguf", &gguf(), breaks, |files| written(files, false));
}

#[test]
fn models_with_a_broken_file_in_their_folder() {
    for (name, header) in [
        ("model.safetensors", 1500),
        ("config.json", usize::MAX),
        ("tokenizer.json", usize::MAX),
        ("tokenizer_config.json", usize::MAX),
    ] {
        let breaks = |files: &mut Files, mutations: &mut Mutations| {
            let file = files.get_mut(name).expect("the file");
            *file = mutations.of_start(file, header);
        };
        survive(name, &model(), breaks, |files| written(files, false));
    }
}

#[test]
fn models_with_a_broken_chat_template() {
    let template = "{% set ns = namespace(x=0) %}{% for m in messages %}{%- if m.role == 'user' -%}{{ bos_token ~ \
        m['content'] | trim }}{% elif not loop.last %}{{ m.content.split('a')[-1] * 2 }}{% else %}\
        {{ raise_exception('no ' ~ m.role) }}{% endif %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ messages | tojson | length }}";
    let mut sound = model();
    sound.insert("chat_template.jinja".into(), template.as_bytes().to_vec());
    let breaks = |files: &mut Files, mutations: &mut Mutations| {
        let file = files.get_mut("chat_template.jinja").expect("the file");
        *file = mutations.of(file);
    };
    survive("chat_template.jinja", &sound, breaks, |files| written(files, true));
}

/// A run of a few steps on the tiny model.
fn short_run() -> RunConfig {
    RunConfig {
        max_steps: 4,
        eval_steps: 2.0,
        save_steps: 2.0,
        load_best_model_at_end: true,
        ..tiny::config()
    }
}

#[test]
fn adapters_with_a_broken_file() {
    let mut session = TestSession::open();
    session.train(short_run());
    session.ask(Command::ExportAdapter, Vec::new());
    let sound: Files = std::mem::take(&mut session.exported);
    for (name, header) in [("adapter_config.json", usize::MAX), ("adapter_model.safetensors", 1500)] {
        let breaks = |files: &mut Files, mutations: &mut Mutations| {
            let file = files.get_mut(name).expect("the file");
            *file = mutations.of_start(file, header);
        };
        survive(name, &sound, breaks, |files| {
            let mut session = TestSession::open();
            let loaded = block_on(session.inner.load_adapter_files(sources(files), &mut |_, _| ()));
            if let Err(error) = loaded {
                return End::Refused(error.to_string());
            }
            continued(&mut session, false);
            end_of(&session)
        });
    }
}

/// Not one broken byte of a checkpoint is gone on from.
#[test]
fn checkpoints_with_a_broken_file() {
    let mut session = TestSession::open();
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    session.train(short_run());
    session.summary();
    let saved = sink.files();
    let of = |(path, bytes): (&String, &Vec<u8>)| Some((path.strip_prefix("checkpoint-2/")?.to_owned(), bytes.clone()));
    let sound: Files = saved.iter().filter_map(of).collect();
    assert!(sound.len() >= 4, "{:?}", sound.keys());
    for name in sound.keys() {
        let header = if name.ends_with(".safetensors") {
            1500
        } else {
            usize::MAX
        };
        let breaks = |files: &mut Files, mutations: &mut Mutations| {
            let file = files.get_mut(name).expect("the file");
            *file = mutations.of_start(file, header);
        };
        survive(&format!("checkpoint {name}"), &sound, breaks, |files| {
            let opened = block_on(Checkpoint::open(&sources(files)));
            assert!(
                opened.is_err() || *files == sound,
                "the manifest does not know such a {name}"
            );
            // What a run that goes on does not look into says no more than that.
            let opened = match name.as_str() {
                "manifest.json" | "adapter_config.json" => opened,
                _ => block_on(Checkpoint::open(&sources(&sealed(files)))),
            };
            let checkpoint = match opened {
                Ok(checkpoint) => checkpoint,
                Err(error) => return End::Refused(error.to_string()),
            };
            let mut session = TestSession::open();
            session.inner.resume = Some(checkpoint);
            session.train(short_run());
            end_of(&session)
        });
    }
}

/// The files of a checkpoint with a manifest that agrees with them, as somebody who means harm would write it.
fn sealed(files: &Files) -> Files {
    let place = MemorySink::new();
    let listed = files.iter().filter(|(name, _)| *name != "manifest.json");
    let listed: Vec<_> = listed.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    block_on(checkpoint::write(&place, 2, &listed)).expect("it is written");
    let saved = place.files().into_iter();
    let named = saved.filter_map(|(path, bytes)| Some((path.strip_prefix("checkpoint-2/")?.to_owned(), bytes)));
    named.collect()
}

#[test]
fn broken_run_files() {
    let text = "model_name_or_path: x\ntrain_file: y.txt\noutput_dir: out\nlora_r: 16\nlearning_rate: 2e-4\n\
        rank_pattern: {q_proj: 8}\ntarget_modules: [q_proj, 'v_proj']\nlr_scheduler_kwargs: {num_cycles: 2}\n\
        lr_scheduler_type: cosine_with_restarts\nval_size: 0.1\n# a remark\nwarmup_steps: 4\nload_in_4bit: true\n";
    let sound = Files::from([("run.yaml".to_owned(), text.as_bytes().to_vec())]);
    let breaks = |files: &mut Files, mutations: &mut Mutations| {
        let file = files.get_mut("run.yaml").expect("the file");
        *file = mutations.of(file);
    };
    survive("run.yaml", &sound, breaks, |files| {
        let text = String::from_utf8_lossy(&files["run.yaml"]).into_owned();
        match RunConfig::parse(&text, "run.yaml") {
            Ok(_) => End::Read,
            Err(error) => End::Refused(error.to_string()),
        }
    });
}

/// Twelve rows or more of each form, and the task that they are for.
fn data() -> Vec<(&'static str, String, Option<Task>)> {
    let lines = |count: usize, row: &dyn Fn(usize) -> String| (0..count).map(row).collect::<Vec<_>>().join("\n");
    vec![
        (
            "classes.csv",
            format!("text,label\n{}\n", lines(20, &|i| format!("some text {i},{}", i % 3))),
            Some(Task::Classification),
        ),
        (
            "chats.jsonl",
            lines(12, &|i| {
                format!(
                    r#"{{"messages":[{{"role":"user","content":"q{i}"}},{{"role":"assistant","content":"a{i}"}}]}}"#
                )
            }),
            None,
        ),
        (
            "answers.json",
            format!(
                "[{}]",
                (0..12)
                    .map(|i| format!(r#"{{"prompt":"do {i}","completion":"x{i}","system":null,"n":[1,{{"a":2}}]}}"#))
                    .collect::<Vec<_>>()
                    .join(",")
            ),
            None,
        ),
        ("text.txt", "it was the best of times. ".repeat(60), None),
        (
            "queries.jsonl",
            lines(12, &|i| {
                format!(r#"{{"query":"q{i}","positive":"p{i}","negative":["n{i}","m"]}}"#)
            }),
            Some(Task::Embedding),
        ),
        (
            "preferences.jsonl",
            lines(12, &|i| {
                format!(r#"{{"prompt":"q{i}","chosen":"p{i}","rejected":"n{i}"}}"#)
            }),
            Some(Task::Preference),
        ),
        (
            "tags.jsonl",
            lines(12, &|i| format!(r#"{{"tokens":["a","b{i}"],"tags":["X","Y"]}}"#)),
            Some(Task::TokenClassification),
        ),
        (
            "scores.csv",
            format!(
                "sentence1,sentence2,score\n{}\n",
                lines(16, &|i| format!("a{i},b{i},0.{}", i % 9 + 1))
            ),
            Some(Task::Regression),
        ),
        (
            "labels.csv",
            format!("text,labels\n{}\n", lines(16, &|i| format!("a{i},\"x{};y\"", i % 3))),
            Some(Task::MultiLabel),
        ),
        (
            "ranks.csv",
            format!(
                "query,document,grade\n{}\n",
                lines(16, &|i| format!("q{},d{i},{}", i / 4, i % 2))
            ),
            Some(Task::Ranking),
        ),
        (
            "numbers_TRAIN.tsv",
            "1\t0.5\t-0.5\n2\t2\t3\n1\t-4\t5e-1\n".repeat(6),
            None,
        ),
        (
            "series.ts",
            format!(
                "# waves\n@timeStamps false\n@classLabel true a b\n@data\n{}",
                "1,2,3:4,5,6:a\n7,8,9:1,2,3:b\n".repeat(8)
            ),
            None,
        ),
        (
            "values.jsonl",
            lines(12, &|i| format!(r#"{{"values":[[1,2],[3,{i}]],"label":{}}}"#, i % 2)),
            None,
        ),
    ]
}

/// A model of numbers starts from fresh weights, all of which are trained.
fn finetuning(takes_numbers: bool) -> FinetuningType {
    match takes_numbers {
        true => FinetuningType::Full,
        false => FinetuningType::Lora,
    }
}

#[test]
fn broken_data_files() {
    for (name, text, task) in data() {
        let takes_numbers = ["numbers_TRAIN.tsv", "series.ts", "values.jsonl"].contains(&name);
        let breaks = |files: &mut Files, mutations: &mut Mutations| {
            let file = files.get_mut(name).expect("the file");
            *file = mutations.of(file);
        };
        let sound = Files::from([(name.to_owned(), text.into_bytes())]);
        survive(name, &sound, breaks, |files| {
            let mut session = if takes_numbers {
                TestSession::small("small_mlp", sources(files))
            } else {
                TestSession::with(DeviceChoice::Cpu, tiny::model_files(), sources(files).remove(0))
            };
            if let Some(error) = failure(&session) {
                return End::Refused(error);
            }
            let config = Box::new(RunConfig {
                task,
                finetuning_type: finetuning(takes_numbers),
                val_size: 2.0,
                max_steps: 1,
                cutoff_len: 32,
                ..RunConfig::default()
            });
            session.ask(
                Command::Train {
                    config,
                    sample_prompt: None,
                    watch: Vec::new(),
                    keep: None,
                },
                Vec::new(),
            );
            end_of(&session)
        });
    }
}

#[test]
fn broken_images() {
    let images = [
        &[0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0, 0, 3][..],
        &(0..120).collect::<Vec<u8>>(),
    ]
    .concat();
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 20][..], &[0, 1].repeat(10)].concat();
    let sound = Files::from([
        ("a-images-idx3-ubyte".to_owned(), images),
        ("a-labels-idx1-ubyte".to_owned(), labels),
    ]);
    let breaks = |files: &mut Files, mutations: &mut Mutations| {
        let which = mutations.below(2);
        let file = files.values_mut().nth(which).expect("two files");
        *file = mutations.of_start(file, 16);
    };
    survive("images", &sound, breaks, |files| {
        let mut session = TestSession::small("small_mlp", sources(files));
        if let Some(error) = failure(&session) {
            return End::Refused(error);
        }
        let config = Box::new(RunConfig {
            finetuning_type: finetuning(true),
            val_size: 2.0,
            max_steps: 1,
            ..RunConfig::default()
        });
        session.ask(
            Command::Train {
                config,
                sample_prompt: None,
                watch: Vec::new(),
                keep: None,
            },
            Vec::new(),
        );
        end_of(&session)
    });
}
