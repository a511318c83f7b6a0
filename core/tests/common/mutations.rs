//! Broken copies of sound files: flipped bits, hostile numbers, cuts, doubled and dropped pieces, from a seed.
//!
//! The package `lorakeet-tests` shares this file.

/// What is put in a number's place.
const NUMBERS: [&str; 13] = [
    "0",
    "-1",
    "1e308",
    "18446744073709551615",
    "4294967296",
    "1073741824",
    "65536",
    "0.5",
    "null",
    "true",
    "\"x\"",
    "[]",
    "{}",
];

/// A stream of mutations that a seed decides (xorshift64).
pub struct Mutations(u64);

impl Mutations {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        // Whatever the seed, the state must not be 0.
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// A number below `below`; 0 where that is 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    /// `original` with one to four changes.
    pub fn of(&mut self, original: &[u8]) -> Vec<u8> {
        let mut bytes = original.to_vec();
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.below(bytes.len());
            match self.below(7) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => {
                    let value = [0, 1, u64::MAX, 1 << 31, 1 << 40, 1 << 62, 255][self.below(7)];
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].copy_from_slice(&value.to_le_bytes()[..end - at]);
                }
                2 => bytes.truncate(at),
                3 => {
                    let piece = bytes[at..(at + self.below(32)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => drop(bytes.drain(at..(at + self.below(16)).min(bytes.len()))),
                5 => bytes[at] = b"{}[]\":,%-0\\x\xff"[self.below(13)],
                _ => self.replace_number(&mut bytes),
            }
        }
        bytes
    }

    /// The same within the first `length` bytes, where a file's header lies; now and then anywhere.
    pub fn of_start(&mut self, original: &[u8], length: usize) -> Vec<u8> {
        let length = if self.below(5) == 0 {
            original.len()
        } else {
            length.min(original.len())
        };
        let mut bytes = self.of(&original[..length]);
        bytes.extend_from_slice(&original[length..]);
        bytes
    }

    /// Puts something else in the place of one of the first numbers that are written in digits.
    fn replace_number(&mut self, bytes: &mut Vec<u8>) {
        let start = &bytes[..bytes.len().min(20_000)];
        let begins = |at: &usize| start[*at].is_ascii_digit() && (*at == 0 || !start[at - 1].is_ascii_digit());
        let places: Vec<usize> = (0..start.len()).filter(begins).collect();
        if places.is_empty() {
            return;
        }
        let at = places[self.below(places.len())];
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let with = NUMBERS[self.below(NUMBERS.len())];
        bytes.splice(at..at + digits, with.bytes());
    }
}
