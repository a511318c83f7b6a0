//! Which of several files are the data: one table, or all texts.

use crate::Refusal;
use lorakeet_i18n::messages::tables as msg;
use lorakeet_i18n::{Field, Message};

/// Endings of files with rows.
const TABLES: [&str; 9] = [
    "csv", "tsv", "tab", "json", "jsonl", "ndjson", "xlsx", "xlsm", "parquet",
];

/// Endings of files that are one text.
const TEXTS: [&str; 4] = ["txt", "text", "md", "markdown"];

/// Names that a note lists.
const MOST_NAMES: usize = 5;

/// The data among several files.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Their places in the order in which they are read: one table, or the texts by their names.
    pub places: Vec<usize>,
    /// What is worth knowing.
    pub notes: Vec<Message>,
}

/// Chooses among files by their names: the one table, else all texts. Hidden files are nobody's data.
///
/// # Errors
/// Several tables; neither a table nor a text.
pub fn choose(names: &[&str]) -> Result<Choice, Refusal> {
    let mut places: Vec<usize> = (0..names.len()).filter(|place| !is_hidden(names[*place])).collect();
    places.sort_by_key(|place| names[*place]);
    let of = |endings: &[&str]| -> Vec<usize> {
        let has = |place: &&usize| endings.contains(&ending(names[**place]).as_str());
        places.iter().filter(has).copied().collect()
    };
    let listed = |places: &[usize]| Field::first(MOST_NAMES, places.iter().map(|place| names[*place]));
    let (tables, texts) = (of(&TABLES), of(&TEXTS));
    let chosen = match (tables.as_slice(), texts.is_empty()) {
        ([_], _) => tables,
        ([], false) => texts,
        ([], true) => {
            let files = listed(&places);
            return Err(Refusal::new(msg::NoDataInside { files }, msg::GiveTextsOrTable));
        }
        (several, _) => {
            let files = listed(several);
            return Err(Refusal::new(msg::SeveralTables { files }, msg::GiveOneTable));
        }
    };
    let mut notes = Vec::new();
    if chosen.len() > 1 {
        let (count, files) = (chosen.len(), listed(&chosen));
        notes.push(msg::TextsAsRows { count, files }.into());
    }
    let left: Vec<usize> = places.iter().filter(|place| !chosen.contains(place)).copied().collect();
    if !left.is_empty() {
        let files = listed(&left);
        notes.push(msg::FilesNotRead { files }.into());
    }
    Ok(Choice { places: chosen, notes })
}

/// Whether a file, or a folder that it lies in, is hidden; archives of a Mac have a second file beside each.
fn is_hidden(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    parts.any(|part| part == "__MACOSX" || part.len() > 1 && part.starts_with('.') || part == "Thumbs.db")
}

/// A name's ending in small letters.
pub(crate) fn ending(name: &str) -> String {
    name.rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_goes_before_texts_and_texts_are_read_in_the_order_of_their_names() {
        let of = |names: &[&str]| choose(names).map(|choice| (choice.places, choice.notes.len()));
        assert_eq!(
            of(&["b.txt", "a.MD", ".hidden.txt", "__MACOSX/a.txt"]),
            Ok((vec![1, 0], 1))
        );
        assert_eq!(of(&["read me.txt", "rows.csv", "x.png"]), Ok((vec![1], 1)));
        assert_eq!(of(&["only.txt"]), Ok((vec![0], 0)));
        let error = choose(&["a.csv", "b.jsonl", "c.txt"]).expect_err("two tables");
        assert!(error.what.english().contains("a.csv, b.jsonl"), "{error:?}");
        assert!(choose(&["x.png"]).is_err() && choose(&[]).is_err());
    }
}
