//! A zip archive without compression, so that several files come down as one. It can be written as its files come: what stands
//! before each of them, and at the end a list.
//!
//! Layout after PKWARE's APPNOTE.TXT 6.3: a local header and the bytes of each file, then the central directory, then its end.
//! A file has less than 4 GiB; where the archive has more, places are counted in 64 bits (section 4.3.14 there).

/// What stands in a field of 32 bits whose number is elsewhere, in 64 bits.
const ELSEWHERE: u32 = u32::MAX;

/// An archive that grows.
#[derive(Default)]
pub struct Archive {
    directory: Vec<u8>,
    files: u64,
    /// Bytes up to here.
    at: u64,
}

impl Archive {
    /// What stands before the bytes of a file, which follow; none of a file that is too large.
    pub fn header(&mut self, name: &str, bytes: u64, checksum: u32) -> Option<Vec<u8>> {
        let size = u32::try_from(bytes).ok()?;
        let mut header = b"PK\x03\x04".to_vec();
        header.extend(entry(name, size, checksum, 0));
        header.extend(name.as_bytes());

        let (place, wide) = match u32::try_from(self.at) {
            Ok(place) if place < ELSEWHERE => (place, Vec::new()),
            // Number 1, its length, the place.
            _ => (ELSEWHERE, [&[1, 0, 8, 0][..], &self.at.to_le_bytes()].concat()),
        };
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(45u16.to_le_bytes());
        self.directory.extend(entry(name, size, checksum, wide.len() as u16));
        // Comment length, disk, internal attributes, external attributes: all 0.
        self.directory.extend([0u8; 10]);
        self.directory.extend(place.to_le_bytes());
        self.directory.extend(name.as_bytes());
        self.directory.extend(wide);
        self.files += 1;
        self.at += header.len() as u64 + bytes;
        Some(header)
    }

    /// What stands behind the last file.
    pub fn end(self) -> Vec<u8> {
        let (start, length) = (self.at, self.directory.len() as u64);
        let mut end = self.directory;
        let place = u32::try_from(start).unwrap_or(ELSEWHERE);
        if place == ELSEWHERE {
            end.extend(b"PK\x06\x06");
            end.extend(44u64.to_le_bytes());
            // Versions 4.5, no other disks.
            end.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [self.files, self.files, length, start] {
                end.extend(number.to_le_bytes());
            }
            end.extend(b"PK\x06\x07");
            end.extend([0u8; 4]);
            end.extend((start + length).to_le_bytes());
            end.extend(1u32.to_le_bytes());
        }
        let count = (self.files as u16).to_le_bytes();
        end.extend(b"PK\x05\x06");
        end.extend([0u8; 4]);
        end.extend(count);
        end.extend(count);
        end.extend((length as u32).to_le_bytes());
        end.extend(place.to_le_bytes());
        end.extend([0u8; 2]);
        end
    }
}

/// Packs files of less than 4 GiB, each a name and its bytes.
pub fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Archive::default();
    let mut packed = Vec::new();
    for (name, bytes) in files {
        if let Some(header) = archive.header(name, bytes.len() as u64, checksum(0, bytes)) {
            packed.extend(header);
            packed.extend(bytes);
        }
    }
    packed.extend(archive.end());
    packed
}

/// What the local header and the directory say alike: version 2.0 (4.5 with a place in 64 bits), UTF-8 names, stored, 1980-01-01, checksum and sizes.
fn entry(name: &str, bytes: u32, checksum: u32, extra_bytes: u16) -> Vec<u8> {
    let size = bytes.to_le_bytes();
    let version: u16 = if extra_bytes > 0 { 45 } else { 20 };
    let mut entry = Vec::new();
    entry.extend(version.to_le_bytes());
    entry.extend(0x0800u16.to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry.extend(0x0021u16.to_le_bytes());
    entry.extend(checksum.to_le_bytes());
    entry.extend(size);
    entry.extend(size);
    entry.extend((name.len() as u16).to_le_bytes());
    entry.extend(extra_bytes.to_le_bytes());
    entry
}

/// CRC-32 of IEEE 802.3, reflected, polynomial 0xEDB88320, of what came before and `bytes`; before the first it is 0.
pub fn checksum(before: u32, bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|byte| {
            (0..8).fold(
                byte,
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
            )
        })
        .collect();
    !bytes.iter().fold(!before, |crc, byte| {
        crc >> 8 ^ table[((crc ^ u32::from(*byte)) & 0xFF) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard_test_text_in_one_piece_or_two() {
        assert_eq!(checksum(0, b"123456789"), 0xCBF4_3926);
        assert_eq!(checksum(checksum(0, b"1234"), b"56789"), 0xCBF4_3926);
    }

    #[test]
    fn an_archive_ends_with_a_directory_of_all_its_files() {
        let archive = pack(&[("a.txt".into(), b"one".to_vec()), ("b.txt".into(), b"three".to_vec())]);
        let end = archive.len() - 22;
        assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
        assert_eq!(archive[end + 10], 2);
        let start = u32::from_le_bytes(archive[end + 16..end + 20].try_into().expect("four bytes")) as usize;
        assert_eq!(&archive[start..start + 4], b"PK\x01\x02");
        assert_eq!(&archive[start + 46..start + 51], b"a.txt");
    }

    #[test]
    fn places_beyond_four_gibibytes_are_counted_in_64_bits() {
        let far = 5 << 30;
        let mut archive = Archive {
            at: far,
            ..Archive::default()
        };
        let header = archive.header("a", 3, 7).expect("a small file").len() as u64;
        assert!(archive.header("b", 1 << 32, 7).is_none(), "a file that is too large");
        let directory = archive.directory.clone();
        assert_eq!(&directory[42..46], [0xFF; 4]);
        assert_eq!(&directory[47..], [&[1, 0, 8, 0][..], &far.to_le_bytes()].concat());
        let end = archive.end();
        let wide = &end[directory.len()..];
        assert_eq!(&wide[..4], b"PK\x06\x06");
        assert_eq!(wide[48..56], (far + header + 3).to_le_bytes());
        assert_eq!(&wide[56..60], b"PK\x06\x07");
        assert_eq!(wide[64..72], (far + header + 3 + directory.len() as u64).to_le_bytes());
        assert_eq!(&wide[76..80], b"PK\x05\x06");
    }
}
