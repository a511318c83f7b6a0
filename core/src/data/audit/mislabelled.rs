//! Labels that are probably wrong: those that the words of the other rows speak against.
//!
//! Softmax regression on hashed words (their presence, by inverse document frequency, at length 1) is fitted to four fifths of the
//! rows and asked for the last fifth, five times over. One factor makes its probabilities as often right as they say
//! ([`sharpness`]). A row to which another class has a probability of [`SURE`] or more, and its own one of [`UNLIKELY`] or less, is
//! told of: confident learning in its simplest form (Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in
//! dataset labels, 2021). Where words do not decide the class no probability is so high, and nothing is told.

use super::copies::{pair, words};
use super::report::{Findings, Seen};
use crate::calibration::sharpness;
use crate::protocol::AuditKind;
use crate::random::Generator;
use std::collections::HashMap;

/// Fewer rows are not judged, nor are classes with fewer of them.
const FEWEST_ROWS: usize = 20;
const FEWEST_OF_CLASS: usize = 5;
/// Parts of the rows, of which each is judged by the others.
const FOLDS: usize = 5;
/// What another class has at least, and the row's own at most.
const SURE: f64 = 0.9;
const UNLIKELY: f64 = 0.1;
/// Words of a text that are looked at.
const MOST_WORDS: usize = 512;
/// Passes over the rows: the more rows, the fewer.
const PASSES: (u64, u64) = (4, 20);
/// Changes of a weight in all, which take about a second; what does not fit is not judged.
const MOST_CHANGES: u64 = 200_000_000;
/// Weights at most, of which words share those that there are no more of.
const MOST_WEIGHTS: usize = 1 << 22;
const MOST_BUCKETS: usize = 1 << 18;
/// AdaGrad's rate (Duchi, Hazan and Singer, 2011), the start of its sums, and the weight decay.
const RATE: f32 = 0.5;
const FIRST_SUM: f32 = 1e-8;
const DECAY: f32 = 0.01;

/// A text with one label.
struct Text {
    /// Of the first row with it.
    place: usize,
    class: usize,
    words: Vec<(u32, f32)>,
}

/// Adds rows that are probably mislabelled, the surest first; `names` are those of the classes, and `group` has for each row the place
/// of the first one of the same text. Where not all rows could be judged it gives how many were, and how many there are.
pub(super) fn check(
    seen: &[Seen],
    group: &[usize],
    (names, seed): (&[String], u64),
    findings: &mut Findings,
) -> Option<(usize, usize)> {
    let (mut texts, kept) = texts(seen, group, names);
    let all = texts.len();
    if kept.len() < 2 || all < FEWEST_ROWS {
        return None;
    }
    let sizes = (kept.len(), MOST_BUCKETS.min(MOST_WEIGHTS / kept.len()));
    let changes = read_words(&mut texts, seen, sizes);
    let passes = (MOST_CHANGES / changes.max(1)).clamp(PASSES.0, PASSES.1);
    let mut wrong = find(&texts, sizes, passes, &mut Generator::new(seed, "audit"));
    wrong.sort_by(|one, other| other.probability.total_cmp(&one.probability));
    for Wrong {
        text,
        class,
        probability,
    } in wrong
    {
        let Text { place, class: own, .. } = &texts[text];
        let (own, other) = (&names[kept[*own]], &names[kept[class]]);
        for row in (*place..seen.len()).filter(|row| group[*row] == *place) {
            let row = &seen[row];
            let told = format!("{own} → {other} ({probability:.2}): {}", row.text());
            findings.add(AuditKind::ProbablyMislabelled, row.place(), &told, None);
        }
    }
    let judged = texts.len();
    (judged < all).then_some((judged, all))
}

/// The texts with one label each, and the classes that have enough of them; a text's class is its place among these.
fn texts(seen: &[Seen], group: &[usize], names: &[String]) -> (Vec<Text>, Vec<usize>) {
    let numbers: HashMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(number, name)| (name.as_str(), number))
        .collect();
    let mut classes: Vec<Option<usize>> = vec![None; seen.len()];
    // A text with two labels is told of as that.
    let mut is_clear = vec![true; seen.len()];
    for (row, first) in seen.iter().zip(group) {
        let Some(class) = row.label().and_then(|label| numbers.get(label)) else {
            continue;
        };
        let known = classes[*first].get_or_insert(*class);
        is_clear[*first] &= *known == *class;
    }
    let clear = || {
        let texts = classes.iter().zip(&is_clear).enumerate();
        texts.filter_map(|(place, (class, is_clear))| Some((place, (*class).filter(|_| *is_clear)?)))
    };
    let mut counts = vec![0; names.len()];
    clear().for_each(|(_, class)| counts[class] += 1);
    let kept: Vec<usize> = (0..names.len())
        .filter(|class| counts[*class] >= FEWEST_OF_CLASS)
        .collect();
    let text = |(place, class): (usize, usize)| {
        Some(Text {
            place,
            class: kept.binary_search(&class).ok()?,
            words: Vec::new(),
        })
    };
    (clear().filter_map(text).collect(), kept)
}

/// Reads the words of as many texts as can be judged, and drops the others; gives the changes of weights in a pass over all folds.
fn read_words(texts: &mut Vec<Text>, seen: &[Seen], (classes, buckets): (usize, usize)) -> u64 {
    let of_word = (classes * FOLDS) as u64;
    let (mut changes, mut fitting) = (0, 0);
    let mut counts = vec![0_u32; buckets];
    for text in texts.iter_mut() {
        text.words = places(seen[text.place].text(), buckets);
        changes += of_word * (text.words.len() as u64 + 1);
        if changes * PASSES.0 > MOST_CHANGES && fitting >= FEWEST_ROWS {
            break;
        }
        fitting += 1;
        text.words.iter().for_each(|(place, _)| counts[*place as usize] += 1);
    }
    texts.truncate(fitting);
    for text in texts.iter_mut() {
        // What stands in one text only says nothing of another.
        text.words.retain(|(place, _)| counts[*place as usize] > 1);
        for (place, weight) in &mut text.words {
            *weight = (fitting as f32 / counts[*place as usize] as f32).ln() + 1.0;
        }
        let length = text.words.iter().map(|(_, weight)| weight * weight).sum::<f32>().sqrt();
        text.words.iter_mut().for_each(|(_, weight)| *weight /= length);
    }
    changes
}

/// The places of a text's words, and of its pairs of neighbouring signs, in rising order, each once.
fn places(text: &str, buckets: usize) -> Vec<(u32, f32)> {
    let mut words = words(text);
    words.truncate(MOST_WORDS);
    let pairs = words.windows(2).filter(|both| both[0].1 && both[1].1);
    let pairs = pairs.map(|both| pair(both[0].0, both[1].0));
    let numbers = words.iter().map(|(word, _)| *word).chain(pairs);
    let mut places: Vec<u32> = numbers.map(|number| (number % buckets as u64) as u32).collect();
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| (place, 1.0)).collect()
}

/// A text that is probably of another class.
struct Wrong {
    /// Its place among the texts.
    text: usize,
    /// The other class, and its probability.
    class: usize,
    probability: f64,
}

fn find(texts: &[Text], (classes, buckets): (usize, usize), passes: u64, generator: &mut Generator) -> Vec<Wrong> {
    let folds = folds(texts, classes, generator);
    let mut logits: Vec<(Vec<f64>, usize)> = texts.iter().map(|text| (Vec::new(), text.class)).collect();
    for fold in 0..FOLDS {
        let mut learnt: Vec<usize> = (0..texts.len()).filter(|text| folds[*text] != fold).collect();
        let mut words = Words::new(classes, buckets);
        for _ in 0..passes {
            generator.shuffle(&mut learnt);
            learnt.iter().for_each(|text| words.learn(&texts[*text]));
        }
        for text in (0..texts.len()).filter(|text| folds[*text] == fold) {
            logits[text].0 = words.logits(&texts[text].words).into_iter().map(f64::from).collect();
        }
    }
    let factor = sharpness(&logits).unwrap_or(1.0);
    let wrong = logits.into_iter().enumerate().filter_map(|(text, (mut values, own))| {
        values.iter_mut().for_each(|value| *value *= factor);
        let probabilities = softmax(&values);
        let class = (0..classes).max_by(|one, other| probabilities[*one].total_cmp(&probabilities[*other]))?;
        let probability = probabilities[class];
        let is_wrong = class != own && probability >= SURE && probabilities[own] <= UNLIKELY;
        is_wrong.then_some(Wrong {
            text,
            class,
            probability,
        })
    });
    wrong.collect()
}

/// The part that each text is in: every class has the same share in each.
fn folds(texts: &[Text], classes: usize, generator: &mut Generator) -> Vec<usize> {
    let mut by_class: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (place, text) in texts.iter().enumerate() {
        by_class[text.class].push(place);
    }
    let mut folds = vec![0; texts.len()];
    for (next, of_class) in by_class.iter_mut().enumerate() {
        generator.shuffle(of_class);
        for (place, text) in of_class.iter().enumerate() {
            folds[*text] = (next + place) % FOLDS;
        }
    }
    folds
}

/// Softmax regression by AdaGrad.
struct Words {
    /// A weight and the sum of its squared gradients for each class, place after place; then the biases.
    weights: Vec<(f32, f32)>,
    classes: usize,
}

impl Words {
    fn new(classes: usize, buckets: usize) -> Self {
        Self {
            weights: vec![(0.0, FIRST_SUM); (buckets + 1) * classes],
            classes,
        }
    }

    fn bias(&self) -> usize {
        self.weights.len() - self.classes
    }

    fn logits(&self, words: &[(u32, f32)]) -> Vec<f32> {
        let biases = &self.weights[self.bias()..];
        let mut logits: Vec<f32> = biases.iter().map(|(bias, _)| *bias).collect();
        for (place, factor) in words {
            let weights = &self.weights[*place as usize * self.classes..];
            let both = logits.iter_mut().zip(weights);
            both.for_each(|(logit, (weight, _))| *logit += factor * weight);
        }
        logits
    }

    fn learn(&mut self, text: &Text) {
        let logits: Vec<f64> = self.logits(&text.words).into_iter().map(f64::from).collect();
        let mut errors: Vec<f32> = softmax(&logits).into_iter().map(|p| p as f32).collect();
        errors[text.class] -= 1.0;
        for (place, factor) in &text.words {
            self.step(*place as usize * self.classes, &errors, *factor, DECAY);
        }
        self.step(self.bias(), &errors, 1.0, 0.0);
    }

    /// Changes the weights of a place.
    fn step(&mut self, start: usize, errors: &[f32], factor: f32, decay: f32) {
        for ((weight, sum), error) in self.weights[start..].iter_mut().zip(errors) {
            let gradient = error * factor + decay * *weight;
            *sum += gradient * gradient;
            *weight -= RATE * gradient / sum.sqrt();
        }
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
