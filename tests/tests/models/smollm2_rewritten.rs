//! SmolLM2-135M-Instruct's GGUF file (LORAKEET_SMOLLM2) written anew in other formats, as the bench of quality loads it.

use lorakeet_core::{
    formats::{ModelFiles, Storage, blocks::decode, gguf::read_header},
    store::{DiskFile, MemoryFile, Source},
};
use lorakeet_tests::{
    ggml::{encode, rewrite},
    golden::block_on,
};

fn file() -> Source {
    let path = std::env::var_os("LORAKEET_SMOLLM2").expect("LORAKEET_SMOLLM2 names the GGUF file");
    DiskFile::source(path).expect("the file is there")
}

fn bytes(file: &Source) -> Vec<u8> {
    block_on(file.read_at(0, file.len_bytes() as usize)).expect("the file can be read")
}

/// llama.cpp wrote the blocks of the file, and the encoders find them again from their numbers.
#[test]
fn written_anew_in_its_own_formats_it_is_the_same_file() {
    let file = file();
    let original = bytes(&file);
    for storage in [Storage::Q4_1, Storage::Q8_0] {
        let again = rewrite(&file, storage, storage).expect("it can be written");
        assert_eq!(again.len(), original.len());
        let differ = again.iter().zip(&original).filter(|(a, b)| a != b).count();
        assert_eq!(differ, 0, "{storage}: bytes that differ");
    }
}

#[test]
fn written_anew_in_another_format_it_opens_as_the_same_model() {
    let file = file();
    let header = block_on(read_header(&file)).expect("a header");
    let old = block_on(ModelFiles::open(vec![file.clone()])).expect("the file opens");
    for storage in [Storage::F16, Storage::Q5_0] {
        let rewritten = rewrite(&file, Storage::Q4_1, storage).expect("it can be written");
        let rewritten = MemoryFile::source(file.name(), rewritten);
        assert_eq!(
            block_on(read_header(&rewritten)).expect("a header").metadata,
            header.metadata
        );
        let new = block_on(ModelFiles::open(vec![rewritten])).expect("it opens");
        assert_eq!((&new.name, &new.config), (&old.name, &old.config));
        let text = "Parakeets are small slender parrots. 1, 2!";
        let tokens = |files: &ModelFiles| {
            let tokenizer = files.tokenizer.as_ref().expect("a tokenizer");
            tokenizer.encode(text, true).expect("the text encodes")
        };
        assert_eq!(tokens(&new), tokens(&old));
        for (new, old) in new.entries().iter().zip(old.entries()) {
            let wanted = if old.storage == Storage::Q4_1 {
                storage
            } else {
                old.storage
            };
            assert_eq!((&new.name, &new.shape, new.storage), (&old.name, &old.shape, wanted));
        }
        let name = "model.layers.29.mlp.down_proj.weight";
        let numbers = |files: &ModelFiles| block_on(files.read_f32(name)).expect("numbers").1;
        let rounded = decode(storage, &encode(storage, &numbers(&old)).expect("blocks")).expect("blocks");
        assert_eq!(numbers(&new), rounded, "{storage}");
    }
}
