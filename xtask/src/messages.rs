//! Every message of the crate `i18n` is used: the compiler does not tell what a library offers and nobody takes.

use crate::tree::tracked_files;
use anyhow::{Context, Result, bail};
use std::collections::HashSet;
use std::path::Path;

/// Where messages are declared, each as `    Name { field } = "…"`.
const DECLARED: &str = "i18n/src/messages/";

/// No message is declared that is not used.
pub fn check(root: &Path) -> Result<()> {
    let (mut known, mut used) = (Vec::new(), HashSet::new());
    for path in tracked_files(root)? {
        if !path.ends_with(".rs") && !path.ends_with(".js") {
            continue;
        }
        let text = std::fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        if path.starts_with(DECLARED) {
            known.extend(declared(&text).map(|name| (path.clone(), name.to_owned())));
        } else {
            used.extend(names(&text).map(str::to_owned));
        }
    }
    if known.is_empty() {
        bail!("{DECLARED} has no messages of the form that is looked for");
    }
    let unused = known.into_iter().filter(|(_, name)| !used.contains(name));
    let unused: Vec<String> = unused.map(|(path, name)| format!("{path}: {name}")).collect();
    match unused.is_empty() {
        true => Ok(()),
        false => bail!("these messages are not used:\n{}", unused.join("\n")),
    }
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
    fn messages_are_found_where_they_are_declared_and_used() {
        let text = "messages! { \"data\";\n    TooLong { row } =\n        \"Row {row} = long\", \"长\";\n    Empty = \"is empty\", \"空\";\n    // a word\n}\n";
        assert_eq!(declared(text).collect::<Vec<_>>(), ["TooLong", "Empty"]);
        assert!(names("Error::data(msg::TooLong { row })").any(|name| name == "TooLong"));
        assert!(!names("fn TooLongTexts()").any(|name| name == "TooLong"));
    }
}
