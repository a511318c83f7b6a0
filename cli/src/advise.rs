//! `lorakeet advise`: recommended settings for a run with their reasons, and what is unwise in those that it has.

use crate::Advise;
use crate::commands::{EventSink, loaded, resolve_any, unwritable, with_flags};
use crate::compare::shown;
use crate::json;
use crate::screen::{count, hand_out, hand_out_json};
use lorakeet_core::advice::{Advice, Facts, advise};
use lorakeet_core::config::{Resolved, RunConfig, Source};
use lorakeet_core::error::Result;
use lorakeet_core::protocol::DeviceChoice;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Loads model and data, and says what is recommended. Nothing is written.
pub async fn run(wish: Advise, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let (mut session, config) = loaded(resolved(wish)?, device, events).await?;
    let facts = session.facts(&config, &mut |event, _| events.take(&event)).await?;
    let advice = advise(&facts, &config);
    match events.is_json() {
        true => {
            let value = json!({
                "type": "advice", "facts": facts, "tokens": lengths(&facts), "settings": advice.settings,
                "cautions": advice.cautions, "doubts": advice.doubts,
            });
            hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        }
        false => hand_out(&text(&facts, &advice, &config)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The run of a run file, or of a model and data, with what is set on top.
///
/// # Errors
/// A run file that cannot be read; a setting that is none.
pub fn resolved(wish: Advise) -> Result<Resolved> {
    let Advise { run, data, set } = wish;
    let Some(data) = data else {
        return resolve_any(Some(run), set);
    };
    let mut resolved = resolve_any(None, Vec::new())?;
    let text = |path: &Path| path.display().to_string();
    let (model, data) = (text(&run), text(&data));
    let inputs = [("model_name_or_path", model.as_str()), ("train_file", data.as_str())];
    resolved.overlay(inputs, &Source::Flag)?;
    with_flags(resolved, &set)
}

/// The lengths of rows in tokens: the median, the 95th percentile, the longest.
fn lengths(facts: &Facts) -> Option<[usize; 3]> {
    Some([facts.length_at(0.5)?, facts.length_at(0.95)?, facts.length_at(1.0)?])
}

fn text(facts: &Facts, advice: &Advice, config: &RunConfig) -> Result<String> {
    let mut text = format!(
        "{}: {} rows to train on, {} held out; {} weights\n",
        facts.task,
        facts.rows,
        facts.held_out,
        count(facts.parameters)
    );
    if let Some([median, most, longest]) = lengths(facts) {
        text.push_str(&format!(
            "tokens a row: median {median}, 95th percentile {most}, longest {longest}\n"
        ));
    }
    for one in &advice.settings {
        let current = match one.current == one.value {
            true => "as in the run".to_owned(),
            false => format!("the run has {}", shown(Some(&one.current))),
        };
        text.push_str(&format!("\n{}: {}  ({current})\n", one.knob, shown(Some(&one.value))));
        for message in [&one.reason, &one.evidence, &one.why_not] {
            text.push_str(&format!("  {}\n", message.english()));
        }
    }
    text.push_str("\nunwise in the run as it is\n");
    for caution in &advice.cautions {
        let (what, remedy) = (caution.what.english(), caution.remedy.english());
        text.push_str(&format!("  {}: {what} {remedy}\n", caution.knob));
    }
    if advice.cautions.is_empty() {
        text.push_str("  nothing\n");
    }
    if !advice.doubts.is_empty() {
        text.push_str("\nwhy it may not be worth it\n");
    }
    for doubt in &advice.doubts {
        text.push_str(&format!("  {} {}\n", doubt.what.english(), doubt.remedy.english()));
    }
    let recommended = with(advice, config)?;
    text.push_str("\nthe run file with what is recommended\n");
    for line in recommended.to_yaml().lines() {
        text.push_str(&format!("  {line}\n"));
    }
    Ok(text)
}

/// The run with the recommended settings.
///
/// # Errors
/// None: each is a value of its knob.
fn with(advice: &Advice, config: &RunConfig) -> Result<RunConfig> {
    let mut recommended = config.clone();
    for one in &advice.settings {
        recommended.set(one.knob, &one.value)?;
    }
    Ok(recommended)
}
