//! Examples as a person reads them before a run.

use super::examples::Example;
use crate::error::Result;
use crate::loss::IGNORE_INDEX;
use crate::protocol::PreviewExample;
use crate::tokenizer::Tokenizer;

/// An example as a front end shows it: the text of each token, and whether it is trained on.
///
/// The texts in a row read as the example does. A character whose bytes are spread over several tokens stands whole at the
/// last of them, and those before it are empty; bytes that are no character are shown as `<0xE4>`. Special tokens show their
/// names.
pub fn preview(example: &Example, tokenizer: &Tokenizer) -> Result<PreviewExample> {
    let (ids, labels) = (&example.input_ids, example.next_token_labels());
    let mut tokens = Vec::with_capacity(ids.len());
    // Tokens `context..start` are shown; they stay in front because some tokenizers drop the space of a text's first
    // word.
    let (mut context, mut start) = (0, 0);
    for at in 0..ids.len() {
        let shown = tokenizer.decode(&ids[context..start], false)?;
        let text = tokenizer.decode(&ids[context..=at], false)?;
        let new = text.strip_prefix(shown.as_str()).unwrap_or_default();
        // No character has more than four bytes: after that the bytes are not UTF-8 at all.
        let is_under_way = new.ends_with('\u{fffd}') && at - start < 3 && at + 1 < ids.len();
        if is_under_way {
            continue;
        }
        let group = ids[start..=at].iter().filter_map(|id| tokenizer.token_text(*id));
        let text = match (new.is_empty(), new.contains('\u{fffd}')) {
            (true, _) => group.collect(),
            (_, true) => bytes_text(&group.collect::<String>()).unwrap_or_else(|| new.to_string()),
            _ => new.to_string(),
        };
        let trained = |at: usize| at > 0 && labels[at] != IGNORE_INDEX;
        tokens.extend((start..at).map(|before| (String::new(), trained(before))));
        tokens.push((text, trained(at)));
        (context, start) = (start, at + 1);
    }
    Ok(PreviewExample {
        tokens,
        truncated: example.truncated,
        row: example.row,
        ..PreviewExample::default()
    })
}

/// The text of tokens as they stand in a vocabulary of bytes (GPT-2's letters for bytes, or `<0xE4>`), with the bytes that are no
/// UTF-8 as numbers; `None` of another vocabulary.
fn bytes_text(tokens: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let Some(letter) = rest.chars().next() {
        let number = rest.strip_prefix("<0x").and_then(|rest| rest.split_once('>'));
        let number = number.and_then(|(digits, after)| Some((u8::from_str_radix(digits, 16).ok()?, after)));
        let (byte, after) = match number {
            Some(found) => found,
            None => (byte_of(letter)?, &rest[letter.len_utf8()..]),
        };
        bytes.push(byte);
        rest = after;
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("<0x{byte:02X}>")));
    }
    Some(text)
}

/// The byte that GPT-2 writes as a letter: visible ones of Latin-1 as themselves, the others, in order, from 256 on.
fn byte_of(letter: char) -> Option<u8> {
    let is_visible = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u8::try_from(letter) {
        Ok(byte) => Some(byte).filter(is_visible),
        Err(_) => {
            let place = (u32::from(letter) - 256) as usize;
            (0..=u8::MAX).filter(|byte| !is_visible(byte)).nth(place)
        }
    }
}
