//! Adapters as llama.cpp and mlx-lm have them, read again: what was written comes back in PEFT's meaning.

use super::{
    CLOSE, assert_close, config, exported, files_of, load, open, outputs, random_adapter, settings, try_export,
};
use lorakeet_core::{
    config::TargetModules,
    export::Form,
    formats::{
        Storage,
        adapter_files::{AdapterModule, AdapterModules},
        peft::{Adapter, AdapterConfig},
    },
    store::{MemoryFile, Source},
};
use lorakeet_tests::golden::{Case, block_on};
use serde_json::{Value, json};

/// The adapter in `form`, read on the case's base.
fn read_back(case: &Case, adapter: &Adapter, form: Form) -> Adapter {
    let base = files_of(case);
    let written = exported(&base, Some(adapter), settings(form, None));
    let read = block_on(open(&base).open_adapter(written));
    read.unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// Its tensors by name.
fn sorted(adapter: &Adapter) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let mut tensors = adapter.tensors.clone();
    tensors.sort_by(|left, right| left.0.cmp(&right.0));
    tensors
}

/// Holds that both have the same A, and the same s·B.
fn assert_same(what: &str, read: &Adapter, wanted: &Adapter) {
    let modules = |adapter| AdapterModules::of_peft(adapter).expect("whole modules").modules;
    let (read, wanted) = (modules(read), modules(wanted));
    let names =
        |modules: &[AdapterModule]| -> Vec<String> { modules.iter().map(|module| module.name.clone()).collect() };
    assert_eq!(names(&read), names(&wanted), "{what}");
    for (read, wanted) in read.iter().zip(&wanted) {
        let what = format!("{what}: {}", read.name);
        assert_eq!((read.rank, &read.a), (wanted.rank, &wanted.a), "{what}");
        assert_eq!(read.magnitude, wanted.magnitude, "{what}");
        let scaled = |module: &AdapterModule| -> Vec<f32> {
            let scale = module.scale() as f32;
            module.b.iter().map(|value| value * scale).collect()
        };
        assert_close(&what, &scaled(read), &scaled(wanted), 1e-5);
    }
}

#[test]
fn an_adapter_for_llama_cpp_is_read_back_as_it_was() {
    for (name, targets) in [
        ("A/llama_tied", &["q_proj", "k_proj", "v_proj", "down_proj"][..]),
        ("A/llama_untied", &["q_proj", "embed_tokens"]),
        ("A/qwen2", &["q_proj", "k_proj"]),
        ("A/gemma2", &["q_proj", "o_proj"]),
        ("A/gpt2", &["c_attn", "c_fc"]),
        ("A/bert_mlm", &["query", "value"]),
        ("A/t5", &["q", "wi"]),
        ("A/flan_t5", &["q", "wi_0", "wi_1"]),
    ] {
        let case = Case::open(name);
        let adapter = random_adapter(&case, &config(targets, &[]));
        let read = read_back(&case, &adapter, Form::GgufAdapter);
        assert_eq!(read.tensors, sorted(&adapter), "{name}");
        assert_eq!((read.config.r, read.config.lora_alpha), (3, 5.0), "{name}");
        let mut names: Vec<String> = targets.iter().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(read.config.target_modules, TargetModules::Names(names), "{name}");
        load(&open(&files_of(&case))).load_adapter(&read).expect("it fits");
    }
}

#[test]
fn other_ranks_and_scales_are_those_of_their_modules() {
    let case = Case::open("A/llama_untied");
    let mut wanted = config(&["q_proj", "up_proj"], &[]);
    wanted.rank_pattern.0.push(("layers.0.self_attn.q_proj".into(), 2));
    wanted.alpha_pattern.0.push(("up_proj".into(), 1.5));
    for use_rslora in [false, true] {
        let wanted = AdapterConfig {
            use_rslora,
            ..wanted.clone()
        };
        let adapter = random_adapter(&case, &wanted);
        let read = read_back(&case, &adapter, Form::GgufAdapter);
        assert_same("GGUF", &read, &adapter);
        load(&open(&files_of(&case))).load_adapter(&read).expect("it fits");
    }
}

#[test]
fn an_adapter_for_mlx_is_read_back_as_it_was() {
    let case = Case::open("A/llama_untied");
    for use_dora in [false, true] {
        let targets = match use_dora {
            true => &["q_proj", "up_proj"][..],
            false => &["q_proj", "up_proj", "embed_tokens"],
        };
        let wanted = AdapterConfig {
            use_dora,
            lora_dropout: 0.25,
            ..config(targets, &[])
        };
        let adapter = random_adapter(&case, &wanted);
        let read = read_back(&case, &adapter, Form::Mlx);
        assert_eq!(read.tensors, sorted(&adapter));
        assert_same("MLX", &read, &adapter);
        assert_eq!((read.config.use_dora, read.config.lora_dropout), (use_dora, 0.25));
        load(&open(&files_of(&case))).load_adapter(&read).expect("it fits");
    }
}

#[test]
fn what_is_read_back_computes_what_was_written() {
    let case = Case::open("A/llama_untied");
    let plain = config(&["q_proj", "up_proj", "embed_tokens"], &[]);
    let mut varied = AdapterConfig {
        use_rslora: true,
        ..plain.clone()
    };
    varied.rank_pattern.0.push(("up_proj".into(), 2));
    varied.alpha_pattern.0.push(("q_proj".into(), 7.0));
    let base = files_of(&case);
    for wanted in [plain, varied] {
        let adapter = random_adapter(&case, &wanted);
        let of = |adapter: &Adapter| {
            let mut model = load(&open(&base));
            model.load_adapter(adapter).expect("it fits");
            outputs(&model, &case, false)
        };
        let (before, untouched) = (of(&adapter), outputs(&load(&open(&base)), &case, false));
        assert!(before.iter().zip(&untouched).any(|(a, b)| (a - b).abs() > 10.0 * CLOSE));
        for form in [Form::Mlx, Form::GgufAdapter, Form::Peft] {
            let read = read_back(&case, &adapter, form);
            assert_close(form.name(), &of(&read), &before, CLOSE);
        }
    }
}

/// What is said of an adapter that is not read on the case's base.
fn refused(case: &Case, files: Vec<Source>) -> String {
    let read = block_on(open(&files_of(case)).open_adapter(files));
    read.map(drop).expect_err("it is refused").to_string()
}

#[test]
fn an_adapter_for_peft_has_the_numbers_that_were_trained() {
    let case = Case::open("A/llama_untied");
    let adapter = random_adapter(&case, &config(&["q_proj"], &[]));
    let wanted = settings(Form::Peft, Some(Storage::F16));
    let said = try_export(&files_of(&case), Some(&adapter), None, wanted).expect_err("it is refused");
    assert!(said.to_string().contains("float16"), "{said}");
    let read = read_back(&case, &adapter, Form::Peft);
    assert_eq!((read.tensors, read.config), (sorted(&adapter), adapter.config));
}

#[test]
fn an_adapter_of_another_base_is_refused() {
    let (llama, qwen) = (Case::open("A/llama_tied"), Case::open("A/qwen2"));
    let adapter = random_adapter(&qwen, &config(&["q_proj"], &[]));
    let gguf = exported(&files_of(&qwen), Some(&adapter), settings(Form::GgufAdapter, None));
    let said = refused(&llama, gguf);
    assert!(said.contains("qwen2") && said.contains("llama"), "{said}");
    let mlx = exported(&files_of(&qwen), Some(&adapter), settings(Form::Mlx, None));
    let said = refused(&Case::open("A/gpt2"), mlx);
    assert!(said.contains("self_attn.q_proj.lora_a"), "{said}");
}

#[test]
fn modules_that_mlx_lm_would_leave_out_are_named() {
    let case = Case::open("A/llama_untied");
    let adapter = random_adapter(&case, &config(&["q_proj", "up_proj"], &[]));
    let written = exported(&files_of(&case), Some(&adapter), settings(Form::Mlx, None));
    let with = |change: &dyn Fn(&mut Value)| -> Vec<Source> {
        let of = |file: &Source| {
            if file.name() != "adapter_config.json" {
                return file.clone();
            }
            let bytes = block_on(file.read_at(0, file.len_bytes() as usize)).expect("bytes");
            let mut config = serde_json::from_slice(&bytes).expect("JSON");
            change(&mut config);
            MemoryFile::source("adapter_config.json", config.to_string().into_bytes())
        };
        written.iter().map(of).collect()
    };
    let said = refused(&case, with(&|config| config["num_layers"] = json!(1)));
    assert!(said.contains("layers.0.") && said.contains("num_layers"), "{said}");
    let keys = json!(["self_attn.q_proj"]);
    let said = refused(&case, with(&|config| config["lora_parameters"]["keys"] = keys.clone()));
    assert!(said.contains("up_proj.lora_a"), "{said}");
    let said = refused(&case, with(&|config| config["lora_parameters"]["rank"] = json!(4)));
    assert!(said.contains("rank of 3") && said.contains('4'), "{said}");
    let said = refused(&case, with(&|config| config["lora_parameters"]["shrink"] = json!(4)));
    assert!(said.contains("lora_parameters.shrink"), "{said}");
    let said = refused(&case, with(&|config| config["fine_tune_type"] = json!("full")));
    assert!(said.contains("fine_tune_type") && said.contains("full"), "{said}");
    let all = with(&|config| config["num_layers"] = json!(-1));
    let read = block_on(open(&files_of(&case)).open_adapter(all)).expect("-1 is all layers");
    assert_eq!(read.tensors, sorted(&adapter));
}
