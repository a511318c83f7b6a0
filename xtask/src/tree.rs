//! The tree against its documents: the file map of ARCHITECTURE.md, paths of somebody's own machine, commands that the
//! documents name; and files that are longer than they say.

use crate::process::capture;
use crate::stage::Stage;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;

const MAP: &str = "ARCHITECTURE.md";

/// Lines of a source that need no reason.
const MOST_LINES: usize = 600;

/// Folders of machines that made a file, in halves so that this file passes its own check.
const HOMES: [[&str; 2]; 5] = [
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
    ["/wo", "rk/"],
    ["C:\\Us", "ers"],
];

/// Commands that documents may name after `cargo xtask`.
const COMMANDS: [&str; 9] = [
    "demo",
    "test",
    "bench",
    "build",
    "package",
    "setup",
    "texts",
    "pretrain",
    "record-lessons",
];

/// Every file is in the map, itself or by a folder that ends in `/`, and everything in the map exists.
pub fn check_map(root: &Path) -> Result<()> {
    let path = root.join(MAP);
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let faults = map_faults(&map_entries(&text), &tracked_files(root)?);
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{MAP} and the tree differ:\n{}", faults.join("\n"))
    }
}

/// No text names a folder of the machine that it was written on.
pub fn check_machine_paths(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for path in tracked_files(root)? {
        // Files that are no text hold no sentence to correct.
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else {
            continue;
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| names_home(line)) {
            let shown: String = line.trim().chars().take(100).collect();
            faults.push(format!("{path}:{}: {shown}", number + 1));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("these lines name a folder of one machine:\n{}", faults.join("\n"))
    }
}

/// Every source of more than [`MOST_LINES`] lines says in its first documentation why it is that long.
pub fn check_lengths(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for path in tracked_files(root)?.iter().filter(|path| path.ends_with(".rs")) {
        let text = std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        if let Some(lines) = unexplained_lines(&text) {
            faults.push(format!("{path}: {lines} lines"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!(
            "divide these by subject; where a file is read as one, say so in its first documentation (\"One file of … lines, \
             because …\"):\n{}",
            faults.join("\n")
        )
    }
}

/// Every `cargo xtask` command in a document exists.
pub fn check_commands(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for path in tracked_files(root)?.iter().filter(|path| path.ends_with(".md")) {
        let text = std::fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))?;
        faults.extend(
            unknown_commands(&text)
                .into_iter()
                .map(|command| format!("{path}: cargo xtask {command}")),
        );
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("these commands do not exist:\n{}", faults.join("\n"))
    }
}

/// The paths that open the list items of the section `## Map`.
fn map_entries(text: &str) -> Vec<String> {
    let section = text
        .lines()
        .skip_while(|line| *line != "## Map")
        .skip(1)
        .take_while(|line| !line.starts_with("## "));
    let items = section.filter_map(|line| line.trim_start().strip_prefix("- "));
    items.flat_map(opening_paths).collect()
}

/// `a`, `b`: text → a, b.
fn opening_paths(item: &str) -> Vec<String> {
    let mut rest = item;
    let mut paths = Vec::new();
    while let Some((path, after)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
        paths.push(path.to_string());
        let Some(after) = after.strip_prefix(", ") else { break };
        rest = after;
    }
    paths
}

fn map_faults(entries: &[String], files: &[String]) -> Vec<String> {
    let covers = |entry: &str, file: &str| file == entry || (entry.ends_with('/') && file.starts_with(entry));
    let lacking = files
        .iter()
        .filter(|file| !entries.iter().any(|entry| covers(entry, file)));
    let stale = entries
        .iter()
        .filter(|entry| !files.iter().any(|file| covers(entry, file)));
    let lacking = lacking.map(|file| format!("the map lacks {file}"));
    lacking
        .chain(stale.map(|entry| format!("the map names {entry}, which does not exist")))
        .collect()
}

fn names_home(line: &str) -> bool {
    HOMES.iter().map(|halves| halves.concat()).any(|home| {
        line.match_indices(&home).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | '*'))
        })
    })
}

/// How many lines a source has, where they are too many and the `//!` at its beginning do not speak of lines.
fn unexplained_lines(text: &str) -> Option<usize> {
    let lines = text.lines().count();
    let mut documentation = text.lines().map_while(|line| line.strip_prefix("//!"));
    let is_word = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()) == "lines";
    let is_explained = documentation.any(|line| line.split_whitespace().any(is_word));
    (lines > MOST_LINES && !is_explained).then_some(lines)
}

fn unknown_commands(text: &str) -> Vec<String> {
    let mut unknown = Vec::new();
    for (at, _) in text.match_indices("cargo xtask ") {
        let rest = &text[at + "cargo xtask ".len()..];
        let mut words = rest.split(['\n', '`']).next().unwrap_or_default().split_whitespace();
        let command = words.next().unwrap_or_default();
        let stage = words
            .next()
            .filter(|word| command == "test" && word.chars().all(|c| c.is_ascii_alphanumeric()));
        let is_stage = |word: &str| word == "STAGE" || Stage::ALL.iter().any(|stage| stage.name() == word);
        if !COMMANDS.contains(&command) || stage.is_some_and(|word| !is_stage(word)) {
            unknown.push(
                format!("{command} {}", stage.unwrap_or_default())
                    .trim_end()
                    .to_string(),
            );
        }
    }
    unknown
}

/// The files that git knows or would take, relative to the workspace, with `/` between folders.
/// The files of the repository, those that git does not know yet included.
pub fn tracked_files(root: &Path) -> Result<Vec<String>> {
    let mut command = Command::new("git");
    command
        .current_dir(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let text = capture(&mut command).context("the list of files comes from git")?;
    let files = text
        .split('\0')
        .filter(|path| !path.is_empty() && root.join(path).is_file());
    Ok(files.map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_map_is_the_list_items_of_its_section() {
        let text =
            "# A\n- `before`: no\n## Map\n- `a.rs`: one\n  - `b/`, `c.rs`: two `d.rs`\ntext\n## After\n- `e`: no\n";
        assert_eq!(map_entries(text), ["a.rs", "b/", "c.rs"]);
    }

    #[test]
    fn a_file_outside_of_the_map_and_an_entry_without_a_file_are_both_told() {
        let faults = map_faults(
            &strings(&["a.rs", "b/", "gone.rs"]),
            &strings(&["a.rs", "b/c.rs", "new.rs"]),
        );
        assert_eq!(
            faults,
            ["the map lacks new.rs", "the map names gone.rs, which does not exist"]
        );
    }

    #[test]
    fn a_folder_of_one_machine_is_found_and_a_like_sounding_address_is_not() {
        let home = HOMES[1].concat();
        assert!(names_home(&format!("see {home}anna/notes")));
        assert!(!names_home(&format!("https://example.org{home}page")));
    }

    #[test]
    fn a_long_source_says_why_it_is_long() {
        let code = "x\n".repeat(600);
        let found = |documentation: &str| unexplained_lines(&format!("{documentation}\n{code}"));
        assert_eq!(unexplained_lines(&code), None);
        assert_eq!(found("//! A kernel."), Some(601));
        assert_eq!(found("//! It underlines."), Some(601));
        assert_eq!(
            found("//! A kernel.\n//!\n//! One file of 600 lines, because it is read at once."),
            None
        );
        // Only the documentation at the very beginning counts.
        assert_eq!(found("//! A kernel.\n\n//! One file of 600 lines."), Some(603));
    }

    #[test]
    fn commands_and_stages_in_documents_are_checked() {
        let text =
            "`cargo xtask demo`, `cargo xtask test`, `cargo xtask test web`\ncargo xtask tset\ncargo xtask test wbe\n";
        assert_eq!(unknown_commands(text), ["tset", "test wbe"]);
    }
}
