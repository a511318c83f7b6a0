//! Long texts as tokens, piece by piece, so that a tokenizer never holds more than one.

use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// A text longer than this is tokenized piece by piece: the tokenizer's own notes take many times the text's memory.
const CHUNK_BYTES: usize = 1 << 16;

/// The longest piece: the tokenizer's notes on it take about a quarter of a gigabyte.
pub(super) const MOST_PIECE: usize = 1 << 21;

/// The tokens of a text of any length, without those that the tokenizer adds around it.
pub(super) fn encode_long(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    Ok(encode_pieces(tokenizer, text)?.0)
}

/// The same, with how many cuts may have changed a token.
pub(super) fn encode_pieces(tokenizer: &Tokenizer, text: &str) -> Result<(Vec<u32>, usize)> {
    let (mut ids, mut seams, mut start) = (Vec::new(), 0, 0);
    while start < text.len() {
        let (end, is_safe) = next_cut(tokenizer, text, start)?;
        ids.extend(tokenizer.encode(&text[start..end], false)?);
        seams += usize::from(!is_safe);
        start = end;
    }
    Ok((ids, seams))
}

/// A place past `start` where the text can be cut without any token changing, or its end; and whether it is one.
///
/// Tokenizers differ in where that is (some never allow it), so each candidate is tried: the neighbourhood must give
/// the same tokens in one piece and in two. Between a word and the space in front of the next one most allow it, and
/// in a text without any, some do between two letters. Where none does within [`MOST_PIECE`], the cut is made there all the
/// same, because the tokenizer's notes on a longer piece do not fit into memory: a token or two at the seam may be others.
fn next_cut(tokenizer: &Tokenizer, text: &str, start: usize) -> Result<(usize, bool)> {
    const NEIGHBOURHOOD: usize = 96;
    const SEARCHED: usize = 4096;
    const TRIES: usize = 12;
    let bytes = text.as_bytes();
    let mut near = start + CHUNK_BYTES;
    while near + SEARCHED < text.len() {
        let letter = |at: usize| bytes[at].is_ascii_alphabetic() || bytes[at] >= 0x80;
        let words = (near..near + SEARCHED).filter(|&at| bytes[at] == b' ' && letter(at - 1) && letter(at + 1));
        let lines = (near..near + SEARCHED)
            .filter(|&at| bytes[at] == b'\n')
            .flat_map(|at| [at, at + 1]);
        let letters = (near..near + SEARCHED).filter(|&at| text.is_char_boundary(at));
        for cut in words.take(TRIES).chain(lines.take(TRIES)).chain(letters.take(TRIES)) {
            let from = floor_boundary(text, cut - NEIGHBOURHOOD);
            let to = floor_boundary(text, (cut + NEIGHBOURHOOD).min(text.len()));
            let mut halves = tokenizer.encode(&text[from..cut], false)?;
            halves.extend(tokenizer.encode(&text[cut..to], false)?);
            if halves == tokenizer.encode(&text[from..to], false)? {
                return Ok((cut, true));
            }
        }
        if near - start >= MOST_PIECE {
            return Ok((floor_boundary(text, near), false));
        }
        near += CHUNK_BYTES;
    }
    Ok((text.len(), true))
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
