//! What reading a file takes, whatever its shape: memory goes by its rows and fields, and those are counted. Each in a process
//! of its own, whose largest size the system keeps.

use lorakeet_core::data::{Dataset, Settings, examples};
use lorakeet_core::store::read_all;
use lorakeet_core::tokenizer::Tokenizer;
use lorakeet_tests::{alone::alone, golden::block_on, memory, tiny};

/// What `work` adds to the most that this process ever took; `None` where the system does not tell.
fn peak_of(work: impl FnOnce()) -> Option<u64> {
    let before = memory::peak_bytes(std::process::id());
    work();
    Some(memory::peak_bytes(std::process::id())?.saturating_sub(before?))
}

fn hold(name: &str, file: String, most: u64) {
    let taken = peak_of(|| {
        let read = Dataset::parse(name, file.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
        assert!(read.info().rows > 0);
    });
    let taken = taken.unwrap_or(0);
    assert!(
        taken <= most,
        "{name}: {} MB for a file of {} kB",
        taken >> 20,
        file.len() >> 10
    );
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
        let settings = Settings {
            cutoff_len: 1000,
            packing: true,
            completion_only_loss: false,
            add_eos: false,
        };
        let data = Dataset::parse("a.txt", "a".repeat(LETTERS).as_bytes()).expect("a text");
        let taken = peak_of(|| {
            let made = examples(&data, &tokenizer, None, &settings, &mut |_, _| ()).expect("examples");
            assert_eq!(made.items.len(), LETTERS / 1000, "no token is lost at a seam");
        });
        assert!(taken.unwrap_or(0) <= 200 << 20, "{taken:?}");
    });
}
