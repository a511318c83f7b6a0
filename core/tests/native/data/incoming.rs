//! Files that come piece by piece give the rows, notes and errors that they give whole.

use super::refusal;
use lorakeet_core::data::audit::Reading;
use lorakeet_core::data::{Dataset, Incoming};
use lorakeet_core::error::Error;

/// The file as it comes in pieces of `size` bytes; `None` where it has to be read whole.
fn in_pieces(name: &str, bytes: &[u8], size: usize) -> Option<Result<Dataset, Error>> {
    // The first line comes whole.
    let begin = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| end + 1);
    let (first, rest) = bytes.split_at(begin.max(3).min(bytes.len()));
    let reading = Reading::default();
    let begun = Incoming::begin(name, bytes.len() as u64, first, &reading).expect("its size is good");
    let mut incoming = begun?;
    let mut pieces = std::iter::once(first).chain(rest.chunks(size)).peekable();
    while let Some(piece) = pieces.next() {
        match incoming.push(piece, pieces.peek().is_none()) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
    let read = incoming.finish(None, false).transpose()?;
    Some(read.map(|(rows, _)| rows))
}

/// Small files whose rows, quotes, line ends and letters go over the ends of pieces.
const GOOD: &[(&str, &str)] = &[
    ("a.csv", "text,label\nnaïve 🦜,1\n\"a, \"\"b\"\"\nc\",0\n\n   \nlast,1"),
    ("a.csv", "text,label\r\none,1\r\ntwo,0\r\nthree\rfour,1\r\n"),
    ("a.csv", "\u{feff}text;label\n\"\";1\n\"x\";\"0\"\n"),
    ("a.csv", "sep=;\ntext;label\none;1\ntwo;0\n"),
    ("a.csv", "text,label,note\none,1\ntwo,0,,,\n\"thr\n\n\nee\",1,x\n"),
    (
        "a.csv",
        "The parcel came too late.,bad\nAll was well this time.,good\nI am glad of it.,good\nIt broke.,bad\n",
    ),
    ("a.tsv", "text\tlabel\n\"one\"\t1\ntwo \"quoted\t0\n"),
    (
        "a.jsonl",
        "{\"text\": \"naïve 🦜\"}\n\n{\"Text\": \"two\", \"id\": 2}\r\n{\"text\": \"three\"}",
    ),
    (
        "a.jsonl",
        "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\nb\"}, {\"role\": \"assistant\", \"content\": \"c\"}]}\n",
    ),
];

/// Files with something wrong in them.
const BAD: &[(&str, &str)] = &[
    ("a.csv", "text,label\none,1\ntwo,0,more\n"),
    ("a.csv", "text,label\none,1\n\"two\" x,0\nthree,1\n"),
    ("a.csv", "text,label\none,1\ntwo,\"0\nthree,1\n"),
    ("a.csv", "text,label\n\"o\nn\ne\",1\ntwo,0,3,4\n"),
    ("a.csv", "prompt,completion\na,x\nb,\nc,z\n"),
    ("a.jsonl", "{\"text\": \"one\"}\n{\"text\": 2,}\n"),
    ("a.jsonl", "[\n{\"text\": \"one\"}\n]\n"),
    ("a.jsonl", "{\"text\": \"one\"}\n5\n"),
    ("a.jsonl", "{\"text\": \"one\", \"Text\": \"two\"}\n"),
];

#[test]
fn rows_do_not_depend_on_where_the_pieces_end() {
    for (name, text) in GOOD {
        let whole = Dataset::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        for size in 1..text.len() {
            let read = in_pieces(name, text.as_bytes(), size).expect("it is read as it comes");
            let read = read.unwrap_or_else(|error| panic!("{text:?} by {size}: {error}"));
            assert_eq!(read, whole, "{text:?} by {size}");
        }
    }
}

#[test]
fn errors_name_the_same_places() {
    for (name, text) in BAD {
        let whole = refusal(name, text.as_bytes()).to_string();
        for size in 1..text.len() {
            let read = in_pieces(name, text.as_bytes(), size).expect("it is read as it comes");
            let error = read.expect_err("it is refused");
            assert_eq!(error.to_string(), whole, "{text:?} by {size}");
        }
    }
}

#[test]
fn other_files_are_read_whole() {
    let utf16 = "text,label\none,1\n".encode_utf16().flat_map(u16::to_le_bytes);
    let western = [b"text,label\n".as_slice(), &b"x,1\n".repeat(40), b"caf\xe9,0\n"].concat();
    let with_nul = [b"text,label\n".as_slice(), &b"x,1\n".repeat(40), b"a\0b,0\n"].concat();
    for (name, bytes) in [
        ("a.txt", b"one\ntwo".to_vec()),
        ("a.json", b"[{\"text\": \"one\"}]".to_vec()),
        ("a.csv", b"1,2,3\n4,5,6\n".to_vec()),
        ("a.csv", utf16.collect()),
        ("a.csv", western),
        ("a.csv", with_nul),
        ("a.csv", b"%PDF-1.7\n".to_vec()),
        ("a.csv", b"text,label\n".to_vec()),
        ("a.csv", b"text,label\nx,1\nna\xc3".to_vec()),
        ("a.jsonl", b"\n \n".to_vec()),
    ] {
        assert!(in_pieces(name, &bytes, 5).is_none(), "{name}: {bytes:?}");
    }
}
