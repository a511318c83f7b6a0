//! The slider beside a knob's field: values around the one that the lesson gives.

use crate::events::KnobField;
use crate::format;
use lorakeet_core::lesson::decimal;

/// How far the values of a slider go from the lesson's, as a power of two.
const REACH: i32 = 4;

/// The distance of shares.
const SHARE_STEP: f64 = 0.05;

/// The values that a slider of this knob stops at, in order: shares in steps of 0.05, whole numbers by doubling, other numbers by 1, 2
/// and 5 times a power of ten; and what the lesson gives. None where it gives no number, or the knob takes other things, too.
pub(super) fn stops(knob: &KnobField, given: &str) -> Vec<String> {
    let (Some(range), Some(given)) = (&knob.range, decimal(given)) else {
        return Vec::new();
    };
    let is_share = !range.is_whole && !range.is_above && range.max <= 1.0;
    if given <= 0.0 && !is_share {
        return Vec::new();
    }
    let mut stops: Vec<f64> = match () {
        () if is_share => {
            let count = ((range.max - range.min) / SHARE_STEP).round() as i32;
            // Of whole hundredths, so that 0.15 is no 0.15000000000000002.
            let share = |place: i32| (100.0 * (range.min + f64::from(place) * SHARE_STEP)).round() / 100.0;
            (0..=count).map(share).collect()
        }
        () if range.is_whole => (-REACH..=REACH)
            .map(|power| (given * 2f64.powi(power)).round())
            .collect(),
        () => {
            let power = given.log10().floor() as i32;
            let near = given * 2f64.powi(-REACH)..=given * 2f64.powi(REACH);
            let round = (power - 2..=power + 2).flat_map(|power| [1, 2, 5].map(|digit| format!("{digit}e{power}")));
            round
                .filter_map(|text| decimal(&text))
                .filter(|value| near.contains(value))
                .collect()
        }
    };
    // They are in order, so that the lesson's has its place. (A sort would be 6 kB of the lab's program.)
    stops.insert(stops.partition_point(|stop| *stop < given), given);
    stops.dedup();
    stops.retain(|value| {
        let is_in = (range.min..=range.max).contains(value);
        is_in && !(range.is_above && *value == range.min) && !(range.is_below && *value == range.max)
    });
    stops.into_iter().map(format::plain).collect()
}

/// The stop nearest to what stands in the field.
pub(super) fn nearest(stops: &[String], text: &str) -> usize {
    let Some(value) = decimal(text) else { return 0 };
    let distance = |place: &usize| (decimal(&stops[*place]).unwrap_or(0.0) - value).abs();
    (0..stops.len())
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::KnobRange;

    fn knob(min: f64, max: f64, (is_above, is_below, is_whole): (bool, bool, bool)) -> KnobField {
        KnobField {
            name: "knob".into(),
            guidance: String::new(),
            choices: Vec::new(),
            unit: String::new(),
            range: Some(KnobRange {
                min,
                max,
                is_above,
                is_below,
                is_whole,
            }),
        }
    }

    #[test]
    fn a_slider_stops_at_round_values_around_the_lessons() {
        let rate = knob(0.0, 1.0, (true, false, false));
        assert_eq!(
            stops(&rate, "0.03"),
            ["2e-3", "5e-3", "0.01", "0.02", "0.03", "0.05", "0.1", "0.2"],
            "within a factor of 16"
        );
        assert_eq!(
            stops(&rate, "0.5").last().map(String::as_str),
            Some("1"),
            "what it takes at most"
        );
        let rank = knob(1.0, 4096.0, (false, false, true));
        assert_eq!(stops(&rank, "1"), ["1", "2", "4", "8", "16"]);
        assert_eq!(stops(&rank, "60")[..4], ["4", "8", "15", "30"]);
        let dropout = knob(0.0, 1.0, (false, true, false));
        let shares = stops(&dropout, "0");
        assert_eq!(
            (shares.len(), shares[3].as_str(), shares[19].as_str()),
            (20, "0.15", "0.95")
        );
        assert!(stops(&dropout, "0.33").contains(&"0.33".to_owned()));
    }

    #[test]
    fn without_a_number_there_is_no_slider() {
        let rank = knob(1.0, 4096.0, (false, false, true));
        assert!(stops(&rank, "").is_empty() && stops(&rank, "all-linear").is_empty());
        assert!(stops(&knob(-1.0, 10.0, (false, false, true)), "-1").is_empty());
        assert!(stops(&KnobField { range: None, ..rank }, "4").is_empty());
    }

    #[test]
    fn it_stands_at_the_stop_nearest_to_what_is_in_the_field() {
        let stops = stops(&knob(1.0, 4096.0, (false, false, true)), "4");
        assert_eq!(stops[nearest(&stops, "4")], "4");
        assert_eq!(stops[nearest(&stops, "1000")], "64");
        assert_eq!(nearest(&stops, "many"), 0);
    }
}
