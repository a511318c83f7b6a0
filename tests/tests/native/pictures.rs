//! Pictures that explain: each against what it is made from, computed plainly here; what cannot be drawn is refused by name;
//! drawing changes nothing of a run.

mod functions;
mod refusals;
mod texts;
mod watched;
mod weights;

use lorakeet_core::{
    formats::{ModelFiles, peft::Adapter},
    models::Model,
    protocol::Command,
    store::{MemoryFile, Source},
};
use lorakeet_tests::{golden::block_on, test_session::TestSession, tiny};
use std::collections::BTreeMap;

/// The tiny model's files, opened.
fn tiny_files() -> ModelFiles {
    block_on(ModelFiles::open(tiny::model_files())).expect("a model")
}

/// A tensor of the tiny model's file.
fn tiny_tensor(name: &str) -> Vec<f32> {
    block_on(tiny_files().read_f32(name)).expect("it has it").1
}

/// What a session hands over, by name and as files.
fn exported(session: &mut TestSession) -> Vec<Source> {
    session.exported.clear();
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter();
    files
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect()
}

/// The adapter that a session trained.
fn adapter_of(session: &mut TestSession) -> Adapter {
    block_on(Adapter::open(exported(session))).expect("PEFT's two files")
}

/// All weights that a full training ended with.
fn weights_of(session: &mut TestSession) -> BTreeMap<String, Vec<f32>> {
    let files = block_on(ModelFiles::open(exported(session))).expect("a model");
    let names = files.entries().iter().map(|entry| entry.name.clone());
    names
        .map(|name| {
            let values = block_on(files.read_f32(&name)).expect("it is there").1;
            (name, values)
        })
        .collect()
}

/// A model of these files on the CPU, every weight of it trained where `full`.
fn model_of(files: &ModelFiles, full: bool) -> Model {
    let device = burn::tensor::Device::flex();
    block_on(Model::load(files, full, 0, &device, &mut |_, _| ())).expect("a model")
}
