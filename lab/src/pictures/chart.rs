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
    /// Whether each point is a score of the validation rows: it has a mark, and the lowest a larger one, of which the legend tells.
    pub is_scored: bool,
}

impl Series {
    /// The lowest score; the first of several, and none where there is one score alone.
    fn lowest(&self) -> Option<(f64, f64)> {
        let scores = self
            .line
            .iter()
            .copied()
            .filter(|_| self.is_scored && self.line.len() > 1);
        scores.reduce(|lowest, point| if point.1 < lowest.1 { point } else { lowest })
    }
}

/// Lines that differ in dash and colour, and in the shape of their marks.
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
    for (place, one) in series.iter().enumerate() {
        let Series { label, line, is_scored } = one;
        let (class, label) = (place % LINES + 1, escaped(label));
        let _ = write!(
            lines,
            "<path class=\"series series-{class}\" d=\"{}\"/>",
            path(line, &columns, &rows)
        );
        let lowest = one.lowest();
        if *is_scored {
            let at = |point: &(f64, f64)| mark(to_svg(point, &columns, &rows));
            let all: String = line.iter().map(at).collect();
            lines += &marks(class, "", &all);
            lines += &lowest.map_or(String::new(), |point| marks(class, " mark-lowest", &at(&point)));
        }
        let ends = line.first().zip(line.last());
        let ends = ends.map_or("–".to_owned(), |(first, last)| {
            format!("{} → {}", format::loss(first.1), format::loss(last.1))
        });
        let lowest = lowest.map_or(String::new(), |(step, loss)| {
            (words.lowest)(format::loss(loss), step as usize)
        });
        let of_key = match is_scored {
            true => marks(class, "", &mark((15.0, 3.0))),
            false => String::new(),
        };
        let _ = write!(
            legend,
            "<li><svg viewBox=\"0 0 30 6\" aria-hidden=\"true\"><path class=\"series series-{class}\" d=\"M0 3H30\"/>{of_key}</svg>{label}: {ends}{lowest}</li>"
        );
    }
    let ticks: String = rows
        .ticks
        .iter()
        .rev()
        .map(|tick| format!("<span>{tick:.*}</span>", rows.decimals))
        .collect();
    let middle = (columns.high / 2.0).round();
    format!(
        "<figure class=\"picture\" part=\"chart\"><figcaption><b>{title}</b></figcaption><ul class=\"curves-legend\" part=\"legend\">{legend}</ul>\
         <div class=\"curves-plot\"><div class=\"curves-rows\" aria-hidden=\"true\">{ticks}</div>\
         <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{lines}</svg>\
         <div class=\"curves-columns\" aria-hidden=\"true\"><span>0</span><span>{middle}</span><span>{} {}</span></div></div>{}</figure>",
        words.step,
        columns.high,
        folded(words, &table(title, series, words)),
    )
}

/// A line without length: its ends alone are drawn, which keep their shape where the picture is stretched.
fn mark((x, y): (f64, f64)) -> String {
    format!("M{x:.1} {y:.1}h0")
}

/// Marks of a curve: round ones and square ones in turn, with a hole in the third and the fourth.
fn marks(class: usize, more: &str, path: &str) -> String {
    let shape = if class.is_multiple_of(2) { " mark-square" } else { "" };
    let hole = match class > LINES / 2 {
        true => format!("<path class=\"mark mark-hole{shape}{more}\" d=\"{path}\"/>"),
        false => String::new(),
    };
    format!("<path class=\"series series-{class} mark{shape}{more}\" d=\"{path}\"/>{hole}")
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
                is_scored: false,
            },
            Series {
                label: "other".into(),
                line: vec![(0.0, 4.0), (5.0, 5.0)],
                is_scored: false,
            },
        ];
        let text = chart("Loss", &series, 10, picture_words(Language::English));
        assert!(
            text.contains("a &lt; b: 4.000 → 3.000") && text.contains("other: 4.000 → 5.000"),
            "{text}"
        );
        assert_eq!(text.matches("<th scope=\"row\">").count(), 3);
        assert!(!text.contains("style=") && !text.contains("mark"), "{text}");
    }

    #[test]
    fn scores_have_marks_and_the_lowest_is_told() {
        let words = picture_words(Language::English);
        let scored = |label: &str, line| Series {
            label: label.into(),
            line,
            is_scored: true,
        };
        let series = [
            scored("early", vec![(0.0, 4.0), (5.0, 3.0), (10.0, 3.5), (15.0, 3.0)]),
            scored("second", vec![(0.0, 4.0), (10.0, 2.0)]),
            scored("once", vec![(0.0, 4.0)]),
        ];
        let text = chart("Loss", &series, 15, words);
        assert!(
            text.contains("early: 4.000 → 3.000, lowest 3.000 at step 5<")
                && text.contains("second: 4.000 → 2.000, lowest 2.000 at step 10<")
                && text.contains("once: 4.000 → 4.000<"),
            "{text}"
        );
        // In the chart and in the legend, and the lowest; of the third curve once more for the holes.
        let count = |class: &str| text.matches(class).count();
        let marks = [
            "series-1 mark",
            "series-2 mark mark-square",
            "series-3 mark",
            "mark-hole",
        ]
        .map(count);
        assert_eq!(marks, [3, 3, 2, 2], "{text}");
        assert_eq!(count("mark-lowest"), 2);
        // The first of them is the legend's.
        let curve = text.split("series-1 mark\" d=\"").nth(2);
        let scores = curve
            .and_then(|rest| rest.split('"').next())
            .map(|path| path.matches("h0").count());
        assert_eq!(scores, Some(4), "a mark a score");
    }

    #[test]
    fn no_points_are_said_to_be_missing() {
        let words = picture_words(Language::Chinese);
        assert!(chart("损失", &[], 10, words).contains(words.no_curve));
    }
}
