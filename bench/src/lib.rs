//! What the benches measure: whole training steps of fixed models on fixed, synthetic batches.
//!
//! The cases are code of the engine, so that one and the same step is timed natively and in a browser; starting processes
//! or workers, and writing numbers down, is left to whoever calls [`measure`]. The peers that a case stands beside are
//! named where the case is.

use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use lorakeet_core::config::{RunConfig, TargetModules};
use lorakeet_core::data::Batch;
use lorakeet_core::device;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::estimate::{StepWork, estimate_with_work};
use lorakeet_core::formats::{ModelFiles, peft::AdapterConfig};
use lorakeet_core::host::Host;
use lorakeet_core::models::{Model, Parameter, Parameters, read};
use lorakeet_core::ops;
use lorakeet_core::probe::probe;
use lorakeet_core::protocol::{DeviceChoice, DeviceInfo, Probe};
use lorakeet_core::random::Generator;
use lorakeet_core::tasks::Objective;
use lorakeet_core::train::optim::AdamW;
use lorakeet_core::train::step::{StepSettings, train_step};
use lorakeet_i18n::{Field, messages::device as msg};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

mod gpu_work;

pub use gpu_work::{GpuCounts, GpuWork};

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

/// Steps that are taken before any is measured: the first compile kernels and fill pools.
pub const WARM_UP_STEPS: usize = 5;
/// Steps that are measured.
pub const STEPS: usize = 20;

const SEED: u64 = 42;
const LEARNING_RATE: f64 = 1e-3;
/// In and out of each of the perceptron's layers, and its batch.
const MLP_WIDTH: usize = 256;
const MLP_ROWS: usize = 128;
/// Two products forward and three back: x wants no gradient.
const MLP_OPERATIONS: u64 = 5 * 2 * (MLP_ROWS * MLP_WIDTH * MLP_WIDTH) as u64;

/// Something to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    work: Work,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Mlp,
    Lora {
        /// A decoder with fresh weights; `None` is the model that the caller brings along.
        fresh: Option<Decoder>,
        r: usize,
        rows: usize,
        tokens: usize,
    },
}

/// A decoder of Llama's architecture whose head is its embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decoder {
    layers: usize,
    width: usize,
    inner: usize,
    heads: usize,
    kv_heads: usize,
    vocab: usize,
}

/// Heads, vocabulary and the factor of the inner width are the defaults of the peer, @genai-fi/nanogpt.
const TWO_LAYERS: Decoder = Decoder {
    layers: 2,
    width: 64,
    inner: 256,
    heads: 4,
    kv_heads: 4,
    vocab: 2000,
};

/// The shapes of the model that comes with the page.
const FOUR_LAYERS: Decoder = Decoder {
    layers: 4,
    width: 192,
    inner: 512,
    heads: 6,
    kv_heads: 2,
    vocab: 3072,
};

/// Every case.
pub const CASES: [Case; 5] = [
    // Beside jax-js and TF.js, which train the same layers in a browser.
    Case {
        name: "mlp",
        work: Work::Mlp,
    },
    // Beside @genai-fi/nanogpt in a browser.
    Case::lora("lora-64", Some(TWO_LAYERS), 4, 4, 64),
    Case::lora("lora-192", Some(FOUR_LAYERS), 8, 4, 128),
    // SmolLM2-135M, beside transformers with PEFT on two CPU threads.
    Case::lora("smollm2-2x64", None, 8, 2, 64),
    Case::lora("smollm2-1x512", None, 8, 1, 512),
];

impl Case {
    const fn lora(name: &'static str, fresh: Option<Decoder>, r: usize, rows: usize, tokens: usize) -> Self {
        let work = Work::Lora { fresh, r, rows, tokens };
        Self { name, work }
    }

    /// Whether [`measure`] has to be given a model's files.
    pub fn needs_model(&self) -> bool {
        matches!(self.work, Work::Lora { fresh: None, .. })
    }
}

/// The case and the device that words like `mlp gpu` or `lora-64 cpu` mean.
///
/// # Errors
/// There is no such case or device.
pub fn find(words: &str) -> Result<(Case, DeviceChoice)> {
    let unknown = || {
        let what = msg::UnknownCase {
            words: format!("{words:?}"),
        };
        Error::config(what).remedy(msg::CasesAre {
            names: Field::list(CASES.iter().map(|case| case.name)),
        })
    };
    let (name, device) = words.split_once(' ').ok_or_else(unknown)?;
    let case = CASES.into_iter().find(|case| case.name == name).ok_or_else(unknown)?;
    let device = match device {
        "gpu" => DeviceChoice::Gpu,
        "cpu" => DeviceChoice::Cpu,
        _ => return Err(unknown()),
    };
    Ok((case, device))
}

/// What was measured, and on what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The case's name.
    pub case: String,
    /// The model and what is trained of it, in words.
    pub model: String,
    /// Rows of a batch.
    pub rows: usize,
    /// Tokens of a row; `None` where rows hold no tokens.
    pub tokens: Option<usize>,
    /// Weights of the model.
    pub weights: u64,
    /// Weights that are trained.
    pub trained_weights: u64,
    /// Where it ran.
    pub device: DeviceInfo,
    /// What was measured on it after the steps.
    pub probe: Probe,
    /// Billions of multiplications and additions in a step's products.
    pub gflop: f64,
    /// The rate of the median step, as a share of the rate of large square products on this device.
    pub share_of_peak: f64,
    /// What `lorakeet_core::estimate` makes of a step's work and what was measured, where it knows the run.
    pub forecast_ms: Option<f64>,
    /// Kernels that a step launches on a GPU, burn's own among them.
    pub launches: Option<u64>,
    /// What a step asks of WebGPU; filled in by the caller, in a browser.
    pub gpu: Option<GpuWork>,
    /// Steps that were measured, after [`WARM_UP_STEPS`].
    pub steps: usize,
    /// The median of the measured steps: forward, backward, update, all read back.
    pub median_ms: f64,
    /// The quickest of them.
    pub min_ms: f64,
    /// The slowest of them.
    pub max_ms: f64,
    /// The very first step: what new shapes cost on top.
    pub first_step_ms: f64,
    /// Tokens of a batch by the median.
    pub tokens_per_second: Option<f64>,
    /// Bytes that live tensors take on the device afterwards, where it counts them.
    pub device_bytes: Option<u64>,
    /// The most memory that the process (in a browser the worker's WebAssembly) ever took; filled in by the caller, since
    /// the engine knows no operating system.
    pub peak_bytes: Option<u64>,
    /// The loss before the first step.
    pub first_loss: f64,
    /// The loss before the last step, which is lower: what was measured did train.
    pub last_loss: f64,
}

/// Measures `case` on the device of that choice; `model` is the one that the case is given where it needs one. `stepped` is
/// called before the first step and after each.
///
/// # Errors
/// No such device or no model, whatever the device reports, and steps that did not lower the loss: a kernel that a browser
/// refused leaves old numbers in place, and those would be quick.
pub async fn measure(
    case: Case,
    choice: DeviceChoice,
    host: &Host,
    model: Option<&ModelFiles>,
    stepped: &mut dyn FnMut(),
) -> Result<Measurement> {
    let (device, info) = device::open(choice).await?;
    let (mut training, work) = Training::new(case.work, &device, model).await?;
    let (mut times_ms, mut losses) = (Vec::new(), Vec::new());
    let mut launches: u64 = 0;
    stepped();
    for step in 1..=WARM_UP_STEPS + STEPS {
        // Counting takes time, so that no step is counted that is measured.
        let count = (step == WARM_UP_STEPS).then(device::count_launches);
        let start_ms = (host.now_ms)();
        losses.push(training.step(step, host).await?);
        times_ms.push((host.now_ms)() - start_ms);
        if let Some(count) = count {
            launches = count.take().values().sum();
        }
        stepped();
    }
    if let Some(fault) = device::take_fault() {
        return Err(fault);
    }
    let (first_loss, last_loss) = (losses[0], losses[losses.len() - 1]);
    if last_loss >= first_loss || !last_loss.is_finite() {
        let what = msg::LossDidNotFall {
            case: case.name,
            first: first_loss,
            last: last_loss,
        };
        return Err(Error::internal(what).remedy(msg::TimesMeanNothing));
    }
    let first_step_ms = times_ms[0];
    let mut measured = times_ms.split_off(WARM_UP_STEPS);
    measured.sort_by(f64::total_cmp);
    let median_ms = f64::midpoint(measured[(STEPS - 1) / 2], measured[STEPS / 2]);
    let (rows, tokens) = match case.work {
        Work::Mlp => (MLP_ROWS, None),
        Work::Lora { rows, tokens, .. } => (rows, Some(tokens)),
    };
    let device_bytes = device::memory_bytes(&device);
    let probe = probe(&device, host).await?;
    let gflop = 1e-9 * work.as_ref().map_or(MLP_OPERATIONS, StepWork::operations) as f64;
    Ok(Measurement {
        case: case.name.into(),
        model: training.words(),
        rows,
        tokens,
        weights: training.weights(),
        trained_weights: training.parameters().weights(),
        device: info,
        probe,
        gflop,
        share_of_peak: 1e3 * gflop / median_ms / probe.gflops,
        forecast_ms: work.map(|work| 1e3 * work.seconds(&probe)),
        launches: (launches > 0).then_some(launches),
        gpu: None,
        steps: STEPS,
        median_ms,
        min_ms: measured[0],
        max_ms: measured[STEPS - 1],
        first_step_ms,
        tokens_per_second: tokens.map(|tokens| (rows * tokens) as f64 / median_ms * 1000.0),
        device_bytes,
        peak_bytes: None,
        first_loss,
        last_loss,
    })
}

/// A model, its optimizer and the one batch that it is trained on.
enum Training {
    Mlp(Box<Mlp>),
    Lora(Box<Lora>),
}

impl Training {
    /// It, and what there is to do in a step of it, where that is known.
    async fn new(work: Work, device: &Device, given: Option<&ModelFiles>) -> Result<(Self, Option<StepWork>)> {
        let (decoder, r, rows, tokens) = match work {
            Work::Mlp => return Ok((Self::Mlp(Box::new(Mlp::new(device))), None)),
            Work::Lora { fresh, r, rows, tokens } => (fresh, r, rows, tokens),
        };
        let fresh = decoder.map(|decoder| ModelFiles::from_config("decoder with fresh weights", decoder.config()));
        let files = fresh.as_ref().or(given);
        let files = files.ok_or_else(|| Error::config(msg::CaseNeedsModel))?;
        let config = RunConfig {
            lora_r: r,
            target_modules: TargetModules::Pattern("all-linear".into()),
            per_device_train_batch_size: rows,
            gradient_accumulation_steps: 1,
            cutoff_len: tokens,
            ..RunConfig::default()
        };
        let (_, work) = estimate_with_work(files, &config, None, device::largest_buffer_bytes(device)).await?;
        let lora = Lora::new(files, r, rows, tokens, device).await?;
        Ok((Self::Lora(Box::new(lora)), work))
    }

    /// One training step, waited for; gives the loss before it.
    async fn step(&mut self, step: usize, host: &Host) -> Result<f64> {
        match self {
            Self::Mlp(mlp) => mlp.step().await,
            Self::Lora(lora) => lora.step(step, host).await,
        }
    }

    fn parameters(&self) -> &Parameters {
        match self {
            Self::Mlp(mlp) => &mlp.parameters,
            Self::Lora(lora) => &lora.model.parameters,
        }
    }

    fn weights(&self) -> u64 {
        match self {
            Self::Mlp(mlp) => mlp.parameters.weights(),
            Self::Lora(lora) => lora.model.info.parameters,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Mlp(_) => {
                format!(
                    "perceptron {MLP_WIDTH}→{MLP_WIDTH}→{MLP_WIDTH} with biases and ReLU, MSE, all trained by AdamW"
                )
            }
            Self::Lora(lora) => {
                let info = &lora.model.info;
                format!(
                    "{} ({}), {} layers × {}, vocabulary {}, LoRA r {} on all linears by AdamW",
                    info.name, info.model_type, info.num_hidden_layers, info.hidden_size, info.vocab_size, lora.r
                )
            }
        }
    }
}

impl Decoder {
    /// Hugging Face's config.json of it.
    fn config(self) -> Value {
        json!({
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "num_hidden_layers": self.layers,
            "tie_word_embeddings": true,
            "vocab_size": self.vocab,
        })
    }
}

/// y = relu(x·W₁ᵀ + b₁)·W₂ᵀ + b₂, fitted to noise by the mean squared error.
struct Mlp {
    parameters: Parameters,
    optimizer: AdamW,
    x: Tensor<2>,
    target: Tensor<2>,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        let mut generator = Generator::new(SEED, "init");
        let mut parameters = Parameters::default();
        let bound = (MLP_WIDTH as f64).sqrt().recip();
        for layer in 1..=2 {
            for (part, shape) in [("weight", vec![MLP_WIDTH, MLP_WIDTH]), ("bias", vec![MLP_WIDTH])] {
                let count = shape.iter().product();
                let values: Vec<f32> = (0..count)
                    .map(|_| ((generator.uniform() * 2.0 - 1.0) * bound) as f32)
                    .collect();
                parameters.push(Parameter {
                    name: format!("layer{layer}.{part}"),
                    shape,
                    decay: false,
                    value: Tensor::from_data(TensorData::new(values, [count]), device),
                });
            }
        }
        let mut noise = || {
            let values: Vec<f32> = (0..MLP_ROWS * MLP_WIDTH).map(|_| generator.normal() as f32).collect();
            Tensor::from_data(TensorData::new(values, [MLP_ROWS, MLP_WIDTH]), device)
        };
        let (x, target) = (noise(), noise());
        let optimizer = AdamW::new(&parameters, &RunConfig::default());
        Self {
            parameters,
            optimizer,
            x,
            target,
        }
    }

    async fn step(&mut self) -> Result<f64> {
        let mut gradients = self.optimizer.gradients(&mut self.parameters);
        let leaves = self.parameters.tracked();
        let matrix = |i| leaves.get(i).reshape([MLP_WIDTH, MLP_WIDTH]);
        let hidden = relu(ops::linear(self.x.clone(), matrix(0), Some(leaves.get(1)), false));
        let y = ops::linear(hidden, matrix(2), Some(leaves.get(3)), false);
        let error = y - self.target.clone();
        let loss = (error.clone() * error).mean();
        gradients.add(&leaves, loss.clone());
        self.optimizer.step(&mut self.parameters, gradients, LEARNING_RATE, 1.0);
        // One number of each updated tensor comes back with the loss: nothing of the step can be left undone.
        let updated = self
            .parameters
            .iter()
            .map(|parameter| parameter.value.clone().slice(0..1));
        let numbers: Vec<Tensor<1>> = [loss.inner()].into_iter().chain(updated).collect();
        Ok(f64::from(read(Tensor::cat(numbers, 0)).await?[0]))
    }
}

/// Adapters on all linears of a frozen decoder, trained on rows of tokens that were drawn once.
struct Lora {
    model: Model,
    optimizer: AdamW,
    batch: Batch,
    r: usize,
}

impl Lora {
    async fn new(files: &ModelFiles, r: usize, rows: usize, tokens: usize, device: &Device) -> Result<Self> {
        let mut model = Model::load(files, false, SEED, device, &mut |_, _| ()).await?;
        let config = AdapterConfig {
            r,
            lora_alpha: 2.0 * r as f64,
            target_modules: TargetModules::Pattern("all-linear".into()),
            ..AdapterConfig::default()
        };
        model.attach_lora(&config, SEED)?;
        let optimizer = AdamW::new(&model.parameters, &RunConfig::default());
        let mut generator = Generator::new(SEED, "tokens");
        let input_ids: Vec<u32> = (0..rows * tokens)
            .map(|_| generator.below(model.info.vocab_size) as u32)
            .collect();
        let batch = Batch {
            rows,
            tokens,
            attention_mask: vec![1.0; rows * tokens],
            labels: input_ids.iter().map(|&id| id as i32).collect(),
            input_ids,
            target_tokens: rows * (tokens - 1),
            input_tokens: rows * tokens,
            ..Batch::default()
        };
        Ok(Self {
            model,
            optimizer,
            batch,
            r,
        })
    }

    /// The step of a real run. It reads the loss back before its update, so what it waits for is the update of the step
    /// before; over many steps each pays for exactly one.
    async fn step(&mut self, step: usize, host: &Host) -> Result<f64> {
        let settings = StepSettings {
            step,
            learning_rate: LEARNING_RATE,
            max_grad_norm: 1.0,
            dropout_seed: None,
            gradient_checkpointing: false,
        };
        let batches = std::slice::from_ref(&self.batch);
        let done = train_step(
            &mut self.model,
            &mut self.optimizer,
            &Objective::default(),
            batches,
            settings,
            host,
        )
        .await?;
        Ok(done.loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_found_by_its_name_and_an_unknown_one_names_them_all() {
        for case in CASES {
            assert_eq!(find(&format!("{} gpu", case.name)), Ok((case, DeviceChoice::Gpu)));
        }
        for words in ["mpl gpu", "mlp tpu", "mlp", ""] {
            let error = find(words).expect_err("no such case").to_string();
            assert!(CASES.iter().all(|case| error.contains(case.name)), "{error}");
        }
    }

    #[test]
    fn a_case_of_a_real_model_says_that_it_needs_one() {
        let needing = CASES.iter().filter(|case| case.needs_model());
        assert!(needing.map(|case| case.name).eq(["smollm2-2x64", "smollm2-1x512"]));
    }
}
