//! What a run comes to: the tuned model against the baselines, and its answers row by row.

use super::evaluation::Scored;
use crate::data::{Example, LabelSet, Target};
use crate::error::Result;
use crate::metrics::answers::{Predictions, direction};
use crate::metrics::bootstrap::{Bootstrap, Direction, Verdict};
use crate::metrics::classification::Confusion;
use crate::metrics::generation::{GeneratedAnswer, TextScores};
use crate::protocol::{self, BaselineKind, CalibrationBin, ClassRow, PredictionTable, Report};
use crate::task::Task;
use crate::tasks::{Baseline, Corpus, Question, TaskSpec, number};
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::common::Both;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Field, Message};

/// Characters of a row's text that are shown.
const TEXT: usize = 300;

/// The report of a run that learnt texts and ended with `after`, by `metric`; `before` is how the model called `against` did on
/// the same texts.
pub(crate) fn report_of_texts(
    metric: &str,
    before: Option<&TextScores>,
    after: &TextScores,
    against: BaselineKind,
    seed: u64,
) -> Report {
    let bootstrap = Bootstrap {
        seed,
        ..Bootstrap::default()
    };
    let comparison = before.and_then(|before| after.against(before, metric, &bootstrap).ok());
    let before = before.filter(|_| comparison.is_some());
    let direction = direction(metric);
    let sentence = match (&comparison, before) {
        (Some(comparison), Some(before)) => {
            let mut what = comparison.sentence(metric, direction);
            if metric == "loss" {
                let [after, before] = [after, before].map(|texts| format!("{:.2}", texts.value("perplexity")));
                what = msg::Perplexity { after, before, what }.into();
            }
            let kind = against.message();
            in_words(comparison.verdict(direction), msg::TheBaseline { kind }, what)
        }
        _ => nothing_to_compare(metric, after.value(metric)),
    };
    Report {
        task: Task::Generation,
        metric: metric.to_owned(),
        metrics: after.metrics(),
        baselines: before
            .map(|before| baseline_of_texts(before, against))
            .into_iter()
            .collect(),
        against: before.map(|_| against.to_string()).unwrap_or_default(),
        verdict: comparison.map(|comparison| comparison.verdict(direction)),
        comparison,
        sentence,
        labels: Vec::new(),
        confusion: Vec::new(),
        classes: Vec::new(),
        calibration: Vec::new(),
    }
}

/// How a model did on texts, as a score to beat.
pub(crate) fn baseline_of_texts(texts: &TextScores, kind: BaselineKind) -> protocol::Baseline {
    protocol::Baseline {
        kind,
        name: kind.to_string(),
        metrics: texts.metrics(),
    }
}

/// The answers that the model wrote, those least like the right ones first.
pub(crate) fn written_answers(questions: &[Question], written: &[GeneratedAnswer]) -> PredictionTable {
    let mut rows: Vec<(&Question, &GeneratedAnswer)> = questions.iter().zip(written).collect();
    rows.sort_by(|a, b| a.1.rouge_l.total_cmp(&b.1.rouge_l));
    // A question ends its prompt; what a template puts in front of it is the same in every row.
    let end = |text: &str| {
        let skipped = text.chars().count().saturating_sub(TEXT);
        text.chars().skip(skipped).collect::<String>()
    };
    PredictionTable {
        columns: ["row", "label", "prediction", "rouge_l", "text"]
            .map(String::from)
            .to_vec(),
        rows: rows
            .into_iter()
            .map(|(question, written)| {
                vec![
                    question.row.to_string(),
                    written.reference.clone(),
                    written.text.clone(),
                    number(written.rouge_l),
                    end(&question.text),
                ]
            })
            .collect(),
    }
}

/// The report of a run that ended with `scored`; `None` of generation, which has [`report_of_texts`], and without validation
/// rows. Where the linear probe did better, it says what to do `instead`.
pub(crate) fn report(
    spec: &TaskSpec,
    baselines: &[Baseline],
    scored: &Scored,
    (seed, instead): (u64, Option<Message>),
) -> Option<Report> {
    let answers = scored.answers.as_ref()?;
    let (task, metric) = (spec.task(), spec.judged_by());
    let best = best_baseline(baselines, metric);
    let bootstrap = Bootstrap {
        seed,
        ..Bootstrap::default()
    };
    let comparison = best.and_then(|best| answers.against(&best.answers, metric, &bootstrap).ok());
    let against = best.map(|best| best.kind.to_string()).unwrap_or_default();
    let verdict = comparison.map(|comparison| comparison.verdict(direction(metric)));
    let sentence = match &comparison {
        Some(comparison) => {
            let kind = best.map_or(BaselineKind::BaseModel, |best| best.kind).message();
            let what = comparison.sentence(metric, direction(metric));
            let verdict = in_words(comparison.verdict(direction(metric)), msg::BestBaseline { kind }, what);
            let probe = baselines.iter().find(|one| one.kind == BaselineKind::LinearProbe);
            let is_beaten = probe.is_some_and(|probe| {
                let (probe, tuned) = (probe.answers.value(metric), answers.value(metric));
                match direction(metric) {
                    Direction::HigherIsBetter => probe > tuned,
                    Direction::LowerIsBetter => probe < tuned,
                }
            });
            match instead.filter(|_| is_beaten) {
                Some(instead) => Both {
                    first: verdict,
                    second: instead,
                }
                .into(),
                None => verdict,
            }
        }
        None => nothing_to_compare(metric, answers.value(metric)),
    };
    let labels = match (&spec.answer, answers) {
        (Some(answer), Predictions::Classes { .. }) => answer.names.clone(),
        _ => Vec::new(),
    };
    let confusion = answers.confusion();
    let classes = confusion.iter().flat_map(|confusion| confusion.table());
    let classes = classes.map(|class| ClassRow {
        label: labels.get(class.class).cloned().unwrap_or_default(),
        precision: class.precision,
        recall: class.recall,
        f1: class.f1,
        support: class.support,
    });
    let bins = answers
        .calibration()
        .map(|calibration| calibration.bins)
        .unwrap_or_default();
    Some(Report {
        task,
        metric: metric.to_owned(),
        metrics: scored.info.metrics.clone(),
        baselines: baselines.iter().map(|one| one.scores(task)).collect(),
        against,
        comparison,
        verdict,
        sentence,
        classes: classes.collect(),
        confusion: confusion.as_ref().map(Confusion::pairs).unwrap_or_default(),
        calibration: bins
            .into_iter()
            .filter(|bin| bin.count > 0)
            .map(|bin| CalibrationBin {
                from: bin.from,
                to: bin.to,
                count: bin.count,
                confidence: bin.confidence,
                accuracy: bin.accuracy,
            })
            .collect(),
        labels,
    })
}

/// The best baseline by a metric; none where the metric has a value for none of them.
pub(crate) fn best_baseline<'a>(baselines: &'a [Baseline], metric: &str) -> Option<&'a Baseline> {
    let valued = baselines.iter().map(|one| (one, one.answers.value(metric)));
    protocol::best_of(metric, valued).map(|(best, _)| best)
}

/// A verdict on the trained model, what it was compared with, and the numbers.
fn in_words(verdict: Verdict, against: impl Into<Field>, what: Message) -> Message {
    let against = against.into();
    match verdict {
        Verdict::Better => msg::Better { against, what }.into(),
        Verdict::NotDistinguishable => msg::NotDistinguishable { against, what }.into(),
        Verdict::Worse => msg::Worse { against, what }.into(),
    }
}

fn nothing_to_compare(metric: &str, value: f64) -> Message {
    let value = format!("{value:.4}");
    msg::NothingToCompare { metric, value }.into()
}

/// Whether all documents are everyone's.
pub(crate) fn is_corpus(examples: &[Example]) -> bool {
    let mut examples = examples.iter();
    examples.any(|example| example.texts.len() == example.others.len() + 1)
}

/// The answers row by row, the worst errors first, with the number of each among the answers (of words, none); `right` says
/// whether the examples' labels are known.
///
/// # Errors
/// The tokenizer refuses a row's tokens.
pub(crate) fn predictions(
    answer: Option<&LabelSet>,
    answers: &Predictions,
    right: bool,
    examples: &[Example],
    tokenizer: Option<&Tokenizer>,
) -> Result<(PredictionTable, Vec<usize>)> {
    // A bi-encoder's queries may be fewer than its examples, and all documents are everyone's.
    let corpus = is_corpus(examples).then(|| Corpus::of(examples));
    let names = answer.map(|answer| answer.names.as_slice()).unwrap_or_default();
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| class.to_string());
    let mut columns: Vec<String> = Vec::new();
    // How wrong each row is, and its fields.
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    match answers {
        Predictions::Classes {
            classes,
            truth,
            predicted,
            probabilities,
        } => {
            columns.extend(["label", "prediction", "confidence", "probability_of_label"].map(String::from));
            for (row, &answer) in predicted.iter().enumerate() {
                let of = |class: usize| probabilities.get(row * classes + class).copied().unwrap_or(f64::NAN);
                let truth = truth.get(row).copied().filter(|_| right);
                let fields = vec![
                    truth.map(name).unwrap_or_default(),
                    name(answer),
                    number(of(answer)),
                    truth.map(|truth| number(of(truth))).unwrap_or_default(),
                ];
                rows.push((truth.map_or(0.0, |truth| 1.0 - of(truth)), fields));
            }
        }
        Predictions::Labels {
            labels,
            truth,
            predicted,
            probabilities,
        } => {
            columns.extend(["labels", "predictions", "error"].map(String::from));
            let listed = |flags: &[bool]| {
                let applying = flags.iter().enumerate().filter(|(_, flag)| **flag);
                applying.map(|(label, _)| name(label)).collect::<Vec<_>>().join("|")
            };
            for (row, answered) in predicted.chunks(*labels).enumerate() {
                let truth = truth.get(row * labels..(row + 1) * labels).unwrap_or_default();
                let error: f64 = (probabilities.iter().skip(row * labels))
                    .zip(truth)
                    .map(|(p, right)| (p - f64::from(u8::from(*right))).abs())
                    .sum();
                rows.push((error, vec![listed(truth), listed(answered), number(error)]));
            }
        }
        Predictions::Numbers {
            targets,
            truth,
            predicted,
        } => {
            let label = |what: &str, target: usize| match targets {
                1 => what.to_owned(),
                _ => format!("{what} {}", name(target)),
            };
            for target in 0..*targets {
                columns.extend(["label", "prediction", "residual"].map(|what| label(what, target)));
            }
            for (row, answered) in predicted.chunks(*targets).enumerate() {
                let (mut error, mut fields) = (0.0, Vec::new());
                for (target, value) in answered.iter().enumerate() {
                    let truth = truth.get(row * targets + target);
                    let residual = truth.map(|truth| value - truth);
                    error += residual.unwrap_or(0.0).abs();
                    fields.extend([
                        truth.copied().map(number).unwrap_or_default(),
                        number(*value),
                        residual.map(number).unwrap_or_default(),
                    ]);
                }
                rows.push((error, fields));
            }
        }
        Predictions::Lists(lists) => {
            columns.extend(["ndcg_at_10", "rank_of_first_relevant", "first_document"].map(String::from));
            for (query, (scores, _)) in lists.iter().enumerate() {
                let one = answers.pick(&[query]);
                let (ndcg, reciprocal) = (one.value("ndcg_at_10"), one.value("mrr"));
                let rank = if reciprocal > 0.0 {
                    number(1.0 / reciprocal)
                } else {
                    String::new()
                };
                let first = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
                let document = first.and_then(|place| document(examples, query, place, corpus.as_ref()));
                rows.push((1.0 - ndcg, vec![number(ndcg), rank, document.unwrap_or_default()]));
            }
        }
        Predictions::Pairs(pairs) => {
            columns.extend(["reward_of_chosen", "reward_of_rejected", "margin"].map(String::from));
            for (chosen, rejected) in pairs {
                let fields = vec![number(*chosen), number(*rejected), number(chosen - rejected)];
                rows.push((rejected - chosen, fields));
            }
        }
    }
    if examples.iter().any(|example| !example.words.is_empty()) {
        return Ok((words_answered(columns, rows, (right, &name), examples), Vec::new()));
    }
    let texts = texts(answers, examples, corpus.as_ref(), tokenizer)?;
    let mut order: Vec<usize> = (0..rows.len().min(texts.len())).collect();
    if right {
        order.sort_by(|a, b| rows[*b].0.total_cmp(&rows[*a].0));
    }
    let mut table = PredictionTable {
        columns: ["row".to_owned()]
            .into_iter()
            .chain(columns)
            .chain(["text".to_owned()])
            .collect(),
        rows: Vec::with_capacity(order.len()),
    };
    for &place in &order {
        let (row, text) = &texts[place];
        let mut fields = vec![row.to_string()];
        fields.append(&mut rows[place].1);
        fields.push(text.chars().take(TEXT).collect());
        table.rows.push(fields);
    }
    Ok((table, order))
}

/// The answers to words, `rows` of which are those that the model was asked: a row for every word, with its number in its
/// sentence. Words without an answer, of which the model read no token, have none in the table either.
fn words_answered(
    columns: Vec<String>,
    rows: Vec<(f64, Vec<String>)>,
    (right, name): (bool, &dyn Fn(usize) -> String),
    examples: &[Example],
) -> PredictionTable {
    let mut answered = rows.into_iter();
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    for example in examples {
        for (place, word) in example.words.iter().enumerate() {
            let found = if word.is_asked { answered.next() } else { None };
            let unanswered = || {
                // The label of a word is known even where nothing was read of it.
                let label = word.label.filter(|_| right).map(|label| name(label as usize));
                let others = columns.len().saturating_sub(1);
                let fields = [label.unwrap_or_default()].into_iter();
                (0.0, fields.chain(vec![String::new(); others]).collect())
            };
            let (error, fields) = found.unwrap_or_else(unanswered);
            let end = [(place + 1).to_string(), word.text.chars().take(TEXT).collect()];
            let fields = [example.row.to_string()].into_iter().chain(fields).chain(end);
            rows.push((error, fields.collect()));
        }
    }
    if right {
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    }
    let ends = ["word", "text"].map(String::from);
    PredictionTable {
        columns: ["row".to_owned()].into_iter().chain(columns).chain(ends).collect(),
        rows: rows.into_iter().map(|(_, fields)| fields).collect(),
    }
}

/// The row and the text of each answer.
pub(crate) fn texts(
    answers: &Predictions,
    examples: &[Example],
    corpus: Option<&Corpus>,
    tokenizer: Option<&Tokenizer>,
) -> Result<Vec<(usize, String)>> {
    let mut found = Vec::with_capacity(answers.units());
    if let Some(corpus) = corpus {
        return Ok(corpus.queries().map(|(row, query)| (row, query.to_owned())).collect());
    }
    let decode = |ids: &[u32]| match tokenizer {
        Some(tokenizer) => tokenizer.decode(ids, true),
        None => Ok(String::new()),
    };
    for example in examples {
        match (&example.target, example.texts.first()) {
            (Target::Tokens(_), _) => {
                let asked = example.words.iter().filter(|word| word.is_asked);
                found.extend(asked.map(|word| (example.row, word.text.clone())));
            }
            (_, Some(query)) => found.push((example.row, query.clone())),
            _ if !example.features.is_empty() => found.push((example.row, example.features_text())),
            _ => found.push((example.row, decode(&example.input_ids)?)),
        }
    }
    Ok(found)
}

/// The document with this number in the list of a query.
fn document(examples: &[Example], query: usize, place: usize, corpus: Option<&Corpus>) -> Option<String> {
    if let Some(corpus) = corpus {
        return corpus.documents().get(place).map(ToString::to_string);
    }
    examples.get(query)?.texts.get(place + 1).cloned()
}
