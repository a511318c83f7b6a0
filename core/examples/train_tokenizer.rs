//! Trains the bundled model's tokenizer: `train_tokenizer OUT.json FILE…` on the texts of the data files.
//!
//! Byte-level BPE with GPT-2's way of cutting words, every digit alone (verse numbers), and `<|endoftext|>` as token 0.
//! The same files give the same tokenizer. Also prints how many tokens each file has.

use lorakeet_core::data::{Content, Dataset};
use std::error::Error;
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

/// V of the bundled model: large enough for Austen's words, small enough that the embeddings stay a quarter of it.
const VOCABULARY: usize = 3072;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("usage: train_tokenizer OUT.json FILE…")?;
    let files: Vec<String> = arguments.collect();
    let mut texts = Vec::new();
    for file in &files {
        let data = Dataset::parse(file, &std::fs::read(file)?)?;
        texts.push(
            data.rows
                .into_iter()
                .map(|row| text(row.content))
                .collect::<Vec<String>>(),
        );
    }
    let mut tokenizer = Tokenizer::new(BPE::default());
    let cuts: Vec<PreTokenizerWrapper> = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
    tokenizer.with_pre_tokenizer(Some(Sequence::new(cuts)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    let trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from("<|endoftext|>", true)])
        .show_progress(false)
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts.iter().flatten())?;
    tokenizer.save(&out, false)?;
    for (file, texts) in files.iter().zip(&texts) {
        let mut tokens = 0;
        for text in texts {
            tokens += tokenizer.encode_fast(text.as_str(), false)?.len();
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        println!(
            "{file}: {bytes} bytes, {tokens} tokens, {:.2} bytes a token",
            bytes as f64 / tokens as f64
        );
    }
    Ok(())
}

fn text(content: Content) -> String {
    match content {
        Content::Text(text) => text.into(),
        Content::PromptCompletion { prompt, completion } => format!("{prompt}{completion}"),
        Content::Messages(talk) => (0..talk.messages.len())
            .map(|message| talk.text(message) + "\n")
            .collect(),
        Content::Instruction(row) => format!("{}\n{}\n{}", row.instruction, row.input, row.output),
    }
}
