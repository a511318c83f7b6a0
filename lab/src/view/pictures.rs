//! The pictures of a part: curves, samples, scores, and what the engine draws of a run.

use super::level;
use crate::curves::Line;
use crate::events::Sample;
use crate::format;
use crate::model::{Model, OWN};
use crate::pictures::{self, Series, chart, escaped, picture_words};
use crate::record::RunRecord;
use crate::words::LabWords;
use lorakeet_core::lesson::{Lesson, PartPicture, PartPictureKind};
use lorakeet_core::protocol::{Baseline, Metric, PictureKind};

/// All of the shown part.
pub(super) fn shown(model: &Model, lesson: &Lesson) -> String {
    let curves = [PartPicture {
        kind: PartPictureKind::Loss,
        run: None,
    }];
    let (shown, runs): (&[PartPicture], Vec<String>) = match model.part {
        2 => (&lesson.train.pictures, lesson.train.runs.clone()),
        4 if model.answers.is_explained => (&lesson.explain.pictures, lesson.train.runs.clone()),
        5 => (
            &curves,
            [lesson.train.runs.clone(), lesson.break_it.runs.clone()].concat(),
        ),
        _ => return String::new(),
    };
    shown
        .iter()
        .map(|picture| drawn(model, lesson, picture, &runs))
        .collect()
}

/// A picture as HTML.
fn drawn(model: &Model, lesson: &Lesson, picture: &PartPicture, part_runs: &[String]) -> String {
    let words = model.words();
    if picture.kind == PartPictureKind::Loss {
        return curves(model, part_runs);
    }
    let name = picture.run.as_deref().unwrap_or_default();
    let label = lesson.runs.get(name).map_or(name, |run| run.label.get(model.language));
    let body = model.runs.get(name).and_then(|run| match picture.kind {
        PartPictureKind::Loss => None,
        PartPictureKind::Samples => samples(run, words),
        PartPictureKind::Baselines => scores(run, words, words.baselines),
        PartPictureKind::Report => report(run, words),
        PartPictureKind::Watched(kind) => {
            let found = run
                .pictures
                .iter()
                .find(|(_, picture)| PictureKind::from(picture) == kind);
            found.map(|(step, picture)| pictures::html(picture, *step, model.language))
        }
    });
    let body = body.unwrap_or_else(|| format!("<p class=\"waiting\">{}</p>", words.picture_later));
    let below = level(model) + 2;
    format!(
        "<section class=\"lab-picture\"><h{below} class=\"picture-name\">{}</h{below}>{body}</section>",
        escaped(label)
    )
}

/// The losses of the runs over one another: on the validation rows where they are scored on the way, and in training.
fn curves(model: &Model, part_runs: &[String]) -> String {
    let (words, of_pictures) = (model.words(), picture_words(model.language));
    let own = OWN.to_owned();
    let names = part_runs.iter().chain([&own]);
    let runs: Vec<(&String, &RunRecord)> = names.filter_map(|name| Some((name, model.runs.get(name)?))).collect();
    let steps = runs.iter().map(|(_, run)| run.max_steps).max().unwrap_or(0);
    let series = |line: fn(&RunRecord) -> Line, is_scored: bool| -> Vec<Series> {
        let one = |(name, run): &(&String, &RunRecord)| Series {
            label: model.label(name),
            line: line(run),
            is_scored,
        };
        runs.iter().map(one).collect()
    };
    let of_training = chart(
        words.training_curves,
        &series(RunRecord::loss_curve, false),
        steps,
        of_pictures,
    );
    match runs.iter().any(|(_, run)| run.eval_losses.len() > 1) {
        true => {
            let scores = series(|run| run.eval_losses.clone(), true);
            chart(words.curves, &scores, steps, of_pictures) + &of_training
        }
        false => of_training,
    }
}

fn samples(run: &RunRecord, words: &LabWords) -> Option<String> {
    let (first, last) = (run.samples.first()?, run.samples.last()?);
    let one = |heading: &str, sample: Option<&Sample>, class: &str| {
        let text = sample.map_or(String::new(), |sample| {
            let (prompt, text) = (escaped(&sample.prompt), escaped(&sample.text));
            format!("<p class=\"written\"><span class=\"given\">{prompt}</span>{text}</p>")
        });
        format!(
            "<article class=\"sample {class}\" part=\"sample\"><p class=\"picture-name\">{heading}</p>{text}</article>"
        )
    };
    let after = (last.step > 0).then_some(last);
    let (before, after) = (
        one(words.before, Some(first), ""),
        one(words.after, after, "sample-now"),
    );
    Some(format!(
        "<p>{}</p><div class=\"pair\">{before}{after}</div>",
        words.samples
    ))
}

/// A table of scores: baselines, and the tuned model where the run has a report.
fn scores(run: &RunRecord, words: &LabWords, caption: &str) -> Option<String> {
    let metric = match &run.report {
        Some(report) => report.metric.clone(),
        None => run.baselines.first()?.metrics.first()?.name.clone(),
    };
    let value = |metrics: &[Metric]| {
        let found = metrics.iter().find(|entry| entry.name == metric);
        found.map_or("–".to_owned(), |entry| format::loss(entry.value))
    };
    let of_baseline = |baseline: &Baseline| vec![escaped((words.baseline)(baseline.kind)), value(&baseline.metrics)];
    let mut rows: Vec<Vec<String>> = run.baselines.iter().map(of_baseline).collect();
    let of_tuned = run
        .report
        .as_ref()
        .map(|report| vec![words.tuned.to_owned(), value(&report.metrics)]);
    rows.extend(of_tuned);
    Some(pictures::numbers(
        caption,
        &[words.model_head.to_owned(), escaped(&metric)],
        &rows,
    ))
}

fn report(run: &RunRecord, words: &LabWords) -> Option<String> {
    let report = run.report.as_ref()?;
    let table = scores(run, words, words.report)?;
    let verdict = match (report.verdict, &report.comparison) {
        (Some(verdict), Some(comparison)) => {
            let (before, after) = (format::loss(comparison.before), format::loss(comparison.after));
            format!(
                "<p class=\"verdict\">{}</p>",
                escaped(&(words.verdict)(verdict, &report.metric, before, after))
            )
        }
        _ => String::new(),
    };
    Some(verdict + &table)
}
