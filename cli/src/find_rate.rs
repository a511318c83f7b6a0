//! `lorakeet find-rate`: the learning-rate range test on a run's own model and data, as a table and a chart.

use crate::FindRate;
use crate::commands::{EventSink, loaded, resolve, unwritable};
use crate::json;
use crate::screen::{hand_out, hand_out_json, say};
use lorakeet_core::error::Result;
use lorakeet_core::protocol::{DeviceChoice, Event};
use lorakeet_core::train::finder::{RatePoint, RateRange, RateSearch, SearchEnd};
use lorakeet_i18n::messages::tuning as msg;
use serde_json::Value;
use std::process::ExitCode;

/// Rows of the table.
const ROWS: usize = 20;
/// Columns and lines of the chart.
const WIDTH: usize = 64;
const HEIGHT: usize = 12;
/// Losses above so many times the first are drawn at the chart's top.
const TOP: f64 = 1.5;
/// Every so many steps the search says how far it is.
const STEPS_A_WORD: usize = 10;

/// Searches, and shows what was found. Nothing is written.
pub async fn run(wish: FindRate, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let range = RateRange {
        from: wish.from,
        to: wish.to,
        steps: wish.steps,
    };
    range.check()?;
    let (mut session, config) = loaded(resolve(&wish.run)?, device, events).await?;
    let is_json = events.is_json();
    let mut heard = |event: Event, _| {
        let Event::Step(step) = &event else {
            return events.take(&event);
        };
        if is_json {
            events.take(&event);
        } else if step.step.is_multiple_of(STEPS_A_WORD) {
            let (rate, loss) = (step.learning_rate, step.loss);
            say(&format!(
                "step     {}/{}: rate {rate:.1e}, loss {loss:.4}",
                step.step, range.steps
            ));
        }
    };
    let search = session.find_rate(&config, &range, &mut heard).await?;
    match is_json {
        true => {
            let mut value = serde_json::to_value(&search).map_err(unwritable)?;
            value["type"] = Value::from("rate_search");
            value["learning_rate"] = Value::from(config.learning_rate);
            hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        }
        false => hand_out(&text(&search, config.learning_rate))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The table, the chart and the suggestions; `own` is the rate that the run has.
fn text(search: &RateSearch, own: f64) -> String {
    let mut text = String::from("  step       rate      loss  smoothed\n");
    let every = search.points.len().div_ceil(ROWS).max(1);
    let is_shown =
        |point: &&RatePoint| point.step.is_multiple_of(every) || point.step == 1 || point.step == search.points.len();
    for point in search.points.iter().filter(is_shown) {
        let RatePoint {
            step,
            learning_rate,
            loss,
            smoothed,
        } = point;
        text.push_str(&format!(
            "{step:>6}  {learning_rate:>9.1e}  {loss:>8.4}  {smoothed:>8.4}\n"
        ));
    }
    text.push('\n');
    text.push_str(&chart(search));
    let end = match search.end {
        SearchEnd::Exploded => "ended: the smoothed loss rose above 4 times its lowest value",
        SearchEnd::NotFinite => "ended: at the next rate the loss or the gradient was no finite number",
        SearchEnd::Range => "ended: the highest rate was reached",
    };
    text.push_str(&format!("\n{end}\n"));
    for (name, rate) in [
        ("steepest fall", search.steepest),
        ("a tenth of the minimum's rate", search.tenth_of_minimum),
        ("learning_rate of the run", Some(own)),
    ] {
        let rate = rate.map_or("–".to_owned(), |rate| format!("{rate:.1e}"));
        text.push_str(&format!("{name:<30}{rate:>9}\n"));
    }
    for message in [search.reason.clone(), msg::StartOnly.into()] {
        text.push_str(&format!("{}\n", message.english()));
    }
    if let Some(rate) = search.recommended {
        text.push_str(&format!("--set learning_rate={rate:e}\n"));
    }
    text
}

/// The smoothed loss over the rate, on a logarithmic axis, with a mark under the steepest fall (s) and a tenth of the minimum (t).
fn chart(search: &RateSearch) -> String {
    let (Some(first), Some(last)) = (search.points.first(), search.points.last()) else {
        return String::new();
    };
    let columns = (last.learning_rate / first.learning_rate).ln();
    let column = |rate: f64| {
        let part = (rate / first.learning_rate).ln() / columns.max(f64::MIN_POSITIVE);
        (part.clamp(0.0, 1.0) * (WIDTH - 1) as f64).round() as usize
    };
    let losses = || search.points.iter().map(|point| point.smoothed);
    let low = losses().fold(f64::INFINITY, f64::min);
    let high = losses().fold(low, f64::max).min(TOP * first.smoothed.abs()).max(low);
    let line = |loss: f64| {
        let part = (high - loss.min(high)) / (high - low).max(f64::MIN_POSITIVE);
        (part * (HEIGHT - 1) as f64).round() as usize
    };
    let mut lines = vec![vec![' '; WIDTH]; HEIGHT];
    for point in &search.points {
        lines[line(point.smoothed).min(HEIGHT - 1)][column(point.learning_rate)] = '*';
    }
    let mut text = String::new();
    for (place, letters) in lines.into_iter().enumerate() {
        let loss = match place {
            0 => format!("{high:.4}"),
            _ if place == HEIGHT - 1 => format!("{low:.4}"),
            _ => String::new(),
        };
        let letters: String = letters.into_iter().collect();
        text.push_str(format!("{loss:>9} |{letters}").trim_end());
        text.push('\n');
    }
    let mut marks = vec!['-'; WIDTH];
    for (mark, rate) in [('s', search.steepest), ('t', search.tenth_of_minimum)] {
        if let Some(rate) = rate {
            marks[column(rate)] = mark;
        }
    }
    let (from, to) = (
        format!("{:.0e}", first.learning_rate),
        format!("{:.0e}", last.learning_rate),
    );
    let gap = WIDTH.saturating_sub(from.len() + to.len());
    let marks: String = marks.into_iter().collect();
    text.push_str(&format!("{:>9} +{marks}\n{:>11}{from}{:gap$}{to}\n", "", "", ""));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_has_the_curve_and_both_marks() {
        let range = RateRange::default();
        let point = |step: usize| {
            let learning_rate = range.rate(step);
            let x = learning_rate.log10();
            let loss = 3.0 - 2.0 / (1.0 + (-4.0 * (x + 3.5)).exp()) + 9.0 * (x + 1.5).max(0.0);
            RatePoint {
                step: step + 1,
                learning_rate,
                loss,
                smoothed: loss,
            }
        };
        let search = RateSearch::of((0..range.steps).map(point).collect(), SearchEnd::Range);
        let chart = chart(&search);
        let lines: Vec<&str> = chart.lines().collect();
        assert_eq!(lines.len(), HEIGHT + 2, "{chart}");
        assert!(
            lines[0].trim_start().starts_with("4.5") && lines[0].contains('*'),
            "{chart}"
        );
        let marks = lines[HEIGHT];
        assert!(marks.find('s') < marks.find('t') && marks.contains('s'), "{chart}");
        let text = text(&search, 2e-4);
        for words in ["steepest fall", "2.0e-4", "Recommended: ", "--set learning_rate="] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}
