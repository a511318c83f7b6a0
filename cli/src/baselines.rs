//! `lorakeet baselines`: scores that need no training, on the rows that a run holds out, and whether tuning may be worth it.

use crate::Advise;
use crate::advise::resolved;
use crate::commands::{EventSink, loaded, unwritable};
use crate::json;
use crate::screen::{hand_out, hand_out_json, metrics_line};
use lorakeet_core::error::Result;
use lorakeet_core::protocol::{DeviceChoice, Event, MeasuredBaselines};
use serde_json::Value;
use std::process::ExitCode;

/// Loads model and data, scores what needs no training, and says what that means. Nothing is written.
pub async fn run(wish: Advise, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let (mut session, config) = loaded(resolved(wish)?, device, events).await?;
    let is_json = events.is_json();
    let mut heard = |event: Event, _| {
        // In words they stand in the table.
        if is_json || !matches!(event, Event::Baseline { .. }) {
            events.take(&event);
        }
    };
    let found = session.measure_baselines(&config, &mut heard).await?;
    match is_json {
        true => {
            let mut value = serde_json::to_value(&found).map_err(unwritable)?;
            value["type"] = Value::from("baselines_measured");
            hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        }
        false => hand_out(&text(&found))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The scores, the best of them marked, what they say, and the settings that keep the probe where it is the best.
fn text(found: &MeasuredBaselines) -> String {
    let rows = match found.rows {
        Some(rows) => format!("{rows} rows to train on, "),
        None => String::new(),
    };
    let (task, held_out, metric) = (found.task, found.held_out, &found.metric);
    let mut text = format!("{task}: {rows}{held_out} held out, judged by {metric}\n\n");
    for one in &found.scores {
        let mark = if found.best == Some(one.kind) { '*' } else { ' ' };
        let scores = metrics_line(&one.metrics);
        text.push_str(&format!("{mark} {:<28}{scores}\n", one.name));
    }
    let (outlook, sentence) = (found.outlook.message().english(), found.sentence.english());
    text.push_str(&format!("\n{outlook}\n  {sentence}\n"));
    for doubt in &found.doubts {
        text.push_str(&format!("  {} {}\n", doubt.what.english(), doubt.remedy.english()));
    }
    if found.keeps_probe {
        text.push_str("\nto keep the probe as the trained head: --set head_init=probe --set max_steps=0\n");
    }
    text
}
