//! A run's settings as text: the run file, and the table of `lorakeet check`.

use super::knob::Knob;
use super::knobs::KNOBS;
use super::{Resolved, RunConfig, Source};
use lorakeet_i18n::Language::English;
use serde_json::Value;
use std::fmt::Write;

/// The run file of these settings: the keys of [`RunConfig::changed`], one a line.
pub(super) fn yaml(config: &RunConfig) -> String {
    let lines = config.changed().into_iter();
    lines
        .map(|(knob, value)| format!("{}: {}\n", knob.name, written(&value)))
        .collect()
}

/// A value as YAML's flow notation writes it on one line, so that PyYAML and this crate read the same.
pub(super) fn written(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => float_written(float),
            _ => number.to_string(),
        },
        Value::String(text) => text_written(text),
        Value::Array(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", text_written(key), written(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// 2.0e-4 and not 2e-4: YAML 1.1 readers take a number without a point for text.
fn float_written(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e15).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let point = if digits.contains('.') { "" } else { ".0" };
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        return format!("{digits}{point}e{sign}{exponent}");
    }
    number.to_string()
}

/// Bare where no reader can take it for anything but text, else in double quotes.
fn text_written(text: &str) -> String {
    let bare = text
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '/' | '_'))
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/'))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    if bare {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // Control and invisible characters, which YAML forbids or folds.
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(quoted, "\\u{:04x}", letter as u32);
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

const WIDTH: usize = 100;

/// Every key with its value, its source and what it does, in groups; then the warnings; all in English. Lines stay within
/// 100 columns unless a value (a path, a list) is longer.
pub(super) fn explanation(resolved: &Resolved) -> String {
    let rows: Vec<_> = KNOBS
        .iter()
        .map(|knob| (knob, shown(knob, &resolved.config), source(resolved, knob)))
        .collect();
    let longest = |lengths: Vec<usize>, limit: usize| lengths.into_iter().filter(|length| *length <= limit).max();
    let key_width = KNOBS.iter().map(|knob| knob.name.len()).max().unwrap_or(0) + 4;
    let value_width = longest(rows.iter().map(|row| row.1.chars().count()).collect(), 14).unwrap_or(0) + 2;
    let source_width = longest(rows.iter().map(|row| row.2.chars().count()).collect(), 16).unwrap_or(0) + 2;
    let what_at = key_width + value_width + source_width;

    let mut text = String::new();
    let mut group = None;
    for (knob, value, source) in &rows {
        if group != Some(knob.group) {
            let gap = if group.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{}", knob.group.title());
            group = Some(knob.group);
        }
        let mut line = format!("{:<key_width$}", format!("  {}", knob.name), key_width = key_width);
        line.push_str(&padded(value, value_width));
        line.push_str(&padded(source, source_width));
        // A long value pushes what follows onto the next line.
        if line.chars().count() > what_at {
            let _ = writeln!(text, "{}", line.trim_end());
            line = " ".repeat(what_at);
        }
        for word in knob.what_en.split(' ') {
            if line.chars().count() + word.chars().count() > WIDTH {
                let _ = writeln!(text, "{}", line.trim_end());
                line = " ".repeat(what_at);
            }
            line.push_str(word);
            line.push(' ');
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if !resolved.warnings.is_empty() {
        text.push_str("\nWarnings\n");
        for warning in &resolved.warnings {
            let mut line = String::from("  -");
            for word in warning.english().split(' ') {
                if line.chars().count() + 1 + word.chars().count() > WIDTH {
                    let _ = writeln!(text, "{line}");
                    line = String::from("   ");
                }
                line.push(' ');
                line.push_str(word);
            }
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

/// A knob: what it takes, its default, what it does, how to choose it, and why; a paragraph each.
pub(super) fn of_knob(knob: &Knob) -> String {
    let default = shown(knob, &RunConfig::default());
    let head = format!("{}: {}, by default {default}", knob.name, knob.allowed().english());
    let paragraphs = [Some(knob.what_en), Some(knob.guidance_en), knob.reasons(English)];
    let mut text = wrapped(&head);
    for paragraph in paragraphs.into_iter().flatten() {
        text.push('\n');
        text.push_str(&wrapped(paragraph));
    }
    text
}

/// A paragraph in lines of at most `WIDTH` letters.
fn wrapped(paragraph: &str) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    for word in paragraph.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
    text
}

/// Filled up to `width`, with two spaces behind it in any case.
fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.chars().count()).max(2);
    format!("{text}{}", " ".repeat(missing))
}

fn shown(knob: &Knob, config: &RunConfig) -> String {
    let value = (knob.read)(config);
    match &value {
        Value::Null => "-".into(),
        Value::String(text) if text.is_empty() => "-".into(),
        Value::Object(map) if map.is_empty() => "-".into(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Number(number) if knob.unit.is_some() && number.as_i64() > Some(1) => {
            format!("{} {}", written(&value), knob.unit(English))
        }
        _ => written(&value),
    }
}

fn source(resolved: &Resolved, knob: &Knob) -> String {
    match resolved.source(knob.name) {
        Source::Default => "default".into(),
        Source::Derived { from } => format!("from {from}"),
        Source::File { line } => format!("line {line}"),
        Source::Alias { of, line } => format!("line {line} ({of})"),
        Source::Flag => "flag".into(),
        Source::Url => "address".into(),
    }
}
