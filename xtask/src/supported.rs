//! The lists of supported architectures in README and on the page against the engine's table of them.

use anyhow::{Context, Result, bail};
use std::path::Path;

/// The table, a row in the form `decoder("llama", "Llama", …)`, `encoder(…)`, or with its fields written out.
const TABLE: &str = "core/src/architectures.rs";
/// What a kind of architecture is called in README's table, by the function or the variant that makes its rows.
const KINDS: [(&str, &str); 3] = [
    ("decoder", "| Decoders |"),
    ("encoder", "| Encoders |"),
    ("Kind::EncoderDecoder", "| Encoder-decoders |"),
];
/// The names of small models, and README's row of them.
const SMALL: (&str, &str) = ("core/src/config.rs", "| Trained from scratch |");
/// The page's words for what can be dropped on it.
const PAGE: [&str; 2] = ["app/src/i18n/en.rs", "app/src/i18n/zh.rs"];

/// README and the page name every architecture of the table, and the models that it is known for.
pub fn check(root: &Path) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let rows = rows(&read(TABLE)?);
    if rows.len() < KINDS.len() {
        bail!("{TABLE} has no rows of the form that is looked for");
    }
    let readme = read("README.md")?;
    let mut faults = Vec::new();
    for (kind, heading) in KINDS {
        let line = readme
            .lines()
            .find(|line| line.starts_with(heading))
            .unwrap_or_default();
        for name in rows.iter().filter(|row| row.kind == kind).flat_map(|row| &row.names) {
            if !line.contains(name) {
                faults.push(format!("README.md does not name {name} in its row {heading}"));
            }
        }
    }
    let small = read(SMALL.0)?;
    let small = small.split_once("SMALL_MODELS: ").map_or("", |(_, rest)| rest);
    let small = small.split_once("];").map_or(small, |(list, _)| list);
    let line = readme
        .lines()
        .find(|line| line.starts_with(SMALL.1))
        .unwrap_or_default();
    if !small.contains("small_") {
        bail!("{} has no list of small models of the form that is looked for", SMALL.0);
    }
    for name in small.split('"').skip(1).step_by(2).filter(|name| !line.contains(*name)) {
        faults.push(format!("README.md does not name {name} in its row {}", SMALL.1));
    }
    for path in PAGE {
        let words = read(path)?;
        let list = words.split_once("model_drop_hint:").map_or("", |(_, rest)| rest);
        let list = list.split_once("\",").map_or(list, |(list, _)| list);
        for row in &rows {
            // "Gemma 2 and 3".
            let name = row.names[0].strip_suffix(" 3").unwrap_or(&row.names[0]);
            if !list.contains(name) {
                faults.push(format!("{path} does not name {name} in model_drop_hint"));
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("lists of architectures differ from {TABLE}:\n{}", faults.join("\n"))
    }
}

/// A row of the table: its kind, and its name with those of models.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    names: Vec<String>,
}

fn rows(text: &str) -> Vec<Row> {
    let table = text.split_once("ARCHITECTURES: ").map_or("", |(_, table)| table);
    let table = table.split_once("\n];").map_or(table, |(table, _)| table);
    let (mut rows, mut models) = (Vec::new(), Vec::new());
    let mut written = None;
    for line in table.lines().map(str::trim) {
        let texts: Vec<String> = line.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        let call = |kind: &str| line.trim_start_matches("..").starts_with(&format!("{kind}(")) && texts.len() == 3;
        let mut row = |kind: &str, name: String, models: &mut Vec<String>| {
            let names = std::iter::once(name).chain(models.drain(..)).collect();
            rows.push(Row {
                kind: kind.to_owned(),
                names,
            });
        };
        if line.starts_with("models:") {
            models = texts;
        } else if line.starts_with("name:") {
            written = texts.into_iter().next();
        } else if let (Some(kind), Some(name)) = (line.strip_prefix("kind: "), written.take()) {
            row(kind.trim_end_matches(','), name, &mut models);
        } else if let Some((kind, _)) = KINDS.iter().find(|(kind, _)| call(kind)) {
            row(kind, texts[1].clone(), &mut models);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_in_each_of_their_forms() {
        let text = "pub static ARCHITECTURES: &[Architecture] = &[\n    Architecture {\n        models: &[\"SmolLM2\"],\n        \
            ..decoder(\"llama\", \"Llama\", \"Llama\", Family::Llama)\n    },\n    \
            encoder(\"roberta\", \"RoBERTa\", \"Roberta\", Family::Bert),\n    Architecture {\n        \
            model_type: \"t5\",\n        name: \"T5\",\n        kind: Kind::EncoderDecoder,\n    },\n];\n";
        let row = |kind: &str, names: &[&str]| Row {
            kind: kind.to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(
            rows(text),
            [
                row("decoder", &["Llama", "SmolLM2"]),
                row("encoder", &["RoBERTa"]),
                row("Kind::EncoderDecoder", &["T5"]),
            ]
        );
    }
}
