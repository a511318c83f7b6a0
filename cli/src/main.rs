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
    /// Where to compute; auto takes a GPU where there is one.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    device: OnDevice,
}

#[derive(Subcommand)]
enum Action {
    /// Run a training.
    Train(Train),
    /// Show the resolved run: every key, its value, where it came from, what it does; or explain one key.
    Check(Check),
    /// Recommend settings for a run, or for a model and data, each with its reason; and say what is unwise in those that it has.
    Advise(Advise),
    /// Score what needs no training, on the rows that a run, or a run of a model on data, holds out: majority class, nearest
    /// centroid, linear probe, BM25, the untouched model; and say whether tuning may be worth it. Nothing is written.
    Baselines(Advise),
    /// Search for a learning rate: it grows step by step on the run's own model and data, until the loss explodes. Nothing is written.
    FindRate(FindRate),
    /// Report what is wrong with data before training: duplicates, leakage between training and held-out rows, conflicting and
    /// probably wrong labels, empty and overlong rows, encoding faults, personal data.
    Audit(Audit),
    /// Score a model on data: its loss, and the task's metrics. Of a run's folder, what it learnt on the rows that it held out.
    Eval(ask::Eval),
    /// Answer rows with what a run learnt, the worst errors first where the rows have labels. Rows go to standard output, scores to
    /// standard error.
    Predict(ask::Predict),
    /// Continue a text.
    Generate(ask::Generate),
    /// Write what was learnt for other programs (a merged model, GGUF, an adapter for PEFT, llama.cpp or MLX), or the run itself for
    /// a cluster.
    Export(Export),
    /// Put what a run learnt into its base and score the model again: export --to merged.
    Merge(Merge),
    /// Write a model in fewer bits, as one GGUF file or for bitsandbytes, with how far its numbers moved.
    Quantize(Quantize),
    /// Write an adapter or a model in another form with the same numbers, read back and compared.
    Convert(Convert),
    /// List the runs under a folder: when, task, model, steps, how they stand, last loss and score, size.
    Runs {
        /// Where to look.
        #[arg(value_name = "DIR", default_value = ".")]
        folder: PathBuf,
    },
    /// Show one run: settings, what it read, events, checkpoints, report, files.
    Show {
        /// The run's output_dir, or its run file.
        run: PathBuf,
    },
    /// Write a run's results as one page: the verdict and the next step, scores beside the baselines, curves, slices, samples,
    /// the worst errors, settings and fingerprints.
    Report(report::Wish),
    /// Train a run with several values of some settings, stop those that fall behind, and compare what they came to. The same
    /// command goes on with a sweep that was interrupted.
    Sweep(Sweep),
    /// Compare runs: the settings that differ, the final scores, the losses at equal steps.
    Compare {
        /// Each run's output_dir, or its run file.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<PathBuf>,
    },
    /// Describe a model's files: architecture, parameters, storage formats, and the memory that a run on it takes.
    Info(Info),
    /// Say what files are and what they hold: a model or an adapter of PEFT, llama.cpp or mlx-lm; tensors by shape and format,
    /// metadata, rank and scale.
    Inspect(Inspect),
    /// Say how far two adapters or two models lie apart, by tensor and by layer.
    Diff(Diff),
    /// List the devices that can be used, with their limits, and measure those that can be opened: half a second each.
    Devices {
        /// Measure nothing.
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
    /// Explain a key instead: what it takes, how to choose it, and why.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["run", "set"])]
    explain: Option<String>,
}

#[derive(Args)]
struct Train {
    #[command(flatten)]
    run: RunFile,
    /// A text to continue before, during and after, so that the change can be read.
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Go on from a folder checkpoint-N that an earlier run wrote; true takes the newest whole one in output_dir.
    #[arg(long, value_name = "FOLDER")]
    resume_from_checkpoint: Option<String>,
}

#[derive(Args)]
struct Sweep {
    #[command(flatten)]
    run: RunFile,
    /// A setting and its values, in brackets those that are lists; may be repeated, and all combinations are tried. The run file's
    /// key sweep, a map from settings to lists of values, has some, too.
    #[arg(long = "knob", value_name = "KNOB=VALUE,VALUE")]
    knobs: Vec<String>,
    /// Try so many of the combinations, drawn by the run's seed.
    #[arg(long, value_name = "N")]
    random: Option<usize>,
    /// How long this call may take, such as 30m, 2h or 90s.
    #[arg(long, value_name = "TIME")]
    budget: Option<String>,
    /// Train every run to its end. Without it, of four runs or more the half with the lower held-out loss goes on after a quarter of
    /// the steps, and half of those after half of them.
    #[arg(long)]
    no_halving: bool,
}

#[derive(Args)]
struct Advise {
    /// The run file; or the model, where the data follow.
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
    /// Optimizer steps, from 20 on: fewer where time is short.
    #[arg(long, default_value_t = 100)]
    steps: usize,
}

#[derive(Args)]
struct Audit {
    /// A data file, or a run file (.yaml), whose data, validation data, columns and lengths are taken.
    #[arg(value_name = "DATA_OR_RUN")]
    data: PathBuf,
    /// The model whose tokens count; a path, or ORG/NAME on a hub. Without one, that of the run file where it is a path, else lengths
    /// are estimated.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The encoding of the files, by Python's name: utf-8, utf-16, gb18030, cp1252.
    #[arg(long)]
    encoding: Option<String>,
    /// Set a key of run files, such as label_columns=kind; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Write the data without empty rows and without rows that are the same as an earlier one, into a new file.
    #[arg(long, value_name = "CLEAN.jsonl")]
    write: Option<PathBuf>,
}

#[derive(Args)]
struct Info {
    /// A folder in Hugging Face's layout, a GGUF file, or a model of a hub: ORG/NAME, with @REVISION and :FILE where wanted.
    model: PathBuf,
    /// The run whose memory is estimated, YAML or JSON; else one with default settings.
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// Override a key of the run; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Measure the device, and say about how long a step of the run takes on it.
    #[arg(long)]
    time: bool,
}

#[derive(Args)]
struct Inspect {
    /// A file or a folder, or ORG/NAME on a hub.
    path: PathBuf,
    /// List every tensor, instead of those of all layers as one.
    #[arg(long)]
    tensors: bool,
}

#[derive(Args)]
struct Diff {
    /// An adapter or a model: a file, a folder, or ORG/NAME on a hub.
    a: PathBuf,
    /// Another one.
    b: PathBuf,
    /// The base of both adapters, where one is a GGUF file and the other is not.
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// List every tensor, instead of the largest changes.
    #[arg(long)]
    tensors: bool,
}

#[derive(Args)]
struct Export {
    /// A run file, a run's output_dir, a checkpoint, an adapter (of PEFT, llama.cpp or mlx-lm), or a model trained throughout.
    #[arg(value_name = "RUN_OR_ADAPTER")]
    run: PathBuf,
    /// The form: the adapter as PEFT has it, a merged folder in Hugging Face's layout, the same for sentence-transformers, one GGUF
    /// file, or the adapter for llama.cpp or MLX; or the run as a script for transformers and PEFT, or as a run file of another
    /// trainer.
    #[arg(long, value_enum)]
    to: ExportForm,
    #[command(flatten)]
    target: Target,
}

#[derive(Args)]
struct Target {
    /// The base model, instead of the one that the run or the adapter names; a path, or ORG/NAME on a hub.
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// The number format; without it that of the base's files, for gguf float16, for adapters float32.
    #[arg(long, value_enum, ignore_case = true)]
    dtype: Option<Dtype>,
    /// A new folder.
    #[arg(long = "output_dir", aliases = ["output-dir", "output"], value_name = "DIR")]
    output_dir: PathBuf,
    /// The most bytes of weights in one file of a merged model, such as 2GB; 5GB without it.
    #[arg(long = "max_shard_size", alias = "max-shard-size", value_name = "SIZE")]
    max_shard_size: Option<String>,
    /// Of a run with quantization_bit or fp8: put the adapter into the base as the run computed with it, rounded, instead of into
    /// the files' own numbers.
    #[arg(long)]
    dequantized: bool,
    /// The licence to name in the model card, such as apache-2.0; without it that of the base, where its files name one.
    #[arg(long, value_name = "NAME")]
    license: Option<String>,
    /// Do not read the export back and score it on the rows that the run holds out.
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
    /// A folder in Hugging Face's layout, a GGUF file, or a model of a hub: ORG/NAME, with @REVISION and :FILE where wanted.
    model: PathBuf,
    /// The number format: of a GGUF file, or, with bnb-, of the linears in a folder that transformers loads with bitsandbytes (NF4
    /// and FP4 with double quantization). FP8 is what a run may pack its base into (fp8); no file of it is written.
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
    /// The form: of an adapter peft, gguf-adapter or mlx; of a model safetensors, a folder in Hugging Face's layout, or gguf.
    #[arg(long, value_enum)]
    to: ConvertForm,
    /// The base of an adapter, instead of the one that it names; a path, or ORG/NAME on a hub.
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
