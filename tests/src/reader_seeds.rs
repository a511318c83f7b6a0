//! Small sound files of every kind that [`crate::readers`] reads: what the stage `hostile` breaks, and what libFuzzer begins
//! with.

use crate::gguf::GgufWriter;
use crate::golden::block_on;
use crate::readers::{STATE, archive, sealed};
use crate::tiny;
use lorakeet_core::config::RunConfig;
use lorakeet_core::formats::safetensors::write_f32;
use lorakeet_core::protocol::{RunInput, RunRecord, RunSample, RunState};
use lorakeet_core::store::{Source, read_all};
use lorakeet_core::task::Task;
use lorakeet_core::tokenizer::Tokenizer;

/// Sound files of the reader of this name.
///
/// # Panics
/// If there is no such reader.
pub fn seeds(reader: &str) -> Vec<Vec<u8>> {
    match reader {
        "safetensors" => vec![safetensors()],
        "gguf" => vec![gguf_model(), gguf_adapter()],
        "torch_file" => vec![
            include_bytes!("../../core/tests/native/torch_files/pytorch_model.bin").to_vec(),
            archive(&[("m/data.pkl", PICKLE), ("m/data/0", &[0; 64])]),
        ],
        "pickle" => vec![PICKLE.to_vec()],
        "adapter_config" => texts(&[
            r#"{"peft_type":"LORA","target_modules":["q_proj"],"r":4,"lora_alpha":8,"rank_pattern":{"a":2},
                "exclude_modules":".*mlp.*","layers_to_transform":0,"modules_to_save":["lm_head"]}"#,
            r#"{"fine_tune_type":"lora","num_layers":8,"lora_parameters":{"rank":4,"scale":20.0,"dropout":0.1}}"#,
        ]),
        "tokenizer_json" => {
            let of_bytes = Tokenizer::of_bytes().and_then(|tokenizer| tokenizer.to_json());
            let of_bytes = of_bytes.expect("a tokenizer of bytes is one").into_bytes();
            vec![
                file(&tiny::model_files(), "tokenizer.json"),
                file(&tiny::bert_files(), "tokenizer.json"),
                of_bytes,
            ]
        }
        "config_json" => {
            let mut configs = texts(&[
                r#"{"model_type":"gpt2","n_embd":32,"n_layer":2,"n_head":2,"n_positions":64,"n_inner":48,"vocab_size":50,
                    "layer_norm_epsilon":1e-5,"initializer_range":0.02}"#,
                r#"{"model_type":"small_mlp","hidden_size":8,"num_hidden_layers":2,"input_size":4,
                    "hidden_dropout_prob":0.1,"hidden_act":"relu","num_labels":2}"#,
            ]);
            configs.push(file(&tiny::model_files(), "config.json"));
            configs
        }
        "weights_index" => texts(&[
            r#"{"metadata":{"total_size":256},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#,
        ]),
        "chat_template" => texts(&[
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
             {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
            "{% set ns = namespace(x=0) %}{% for m in messages %}{%- if m.role == 'user' -%}{{ bos_token + m['content'] | \
             trim }}{% elif loop.last %}{% generation %}{{ m.content.split('a')[-1] * 2 }}{% endgeneration %}{% else %}\
             {{ raise_exception('no ' ~ m.role) }}{% endif %}{% set ns.x = ns.x + 1 %}{% endfor %}{{ messages | tojson }}",
        ]),
        "csv" => texts(&[
            "text,label\nsome text,x\n\"more, quoted\",y\nand a third,x\n",
            "height,width,label\n1.5,-2e3,a\n\"3\",4,b\n5,6,a\n",
            "query,document,grade\nq,a,1\nq,b,0\nr,a,1\n",
        ]),
        "tsv" => texts(&[
            "text\tlabel\nsome text\tx\nmore\ty\n",
            "1\t0.5\t-0.5\n2\t2\t3\n1\t-4\t5e-1\n",
        ]),
        "jsonl" => texts(&[
            "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}\n\
             {\"messages\":[{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\n",
            "{\"tokens\":[\"a\",\"b\"],\"tags\":[\"X\",\"Y\"]}\n{\"tokens\":[\"c\"],\"tags\":[\"X\"]}\n",
            "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"c\"}\n",
            "{\"values\":[[1,2],[3,4]],\"label\":1}\n{\"values\":[[5,6],[7,8]],\"label\":2}\n",
        ]),
        "json" => texts(&[
            r#"[{"prompt":"do","completion":"x","n":[1,{"a":2}]},{"prompt":"be","completion":"y","n":null}]"#,
            r#"{"data":[{"query":"q","positive":"p","negative":["n","m"]},{"query":"r","positive":"s","negative":["n"]}]}"#,
        ]),
        "idx" => {
            let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[9; 12]].concat();
            let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 1];
            vec![[&images[..], &labels].concat(), images]
        }
        "series" => {
            texts(&["# of waves\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n7,8,9:1,2,3:b\n"])
        }
        "run_file" => texts(&RUN_FILES),
        "lesson" => vec![
            include_bytes!("../../public/lessons/batch.json").to_vec(),
            include_bytes!("../../public/lessons/batch.recording.json").to_vec(),
            include_bytes!("../../public/lessons/index.json").to_vec(),
        ],
        "page_query" => texts(&[
            "lab=1&lora_r=4&train_file=data%2Fking-james.txt&prompt=Once",
            "lab=1&target_modules=%5Bq_proj%2C+v_proj%5D&val_size=0.1&nobody=x",
        ]),
        "run_record" => vec![run_record()],
        "checkpoint" => {
            let mut files = sealed(STATE);
            files.retain(|(name, _)| name == "manifest.json");
            files
                .into_iter()
                .map(|(_, bytes)| bytes)
                .chain([STATE.to_vec()])
                .collect()
        }
        other => panic!("no reader is called {other}"),
    }
}

/// A state_dict with one tensor of the storage `0`.
const PICKLE: &[u8] =
    b"\x80\x02}(X\x08\0\0\0w.weightctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n\
    X\x01\0\0\x000X\x03\0\0\0cpuK\x10tQK\0K\x02K\x08\x86K\x08K\x01\x86\x89}tRu.";

/// Of this program and LLaMA-Factory, of Axolotl and of TRL, and what a sweep adds.
const RUN_FILES: [&str; 5] = [
    "model_name_or_path: x\ntrain_file: y.txt\noutput_dir: out\nlora_r: 16\nlearning_rate: 2e-4\nrank_pattern: {q_proj: 8}\n\
     target_modules: [q_proj, 'v_proj']\nlr_scheduler_kwargs: {num_cycles: 2}\nlr_scheduler_type: cosine_with_restarts\n\
     val_size: 0.1\n# a remark\nwarmup_steps: 4\nquantization_bit: 4\n",
    "{\"model_name_or_path\": \"x\", \"lora_r\": 8, \"target_modules\": [\"q_proj\"], \"learning_rate\": 1e-4}",
    "base_model: ORG/NAME\nload_in_4bit: true\nstrict: false\ndatasets:\n  - path: rows.jsonl\nval_set_size: 0.05\n\
     adapter: qlora\nsequence_len: 1024\nlora_r: 8\nlora_target_linear: true\nmicro_batch_size: 2\nnum_epochs: 4\n\
     optimizer: paged_adamw_8bit\nlearning_rate: 0.0002\nevals_per_epoch: 4\nsaves_per_epoch: 1\nspecial_tokens:\n\
     \x20 pad_token: <pad>\n",
    "model_name_or_path: ORG/NAME\ndataset_name: rows.jsonl\nlearning_rate: 2.0e-5\nmax_length: 512\npacking: false\n\
     use_peft: true\nlora_r: 4\nlora_target_modules: [q_proj]\n",
    "train_file: y.txt\nlora_r: 4\nsweep:\n  learning_rate: [1e-4, 3.0e-4]\n  target_modules: [all-linear, [q_proj, v_proj]]\n",
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The bytes of one of the files.
fn file(files: &[Source], name: &str) -> Vec<u8> {
    let found = files.iter().find(|file| file.name() == name);
    let found = found.unwrap_or_else(|| panic!("there is no {name}"));
    block_on(read_all(found.as_ref(), 1 << 20)).expect("it is in memory")
}

fn safetensors() -> Vec<u8> {
    let tensors = [
        ("model.norm.weight".to_owned(), vec![4], vec![1.0; 4]),
        ("model.embed_tokens.weight".to_owned(), vec![3, 4], vec![0.5; 12]),
    ];
    write_f32(&tensors).expect("the numbers fill the shapes")
}

/// A Llama with matrices in four formats.
fn gguf_model() -> Vec<u8> {
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
    writer.tensor("blk.0.ffn_gate.weight", &[1, 256], 12, vec![1; 144]);
    writer.tensor("blk.0.attn_output.weight", &[1, 256], 14, vec![1; 210]);
    writer.bytes()
}

fn gguf_adapter() -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer.text("general.type", "adapter");
    writer.text("general.architecture", "llama");
    writer.text("adapter.type", "lora");
    writer.f32("adapter.lora.alpha", 4.0);
    writer.tensor_f32("blk.0.attn_q.weight.lora_a", &[2, 4]);
    writer.tensor_f32("blk.0.attn_q.weight.lora_b", &[3, 2]);
    writer.bytes()
}

fn run_record() -> Vec<u8> {
    let sample = RunSample {
        step: 2,
        prompt: "Once".to_owned(),
        text: " upon".to_owned(),
    };
    let record = RunRecord {
        id: "seed".to_owned(),
        started_ms: 1.0,
        settings: RunRecord::settings_of(&RunConfig::default()),
        task: Task::Generation,
        sample_prompt: Some("Once".to_owned()),
        model: RunInput::Bundled("model".to_owned()),
        data: RunInput::Files(Vec::new()),
        validation: None,
        adapter: None,
        state: RunState::Open,
        summary: None,
        max_steps: Some(4),
        inputs: Default::default(),
        failure: None,
        samples: vec![sample],
        notes: Vec::new(),
        rate_changes: Vec::new(),
        score: None,
        labels: Default::default(),
    };
    serde_json::to_vec(&record).expect("a record is JSON")
}
