//! The lists of supported architectures in README and on the page against the engine's registry of them.

use anyhow::{Context, Result, bail};
use std::path::Path;

/// The registry, which names the rows that stand beside the forward passes, as `llama::MISTRAL`.
const REGISTRY: &str = "core/src/models/registry.rs";
/// What a kind of architecture is called in README's table.
const KINDS: [(&str, &str); 3] = [
    ("Kind::Decoder", "| Decoders |"),
    ("Kind::Encoder", "| Encoders |"),
    ("Kind::EncoderDecoder", "| Encoder-decoders |"),
];
/// Whose rows have a list of their own.
const FROM_SCRATCH: &str = "Kind::Small";
/// The names of small models, and README's row of them.
const SMALL: (&str, &str) = ("core/src/config.rs", "| Trained from scratch |");
/// The page's words for what can be dropped on it.
const PAGE: [&str; 2] = ["app/src/i18n/en.rs", "app/src/i18n/zh.rs"];

/// README and the page name every architecture of the registry, and the models that it is known for.
pub fn check(root: &Path) -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"));
    let mut rows = Vec::new();
    for (file, name) in listed(&read(REGISTRY)?) {
        let path = format!("core/src/models/{file}.rs");
        let row = row(&read(&path)?, &name);
        rows.push(row.with_context(|| format!("{path} has no row {name} of the form that is looked for"))?);
    }
    rows.retain(|row| row.kind != FROM_SCRATCH);
    if rows.len() < KINDS.len() {
        bail!("{REGISTRY} has no list of the form that is looked for");
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
        bail!("lists of architectures differ from {REGISTRY}:\n{}", faults.join("\n"))
    }
}

/// A row of the registry: its kind, and its name with those of models.
#[derive(Debug, PartialEq)]
struct Row {
    kind: String,
    names: Vec<String>,
}

/// The file and the constant of each row that the registry lists.
fn listed(text: &str) -> Vec<(String, String)> {
    let list = text.split_once("pub static ARCHITECTURES").map_or("", |(_, list)| list);
    let list = list.split_once("\n];").map_or(list, |(list, _)| list);
    let paths = list
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once("::"));
    paths.map(|(file, name)| (file.to_owned(), name.to_owned())).collect()
}

/// The row `const NAME: Architecture = Architecture { … };` of a file, with what it has of the row that it extends.
fn row(text: &str, name: &str) -> Option<Row> {
    let (_, body) = text.split_once(&format!("const {name}: Architecture = Architecture {{\n"))?;
    let (body, _) = body.split_once("\n};")?;
    let field = |name: &str| {
        body.lines()
            .find_map(|line| line.strip_prefix(&format!("    {name}: ")))
    };
    let texts = |line: &str| {
        line.split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let extended = || row(text, body.lines().find_map(|line| line.strip_prefix("    .."))?);
    let kind = match field("kind") {
        Some(kind) => kind.trim_end_matches(',').to_owned(),
        None => extended()?.kind,
    };
    let models = match field("models") {
        Some(models) => texts(models),
        None => extended()?.names.split_off(1),
    };
    let names = texts(field("name")?).into_iter().chain(models).collect();
    Some(Row { kind, names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_the_list_and_by_what_they_extend() {
        let list =
            "pub static ARCHITECTURES: [Architecture; 2] = [\n    llama::LLAMA,\n    llama::MISTRAL,\n];\nllama::X,\n";
        let names = |name: &str| ("llama".to_owned(), name.to_owned());
        assert_eq!(listed(list), [names("LLAMA"), names("MISTRAL")]);
        let text = "pub(super) const LLAMA: Architecture = Architecture {\n    name: \"Llama\",\n    models: &[\"SmolLM2\"],\n    \
            kind: Kind::Decoder,\n};\nconst MISTRAL: Architecture = Architecture {\n    name: \"Mistral\",\n    models: &[],\n    \
            ..LLAMA\n};\n";
        let row_of = |names: &[&str]| Row {
            kind: "Kind::Decoder".to_owned(),
            names: names.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(row(text, "LLAMA"), Some(row_of(&["Llama", "SmolLM2"])));
        assert_eq!(row(text, "MISTRAL"), Some(row_of(&["Mistral"])));
        assert_eq!(row(text, "QWEN2"), None);
    }
}
