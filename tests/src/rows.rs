//! Small data of several tasks that models of a few thousand weights learn: what is right follows from letters.

use lorakeet_core::{
    random::Generator,
    store::{MemoryFile, Source},
};
use std::fmt::Write;

/// Two letters of a and b around others: whether they are the same is nothing that a sum of letters tells.
pub fn pairs_of_letters(rows: usize) -> Vec<(String, bool)> {
    let mut generator = Generator::new(5, "rows");
    let mut letter = |from: &[u8]| char::from(from[generator.below(from.len())]);
    let rows = (0..rows).map(|_| {
        let (first, last) = (letter(b"ab"), letter(b"ab"));
        let middle: String = (0..3).map(|_| letter(b"cdefg")).collect();
        (format!("{first}{middle}{last}"), first == last)
    });
    rows.collect()
}

/// Rows of a csv file under a header.
pub fn table(header: &str, rows: impl Iterator<Item = String>) -> Source {
    let mut text = format!("{header}\n");
    for row in rows {
        let _ = writeln!(text, "{row}");
    }
    MemoryFile::source("rows.csv", text.into_bytes())
}

/// Texts whose class is whether their ends are the same.
pub fn classes(rows: usize) -> Source {
    let name = |same| if same { "same" } else { "other" };
    let rows = pairs_of_letters(rows).into_iter();
    table("text,label", rows.map(|(text, same)| format!("{text},{}", name(same))))
}

/// Texts with a price in hundreds: 400 for equal ends, 30.5 for each c.
pub fn prices(rows: usize) -> Source {
    let number =
        |text: &str, same: bool| 500.0 + 400.0 * f64::from(u8::from(same)) + 30.5 * text.matches('c').count() as f64;
    let rows = pairs_of_letters(rows).into_iter();
    table(
        "text,price",
        rows.map(|(text, same)| format!("{text},{}", number(&text, same))),
    )
}

/// Queries of one letter with two documents: the one that begins with it belongs to it.
pub fn graded(queries: usize) -> Source {
    let mut generator = Generator::new(13, "rows");
    let mut rows = Vec::new();
    for query in 0..queries {
        let mut letters =
            |count: usize| -> String { (0..count).map(|_| char::from(b"cdefg"[generator.below(5)])).collect() };
        let right = if query % 2 == 0 { 'a' } else { 'b' };
        let asked = format!("{right}{}", letters(3));
        for first in ['a', 'b'] {
            rows.push(format!("{asked},{first}{},{}", letters(1), u8::from(first == right)));
        }
    }
    table("query,document,grade", rows.into_iter())
}

/// Bars of three pixels somewhere in 8 × 8, lying (0) or standing (1), in MNIST's two files.
pub fn bars(count: usize) -> Vec<Source> {
    let mut generator = Generator::new(4, "rows");
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for row in 0..count {
        let stands = row % 2 == 1;
        let mut image = [0u8; 64];
        let (along, across) = (generator.below(6), generator.below(8));
        for step in along..along + 3 {
            image[if stands { step * 8 + across } else { across * 8 + step }] = 255;
        }
        pixels.extend(image);
        labels.push(u8::from(stands));
    }
    vec![
        MemoryFile::source("bars-images-idx3-ubyte", idx(&[count, 8, 8], &pixels)),
        MemoryFile::source("bars-labels-idx1-ubyte", idx(&[count], &labels)),
    ]
}

/// A file in the IDX format: the sizes of its dimensions, and its bytes.
pub fn idx(sizes: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    for size in sizes {
        file.extend((*size as u32).to_be_bytes());
    }
    file.extend(bytes);
    file
}
