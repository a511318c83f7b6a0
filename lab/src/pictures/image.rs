//! Cells of numbers as an image: a bitmap of one pixel a cell inside a `data:` address, drawn larger by the browser.

use super::escaped;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// Orange below 0, white at 0, green above, as far as the largest absolute value.
    Signed,
    /// White at this, green at the largest.
    From(f32),
    /// White at the smallest, green at the largest.
    Between,
}

const WHITE: [f32; 3] = [247.0, 249.0, 246.0];
const GREEN: [f32; 3] = [16.0, 94.0, 46.0];
const ORANGE: [f32; 3] = [166.0, 72.0, 16.0];
/// Of what is not finite.
const GREY: [u8; 3] = [128, 128, 128];

/// Size of a bitmap's two headers.
const HEAD: usize = 54;

/// An image of `rows` × `columns` numbers, row-major, the first row on top; with `alt` for those who do not see it.
pub fn image(values: &[f32], rows: usize, columns: usize, scale: Scale, alt: &str) -> String {
    let data = STANDARD.encode(bitmap(&colours(values, scale), rows, columns));
    let alt = escaped(alt);
    format!(
        "<img class=\"cells\" width=\"{columns}\" height=\"{rows}\" alt=\"{alt}\" src=\"data:image/bmp;base64,{data}\">"
    )
}

fn colours(values: &[f32], scale: Scale) -> Vec<[u8; 3]> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let most = finite().fold(f32::NEG_INFINITY, f32::max);
    let (low, high) = match scale {
        Scale::Signed => (0.0, finite().map(f32::abs).fold(0.0, f32::max)),
        Scale::From(low) => (low, most),
        Scale::Between => (finite().fold(f32::INFINITY, f32::min), most),
    };
    let width = if high > low { high - low } else { 1.0 };
    let colour = |value: &f32| {
        if !value.is_finite() {
            return GREY;
        }
        let share = ((value - low) / width).clamp(-1.0, 1.0);
        let end = if share < 0.0 { ORANGE } else { GREEN };
        std::array::from_fn(|part| (WHITE[part] + (end[part] - WHITE[part]) * share.abs()).round() as u8)
    };
    values.iter().map(colour).collect()
}

/// Windows' bitmap format, version 3: 24 bits a pixel, rows from the bottom, each filled up to a multiple of four bytes.
fn bitmap(colours: &[[u8; 3]], rows: usize, columns: usize) -> Vec<u8> {
    let row_bytes = (3 * columns).next_multiple_of(4);
    let size = HEAD + row_bytes * rows;
    let mut bytes = Vec::with_capacity(size);
    let long = |bytes: &mut Vec<u8>, value: usize| bytes.extend((value as u32).to_le_bytes());
    bytes.extend(b"BM");
    for value in [size, 0, HEAD, 40, columns, rows] {
        long(&mut bytes, value);
    }
    // One plane, 24 bits a pixel.
    bytes.extend([1, 0, 24, 0]);
    for value in [0, row_bytes * rows, 2835, 2835, 0, 0] {
        long(&mut bytes, value);
    }
    for row in (0..rows).rev() {
        let start = bytes.len();
        for column in 0..columns {
            let [red, green, blue] = colours.get(row * columns + column).copied().unwrap_or(GREY);
            bytes.extend([blue, green, red]);
        }
        bytes.resize(start + row_bytes, 0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_its_first_row_at_the_end_and_rows_of_whole_words() {
        let bytes = bitmap(&[[1, 2, 3], [4, 5, 6], [7, 8, 9]], 3, 1);
        assert_eq!(bytes.len(), HEAD + 3 * 4);
        assert_eq!(&bytes[HEAD..HEAD + 4], &[9, 8, 7, 0]);
        assert_eq!(&bytes[bytes.len() - 4..], &[3, 2, 1, 0]);
        assert_eq!(
            u32::from_le_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]) as usize,
            bytes.len()
        );
    }

    #[test]
    fn zero_is_white_and_the_largest_is_full() {
        let drawn = colours(&[0.0, 2.0, -2.0, f32::NAN], Scale::Signed);
        assert_eq!(
            drawn,
            [
                WHITE.map(|v| v as u8),
                GREEN.map(|v| v as u8),
                ORANGE.map(|v| v as u8),
                GREY
            ]
        );
    }

    #[test]
    fn cells_that_are_all_alike_are_no_division_by_zero() {
        assert_eq!(colours(&[3.0, 3.0], Scale::Between)[0], WHITE.map(|v| v as u8));
    }
}
