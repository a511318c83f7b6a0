//! GB18030 to text: characters of two bytes, and those of four, which are the others in the order of Unicode.
//!
//! The mapping is that of GB 18030-2005 as Python's codec `gb18030` has it. Most of it follows from rules: the ideographs of
//! Unicode 1.1 that GB2312 does not have stand in their order, and so do the areas for private use. `gb18030.txt` has the rest, a
//! zone a line: signs (0xa1a1 on), signs of GBK (0xa840 on), hanzi of GB2312 (0xb0a1 on), and what follows the last ideograph
//! (0xfd9c on), each lead after lead.

use std::iter;

/// The zones that no rule gives.
const ZONES: &str = include_str!("gb18030.txt");

/// Leads, and the trails of two bytes.
const LEADS: std::ops::RangeInclusive<u8> = 0x81..=0xfe;
const TRAILS: usize = 190;

/// Numbers of four bytes: those of the basic plane begin with 0, those of the others here.
const SUPPLEMENTARY: usize = 189_000;

/// Characters by the order of their bytes.
struct Tables {
    two: Vec<char>,
    four: Vec<char>,
}

impl Tables {
    fn new() -> Self {
        let zones: Vec<&str> = ZONES.split('\n').collect();
        let zone = |number: usize| zones.get(number).copied().unwrap_or_default().chars();
        let (mut signs, mut signs_of_gbk, mut hanzi) = (zone(0), zone(1), zone(2));
        let mut known = vec![false; 0x1_0000];
        for letter in zone(2) {
            known[letter as usize & 0xffff] = true;
        }
        let mut others = ('\u{4e00}'..='\u{9fa5}')
            .filter(|letter| !known[*letter as usize])
            .chain(zone(3));
        let (mut private, mut private_low) = ('\u{e000}'..='\u{e4c5}', '\u{e4c6}'..='\u{e765}');
        let mut two = Vec::with_capacity(LEADS.count() * TRAILS);
        for lead in LEADS {
            for trail in (0x40..=0x7e).chain(0x80..=0xfe) {
                let letter = match (lead, trail) {
                    (0xa8 | 0xa9, ..=0xa0) => signs_of_gbk.next(),
                    (0xa1..=0xa7, ..=0xa0) => private_low.next(),
                    (0xa1..=0xa9, 0xa1..) => signs.next(),
                    (0xaa..=0xaf | 0xf8..=0xfe, 0xa1..) => private.next(),
                    (0xb0..=0xf7, 0xa1..) => hanzi.next(),
                    _ => others.next(),
                };
                two.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        let mut known = vec![false; 0x1_0000];
        for letter in &two {
            known[*letter as usize & 0xffff] = true;
        }
        let four = ('\u{80}'..='\u{ffff}').filter(|letter| !known[*letter as usize]);
        Self {
            four: four.collect(),
            two,
        }
    }

    /// The character that begins with these bytes, and how many they are.
    fn first(&self, bytes: &[u8]) -> Option<(char, usize)> {
        let place = |byte: u8, from: u8| usize::from(byte - from);
        match *bytes {
            [lead @ ..=0x7f, ..] => Some((char::from(lead), 1)),
            [lead @ 0x81..=0xfe, trail @ (0x40..=0x7e | 0x80..=0xfe), ..] => {
                let trail = place(trail, 0x40) - usize::from(trail > 0x7f);
                let letter = self.two.get(place(lead, 0x81) * TRAILS + trail)?;
                Some((*letter, 2))
            }
            [a @ 0x81..=0xfe, b @ 0x30..=0x39, c @ 0x81..=0xfe, d @ 0x30..=0x39, ..] => {
                let number = (place(a, 0x81) * 10 + place(b, 0x30)) * 126 + place(c, 0x81);
                let number = number * 10 + place(d, 0x30);
                let letter = match number.checked_sub(SUPPLEMENTARY) {
                    None => self.four.get(number).copied()?,
                    Some(above) => char::from_u32(0x1_0000 + above as u32)?,
                };
                Some((letter, 4))
            }
            _ => None,
        }
    }
}

/// The text of these bytes.
///
/// # Errors
/// The place of the first byte, from 0, that begins no character.
pub(super) fn decode(bytes: &[u8]) -> Result<String, usize> {
    let tables = Tables::new();
    let mut at = 0;
    let letters = iter::from_fn(|| {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        Some(match tables.first(rest) {
            Some((letter, length)) => {
                at += length;
                Ok(letter)
            }
            None => Err(at),
        })
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn digest(letters: &[char]) -> String {
        let text: String = letters.iter().collect();
        format!("{:x}", Sha256::digest(text.as_bytes()))
    }

    /// Digests of what Python 3.11 decodes: `bytes([a, b]).decode("gb18030")` over leads and trails in order, and the same of the
    /// first 39420 numbers of four bytes.
    #[test]
    fn every_character_is_the_one_of_pythons_codec() {
        let tables = Tables::new();
        assert_eq!((tables.two.len(), tables.four.len()), (23_940, 39_420));
        assert_eq!(
            digest(&tables.two),
            "3e8f01bd640d0fcbb3414a5db73d2309bcb8ddaca820f69c81fc247ddfd389d1"
        );
        assert_eq!(
            digest(&tables.four),
            "f09120684a7bac6a3a2180a8c79b2438a27f033ac1e16d56a1d20fed35249701"
        );
    }

    #[test]
    fn characters_take_one_two_or_four_bytes() {
        let bytes = b"a\xd6\xd0\x81\x30\x81\x30\x90\x30\x81\x30\xe3\x32\x9a\x35\xa2\xe3";
        assert_eq!(decode(bytes).as_deref(), Ok("a中\u{80}\u{10000}\u{10ffff}€"));
        for (bytes, at) in [
            (&b"ab\xff"[..], 2),
            (b"\xd6", 0),
            (b"\xd6\xd0\x80a", 2),
            (b"\xe3\x32\x9a\x36", 0),
        ] {
            assert_eq!(decode(bytes), Err(at));
        }
    }
}
