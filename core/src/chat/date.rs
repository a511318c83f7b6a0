//! Dates for templates, from seconds since 1970.

const MONTHS: &str = "January February March April May June July August September October November December";
const DAYS: &str = "Thursday Friday Saturday Sunday Monday Tuesday Wednesday";

/// The date at `unix_seconds` (UTC) in C's notation, as far as templates use it.
pub fn strftime(format: &str, unix_seconds: i64) -> String {
    let (days, seconds) = (unix_seconds.div_euclid(86400), unix_seconds.rem_euclid(86400));
    let (year, month, day) = civil_date(days);
    let (hour, of_twelve) = (seconds / 3600, (seconds / 3600 + 11) % 12 + 1);
    let name = |names: &'static str, at: i64| names.split(' ').nth(at as usize).unwrap_or_default();
    // 1970-01-01 was a Thursday.
    let (month_name, day_name) = (name(MONTHS, month - 1), name(DAYS, days.rem_euclid(7)));
    let mut text = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        match signs.next() {
            Some('d') => text += &format!("{day:02}"),
            Some('e') => text += &format!("{day:2}"),
            Some('m') => text += &format!("{month:02}"),
            Some('Y') => text += &year.to_string(),
            Some('y') => text += &format!("{:02}", year.rem_euclid(100)),
            Some('B') => text += month_name,
            Some('b') => text += &month_name[..3],
            Some('A') => text += day_name,
            Some('a') => text += &day_name[..3],
            Some('H') => text += &format!("{hour:02}"),
            Some('I') => text += &format!("{of_twelve:02}"),
            Some('M') => text += &format!("{:02}", seconds / 60 % 60),
            Some('S') => text += &format!("{:02}", seconds % 60),
            Some('p') => text += if hour < 12 { "AM" } else { "PM" },
            Some('j') => text += &format!("{:03}", days - days_before(year) + 1),
            Some('F') => text += &format!("{year}-{month:02}-{day:02}"),
            Some('%') => text.push('%'),
            // Without zeros in front, as C's library on Linux has it.
            Some('-') => match signs.next() {
                Some('d') => text += &day.to_string(),
                Some('m') => text += &month.to_string(),
                Some('H') => text += &hour.to_string(),
                Some('I') => text += &of_twelve.to_string(),
                other => text.extend(['%', '-'].into_iter().chain(other)),
            },
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

/// The days from 1970-01-01 to the first of a year, in the Gregorian calendar.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    365 * (year - 1970) + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 477
}

/// Year, month (1–12) and day of the day `days` after 1970-01-01.
fn civil_date(days: i64) -> (i64, i64, i64) {
    // A year has 365.2425 days on average; the guess is at most one too high.
    let guess = 1970 + (days * 10_000).div_euclid(3_652_425) + 1;
    let year = (guess - 2..=guess)
        .rfind(|year| days_before(*year) <= days)
        .unwrap_or(guess);
    let mut rest = days - days_before(year);
    let february = days_before(year + 1) - days_before(year) - 337;
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = lengths.iter().position(|length| {
        rest -= length;
        rest < 0
    });
    let month = month.unwrap_or(11);
    (year, month as i64 + 1, rest + lengths[month] + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        let dates = [
            (0, "01 Jan 1970, Thursday 00:00"),
            (-1, "31 Dec 1969, Wednesday 23:59"),
            (951_827_696, "29 Feb 2000, Tuesday 12:34"),
            (1_709_210_096, "29 Feb 2024, Thursday 12:34"),
            (4_107_542_400, "01 Mar 2100, Monday 00:00"),
        ];
        for (seconds, wanted) in dates {
            assert_eq!(strftime("%d %b %Y, %A %H:%M", seconds), wanted);
        }
    }
}
