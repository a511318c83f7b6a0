//! What reading a file takes, whatever its shape: memory goes by its rows and fields, and those are counted. What is measured
//! is in a process of its own, whose largest size the system keeps.

use lorakeet_core::data::{Dataset, Settings};
use lorakeet_core::error::{Error, Kind};
use lorakeet_core::protocol::{Command, Event, Stage};
use lorakeet_core::store::{LocalFuture, ReadAt, Source, read_all};
use lorakeet_core::tokenizer::Tokenizer;
use lorakeet_tests::test_session::{TestSession, examples, failure};
use lorakeet_tests::{alone::alone, golden::block_on, memory, tiny};
use std::cell::Cell;
use std::rc::Rc;

/// What `work` adds to the most that this process ever took; `None` where the system does not tell.
fn peak_of(work: impl FnOnce()) -> Option<u64> {
    let before = memory::peak_bytes(std::process::id());
    work();
    Some(memory::peak_bytes(std::process::id())?.saturating_sub(before?))
}

/// What a process takes besides, as its allocator likes.
const ALLOWANCE_BYTES: u64 = 16 << 20;

fn hold(name: &str, file: String, most: u64) {
    let taken = peak_of(|| {
        let read = Dataset::parse(name, file.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!(read.info().rows > 0);
    });
    let taken = taken.unwrap_or(0);
    assert!(
        taken <= most + ALLOWANCE_BYTES,
        "{name}: {} MB for a file of {} kB",
        taken >> 20,
        file.len() >> 10
    );
}

fn settings(cutoff_len: usize) -> Settings {
    Settings {
        cutoff_len,
        packing: true,
        max_samples: None,
        completion_only_loss: false,
        add_eos: false,
    }
}

fn refused(name: &str, bytes: &[u8]) -> Error {
    let error = Dataset::parse(name, bytes).expect_err("the file should be refused");
    assert!(error.remedy.is_some(), "{error}");
    error
}

#[test]
fn short_rows_of_a_table_take_a_hundred_bytes_a_field() {
    alone(|| hold("a.csv", format!("a,b\n{}", "1,2\n".repeat(400_000)), 4 * 400_000 * 100));
}

#[test]
fn short_lines_of_json_take_a_hundred_bytes_a_field() {
    alone(|| hold("a.jsonl", "{\"text\":\"a\"}\n".repeat(400_000), 3 * 400_000 * 100));
}

#[test]
fn a_text_without_blanks_is_tokenized_piece_by_piece() {
    alone(|| {
        let files = tiny::model_files();
        let tokenizer = files
            .iter()
            .find(|file| file.name() == "tokenizer.json")
            .expect("a tokenizer");
        let bytes = block_on(read_all(tokenizer.as_ref(), 1 << 20)).expect("a file");
        let tokenizer = Tokenizer::from_json(&bytes).expect("a tokenizer");
        const LETTERS: usize = 3_000_000;
        let settings = settings(1000);
        let data = Dataset::parse("a.txt", "a".repeat(LETTERS).as_bytes()).expect("a text");
        let taken = peak_of(|| {
            let made = examples(&data, &tokenizer, &settings).expect("examples");
            assert_eq!(made.items.len(), LETTERS / 1000, "no token is lost at a seam");
        });
        assert!(taken.unwrap_or(0) <= 200 << 20, "{taken:?}");
    });
}

#[test]
fn more_fields_than_fit_into_memory_are_refused_with_the_row() {
    // Eight million, of which a row has two and counts as two more.
    let csv = format!("a,b\n{}", "1,2\n".repeat(2_000_000));
    let error = refused("a.csv", csv.as_bytes());
    assert!(error.row.is_some_and(|row| row > 1_900_000), "{error}");
    assert!(error.what.english().contains("8 million"), "{error}");
    let values = format!("[{}0]", "0,".repeat(9_000_000));
    for (name, file) in [
        ("a.jsonl", "{}\n".repeat(3_000_000)),
        ("a.json", format!("[{}{{}}]", "{},".repeat(9_000_000))),
        ("a.jsonl", format!("{{\"text\": {values}}}\n")),
    ] {
        let error = refused(name, file.as_bytes());
        assert!(
            error.what.english().contains("8 million") && error.row.is_some(),
            "{error}"
        );
    }
    let images = [
        &[0, 0, 8, 3][..],
        &3_000_000_u32.to_be_bytes(),
        &[0, 0, 0, 1, 0, 0, 0, 1],
        &vec![7; 3_000_000],
    ]
    .concat();
    assert!(
        refused("images-idx3-ubyte", &images)
            .what
            .english()
            .contains("8 million")
    );
}

#[test]
fn a_text_that_a_tokenizer_allows_no_cut_in_is_cut_with_a_note() {
    // A tokenizer that puts a mark in front of whatever it is given: two pieces have one mark more than the whole.
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": { "type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true },
        "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "vocab": { "a": 0, "▁": 1 }, "merges": [] },
    });
    let tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).expect("it is read");
    let letters = 3 << 20;
    let data = Dataset::parse("a.txt", "a".repeat(letters).as_bytes()).expect("it is read");
    let settings = settings(8);
    let made = examples(&data, &tokenizer, &settings).expect("it is read");
    let tokens: usize = made.items.iter().map(|example| example.input_ids.len()).sum();
    assert_eq!(
        tokens, letters,
        "with the marks of both pieces in front, two are left over"
    );
    let note = made
        .notes
        .iter()
        .find(|note| note.english().contains("2 MB at most: 1."));
    assert!(note.is_some(), "{:?}", made.notes);
}

/// A file of rows that are made where they are read, so that nothing but its reader holds them.
struct Made {
    name: &'static str,
    row: fn(u64) -> String,
    rows: u64,
    /// Bytes that were read of it.
    read: Cell<u64>,
}

/// What goes before the rows, and is as long as one.
fn header(row: fn(u64) -> String) -> String {
    let blanks = row(0).len() - "text,label\n".len();
    format!("text{},label\n", " ".repeat(blanks))
}

impl Made {
    fn of(name: &'static str, megabytes: u64, row: fn(u64) -> String) -> Rc<Self> {
        Rc::new(Self {
            name,
            row,
            rows: (megabytes << 20) / row(0).len() as u64,
            read: Cell::new(0),
        })
    }
}

impl ReadAt for Made {
    fn name(&self) -> &str {
        self.name
    }

    fn len_bytes(&self) -> u64 {
        self.rows * (self.row)(0).len() as u64
    }

    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, lorakeet_core::Result<Vec<u8>>> {
        let width = (self.row)(0).len() as u64;
        self.read.set(self.read.get() + len as u64);
        let (first, skipped) = (offset / width, (offset % width) as usize);
        let mut bytes = Vec::with_capacity(len + 2 * width as usize);
        for number in first.. {
            if bytes.len() >= len + skipped {
                break;
            }
            let row = match number {
                0 if self.name.ends_with(".csv") => header(self.row),
                number => (self.row)(number),
            };
            bytes.extend_from_slice(row.as_bytes());
        }
        bytes.drain(..skipped);
        bytes.truncate(len);
        Box::pin(std::future::ready(Ok(bytes)))
    }
}

/// Words that no other row has, always as many letters.
fn words(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letters = (0..60).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        format!("{:05x} ", state >> 44)
    });
    letters.collect()
}

fn line_of_table(number: u64) -> String {
    format!("{},{}\n", words(number), number % 2)
}

fn line_of_json(number: u64) -> String {
    format!("{{\"text\": \"{}\"}}\n", words(number))
}

fn load(name: &str) -> Command {
    Command::LoadData { file: name.to_owned() }
}

/// Loads a file of 20 MB, which is read once, and has it audited, for which it is neither read again nor held twice.
fn load_and_audit(name: &'static str, row: fn(u64) -> String) {
    const MEGABYTES: u64 = 20;
    let file = Made::of(name, MEGABYTES, row);
    let mut session = TestSession::empty();
    let taken = peak_of(|| session.ask(load(name), vec![file.clone() as Source]));
    let Some(Event::Data(info)) = session.events.last() else {
        panic!("{:?}", session.events.last());
    };
    let header = u64::from(name.ends_with(".csv"));
    assert_eq!(info.rows as u64, file.rows - header);
    let most = file.len_bytes() * 22 / 10 + ALLOWANCE_BYTES;
    assert!(taken.unwrap_or(0) <= most, "{name}: {taken:?} of {most}");
    assert_eq!(file.read.get(), file.len_bytes(), "it is read once");
    let config = Box::default();
    session.ask(Command::Audit { config }, Vec::new());
    let last = session.events.last();
    assert!(matches!(last, Some(Event::Audit(_))), "{last:?}");
    assert_eq!(file.read.get(), file.len_bytes(), "an audit reads it again");
}

#[test]
fn a_table_that_comes_in_pieces_takes_little_more_than_its_text() {
    alone(|| load_and_audit("a.csv", line_of_table));
}

#[test]
fn lines_of_json_that_come_in_pieces_take_little_more_than_their_text() {
    alone(|| load_and_audit("a.jsonl", line_of_json));
}

#[test]
fn reading_says_how_far_it_is_and_can_be_ended() {
    let file = Made::of("a.jsonl", 10, line_of_json);
    let mut session = TestSession::empty();
    let mut heard = Vec::new();
    session.ask_and(load("a.jsonl"), vec![file.clone() as Source], &mut |event, _| {
        if let Event::Progress { stage, done, total } = event {
            heard.push((*stage, *done, *total));
        }
    });
    let total = file.len_bytes();
    let wanted = [1, 2].map(|piece| (Stage::ReadData, piece * (4 << 20), total));
    assert_eq!(heard, wanted);
    assert!(matches!(session.events.last(), Some(Event::Data(_))));

    session.ask_and(load("a.jsonl"), vec![file.clone() as Source], &mut |event, control| {
        if let Event::Progress { .. } = event {
            control.cancel_reading();
        }
    });
    assert_eq!(failure(&session).kind, Kind::Stopped);
    // That was for this reading alone, of which no rows are left.
    session.ask(Command::Audit { config: Box::default() }, Vec::new());
    assert!(
        matches!(session.events.last(), Some(Event::Audit(_))),
        "{:?}",
        session.events.last()
    );
    session.ask(load("a.jsonl"), vec![file as Source]);
    assert!(matches!(session.events.last(), Some(Event::Data(_))));
}
