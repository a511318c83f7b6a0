//! Reads a weighted sum of losses from a run file's text.
//!
//! ```text
//! sum    = term { "+" term }
//! term   = [ number "*" ] name [ "(" [ knob { "," knob } ] ")" ]
//! knob   = name "=" value
//! value  = number | word | "[" number { "," number } "]"
//! ```
//! Blanks may stand anywhere between these. Every error names the place, in characters from 1.

use super::weighted_sum::{Loss, Term, WEIGHTS, WeightedSum, written};
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::common::DidYouMean;
use lorakeet_i18n::messages::metrics as msg;
use lorakeet_i18n::{Field, Message};

/// The longest text, in bytes: a list of a thousand class weights fits.
const MAX_BYTES: usize = 16_384;
/// The most terms.
const MAX_TERMS: usize = 16;

impl WeightedSum {
    /// Reads `0.7*focal(gamma=2) + 0.3*mse`.
    ///
    /// # Errors
    /// What does not belong there, at which character, and what would be right: a name that no loss or knob has and the
    /// nearest that one has, a knob given twice, a value that is not allowed. Whether the losses suit a task is asked with
    /// [`WeightedSum::check`].
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            let (bytes, most) = (text.len(), MAX_BYTES);
            return Err(Error::config(msg::TextTooLong { bytes, most }).field("loss"));
        }
        let mut reader = Reader { text, at: 0 };
        let mut terms = Vec::new();
        loop {
            if terms.len() == MAX_TERMS {
                return Err(reader.error(reader.at, msg::TooManyTerms { most: MAX_TERMS }));
            }
            terms.push(reader.term()?);
            if reader.peek().is_none() {
                return Self::new(terms);
            }
            reader.symbol('+', msg::BetweenLosses)?;
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    /// Byte, always at the start of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    fn term(&mut self) -> Result<Term> {
        let weight = match self.peek() {
            Some(c) if starts_number(c) => {
                let at = self.at;
                let weight = self.number()?;
                if !WEIGHTS.contains(&weight) {
                    let (low, high) = (written(*WEIGHTS.start()), written(*WEIGHTS.end()));
                    let got = written(weight);
                    return Err(self.error(at, msg::WeightOutOfRange { low, high, got }));
                }
                self.symbol('*', msg::BetweenWeightAndLoss)?;
                weight
            }
            _ => 1.0,
        };
        let at = self.skip();
        let Some(name) = self.word() else {
            return Err(self.unexpected(msg::LossNameMissing).remedy(known_losses()));
        };
        let Some(mut loss) = Loss::named(name) else {
            return Err(self.unknown_loss(at, name));
        };
        if self.peek() == Some('(') {
            self.at += 1;
            self.knobs(&mut loss)?;
        }
        Ok(Term { weight, loss })
    }

    /// What stands between a loss's brackets, and the closing one.
    fn knobs(&mut self, loss: &mut Loss) -> Result<()> {
        let mut given: Vec<String> = Vec::new();
        if self.peek() == Some(')') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let at = self.skip();
            let Some(written_name) = self.word() else {
                return Err(self.unexpected(msg::KnobNameMissing).remedy(knobs_of(loss)));
            };
            let name = written_name.replace('-', "_").to_lowercase();
            if given.contains(&name) {
                return Err(self.error(at, msg::GivenTwice { name }));
            }
            if !loss.knobs().iter().any(|(known, _)| *known == name) {
                return Err(self.unknown_knob(at, written_name, loss));
            }
            self.symbol('=', msg::BetweenKnobAndValue)?;
            self.value(&name, loss)?;
            given.push(name);
            match self.peek() {
                Some(',') => self.at += 1,
                _ => return self.symbol(')', msg::AfterKnobs),
            }
        }
    }

    /// A value, which goes into the knob called `name`.
    fn value(&mut self, name: &str, loss: &mut Loss) -> Result<()> {
        let at = self.skip();
        let loss_name = loss.name();
        let Some((_, field)) = loss.knobs().into_iter().find(|(known, _)| *known == name) else {
            let loss = loss_name;
            return Err(Error::internal(msg::NoSuchKnob { loss, name }));
        };
        let allowed = field.allowed();
        let taken = match self.peek() {
            Some('[') => {
                self.at += 1;
                field.set_numbers(self.list()?, true)
            }
            Some(c) if starts_number(c) => field.set_numbers(vec![self.number()?], false),
            _ => match self.word() {
                Some(word) => field.set_word(word),
                None => return Err(self.unexpected(msg::ValueNeeded { name, allowed })),
            },
        };
        if taken {
            return Ok(());
        }
        let got: String = self.text[at..self.at].chars().take(40).collect();
        let (knob, got) = (msg::KnobOf { name, loss: loss_name }, got.trim());
        Err(self.error(at, msg::KnobMustBe { knob, allowed, got }))
    }

    /// The numbers of a list, whose opening bracket is read, and its closing one.
    fn list(&mut self) -> Result<Vec<f64>> {
        let mut numbers = Vec::new();
        loop {
            self.skip();
            numbers.push(self.number()?);
            match self.peek() {
                Some(',') => self.at += 1,
                _ => {
                    self.symbol(']', msg::AfterNumbers)?;
                    return Ok(numbers);
                }
            }
        }
    }

    fn number(&mut self) -> Result<f64> {
        let at = self.skip();
        let mut before = ' ';
        // A sign belongs to the number in front of it and after an exponent's e only.
        self.at += self
            .rest()
            .find(|c: char| {
                let sign = matches!(c, '+' | '-') && matches!(before, ' ' | 'e' | 'E');
                let part = sign || c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '_');
                before = c;
                !part
            })
            .unwrap_or(self.rest().len());
        let written = &self.text[at..self.at];
        let number = written
            .replace('_', "")
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| match written {
            "" => self.unexpected(msg::NumberMissing),
            _ => self.error(at, common::NotANumber { text: written }),
        })
    }

    /// A name or a word, if one stands here.
    fn word(&mut self) -> Option<&'a str> {
        let at = self.skip();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        self.at += self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        (self.at > at).then(|| &self.text[at..self.at])
    }

    fn symbol(&mut self, symbol: char, place: impl Into<Field>) -> Result<()> {
        if self.peek() == Some(symbol) {
            self.at += 1;
            return Ok(());
        }
        let place = place.into();
        Err(self.unexpected(msg::Missing { symbol, place }))
    }

    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        self.skip();
        self.rest().chars().next()
    }

    /// Goes to the next character that is no blank.
    fn skip(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn unknown_loss(&self, at: usize, name: &str) -> Error {
        let all = Loss::all();
        let names = || {
            all.iter()
                .flat_map(|loss| [loss.name()].into_iter().chain(loss.other_names().iter().copied()))
        };
        let error = self.error(at, msg::UnknownLoss { name: shortened(name) });
        match nearest(name, names()) {
            Some(name) => error.remedy(DidYouMean { name }),
            None => error.remedy(known_losses()),
        }
    }

    fn unknown_knob(&self, at: usize, name: &str, loss: &mut Loss) -> Error {
        let (of, called) = (loss.name(), shortened(name));
        let error = self.error(at, msg::UnknownKnob { loss: of, name: called });
        let known: Vec<&str> = loss.knobs().into_iter().map(|(name, _)| name).collect();
        match nearest(name, known.into_iter()) {
            Some(name) => error.remedy(DidYouMean { name }),
            None => error.remedy(knobs_of(loss)),
        }
    }

    /// What is missing where something else stands.
    fn unexpected(&self, what: impl Into<Field>) -> Error {
        let what = what.into();
        match self.rest().chars().next() {
            Some(found) => self.error(self.at, msg::Found { what, found }),
            None => self.error(self.at, msg::FoundEnd { what }),
        }
    }

    fn error(&self, at: usize, what: impl Into<Field>) -> Error {
        let (character, what) = (self.text[..at].chars().count() + 1, what.into());
        Error::config(msg::AtCharacter { character, what }).field("loss")
    }
}

fn starts_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '.' | '+' | '-')
}

/// The losses that there are, as a sentence.
fn known_losses() -> Message {
    let names = Field::list(Loss::all().iter().map(Loss::name));
    msg::KnownLosses { names }.into()
}

/// The knobs that a loss has, as a sentence.
fn knobs_of(loss: &mut Loss) -> Message {
    let names: Vec<&str> = loss.knobs().into_iter().map(|(name, _)| name).collect();
    match names.is_empty() {
        true => msg::NoKnobs { loss: loss.name() }.into(),
        false => {
            let names = Field::list(names);
            msg::KnownKnobs { names }.into()
        }
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::{Distance, usual};
    use crate::task::Task;

    fn error(text: &str) -> String {
        WeightedSum::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn a_weighted_sum_is_read_into_types_and_written_back() {
        let sum = WeightedSum::parse(" 0.7 * focal( gamma = 2.5,alpha=[1, 0.5]) +0.3*mse ").expect("it is well formed");
        let focal = Loss::Focal {
            gamma: 2.5,
            alpha: vec![1.0, 0.5],
        };
        let terms = [
            Term {
                weight: 0.7,
                loss: focal,
            },
            Term {
                weight: 0.3,
                loss: Loss::Mse,
            },
        ];
        assert_eq!(sum.terms(), terms);
        assert_eq!(sum.to_string(), "0.7*focal(gamma=2.5, alpha=[1, 0.5]) + 0.3*mse");
    }

    #[test]
    fn defaults_other_names_and_words_are_understood() {
        let sum = WeightedSum::parse("Info-NCE(symmetric=True) + triplet(distance=cosine, margin=2e-1) + L1()");
        let terms = sum.expect("it is well formed").terms().to_vec();
        let losses: Vec<Loss> = terms.into_iter().map(|term| term.loss).collect();
        let infonce = Loss::InfoNce {
            temperature: 0.05,
            symmetric: true,
        };
        let triplet = Loss::Triplet {
            margin: 0.2,
            distance: Distance::Cosine,
        };
        assert_eq!(losses, [infonce, triplet, Loss::Mae]);
    }

    #[test]
    fn errors_name_the_place_what_is_wrong_and_what_would_be_right() {
        for (text, parts) in [
            (
                "",
                ["character 1,", "name of a loss is missing", "cross_entropy, focal"],
            ),
            (
                "0.7*focl(gamma=2)",
                ["character 5,", "no loss called focl", "Did you mean focal?"],
            ),
            (
                "mse + perplexity",
                ["character 7,", "no loss called perplexity", "There are cross_entropy"],
            ),
            (
                "focal(gama=2)",
                ["character 7,", "focal has no knob called gama", "Did you mean gamma?"],
            ),
            (
                "mse(delta=1)",
                ["character 5,", "mse has no knob called delta", "mse has no knobs"],
            ),
            (
                "focal(gamma=-1)",
                [
                    "character 13,",
                    "gamma of focal must be a number from 0 to 20",
                    "got -1",
                ],
            ),
            (
                "focal(gamma=high)",
                ["character 13,", "must be a number from 0 to 20", "got high"],
            ),
            (
                "focal(gamma=[1, 2])",
                ["character 13,", "must be a number from 0 to 20", "got [1, 2]"],
            ),
            (
                "triplet(distance=cos)",
                ["character 18,", "must be euclidean or cosine", "got cos"],
            ),
            ("focal(gamma=2, gamma=3)", ["character 16,", "gamma is given twice", ""]),
            ("focal(gamma 2)", ["character 13,", "= is missing", "found 2"]),
            ("focal(gamma=2", ["character 14,", ") is missing", "found the end"]),
            (
                "focal(gamma=)",
                ["character 13,", "gamma needs a value", "from 0 to 20"],
            ),
            ("0.7 focal", ["character 5,", "* is missing", "found f"]),
            (
                "mse mae",
                ["character 5,", "+ is missing between two losses", "found m"],
            ),
            ("mse +", ["character 6,", "name of a loss is missing", "found the end"]),
            (
                "-1*mse",
                ["character 1,", "a weight must be from 0.0001 to 10000", "got -1"],
            ),
            ("1.2.3*mse", ["character 1,", "1.2.3 is not a number", ""]),
            (
                "bce(pos_weight=[1, x])",
                ["character 20,", "a number is missing", "found x"],
            ),
            ("损失 + mse", ["character 1,", "no loss called 损失", ""]),
        ] {
            let error = error(text);
            assert!(error.starts_with("loss: at "), "{error}");
            for part in parts {
                assert!(error.contains(part), "{text}: {part:?} is not in {error:?}");
            }
        }
    }

    #[test]
    fn a_text_without_end_is_refused() {
        assert!(error(&"mse + ".repeat(100_000)).contains("bytes"));
        assert!(error(&vec!["mse"; 17].join("+")).contains("more than 16 terms"));
        assert!(error(&"(".repeat(1000)).contains("character 1,"));
    }

    #[test]
    fn a_loss_of_another_task_is_refused_with_what_fits() {
        let sum = WeightedSum::parse("cross_entropy + 2*ranknet").expect("it is well formed");
        let error = sum
            .check(Task::Classification, None)
            .expect_err("a loss of ranking")
            .to_string();
        for part in [
            "loss: term 2: ranknet is a loss for ranking, and this is a classification run",
            "What fits: cross_entropy, focal, mse, mae, huber, smooth_l1.",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn vectors_are_compared_in_one_way_only() {
        let check = |text: &str| WeightedSum::parse(text).and_then(|sum| sum.check(Task::Embedding, None));
        check("mse + 0.5*mae").expect("both price cosines");
        check("infonce + triplet").expect("both compare queries with documents");
        for text in ["infonce + mse", "mse + infonce"] {
            let error = check(text).expect_err(text).to_string();
            assert!(error.contains("term 2") && error.contains("other vectors"), "{error}");
        }
    }

    #[test]
    fn a_list_must_have_a_number_for_each_output() {
        let check = |text: &str, task, outputs| WeightedSum::parse(text).and_then(|sum| sum.check(task, outputs));
        let refused = |text: &str, task, outputs| check(text, task, outputs).expect_err(text).to_string();
        let (class, labels) = (Task::Classification, Task::MultiLabel);
        let weights = "cross_entropy(class_weights=[1, 2])";
        check(weights, class, Some(2)).expect("two weights, two classes");
        check(weights, class, None).expect("the number of classes is not known yet");
        assert!(refused(weights, class, Some(3)).contains("has 2 numbers, and there are 3 outputs"));
        assert!(refused("cross_entropy(class_weights=[0, 0])", class, None).contains("weight 0"));
        assert!(refused("cross_entropy(label_smoothing=0.1)", Task::Generation, None).contains("without them"));
        check("focal(alpha=0.25)", labels, Some(5)).expect("one for all labels");
        assert!(refused("focal(alpha=0.25)", class, Some(5)).contains("has 1 numbers, and there are 5 outputs"));
        assert!(refused("focal(alpha=2)", labels, Some(5)).contains("from 0 to 1"));
        check("bce(pos_weight=3)", Task::Ranking, None).expect("one score, one weight");
    }

    #[test]
    fn every_task_has_a_usual_loss_that_fits_it() {
        for task in Task::ALL {
            usual(task).check(task, None).expect("the usual loss fits");
        }
    }

    #[test]
    #[cfg(feature = "files")]
    fn what_is_written_is_read_back_as_it_was() {
        use crate::loss::weighted_sum::Field;
        use crate::random::Generator;
        let mut generator = Generator::new(4, "losses");
        for _ in 0..2000 {
            let mut terms = Vec::new();
            for _ in 0..1 + generator.below(4) {
                let mut loss = Loss::all()[generator.below(14)].clone();
                for (_, field) in loss.knobs() {
                    let mut within = |range: &std::ops::RangeInclusive<f64>| match generator.below(3) {
                        0 => *range.start(),
                        1 => *range.end(),
                        _ => range.start() + (range.end() - range.start()) * generator.uniform().powi(9),
                    };
                    match field {
                        Field::Number(place, range) => *place = within(&range),
                        Field::Numbers(place, range) => *place = (0..3).map(|_| within(&range)).collect(),
                        Field::Flag(place) => *place = generator.below(2) == 0,
                        Field::Distance(place) => *place = Distance::Cosine,
                    }
                }
                let weight = [1.0, 1e-4, 0.1 + 0.2, 1e4][generator.below(4)];
                terms.push(Term { weight, loss });
            }
            let sum = WeightedSum::new(terms).expect("there are terms");
            let written = sum.to_string();
            assert_eq!(WeightedSum::parse(&written), Ok(sum), "{written}");
        }
    }

    #[test]
    #[cfg(feature = "files")]
    fn no_text_makes_the_reader_panic() {
        use crate::random::Generator;
        let mut generator = Generator::new(5, "losses");
        let pieces = [
            "focal", "(", ")", "gamma", "=", "2", "[", "]", ",", "+", "*", "-", "1e", "é", " ", "mse", "alpha", ".",
        ];
        for _ in 0..20_000 {
            let text: String = (0..generator.below(12))
                .map(|_| pieces[generator.below(pieces.len())])
                .collect();
            if let Ok(sum) = WeightedSum::parse(&text) {
                assert_eq!(WeightedSum::parse(&sum.to_string()), Ok(sum), "{text}");
            }
        }
    }
}
