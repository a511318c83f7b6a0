//! A run's report as a file of its own: HTML that needs nothing beside it, or Markdown. What it says is decided once, as blocks;
//! each form has its own way to write them.

use crate::error::{Error, Result};
use crate::protocol::{
    ClassRow, Interval, Judgement, Metric, PredictionTable, Report, ReportForm, ReportRequest, Slice, SliceBy,
};
use lorakeet_i18n::messages::common::At;
use lorakeet_i18n::messages::report as msg;
use lorakeet_i18n::{Language, Message};
use std::fmt::Write;
use std::io::Read;

/// Rows of a table of losses.
const STEPS: usize = 12;
/// Letters of a field of a table.
const LETTERS: usize = 400;

/// Light and dark, at any width; nothing is loaded.
const STYLE: &str = ":root{color-scheme:light dark;--ink:light-dark(#17211a,#e8efe9);--ground:light-dark(#fbfcfa,#101512);\
    --line:light-dark(#8d978b,#7b877f);--soft:light-dark(#f1f4ef,#1f2722);--one:light-dark(#15773a,#63d287);\
    --two:light-dark(#b3541e,#f0a35e)}body{max-width:60rem;margin:2rem auto;padding:0 1rem;background:var(--ground);\
    color:var(--ink);font:1rem/1.5 system-ui,sans-serif}table{border-collapse:collapse;display:block;overflow-x:auto}\
    th,td{border-bottom:1px solid var(--line);padding:.25rem .6rem;text-align:left;vertical-align:top}\
    pre{overflow-x:auto;background:var(--soft);padding:.75rem}p{white-space:pre-wrap;overflow-wrap:anywhere}\
    svg{width:100%;height:16rem;border:1px solid var(--line)}path{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}\
    .one{stroke:var(--one)}.two{stroke:var(--two);stroke-dasharray:6 4}";

/// A part of a report.
enum Block {
    Heading(String),
    Text(String),
    Code(String),
    Table {
        head: Vec<String>,
        rows: Vec<Vec<String>>,
    },
    /// Two lines over the same steps, each with its name.
    Chart([(String, Vec<(f64, f64)>); 2]),
}

/// The report in its form and language.
pub fn write_report(request: &ReportRequest) -> String {
    let language = Language::from_tag(&request.language);
    let words = Words(language);
    let [model, data] = &request.names;
    let title = words.say(msg::Title { model, data });
    let blocks = blocks(request, &words);
    match request.form {
        ReportForm::Html => html(&title, language, &blocks),
        ReportForm::Markdown => markdown(&title, &blocks),
    }
}

/// The worst errors among a run's answers, as many as a report shows, from the file that the run wrote them to.
///
/// # Errors
/// It is no table.
pub fn first_predictions(file: impl Read) -> Result<PredictionTable> {
    let broken = |error: csv::Error| Error::data(Message::verbatim(error.to_string()));
    let mut reader = csv::Reader::from_reader(file);
    let fields = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let columns = reader.headers().map(fields).map_err(broken)?;
    let records = reader.records().take(ReportRequest::WORST_ROWS);
    let rows = records.map(|record| record.map(|record| fields(&record)).map_err(broken));
    Ok(PredictionTable {
        columns,
        rows: rows.collect::<Result<_>>()?,
    })
}

/// Messages in the report's language.
struct Words(Language);

impl Words {
    fn say(&self, message: impl Into<Message>) -> String {
        message.into().text(self.0)
    }
}

fn blocks(request: &ReportRequest, words: &Words) -> Vec<Block> {
    let extent = extent(request, words);
    let mut blocks = Vec::new();
    if !extent.is_empty() {
        blocks.push(Block::Text(extent));
    }
    if let Some(report) = &request.report {
        blocks.push(Block::Heading(words.say(msg::Verdict)));
        let outcome = report.outcome().message().text(words.0);
        let (place, what) = (msg::NextStep, report.next_step(&request.evals).message());
        let next = words.say(At { place, what });
        blocks.push(Block::Text([outcome, report.sentence.text(words.0), next].join("\n")));
        blocks.push(Block::Heading(words.say(msg::Scores)));
        blocks.push(scores(report, request.judgement.as_ref(), words));
    }
    if !request.losses.is_empty() || !request.evals.is_empty() {
        blocks.extend(losses(request, words));
    }
    if let Some(report) = request.report.as_ref().filter(|report| !report.classes.is_empty()) {
        blocks.push(Block::Heading(words.say(msg::ByClass)));
        blocks.push(classes(report, words));
    }
    if let Some(looked) = request.judgement.as_ref().filter(|looked| !looked.slices.is_empty()) {
        blocks.push(Block::Heading(words.say(msg::Slices)));
        blocks.push(slices(looked, words));
    }
    if !request.samples.is_empty() {
        blocks.push(Block::Heading(words.say(msg::Samples)));
        for sample in &request.samples {
            let step = sample.step;
            blocks.push(Block::Text(words.say(msg::SampleAt { step })));
            blocks.push(Block::Code(format!("{}{}", sample.prompt, sample.text)));
        }
    }
    if !request.predictions.rows.is_empty() {
        let PredictionTable { columns, rows } = request.predictions.clone();
        blocks.push(Block::Heading(words.say(msg::WorstErrors)));
        blocks.push(Block::Table { head: columns, rows });
    }
    if !request.inputs.is_empty() {
        let rows = request
            .inputs
            .iter()
            .map(|(name, digest)| vec![name.clone(), digest.clone()]);
        blocks.push(Block::Heading(words.say(msg::Inputs)));
        blocks.push(Block::Table {
            head: vec![words.say(msg::Input), "SHA-256".to_owned()],
            rows: rows.collect(),
        });
    }
    if let Some(settings) = &request.settings {
        blocks.push(Block::Heading(words.say(msg::Settings)));
        blocks.push(Block::Code(settings.trim_end().to_owned()));
    }
    blocks
}

/// What was trained on how much, for how long.
fn extent(request: &ReportRequest, words: &Words) -> String {
    let mut sentences = Vec::new();
    if let Some(info) = &request.info {
        let (train, held_out) = (info.train_examples, info.eval_examples);
        let (task, loss) = (info.task, &info.loss);
        sentences.push(words.say(msg::Task { task, loss }));
        sentences.push(words.say(msg::Examples { train, held_out }));
    }
    if let Some(summary) = &request.summary {
        let (steps, seconds) = (summary.steps, format!("{:.0}", summary.seconds));
        sentences.push(words.say(msg::Steps { steps, seconds }));
    }
    sentences.join("\n")
}

/// The baselines and the tuned model, with the intervals of the metric that judges them.
fn scores(report: &Report, looked: Option<&Judgement>, words: &Words) -> Block {
    let intervals = looked.map(|looked| looked.intervals.as_slice()).unwrap_or_default();
    let confidence = intervals.iter().flatten().next().map(|interval| interval.confidence);
    let names: Vec<&str> = report.metrics.iter().map(|metric| metric.name.as_str()).collect();
    let mut head = vec![words.say(msg::Model)];
    head.extend(names.iter().map(ToString::to_string));
    let metric = &report.metric;
    head.extend(confidence.map(|confidence| {
        let percent = format!("{:.0}", 100.0 * confidence);
        words.say(msg::IntervalOf { metric, percent })
    }));
    let baselines = report.baselines.iter();
    let baselines = baselines.map(|baseline| (baseline.kind.message().text(words.0), &baseline.metrics));
    let ways = baselines.chain([(words.say(msg::Tuned), &report.metrics)]);
    let row = |(place, (way, metrics)): (usize, (String, &Vec<Metric>))| {
        let value = |name: &&str| number(Metric::value_of(metrics, name).unwrap_or(f64::NAN));
        let mut fields = vec![way];
        fields.extend(names.iter().map(value));
        fields.extend(confidence.map(|_| range(intervals.get(place).copied().flatten())));
        fields
    };
    let rows = ways.enumerate().map(row).collect();
    Block::Table { head, rows }
}

/// The curves, and some of their points.
fn losses(request: &ReportRequest, words: &Words) -> [Block; 3] {
    let names = [words.say(msg::TrainingLoss), words.say(msg::ValidationLoss)];
    let every = request.losses.len().div_ceil(STEPS).max(1);
    let some = request.losses.iter().enumerate();
    let last = request.losses.len().saturating_sub(1);
    let some = some
        .filter(|(place, _)| place.is_multiple_of(every) || *place == last)
        .map(|(_, point)| (point, 0));
    let mut points: Vec<(&(f64, f64), usize)> = some.chain(request.evals.iter().map(|point| (point, 1))).collect();
    points.sort_by(|a, b| a.0.0.total_cmp(&b.0.0));
    let row = |((step, loss), column): (&(f64, f64), usize)| {
        let mut fields = vec![format!("{step:.0}"), String::new(), String::new()];
        fields[column + 1] = number(*loss);
        fields
    };
    let [training, validation] = names.clone();
    [
        Block::Heading(words.say(msg::Losses)),
        Block::Chart([(training, request.losses.clone()), (validation, request.evals.clone())]),
        Block::Table {
            head: [words.say(msg::Step)].into_iter().chain(names).collect(),
            rows: points.into_iter().map(row).collect(),
        },
    ]
}

fn classes(report: &Report, words: &Words) -> Block {
    let names = ["label", "precision", "recall", "f1"].map(str::to_owned);
    let row = |class: &ClassRow| -> Vec<String> {
        let numbers = [class.precision, class.recall, class.f1].map(number);
        let ends = [class.support.to_string()];
        [class.label.clone()].into_iter().chain(numbers).chain(ends).collect()
    };
    Block::Table {
        head: names.into_iter().chain([words.say(msg::Rows)]).collect(),
        rows: report.classes.iter().map(row).collect(),
    }
}

fn slices(looked: &Judgement, words: &Words) -> Block {
    let name = |by: &SliceBy| match by {
        SliceBy::Length { from, to, in_tokens } => match in_tokens {
            true => words.say(msg::LengthInTokens { from, to }),
            false => words.say(msg::LengthInLetters { from, to }),
        },
        SliceBy::Column { name, value } => format!("{name} = {value}"),
    };
    let row = |slice: &Slice| {
        let remark = if slice.is_worse {
            words.say(msg::IsWorse)
        } else {
            String::new()
        };
        vec![
            name(&slice.by),
            slice.rows.to_string(),
            number(slice.value),
            range(slice.interval),
            remark,
        ]
    };
    let confidence = looked.slices.iter().find_map(|slice| slice.interval);
    let confidence = confidence.map_or(0.95, |interval| interval.confidence);
    let (metric, percent) = (&looked.metric, format!("{:.0}", 100.0 * confidence));
    Block::Table {
        head: vec![
            words.say(msg::Slices),
            words.say(msg::Rows),
            metric.clone(),
            words.say(msg::IntervalOf { metric, percent }),
            String::new(),
        ],
        rows: looked.slices.iter().map(row).collect(),
    }
}

fn number(value: f64) -> String {
    match value.is_finite() {
        true => format!("{value:.4}"),
        false => "–".to_owned(),
    }
}

fn range(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |found| {
        format!("{:.4} … {:.4}", found.low, found.high)
    })
}

/// A text that a field of a table shows.
fn shortened(text: &str) -> String {
    text.chars().take(LETTERS).collect()
}

fn html(title: &str, language: Language, blocks: &[Block]) -> String {
    let (title, tag) = (escaped(title), language.tag());
    let mut text = format!(
        "<!doctype html>\n<html lang=\"{tag}\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n"
    );
    for block in blocks {
        let _ = match block {
            Block::Heading(heading) => writeln!(text, "<h2>{}</h2>", escaped(heading)),
            Block::Text(said) => writeln!(text, "<p>{}</p>", escaped(said)),
            Block::Code(code) => writeln!(text, "<pre>{}</pre>", escaped(code)),
            Block::Table { head, rows } => {
                let cells = |tag: &str, fields: &[String]| -> String {
                    let cell = |field: &String| format!("<{tag}>{}</{tag}>", escaped(&shortened(field)));
                    fields.iter().map(cell).collect()
                };
                let body: String = rows
                    .iter()
                    .map(|row| format!("<tr>{}</tr>", cells("td", row)))
                    .collect();
                let head = cells("th", head);
                writeln!(
                    text,
                    "<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
                )
            }
            Block::Chart(lines) => writeln!(text, "{}", chart(lines)),
        };
    }
    text.push_str("</body>\n</html>\n");
    text
}

/// The lines in a square of 1000 × 1000, with their range in words.
fn chart(lines: &[(String, Vec<(f64, f64)>); 2]) -> String {
    let ends = |values: &dyn Fn(&(f64, f64)) -> f64| {
        let values = lines.iter().flat_map(|(_, points)| points.iter().map(values));
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let (steps, losses) = (ends(&|point: &(f64, f64)| point.0), ends(&|point: &(f64, f64)| point.1));
    let place = |value: f64, (low, high): (f64, f64)| 1000.0 * (value - low) / (high - low).max(f64::MIN_POSITIVE);
    let mut drawn = String::new();
    for (class, (_, points)) in ["one", "two"].iter().zip(lines) {
        let mut path = String::new();
        for (at, (step, loss)) in points.iter().enumerate() {
            let (x, y) = (place(*step, steps), 1000.0 - place(*loss, losses));
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
        }
        let _ = write!(drawn, "<path class=\"{class}\" d=\"{path}\"/>");
    }
    let [(first, _), (second, _)] = lines;
    let told = format!(
        "{first} (—), {second} (- -): {:.4} … {:.4}; {:.0} … {:.0}",
        losses.0, losses.1, steps.0, steps.1
    );
    let told = escaped(&told);
    format!(
        "<figure><figcaption>{told}</figcaption><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{told}\">{drawn}</svg></figure>"
    )
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            letter => safe.push(letter),
        }
    }
    safe
}

fn markdown(title: &str, blocks: &[Block]) -> String {
    let mut text = format!("# {}\n", plain(title));
    for block in blocks {
        let _ = match block {
            Block::Heading(heading) => write!(text, "\n## {}\n", plain(heading)),
            Block::Text(said) => {
                let lines: Vec<String> = said.lines().map(plain).collect();
                write!(text, "\n{}\n", lines.join("\n\n"))
            }
            Block::Code(code) => {
                let fence = fence(code);
                write!(text, "\n{fence}\n{code}\n{fence}\n")
            }
            Block::Table { head, rows } => {
                let line = |fields: &[String]| -> String {
                    let fields = fields.iter().map(|field| format!(" {} |", plain(&shortened(field))));
                    format!("|{}\n", fields.collect::<String>())
                };
                let rule = " --- |".repeat(head.len());
                let rows: String = rows.iter().map(|row| line(row)).collect();
                write!(text, "\n{}|{rule}\n{rows}", line(head))
            }
            // The table behind it says the same.
            Block::Chart(_) => Ok(()),
        };
    }
    text
}

/// A text on one line in which nothing is a mark: what stands in data and what a model writes comes from strangers.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => safe.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '!' | '&' => safe.extend(['\\', letter]),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A fence that is longer than any in the text.
fn fence(code: &str) -> String {
    let runs = code.split(|letter| letter != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::RunSample;

    fn request(form: ReportForm) -> ReportRequest {
        ReportRequest {
            form,
            language: "en".into(),
            names: ["tiny".into(), "rows <1>.csv".into()],
            settings: Some("lora_r: 8\n".into()),
            inputs: [("train_file".to_owned(), "abc".to_owned())].into(),
            info: None,
            summary: None,
            losses: (0..50)
                .map(|step| (f64::from(step), 3.0 - 0.01 * f64::from(step)))
                .collect(),
            evals: vec![(0.0, 3.0), (49.0, 2.5)],
            samples: vec![RunSample {
                step: 0,
                prompt: "say ".into(),
                text: "```<script>".into(),
            }],
            report: None,
            judgement: None,
            predictions: PredictionTable {
                columns: vec!["label".into(), "text".into()],
                rows: vec![vec!["a|b".into(), "two\nlines".into()]],
            },
        }
    }

    #[test]
    fn html_has_everything_in_itself_and_runs_nothing_that_data_says() {
        let text = write_report(&request(ReportForm::Html));
        assert!(
            text.contains("<h1>Fine-tuning report: tiny on rows &lt;1&gt;.csv</h1>"),
            "{text}"
        );
        assert!(!text.contains("<script") && !text.contains("http") && text.contains("&lt;script&gt;"));
        assert!(text.contains("<path class=\"one\" d=\"M0.0 0.0L"));
        assert!(text.contains("<td>train_file</td><td>abc</td>") && text.contains("lora_r: 8"));
    }

    #[test]
    fn markdown_keeps_tables_and_code_apart_from_what_is_in_them() {
        let text = write_report(&request(ReportForm::Markdown));
        assert!(text.contains("\n| a\\|b | two lines |\n"), "{text}");
        assert!(text.contains("\n````\nsay ```<script>\n````\n"), "{text}");
        // The last point is always there, and of fifty no more than fit.
        assert!(text.contains("| 49 | 2.5100 |  |") && text.lines().filter(|line| line.starts_with("| ")).count() < 25);
    }

    #[test]
    fn a_report_is_written_in_chinese_too() {
        let text = write_report(&ReportRequest {
            language: "zh-CN".into(),
            ..request(ReportForm::Markdown)
        });
        assert!(text.starts_with("# 微调报告：tiny"), "{text}");
    }
}
