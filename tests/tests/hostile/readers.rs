//! Every reader alone on broken copies of small files, and the targets of `fuzz/`, which run the same readers.

use crate::broken::{End, Files, refusals};
use lorakeet_tests::mutations::Mutations;
use lorakeet_tests::reader_seeds::seeds;
use lorakeet_tests::readers::READERS;
use std::fs;
use std::path::Path;

#[test]
fn every_reader_takes_sound_files_and_survives_broken_ones() {
    for reader in READERS {
        let mut refused = 0;
        for (number, seed) in seeds(reader.name).into_iter().enumerate() {
            let sound = Files::from([("file".to_owned(), seed)]);
            let breaks = |files: &mut Files, mutations: &mut Mutations| {
                let file = files.get_mut("file").expect("the file");
                *file = mutations.of(file);
            };
            let name = format!("{} {number}", reader.name);
            refused += refusals(&name, &sound, breaks, |files| match (reader.read)(&files["file"]) {
                true => End::Read,
                false => End::Refused(String::new()),
            });
        }
        assert!(refused > 0, "{}: nothing was refused; is anything broken?", reader.name);
    }
}

#[test]
fn every_reader_has_its_target_for_libfuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("it is in the repository");
    let entries = fs::read_dir(folder.join("fuzz_targets")).expect("it is in the repository");
    let mut there: Vec<String> = entries
        .map(|entry| entry.expect("it is listed").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort_unstable();
    let mut wanted: Vec<String> = READERS.iter().map(|reader| format!("{}.rs", reader.name)).collect();
    wanted.sort_unstable();
    assert_eq!(there, wanted);
    for reader in READERS {
        let name = reader.name;
        let path = format!("fuzz_targets/{name}.rs");
        let target = fs::read_to_string(folder.join(&path)).expect("it is there");
        assert!(target.contains(&format!("readers::{name}(bytes)")), "{target}");
        let entry = format!("name = \"{name}\"\npath = \"{path}\"");
        assert!(manifest.contains(&entry), "fuzz/Cargo.toml lacks {name}");
    }
}
