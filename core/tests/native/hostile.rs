//! Mutated files: thousands of broken inputs, none of which may panic, hang or take more memory than they are worth.

mod tokenizers;

use crate::common::gguf::GgufWriter;
use crate::common::mutations::Mutations;
use crate::common::now;
use burn::tensor::Device;
use lorakeet_core::chat::ChatTemplate;
use lorakeet_core::config::{FinetuningType, RunConfig};
use lorakeet_core::data::{Columns, Dataset, Labelled};
use lorakeet_core::estimate::estimate;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::peft::Adapter;
use lorakeet_core::models::Model;
use lorakeet_core::protocol::ChatMessage;
use lorakeet_core::store::MemoryFile;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Remembers the largest single allocation of each thread: other tests run beside this one.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// The inputs have some kilobytes; one allocation of a megabyte's order is still sound, one by a claimed count is not.
const MOST_BYTES: usize = 16 << 20;

#[allow(
    unsafe_code,
    reason = "counting allocations takes an allocator, and an allocator is unsafe to write"
)]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has none any more.
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Runs `use_it` on `count` mutations, and says how many were refused.
fn survive(name: &str, original: &[u8], count: usize, use_it: impl Fn(Vec<u8>) -> bool) {
    let mut mutations = Mutations::new(0);
    assert!(use_it(original.to_vec()), "{name}: the sound one must work");
    let mut refused = 0;
    for round in 0..count {
        let bytes = mutations.of(original);
        LARGEST.set(0);
        let shown = bytes.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| use_it(bytes)));
        let largest = LARGEST.get();
        let text = String::from_utf8_lossy(&shown);
        assert!(
            largest < MOST_BYTES,
            "{name} {round}: {largest} bytes at once for {text}"
        );
        match outcome {
            Ok(worked) => refused += usize::from(!worked),
            Err(_) => panic!("{name} {round} panicked on {text}"),
        }
    }
    assert!(
        refused > count / 20,
        "{name}: only {refused} of {count} were refused; are they mutated at all?"
    );
}

fn message(content: &str) -> ChatMessage {
    ChatMessage {
        role: "user".into(),
        content: content.into(),
    }
}

fn gguf() -> Vec<u8> {
    let mut writer = GgufWriter::llama(&["a", "b", "c", "ab", "<end>"], &["a b"]);
    writer.u32("tokenizer.ggml.eos_token_id", 4);
    writer.u32("tokenizer.ggml.bos_token_id", 4);
    writer.bool("tokenizer.ggml.add_bos_token", true);
    writer.i32s("tokenizer.ggml.token_type", &[1, 1, 1, 1, 3]);
    writer.f32s("tokenizer.ggml.scores", &[0.0; 5]);
    writer.text(
        "tokenizer.chat_template",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
    );
    writer.tensor_f32("blk.0.attn_q.weight", &[32, 32]);
    writer.tensor("blk.0.ffn_down.weight", &[1, 32], 3, vec![1; 20]);
    writer.tensor("blk.0.ffn_up.weight", &[1, 32], 7, vec![1; 24]);
    writer.tensor("blk.0.ffn_gate.weight", &[1, 256], 12, vec![1; 144]);
    writer.tensor("blk.0.attn_output.weight", &[1, 256], 14, vec![1; 210]);
    writer.bytes()
}

/// Opens a model and uses all of it.
fn use_model(files: Vec<(&str, Vec<u8>)>) -> bool {
    let files = files
        .into_iter()
        .map(|(name, bytes)| MemoryFile::source(name, bytes))
        .collect();
    let Ok(model) = now(ModelFiles::open(files)) else {
        return false;
    };
    let mut all_well = true;
    for entry in model.entries() {
        let whole = now(model.read_f32(&entry.name));
        all_well &= whole.is_ok();
        // Rows come or are refused, whatever the file says of itself; where they come, they are the whole's.
        for rows in [0..1, 1..3, 0..usize::MAX, usize::MAX..usize::MAX] {
            let (Ok(part), Ok((shape, whole))) = (now(model.read_rows_f32(&entry.name, rows.clone())), &whole) else {
                continue;
            };
            let columns = shape[1];
            let wanted = &whole[rows.start * columns..rows.end * columns];
            assert!(part.iter().map(|x| x.to_bits()).eq(wanted.iter().map(|x| x.to_bits())));
        }
    }
    if let Some(tokenizer) = &model.tokenizer {
        all_well &= tokenizer
            .encode("abc <end>", true)
            .and_then(|ids| tokenizer.decode(&ids, true))
            .is_ok();
    }
    if let Some(template) = &model.chat_template {
        all_well &= template.apply_with_spans(&[message("a")]).is_ok();
    }
    all_well
}

#[test]
fn broken_gguf_files_are_refused_or_read() {
    survive("gguf", &gguf(), 4000, |bytes| use_model(vec![("m.gguf", bytes)]));
}

#[test]
fn broken_safetensors_files_are_refused_or_read() {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend([0; 12]);
    survive("safetensors", &bytes, 4000, |bytes| {
        use_model(vec![("config.json", b"{}".to_vec()), ("model.safetensors", bytes)])
    });
    let config = br#"{"peft_type":"LORA","target_modules":["q_proj"],"r":4,"rank_pattern":{"a":2}}"#;
    survive("adapter tensors", &bytes, 1000, |bytes| {
        let files = [
            ("adapter_config.json", config.to_vec()),
            ("adapter_model.safetensors", bytes),
        ];
        now(Adapter::open(
            files.map(|(name, bytes)| MemoryFile::source(name, bytes)).to_vec(),
        ))
        .is_ok()
    });
    survive("adapter config", config, 2000, |config| {
        let files = [
            ("adapter_config.json", config),
            ("adapter_model.safetensors", bytes.clone()),
        ];
        let adapter = now(Adapter::open(
            files.map(|(name, bytes)| MemoryFile::source(name, bytes)).to_vec(),
        ));
        adapter.is_ok_and(|adapter| adapter.to_files().is_ok() && adapter.config.rank_of("x.a").is_ok())
    });
}

#[test]
fn broken_files_of_torch_are_refused_or_read() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/native/torch_files/pytorch_model.bin"
    );
    let sound = std::fs::read(path).expect("the file is in the repository");
    survive("pytorch_model.bin", &sound, 4000, |bytes| {
        let files = [("config.json", b"{}".to_vec()), ("pytorch_model.bin", bytes)];
        let files = files.map(|(name, bytes)| MemoryFile::source(name, bytes));
        let Ok(model) = now(ModelFiles::open(files.to_vec())) else {
            return false;
        };
        let mut names = model.entries().iter().map(|entry| &entry.name);
        names.all(|name| now(model.read_bytes(name)).is_ok())
    });
}

#[test]
fn broken_files_of_numbers_are_refused_or_read() {
    let read =
        |name: &str, bytes: &[u8]| Dataset::parse(name, bytes).and_then(|read| read.numeric(&Columns::default()));
    // What is read is whole: rows of one length, each with its label.
    let is_whole = |read: Labelled| {
        let count = read.shape.map_or(0, |shape| shape.features());
        for row in &read.rows {
            assert!(row.features.len() == count && row.features.iter().all(|number| number.is_finite()));
            assert_eq!(row.values.len(), read.labels.len());
        }
        assert!(count > 0 && !read.rows.is_empty());
        true
    };
    for (name, sound) in [
        ("a.csv", "height,width,label\n1.5,-2e3,a\n\"3\",4,b\n5,6,a\n"),
        ("a_TRAIN.tsv", "1\t0.5\t-0.5\n2\t2\t3\n1\t-4\t5e-1\n"),
        (
            "a.jsonl",
            "{\"values\": [[1, 2], [3, 4]], \"label\": 1}\n{\"values\": [[5, 6], [7, 8]], \"label\": 2}\n",
        ),
        (
            "a.ts",
            "# of waves\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8,9:1,2,3:b\n",
        ),
    ] {
        survive(name, sound.as_bytes(), 3000, |bytes| {
            read(name, &bytes).is_ok_and(is_whole)
        });
    }
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[9; 12]].concat();
    let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 1];
    survive("images", &images, 3000, |bytes| {
        let read = Dataset::parse_images(("images", &bytes), ("labels", &labels));
        read.and_then(|read| read.numeric(&Columns::default()))
            .is_ok_and(is_whole)
    });
}

#[test]
fn broken_templates_are_refused_or_rendered() {
    let source = "{% set ns = namespace(x=0) %}{% for m in messages %}{%- if m.role == 'user' -%}{{ bos_token + m['content'] | trim }}\
        {% elif loop.last %}{% generation %}{{ m.content.split('a')[-1] * 2 }}{% endgeneration %}{% else %}\
        {{ raise_exception('no ' ~ m.role) }}{% endif %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ messages | tojson }}";
    survive("template", source.as_bytes(), 3000, |bytes| {
        let source = String::from_utf8_lossy(&bytes);
        let Ok(template) = ChatTemplate::new(&source, Some("<s>"), None) else {
            return false;
        };
        let answer = ChatMessage {
            role: "assistant".into(),
            content: "banana".into(),
        };
        template.apply_with_spans(&[message("é"), answer]).is_ok()
    });
}

/// Configurations of every architecture, small and sound.
fn configs() -> Vec<serde_json::Value> {
    let rotary = |more: serde_json::Value| {
        let mut config = serde_json::json!({
            "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
            "num_hidden_layers": 2, "vocab_size": 50, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true, "initializer_range": 0.02
        });
        for (key, value) in more.as_object().expect("an object") {
            config[key] = value.clone();
        }
        config
    };
    let bert = |kind: &str| {
        serde_json::json!({
            "model_type": kind, "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2,
            "num_hidden_layers": 2, "vocab_size": 50, "max_position_embeddings": 64, "type_vocab_size": 2,
            "layer_norm_eps": 1e-12, "hidden_act": "gelu", "pad_token_id": 1,
            "architectures": ["BertForSequenceClassification"], "num_labels": 3
        })
    };
    let scaling = serde_json::json!({
        "rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64
    });
    vec![
        rotary(serde_json::json!({"model_type": "llama", "rope_theta": 1e4, "rope_scaling": scaling})),
        rotary(serde_json::json!({"model_type": "mistral", "sliding_window": 4})),
        rotary(serde_json::json!({
            "model_type": "qwen2", "use_sliding_window": true, "sliding_window": 4, "max_window_layers": 1
        })),
        rotary(serde_json::json!({"model_type": "qwen3", "layer_types": ["full_attention", "full_attention"]})),
        rotary(serde_json::json!({
            "model_type": "llama", "architectures": ["LlamaForSequenceClassification"], "num_labels": 3
        })),
        rotary(serde_json::json!({
            "model_type": "gemma2", "query_pre_attn_scalar": 16, "sliding_window": 8, "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0
        })),
        rotary(serde_json::json!({
            "model_type": "gemma3_text", "query_pre_attn_scalar": 16, "sliding_window": 8, "sliding_window_pattern": 2,
            "rope_theta": 1e6, "rope_local_base_freq": 1e4
        })),
        serde_json::json!({
            "model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "n_inner": 48,
            "vocab_size": 50, "layer_norm_epsilon": 1e-5, "initializer_range": 0.02
        }),
        bert("bert"),
        bert("roberta"),
        serde_json::json!({
            "model_type": "distilbert", "dim": 32, "hidden_dim": 48, "n_heads": 2, "n_layers": 2, "vocab_size": 50,
            "max_position_embeddings": 64, "activation": "gelu", "architectures": ["DistilBertForTokenClassification"]
        }),
        serde_json::json!({
            "model_type": "modernbert", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 2,
            "num_hidden_layers": 3, "vocab_size": 50, "max_position_embeddings": 64, "global_attn_every_n_layers": 3,
            "local_attention": 8, "norm_eps": 1e-5, "global_rope_theta": 1e5, "local_rope_theta": 1e4,
            "architectures": ["ModernBertForMaskedLM"]
        }),
        serde_json::json!({
            "model_type": "t5", "d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 1,
            "num_heads": 2, "vocab_size": 50, "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 16, "feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-6,
            "n_positions": 64, "decoder_start_token_id": 0, "pad_token_id": 0
        }),
        serde_json::json!({
            "model_type": "small_mlp", "hidden_size": 8, "num_hidden_layers": 2, "input_size": 4,
            "hidden_dropout_prob": 0.1, "hidden_act": "relu", "num_labels": 2
        }),
        serde_json::json!({
            "model_type": "small_vit", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "image_size": 4, "patch_size": 2, "num_channels": 1, "intermediate_size": 16
        }),
        serde_json::json!({
            "model_type": "small_series", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
            "context_length": 6, "patch_length": 2, "num_channels": 1
        }),
        serde_json::json!({"model_type": "small_lstm", "hidden_size": 8, "num_hidden_layers": 1, "input_size": 1}),
        serde_json::json!({
            "model_type": "small_gru", "hidden_size": 8, "num_hidden_layers": 1, "vocab_size": 50,
            "architectures": ["SmallForCausalLM"]
        }),
    ]
}

/// Loads a model of fresh weights that `config` describes, unless it takes more than a megabyte; says whether it was loaded.
fn make(config: serde_json::Value) -> lorakeet_core::Result<()> {
    let files = ModelFiles::from_config("hostile", config);
    let run = RunConfig {
        finetuning_type: FinetuningType::Full,
        cutoff_len: 16,
        ..RunConfig::default()
    };
    let memory = now(estimate(&files, &run, None, u64::MAX))?;
    if memory.base_bytes > 1 << 20 {
        return Ok(());
    }
    now(Model::load(&files, false, 0, &Device::flex(), &mut |_, _| ())).map(drop)
}

#[test]
fn configs_with_hostile_numbers() {
    let values = serde_json::json!([
        0, 1, 2, 3, 5, 7, 31, 64, 127, 300, 4097, 1 << 20, 1 << 30, (1u64 << 31) - 1, 1u64 << 32, 1u64 << 63, -1, 0.5, -0.5,
        1e308, "NaN", "x", null, true, [], {}, [1], {"0": "a"}
    ]);
    let values = values.as_array().expect("a list");
    let mut refused = 0;
    for config in configs() {
        make(config.clone()).unwrap_or_else(|error| panic!("{config}: {error}"));
        let kind = config["model_type"].as_str().unwrap_or_default().to_owned();
        let keys: Vec<String> = config.as_object().expect("an object").keys().cloned().collect();
        let inner = ["factor", "low_freq_factor", "original_max_position_embeddings"];
        let inner = inner
            .iter()
            .filter(|_| config["rope_scaling"].is_object())
            .map(|key| format!("rope_scaling.{key}"));
        for key in keys.into_iter().chain(inner).filter(|key| key != "model_type") {
            for value in values.iter().map(Some).chain([None]) {
                let mut config = config.clone();
                let (object, name) = match key.split_once('.') {
                    Some((outer, name)) => (&mut config[outer], name),
                    None => (&mut config, key.as_str()),
                };
                let object = object.as_object_mut().expect("an object");
                match value {
                    Some(value) => drop(object.insert(name.to_owned(), value.clone())),
                    None => drop(object.remove(name)),
                }
                LARGEST.set(0);
                let made = std::panic::catch_unwind(|| make(config));
                let largest = LARGEST.get();
                assert!(
                    largest < MOST_BYTES,
                    "{kind}, {key}: {value:?} takes {largest} bytes at once"
                );
                let made = made.unwrap_or_else(|_| panic!("{kind}, {key}: {value:?} panics"));
                refused += usize::from(made.is_err());
            }
        }
    }
    assert!(refused > 2000, "only {refused} were refused");
}

#[test]
fn strangers_templates_end_in_little_memory_and_on_a_small_stack() {
    let run = || {
        for (name, source) in crate::templates::hostile() {
            LARGEST.set(0);
            let start = std::time::Instant::now();
            let result = ChatTemplate::new(&source, Some("<s>"), Some("</s>")).and_then(|template| {
                let answer = ChatMessage {
                    role: "assistant".into(),
                    content: "b".into(),
                };
                template.apply_with_spans(&[message("a"), answer])
            });
            let (seconds, largest) = (start.elapsed().as_secs_f64(), LARGEST.get());
            assert!(
                seconds < 5.0 && largest < MOST_BYTES,
                "{name}: {seconds} s, {largest} bytes at once"
            );
            match result {
                Ok(laid_out) => assert!(laid_out.text.len() <= 300 << 10, "{name}"),
                Err(error) => assert!(error.to_string().len() < 1000, "{name}"),
            }
        }
    };
    // A browser's stack.
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run);
    thread.unwrap().join().unwrap();
}
