//! Curves of several runs over one another: lines that differ in dash and colour, a legend with the last values, a table.

use super::table::{numbers, rows_of};
use super::words::PictureWords;
use super::{escaped, folded};
use crate::curves::{Axis, Line};
use crate::format;
use std::fmt::Write;

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is of.
    pub label: String,
    /// Its points.
    pub line: Line,
}

/// Lines that differ in dash and colour.
const LINES: usize = 4;

/// The curves over the steps, with `title`; `max_steps` is where the axis of steps ends at least.
pub fn chart(title: &str, series: &[Series], max_steps: usize, words: &PictureWords) -> String {
    let points = || series.iter().flat_map(|series| &series.line);
    if points().next().is_none() {
        return format!(
            "<figure class=\"picture\"><figcaption><b>{title}</b></figcaption><p class=\"waiting\">{}</p></figure>",
            words.no_curve
        );
    }
    let last = points().map(|point| point.0).fold(max_steps as f64, f64::max);
    let columns = Axis::steps(last.ceil() as usize, 2);
    let rows = Axis::around(points().map(|point| point.1), 4);
    let mut lines = String::new();
    let mut legend = String::new();
    for (place, Series { label, line }) in series.iter().enumerate() {
        let (class, label) = (place % LINES + 1, escaped(label));
        let _ = write!(
            lines,
            "<path class=\"series series-{class}\" d=\"{}\"/>",
            path(line, &columns, &rows)
        );
        let ends = line.first().zip(line.last());
        let ends = ends.map_or("–".to_owned(), |(first, last)| {
            format!("{} → {}", format::loss(first.1), format::loss(last.1))
        });
        let _ = write!(
            legend,
            "<li><svg viewBox=\"0 0 30 6\" aria-hidden=\"true\"><path class=\"series series-{class}\" d=\"M0 3H30\"/></svg>{label}: {ends}</li>"
        );
    }
    let marks: String = rows
        .ticks
        .iter()
        .rev()
        .map(|tick| format!("<span>{tick:.*}</span>", rows.decimals))
        .collect();
    let middle = (columns.high / 2.0).round();
    format!(
        "<figure class=\"picture\" part=\"chart\"><figcaption><b>{title}</b></figcaption><ul class=\"curves-legend\" part=\"legend\">{legend}</ul>\
         <div class=\"curves-plot\"><div class=\"curves-rows\" aria-hidden=\"true\">{marks}</div>\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{lines}</svg>\
         <div class=\"curves-columns\" aria-hidden=\"true\"><span>0</span><span>{middle}</span><span>{} {}</span></div></div>{}</figure>",
        words.step,
        columns.high,
        folded(words, &table(title, series, words)),
    )
}

/// The points of all curves by step.
fn table(title: &str, series: &[Series], words: &PictureWords) -> String {
    // Each curve is in order, so that its points come one behind the other. (A sort would be 6 kB of the lab's program.)
    let mut steps: Vec<f64> = Vec::new();
    for (step, _) in series.iter().flat_map(|series| &series.line) {
        if let Err(place) = steps.binary_search_by(|known| known.total_cmp(step)) {
            steps.insert(place, *step);
        }
    }
    let rows = rows_of(steps.into_iter(), 20, |step| {
        let value = |series: &Series| {
            let point = series.line.iter().find(|point| point.0 == step);
            point.map_or("–".to_owned(), |point| format::loss(point.1))
        };
        [format!("{step}")]
            .into_iter()
            .chain(series.iter().map(value))
            .collect()
    });
    let heads: Vec<String> = [words.step.to_owned()]
        .into_iter()
        .chain(series.iter().map(|series| escaped(&series.label)))
        .collect();
    numbers(title, &heads, &rows)
}

/// A line in the square of 1000 × 1000.
pub fn path(line: &Line, columns: &Axis, rows: &Axis) -> String {
    let mut text = String::new();
    for (index, point) in line.iter().enumerate() {
        let (x, y) = to_svg(point, columns, rows);
        let _ = write!(text, "{}{x:.1} {y:.1}", if index == 0 { 'M' } else { 'L' });
    }
    text
}

/// A point in the square.
pub fn to_svg(point: &(f64, f64), columns: &Axis, rows: &Axis) -> (f64, f64) {
    (1000.0 * columns.place(point.0), 1000.0 * (1.0 - rows.place(point.1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::picture_words;
    use lorakeet_i18n::Language;

    #[test]
    fn every_curve_is_told_with_its_ends_and_in_the_table() {
        let series = [
            Series {
                label: "a < b".into(),
                line: vec![(0.0, 4.0), (10.0, 3.0)],
            },
            Series {
                label: "other".into(),
                line: vec![(0.0, 4.0), (5.0, 5.0)],
            },
        ];
        let text = chart("Loss", &series, 10, picture_words(Language::English));
        assert!(
            text.contains("a &lt; b: 4.000 → 3.000") && text.contains("other: 4.000 → 5.000"),
            "{text}"
        );
        assert_eq!(text.matches("<th scope=\"row\">").count(), 3);
        assert!(!text.contains("style="));
    }

    #[test]
    fn no_points_are_said_to_be_missing() {
        let words = picture_words(Language::Chinese);
        assert!(chart("损失", &[], 10, words).contains(words.no_curve));
    }
}
