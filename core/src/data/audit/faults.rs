//! Faults of characters in a text, and the script that it is written in.

use crate::protocol::AuditKind;
use std::ops::Range;

/// What remains of characters where GBK was made of U+FFFD, or of memory that was never written.
const GARBLED: [&str; 3] = ["锟斤拷", "烫烫烫", "屯屯屯"];

/// Windows-1252's signs for the second bytes of letters that begin with `Ã`.
const AFTER_A: [char; 18] = [
    '€', '„', '…', '†', '‡', '‰', 'Š', '‹', 'Œ', '“', '”', '•', '–', '—', '™', 'š', 'œ', 'Ÿ',
];

/// Calls `found` with each kind of fault that is in the text and where it stands first.
pub(super) fn find(text: &str, found: &mut dyn FnMut(AuditKind, Range<usize>)) {
    if let Some(at) = text.find(char::REPLACEMENT_CHARACTER) {
        found(
            AuditKind::ReplacementCharacters,
            at..at + char::REPLACEMENT_CHARACTER.len_utf8(),
        );
    }
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    if let Some(at) = text.find(is_control) {
        found(AuditKind::ControlCharacters, at..at);
    }
    if let Some(at) = mojibake(text) {
        found(AuditKind::Mojibake, at..at);
    }
}

/// Where UTF-8 begins that was read as Windows-1252 or Latin-1: two bytes of a letter are `Ã` or `Â` and a sign that hardly ever
/// follows those, three bytes of a quote, a dash or a euro sign begin with `â€` or `â‚`.
fn mojibake(text: &str) -> Option<usize> {
    // Most texts have none of their first letters.
    if text.is_ascii() {
        return None;
    }
    let garbled = GARBLED.iter().find_map(|garbled| text.find(garbled));
    garbled.or_else(|| {
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            let is_garbled = match letter {
                'Ã' => next.is_some_and(|next| matches!(next, '\u{80}'..='\u{bf}') || AFTER_A.contains(&next)),
                'Â' => next.is_some_and(|next| matches!(next, '\u{80}'..='\u{bf}')),
                'â' => next.is_some_and(|next| matches!(next, '€' | '‚' | '\u{80}' | '\u{82}')),
                _ => false,
            };
            if is_garbled {
                return Some(at);
            }
        }
        None
    })
}

/// The script of most of a text's letters, by Unicode's name; none of a text without letters. Of CJK text with kana in it the script
/// is Japanese, as Unicode's alias `Jpan` has it.
pub(super) fn script(text: &str) -> Option<&'static str> {
    let mut counts = [0usize; SCRIPTS.len()];
    for letter in text.chars() {
        if letter.is_ascii_alphabetic() {
            counts[0] += 1;
        } else if let Some(script) = SCRIPTS.iter().position(|(_, ranges)| is_in(letter, ranges)) {
            counts[script] += 1;
        } else if letter.is_alphabetic() {
            counts[OTHER] += 1;
        }
    }
    let (han, kana) = (counts[HAN], counts[KANA]);
    if kana > 0 {
        (counts[KANA], counts[HAN]) = (kana + han, 0);
    }
    // Of equal ones `max_by_key` takes the last.
    let most = (0..SCRIPTS.len()).rev().max_by_key(|script| counts[*script])?;
    (counts[most] > 0).then_some(SCRIPTS[most].0)
}

fn is_in(letter: char, ranges: &[(char, char)]) -> bool {
    ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter))
}

/// A name and its blocks; the last takes other letters.
type Script = (&'static str, &'static [(char, char)]);

const HAN: usize = 1;
const KANA: usize = 2;
const OTHER: usize = SCRIPTS.len() - 1;

const SCRIPTS: [Script; 12] = [
    ("Latin", &[('\u{c0}', '\u{24f}'), ('\u{1e00}', '\u{1eff}')]),
    ("Han", &[('\u{3400}', '\u{9fff}'), ('\u{20000}', '\u{3ffff}')]),
    ("Japanese", &[('\u{3040}', '\u{30ff}')]),
    ("Hangul", &[('\u{1100}', '\u{11ff}'), ('\u{ac00}', '\u{d7af}')]),
    ("Cyrillic", &[('\u{400}', '\u{52f}')]),
    ("Greek", &[('\u{370}', '\u{3ff}'), ('\u{1f00}', '\u{1fff}')]),
    ("Arabic", &[('\u{600}', '\u{6ff}'), ('\u{750}', '\u{77f}')]),
    ("Hebrew", &[('\u{590}', '\u{5ff}')]),
    ("Devanagari", &[('\u{900}', '\u{97f}')]),
    ("Bengali", &[('\u{980}', '\u{9ff}')]),
    ("Thai", &[('\u{e00}', '\u{e7f}')]),
    ("other", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<AuditKind> {
        let mut kinds = Vec::new();
        find(text, &mut |kind, _| kinds.push(kind));
        kinds
    }

    #[test]
    fn faults_are_found_and_letters_of_other_languages_are_none() {
        assert_eq!(kinds("caf\u{fffd}"), [AuditKind::ReplacementCharacters]);
        assert_eq!(kinds("a\u{0}b"), [AuditKind::ControlCharacters]);
        for (good, is_latin1) in [
            ("Größe", false),
            ("naïve café", false),
            ("“It’s” – 5 €", false),
            ("déjà", true),
        ] {
            assert!(kinds(good).is_empty(), "{good}");
            // What a reader of Windows-1252 makes of it; of Latin-1 where no byte is one of its gaps.
            let garbled: String = match is_latin1 {
                true => good.bytes().map(char::from).collect(),
                false => crate::data::encoding::decode(
                    good.as_bytes()
                        .split(|byte| [0x9d, 0x81].contains(byte))
                        .next()
                        .unwrap_or_default()
                        .into(),
                    Some(crate::config::Encoding::Cp1252),
                    &mut Vec::new(),
                )
                .expect("it is read"),
            };
            assert!(kinds(&garbled).contains(&AuditKind::Mojibake), "{garbled}");
        }
        for good in ["SÃO PAULO, CORAÇÃO", "Âge, crème brûlée", "日本語", "tab\tand\nline"] {
            assert!(kinds(good).is_empty(), "{good}");
        }
        assert_eq!(kinds("锟斤拷锟斤拷"), [AuditKind::Mojibake]);
    }

    #[test]
    fn the_script_is_that_of_most_letters() {
        for (text, wanted) in [
            ("Größe of it", Some("Latin")),
            ("这部电影 is good", Some("Latin")),
            ("这部电影真的很好看 ok", Some("Han")),
            ("これは映画です", Some("Japanese")),
            ("очень хорошо", Some("Cyrillic")),
            ("정말 재미있다", Some("Hangul")),
            ("123 !?", None),
            ("ქართული", Some("other")),
        ] {
            assert_eq!(script(text), wanted, "{text}");
        }
    }
}
