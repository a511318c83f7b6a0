//! A closer look at a run's answers, behind its report: how sure the scores are, on which rows they are worse, and what
//! thresholds are chosen from.

use super::report::is_corpus;
use crate::data::{Example, FewValues, Target};
use crate::metrics::answers::{Predictions, direction};
use crate::metrics::bootstrap::Bootstrap;
use crate::metrics::generation::TextScores;
use crate::metrics::slices::{Scorer, by_value, interval, quartiles, slices};
use crate::protocol::{DecisionKind, Decisions, Judgement, SliceBy};
use crate::task::GENERATION_METRICS;
use crate::tasks::{Baseline, Corpus, Question, TaskSpec};

/// Draws of an interval: there are many of them, and they are looked at, not decided by.
const DRAWS: usize = 500;
/// Probabilities above which a front end gets none of them.
const MOST_PROBABILITIES: usize = 200_000;

/// What is known of the rows that were answered.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) examples: &'a [Example],
    /// Of generation, those that were answered in writing.
    pub(crate) questions: &'a [Question],
    /// What stands beside their texts and labels.
    pub(crate) columns: &'a [FewValues],
    /// The run's.
    pub(crate) seed: u64,
}

/// The row and the length of each unit that is scored.
struct Units {
    rows: Vec<usize>,
    lengths: Vec<u64>,
    in_tokens: bool,
}

/// A look at the answers of a run, whose table of predictions has the units in this `order`.
pub(crate) fn judgement(
    spec: &TaskSpec,
    (baselines, answers): (&[Baseline], &Predictions),
    order: &[usize],
    known: Known<'_>,
) -> Judgement {
    let metric = spec.judged_by();
    let of_baseline = |one: &Baseline| {
        let metrics = one.scores(spec.task()).metrics;
        let has_it = metrics.iter().any(|found| found.name == metric);
        has_it.then(|| one.answers.scorer(metric))
    };
    let mut ways: Vec<Option<Scorer<'_>>> = baselines.iter().map(of_baseline).collect();
    ways.push(Some(answers.scorer(metric)));
    let names = spec.answer.as_ref().map(|answer| answer.names.as_slice());
    Judgement {
        decisions: decisions(answers, names.unwrap_or_default(), order),
        ..look(metric, &ways, answers.units(), &units(known.examples), known)
    }
}

/// The same of a run that learnt texts; `before` is what its report compares with, where there is something.
pub(crate) fn judgement_of_texts(
    metric: &str,
    before: Option<&TextScores>,
    after: &TextScores,
    known: Known<'_>,
) -> Judgement {
    let ways = before.into_iter().chain([after]);
    let ways: Vec<Option<Scorer<'_>>> = ways.map(|texts| Some(texts.scorer(metric))).collect();
    let units = match GENERATION_METRICS.contains(&metric) {
        true => Units {
            rows: known.questions.iter().map(|question| question.row).collect(),
            lengths: known.questions.iter().map(|question| letters(&question.text)).collect(),
            in_tokens: false,
        },
        false => units(known.examples),
    };
    look(metric, &ways, after.units(metric), &units, known)
}

fn look(metric: &str, ways: &[Option<Scorer<'_>>], count: usize, units: &Units, known: Known<'_>) -> Judgement {
    let bootstrap = Bootstrap {
        resamples: DRAWS,
        seed: known.seed,
        ..Bootstrap::default()
    };
    let all: Vec<usize> = (0..count).collect();
    let intervals = ways
        .iter()
        .map(|score| interval(&all, score.as_ref()?, &bootstrap))
        .collect();
    // A packed row is of several rows of the data, and what is not counted as the answers are tells nothing of them.
    let is_packed = known.examples.iter().any(|example| !example.starts.is_empty());
    let found = match ways.last() {
        Some(Some(score)) if !is_packed && units.rows.len() == count => {
            let parts = parts(units, known.columns);
            slices(parts, score(&all), score, direction(metric), &bootstrap)
        }
        _ => Vec::new(),
    };
    Judgement {
        metric: metric.to_owned(),
        intervals,
        slices: found,
        decisions: None,
    }
}

/// The rows by their length, and by each of the columns.
fn parts(units: &Units, columns: &[FewValues]) -> Vec<(SliceBy, Vec<usize>)> {
    let in_tokens = units.in_tokens;
    let by_length = quartiles(&units.lengths).into_iter();
    let mut found: Vec<(SliceBy, Vec<usize>)> = by_length
        .map(|(from, to, rows)| (SliceBy::Length { from, to, in_tokens }, rows))
        .collect();
    for column in columns {
        let values: Vec<Option<&str>> = units.rows.iter().map(|row| column.of_row(*row)).collect();
        let of_value = |(value, rows): (String, Vec<usize>)| {
            let name = column.name.clone();
            (SliceBy::Column { name, value }, rows)
        };
        found.extend(by_value(&values).into_iter().map(of_value));
    }
    found
}

fn units(examples: &[Example]) -> Units {
    if is_corpus(examples) {
        let corpus = Corpus::of(examples);
        let (rows, lengths) = corpus.queries().map(|(row, text)| (row, letters(text))).unzip();
        return Units {
            rows,
            lengths,
            in_tokens: false,
        };
    }
    let of = |example: &Example| {
        let units = match &example.target {
            Target::Tokens(_) => example.words.iter().filter(|word| word.is_asked).count(),
            _ => 1,
        };
        std::iter::repeat_n((example.row, example.input_ids.len() as u64), units)
    };
    let (rows, lengths) = examples.iter().flat_map(of).unzip();
    Units {
        rows,
        lengths,
        in_tokens: true,
    }
}

fn letters(text: &str) -> u64 {
    text.chars().count() as u64
}

/// The probabilities that can be cut, in the order of the table; none of other tasks, and none where they are too many to be
/// handed over.
fn decisions(answers: &Predictions, names: &[String], order: &[usize]) -> Option<Decisions> {
    let (kind, width, truth, probabilities): (_, usize, Vec<bool>, Vec<f64>) = match answers {
        Predictions::Classes {
            classes: 2,
            truth,
            probabilities,
            ..
        } => {
            let second = probabilities.iter().skip(1).step_by(2).copied();
            let truth = truth.iter().map(|class| *class == 1);
            (DecisionKind::Binary, 1, truth.collect(), second.collect())
        }
        Predictions::Classes {
            classes,
            truth,
            predicted,
            probabilities,
        } => {
            let right = truth.iter().zip(predicted).map(|(truth, answer)| truth == answer);
            let rows = probabilities.chunks((*classes).max(1)).zip(predicted);
            let certainty = rows.map(|(row, answer)| row.get(*answer).copied().unwrap_or(f64::NAN));
            (DecisionKind::Reject, 1, right.collect(), certainty.collect())
        }
        Predictions::Labels {
            labels,
            truth,
            probabilities,
            ..
        } => (DecisionKind::Labels, *labels, truth.clone(), probabilities.clone()),
        Predictions::Numbers { .. } | Predictions::Lists(_) | Predictions::Pairs(_) => return None,
    };
    let numbers = order.len() * width;
    let is_whole = truth.len() == numbers && probabilities.len() == numbers && numbers > 0;
    if !is_whole || numbers > MOST_PROBABILITIES || probabilities.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let places = || order.iter().flat_map(move |unit| unit * width..(unit + 1) * width);
    Some(Decisions {
        kind,
        names: names.to_vec(),
        truth: places().map(|place| truth[place]).collect(),
        probabilities: places().map(|place| probabilities[place]).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_come_in_the_order_of_the_table() {
        let answers = Predictions::Classes {
            classes: 2,
            truth: vec![0, 1, 1],
            predicted: vec![0, 0, 1],
            probabilities: vec![0.9, 0.1, 0.6, 0.4, 0.2, 0.8],
        };
        let names = ["no", "yes"].map(str::to_owned);
        let found = decisions(&answers, &names, &[1, 2, 0]).expect("two classes");
        assert_eq!((found.kind, found.width()), (DecisionKind::Binary, 1));
        assert_eq!(
            (found.truth, found.probabilities),
            (vec![true, true, false], vec![0.4, 0.8, 0.1])
        );
        assert_eq!(decisions(&answers, &names, &[]), None, "words are no rows of the table");

        let answers = Predictions::Classes {
            classes: 3,
            truth: vec![0, 1],
            predicted: vec![0, 2],
            probabilities: vec![0.7, 0.2, 0.1, 0.1, 0.3, 0.6],
        };
        let found = decisions(&answers, &[], &[0, 1]).expect("three classes");
        assert_eq!(
            (found.kind, found.truth, found.probabilities),
            (DecisionKind::Reject, vec![true, false], vec![0.7, 0.6])
        );

        let answers = Predictions::Labels {
            labels: 2,
            truth: vec![true, false, false, true],
            predicted: vec![true, false, true, false],
            probabilities: vec![0.9, 0.2, 0.7, 0.4],
        };
        let found = decisions(&answers, &names, &[1, 0]).expect("labels");
        assert_eq!((found.kind, found.width()), (DecisionKind::Labels, 2));
        assert_eq!(
            (found.truth, found.probabilities),
            (vec![false, true, true, false], vec![0.7, 0.4, 0.9, 0.2])
        );
    }
}
