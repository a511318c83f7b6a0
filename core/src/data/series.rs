//! Time series in sktime's .ts format, as timeseriesclassification.com has the UCR and UEA archives.
//!
//! Lines that begin with # are comments; lines with @ say what follows, of which @timeStamps, @classLabel, @targetLabel and
//! @data are looked at; then a series a line, its channels parted by colons, its numbers by commas, its label at the end. In
//! memory a series is steps × channels. (sktime's documentation, "Loading data into sktime".)

use super::labelled::{Labelled, LabelledRow};
use super::numeric::{NUMBERS_OF_A_FIELD, Shape, written};
use super::value::{Budget, Value};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::data as msg;

pub(super) fn read(name: &str, text: &str) -> Result<Labelled> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let is_labelled = header(&mut lines)?;
    let (mut rows, mut budget) = (Vec::new(), Budget::new());
    let mut shape = None;
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let located = |error: Error| error.row(number);
        let count = |separator: u8| line.bytes().filter(|byte| *byte == separator).count();
        budget
            .row(1 + 2 * count(b':') + count(b',') / NUMBERS_OF_A_FIELD)
            .map_err(located)?;
        let mut channels: Vec<&str> = line.split(':').collect();
        let label = if is_labelled { channels.pop() } else { None };
        if channels.is_empty() {
            return Err(located(Error::data(msg::NoLabelBehindColon).field("label")));
        }
        let (found, numbers) = read_channels(&channels).map_err(located)?;
        let wanted = *shape.get_or_insert(found);
        if found != wanted {
            let sizes = |(steps, channels): (usize, usize)| msg::StepsOfChannels { steps, channels };
            let (found, first) = (sizes(found), sizes(wanted));
            let error = Error::data(msg::SizeUnlikeFirst { found, first });
            return Err(located(error.remedy(msg::SeriesOfOneLength)));
        }
        let value = |label: &str| match label.trim().parse::<f64>() {
            Ok(_) => Value::Number(label.trim().into()),
            Err(_) => Value::String(label.trim().into()),
        };
        rows.push(LabelledRow {
            number,
            values: label.into_iter().map(value).collect(),
            features: numbers.into(),
            ..LabelledRow::default()
        });
    }
    let Some((steps, channels)) = shape else {
        return Err(Error::data(msg::NoSeries).remedy(msg::ChooseRows));
    };
    Ok(Labelled {
        file: name.to_owned(),
        texts: vec!["values".to_owned()],
        labels: if is_labelled {
            vec!["label".to_owned()]
        } else {
            Vec::new()
        },
        rows,
        notes: Vec::new(),
        shape: Some(Shape::Series { steps, channels }),
    })
}

/// Reads up to @data; gives whether each series ends with a label.
fn header<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Result<bool> {
    let mut is_labelled = false;
    for (number, line) in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let lower = line.to_lowercase();
        let mut words = lower.split_whitespace();
        match (words.next(), words.next()) {
            (Some("@data"), _) => return Ok(is_labelled),
            (Some("@timestamps"), Some("true")) => {
                let error = Error::data(msg::TimeStamps).row(number).field("@timeStamps");
                return Err(error.remedy(msg::NumbersAlone));
            }
            (Some("@classlabel" | "@targetlabel"), Some("true")) => is_labelled = true,
            (Some(word), _) if word.starts_with('@') => {}
            _ => return Err(Error::data(msg::NoLineWithAt).row(number)),
        }
    }
    Err(Error::data(msg::NoDataLine).remedy(msg::ChooseTs))
}

/// (Steps, channels) and the numbers, step after step.
fn read_channels(channels: &[&str]) -> Result<((usize, usize), Vec<f32>)> {
    let mut read = Vec::with_capacity(channels.len());
    for (channel, text) in channels.iter().enumerate() {
        let number = |(step, number): (usize, &str)| {
            written(number).map_err(|error| {
                error.field(msg::ChannelAndStep {
                    channel: channel + 1,
                    step: step + 1,
                })
            })
        };
        read.push(text.split(',').enumerate().map(number).collect::<Result<Vec<f32>>>()?);
    }
    let steps = read[0].len();
    if let Some(channel) = read.iter().position(|channel| channel.len() != steps) {
        let (steps, first) = (read[channel].len(), steps);
        let error = Error::data(msg::StepsUnlikeFirst { steps, first });
        return Err(error.field(msg::Channel { channel: channel + 1 }));
    }
    let numbers = (0..steps)
        .flat_map(|step| read.iter().map(move |channel| channel[step]))
        .collect();
    Ok(((steps, channels.len()), numbers))
}
