//! Personal data in a text: e-mail addresses, phone numbers, account and card numbers, Chinese resident identity numbers.
//!
//! What carries a check digit is taken only where it is right: IBAN (ISO 13616, remainder 1 modulo 97), payment cards (ISO/IEC 7812,
//! Luhn), resident identity numbers (GB 11643-1999, ISO 7064 MOD 11-2). Phone numbers have none; those are taken that begin with
//! `+`, are a Chinese mobile number, or are grouped as phone numbers are.

use crate::protocol::AuditKind;
use std::ops::Range;

/// Calls `found` with each kind that is in the text and where it stands first.
pub(super) fn find(text: &str, found: &mut dyn FnMut(AuditKind, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut first = |kind, place: Option<Range<usize>>| {
        if let Some(place) = place {
            found(kind, place);
        }
    };
    if bytes.contains(&b'@') {
        first(AuditKind::EmailAddresses, email(bytes));
    }
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < FEWEST_DIGITS {
        return;
    }
    first(AuditKind::Ibans, iban(bytes));
    let mut places: [Option<Range<usize>>; 3] = [None, None, None];
    for (kind, number) in numbers(bytes) {
        places[kind].get_or_insert(number);
    }
    for (kind, place) in NUMBERS.into_iter().zip(places) {
        first(kind, place);
    }
}

/// Where the first of the text's data of this kind stands. No more of the text is looked at than up to its end.
pub(super) fn first(text: &str, kind: AuditKind) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    match kind {
        AuditKind::EmailAddresses => email(bytes),
        AuditKind::Ibans => iban(bytes),
        kind => {
            let mut numbers = numbers(bytes);
            numbers.find_map(|(found, place)| (NUMBERS[found] == kind).then_some(place))
        }
    }
}

/// Kinds that are numbers, in the order in which one is tried for them.
const NUMBERS: [AuditKind; 3] = [AuditKind::ResidentIds, AuditKind::PaymentCards, AuditKind::PhoneNumbers];

/// The numbers that are of a kind, by its place among [`NUMBERS`].
fn numbers(bytes: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let mut at = 0;
    let all = std::iter::from_fn(move || {
        let number = next_number(bytes, at)?;
        at = number.end;
        Some(number)
    });
    all.filter_map(|number| {
        let written = &bytes[number.clone()];
        let kinds = [is_resident_id, is_card, is_phone];
        let kind = kinds.iter().position(|is_kind| is_kind(written))?;
        Some((kind, number))
    })
}

/// No number that is looked for has fewer.
const FEWEST_DIGITS: usize = 8;

/// What stands at a place with all but two letters at its ends masked.
pub(super) fn masked(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let is_end = |at: usize| at < 2 || at + 2 >= letters.len();
    let shown = |(at, letter): (usize, &char)| match is_end(at) || !letter.is_alphanumeric() {
        true => *letter,
        false => '*',
    };
    letters.iter().enumerate().map(shown).collect()
}

/// local@domain.tld, but for the domains that are there for examples (RFC 2606).
fn email(bytes: &[u8]) -> Option<Range<usize>> {
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    let places = (0..bytes.len()).filter(|at| bytes[*at] == b'@');
    let mut found = places.filter_map(|at| {
        let before = bytes[..at].iter().rev().take_while(|byte| is_local(byte)).count();
        let after = bytes[at + 1..].iter().take_while(|byte| is_domain(byte)).count();
        // The full stop behind an address belongs to the sentence.
        let domain = &bytes[at + 1..at + 1 + after];
        let more = domain.iter().rev().take_while(|byte| b".-".contains(byte)).count();
        let domain = &domain[..domain.len() - more];
        let last = domain.rsplit(|byte| *byte == b'.').next()?;
        let is_named = domain.contains(&b'.') && last.len() >= 2 && last.iter().all(u8::is_ascii_alphabetic);
        let is_example = domain.to_ascii_lowercase().windows(8).any(|part| part == b"example.");
        (before > 0 && is_named && !is_example).then(|| at - before..at + 1 + domain.len())
    });
    found.next()
}

/// An account number: a country, two check digits and up to 30 letters and digits, perhaps in groups of four.
fn iban(bytes: &[u8]) -> Option<Range<usize>> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
    let begins = |at: &usize| {
        let at = *at;
        let is_alone = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let head = bytes.get(at..at + 4);
        is_alone
            && head.is_some_and(|head| {
                head[..2].iter().all(u8::is_ascii_uppercase) && head[2..].iter().all(u8::is_ascii_digit)
            })
    };
    let number = |start: usize| {
        let (mut compact, mut end) = (Vec::new(), None);
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'A'..=b'Z' | b'0'..=b'9' => compact.push(byte),
                b' ' if compact.len().is_multiple_of(4) && bytes[at - 1] != b' ' => {}
                _ => break,
            }
            at += 1;
            let is_whole = bytes.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
            if is_whole && byte != b' ' && LENGTHS.contains(&compact.len()) && is_iban(&compact) {
                end = Some(at);
            }
            if compact.len() > *LENGTHS.end() {
                break;
            }
        }
        end.map(|end| start..end)
    };
    (0..bytes.len()).filter(begins).find_map(number)
}

/// The number with its first four signs at the end, letters as 10 to 35, leaves 1 modulo 97.
fn is_iban(compact: &[u8]) -> bool {
    let rotated = compact[4..].iter().chain(&compact[..4]);
    let rest = rotated.fold(0u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    rest == 1
}

/// The next number from `from` on that is no part of a word: digits, perhaps in groups.
fn next_number(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'(';
    let mut start = from;
    loop {
        start += bytes
            .get(start..)?
            .iter()
            .position(|byte| is_part(*byte) || *byte == b'+')?;
        let begins_word = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        let mut end = start;
        while let Some(&byte) = bytes.get(end) {
            let is_followed = |by: &dyn Fn(u8) -> bool| bytes.get(end + 1).is_some_and(|byte| by(*byte));
            let is_between = match byte {
                b'0'..=b'9' => true,
                b'+' => end == start && is_followed(&is_part),
                b'(' => is_followed(&|byte| byte.is_ascii_digit()),
                b')' => end > start && is_followed(&|byte| byte.is_ascii_digit() || byte == b' '),
                b' ' | b'-' | b'/' => end > start && is_followed(&is_part),
                b'X' | b'x' => end == start + RESIDENT_DIGITS,
                _ => false,
            };
            if !is_between {
                break;
            }
            end += 1;
        }
        let ends_word = bytes.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        if begins_word && ends_word && end > start {
            return Some(start..end);
        }
        start = end.max(start + 1);
    }
}

fn digits(written: &[u8]) -> Vec<u32> {
    let digits = written.iter().filter(|byte| byte.is_ascii_digit());
    digits.map(|byte| u32::from(byte - b'0')).collect()
}

/// Digits of a resident identity number in front of its check digit.
const RESIDENT_DIGITS: usize = 17;

/// Six digits of a place, eight of a day of birth, three of an order and a check digit: Σ dᵢ·2^(17−i) mod 11, from i = 0.
fn is_resident_id(written: &[u8]) -> bool {
    const CHECKS: &[u8; 11] = b"10X98765432";
    let Some((check, body)) = written.split_last().filter(|(_, body)| body.len() == RESIDENT_DIGITS) else {
        return false;
    };
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let body = digits(body);
    let number = |range: Range<usize>| body[range].iter().fold(0, |number, digit| number * 10 + digit);
    let is_day = (1900..2100).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14));
    let sum: u32 = body
        .iter()
        .zip((1..=RESIDENT_DIGITS as u32).rev())
        .map(|(digit, power)| digit << power)
        .sum();
    body[0] > 0 && is_day && CHECKS[sum as usize % 11] == check.to_ascii_uppercase()
}

/// 13 to 19 digits from 3 on, in groups by blanks or dashes or in none, that pass Luhn's test.
fn is_card(written: &[u8]) -> bool {
    let digits = digits(written);
    let is_grouped = written.iter().all(|byte| byte.is_ascii_digit() || b" -".contains(byte));
    let is_one_digit = digits.windows(2).all(|pair| pair[0] == pair[1]);
    if !is_grouped || !(13..=19).contains(&digits.len()) || !(3..=6).contains(&digits[0]) || is_one_digit {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_phone(written: &[u8]) -> bool {
    let digits = digits(written);
    if written[0] == b'+' {
        return (8..=15).contains(&digits.len());
    }
    let groups: Vec<&[u8]> = written
        .split(|byte| !byte.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .collect();
    match groups.as_slice() {
        [only] => only.len() == 11 && only[0] == b'1' && (b'3'..=b'9').contains(&only[1]),
        // North America, with or without the area in brackets.
        [area, exchange, line] if (area.len(), exchange.len(), line.len()) == (3, 3, 4) => true,
        [area, rest @ ..] => {
            let is_area = (3..=5).contains(&area.len()) && area[0] == b'0';
            is_area && rest.len() <= 3 && rest[0].len() >= 2 && (9..=12).contains(&digits.len())
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(AuditKind, &str)> {
        let mut kinds = Vec::new();
        find(text, &mut |kind, place| kinds.push((kind, &text[place])));
        kinds
    }

    #[test]
    fn each_kind_is_found_with_its_place() {
        use AuditKind::{EmailAddresses, Ibans, PaymentCards, PhoneNumbers, ResidentIds};
        let cases = [
            (
                "Write to anna.lee+x@mail.company.co.uk.",
                EmailAddresses,
                "anna.lee+x@mail.company.co.uk",
            ),
            ("邮箱lin@qq.com谢谢", EmailAddresses, "lin@qq.com"),
            ("call +44 20 7946 0958 now", PhoneNumbers, "+44 20 7946 0958"),
            ("(555) 123-4567", PhoneNumbers, "(555) 123-4567"),
            ("Tel. 030 / 1234567", PhoneNumbers, "030"),
            ("Tel. 030/1234567", PhoneNumbers, "030/1234567"),
            ("手机13812345678。", PhoneNumbers, "13812345678"),
            (
                "IBAN DE89 3704 0044 0532 0130 00, thanks",
                Ibans,
                "DE89 3704 0044 0532 0130 00",
            ),
            ("to GB82WEST12345698765432", Ibans, "GB82WEST12345698765432"),
            ("card 4111 1111 1111 1111", PaymentCards, "4111 1111 1111 1111"),
            ("card 5500-0000-0000-0004.", PaymentCards, "5500-0000-0000-0004"),
            ("身份证11010519491231002X", ResidentIds, "11010519491231002X"),
        ];
        for (text, kind, place) in cases {
            let found = kinds(text);
            match place {
                // A blank that no number has.
                "030" => assert!(found.is_empty(), "{text}: {found:?}"),
                place => assert!(found.contains(&(kind, place)), "{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn numbers_of_other_kinds_are_left_alone() {
        for text in [
            "on 2024-01-02 at 10:30, 01/02/2024 or 01.02.2024",
            "4111 1111 1111 1112",
            "DE88 3704 0044 0532 0130 00",
            "11010519491231002",
            "110105194912310021",
            "version 1.2.3.4567, 12345678901234567890",
            "it costs 1 234 567 890 or 3.14159265358979",
            "someone@example.com and user@localhost",
            "0000 0000 0000 0000",
            "order a1234567890123456b",
        ] {
            assert!(kinds(text).is_empty(), "{text}: {:?}", kinds(text));
        }
        assert_eq!(masked("lin@qq.com"), "li*@**.*om");
    }
}
