//! How a model does on the texts of a generation run: its metrics by name, and the same of any part of the texts.

use super::mean;
use super::slices::Scorer;
use super::text::{Grams, rouge_l};
use crate::error::{Error, Result};
use crate::metrics::bootstrap::{Bootstrap, Comparison};
use crate::protocol::Metric;
use crate::task::{GENERATION_METRICS, Task};
use lorakeet_i18n::messages::metrics as msg;

/// The score of the tokens of one text.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TextScore {
    /// The cross-entropy of its targets, summed, in nats.
    pub loss: f64,
    /// Targets to which the model gives more than to any other token.
    pub hits: u64,
    /// How many targets there are.
    pub targets: u64,
}

/// An answer that the model wrote, beside the right one.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneratedAnswer {
    /// The right one.
    pub reference: String,
    /// The model's.
    pub text: String,
    /// ROUGE-L's F1 of the two.
    pub rouge_l: f64,
    grams: Grams,
}

impl GeneratedAnswer {
    /// The two, compared.
    pub fn new(reference: String, text: String) -> Self {
        Self {
            rouge_l: rouge_l(&reference, &text).f1,
            grams: Grams::of(&reference, &text),
            reference,
            text,
        }
    }
}

/// A model's scores on the validation texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextScores {
    /// Of each text.
    pub texts: Vec<TextScore>,
    /// Its answers to the questions among them; none where it did not have to write any.
    pub written: Vec<GeneratedAnswer>,
}

impl TextScores {
    /// The metric called `name`; not a number where it has no value, or is none of these.
    ///
    /// The loss is a mean over all targets, and the perplexity its exponential; the token accuracy is the share of the targets
    /// that are the likeliest token; ROUGE-L is the mean of the answers' F1, and chrF counts over all answers.
    pub fn value(&self, name: &str) -> f64 {
        self.value_of(name, &(0..self.units(name)).collect::<Vec<_>>())
    }

    /// All that have a value.
    pub fn metrics(&self) -> Vec<Metric> {
        let written = if self.written.is_empty() {
            &[]
        } else {
            GENERATION_METRICS
        };
        let names = Task::Generation.metrics().iter().chain(written);
        names
            .map(|name| Metric {
                name: (*name).to_owned(),
                value: self.value(name),
            })
            .collect()
    }

    /// These scores against `before`, on the same texts, by the metric `name`. Texts are drawn again with their lengths, so that
    /// a mean over tokens stays one.
    ///
    /// # Errors
    /// Other texts, or a metric without a value for them.
    pub fn against(&self, before: &Self, name: &str, bootstrap: &Bootstrap) -> Result<Comparison> {
        if self.units(name) != before.units(name) {
            return Err(Error::internal(msg::ScoresOfOtherTexts));
        }
        bootstrap.compare_by(self.units(name), |units| {
            (before.value_of(name, units), self.value_of(name, units))
        })
    }

    /// The metric `name` of some of its parts, by their numbers, which may come more than once.
    pub fn scorer<'a>(&'a self, name: &'a str) -> Scorer<'a> {
        Box::new(move |units: &[usize]| self.value_of(name, units))
    }

    /// How many parts a metric is made from: answers or texts.
    pub fn units(&self, name: &str) -> usize {
        match GENERATION_METRICS.contains(&name) {
            true => self.written.len(),
            false => self.texts.len(),
        }
    }

    fn value_of(&self, name: &str, units: &[usize]) -> f64 {
        let share = |part: fn(&TextScore) -> f64| {
            let texts = units.iter().map(|unit| &self.texts[*unit]);
            let (sum, targets) = texts.fold((0.0, 0), |(sum, targets), text| {
                (sum + part(text), targets + text.targets)
            });
            sum / targets as f64
        };
        let written = || units.iter().map(|unit| &self.written[*unit]);
        match name {
            "loss" => share(|text| text.loss),
            "perplexity" => share(|text| text.loss).exp(),
            "token_accuracy" => share(|text| text.hits as f64),
            "rouge_l" => mean(written().map(|written| written.rouge_l)),
            "chrf" if !units.is_empty() => Grams::sum(written().map(|written| written.grams)).chrf(),
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::text::chrf;

    fn scores() -> TextScores {
        let text = |loss, hits, targets| TextScore { loss, hits, targets };
        let written = |reference: &str, text: &str| GeneratedAnswer::new(reference.to_owned(), text.to_owned());
        TextScores {
            texts: vec![text(3.0, 1, 3), text(1.0, 1, 1)],
            written: vec![
                written("a cat", "a cat"),
                written("two dogs", "one dog"),
                written("x", "y"),
            ],
        }
    }

    #[test]
    fn losses_and_hits_are_means_over_tokens_and_answers_over_answers() {
        let scores = scores();
        assert_eq!((scores.value("loss"), scores.value("token_accuracy")), (1.0, 0.5));
        assert_eq!(scores.value("perplexity"), 1f64.exp());
        assert_eq!(scores.value("rouge_l"), 1.0 / 3.0);
        let whole = chrf(&["a cat", "two dogs", "x"], &["a cat", "one dog", "y"]);
        assert_eq!(Ok(scores.value("chrf")), whole);
        let names: Vec<String> = scores.metrics().into_iter().map(|metric| metric.name).collect();
        assert_eq!(names, [Task::Generation.metrics(), GENERATION_METRICS].concat());
    }

    #[test]
    fn who_writes_no_answers_has_no_metrics_of_them() {
        let silent = TextScores {
            written: Vec::new(),
            ..scores()
        };
        assert_eq!(silent.metrics().len(), Task::Generation.metrics().len());
        assert!(silent.value("rouge_l").is_nan() && silent.value("chrf").is_nan() && silent.value("mcc").is_nan());
        assert!(silent.against(&scores(), "chrf", &Bootstrap::default()).is_err());
    }

    #[test]
    fn a_comparison_draws_answers_for_their_metrics_and_texts_for_the_others() {
        let (scores, bootstrap) = (scores(), Bootstrap::default());
        let mut better = scores.clone();
        better.written[2] = GeneratedAnswer::new("x".into(), "x".into());
        let by = |metric| better.against(&scores, metric, &bootstrap).expect("two scores");
        assert_eq!((by("rouge_l").rows, by("loss").rows), (3, 2));
        assert!(by("chrf").difference > 0.0 && by("loss").difference == 0.0);
        assert!((by("rouge_l").difference - 1.0 / 3.0).abs() < 1e-12);
    }
}
