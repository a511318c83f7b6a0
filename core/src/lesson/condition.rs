//! Values of runs as lessons write them, `right.eval_loss@best`, and conditions on them, `right.eval_loss < 0.9 *
//! low.eval_loss`.

use super::one_of;
use super::results::Results;
use crate::error::{Error, Result};
use crate::protocol::BaselineKind;
use crate::task;
use lorakeet_i18n::messages::lesson as msg;
use serde::{Serialize, Serializer};
use std::fmt;

/// How much two values may differ and still be alike, as a share of the larger.
const ALIKE: f64 = 0.05;

/// What runs have besides their task's metrics: what is measured on the way, and what is known once.
const MEASURED: [&str; 3] = ["loss", "eval_loss", "perplexity"];
const KNOWN_ONCE: [&str; 5] = ["diverged", "seconds", "steps", "trainable_parameters", "base_bytes"];

/// In front of a baseline's kind and metric.
pub(super) const BASELINE: &str = "baseline:";

/// When a value is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// Before the first update.
    Start,
    /// The best on the way.
    Best,
    /// At the end of the run.
    #[default]
    End,
}

/// A value of a run: `RUN.VALUE`, `RUN.VALUE@start` or `RUN.VALUE@best`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunValue {
    /// The run's name.
    pub run: String,
    /// What of it: a name that [`super::RunResults::value`] knows.
    pub value: String,
    /// When.
    pub at: At,
}

/// Two values compared: `A < B`, `A > B` or `A ~ B`, where B is a value, a value times a number, or a number.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// A.
    pub left: RunValue,
    /// What is said of A and B.
    pub comparison: Comparison,
    /// B.
    pub right: Operand,
}

/// What is said of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The first is smaller.
    Less,
    /// The first is larger.
    Greater,
    /// They differ by at most 5 % of the larger.
    Alike,
}

/// The second side of a condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A number.
    Number(f64),
    /// `factor * value`.
    Value {
        /// 1 where none is written.
        factor: f64,
        /// The value.
        value: RunValue,
    },
}

impl RunValue {
    /// Reads one.
    ///
    /// # Errors
    /// Another form, a value that runs do not have, a time at which it is not measured.
    pub fn parse(text: &str) -> Result<Self> {
        let shape = || Error::config(msg::NotARunValue { text }).remedy(msg::WriteRunValue);
        let (run, rest) = text.trim().split_once('.').ok_or_else(shape)?;
        let (value, at) = match rest.split_once('@') {
            None => (rest, At::End),
            Some((value, "start")) => (value, At::Start),
            Some((value, "best")) => (value, At::Best),
            Some(_) => return Err(shape()),
        };
        if run.is_empty() || value.is_empty() {
            return Err(shape());
        }
        check_name(value)?;
        if at != At::End && !MEASURED.contains(&value) && !is_metric(value) {
            return Err(Error::config(msg::OnlyAtTheEnd { value }).remedy(msg::TakeTimeOut));
        }
        Ok(Self {
            run: run.to_owned(),
            value: value.to_owned(),
            at,
        })
    }

    /// What was measured; none where it was not, or is not yet.
    pub fn of(&self, results: &Results) -> Option<f64> {
        results.get(&self.run)?.value(&self.value, self.at)
    }
}

impl Condition {
    /// Reads one.
    ///
    /// # Errors
    /// No comparison, a factor that is no number above 0, values that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let (at, sign) = text
            .char_indices()
            .find(|(_, sign)| matches!(sign, '<' | '>' | '~'))
            .ok_or_else(|| Error::config(msg::ComparesNothing { text }).remedy(msg::WriteCondition))?;
        let comparison = match sign {
            '<' => Comparison::Less,
            '>' => Comparison::Greater,
            _ => Comparison::Alike,
        };
        Ok(Self {
            left: RunValue::parse(&text[..at])?,
            comparison,
            right: Operand::parse(&text[at + sign.len_utf8()..])?,
        })
    }

    /// Whether it holds; none where a value is not known.
    pub fn holds(&self, results: &Results) -> Option<bool> {
        let left = self.left.of(results)?;
        let right = match &self.right {
            Operand::Number(number) => *number,
            Operand::Value { factor, value } => factor * value.of(results)?,
        };
        Some(match self.comparison {
            Comparison::Less => left < right,
            Comparison::Greater => left > right,
            // Nothing finite is alike to what is not.
            Comparison::Alike if left.is_infinite() || right.is_infinite() => left == right,
            Comparison::Alike => (left - right).abs() <= ALIKE * left.abs().max(right.abs()),
        })
    }

    /// The values in it.
    pub fn values(&self) -> impl Iterator<Item = &RunValue> {
        let right = match &self.right {
            Operand::Number(_) => None,
            Operand::Value { value, .. } => Some(value),
        };
        std::iter::once(&self.left).chain(right)
    }
}

impl Operand {
    fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Some((factor, value)) = text.split_once('*') {
            let number = decimal(factor).filter(|factor| *factor > 0.0);
            let factor = number.ok_or_else(|| Error::config(msg::NotAFactor { text: factor.trim() }))?;
            let value = RunValue::parse(value)?;
            return Ok(Self::Value { factor, value });
        }
        if let Some(number) = decimal(text) {
            return Ok(Self::Number(number));
        }
        let value = RunValue::parse(text)?;
        Ok(Self::Value { factor: 1.0, value })
    }
}

/// A decimal number such as `0.9`, `-2` or `1e-3`; none where the text is another, or has more than 19 digits.
///
/// (The standard library's reader of floats brings a table of 10 kB into the lab's program, and serde_json's more.)
pub fn decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    let (text, sign) = text.strip_prefix('-').map_or((text, 1.0), |rest| (rest, -1.0));
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() {
        return None;
    }
    let mut mantissa = 0u64;
    for digit in whole.bytes().chain(part.bytes()) {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        mantissa = mantissa.checked_mul(10)?.checked_add(digit)?;
    }
    // Both numbers are exact up to 2^53 and 10^22, and the division rounds once.
    let power = i32::from(exponent) - part.len() as i32;
    let scale = 10f64.powi(power.abs());
    let number = match power < 0 {
        true => mantissa as f64 / scale,
        false => mantissa as f64 * scale,
    };
    Some(sign * number).filter(|number| number.is_finite())
}

fn is_metric(name: &str) -> bool {
    task::metric_names().any(|known| known == name)
}

/// Whether runs have a value of this name: one that every run has, a metric, or a baseline's metric.
fn check_name(value: &str) -> Result<()> {
    let no_such = |value: &str, remedy| Err(Error::config(msg::NoSuchValue { value }).remedy(remedy));
    if let Some(of) = value.strip_prefix(BASELINE) {
        let (kind, metric) = of.split_once('.').unwrap_or((of, ""));
        let kinds = BaselineKind::ALL.iter().map(|kind| kind.name());
        if !kinds.clone().any(|known| known == kind) {
            return no_such(value, one_of(kind, kinds));
        }
        return match is_metric(metric) {
            true => Ok(()),
            false => no_such(value, one_of(metric, task::metric_names())),
        };
    }
    let names = MEASURED.into_iter().chain(KNOWN_ONCE).chain(task::metric_names());
    match names.clone().any(|known| known == value) {
        true => Ok(()),
        false => no_such(value, one_of(value, names)),
    }
}

impl fmt::Display for RunValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.at {
            At::Start => "@start",
            At::Best => "@best",
            At::End => "",
        };
        write!(f, "{}.{}{at}", self.run, self.value)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.comparison {
            Comparison::Less => '<',
            Comparison::Greater => '>',
            Comparison::Alike => '~',
        };
        write!(f, "{} {sign} ", self.left)?;
        match &self.right {
            Operand::Number(number) => write!(f, "{number}"),
            Operand::Value { factor, value } if *factor == 1.0 => write!(f, "{value}"),
            Operand::Value { factor, value } => write!(f, "{factor} * {value}"),
        }
    }
}

impl Serialize for RunValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_a_run_a_name_and_a_time() {
        for (text, at) in [
            ("right.eval_loss", At::End),
            ("right.accuracy@start", At::Start),
            ("right.loss@best", At::Best),
            ("right.baseline:majority_class.accuracy", At::End),
        ] {
            let value = RunValue::parse(text).expect(text);
            assert_eq!((value.at, value.to_string().as_str()), (at, text));
        }
    }

    #[test]
    fn decimal_numbers_are_read_as_rust_reads_them() {
        for text in [
            "0",
            "0.9",
            "-2",
            "1e-3",
            "12.5E+2",
            "0.05",
            "100000",
            "-0.000123",
            "123456789.123",
        ] {
            assert_eq!(decimal(text), text.parse().ok(), "{text}");
        }
        for text in [
            "", "-", ".5", "nan", "inf", "1.2.3", "1e", "0x10", "1e999", "--1", "1,5",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn a_condition_is_written_as_it_is_read() {
        for text in [
            "right.eval_loss < low.eval_loss",
            "right.eval_loss@start > 0.9 * low.eval_loss@best",
            "right.diverged > 0.5",
            "a.perplexity ~ b.perplexity",
        ] {
            assert_eq!(Condition::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_way_out() {
        for (text, said) in [
            ("right.eval_los < 3", "Did you mean eval_loss?"),
            ("right.acuracy > 0.5", "Did you mean accuracy?"),
            ("right.baseline:majority.accuracy < 1", "Did you mean majority_class?"),
            ("right.eval_loss = 3", "compares nothing"),
            ("eval_loss < 3", "RUN.VALUE"),
            ("right.eval_loss@end < 3", "RUN.VALUE"),
            ("right.seconds@best < 3", "only at the end"),
            ("right.eval_loss < -1 * low.eval_loss", "above 0"),
            ("right.eval_loss < nan", "RUN.VALUE"),
            ("right.eval_loss < low.eval_loss < high.eval_loss", "no value"),
        ] {
            let error = Condition::parse(text).expect_err(text).to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
