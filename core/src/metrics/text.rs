//! Generated text: perplexity, and ROUGE-L and chrF against a reference text.

use super::{check_rows, harmonic, mean, share};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;
use std::collections::HashMap;

/// exp(Σ mean loss · tokens / Σ tokens) over batches, never the mean of perplexities. NaN where there are no tokens; it may be
/// infinite.
///
/// # Errors
/// Not as many counts as losses.
pub fn perplexity(mean_losses: &[f64], tokens: &[f64]) -> Result<f64> {
    if mean_losses.len() != tokens.len() {
        let (losses, batches) = (mean_losses.len(), tokens.len());
        return Err(Error::data(msg::LossesForBatches { losses, batches }));
    }
    let sum: f64 = mean_losses.iter().zip(tokens).map(|(loss, tokens)| loss * tokens).sum();
    Ok((sum / tokens.iter().sum::<f64>()).exp())
}

/// How much of a reference a text has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// The share of the text that is in the reference.
    pub precision: f64,
    /// The share of the reference that is in the text.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// ROUGE-L (Lin, 2004): the longest common subsequence of [`words`], over the words of each text. 0 where either has none.
/// Its time grows with the product of the lengths.
pub fn rouge_l(reference: &str, candidate: &str) -> Overlap {
    let (reference, candidate) = (words(reference), words(candidate));
    let common = longest_common(&reference, &candidate) as f64;
    let precision = share(common, candidate.len() as f64);
    let recall = share(common, reference.len() as f64);
    Overlap {
        precision,
        recall,
        f1: harmonic(precision, recall),
    }
}

/// The words of a text: runs of letters and digits, without their capitals. Of scripts that are written without blanks
/// (Chinese, Japanese), each letter is a word.
///
/// For English these are the words of Google's `rouge_score` without stemming.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        let alone = is_without_blanks(letter);
        if (alone || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if alone {
            words.push(letter.to_string());
        } else if letter.is_alphanumeric() {
            word.push(letter);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Kana and Han, with their extensions.
fn is_without_blanks(letter: char) -> bool {
    matches!(letter, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn longest_common(a: &[String], b: &[String]) -> usize {
    // One row of the usual table: what is longest up to each word of b.
    let mut above = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (j, other) in b.iter().enumerate() {
            let here = above[j + 1];
            above[j + 1] = if word == other {
                diagonal + 1
            } else {
                here.max(above[j])
            };
            diagonal = here;
        }
    }
    above[b.len()]
}

/// Up to how many letters chrF's n-grams have.
const CHRF_ORDER: usize = 6;

/// chrF (Popović, 2015) with β = 2 over a whole set, from 0 to 1; sacreBLEU writes it times 100.
///
/// For n from 1 to 6, precision and recall of the n-grams of letters, blanks left out, counted over all texts; their means
/// P and R over the n that both sides have; (1 + β²)·P·R / (β²·P + R). 0 where nothing is in common.
///
/// # Errors
/// No texts, or not as many candidates as references.
pub fn chrf(references: &[&str], candidates: &[&str]) -> Result<f64> {
    chrf_with(references, candidates, BETA)
}

/// How much more recall counts than precision in chrF.
const BETA: f64 = 2.0;

fn chrf_with(references: &[&str], candidates: &[&str], beta: f64) -> Result<f64> {
    check_rows(references.len(), candidates.len())?;
    let pairs = references.iter().zip(candidates);
    Ok(Grams::sum(pairs.map(|(reference, candidate)| Grams::of(reference, candidate))).score(beta))
}

/// What chrF counts: of each n, the n-grams that two texts have in common, those of the reference and those of the
/// candidate. Those of many texts are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grams([[usize; 3]; CHRF_ORDER]);

impl Grams {
    /// Of one reference and one candidate.
    pub fn of(reference: &str, candidate: &str) -> Self {
        Self(std::array::from_fn(|place| {
            let n = place + 1;
            let (reference, candidate) = (n_grams(reference, n), n_grams(candidate, n));
            let common = reference
                .iter()
                .map(|(gram, count)| candidate.get(gram).unwrap_or(&0).min(count));
            [common.sum(), reference.values().sum(), candidate.values().sum()]
        }))
    }

    /// Of all of them.
    pub fn sum(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::default(), |sum, one| {
            Self(std::array::from_fn(|n| {
                std::array::from_fn(|count| sum.0[n][count] + one.0[n][count])
            }))
        })
    }

    /// [`chrf`] of the texts that were counted.
    pub fn chrf(&self) -> f64 {
        self.score(BETA)
    }

    fn score(&self, beta: f64) -> f64 {
        let counted = || {
            self.0
                .iter()
                .filter(|[_, reference, candidate]| *reference > 0 && *candidate > 0)
        };
        if counted().next().is_none() {
            return 0.0;
        }
        let precision = mean(counted().map(|[hits, _, candidate]| *hits as f64 / *candidate as f64));
        let recall = mean(counted().map(|[hits, reference, _]| *hits as f64 / *reference as f64));
        let factor = beta * beta;
        share((1.0 + factor) * precision * recall, factor * precision + recall)
    }
}

/// How often each run of n letters occurs, blanks left out.
fn n_grams(text: &str, n: usize) -> HashMap<Vec<char>, usize> {
    let letters: Vec<char> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let mut grams = HashMap::new();
    for gram in letters.windows(n) {
        *grams.entry(gram.to_vec()).or_insert(0) += 1;
    }
    grams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_single_han() {
        assert_eq!(
            words("It's GPT-2: don't_stop!"),
            ["it", "s", "gpt", "2", "don", "t", "stop"]
        );
        assert_eq!(words("用LoRA微调 模型"), ["用", "lora", "微", "调", "模", "型"]);
        assert!(words(" … ").is_empty());
    }

    #[test]
    fn rouge_l_is_lins_example() {
        // Lin (2004), section 3.1: police killed the gunman.
        let reference = "police killed the gunman";
        assert_eq!(rouge_l(reference, "police kill the gunman").f1, 0.75);
        assert_eq!(rouge_l(reference, "the gunman kill police").f1, 0.5);
        let short = rouge_l(reference, "Police!");
        assert_eq!((short.precision, short.recall, short.f1), (1.0, 0.25, 0.4));
        for (a, b) in [("", ""), ("a", ""), ("", "a"), ("a", "b")] {
            assert_eq!(rouge_l(a, b).f1, 0.0);
        }
    }

    #[test]
    fn chrf_gives_the_published_number() {
        // An example of the author's own program, chrF3 = 64.1302698.
        let candidate = " Die Beziehung zwischen Obama und Netanjahu ist nicht gerade  freundlich. ";
        let reference = "Das Verhältnis zwischen Obama und Netanyahu ist nicht gerade freundschaftlich.";
        let found = chrf_with(&[reference], &[candidate], 3.0).expect("texts");
        assert!((found - 0.641302698).abs() < 1e-8, "{found}");
    }

    #[test]
    fn chrf_of_the_same_text_is_1_and_of_strangers_0() {
        assert_eq!(chrf(&["微调模型", "a cat"], &["微调模型", "a cat"]), Ok(1.0));
        assert_eq!(chrf(&["abc"], &["xyz"]), Ok(0.0));
        assert_eq!(chrf(&["abc"], &[""]), Ok(0.0));
        assert!(chrf(&[], &[]).is_err());
        // One letter, a of two: P = 1/2, R = 1, and no longer n-gram on both sides.
        assert_eq!(chrf(&["a"], &["ab"]), Ok(5.0 * 0.5 / (4.0 * 0.5 + 1.0)));
    }
}
