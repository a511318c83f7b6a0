//! Every reader of files from elsewhere as a function of a file's bytes, which says whether they were read; else they were
//! refused. Nothing else may happen: no panic, no hang, no memory that they are not worth.
//!
//! The stage `hostile` runs each on broken copies of [`crate::reader_seeds`]; the targets of libFuzzer in `fuzz/`, which shares
//! this file, run each on what finds new ways through it.

use lorakeet_core::chat::ChatTemplate;
use lorakeet_core::config::{Encoding, FinetuningType, PageQuery, RunConfig};
use lorakeet_core::data::audit::{audit, cleaned};
use lorakeet_core::data::{Columns, Dataset, plain_rows};
use lorakeet_core::estimate::estimate;
use lorakeet_core::export::{Form, RunRecord, SHARD_BYTES, Settings, Trained, export};
use lorakeet_core::formats::adapter_files::{AdapterFiles, MLX_TENSORS_FILE};
use lorakeet_core::formats::inspect::inspect;
use lorakeet_core::formats::peft::{
    Adapter, CONFIG_FILE, TENSORS_FILE, TORCH_TENSORS_FILE, chosen_modules, key_a, key_b,
};
use lorakeet_core::formats::safetensors::write_f32;
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::lesson::{Lesson, ListedLesson, Recording};
use lorakeet_core::protocol::ChatMessage;
use lorakeet_core::quant::BaseFormat;
use lorakeet_core::store::{MemoryFile, MemorySink, Source};
use lorakeet_core::tokenizer::Tokenizer;
use lorakeet_core::train::checkpoint::{self, Checkpoint};
use lorakeet_core::train::record::{RECORD, read_record};
use serde_json::Value;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A reader.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Its name, and that of its target in `fuzz/`.
    pub name: &'static str,
    /// Reads a file, and says whether it is one.
    pub read: fn(&[u8]) -> bool,
}

/// All of them.
pub const READERS: [Reader; 21] = [
    reader("safetensors", safetensors),
    reader("bitsandbytes", bitsandbytes),
    reader("gguf", gguf),
    reader("torch_file", torch_file),
    reader("pickle", pickle),
    reader("adapter_config", adapter_config),
    reader("tokenizer_json", tokenizer_json),
    reader("config_json", config_json),
    reader("weights_index", weights_index),
    reader("chat_template", chat_template),
    reader("csv", csv),
    reader("tsv", tsv),
    reader("jsonl", jsonl),
    reader("json", json),
    reader("idx", idx),
    reader("series", series),
    reader("run_file", run_file),
    reader("lesson", lesson),
    reader("page_query", page_query),
    reader("run_record", run_record),
    reader("checkpoint", checkpoint),
];

const fn reader(name: &'static str, read: fn(&[u8]) -> bool) -> Reader {
    Reader { name, read }
}

/// A config.json that goes with any tensors.
const CONFIG: &[u8] = br#"{"model_type":"llama"}"#;
/// A module that adapters are on.
const MODULE: &str = "model.layers.0.self_attn.q_proj";
/// Tensors of a file that are read at most, of very many.
const MOST_TENSORS: usize = 64;

/// A header of safetensors, of a model and of an adapter.
pub fn safetensors(bytes: &[u8]) -> bool {
    let adapter = br#"{"peft_type":"LORA","target_modules":["q_proj"],"r":4}"#;
    drop(now(Adapter::open(sources(&[
        (CONFIG_FILE, adapter),
        (TENSORS_FILE, bytes),
    ]))));
    drop(now(inspect(&sources(&[("model.safetensors", bytes)]))));
    model(sources(&[("config.json", CONFIG), ("model.safetensors", bytes)]))
}

/// config.json of the smallest model whose linears bitsandbytes may have packed.
pub const PACKED_CONFIG: &str = r#"{"model_type":"llama","hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,
    "num_attention_heads":2,"num_key_value_heads":2,"vocab_size":4,"max_position_embeddings":16,"rms_norm_eps":1e-5,
    "rope_theta":10000.0,"tie_word_embeddings":true,"hidden_act":"silu","quantization_config":{"quant_method":"bitsandbytes"}}"#;

/// A model that bitsandbytes packed, unpacked as for an export.
pub fn bitsandbytes(bytes: &[u8]) -> bool {
    let files = sources(&[("config.json", PACKED_CONFIG.as_bytes()), ("model.safetensors", bytes)]);
    let Ok(base) = now(ModelFiles::open(files.clone())) else {
        return false;
    };
    let trained = Trained {
        base,
        base_files: &files,
        adapter: None,
        head: None,
        record: &RunRecord::default(),
    };
    let settings = Settings {
        form: Form::Merged,
        dtype: Some(Storage::F32),
        shard_bytes: SHARD_BYTES,
        base: BaseFormat::AsStored,
    };
    now(export(trained, settings, &MemorySink::new(), &mut |_, _| ())).is_ok()
}

/// A GGUF file of a model or of an adapter.
pub fn gguf(bytes: &[u8]) -> bool {
    let files = sources(&[("model.gguf", bytes)]);
    drop(now(inspect(&files)));
    let adapter = now(AdapterFiles::open(files.clone())).and_then(|adapter| adapter.modules());
    let is_model = model(files);
    is_model || adapter.is_ok()
}

/// A file of torch.save: a ZIP archive of stored entries with a pickle in it.
pub fn torch_file(bytes: &[u8]) -> bool {
    let adapter = br#"{"peft_type":"LORA","target_modules":["q_proj"],"r":2}"#;
    drop(now(Adapter::open(sources(&[
        (CONFIG_FILE, adapter),
        (TORCH_TENSORS_FILE, bytes),
    ]))));
    drop(now(inspect(&sources(&[("pytorch_model.bin", bytes)]))));
    model(sources(&[("config.json", CONFIG), ("pytorch_model.bin", bytes)]))
}

/// The pickle of such a file, beside a storage of 16 floats.
pub fn pickle(bytes: &[u8]) -> bool {
    torch_file(&archive(&[("m/data.pkl", bytes), ("m/data/0", &[0; 64])]))
}

/// adapter_config.json of PEFT or of mlx-lm.
pub fn adapter_config(bytes: &[u8]) -> bool {
    let of_peft = pair([key_a(MODULE), key_b(MODULE)]);
    let of_mlx = pair([format!("{MODULE}.lora_a"), format!("{MODULE}.lora_b")]);
    let files = sources(&[
        (CONFIG_FILE, bytes),
        (TENSORS_FILE, &of_peft),
        (MLX_TENSORS_FILE, &of_mlx),
    ]);
    if let Ok(adapter) = now(Adapter::open(files.clone())) {
        let paths = [MODULE, "model.layers.1.mlp.down_proj", "lm_head"];
        drop(chosen_modules(&paths, &adapter.config));
        drop(adapter.to_files());
    }
    let opened = now(AdapterFiles::open(files));
    opened.and_then(|adapter| adapter.modules()).is_ok()
}

/// tokenizer.json.
pub fn tokenizer_json(bytes: &[u8]) -> bool {
    let Ok(tokenizer) = Tokenizer::from_json(bytes) else {
        return false;
    };
    drop(tokenizer.to_json());
    drop(tokenizer.encode_pair("a b", "c"));
    uses(&tokenizer)
}

/// config.json of a model with weights, and of one that does not exist yet.
pub fn config_json(bytes: &[u8]) -> bool {
    let Ok(config) = serde_json::from_slice::<Value>(bytes) else {
        return false;
    };
    let weights = pair(["a".to_owned(), "b".to_owned()]);
    drop(now(ModelFiles::open(sources(&[
        ("config.json", bytes),
        ("model.safetensors", &weights),
    ]))));
    let run = RunConfig {
        finetuning_type: FinetuningType::Full,
        cutoff_len: 16,
        ..RunConfig::default()
    };
    now(estimate(
        &ModelFiles::from_config("model", config),
        &run,
        None,
        u64::MAX,
    ))
    .is_ok()
}

/// model.safetensors.index.json.
pub fn weights_index(bytes: &[u8]) -> bool {
    let [first, second] = ["a", "b"].map(|name| pair([name.to_owned(), format!("{name}.bias")]));
    model(sources(&[
        ("config.json", CONFIG),
        ("model-1.safetensors", &first),
        ("model-2.safetensors", &second),
        ("model.safetensors.index.json", bytes),
    ]))
}

/// A chat template, as it is parsed and as it lays out a conversation.
pub fn chat_template(bytes: &[u8]) -> bool {
    let source = String::from_utf8_lossy(bytes);
    let Ok(template) = ChatTemplate::new(&source, Some("<s>"), Some("</s>")) else {
        return false;
    };
    let said = |role: &str, content: &str| ChatMessage {
        role: role.into(),
        content: content.into(),
    };
    let messages = [said("user", "é"), said("assistant", "banana")];
    let opened = template.apply(&messages[..1], true);
    template.apply_with_spans(&messages).is_ok() || opened.is_ok()
}

/// Rows of a .csv file.
pub fn csv(bytes: &[u8]) -> bool {
    rows("rows.csv", bytes)
}

/// Rows of a .tsv file.
pub fn tsv(bytes: &[u8]) -> bool {
    rows("rows.tsv", bytes)
}

/// Rows of a .jsonl file.
pub fn jsonl(bytes: &[u8]) -> bool {
    rows("rows.jsonl", bytes)
}

/// Rows of a .json file.
pub fn json(bytes: &[u8]) -> bool {
    rows("rows.json", bytes)
}

/// Time series of a .ts file.
pub fn series(bytes: &[u8]) -> bool {
    rows("rows.ts", bytes)
}

/// Images in the IDX format, and, where one begins behind them, a file of their labels.
pub fn idx(bytes: &[u8]) -> bool {
    const LABELS: [u8; 4] = [0, 0, 8, 1];
    let labels = (1..bytes.len()).find(|at| bytes[*at..].starts_with(&LABELS));
    let read = match labels {
        Some(at) => Dataset::parse_images(("images", &bytes[..at]), ("labels", &bytes[at..])),
        None => Dataset::parse("images", bytes),
    };
    read.is_ok_and(|read| use_rows(&read))
}

/// A run file, of this program or of another trainer, perhaps with what it sweeps.
pub fn run_file(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut is_read = false;
    for name in ["run.yaml", "run.json"] {
        if let Ok(resolved) = RunConfig::parse(&text, name) {
            is_read = true;
            drop((resolved.explain(), resolved.config.to_yaml()));
        }
        if let Ok((resolved, knobs)) = RunConfig::parse_sweep(&text, name) {
            is_read = true;
            for (knob, values) in &knobs {
                assert!(!values.is_empty());
                for value in values {
                    drop(resolved.config.clone().set_text(knob, value));
                }
            }
        }
    }
    is_read
}

/// A lesson, the list of lessons, or a recording.
pub fn lesson(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let lesson = Lesson::parse(&text, "lesson.json").map(|lesson| lesson.order().len());
    let recording = Recording::parse(&text, "lesson.recording.json").map(|recording| recording.results().len());
    let list = serde_json::from_str(&text).is_ok_and(|list: Value| ListedLesson::list(&list).is_ok());
    lesson.is_ok() || recording.is_ok() || list
}

/// The page as an address.
pub fn page_query(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Ok(mut query) = PageQuery::parse(&text) else {
        return false;
    };
    let start = RunConfig::default();
    let (config, _) = query.settings(&start);
    query.put_settings(&config, &start);
    drop(query.to_text());
    PageQuery::is_one(&text)
}

/// A run's run.json.
pub fn run_record(bytes: &[u8]) -> bool {
    let file = (RECORD.to_owned(), MemoryFile::source(RECORD, bytes) as Source);
    now(read_record(&[file])).is_ok_and(|record| record.config().is_ok())
}

/// A checkpoint's trainer_state.json, and its manifest.json beside sound files.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let is_read = |files: &[(String, Vec<u8>)]| {
        let files = files.iter();
        let files: Vec<Source> = files
            .map(|(name, bytes)| MemoryFile::source(name.as_str(), bytes.as_slice()) as Source)
            .collect();
        now(Checkpoint::open(&files)).is_ok()
    };
    let mut sound = sealed(STATE);
    for (name, content) in &mut sound {
        if name == "manifest.json" {
            *content = bytes.to_vec();
        }
    }
    let with_manifest = is_read(&sound);
    is_read(&sealed(bytes)) || with_manifest
}

/// A sound trainer_state.json.
pub const STATE: &[u8] = br#"{"global_step":2,"max_steps":4,"log_history":[{"step":2,"epoch":0.5,"loss":1.25}],
    "stateful_callbacks":{"Lorakeet":{"step":2,"tokens_seen":64,"loss_sum":"2.5","unreported_sum":"0","unreported_count":0,
    "eval_loss_before":"2.75","best":null,"patience":["2.5",1],"watchdog":{"start":"2.5","seen":2,"history":[["1.25","0.5"]],
    "zeros":0,"told":[]},"scores_before":[["2.5",1,4]],"written_before":[["right","wrong"]],"fingerprint":{"settings":
    {"seed":"42"},"inputs":{"train_file":"ab"}}}}}"#;

/// The files of a checkpoint with this trainer_state.json, and a manifest that agrees with them.
///
/// # Panics
/// Never: memory takes them.
pub fn sealed(state: &[u8]) -> Vec<(String, Vec<u8>)> {
    let weights = pair([key_a(MODULE), key_b(MODULE)]);
    let files = [
        (TENSORS_FILE, weights.as_slice()),
        ("optimizer.safetensors", &weights),
        ("trainer_state.json", state),
    ];
    let files = files.map(|(name, bytes)| (name.to_owned(), bytes.to_vec()));
    let place = MemorySink::new();
    now(checkpoint::write(&place, 2, &files)).expect("memory takes them");
    let written = place.files().into_iter();
    let named = written.filter_map(|(path, bytes)| Some((path.strip_prefix("checkpoint-2/")?.to_owned(), bytes)));
    named.collect()
}

/// A ZIP archive of stored entries.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory): (Vec<u8>, Vec<u8>) = Default::default();
    for (name, bytes) in entries {
        let (start, length) = (file.len() as u32, bytes.len() as u32);
        // Version, flags, method, time and date; CRC-32, which nobody looks at, and both lengths; those of name and extra field.
        let mut common = vec![0; 14];
        common.extend([length, length].map(u32::to_le_bytes).concat());
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        file.extend([&b"PK\x03\x04"[..], &common, name.as_bytes(), bytes].concat());
        let (front, start) = (b"PK\x01\x02\0\0", start.to_le_bytes());
        directory.extend([&front[..], &common, &[0; 10], &start, name.as_bytes()].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let [size, start] = [directory.len() as u32, file.len() as u32].map(u32::to_le_bytes);
    file.extend(directory);
    file.extend([&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start, &[0; 2]].concat());
    file
}

/// The value of a future that waits for nothing, as all are that read memory.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits for something"),
    }
}

fn sources(files: &[(&str, &[u8])]) -> Vec<Source> {
    let source = |(name, bytes): &(&str, &[u8])| MemoryFile::source(*name, *bytes) as Source;
    files.iter().map(source).collect()
}

/// Two square matrices as safetensors.
fn pair(names: [String; 2]) -> Vec<u8> {
    let tensors = names.map(|name| (name, vec![4, 4], vec![0.5; 16]));
    write_f32(&tensors).expect("the numbers fill the shapes")
}

/// Opens a model and uses all of it; whether it was read.
fn model(files: Vec<Source>) -> bool {
    let Ok(model) = now(ModelFiles::open(files)) else {
        return false;
    };
    let mut is_read = true;
    for entry in model.entries().iter().take(MOST_TENSORS) {
        is_read &= now(model.read_bytes(&entry.name)).is_ok();
        drop(now(model.read_f32(&entry.name)));
        for rows in [0..1, 1..3, 0..usize::MAX, usize::MAX..usize::MAX] {
            drop(now(model.read_rows_f32(&entry.name, rows)));
        }
    }
    if let Some(template) = &model.chat_template {
        let message = ChatMessage {
            role: "user".into(),
            content: "a".into(),
        };
        is_read &= template.apply_with_spans(&[message]).is_ok();
    }
    is_read && model.tokenizer.as_ref().is_none_or(uses)
}

/// Makes tokens of a text and a text of tokens; whether it could be done.
fn uses(tokenizer: &Tokenizer) -> bool {
    let Ok(ids) = tokenizer.encode("abc 123 <s> é x", true) else {
        return false;
    };
    let mut stream = tokenizer.stream_decoder(false);
    let is_streamed = ids.iter().all(|id| stream.push(*id).is_ok());
    is_streamed && stream.finish().is_ok() && tokenizer.decode(&ids, true).is_ok()
}

/// Rows as they are trained on, in whatever encoding they are said to be, and as they are audited.
fn rows(name: &str, bytes: &[u8]) -> bool {
    for encoding in [Encoding::Utf16, Encoding::Gb18030, Encoding::Cp1252] {
        drop(Dataset::parse_as(name, bytes, Some(encoding)));
    }
    if let Ok(read) = Dataset::parse_to_audit(name, bytes, None) {
        use_audit(&read);
    }
    Dataset::parse(name, bytes).is_ok_and(|read| use_rows(&read))
}

/// Audits rows, alone and held out from themselves, and takes copies out, of which each line that stays is whole.
fn use_audit(data: &Dataset) {
    let config = RunConfig::default();
    for validation in [None, Some(data)] {
        if let Ok(report) = audit(data, validation, &config, None) {
            assert!(report.held_out <= report.rows);
        }
    }
    if let Ok(written) = cleaned(data, &config) {
        assert_eq!(written.lines.lines().count(), written.kept);
        drop(Dataset::parse_to_audit("clean.jsonl", written.lines.as_bytes(), None));
    }
}

/// Takes rows as every task does. What is read as numbers is whole: rows of one length, each with its labels.
fn use_rows(data: &Dataset) -> bool {
    let columns = Columns::default();
    if let Ok(read) = data.numeric(&columns) {
        let count = read.shape.map_or(0, |shape| shape.features());
        for row in &read.rows {
            assert!(row.features.len() == count && row.features.iter().all(|number| number.is_finite()));
            assert_eq!(row.values.len(), read.labels.len());
        }
    }
    drop((data.labelled(&columns), data.tagged(&columns), data.ranked()));
    drop((plain_rows(data), data.info()));
    true
}
