//! Every message of the crate `i18n` is said somewhere: the compiler does not miss what a library offers and nobody takes.

use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Where messages are declared, each as `    Name { field } = "…"`.
const DECLARED: &str = "i18n/src/messages";
/// Where they are said.
const SAID: [&str; 6] = ["app", "bench", "cli", "core", "public", "tests"];

/// No message is declared that nobody says.
pub fn check(root: &Path) -> Result<()> {
    let mut known = Vec::new();
    for path in sources(&root.join(DECLARED))? {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        known.extend(declared(&text).map(|name| (file.clone(), name.to_owned())));
    }
    if known.is_empty() {
        bail!("{DECLARED} has no messages of the form that is looked for");
    }
    let mut said = HashSet::new();
    for folder in SAID {
        for path in sources(&root.join(folder))? {
            // Files that are no text say nothing.
            if let Ok(text) = std::fs::read_to_string(&path) {
                said.extend(names(&text).map(str::to_owned));
            }
        }
    }
    let unsaid: Vec<String> = known
        .into_iter()
        .filter(|(_, name)| !said.contains(name))
        .map(|(file, name)| format!("{DECLARED}/{file}: {name}"))
        .collect();
    match unsaid.is_empty() {
        true => Ok(()),
        false => bail!("nobody says these messages:\n{}", unsaid.join("\n")),
    }
}

/// The `.rs` and `.js` files in a folder and below.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "js") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The messages that a file of them declares.
fn declared(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("    ")?.split_once(' ')?;
        let is_name = name.starts_with(|letter: char| letter.is_ascii_uppercase())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric());
        (is_name && (rest.starts_with('{') || rest.starts_with('='))).then_some(name)
    })
}

/// All names in a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_where_they_are_declared_and_said() {
        let text = "messages! { \"data\";\n    TooLong { row } =\n        \"Row {row} = long\", \"长\";\n    Empty = \"is empty\", \"空\";\n    // a word\n}\n";
        assert_eq!(declared(text).collect::<Vec<_>>(), ["TooLong", "Empty"]);
        assert!(names("Error::data(msg::TooLong { row })").any(|name| name == "TooLong"));
        assert!(!names("fn TooLongTexts()").any(|name| name == "TooLong"));
    }
}
