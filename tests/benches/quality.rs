//! What each format of the base costs in quality: the perplexity of SmolLM2-135M on a text, and what a short LoRA run makes of
//! it. Prints the table of `docs/quality.md`.
//!
//! `cargo xtask bench quality`; takes minutes, so a run of all benches leaves it out. `quality-Q5` runs the rows whose names
//! start so. The only SmolLM2 that package registries have is quantised to Q4_1, so its decoded weights are the exact ones
//! here, in 32 bits, and each format rounds them anew; GGUF's formats in a file that is the same but for these weights.

use anyhow::{Context, Result, bail, ensure};
use lorakeet_core::config::{Fp8Format, Fp8Scale, QuantType, RunConfig};
use lorakeet_core::formats::{ModelFiles, Storage, safetensors::write_f32};
use lorakeet_core::protocol::{DeviceChoice, Event};
use lorakeet_core::store::{DiskFile, MemoryFile, Source};
use lorakeet_tests::{ggml, golden::block_on, test_session::TestSession};
use std::path::{Path, PathBuf};

const MODEL: &str = "LORAKEET_SMOLLM2";

/// How the model comes.
#[derive(Clone, Copy)]
enum Form {
    /// As a folder of 32-bit floats.
    Floats,
    /// As its own GGUF file.
    Own,
    /// As that file with its Q4_1 in another format.
    Rewritten(Storage),
}

use Form::{Floats, Own, Rewritten};

/// A row of the table: its name, how the model comes, and the knobs.
type Row = (&'static str, Form, fn(&mut RunConfig));

const ROWS: [Row; 17] = [
    ("F32 (Q4_1, decoded)", Floats, |_| ()),
    ("F16, packed (GGUF)", Rewritten(Storage::F16), |_| ()),
    ("BF16, packed (GGUF)", Rewritten(Storage::BF16), |_| ()),
    ("Q8_0, packed (GGUF)", Rewritten(Storage::Q8_0), |_| ()),
    ("Q5_1, packed (GGUF)", Rewritten(Storage::Q5_1), |_| ()),
    ("Q5_0, packed (GGUF)", Rewritten(Storage::Q5_0), |_| ()),
    ("Q4_1, packed (GGUF)", Own, |_| ()),
    ("Q4_0, packed (GGUF)", Rewritten(Storage::Q4_0), |_| ()),
    ("INT8, a scale a row", Floats, |config| {
        config.quantization_bit = Some(8)
    }),
    ("FP8 E4M3, a scale a row", Floats, |config| {
        config.fp8 = Some(Fp8Format::E4m3)
    }),
    ("FP8 E4M3, a scale a tensor", Floats, |config| {
        (config.fp8, config.fp8_scale) = (Some(Fp8Format::E4m3), Fp8Scale::Tensor);
    }),
    ("FP8 E4M3, blocks of 128", Floats, |config| {
        (config.fp8, config.fp8_scale) = (Some(Fp8Format::E4m3), Fp8Scale::Block);
    }),
    ("FP8 E5M2, a scale a row", Floats, |config| {
        config.fp8 = Some(Fp8Format::E5m2)
    }),
    ("NF4", Floats, |config| {
        (config.quantization_bit, config.bnb_4bit_use_double_quant) = (Some(4), false);
    }),
    ("NF4, double quantisation", Floats, |config| {
        config.quantization_bit = Some(4)
    }),
    ("FP4", Floats, |config| {
        (config.quantization_bit, config.bnb_4bit_use_double_quant) = (Some(4), false);
        config.bnb_4bit_quant_type = QuantType::Fp4;
    }),
    ("FP4, double quantisation", Floats, |config| {
        config.quantization_bit = Some(4);
        config.bnb_4bit_quant_type = QuantType::Fp4;
    }),
];

fn main() -> Result<()> {
    let word = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let Some(word) = word.filter(|word| word.starts_with("quality")) else {
        eprintln!("quality: left out; `cargo xtask bench quality` runs it");
        return Ok(());
    };
    let rows: Vec<&Row> = ROWS
        .iter()
        .filter(|(name, ..)| format!("quality-{name}").starts_with(&word))
        .collect();
    if rows.is_empty() {
        bail!("there is no {word}; there are quality, quality-Q5, quality-NF4 and so on");
    }
    let gguf = PathBuf::from(std::env::var_os(MODEL).with_context(|| format!("{MODEL} names no GGUF file"))?);
    println!("| base | bytes a parameter | perplexity | after LoRA |");
    println!("| --- | ---: | ---: | ---: |");
    for (name, form, set) in rows {
        let mut config = config();
        set(&mut config);
        let (bytes, before, after) = run(model(&gguf, *form)?, config).with_context(|| (*name).to_owned())?;
        println!("| {name} | {bytes:.2} | {before:.2} | {after:.2} |");
    }
    Ok(())
}

/// Ten steps on the start of a novel, scored on its held-out blocks.
fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "SmolLM2-135M-Instruct".into(),
        train_file: "austen.txt".into(),
        cutoff_len: 128,
        per_device_train_batch_size: 2,
        per_device_eval_batch_size: 4,
        gradient_accumulation_steps: 1,
        max_samples: Some(200),
        val_size: 16.0,
        max_steps: 10,
        lora_dropout: 0.0,
        learning_rate: 5e-4,
        eval_steps: 0.0,
        save_steps: 0.0,
        ..RunConfig::default()
    }
}

/// Bytes a parameter of the base, and the perplexity before and after.
fn run(model: Vec<Source>, config: RunConfig) -> Result<(f64, f64, f64)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/data/austen.txt");
    let mut session = TestSession::with(DeviceChoice::Cpu, model, DiskFile::source(data)?);
    session.train(config);
    let mut models = session.events.iter().rev().filter_map(|event| match event {
        Event::Model(info) => Some(info.weight_bytes as f64 / info.parameters as f64),
        _ => None,
    });
    let bytes = models.next().context("no model was loaded")?;
    let evals = session.evals();
    ensure!(evals.len() >= 2, "the run was not scored: {:?}", session.events.last());
    Ok((bytes, evals[0].perplexity, evals[evals.len() - 1].perplexity))
}

/// The model of a GGUF file in a form.
fn model(gguf: &Path, form: Form) -> Result<Vec<Source>> {
    let file: Source = DiskFile::source(gguf)?;
    Ok(match form {
        Floats => decode(gguf)?,
        Own => vec![file],
        Rewritten(storage) => vec![MemoryFile::source(
            file.name(),
            ggml::rewrite(&file, Storage::Q4_1, storage)?,
        )],
    })
}

/// The model of a GGUF file as a folder of 32-bit floats.
fn decode(gguf: &Path) -> Result<Vec<Source>> {
    let files = block_on(ModelFiles::open_path(gguf))?;
    let mut tensors = Vec::new();
    for entry in files.entries() {
        let (shape, values) = block_on(files.read_f32(&entry.name))?;
        tensors.push((entry.name.clone(), shape, values));
    }
    let tokenizer = files.tokenizer.as_ref().context("the file holds no tokenizer")?;
    Ok(vec![
        MemoryFile::source("config.json", files.config.to_string().into_bytes()),
        MemoryFile::source("model.safetensors", write_f32(&tensors)?),
        MemoryFile::source("tokenizer.json", tokenizer.to_json()?.into_bytes()),
    ])
}
