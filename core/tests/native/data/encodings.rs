//! Bytes to text: each encoding is told from the bytes or named, and what fits none is refused.

use super::{refusal, said, text};
use lorakeet_core::config::Encoding;
use lorakeet_core::data::Dataset;

/// Chinese in GBK: 标签,文本 and a row.
const CHINESE: &[u8] = b"\xb1\xea\xc7\xa9,\xce\xc4\xb1\xbe\n\xd5\xfd\xc3\xe6,\xd5\xe2\xb2\xbf\xb5\xe7\xd3\xb0\xd5\xe6\xb5\xc4\xba\xdc\xba\xc3\xbf\xb4\xa3\xac\xce\xd2\xc3\xc7\xb6\xbc\xcf\xb2\xbb\xb6\n";
const CHINESE_TEXT: &str = "标签,文本\n正面,这部电影真的很好看，我们都喜欢\n";

/// Quotes, a dash, a euro sign and umlauts in Windows-1252.
const WESTERN: &[u8] = b"\x93It\x92s na\xefve\x94 \x96 5 \x80\nGr\xf6\xdfe und Ma\xdf\n";
const WESTERN_TEXT: &str = "“It’s naïve” – 5 €\nGröße und Maß\n";

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

#[track_caller]
fn reads(bytes: &[u8], encoding: Option<Encoding>, wanted: &str) -> Vec<String> {
    let data = Dataset::parse_as("a.txt", bytes, encoding).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(text(&data.rows[0].content), wanted);
    said(&data.notes)
}

#[test]
fn each_encoding_is_told_from_the_bytes_and_said() {
    let mixed = "标签,文本\n正面,一部好电影\n";
    let cases = [
        (CHINESE.to_vec(), CHINESE_TEXT, "GB18030"),
        (WESTERN.to_vec(), WESTERN_TEXT, "Windows-1252"),
        (utf16(WESTERN_TEXT, u16::to_le_bytes), WESTERN_TEXT, "UTF-16-LE"),
        (utf16(WESTERN_TEXT, u16::to_be_bytes), WESTERN_TEXT, "UTF-16-BE"),
        (utf16(mixed, u16::to_le_bytes), mixed, "UTF-16-LE"),
        (utf16(mixed, u16::to_be_bytes), mixed, "UTF-16-BE"),
        (utf16("\u{feff}a标", u16::to_le_bytes), "a标", "UTF-16"),
        (utf16("\u{feff}a标", u16::to_be_bytes), "a标", "UTF-16"),
        (b"na\xefve caf\xe9\n".to_vec(), "naïve café\n", "Windows-1252"),
    ];
    for (bytes, wanted, encoding) in cases {
        let notes = reads(&bytes, None, wanted);
        assert_eq!(notes.len(), 1, "{encoding}: {notes:?}");
        assert!(
            notes[0].contains(&format!("read as {encoding}.")) && notes[0].contains("`encoding`"),
            "{notes:?}"
        );
    }
    for bytes in [
        CHINESE_TEXT.as_bytes().to_vec(),
        [b"\xef\xbb\xbf", CHINESE_TEXT.as_bytes()].concat(),
    ] {
        assert!(reads(&bytes, None, CHINESE_TEXT).is_empty());
    }
}

#[test]
fn a_named_encoding_is_taken_and_nothing_is_said() {
    let cases = [
        (CHINESE.to_vec(), CHINESE_TEXT, Encoding::Gb18030),
        (WESTERN.to_vec(), WESTERN_TEXT, Encoding::Cp1252),
        (utf16("a标", u16::to_le_bytes), "a标", Encoding::Utf16),
        (utf16("\u{feff}a标", u16::to_be_bytes), "a标", Encoding::Utf16),
        (utf16("a标", u16::to_le_bytes), "a标", Encoding::Utf16Le),
        (utf16("a标", u16::to_be_bytes), "a标", Encoding::Utf16Be),
        (b"\xef\xbb\xbfna\xc3\xafve".to_vec(), "naïve", Encoding::Utf8),
        // What would be taken for another one.
        (b"\xd6\xd0 \xb9\xfa".to_vec(), "ÖÐ ¹ú", Encoding::Cp1252),
    ];
    for (bytes, wanted, encoding) in cases {
        let notes = reads(&bytes, Some(encoding), wanted);
        assert!(notes.is_empty(), "{encoding:?}: {notes:?}");
    }
}

#[test]
fn a_byte_order_mark_goes_before_a_named_encoding_and_this_is_said() {
    let utf8 = b"\xef\xbb\xbfna\xc3\xafve".to_vec();
    let cases = [
        (utf8.clone(), "naïve", Encoding::Cp1252, ["UTF-8", "Windows-1252"]),
        (utf8, "naïve", Encoding::Gb18030, ["UTF-8", "GB18030"]),
        (
            utf16("\u{feff}a标", u16::to_be_bytes),
            "a标",
            Encoding::Utf16Le,
            ["UTF-16-BE", "UTF-16-LE"],
        ),
        (
            utf16("\u{feff}a标", u16::to_le_bytes),
            "a标",
            Encoding::Utf8,
            ["UTF-16-LE", "UTF-8"],
        ),
    ];
    for (bytes, wanted, named, [marked, given]) in cases {
        let notes = reads(&bytes, Some(named), wanted);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].contains(&format!("mark of {marked} ")) && notes[0].contains(&format!("not as {given},")),
            "{notes:?}"
        );
    }
    let table = b"\xef\xbb\xbftext,label\na b,x\n";
    let data = Dataset::parse_as("a.csv", table, Some(Encoding::Cp1252)).expect("it is read");
    assert_eq!(data.columns, ["text", "label"]);
}

#[test]
fn a_file_of_two_encodings_is_refused_and_a_chance_pair_does_not_hide_windows_1252() {
    let error = refusal("a.txt", b"a plain line\ncaf\xc3\xa9 and more\nfianc\xe9 and more\n");
    assert!(error.what.english().contains("in line 3, is not UTF-8"), "{error}");
    // C9 BB would be a letter in UTF-8, too.
    let notes = reads(b"le CAF\xc9\xbb, d\xe9j\xe0 vu\n", None, "le CAFÉ», déjà vu\n");
    assert!(notes[0].contains("Windows-1252"), "{notes:?}");
    // As many chance pairs as others: Chinese is told by its signs.
    reads(b"\xd5\xe2\xb2\xbf\n", None, "这部\n");
}

#[test]
fn bytes_of_another_encoding_are_refused_with_their_place() {
    // Korean in EUC-KR, Russian in Windows-1251, Japanese in Shift_JIS, Chinese in Big5.
    let others: [&[u8]; 4] = [
        b"\xc0\xcc \xbf\xb5\xc8\xad\xb4\xc2 \xc1\xa4\xb8\xbb \xc0\xe7\xb9\xcc\xc0\xd6\xbe\xfa\xb4\xd9 \xb1\xd7\xb8\xae\xb0\xed\n",
        b"\xee\xf7\xe5\xed\xfc \xf5\xee\xf0\xee\xf8\xe8\xe9 \xf4\xe8\xeb\xfc\xec\n",
        b"\x82\xb1\x82\xea\x82\xcd\x82\xc6\x82\xc4\x82\xe0\x96\xca\x94\x92\x82\xa2\x89f\x89\xe6\x82\xc5\x82\xb5\x82\xbd\n",
        b"\xb3o\xb3\xa1\xb9q\xbcv\xafu\xaa\xba\xab\xdc\xa6n\xac\xdd\xa7\xda\xad\xcc\xb3\xa3\xb3\xdf\xc5w\n",
    ];
    for bytes in others {
        let error = refusal("a.txt", &[b"one\n", bytes].concat());
        let (what, remedy) = (error.what.english(), error.remedy.expect("a way out").english());
        assert!(what.starts_with("byte 5 of the file, in line 2,"), "{what}");
        assert!(remedy.contains("UTF-8") && remedy.contains("`encoding`"), "{remedy}");
    }
    // One damaged character does not make another encoding of the file.
    let damaged = refusal(
        "a.txt",
        "Größe\nund Maß\n\u{e9}t\u{e9}"
            .as_bytes()
            .split_last()
            .expect("bytes")
            .1,
    );
    assert!(
        damaged
            .what
            .english()
            .contains("byte 21 of the file, in line 3, is not UTF-8"),
        "{damaged}"
    );
    for (bytes, encoding, place) in [
        (
            &b"a\nb\xff"[..],
            Encoding::Gb18030,
            "byte 4 of the file, in line 2, is not GB18030",
        ),
        (
            b"a\nb\x81",
            Encoding::Cp1252,
            "byte 4 of the file, in line 2, is not Windows-1252",
        ),
        (
            b"a\nb\xe9",
            Encoding::Utf8,
            "byte 4 of the file, in line 2, is not UTF-8",
        ),
        (b"a\0b", Encoding::Utf16, "odd number of bytes"),
    ] {
        let error = Dataset::parse_as("a.txt", bytes, Some(encoding)).expect_err("it is refused");
        assert!(error.to_string().contains(place), "{error}");
        assert_eq!(error.file.as_deref(), Some("a.txt"));
    }
}

#[test]
fn characters_of_gb18030_take_one_two_or_four_bytes_and_a_broken_one_is_named_by_its_place() {
    let named = Some(Encoding::Gb18030);
    let bytes = b"a\xd6\xd0\x81\x30\x81\x30\x90\x30\x81\x30\xe3\x32\x9a\x35\xa2\xe3";
    reads(bytes, named, "a中\u{80}\u{10000}\u{10ffff}€");
    // More than a decoder makes room for at first.
    reads(&b"\xd6\xd0".repeat(5000), named, &"中".repeat(5000));
    let broken: [(&[u8], &str, &str); 4] = [
        (b"ab\xff", "byte 3", "line 1"),
        (b"\xd6\xd0\n\xd6", "byte 4", "line 2"),
        (b"\xd6\xd0\xff\xffa", "byte 3", "line 1"),
        (b"\n\xe3\x32\x9a\x36", "byte 2", "line 2"),
    ];
    for (bytes, byte, line) in broken {
        let error = Dataset::parse_as("a.txt", bytes, named)
            .expect_err("it is broken")
            .to_string();
        assert!(error.contains(byte) && error.contains(line), "{bytes:?}: {error}");
    }
}
