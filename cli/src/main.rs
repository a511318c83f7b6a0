//! The `lorakeet` command: the engine without a page. Results go to standard output, progress and messages to standard error.
//!
//! Exit status: 0 done, 1 failed, 2 a wrong flag or setting, 130 interrupted by Ctrl-C, SIGTERM or a closed terminal (what was
//! learnt is saved).

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

mod advise;
mod ask;
mod audit;
mod baselines;
mod check;
mod cluster;
mod commands;
mod compare;
mod convert;
mod data_sets;
mod devices;
mod export;
mod find_rate;
mod hub;
mod inspect;
mod interrupt;
mod json;
mod log;
mod output;
mod report;
mod runs;
mod screen;
mod sweep;
mod train;
mod trained;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lorakeet_core::config::Trainer;
use lorakeet_core::error::Kind;
use lorakeet_core::export::Form;
use lorakeet_core::formats::Storage;
use lorakeet_core::protocol::DeviceChoice;
use std::path::PathBuf;
use std::process::ExitCode;

/// Fine-tune small language models on your own machine.
#[derive(Parser)]
#[command(name = "lorakeet", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Action,
    /// Print events as JSON, one a line, on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Device to compute on; auto takes a GPU if there is one.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    device: OnDevice,
}

#[derive(Subcommand)]
enum Action {
    /// Train a model.
    Train(Train),
    /// Show the resolved settings: every key, its value, where it comes from, what it does; or explain one key.
    Check(Check),
    /// Recommend settings for a run, or for a model and data, each with its reason, and warn about unwise ones.
    Advise(Advise),
    /// Score the baselines on the held-out rows of a run, or of a model and data: majority class, nearest centroid, linear probe,
    /// BM25, the model before training; and say whether tuning may be worth it. Writes no files.
    Baselines(Advise),
    /// Search for a learning rate with a range test on the model and data of the run: the rate grows step by step until the loss
    /// explodes. Writes no files.
    FindRate(FindRate),
    /// Audit data before training: duplicates, leakage between training and held-out rows, conflicting and
    /// probably wrong labels, empty and overlong rows, encoding errors, personal data.
    Audit(Audit),
    /// Score a model on data: the loss and the metrics of the task. For the folder of a run: the trained model on its held-out rows.
    Eval(ask::Eval),
    /// Predict rows with the trained model of a run, the worst errors first if the rows have labels. Predictions go to standard
    /// output, scores to standard error.
    Predict(ask::Predict),
    /// Generate a text from a prompt.
    Generate(ask::Generate),
    /// Export a trained model for other programs (merged, GGUF, adapter for PEFT, llama.cpp or MLX), or the run itself for a cluster.
    Export(Export),
    /// Merge the adapter of a run into its base model and score it again: same as export --to merged.
    Merge(Merge),
    /// Quantize a model to one GGUF file or for bitsandbytes, and report the error of its weights.
    Quantize(Quantize),
    /// Convert an adapter or a model to another format without loss; the result is read back and compared.
    Convert(Convert),
    /// List the runs in a folder: date, task, model, steps, state, last loss and score, size.
    Runs {
        /// The folder to search.
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Show one run: settings, data, events, checkpoints, report, files.
    Show {
        /// The run's output_dir, or its run file.
        run: PathBuf,
    },
    /// Write a run's results as one page: the verdict and the next step, scores beside the baselines, curves, slices, samples,
    /// the worst errors, settings and fingerprints.
    Report(report::Wish),
    /// Train with several values of some settings, stop runs that fall behind, and compare the results. The same command continues
    /// an interrupted sweep.
    Sweep(Sweep),
    /// Compare runs: the settings that differ, the final scores, the losses at equal steps.
    Compare {
        /// Each run's output_dir, or its run file.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
    },
    /// Describe a model's files: architecture, parameters, storage formats, and the memory of a run on it.
    Info(Info),
    /// Show what files contain: a model or an adapter of PEFT, llama.cpp or mlx-lm; tensors by shape and format,
    /// metadata, rank and scale.
    Inspect(Inspect),
    /// Compare two adapters or two models, by tensor and by layer.
    Diff(Diff),
    /// List the available devices with their limits, and measure their speed: half a second each.
    Devices {
        /// Do not measure the speed.
        #[arg(long)]
        no_probe: bool,
    },
}

#[derive(Args)]
struct RunFile {
    /// The run file, YAML or JSON.
    run: PathBuf,
    /// Override a key of the run file; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct Check {
    /// The run file, YAML or JSON.
    #[arg(required_unless_present = "explain")]
    run: Option<PathBuf>,
    /// Override a key of the run file; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Explain one key instead: its values, how to choose one, and why.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "set"])]
    explain: Option<String>,
}

#[derive(Args)]
struct Train {
    #[command(flatten)]
    run: RunFile,
    /// A prompt to continue before, during and after training, to see the change.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Continue from a checkpoint-N folder of an earlier run; true takes the newest complete one in output_dir.
    #[arg(long, value_name = "FOLDER")]
    resume_from_checkpoint: Option<String>,
}

#[derive(Args)]
struct Sweep {
    #[command(flatten)]
    run: RunFile,
    /// A setting and its values (values that are lists in brackets); may be repeated, all combinations are tried. The key sweep of
    /// the run file, a map from settings to lists of values, adds to them.
    #[arg(long = "knob", value_name = "KNOB=VALUE,VALUE")]
    knobs: Vec<String>,
    /// Try only N of the combinations, drawn with the seed of the run.
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// The most time that this call may take, such as 30m, 2h or 90s.
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Train every run to its end. Without it (successive halving), of four runs or more the half with the lower held-out loss
    /// continues after a quarter of the steps, and half of those after half of the steps.
    #[arg(long)]
    no_halving: bool,
}

#[derive(Args)]
struct Advise {
    /// The run file; or a model, followed by data.
    #[arg(value_name = "RUN_OR_MODEL")]
    run: PathBuf,
    /// The data.
    data: Option<PathBuf>,
    /// Override a key of the run file; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct FindRate {
    #[command(flatten)]
    run: RunFile,
    /// The rate of the first step.
    #[arg(long, value_name = "RATE", default_value_t = 1e-7)]
    from: f64,
    /// The rate of the last step, at most 1.
    #[arg(long, value_name = "RATE", default_value_t = 1.0)]
    to: f64,
    /// Optimizer steps, at least 20: fewer take less time.
    #[arg(long, default_value_t = 100)]
    steps: usize,
}

#[derive(Args)]
struct Audit {
    /// A data file, or a run file (.yaml) for its data, validation data, columns and lengths.
    #[arg(value_name = "DATA_OR_RUN")]
    data: PathBuf,
    /// The model whose tokenizer counts tokens; a path, or ORG/NAME on a hub. Default: the model of the run file if it is a path,
    /// else lengths are estimated.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The encoding of the files, by Python's name: utf-8, utf-16, gb18030, cp1252.
    #[arg(long)]
    encoding: Option<String>,
    /// Set a key of run files, such as label_columns=kind; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the data without empty rows and exact duplicates to a new file.
    #[arg(long, value_name = "CLEAN.jsonl")]
    write: Option<PathBuf>,
}

#[derive(Args)]
struct Info {
    /// A folder in Hugging Face's layout, a GGUF file, or a model on a hub: ORG/NAME, optionally with @REVISION and :FILE.
    model: PathBuf,
    /// The run file whose memory is estimated, YAML or JSON; default: a run with default settings.
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Override a key of the run; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Measure the device, and estimate the time of a step of the run.
    #[arg(long)]
    time: bool,
}

#[derive(Args)]
struct Inspect {
    /// A file or a folder, or ORG/NAME on a hub.
    path: PathBuf,
    /// List every tensor, instead of one line for all layers.
    #[arg(long)]
    tensors: bool,
}

#[derive(Args)]
struct Diff {
    /// An adapter or a model: a file, a folder, or ORG/NAME on a hub.
    a: PathBuf,
    /// Another one.
    b: PathBuf,
    /// The base of both adapters, needed if one is a GGUF file and the other is not.
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// List every tensor, instead of the largest changes.
    #[arg(long)]
    tensors: bool,
}

#[derive(Args)]
struct Export {
    /// A run file, a run's output_dir, a checkpoint, an adapter (of PEFT, llama.cpp or mlx-lm), or a fully fine-tuned model.
    #[arg(value_name = "RUN_OR_ADAPTER")]
    run: PathBuf,
    /// The format: an adapter for PEFT, a merged folder in Hugging Face's layout, the same for sentence-transformers, one GGUF file,
    /// or an adapter for llama.cpp or MLX; or the run as a script for transformers and PEFT, or as a run file of another trainer.
    #[arg(long, value_enum)]
    to: ExportForm,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct Target {
    /// The base model, instead of the one named by the run or the adapter; a path, or ORG/NAME on a hub.
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// The number format; default: that of the base's files, float16 for gguf, float32 for adapters.
    #[arg(long, value_enum, ignore_case = true)]
    dtype: Option<Dtype>,
    /// A new folder.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
    /// The largest file of a merged model, such as 2GB; default: 5GB.
    #[arg(long = "max_shard_size", alias = "max-shard-size", value_name = "SIZE")]
    max_shard_size: Option<String>,
    /// After a run with quantization_bit or fp8: merge the adapter into the dequantized base that the run computed with, instead of
    /// the original weights.
    #[arg(long)]
    dequantized: bool,
    /// The licence for the model card, such as apache-2.0; default: that of the base, if its files name one.
    #[arg(long, value_name = "NAME")]
    license: Option<String>,
    /// Do not read the export back and score it on the held-out rows of the run.
    #[arg(long = "no-check")]
    no_check: bool,
}

#[derive(Args)]
struct Merge {
    /// A run file, a run's output_dir, a checkpoint, or an adapter (of PEFT, llama.cpp or mlx-lm).
    #[arg(value_name = "RUN_OR_ADAPTER")]
    run: PathBuf,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct Quantize {
    /// A folder in Hugging Face's layout, a GGUF file, or a model on a hub: ORG/NAME, optionally with @REVISION and :FILE.
    model: PathBuf,
    /// The number format: of a GGUF file, or, with bnb-, of the linear layers in a folder that transformers loads with bitsandbytes
    /// (NF4 and FP4 with double quantization). FP8 is for the base of a run (fp8); it is not written to files.
    #[arg(long, value_enum, ignore_case = true)]
    to: convert::QuantizeTo,
    /// A new folder.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
    /// Do not read the file back and compare it with the model.
    #[arg(long = "no-check")]
    no_check: bool,
}

#[derive(Args)]
struct Convert {
    /// An adapter (of PEFT, llama.cpp or mlx-lm) or a model: a file, a folder, or ORG/NAME on a hub.
    path: PathBuf,
    /// The format: peft, gguf-adapter or mlx for an adapter; safetensors (a folder in Hugging Face's layout) or gguf for a model.
    #[arg(long, value_enum)]
    to: ConvertForm,
    /// The base of an adapter, instead of the one it names; a path, or ORG/NAME on a hub.
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// A new folder.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum ConvertForm {
    Peft,
    GgufAdapter,
    Mlx,
    Safetensors,
    Gguf,
}

impl From<ConvertForm> for Form {
    fn from(form: ConvertForm) -> Self {
        match form {
            ConvertForm::Peft => Self::Peft,
            ConvertForm::GgufAdapter => Self::GgufAdapter,
            ConvertForm::Mlx => Self::Mlx,
            ConvertForm::Safetensors => Self::Merged,
            ConvertForm::Gguf => Self::Gguf,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ExportForm {
    Peft,
    Merged,
    SentenceTransformers,
    Gguf,
    GgufAdapter,
    Mlx,
    Script,
    #[value(name = "llamafactory")]
    LlamaFactory,
    Axolotl,
    Trl,
}

/// What an export writes.
#[derive(Clone, Copy)]
enum Exported {
    /// What was learnt.
    Weights(Form),
    /// The run as a script.
    Script,
    /// The run as another trainer's run file.
    RunFile(Trainer),
}

impl From<ExportForm> for Exported {
    fn from(form: ExportForm) -> Self {
        match form {
            ExportForm::Peft => Self::Weights(Form::Peft),
            ExportForm::Merged => Self::Weights(Form::Merged),
            ExportForm::SentenceTransformers => Self::Weights(Form::SentenceTransformers),
            ExportForm::Gguf => Self::Weights(Form::Gguf),
            ExportForm::GgufAdapter => Self::Weights(Form::GgufAdapter),
            ExportForm::Mlx => Self::Weights(Form::Mlx),
            ExportForm::Script => Self::Script,
            ExportForm::LlamaFactory => Self::RunFile(Trainer::LlamaFactory),
            ExportForm::Axolotl => Self::RunFile(Trainer::Axolotl),
            ExportForm::Trl => Self::RunFile(Trainer::Trl),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Dtype {
    Float32,
    Float16,
    Bfloat16,
    #[value(name = "q8_0")]
    Q8,
    /// llama.cpp's mix of Q5_K and Q6_K.
    #[value(name = "q5_k_m")]
    Q5Mix,
    /// llama.cpp's mix of Q4_K and Q6_K.
    #[value(name = "q4_k_m")]
    Q4Mix,
    #[value(name = "q4_0")]
    Q4,
    #[value(name = "q4_1")]
    Q4WithMinimum,
}

impl From<Dtype> for Storage {
    fn from(dtype: Dtype) -> Self {
        match dtype {
            Dtype::Float32 => Self::F32,
            Dtype::Float16 => Self::F16,
            Dtype::Bfloat16 => Self::BF16,
            Dtype::Q8 => Self::Q8_0,
            Dtype::Q5Mix => Self::Q5K,
            Dtype::Q4Mix => Self::Q4K,
            Dtype::Q4 => Self::Q4_0,
            Dtype::Q4WithMinimum => Self::Q4_1,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum OnDevice {
    Auto,
    Gpu,
    Cpu,
}

impl From<OnDevice> for DeviceChoice {
    fn from(device: OnDevice) -> Self {
        match device {
            OnDevice::Auto => Self::Auto,
            OnDevice::Gpu => Self::Gpu,
            OnDevice::Cpu => Self::Cpu,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(status) => {
            lorakeet_core::device::finish();
            status
        }
        Err(error) => {
            screen::say(&format!("error: {error}"));
            ExitCode::from(match error.kind {
                Kind::Config => 2,
                Kind::Stopped => commands::INTERRUPTED,
                _ => 1,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_temperature_asks_for_sampling() {
        let parse = |words: &[&str]| match Cli::parse_from(words).command {
            Action::Generate(generate) => generate.options(),
            _ => panic!("another command"),
        };
        assert!(!parse(&["lorakeet", "generate", "--model", "m", "Hello"]).do_sample);
        let options = parse(&["lorakeet", "generate", "--model", "m", "Hello", "--temperature", "0.7"]);
        assert!(options.do_sample && options.temperature == 0.7);
    }

    #[test]
    fn number_formats_have_the_names_of_the_engine() {
        for dtype in Dtype::value_variants() {
            let name = dtype.to_possible_value().expect("a name").get_name().to_owned();
            let known = lorakeet_core::export::DTYPES.iter().find(|(known, _)| *known == name);
            assert_eq!(
                known.map(|(_, storage)| *storage),
                Some(Storage::from(*dtype)),
                "{name}"
            );
        }
        for form in ExportForm::value_variants() {
            let name = form.to_possible_value().expect("a name").get_name().to_owned();
            if let Exported::Weights(form) = Exported::from(*form) {
                assert_eq!(form.name(), name);
            }
        }
    }

    #[test]
    fn scoring_needs_a_run_file_or_a_model_and_data() {
        assert!(Cli::try_parse_from(["lorakeet", "eval"]).is_err());
        assert!(Cli::try_parse_from(["lorakeet", "eval", "--model", "m"]).is_err());
        assert!(Cli::try_parse_from(["lorakeet", "eval", "--model", "m", "--data", "d.txt"]).is_ok());
        assert!(Cli::try_parse_from(["lorakeet", "eval", "run.yaml"]).is_ok());
    }
}
