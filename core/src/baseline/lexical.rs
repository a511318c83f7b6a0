//! Ranking by the words that a query and a document share.

use crate::metrics::text::words;
use std::collections::HashMap;

/// How soon more of the same word stops counting.
const K1: f64 = 1.2;
/// How much long documents are held back.
const B: f64 = 0.75;

/// BM25 (Robertson and Zaragoza, 2009) over a set of documents, with Lucene's inverse document frequency, which is never
/// negative.
///
/// score(q, d) = Σ over words w of q of ln(1 + (N − n_w + ½)/(n_w + ½)) · f·(k₁ + 1) / (f + k₁·(1 − b + b·|d|/mean|d|)), f the
/// times that w is in d, N documents, n_w of them with w, k₁ = 1.2, b = 0.75. Words are those of
/// [`crate::metrics::text::words`].
#[derive(Debug, Clone)]
pub struct Bm25 {
    /// Where each word is, and how often.
    places: HashMap<String, Vec<(usize, f64)>>,
    /// Words in each document.
    lengths: Vec<f64>,
}

impl Bm25 {
    /// Reads the documents.
    pub fn new(documents: &[&str]) -> Self {
        let mut places: HashMap<String, Vec<(usize, f64)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(documents.len());
        for (document, text) in documents.iter().enumerate() {
            let words = words(text);
            lengths.push(words.len() as f64);
            for word in words {
                let places = places.entry(word).or_default();
                match places.last_mut() {
                    Some((last, times)) if *last == document => *times += 1.0,
                    _ => places.push((document, 1.0)),
                }
            }
        }
        Self { places, lengths }
    }

    /// The score of each document, in their order; 0 for those that share no word with the query.
    pub fn scores(&self, query: &str) -> Vec<f64> {
        let documents = self.lengths.len() as f64;
        let mean_length = self.lengths.iter().sum::<f64>() / documents;
        let mut scores = vec![0.0; self.lengths.len()];
        for word in words(query) {
            let Some(places) = self.places.get(&word) else { continue };
            let with_word = places.len() as f64;
            let rarity = (1.0 + (documents - with_word + 0.5) / (with_word + 0.5)).ln();
            for (document, times) in places {
                let length = 1.0 - B + B * self.lengths[*document] / mean_length;
                scores[*document] += rarity * times * (K1 + 1.0) / (times + K1 * length);
            }
        }
        scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_are_the_formulas() {
        let ranking = Bm25::new(&["the cat sat", "the dog", "Cat, cat and cat!"]);
        // Lengths 3, 2 and 4, their mean 3; cat is in two of three documents.
        let rarity = (1.0_f64 + 1.5 / 2.5).ln();
        let first = rarity * 2.2 / (1.0 + 1.2);
        let third = rarity * 3.0 * 2.2 / (3.0 + 1.2 * (0.25 + 0.75 * 4.0 / 3.0));
        for (found, wanted) in ranking.scores("cat").into_iter().zip([first, 0.0, third]) {
            assert!((found - wanted).abs() < 1e-12, "{found} instead of {wanted}");
        }
        let twice: Vec<f64> = ranking.scores("cat").iter().map(|score| 2.0 * score).collect();
        assert_eq!(ranking.scores("cat cat unheard"), twice);
    }

    #[test]
    fn a_rare_word_counts_more_than_a_common_one() {
        let ranking = Bm25::new(&["微调 模型", "微调 数据", "微调 损失"]);
        let scores = ranking.scores("微调数据");
        assert!(
            scores[1] > scores[0] && scores[0] == scores[2] && scores[0] > 0.0,
            "{scores:?}"
        );
    }

    #[test]
    fn nothing_scores_nothing() {
        assert!(Bm25::new(&[]).scores("cat").is_empty());
        assert_eq!(Bm25::new(&["", "…"]).scores("cat"), [0.0, 0.0]);
        assert_eq!(Bm25::new(&["cat"]).scores(""), [0.0]);
    }
}
