//! No id reads a row that a table does not have: tokens, token types and positions, wherever examples and prompts come from.

use lorakeet_core::{
    config::RunConfig,
    data::Batch,
    device,
    error::Error,
    formats::ModelFiles,
    models::Model,
    protocol::{Command, DeviceChoice, Event, GenerateOptions, Prompt},
    store::{MemoryFile, Source, read_all},
    task::Task,
};
use lorakeet_tests::{
    generated::Decoder,
    golden::block_on,
    rows::{classes, graded, table},
    test_session::{TestSession, failure},
    tiny,
};
use serde_json::{Value, json};

/// `files` with a change in the JSON file `name`.
fn altered(files: Vec<Source>, name: &str, change: impl Fn(&mut Value)) -> Vec<Source> {
    let change = |file: Source| {
        if file.name() != name {
            return file;
        }
        let bytes = block_on(read_all(file.as_ref(), 1 << 20)).expect("in memory");
        let mut value = serde_json::from_slice(&bytes).expect("JSON");
        change(&mut value);
        MemoryFile::source(name, value.to_string().into_bytes()) as Source
    };
    files.into_iter().map(change).collect()
}

/// `files` with tokens added to the tokenizer until `<|new|>` gets the id 40, where the embedding has 40 rows.
fn with_token(files: Vec<Source>) -> Vec<Source> {
    altered(files, "tokenizer.json", |tokenizer| {
        let known = tokenizer["model"]["vocab"].as_object().expect("names").len();
        let added = tokenizer["added_tokens"].as_array_mut().expect("a list");
        for id in known..=40 {
            let content = if id == 40 {
                "<|new|>".to_owned()
            } else {
                format!("<|{id}|>")
            };
            added.push(json!({
                "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": false
            }));
        }
    })
}

fn jsonl(rows: &[Value]) -> Source {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    MemoryFile::source("rows.jsonl", lines.join("\n").into_bytes())
}

/// What refuses the token: it names the token, its id, the table and the row.
fn assert_names_token(error: &Error, file: &str, row: Option<usize>) {
    let told = error.to_string();
    for part in ["<|new|>", "40", "word embedding has 40 rows", "resize_token_embeddings"] {
        assert!(told.contains(part), "{part} is missing: {told}");
    }
    if row.is_some() {
        assert_eq!((error.file.as_deref(), error.row), (Some(file), row), "{error}");
    }
}

#[test]
fn a_token_beyond_the_embedding_is_refused_with_its_row_and_harms_nobody_unused() {
    let plain = |text: &str| json!({ "prompt": "say a", "completion": text });
    let used = || jsonl(&[plain("aaa"), plain("abb"), plain("a<|new|>b"), plain("bbb")]);
    let unused = || jsonl(&[plain("aaa"), plain("abb"), plain("bab"), plain("bbb")]);
    let config = RunConfig {
        val_size: 1.0,
        max_steps: 2,
        ..tiny::config()
    };
    let model = || with_token(tiny::model_files());

    let mut session = TestSession::with(DeviceChoice::Cpu, model(), unused());
    session.train(config.clone());
    session.summary();
    let generate = Command::Generate {
        id: 1,
        prompt: Prompt::Text("say <|new|>".into()),
        options: GenerateOptions::default(),
        adapter: true,
    };
    session.ask(generate, Vec::new());
    let error = failure(&session);
    assert_names_token(&error, "", None);
    assert_eq!(error.field_name(), Some("prompt"));

    let mut session = TestSession::with(DeviceChoice::Cpu, model(), used());
    session.train(config.clone());
    assert_names_token(&failure(&session), "rows.jsonl", Some(3));
    let preview = Command::Preview {
        config: Box::new(config.clone()),
        after: 0,
    };
    session.ask(preview, Vec::new());
    assert_names_token(&failure(&session), "rows.jsonl", Some(3));
    for scored in [
        block_on(session.inner.evaluate(&config, &mut |_, _| ())).map(drop),
        block_on(session.inner.predict(&config, &mut |_, _| ())).map(drop),
    ] {
        assert_names_token(&scored.expect_err("it was scored"), "rows.jsonl", Some(3));
    }
    block_on(session.inner.load_validation(vec![used()])).expect("rows");
    session.ask(
        Command::LoadData {
            file: "rows.jsonl".into(),
        },
        vec![unused()],
    );
    session.train(config);
    assert_names_token(&failure(&session), "rows.jsonl", Some(3));
}

#[test]
fn a_token_beyond_the_embedding_is_refused_by_every_task() {
    let word = "<|new|>";
    let bert = || with_token(tiny::bert_files());
    let decoder = || with_token(tiny::model_files());
    let answers = || with_token(tiny::t5_files());
    let text = |header: &str, rows: &[&str]| table(header, rows.iter().map(|row| (*row).to_owned()));
    let cases: [(&str, Task, Vec<Source>, Source); 9] = [
        (
            "class",
            Task::Classification,
            bert(),
            text("text,label", &["ab,x", "c<|new|>,y"]),
        ),
        (
            "pair",
            Task::Classification,
            bert(),
            text("text_a,text_b,label", &["ab,cd,x", "ab,c<|new|>,y"]),
        ),
        (
            "number",
            Task::Regression,
            bert(),
            text("text,label", &["ab,0.5", "c<|new|>,1.5"]),
        ),
        (
            "label list",
            Task::MultiLabel,
            bert(),
            jsonl(&[
                json!({ "text": "ab", "labels": ["x"] }),
                json!({ "text": word, "labels": ["y"] }),
            ]),
        ),
        (
            "tags",
            Task::TokenClassification,
            bert(),
            jsonl(&[
                json!({ "tokens": ["ab"], "ner_tags": ["O"] }),
                json!({ "tokens": ["ab", word], "ner_tags": ["O", "B"] }),
            ]),
        ),
        (
            "ranking",
            Task::Ranking,
            bert(),
            text("query,document,grade", &["ab,cd,1", "ef,<|new|>,0"]),
        ),
        (
            "embedding",
            Task::Embedding,
            bert(),
            text("query,positive", &["ab,cd", "ef,<|new|>"]),
        ),
        (
            "preference",
            Task::Preference,
            decoder(),
            jsonl(&[
                json!({ "prompt": "a", "chosen": "b", "rejected": "c" }),
                json!({ "prompt": "a", "chosen": "b", "rejected": word }),
            ]),
        ),
        (
            "answer",
            Task::Generation,
            answers(),
            jsonl(&[
                json!({ "prompt": "a", "completion": "b" }),
                json!({ "prompt": "a", "completion": word }),
            ]),
        ),
    ];
    for (name, task, model, data) in cases {
        let file = data.name().to_owned();
        let first = if file.ends_with(".csv") { 1 } else { 0 };
        let mut session = TestSession::with(DeviceChoice::Cpu, model, data);
        session.train(RunConfig {
            task: Some(task),
            val_size: 0.0,
            max_steps: 1,
            cutoff_len: 32,
            ..RunConfig::default()
        });
        let error = failure(&session);
        assert!(error.what.english().contains(word), "{name}: {error}");
        assert_names_token(&error, &file, Some(2 + first));
    }
}

#[test]
fn a_pad_token_beyond_the_embedding_pads_as_another_does() {
    let rows = || {
        let rows: Vec<Value> = (3..9)
            .map(|n| json!({ "prompt": "say a", "completion": "a".repeat(n) }))
            .collect();
        jsonl(&rows)
    };
    let config = RunConfig {
        val_size: 2.0,
        max_steps: 3,
        ..tiny::config()
    };
    let numbers = |model: Vec<Source>| {
        let mut session = TestSession::with(DeviceChoice::Cpu, model, rows());
        session.train(config.clone());
        session.summary();
        session.numbers()
    };
    let beyond = altered(with_token(tiny::model_files()), "tokenizer_config.json", |names| {
        names["pad_token"] = json!("<|new|>");
    });
    assert_eq!(numbers(beyond), numbers(tiny::model_files()));
}

/// A RoBERTa with its weights fresh, and the tiny BERT's tokenizer, which gives second texts the type `second`.
fn roberta(types: usize, second: usize) -> Vec<Source> {
    let files = altered(tiny::bert_files(), "config.json", |config| {
        config["model_type"] = json!("roberta");
        config["architectures"] = json!(["RobertaModel"]);
        config["type_vocab_size"] = json!(types);
    });
    let files = altered(files, "tokenizer.json", |tokenizer| {
        let pair = tokenizer["post_processor"]["pair"].as_array_mut().expect("a list");
        for part in &mut pair[3..] {
            let (_, part) = part
                .as_object_mut()
                .and_then(|part| part.iter_mut().next())
                .expect("a part");
            part["type_id"] = json!(second);
        }
    });
    files
        .into_iter()
        .filter(|file| file.name() != "model.safetensors")
        .collect()
}

#[test]
fn token_types_beyond_their_table_are_refused_or_where_there_is_only_one_all_that_one() {
    let pairs = || {
        let rows = ["ab,cd,x", "ab,ba,y", "cc,cd,x", "aa,bb,y"];
        table("text_a,text_b,label", rows.iter().map(|row| (*row).to_owned()))
    };
    let config = RunConfig {
        task: Some(Task::Classification),
        val_size: 0.0,
        max_steps: 3,
        cutoff_len: 32,
        ..RunConfig::default()
    };
    let run = |model: Vec<Source>| {
        let mut session = TestSession::with(DeviceChoice::Cpu, model, pairs());
        session.train(config.clone());
        session
    };
    let typed = run(roberta(1, 1));
    typed.summary();
    assert_eq!(typed.numbers(), run(roberta(1, 0)).numbers());
    // With two types the second text has one of its own, and that makes a difference.
    assert_ne!(run(roberta(2, 1)).numbers(), run(roberta(2, 0)).numbers());
    let error = failure(&run(roberta(2, 5)));
    assert!(
        error.what.english().contains("type 5") && error.what.english().contains("2 rows"),
        "{error}"
    );
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("rows.csv"), Some(2)),
        "{error}"
    );
}

/// Fresh models of every architecture, small enough that a run is over at once, with positions for `positions` tokens.
fn of_positions(positions: usize) -> Vec<(&'static str, Vec<Source>)> {
    let of = |files: Vec<Source>, config: Value| -> Vec<Source> {
        let tokenizers = files.into_iter().filter(|file| file.name().starts_with("tokenizer"));
        let config = MemoryFile::source("config.json", config.to_string().into_bytes()) as Source;
        std::iter::once(config).chain(tokenizers).collect()
    };
    let decoder = |kind: &str| {
        json!({
            "model_type": kind, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4,
            "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 40, "max_position_embeddings": positions,
            "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "hidden_act": "silu", "pad_token_id": 1,
            "sliding_window": 4, "query_pre_attn_scalar": 4, "hidden_activation": "gelu_pytorch_tanh"
        })
    };
    let encoder = |kind: &str, places: usize| {
        json!({
            "model_type": kind, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "vocab_size": 40, "max_position_embeddings": places, "type_vocab_size": 2,
            "hidden_act": "gelu", "pad_token_id": 0, "dim": 8, "hidden_dim": 8, "n_heads": 2, "n_layers": 1
        })
    };
    let gpt2 = json!({
        "model_type": "gpt2", "n_embd": 8, "n_inner": 8, "n_layer": 1, "n_head": 2, "vocab_size": 40,
        "n_positions": positions
    });
    let t5 = json!({
        "model_type": "t5", "d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 40,
        "decoder_start_token_id": 0, "pad_token_id": 0, "n_positions": positions
    });
    vec![
        ("llama", of(tiny::model_files(), decoder("llama"))),
        ("gemma2", of(tiny::model_files(), decoder("gemma2"))),
        ("gpt2", of(tiny::model_files(), gpt2)),
        ("t5", of(tiny::t5_files(), t5)),
        ("bert", of(tiny::bert_files(), encoder("bert", positions))),
        ("roberta", of(tiny::bert_files(), encoder("roberta", positions + 1))),
        ("distilbert", of(tiny::bert_files(), encoder("distilbert", positions))),
        ("modernbert", of(tiny::bert_files(), encoder("modernbert", positions))),
    ]
}

#[test]
fn no_cutoff_len_reads_a_position_that_the_model_does_not_have() {
    let words = |n: usize| "ab cd ".repeat(n);
    for positions in [1, 2, 5, 8, 13, 130] {
        for (name, model) in of_positions(positions) {
            let task = match name {
                "llama" | "gemma2" | "gpt2" | "t5" => Task::Generation,
                _ => Task::Classification,
            };
            let data = match task {
                Task::Generation => jsonl(&[
                    json!({ "prompt": "a", "completion": words(40) }),
                    json!({ "prompt": "b", "completion": "ab" }),
                ]),
                _ => table(
                    "text,label",
                    [format!("{},x", words(40)), "cd,y".to_owned()].into_iter(),
                ),
            };
            for cutoff_len in [2, 9, 1024] {
                let mut session = TestSession::with(DeviceChoice::Cpu, model.clone(), data.clone());
                let config = Box::new(RunConfig {
                    task: Some(task),
                    val_size: 0.0,
                    max_steps: 1,
                    per_device_train_batch_size: 2,
                    cutoff_len,
                    packing: Some(false),
                    ..RunConfig::default()
                });
                let sample_prompt = None;
                let command = Command::Train {
                    config,
                    sample_prompt,
                    watch: Vec::new(),
                    keep: None,
                };
                session.ask(command, Vec::new());
                let at = format!("{name} of {positions} positions at {cutoff_len}");
                let notes = session.events.iter().filter_map(|event| match event {
                    Event::Warning { message } => Some(message.english()),
                    _ => None,
                });
                let note = notes.into_iter().find(|note| note.starts_with("cutoff_len is"));
                match session.events.last() {
                    Some(Event::Done(_)) => {
                        let told = note.is_some_and(|note| note.contains(&format!("for {positions} tokens")));
                        assert_eq!(told, cutoff_len > positions && name != "t5", "{at}");
                    }
                    // Too short for the frame of a text, or for an answer.
                    Some(Event::Failed(error)) => {
                        assert!(positions.min(cutoff_len) < 5, "{at}: {error}");
                        assert_eq!(error.field_name(), Some("cutoff_len"), "{at}: {error}");
                    }
                    other => panic!("{at}: {other:?}"),
                }
                if task == Task::Generation {
                    let options = GenerateOptions {
                        max_new_tokens: 4,
                        ..GenerateOptions::default()
                    };
                    let (id, adapter) = (1, false);
                    let prompt = Prompt::Text(words(1024));
                    session.ask(
                        Command::Generate {
                            id,
                            prompt,
                            options,
                            adapter,
                        },
                        Vec::new(),
                    );
                    let said = session.events.last();
                    match name {
                        "t5" => assert!(matches!(said, Some(Event::Generated { .. })), "{at}: {said:?}"),
                        _ => assert!(matches!(said, Some(Event::Failed(_))), "{at}: {said:?}"),
                    }
                }
            }
        }
    }
}

#[test]
fn rotary_positions_beyond_the_kept_table_are_those_of_a_longer_one() {
    const TOKENS: usize = 8200;
    let shape = Decoder {
        layers: 1,
        width: 8,
        inner: 8,
        heads: 1,
        kv_heads: 1,
        vocab: 40,
        positions: 100_000,
    };
    let files = block_on(ModelFiles::open(shape.llama())).expect("a model");
    let (device, _) = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU");
    let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("a model");
    let leaves = model.parameters.plain();
    let ids: Vec<u32> = (0..TOKENS as u32).map(|at| at % 40).collect();
    let batch = Batch {
        rows: 1,
        tokens: TOKENS,
        input_ids: ids.clone(),
        attention_mask: vec![1.0; TOKENS],
        ..Batch::default()
    };
    let numbers = |tensor: burn::tensor::Tensor<2>| {
        let last = tensor.dims()[0] - 1;
        tensor
            .narrow(0, last, 1)
            .into_data()
            .try_into_vec::<f32>()
            .expect("numbers")
    };
    // In one go the tables are made anew; in two, the first part reads those that are kept.
    let whole = numbers(model.logits(&leaves, &batch));
    let mut cache = model.new_cache();
    model.next_logits(&leaves, &ids[..8190], &mut cache, false);
    let parts = numbers(model.next_logits(&leaves, &ids[8190..], &mut cache, false));
    for (whole, part) in whole.iter().zip(&parts) {
        assert!((whole - part).abs() < 1e-5, "{whole} and {part}");
    }
}

#[test]
fn typed_texts_and_rankings_are_checked_as_files_are() {
    let mut session = TestSession::with(DeviceChoice::Cpu, with_token(tiny::bert_files()), classes(12));
    let config = RunConfig {
        task: Some(Task::Classification),
        val_size: 0.0,
        max_steps: 1,
        cutoff_len: 32,
        ..RunConfig::default()
    };
    session.train(config.clone());
    session.summary();
    let command = Command::Predict {
        config: Box::new(config),
        texts: vec![vec!["ab".into()], vec!["a<|new|>".into()]],
        strength: 1.0,
    };
    session.ask(command, Vec::new());
    assert_names_token(&failure(&session), "typed.json", Some(2));

    let mut session = TestSession::with(DeviceChoice::Cpu, with_token(tiny::bert_files()), graded(4));
    session.train(RunConfig {
        task: Some(Task::Ranking),
        val_size: 0.0,
        max_steps: 1,
        cutoff_len: 32,
        ..RunConfig::default()
    });
    session.summary();
}
