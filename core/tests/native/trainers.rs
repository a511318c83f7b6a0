//! Run files of LLaMA-Factory, Axolotl and TRL: written and read back, and as others write them.

use crate::common::now;
use lorakeet_core::config::{FinetuningType, KNOBS, Resolved, RowForm, RowsFile, RunConfig, Trainer, run_file_of};
use lorakeet_core::data::Dataset;
use lorakeet_core::export::cluster::write_run_file;
use lorakeet_core::store::MemorySink;

/// Nothing at its default that one of the three has a key for.
const RUN: &str = "\
model_name_or_path: ORG/NAME
adapter_name_or_path: before
train_file: train.jsonl
quantization_bit: 4
bnb_4bit_quant_type: fp4
bnb_4bit_use_double_quant: false
val_size: 0.2
max_samples: 50
cutoff_len: 256
packing: true
completion_only_loss: false
data_seed: 3
lora_r: 16
lora_alpha: 24
lora_dropout: 0.1
target_modules: [q_proj, v_proj]
layers_to_transform: [0, 1]
modules_to_save: [lm_head]
use_rslora: true
use_dora: true
loraplus_lr_ratio: 4
loraplus_lr_embedding: 1e-5
per_device_train_batch_size: 3
per_device_eval_batch_size: 5
gradient_accumulation_steps: 6
gradient_checkpointing: true
learning_rate: 3e-4
num_train_epochs: 2
max_steps: 90
optim: adamw_8bit
weight_decay: 0.01
adam_beta1: 0.8
adam_beta2: 0.95
adam_epsilon: 1e-6
max_grad_norm: 0.3
seed: 7
lr_scheduler_type: polynomial
warmup_ratio: 0.05
power: 2
lr_end: 1e-6
output_dir: out
overwrite_output_dir: true
resume_from_checkpoint: out/checkpoint-5
logging_strategy: epoch
logging_steps: 4
eval_strategy: steps
eval_steps: 12
save_strategy: steps
save_steps: 24
save_total_limit: 2
predict_with_generate: true
max_new_tokens: 64
metric_for_best_model: loss
load_best_model_at_end: true
early_stopping_patience: 3
early_stopping_threshold: 0.01
divergence: stop
";

fn parse(text: &str) -> Resolved {
    RunConfig::parse(text, "run.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn beside(form: RowForm) -> RowsFile {
    RowsFile {
        form,
        train: "train.jsonl".into(),
        validation: None,
    }
}

fn runs() -> [RunConfig; 2] {
    let mut other = parse("model_name_or_path: ORG/NAME\ntrain_file: train.jsonl\neval_steps: 5\n").config;
    other.num_cycles = 2.0;
    [parse(RUN).config, other]
}

#[test]
fn every_knob_is_in_the_file_or_named_at_its_top() {
    for trainer in Trainer::ALL {
        for (config, form) in runs().into_iter().zip([RowForm::Messages, RowForm::Texts]) {
            let file = run_file_of(trainer, &config, &beside(form));
            let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with('#')).collect();
            let head = head.join("\n");
            for knob in KNOBS {
                let lists = [&file.carried, &file.lost, &file.unset];
                let times = lists.iter().filter(|list| list.contains(&knob.name)).count();
                assert_eq!(times, 1, "{}: {}", trainer.name(), knob.name);
                let is_named = head
                    .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                    .any(|word| word == knob.name);
                assert_eq!(
                    is_named,
                    !file.carried.contains(&knob.name),
                    "{}: {}\n{head}",
                    trainer.name(),
                    knob.name
                );
            }
        }
    }
    let lost = run_file_of(Trainer::Trl, &runs()[0], &beside(RowForm::Messages)).lost;
    for knob in ["adapter_name_or_path", "loraplus_lr_ratio", "max_samples", "divergence"] {
        assert!(lost.contains(&knob), "{knob}: {lost:?}");
    }
}

#[test]
fn what_is_written_reads_back_to_the_same_settings() {
    for trainer in Trainer::ALL {
        for (config, form) in runs().into_iter().zip([RowForm::Messages, RowForm::Texts]) {
            let file = run_file_of(trainer, &config, &beside(form));
            let read = parse(&file.text).config;
            for name in &file.carried {
                let (was, is) = (config.get(name), read.get(name));
                assert_eq!(is, was, "{}: {name}\n{}", trainer.name(), file.text);
            }
        }
    }
}

#[test]
fn zero_steps_are_never_and_full_training_has_no_adapter() {
    let mut config = runs()[1].clone();
    config.eval_steps = 0.0;
    config.finetuning_type = FinetuningType::Full;
    for trainer in Trainer::ALL {
        let file = run_file_of(trainer, &config, &beside(RowForm::Messages));
        assert!(file.text.contains("eval_strategy: \"no\""), "{}", file.text);
        assert!(!file.text.contains("eval_steps: 0"), "{}", file.text);
        assert_eq!(parse(&file.text).config.finetuning_type, FinetuningType::Full);
    }
}

#[test]
fn a_file_of_axolotl_is_read_and_every_key_of_it_is_used_or_named() {
    let text = "base_model: ORG/NAME\nmodel_type: AutoModelForCausalLM\nload_in_4bit: true\nstrict: false\n\
                datasets:\n  - path: rows.jsonl\n    type: alpaca\nval_set_size: 0.05\noutput_dir: out\nadapter: qlora\n\
                lora_model_dir:\nsequence_len: 1024\nsample_packing: true\nlora_r: 32\nlora_alpha: 16\n\
                lora_target_linear: true\nwandb_project:\ngradient_accumulation_steps: 4\nmicro_batch_size: 2\n\
                num_epochs: 4\noptimizer: paged_adamw_8bit\nlr_scheduler: cosine\nlearning_rate: 0.0002\n\
                train_on_inputs: false\nbf16: auto\ntf32: false\nflash_attention: true\nwarmup_steps: 10\n\
                evals_per_epoch: 4\nsaves_per_epoch: 1\nweight_decay: 0.0\nspecial_tokens:\n  pad_token: <pad>\n";
    let read = parse(text);
    let get = |name: &str| read.config.get(name).map(|value| value.to_string()).unwrap_or_default();
    for (name, value) in [
        ("model_name_or_path", "\"ORG/NAME\""),
        ("train_file", "\"rows.jsonl\""),
        ("quantization_bit", "4"),
        ("finetuning_type", "\"lora\""),
        ("target_modules", "\"all-linear\""),
        ("cutoff_len", "1024"),
        ("completion_only_loss", "true"),
        ("optim", "\"adamw_8bit\""),
        ("eval_steps", "0.0625"),
        ("save_strategy", "\"epoch\""),
        ("val_size", "0.05"),
        ("warmup_steps", "10"),
    ] {
        assert_eq!(get(name), value, "{name}");
    }
    let notes: Vec<String> = read.warnings.iter().map(|note| note.english()).collect();
    let notes = notes.join("\n");
    for word in [
        "Axolotl",
        "model_type",
        "strict",
        "datasets.type",
        "wandb_project",
        "bf16",
        "tf32",
        "flash_attention",
        "special_tokens",
    ] {
        assert!(notes.contains(word), "{word}: {notes}");
    }
}

#[test]
fn a_file_of_trl_is_read_and_trains_every_weight_without_use_peft() {
    let text = "model_name_or_path: ORG/NAME\ndataset_name: rows.jsonl\nlearning_rate: 2.0e-5\nmax_length: 512\n\
                packing: false\nattn_implementation: sdpa\nwarmup_steps: 0\n";
    let read = parse(text);
    assert_eq!((read.config.warmup_steps, read.config.warmup_ratio), (0, 0.0));
    assert_eq!(read.config.train_file, "rows.jsonl");
    assert_eq!(read.config.finetuning_type, FinetuningType::Full);
    assert_eq!((read.config.cutoff_len, read.config.val_size), (512, 0.0));
    assert!(read.warnings.iter().any(|note| note.english().contains("use_peft")));
    let adapter = parse(&format!(
        "{text}use_peft: true\nlora_r: 4\nlora_target_modules: [q_proj]\n"
    ));
    assert_eq!(adapter.config.finetuning_type, FinetuningType::Lora);
    assert_eq!(adapter.config.lora_r, 4);
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    let refused = |text: &str| match RunConfig::parse(text, "run.yaml") {
        Ok(resolved) => panic!("accepted: {text}\n{:?}", resolved.config),
        Err(error) => error.to_string(),
    };
    let two = "base_model: x\ndatasets:\n  - path: a.jsonl\n  - path: b.jsonl\nadapter: lora\n";
    let error = refused(two);
    assert!(
        error.contains("line 2") && error.contains("2 data sets") && error.contains("Join"),
        "{error}"
    );
    let error = refused("base_model: x\ndatasets:\n  - path: a.jsonl\nadapter: llama-adapter\n");
    assert!(error.contains("llama-adapter") && error.contains("qlora"), "{error}");
    let error = refused("base_model: x\nval_set_size: 0.1\nadapter: lora\nrl: dpo\n");
    assert!(error.contains("rl"), "{error}");
}

#[test]
fn rows_go_along_as_conversations_or_texts_and_other_tasks_are_refused() {
    let rows = b"{\"instruction\": \"Add\", \"input\": \"1 2\", \"output\": \"3\"}\n";
    let data = Dataset::parse("rows.jsonl", rows).expect("rows");
    let written = |trainer, config: &RunConfig| {
        let sink = MemorySink::new();
        let notes = now(write_run_file(trainer, config, (&data, None), &sink));
        notes.map(|notes| (notes, sink.files()))
    };
    for trainer in Trainer::ALL {
        let (notes, files) = written(trainer, &runs()[0]).expect("a run file");
        let row: serde_json::Value = serde_json::from_slice(&files["train.jsonl"]).expect("one row");
        assert_eq!(row["messages"][0]["content"], "Add\n1 2");
        assert_eq!(row["messages"][1]["content"], "3");
        let said = notes.iter().any(|note| note.english().contains("divergence"));
        assert!(said, "{notes:?}");
        assert_eq!(
            files.contains_key("dataset_info.json"),
            trainer == Trainer::LlamaFactory
        );
    }
    let mut config = runs()[0].clone();
    config.task = Some(lorakeet_core::task::Task::Classification);
    let error = written(Trainer::Trl, &config)
        .expect_err("a classification")
        .to_string();
    assert!(error.contains("script"), "{error}");
}
