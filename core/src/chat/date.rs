//! Dates for templates, from seconds since 1970.

/// The date at `unix_seconds` (UTC) in C's notation, as far as templates use it.
pub(super) fn strftime(format: &str, unix_seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let (days, seconds) = (unix_seconds.div_euclid(86400), unix_seconds.rem_euclid(86400));
    let (year, month, day) = civil_date(days);
    // 1970-01-01 was a Thursday.
    let weekday = DAYS[(days + 3).rem_euclid(7) as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let mut text = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        match signs.next() {
            Some('d') => text.push_str(&format!("{day:02}")),
            Some('m') => text.push_str(&format!("{month:02}")),
            Some('Y') => text.push_str(&year.to_string()),
            Some('y') => text.push_str(&format!("{:02}", year.rem_euclid(100))),
            Some('B') => text.push_str(month_name),
            Some('b') => text.push_str(&month_name[..3]),
            Some('A') => text.push_str(weekday),
            Some('a') => text.push_str(&weekday[..3]),
            Some('H') => text.push_str(&format!("{:02}", seconds / 3600)),
            Some('M') => text.push_str(&format!("{:02}", seconds / 60 % 60)),
            Some('S') => text.push_str(&format!("{:02}", seconds % 60)),
            Some('I') => text.push_str(&format!("{:02}", (seconds / 3600 + 11) % 12 + 1)),
            Some('p') => text.push_str(if seconds < 43200 { "AM" } else { "PM" }),
            Some('e') => text.push_str(&format!("{day:2}")),
            Some('j') => text.push_str(&format!("{:03}", days - first_day(year) + 1)),
            Some('%') => text.push('%'),
            // Without zeros in front, as C's library on Linux has it.
            Some('-') => match signs.next() {
                Some('d') => text.push_str(&day.to_string()),
                Some('m') => text.push_str(&month.to_string()),
                Some('H') => text.push_str(&(seconds / 3600).to_string()),
                Some('I') => text.push_str(&((seconds / 3600 + 11) % 12 + 1).to_string()),
                other => text.extend(['%', '-'].into_iter().chain(other)),
            },
            Some('F') => text.push_str(&format!("{year}-{month:02}-{day:02}")),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

/// The day, from 1970-01-01, that a year begins with.
fn first_day(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 477
}

/// Year, month (1–12) and day of the day `days` after 1970-01-01, in the Gregorian calendar.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // Whole cycles of 400 years (146097 days) first, so that the walk over years is short.
    let (mut year, mut rest) = (1970 + days.div_euclid(146097) * 400, days.rem_euclid(146097));
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for (month, length) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        .into_iter()
        .enumerate()
    {
        if rest < length {
            return (year, month as i64 + 1, rest + 1);
        }
        rest -= length;
    }
    (year, 12, 31)
}
