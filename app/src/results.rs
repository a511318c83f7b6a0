//! What a run came to, short enough for an address: the curve, the validation losses, the text before and after, and the scores
//! by the metric that judges the run. A link brings it, and the page shows it as it shows its own run.
//!
//! Each key of a link has fields between `*`, points between `_`: letters, digits, `*`, `-`, `.` and `_` stay one byte in an
//! address.

use crate::curves::{Line, thinned};
use crate::report::value;
use crate::run::Sample;
use lorakeet_core::config::PageQuery;
use lorakeet_core::protocol::{
    Baseline, BaselineKind, DeviceKind, EvalInfo, Metric, Report, RunInfo, RunSummary, StepInfo, Verdict,
};
use lorakeet_core::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::metrics::ScoresAre;
use lorakeet_i18n::messages::run as msg;

const RUN: &str = "results";
const LOSS: &str = "results_loss";
const EVAL: &str = "results_eval";
const SCORES: &str = "results_scores";
const BEFORE: &str = "results_before";
const AFTER: &str = "results_after";
/// The keys of a link.
const KEYS: [&str; 6] = [RUN, LOSS, EVAL, SCORES, BEFORE, AFTER];

/// Points of the training loss at most; neighbours are replaced by their mean.
const STEPS: usize = 32;
/// Points of the validation loss at most.
const EVALS: usize = 12;
/// Letters of each text, from the longest on: the first that fits is taken.
const LETTERS: [usize; 4] = [240, 160, 80, 0];

/// The verdicts by their names in a link.
const VERDICTS: [(&str, Option<Verdict>); 4] = [
    ("better", Some(Verdict::Better)),
    ("same", Some(Verdict::NotDistinguishable)),
    ("worse", Some(Verdict::Worse)),
    ("none", None),
];

/// A run that is over, as a link has it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// What it ran on.
    pub device: DeviceKind,
    /// What was said when it started.
    pub info: RunInfo,
    /// How it ended.
    pub summary: RunSummary,
    /// Training loss over the steps.
    pub losses: Line,
    /// Validation loss over the steps.
    pub evals: Line,
    /// What the model wrote first and last.
    pub samples: Vec<Sample>,
    /// The scores by the metric that judges the run, the best baseline first.
    pub report: Option<Report>,
}

impl RunResult {
    /// Writes it into a link, the texts as long as there is room.
    pub fn put(&self, query: &mut PageQuery) {
        query.set(RUN, Some(&self.numbers()));
        query.set(LOSS, Some(&points(&thinned(&self.losses, STEPS))));
        query.set(EVAL, Some(&points(&last_kept(&self.evals, EVALS))));
        query.set(SCORES, self.report.as_ref().map(scores).as_deref());
        for letters in LETTERS {
            let mut texts = self.samples.iter().map(|sample| cut(&sample.text, letters));
            query.set(BEFORE, texts.next().filter(|_| letters > 0).as_deref());
            query.set(AFTER, texts.next_back().filter(|_| letters > 0).as_deref());
            if query.to_text().is_ok() {
                return;
            }
        }
    }

    /// Takes it out of a link.
    pub fn take_out(query: &mut PageQuery) {
        KEYS.iter().for_each(|key| query.set(key, None));
    }

    /// Reads it from a link, where one is in it; `prompt` is what the texts continue.
    ///
    /// # Errors
    /// The key and the value that cannot be read.
    pub fn read(query: &PageQuery, prompt: &str) -> Result<Option<Self>, (&'static str, String)> {
        let Some(numbers) = query.get(RUN) else { return Ok(None) };
        let wrong = |key: &'static str| (key, query.get(key).unwrap_or_default().to_owned());
        let line = |key| {
            query
                .get(key)
                .map_or(Some(Line::new()), read_points)
                .ok_or_else(|| wrong(key))
        };
        let (device, info, summary) = read_numbers(numbers).ok_or_else(|| wrong(RUN))?;
        let report = match query.get(SCORES) {
            Some(text) => Some(read_scores(text, info.task).ok_or_else(|| wrong(SCORES))?),
            None => None,
        };
        let sample = |(key, step)| {
            query.get(key).map(|text| Sample {
                step,
                prompt: prompt.to_owned(),
                text: text.to_owned(),
            })
        };
        Ok(Some(Self {
            device,
            losses: line(LOSS)?,
            evals: line(EVAL)?,
            samples: [(BEFORE, 0), (AFTER, summary.steps)]
                .into_iter()
                .filter_map(sample)
                .collect(),
            report,
            info,
            summary,
        }))
    }

    /// The curve as steps; numbers that a link does not have are none.
    pub fn steps(&self) -> Vec<StepInfo> {
        let step = |(step, loss): &(f64, f64)| StepInfo {
            step: *step as usize,
            epoch: f64::NAN,
            loss: *loss,
            learning_rate: f64::NAN,
            grad_norm: f64::NAN,
            tokens_per_second: f64::NAN,
            num_input_tokens_seen: 0,
            eta_seconds: f64::NAN,
            seconds: f64::NAN,
            device_bytes: None,
        };
        self.losses.iter().map(step).collect()
    }

    /// The validation losses as scores.
    pub fn scored(&self) -> Vec<EvalInfo> {
        let eval = |(step, loss): &(f64, f64)| EvalInfo {
            step: *step as usize,
            loss: *loss,
            perplexity: loss.exp(),
            tokens: 0,
            metrics: Vec::new(),
        };
        self.evals.iter().map(eval).collect()
    }

    fn numbers(&self) -> String {
        let (info, summary) = (&self.info, &self.summary);
        let device = match self.device {
            DeviceKind::Gpu => "gpu",
            DeviceKind::Cpu => "cpu",
        };
        let loss = |loss: Option<f64>| loss.map(short).unwrap_or_default();
        [
            info.task.name().to_owned(),
            device.to_owned(),
            info.max_steps.to_string(),
            summary.steps.to_string(),
            u8::from(summary.finished).to_string(),
            short(summary.seconds),
            info.train_examples.to_string(),
            info.eval_examples.to_string(),
            info.trainable_parameters.to_string(),
            info.all_parameters.to_string(),
            short(summary.train_loss),
            loss(summary.eval_loss_before),
            loss(summary.eval_loss_after),
        ]
        .join("*")
    }
}

fn read_numbers(text: &str) -> Option<(DeviceKind, RunInfo, RunSummary)> {
    let fields: [&str; 13] = text.split('*').collect::<Vec<_>>().try_into().ok()?;
    let [
        task,
        device,
        planned,
        steps,
        finished,
        seconds,
        train,
        eval,
        trained,
        all,
        loss,
        before,
        after,
    ] = fields;
    let optional = |text: &str| match text.is_empty() {
        true => Some(None),
        false => number(text).map(Some),
    };
    let info = RunInfo {
        max_steps: planned.parse().ok()?,
        train_examples: train.parse().ok()?,
        eval_examples: eval.parse().ok()?,
        trainable_parameters: trained.parse().ok()?,
        all_parameters: all.parse().ok()?,
        task: Task::ALL.into_iter().find(|known| known.name() == task)?,
        loss: String::new(),
    };
    let device = match device {
        "gpu" => DeviceKind::Gpu,
        "cpu" => DeviceKind::Cpu,
        _ => return None,
    };
    let summary = RunSummary {
        finished: finished == "1",
        steps: steps.parse().ok()?,
        train_loss: number(loss)?,
        eval_loss_before: optional(before)?,
        eval_loss_after: optional(after)?,
        seconds: number(seconds)?,
    };
    Some((device, info, summary))
}

/// `loss*better*2.91*base_model*3.4`: metric, verdict, the tuned model's score; kind and score of each baseline.
fn scores(report: &Report) -> String {
    let of = |metrics: &[Metric]| short(value(metrics, &report.metric).unwrap_or(f64::NAN));
    let verdict = VERDICTS.iter().find(|(_, verdict)| *verdict == report.verdict);
    let mut fields = vec![
        report.metric.clone(),
        verdict.map_or("none", |(name, _)| *name).to_owned(),
    ];
    fields.push(of(&report.metrics));
    let is_best = |one: &&Baseline| one.kind.to_string() == report.against;
    let best = report.baselines.iter().filter(is_best);
    let others = report.baselines.iter().filter(|one| !is_best(one));
    for baseline in best.chain(others) {
        fields.extend([baseline.kind.name().to_owned(), of(&baseline.metrics)]);
    }
    fields.join("*")
}

fn read_scores(text: &str, task: Task) -> Option<Report> {
    let fields: Vec<&str> = text.split('*').collect();
    let [metric, verdict, after, rest @ ..] = &fields[..] else {
        return None;
    };
    let verdict = VERDICTS.iter().find(|(name, _)| name == verdict)?.1;
    let metrics = |text: &str| -> Option<Vec<Metric>> {
        let (name, value) = ((*metric).to_owned(), number(text)?);
        Some(vec![Metric { name, value }])
    };
    let baseline = |pair: &[&str]| {
        let [kind, score] = pair else { return None };
        let kind = BaselineKind::ALL.into_iter().find(|known| known.name() == *kind)?;
        Some(Baseline {
            kind,
            name: kind.to_string(),
            metrics: metrics(score)?,
        })
    };
    let baselines: Vec<Baseline> = rest.chunks(2).map(baseline).collect::<Option<_>>()?;
    Some(Report {
        task,
        metric: (*metric).to_owned(),
        metrics: metrics(after)?,
        against: baselines.first().map(|best| best.name.clone()).unwrap_or_default(),
        sentence: sentence(metric, verdict, after, rest, &baselines),
        baselines,
        comparison: None,
        verdict,
        labels: Vec::new(),
        confusion: Vec::new(),
        classes: Vec::new(),
        calibration: Vec::new(),
    })
}

/// The verdict in words, as a run's own report has it, without the interval.
fn sentence(metric: &str, verdict: Option<Verdict>, after: &str, scores: &[&str], baselines: &[Baseline]) -> Message {
    let (Some(verdict), Some(best), Some(before)) = (verdict, baselines.first(), scores.get(1)) else {
        return msg::NothingToCompare { metric, value: after }.into();
    };
    let kind = best.kind.message();
    let against: Message = match baselines.len() {
        1 => msg::TheBaseline { kind }.into(),
        _ => msg::BestBaseline { kind }.into(),
    };
    let what: Message = ScoresAre { metric, after, before }.into();
    match verdict {
        Verdict::Better => msg::Better { against, what }.into(),
        Verdict::NotDistinguishable => msg::NotDistinguishable { against, what }.into(),
        Verdict::Worse => msg::Worse { against, what }.into(),
    }
}

/// `1*4.12_3*3.99`: step and value of each point.
fn points(line: &Line) -> String {
    let point = |(step, value): &(f64, f64)| format!("{}*{}", step.round(), short(*value));
    line.iter().map(point).collect::<Vec<_>>().join("_")
}

fn read_points(text: &str) -> Option<Line> {
    let point = |text: &str| {
        let (step, value) = text.split_once('*')?;
        Some((f64::from(step.parse::<u32>().ok()?), number(value)?))
    };
    let points = text.split('_').filter(|point| !point.is_empty());
    points.map(point).collect()
}

/// At most `most` points, the first and the last among them.
fn last_kept(line: &Line, most: usize) -> Line {
    let every = line.len().div_ceil(most).max(1);
    let kept = line.iter().enumerate();
    let kept = kept.filter(|(place, _)| place % every == 0 || place + 1 == line.len());
    kept.map(|(_, point)| *point).collect()
}

/// Four digits of a number.
fn short(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "nan".to_owned(),
        0.0 => "0".to_owned(),
        _ => {
            let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
            ((value * scale).round() / scale).to_string()
        }
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "nan" => Some(f64::NAN),
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// The first letters of a text.
fn cut(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(letters: usize) -> RunResult {
        let metric = |value| {
            vec![Metric {
                name: "loss".into(),
                value,
            }]
        };
        let baseline = |kind: BaselineKind, value| Baseline {
            kind,
            name: kind.to_string(),
            metrics: metric(value),
        };
        RunResult {
            device: DeviceKind::Cpu,
            info: RunInfo {
                max_steps: 500,
                train_examples: 640,
                eval_examples: 64,
                trainable_parameters: 49_152,
                all_parameters: 2_214_272,
                task: Task::Generation,
                loss: String::new(),
            },
            summary: RunSummary {
                finished: true,
                steps: 500,
                train_loss: 3.251,
                eval_loss_before: Some(4.123),
                eval_loss_after: None,
                seconds: 73.25,
            },
            losses: (1..=500).map(|step| (f64::from(step), 4.0 / f64::from(step))).collect(),
            evals: (0..=25).map(|step| (20.0 * f64::from(step), 4.0)).collect(),
            samples: [(0, "天"), (500, "a b&")]
                .map(|(step, text)| Sample {
                    step,
                    prompt: "And".into(),
                    text: text.repeat(letters),
                })
                .to_vec(),
            report: Some(Report {
                task: Task::Generation,
                metric: "loss".into(),
                metrics: metric(2.5),
                baselines: vec![
                    baseline(BaselineKind::Bm25, 9.0),
                    baseline(BaselineKind::BaseModel, 3.5),
                ],
                against: BaselineKind::BaseModel.to_string(),
                comparison: None,
                verdict: Some(Verdict::Better),
                sentence: Message::verbatim("as the run had it"),
                labels: Vec::new(),
                confusion: Vec::new(),
                classes: Vec::new(),
                calibration: Vec::new(),
            }),
        }
    }

    #[test]
    fn what_a_link_brings_is_what_was_put_into_it() {
        let run = run(2);
        let mut query = PageQuery::default();
        run.put(&mut query);
        let text = query.to_text().expect("it fits");
        let read = PageQuery::parse(&text).expect("it is a link");
        let shown = RunResult::read(&read, "And")
            .expect("it is whole")
            .expect("it is there");
        assert_eq!((&shown.info, &shown.summary), (&run.info, &run.summary));
        assert_eq!(shown.samples, run.samples);
        assert!(shown.losses.len() <= STEPS && shown.evals.len() <= EVALS + 1);
        assert_eq!(shown.evals.last(), run.evals.last());
        let report = shown.report.as_ref().expect("it has scores");
        assert_eq!(report.against, BaselineKind::BaseModel.to_string());
        let said = report.sentence.english();
        assert!(
            said.contains("2.5") && said.contains("3.5") && said.contains("Significant improvement"),
            "{said}"
        );
        // And once more, from what was shown.
        let mut again = PageQuery::default();
        shown.put(&mut again);
        assert_eq!(again.to_text(), Ok(text));
    }

    #[test]
    fn long_texts_are_cut_until_the_link_is_short_enough() {
        let mut query = PageQuery::default();
        run(1000).put(&mut query);
        assert!(query.to_text().is_ok_and(|text| text.len() <= PageQuery::MOST_BYTES));
        let after = query.get(AFTER).expect("there is room for some of it");
        assert!(after.starts_with("a b&") && after.ends_with('…'), "{after}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let mut query = PageQuery::default();
        run(1).put(&mut query);
        for (key, value) in [
            (RUN, "generation*cpu*x"),
            (LOSS, "1*4_2"),
            (EVAL, "0*high"),
            (SCORES, "loss*better*1*oracle*2"),
        ] {
            let mut wrong = query.clone();
            wrong.set(key, Some(value));
            assert_eq!(RunResult::read(&wrong, ""), Err((key, value.to_owned())));
        }
        RunResult::take_out(&mut query);
        assert_eq!(RunResult::read(&query, ""), Ok(None));
        assert_eq!(query, PageQuery::default());
    }

    #[test]
    fn numbers_keep_four_digits() {
        for (value, text) in [
            (3.251_49, "3.251"),
            (0.000_123_456, "0.0001235"),
            (12_345.6, "12350"),
            (0.0, "0"),
        ] {
            assert_eq!(short(value), text);
        }
        assert!(number(&short(f64::NAN)).is_some_and(f64::is_nan));
    }
}
