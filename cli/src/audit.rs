//! `lorakeet audit`: what is wrong with data before a training, and the file without what is.

use crate::Audit;
use crate::commands::{data_sources, resolve_any, unwritable};
use crate::compare::shown;
use crate::hub;
use crate::json;
use crate::log::cannot_write;
use crate::screen::{hand_out, hand_out_json, say};
use lorakeet_core::config::{RunConfig, SMALL_MODELS, Source as From};
use lorakeet_core::data::audit::Cleaned;
use lorakeet_core::error::{Error, Result};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::host::Control;
use lorakeet_core::protocol::{AuditFinding, AuditReport, AuditSetting, Event};
use lorakeet_core::session::audit::{audit_files, clean_file};
use lorakeet_core::store::Source;
use lorakeet_core::tokenizer::Tokenizer;
use lorakeet_i18n::messages::command as msg;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Row numbers that are listed of those that were left out.
const MOST_ROWS: usize = 10;

/// Rows of a finding that are shown.
const MOST_PLACES: usize = 5;

/// Classes and scripts that are listed.
const MOST_NAMES: usize = 12;

/// Audits a data file, or the data of a run file.
pub async fn run(wish: Audit, is_json: bool, take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let is_run = matches!(
        wish.data.extension().and_then(|ending| ending.to_str()),
        Some("yaml" | "yml")
    );
    let mut resolved = resolve_any(Some(wish.data.clone()).filter(|_| is_run), wish.set)?;
    if let Some(encoding) = &wish.encoding {
        resolved.overlay([("encoding", encoding.as_str())], &From::Flag)?;
    }
    for message in resolved.warnings {
        take(&Event::Warning { message });
    }
    let mut config = resolved.config;
    if !is_run {
        config.train_file = wish.data.display().to_string();
    }
    if config.train_file.is_empty() {
        return Err(Error::config(msg::NoDataToAudit)
            .field("train_file")
            .remedy(msg::NameTrainFile));
    }
    let file = source(&config.train_file)?;
    let validation = config.validation_file.as_deref().map(source).transpose()?;
    let tokenizer = tokenizer(wish.model, &config, take).await?;
    let report = audit_files(&config, (&file, validation.as_ref()), tokenizer.as_ref(), None).await?;
    let written = match &wish.write {
        Some(path) => Some(write(path, &config, &file).await?),
        None => None,
    };
    match is_json {
        true => {
            let line = json::line(&Event::Audit(Box::new(report))).map_err(unwritable)?;
            hand_out_json(&line)?;
        }
        false => hand_out(&as_text(&report))?,
    }
    if let (Some(path), Some(cleaned)) = (&wish.write, written) {
        tell(path, &cleaned, is_json)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A file of texts.
fn source(path: &str) -> Result<Source> {
    // Behind images there are their labels, and neither are texts.
    let first = data_sources(path)?.into_iter().next();
    first.ok_or_else(|| Error::config(msg::NoDataToAudit).file(path))
}

/// The tokenizer of the model that is named, or of the run's where that lies here: nothing is fetched for an audit that nobody
/// asked for.
async fn tokenizer(
    named: Option<PathBuf>,
    config: &RunConfig,
    take: &mut dyn FnMut(&Event),
) -> Result<Option<Tokenizer>> {
    let of_run = Path::new(&config.model_name_or_path);
    let is_small = SMALL_MODELS.iter().any(|name| Path::new(name) == of_run);
    let of_run = Some(of_run.to_path_buf()).filter(|path| path.exists() && !is_small);
    let Some(path) = named.or(of_run) else {
        return Ok(None);
    };
    let found = hub::located(&path, &Control::default(), take).await?;
    let files = ModelFiles::open_path(&found.path).await?;
    if files.tokenizer.is_none() {
        take(&Event::Warning {
            message: msg::NoTokenizer { model: found.name }.into(),
        });
    }
    Ok(files.tokenizer)
}

/// Writes the rows that stay into a new file.
async fn write(path: &Path, config: &RunConfig, file: &Source) -> Result<Cleaned> {
    let cleaned = clean_file(config, file).await?;
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .and_then(|mut file| file.write_all(cleaned.lines.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::config(msg::FileIsThere)
            .file(path.display().to_string())
            .field("--write")
            .remedy(msg::NameNewFile),
        _ => cannot_write(path, &error),
    })?;
    Ok(cleaned)
}

/// Says what was written, and what was left out.
fn tell(path: &Path, cleaned: &Cleaned, is_json: bool) -> Result<()> {
    if is_json {
        let line = serde_json::json!({
            "type": "cleaned", "path": path.display().to_string(), "rows": cleaned.kept,
            "duplicates": cleaned.duplicates, "empty": cleaned.empty,
        });
        return hand_out_json(&line.to_string());
    }
    say(&format!("wrote    {}: {} rows", path.display(), cleaned.kept));
    for (what, rows) in [
        ("the same as an earlier one", &cleaned.duplicates),
        ("empty", &cleaned.empty),
    ] {
        if !rows.is_empty() {
            say(&format!(
                "dropped  {} rows that are {what}: {}",
                rows.len(),
                listed(rows)
            ));
        }
    }
    Ok(())
}

/// Numbers of rows with commas between; of many, the first.
fn listed(rows: &[usize]) -> String {
    let shown: Vec<String> = rows.iter().take(MOST_ROWS).map(usize::to_string).collect();
    let shown = shown.join(", ");
    match rows.len().saturating_sub(MOST_ROWS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn as_text(report: &AuditReport) -> String {
    let mut text = format!(
        "{}: {} rows, of which {} are held out\n",
        report.name, report.rows, report.held_out
    );
    let counted = |names: &[(String, u64)]| {
        let shown: Vec<String> = names
            .iter()
            .take(MOST_NAMES)
            .map(|(name, rows)| format!("{name} {rows}"))
            .collect();
        let more = names.len().saturating_sub(MOST_NAMES);
        match more {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let lines = [
        ("text", report.texts.join(", ")),
        ("label", report.labels.join(", ")),
        ("classes", counted(&report.classes)),
        ("scripts", counted(&report.scripts)),
    ];
    for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("{name:<9}{value}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("note     {}\n", note.english()));
    }
    for finding in &report.findings {
        text.push('\n');
        text.push_str(&finding_text(finding));
    }
    let serious = report.findings.iter().filter(|finding| finding.serious).count();
    let others = report.findings.len() - serious;
    text.push_str(&match (serious, others) {
        (0, 0) => "\nNothing was found.\n".to_owned(),
        (serious, others) => format!("\n{serious} serious findings, {others} others.\n"),
    });
    text
}

fn finding_text(finding: &AuditFinding) -> String {
    let weight = if finding.serious { "serious" } else { "note" };
    let mut text = format!("{weight:<9}{}\n", finding.what.english());
    for place in finding.rows.iter().take(MOST_PLACES) {
        let file = if place.in_validation { " (validation)" } else { "" };
        let like = place.like.map(|row| format!(", like row {row}")).unwrap_or_default();
        text.push_str(&format!("         row {}{file}{like}: {}\n", place.row, place.excerpt));
    }
    for message in [&finding.effect, &finding.remedy] {
        text.push_str(&format!("         {}\n", message.english()));
    }
    if let Some(AuditSetting { knob, value }) = &finding.setting {
        text.push_str(&format!("         --set {knob}={}\n", shown(Some(value))));
    }
    text
}
