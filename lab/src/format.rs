//! Numbers as the page writes them: few digits, a fixed shape, a unit where there is one.

/// A loss or a norm: three decimals, fewer where the number is large.
pub fn loss(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

/// A learning rate: `2.00e-4`.
pub fn rate(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "–".into(),
        0.0 => "0".into(),
        _ => format!("{value:.2e}"),
    }
}

/// A number in its shortest form: `3e-3`, `0.05`, `200`.
pub fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

/// A whole number in groups of three: `12 345`, with narrow spaces.
pub fn whole(value: f64) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A speed: whole above 10, one decimal below.
pub fn speed(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        whole(value)
    }
}

/// A count in short: `1.6 M`, `135 M`, `820 k`.
pub fn count(value: u64) -> String {
    scaled(value as f64, 1000.0, &["", "k", "M", "G", "T"])
}

/// A size: `5.2 MB`, in powers of 1000.
pub fn bytes(value: u64) -> String {
    scaled(value as f64, 1000.0, &["B", "kB", "MB", "GB", "TB"])
}

/// A number with two decimals: `0.66`.
pub fn hundredths(value: f64) -> String {
    format!("{value:.2}")
}

/// A weight or an error: three significant digits.
pub fn small(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        0.0 => "0".into(),
        v if v < 1e-3 => format!("{value:.2e}"),
        v if v < 1.0 => format!("{value:.4}"),
        _ => format!("{value:.3}"),
    }
}

/// A figure of a machine of any size: three digits, of those below 1 three behind the point.
pub fn figure(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "–".into(),
        v if v >= 99.95 => whole(v),
        v if v >= 9.995 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// A probability or another share in percent: `25 %`, `0.4 %`.
pub fn share(value: f64) -> String {
    match 100.0 * value {
        _ if !value.is_finite() => "–".into(),
        p if p < 9.95 && p > 0.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A share in percent, where the whole is known.
pub fn percent(done: u64, total: u64) -> Option<u64> {
    (total > 0).then(|| (done.saturating_mul(100) / total).min(100))
}

fn scaled(value: f64, base: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", units[unit]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_sizes_keep_two_or_three_digits() {
        assert_eq!(count(1_612_000), "1.6 M");
        assert_eq!(count(134_515_008), "135 M");
        assert_eq!(count(512), "512");
        assert_eq!(bytes(5_240_000), "5.2 MB");
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [1234.5, 99.96, 12.345, 6.299, 0.0512].map(figure);
        assert_eq!(figures, ["1\u{202f}234", "100", "12.3", "6.30", "0.051"]);
    }

    #[test]
    fn whole_numbers_are_grouped_by_three() {
        assert_eq!(whole(1_234_567.4), "1\u{202f}234\u{202f}567");
        assert_eq!(whole(999.0), "999");
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!(percent(5, 0), None);
        assert_eq!(percent(5, 10), Some(50));
    }
}
