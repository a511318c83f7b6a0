//! `lorakeet report`: a run's results as one page of HTML or as Markdown, from the files in its folder.

use crate::commands::unwritable;
use crate::json;
use crate::log::{cannot_read, cannot_write};
use crate::runs::{Found, opened};
use crate::screen::{hand_out, hand_out_json};
use clap::{Args, ValueEnum};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::export::{first_predictions, write_report};
use lorakeet_core::protocol::{PredictionTable, ReportForm, ReportRequest, RunSample};
use lorakeet_i18n::Language;
use lorakeet_i18n::messages::command as msg;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The answers of a run's end.
const PREDICTIONS: &str = "predictions.csv";

#[derive(Args)]
pub struct Wish {
    /// The run's output_dir, or its run file.
    run: PathBuf,
    /// The format; default: by the extension of --output, else HTML.
    #[arg(long, value_enum)]
    to: Option<To>,
    /// A new file; default: lorakeet-report.html or .md in the folder of the run.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The language: en, or zh-CN.
    #[arg(long, value_name = "TAG", default_value = "en", value_parser = language)]
    language: Language,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum To {
    Html,
    #[value(alias = "markdown")]
    Md,
}

impl From<To> for ReportForm {
    fn from(form: To) -> Self {
        match form {
            To::Html => Self::Html,
            To::Md => Self::Markdown,
        }
    }
}

/// Writes the report of a run.
pub async fn run(wish: Wish, is_json: bool) -> Result<ExitCode> {
    let run = opened(&wish.run).await?;
    let by_name = wish.output.as_deref().and_then(form_of);
    let form = wish.to.map(ReportForm::from).or(by_name).unwrap_or(ReportForm::Html);
    let text = write_report(&request(&run, form, wish.language)?);
    let path = match wish.output {
        // A report is made anew at any time, and takes the place of the last one.
        None => {
            let path = run.folder.join(form.file_name());
            fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
            path
        }
        Some(path) => {
            write_new(&path, &text)?;
            path
        }
    };
    let shown = path.display().to_string();
    match is_json {
        true => {
            let line = serde_json::json!({ "type": "report_file", "form": form, "path": shown });
            hand_out_json(&json::line(&line).map_err(unwritable)?)?;
        }
        false => hand_out(&format!("wrote {shown}\n"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The language of a BCP 47 tag such as `zh-CN`, of those in which reports are written.
fn language(tag: &str) -> std::result::Result<Language, String> {
    match tag
        .split(['-', '_'])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
        .as_str()
    {
        "en" => Ok(Language::English),
        "zh" => Ok(Language::Chinese),
        _ => Err("reports are written in en and zh-CN".to_owned()),
    }
}

/// The form that the ending of a file's name means.
fn form_of(path: &Path) -> Option<ReportForm> {
    match path.extension()?.to_str()? {
        "md" | "markdown" => Some(ReportForm::Markdown),
        "html" | "htm" => Some(ReportForm::Html),
        _ => None,
    }
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let written = opened.and_then(|mut file: File| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::config(msg::FileIsThere)
            .file(path.display().to_string())
            .field("--output")
            .remedy(msg::NameNewFile),
        _ => cannot_write(path, &error),
    })
}

/// What the run's folder knows of it.
fn request(run: &Found, form: ReportForm, language: Language) -> Result<ReportRequest> {
    let of_kind = |kind: &'static str| run.events.iter().filter(move |event| event["type"] == kind);
    let samples: Vec<RunSample> = of_kind("sample").filter_map(read).collect();
    Ok(ReportRequest {
        form,
        language: language.tag().to_owned(),
        names: [run.model(), run.data()],
        settings: run.record.config().ok().map(|config| config.to_yaml()),
        inputs: run.record.inputs.clone(),
        info: run.last("started").and_then(read),
        summary: run.record.summary.clone(),
        losses: run.points("step"),
        evals: run.points("eval"),
        samples: ReportRequest::first_and_last(&samples),
        report: run.report(),
        judgement: run.last("judgement").and_then(read),
        predictions: predictions(&run.folder.join(PREDICTIONS))?,
    })
}

/// An event of the log; one of another release may be none of this one.
fn read<T: DeserializeOwned>(event: &Value) -> Option<T> {
    serde_json::from_value(event.clone()).ok()
}

/// The worst errors; none where the run wrote no answers.
fn predictions(path: &Path) -> Result<PredictionTable> {
    match File::open(path) {
        Ok(file) => first_predictions(file).map_err(|error| error.file(path.display().to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(PredictionTable::default()),
        Err(error) => Err(cannot_read(path, &error)),
    }
}
