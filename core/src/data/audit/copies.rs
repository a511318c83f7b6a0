//! Rows that stand in the data more than once, exactly or nearly.
//!
//! Nearly the same are two texts whose sets of pairs of neighbouring words have a Jaccard similarity |A∩B| / |A∪B| of
//! [`SIMILARITY`] or more. Candidates come from MinHash (Broder, On the resemblance and containment of documents, 1997) with
//! locality-sensitive hashing: [`BANDS`] bands of [`BAND`] minima each, so that two texts of similarity s meet with probability
//! 1 − (1 − sᵇ)ⁿ. What meets is compared exactly. A row is compared with a bounded number of earlier ones, so the time is linear in
//! the rows; beside the rows a minimum takes 4 bytes, 120 a row. Everything is a function of the rows.

use std::collections::HashMap;

/// From here on two texts are nearly the same.
pub(super) const SIMILARITY: f64 = 0.7;

/// Bands, and minima in each.
const BANDS: usize = 10;
const BAND: usize = 3;
const MINIMA: usize = BANDS * BAND;

/// Of shorter texts a changed word is another text.
const FEWEST_WORDS: usize = 8;

/// Earlier rows of a bucket that a row is compared with.
const MOST_OF_BUCKET: usize = 4;

/// For each text the place of the first one that is the same, its own where it is the first.
pub(super) fn groups(texts: &[&str]) -> Vec<usize> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(texts.len());
    let mut found = Vec::with_capacity(texts.len());
    for (place, text) in texts.iter().enumerate() {
        found.push(*first.entry(text.trim()).or_insert(place));
    }
    found
}

/// Of the texts that are the first of their group, the earlier one that each is nearly the same as. With `apart`
/// above 0 only with those in front of that place: of rows that are held out, only with those that are trained on.
pub(super) fn near(texts: &[&str], groups: &[usize], apart: usize) -> Vec<(usize, usize)> {
    let mut kept: Vec<(usize, [u32; MINIMA])> = Vec::new();
    for (place, text) in texts.iter().enumerate() {
        let pairs = pairs_of_words(text);
        if groups[place] == place && pairs.len() + 1 >= FEWEST_WORDS {
            kept.push((place, minima(&pairs)));
        }
    }
    let mut twin: Vec<Option<usize>> = vec![None; kept.len()];
    for band in 0..BANDS {
        let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, (place, minima)) in kept.iter().enumerate() {
            let of_band = &minima[band * BAND..(band + 1) * BAND];
            let key = of_band
                .iter()
                .fold(band as u64, |key, minimum| mix(key ^ u64::from(*minimum)));
            let bucket = buckets.entry(key).or_default();
            if twin[at].is_none() {
                let like = |other: &&usize| {
                    let (other, of_other) = &kept[**other];
                    let is_asked = apart == 0 || *other < apart;
                    is_asked && may_be_alike(minima, of_other) && similarity(texts[*place], texts[*other]) >= SIMILARITY
                };
                twin[at] = bucket.iter().find(like).map(|other| kept[*other].0);
            }
            if bucket.len() < MOST_OF_BUCKET {
                bucket.push(at);
            }
        }
    }
    let found = kept.iter().zip(twin);
    found.filter_map(|((place, _), twin)| Some((*place, twin?))).collect()
}

/// Whether so many minima are the same that the texts are worth to be compared: their share estimates the similarity.
fn may_be_alike(one: &[u32; MINIMA], other: &[u32; MINIMA]) -> bool {
    let same = one.iter().zip(other).filter(|(a, b)| a == b).count();
    same * 2 >= MINIMA
}

/// |A∩B| / |A∪B| of the texts' pairs of words.
fn similarity(one: &str, other: &str) -> f64 {
    let (one, other) = (pairs_of_words(one), pairs_of_words(other));
    let both = one.iter().filter(|pair| other.binary_search(pair).is_ok()).count();
    both as f64 / (one.len() + other.len() - both).max(1) as f64
}

/// The minima of the pairs under [`MINIMA`] orders.
fn minima(pairs: &[u64]) -> [u32; MINIMA] {
    let mut minima = [u32::MAX; MINIMA];
    for pair in pairs {
        for (order, minimum) in (1..).zip(&mut minima) {
            *minimum = (*minimum).min((mix(pair ^ mix(order)) >> 32) as u32);
        }
    }
    minima
}

/// A text's words as numbers, and whether each is a sign. A Chinese sign is a word; signs between words and the size of letters do
/// not count.
pub(super) fn words(text: &str) -> Vec<(u64, bool)> {
    let mut words: Vec<(u64, bool)> = Vec::new();
    let mut word: Option<u64> = None;
    for letter in text.chars() {
        let is_sign = ('\u{3040}'..='\u{30ff}').contains(&letter) || ('\u{4e00}'..='\u{9fff}').contains(&letter);
        if is_sign || !letter.is_alphanumeric() {
            words.extend(word.take().map(|word| (word, false)));
        }
        if is_sign {
            words.push((mix(u64::from(u32::from(letter))), true));
        } else if letter.is_alphanumeric() {
            let small = letter.to_lowercase().map(u32::from);
            let begun = word.unwrap_or(0x9e37_79b9);
            word = Some(small.fold(begun, |hash, letter| mix(hash ^ u64::from(letter))));
        }
    }
    words.extend(word.map(|word| (word, false)));
    words
}

/// Pairs of neighbouring words as numbers, in rising order, each once.
fn pairs_of_words(text: &str) -> Vec<u64> {
    let mut pairs: Vec<u64> = words(text)
        .windows(2)
        .map(|words| pair(words[0].0, words[1].0))
        .collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Two words in this order as one number.
pub(super) fn pair(one: u64, other: u64) -> u64 {
    mix(one.rotate_left(17) ^ other)
}

/// SplitMix64's finaliser (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_a_changed_word_are_nearly_the_same_and_others_are_not() {
        let one =
            "the parcel that I ordered in the first week of May came three days late and the box was open on one side";
        let changed = one.replace("three", "four");
        let other = "the parcel was never sent, and nobody in the shop could say when it would be or why it had not been so far";
        let texts = [one, other, &changed, "short text", "short text here"];
        assert_eq!(near(&texts, &groups(&texts), 0), [(2, 0)]);
        assert!(similarity(one, &changed) >= SIMILARITY && similarity(one, other) < 0.3);
        let louder = one.to_uppercase() + "!";
        assert_eq!(similarity(one, &louder), 1.0);
        let chinese = [
            "这部电影真的很好看我们全家都很喜欢下次还会再来看一遍",
            "这部电影真的很好看我们全家都很喜欢下次还会再来看两遍",
        ];
        assert_eq!(near(&chinese, &groups(&chinese), 0), [(1, 0)]);
    }

    #[test]
    fn of_many_rows_every_near_copy_is_found() {
        let word = |row: u64, place: u64| format!("w{}", mix(row * 1000 + place) % 500);
        let text = |row: u64| (0..40).map(|place| word(row, place)).collect::<Vec<_>>().join(" ");
        let mut texts: Vec<String> = (0..2000).map(text).collect();
        texts.extend((0..200).map(|row| text(row * 7) + " and more"));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let wanted: Vec<(usize, usize)> = (0..200).map(|row| (2000 + row, row * 7)).collect();
        assert_eq!(near(&texts, &groups(&texts), 0), wanted);
    }

    #[test]
    fn the_same_text_is_one_group() {
        assert_eq!(groups(&["a", "b", " a ", "b", "c"]), [0, 1, 0, 1, 4]);
    }
}
