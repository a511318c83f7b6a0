//! A zip archive without compression, so that the adapter's two files come down as one.
//!
//! Layout after PKWARE's APPNOTE.TXT 6.3: a local header and the bytes of each file, then the central directory, then its end.
//! Sizes stay below 4 GiB, far above what an adapter takes.

/// Packs files, each a name and its bytes.
pub fn pack(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut directory = Vec::new();
    for (name, bytes) in files {
        let offset = archive.len() as u32;
        archive.extend(b"PK\x03\x04");
        let entry = entry(name, bytes);
        archive.extend(&entry);
        archive.extend(name.as_bytes());
        archive.extend(bytes);

        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&entry);
        // Comment length, disk, internal attributes, external attributes: all 0.
        directory.extend([0u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = archive.len() as u32;
    let count = (files.len() as u16).to_le_bytes();
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06");
    archive.extend([0u8; 4]);
    archive.extend(count);
    archive.extend(count);
    archive.extend((directory.len() as u32).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0u8; 2]);
    archive
}

/// What the local header and the directory say alike: version 2.0, UTF-8 names, stored, 1980-01-01, checksum and sizes.
fn entry(name: &str, bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u32).to_le_bytes();
    let mut entry = Vec::new();
    entry.extend(20u16.to_le_bytes());
    entry.extend(0x0800u16.to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry.extend(0x0021u16.to_le_bytes());
    entry.extend(checksum(bytes).to_le_bytes());
    entry.extend(size);
    entry.extend(size);
    entry.extend((name.len() as u16).to_le_bytes());
    entry.extend(0u16.to_le_bytes());
    entry
}

/// CRC-32 of IEEE 802.3, reflected, polynomial 0xEDB88320.
fn checksum(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|byte| {
            (0..8).fold(
                byte,
                |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 },
            )
        })
        .collect();
    !bytes.iter().fold(!0u32, |crc, byte| {
        crc >> 8 ^ table[((crc ^ u32::from(*byte)) & 0xFF) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard_test_text() {
        assert_eq!(checksum(b"123456789"), 0xCBF4_3926);
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
}
