//! What a checkpoint promises: it is whole or it is not there, it is what was written, and it is this run's.

use lorakeet_core::{
    Error, Result,
    config::{RunConfig, SchedulerType, TokenIndices},
    formats::peft::Adapter,
    protocol::{DeviceChoice, Event},
    store::{LocalFuture, MemoryFile, MemorySink, Sink, Source, read_all},
    train::checkpoint::{self, Checkpoint},
};
use lorakeet_i18n::Message;
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, checkpoint as opened},
    tiny::{self, config},
};
use std::{cell::Cell, collections::BTreeMap, rc::Rc};

type Files = Vec<(String, Vec<u8>)>;

/// A change of a run's settings.
type Change = fn(&mut RunConfig);

/// Four steps, saved after the second and the fourth, whose best weights are not the last ones.
fn short() -> RunConfig {
    RunConfig {
        max_steps: 4,
        save_steps: 2.0,
        eval_steps: 1.0,
        learning_rate: 0.1,
        load_best_model_at_end: true,
        ..config()
    }
}

/// What a run of this seed leaves behind.
fn run(seed: u64) -> MemorySink {
    let sink = Rc::new(MemorySink::new());
    let mut session = TestSession::open();
    session.inner.sink = Some(sink.clone());
    session.train(RunConfig { seed, ..short() });
    assert!(session.summary().finished);
    drop(session);
    Rc::into_inner(sink).expect("the session is gone")
}

/// The files of a checkpoint, but for its manifest.
fn saved(sink: &MemorySink, step: usize) -> Files {
    let mut files = in_folder(sink, step);
    files.remove("manifest.json").expect("a manifest");
    files.into_iter().collect()
}

fn in_folder(sink: &MemorySink, step: usize) -> BTreeMap<String, Vec<u8>> {
    let folder = format!("checkpoint-{step}/");
    let files = sink.files().into_iter();
    let files = files.filter_map(|(path, bytes)| Some((path.strip_prefix(&folder)?.to_owned(), bytes)));
    files.collect()
}

fn open<'a>(files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Result<Checkpoint> {
    let files = files.into_iter();
    let sources: Vec<Source> = files
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect();
    block_on(Checkpoint::open(&sources))
}

/// A place that refuses the change after the next `left` ones: that one only, or from then on, as where the process ends.
struct Failing {
    place: MemorySink,
    left: Cell<usize>,
    stops: bool,
}

impl Failing {
    fn may(&self) -> bool {
        match (self.left.get(), self.stops) {
            (0, true) => false,
            (0, false) => {
                self.left.set(usize::MAX);
                false
            }
            (left, _) => {
                self.left.set(left - 1);
                true
            }
        }
    }
}

impl Sink for Failing {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        match self.may() {
            true => self.place.write(path, bytes),
            false => {
                Box::pin(
                    async move { Err(Error::io(Message::verbatim("cannot be written: the disk is full")).file(path)) },
                )
            }
        }
    }
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        self.place.folders()
    }
    /// A folder is removed file by file: what is broken off leaves the others.
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, Result<()>> {
        if self.may() {
            return self.place.remove_folder(path);
        }
        Box::pin(async move {
            let prefix = format!("{path}/");
            let files = self.place.files().into_iter();
            let files: Vec<_> = files.filter(|(file, _)| file.starts_with(&prefix)).collect();
            self.place.remove_folder(path).await?;
            for (file, bytes) in &files[1..] {
                self.place.write(file, bytes).await?;
            }
            Err(Error::io(Message::verbatim("cannot be removed")).file(path))
        })
    }
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, Result<()>> {
        match self.may() {
            true => self.place.rename_folder(from, to),
            false => Box::pin(async move { Err(Error::io(Message::verbatim("cannot be renamed")).file(from)) }),
        }
    }
}

#[test]
fn a_checkpoint_is_whole_or_the_older_one_or_not_there_wherever_it_breaks_off() {
    let (old, new) = (run(1), run(2));
    let (old, new) = (saved(&old, 4), saved(&new, 4));
    for (has_old, stops) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut breaks = 0;
        loop {
            let place = MemorySink::new();
            if has_old {
                block_on(checkpoint::write(&place, 4, &old)).expect("it is written");
            }
            let before = in_folder(&place, 4);
            let failing = Failing {
                place,
                left: Cell::new(breaks),
                stops,
            };
            let written = block_on(checkpoint::write(&failing, 4, &new));
            let found = in_folder(&failing.place, 4);
            let what = format!("with an older one: {has_old}, stopped: {stops}, after {breaks} changes");
            if written.is_ok() {
                let found = open(&found).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(found, open(&with_manifest(&new)).expect("it is whole"));
                break;
            }
            assert!(found.is_empty() || found == before, "{what}: {:?}", found.keys());
            assert_eq!(open(&found).is_ok(), !found.is_empty() && has_old, "{what}");
            if !stops {
                assert_eq!(found, before, "{what}: what failed once is undone");
            }
            block_on(checkpoint::sweep(&failing.place)).expect("it is swept");
            assert_eq!(
                in_folder(&failing.place, 4),
                before,
                "{what}: the older one is put back"
            );
            assert_eq!(
                block_on(failing.place.folders()).map(|folders| folders.len()),
                Ok(usize::from(has_old))
            );
            // The next one takes no harm from what is left, and takes it away.
            block_on(checkpoint::write(&failing.place, 4, &new)).expect("it is written");
            block_on(checkpoint::sweep(&failing.place)).expect("it is swept");
            assert_eq!(
                block_on(failing.place.folders()),
                Ok(vec!["checkpoint-4".to_owned()]),
                "{what}"
            );
            breaks += 1;
        }
        assert!(breaks > new.len(), "every file and every renaming was broken off once");
    }
}

fn with_manifest(files: &Files) -> BTreeMap<String, Vec<u8>> {
    let place = MemorySink::new();
    block_on(checkpoint::write(&place, 4, files)).expect("it is written");
    in_folder(&place, 4)
}

#[test]
fn a_checkpoint_that_is_being_removed_is_gone_at_once() {
    let files = saved(&run(1), 4);
    for breaks in 0..2 {
        let failing = Failing {
            place: MemorySink::new(),
            left: Cell::new(usize::MAX),
            stops: true,
        };
        block_on(checkpoint::write(&failing, 4, &files)).expect("it is written");
        failing.left.set(breaks);
        block_on(checkpoint::remove(&failing, 4)).expect_err("it was broken off");
        let found = in_folder(&failing.place, 4);
        assert!(
            found.is_empty() || open(&found).is_ok(),
            "after {breaks} changes: {:?}",
            found.keys()
        );
        block_on(checkpoint::sweep(&failing.place)).expect("it is swept");
    }
}

#[test]
fn a_file_that_is_missing_or_cut_off_or_has_a_flipped_bit_is_named() {
    let sink = run(1);
    let whole = in_folder(&sink, 4);
    assert!(
        open(&whole).is_ok() && whole.contains_key("best.safetensors"),
        "{:?}",
        whole.keys()
    );
    let named = |files: &BTreeMap<String, Vec<u8>>, name: &str, what: &str| {
        let error = open(files).expect_err(what);
        assert_eq!(error.file.as_deref(), Some(name), "{what}: {error}");
        assert!(error.remedy.is_some(), "{error}");
    };
    for (name, bytes) in &whole {
        let mut files = whole.clone();
        files.remove(name);
        named(&files, name, "a missing file");
        files.insert(name.clone(), bytes[..bytes.len() - 1].to_vec());
        named(&files, name, "a file without its last byte");
        files.insert(name.clone(), [bytes.as_slice(), b"\n"].concat());
        named(&files, name, "a file with a byte too many");
        // Every byte of a short file; of a long one some everywhere.
        for place in (0..bytes.len()).step_by((bytes.len() / 300).max(1)) {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1 << (place % 8);
            files.insert(name.clone(), flipped);
            named(&files, name, &format!("a flipped bit in byte {place} of {name}"));
        }
    }
    // Not even a manifest that agrees makes a checkpoint of less than that.
    for name in ["best.safetensors", "optimizer.safetensors", "trainer_state.json"] {
        let files = saved(&sink, 4).into_iter().filter(|(file, _)| file != name);
        named(&with_manifest(&files.collect()), name, "a file that was not written");
    }
}

/// The tiny model with a tensor that is too large for three pieces of it to be all of it, filled with one byte but for one place.
fn with_large_tensor(other: Option<usize>) -> Vec<Source> {
    const LENGTH: usize = 1 << 16;
    let files = tiny::model_files().into_iter().map(|file| {
        let bytes = block_on(read_all(file.as_ref(), u64::MAX)).expect("it is read");
        if file.name() != "model.safetensors" {
            return MemoryFile::source(file.name(), bytes);
        }
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("a length")) as usize;
        let mut header: serde_json::Value = serde_json::from_slice(&bytes[8..start]).expect("a header");
        let end = bytes.len() - start;
        header["extra.weight"] =
            serde_json::json!({ "dtype": "F32", "shape": [LENGTH / 4], "data_offsets": [end, end + LENGTH] });
        let header = header.to_string();
        let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
        let mut extra = vec![0; LENGTH];
        if let Some(place) = other {
            extra[place] = 1;
        }
        let length = (header.len() as u64).to_le_bytes();
        let parts = [length.as_slice(), header.as_bytes(), &bytes[start..], &extra];
        MemoryFile::source(file.name(), parts.concat())
    });
    files.collect()
}

#[test]
fn every_weight_tells_a_model_from_another_and_of_a_large_one_a_sample_that_says_so() {
    let opened_with = |most: u64, other| {
        let mut session = TestSession::with(DeviceChoice::Cpu, with_large_tensor(other), tiny::data_file());
        session.inner.most_whole_bytes = most;
        session
    };
    for (most, is_whole) in [(u64::MAX, true), (1 << 16, false)] {
        let sink = Rc::new(MemorySink::new());
        let mut session = opened_with(most, None);
        session.inner.sink = Some(sink.clone());
        session.train(short());
        let state = String::from_utf8(sink.files()["checkpoint-2/trainer_state.json"].clone()).expect("text");
        assert_eq!(state.contains("\"sampled:"), !is_whole, "{state}");
        // Neither the length nor the place is one that three pieces show. What is looked at is what was looked at before.
        let other = goes_on(&sink, opened_with(u64::MAX, Some(5000)), short());
        match is_whole {
            true => {
                let text = refusal(&other).what.english();
                assert!(text.contains("not the one that the run began with"), "{text}");
            }
            false => assert!(other.summary().finished),
        }
        let same = goes_on(&sink, opened_with(most, None), short());
        assert!(same.summary().finished);
    }
}

/// Goes on from a checkpoint of [`short`] after two steps.
fn goes_on(sink: &MemorySink, mut session: TestSession, config: RunConfig) -> TestSession {
    session.inner.resume = Some(opened(sink, 2));
    session.train(config);
    session
}

fn refusal(session: &TestSession) -> Error {
    match session.events.last() {
        Some(Event::Failed(error)) => error.clone(),
        other => panic!("the run went on: {other:?}"),
    }
}

#[test]
fn another_run_than_the_one_that_wrote_a_checkpoint_is_refused_by_the_names_of_what_differs() {
    let sink = run(1);
    let same = || RunConfig { seed: 1, ..short() };
    let table: [(&str, Change); 21] = [
        ("learning_rate was 0.1, is 0.05", |config| config.learning_rate = 0.05),
        ("seed was 1, is 2", |config| config.seed = 2),
        ("data_seed was not given, is 5", |config| config.data_seed = Some(5)),
        ("lora_alpha was 16, is 9", |config| config.lora_alpha = 9.0),
        ("lora_r was", |config| config.lora_r = 5),
        ("lora_dropout was", |config| config.lora_dropout = 0.33),
        ("per_device_train_batch_size was", |config| {
            config.per_device_train_batch_size = 3
        }),
        ("gradient_accumulation_steps was", |config| {
            config.gradient_accumulation_steps = 5
        }),
        ("cutoff_len was", |config| config.cutoff_len = 17),
        ("lr_scheduler_type was", |config| {
            config.lr_scheduler_type = SchedulerType::InverseSqrt
        }),
        ("warmup_ratio was", |config| config.warmup_ratio = 0.77),
        ("weight_decay was", |config| config.weight_decay = 0.33),
        ("val_size was", |config| config.val_size = 5.0),
        ("max_grad_norm was", |config| config.max_grad_norm = 0.77),
        ("adam_beta2 was", |config| config.adam_beta2 = 0.77),
        ("metric_for_best_model was not given", |config| {
            config.metric_for_best_model = Some("token_accuracy".into());
        }),
        ("mask_personal was", |config| {
            config.mask_personal = vec!["email_addresses".into()]
        }),
        ("header was not given", |config| config.header = Some(true)),
        ("completion_column was not given", |config| {
            config.completion_column = Some("completion".into());
        }),
        ("enable_thinking was not given", |config| {
            config.enable_thinking = Some(false)
        }),
        ("trainable_token_indices was not given", |config| {
            config.trainable_token_indices = Some(TokenIndices::List(vec![1]));
        }),
    ];
    for (difference, change) in table {
        let mut config = same();
        change(&mut config);
        let error = refusal(&goes_on(&sink, TestSession::open(), config));
        assert!(
            error.what.english().contains(difference) && error.remedy.is_some(),
            "{difference}: {error}"
        );
        assert!(!error.what.english().contains(';'), "one thing differs: {error}");
    }
    let mut config = same();
    (config.seed, config.learning_rate) = (3, 0.2);
    let error = refusal(&goes_on(&sink, TestSession::open(), config)).to_string();
    assert!(
        error.contains("learning_rate was 0.1, is 0.2; seed was 1, is 3"),
        "{error}"
    );

    // Files that changed under their names.
    let with = |model: Vec<Source>, data: Source| TestSession::with(DeviceChoice::Cpu, model, data);
    let read = |source: &Source| block_on(read_all(source.as_ref(), u64::MAX)).expect("it is read");
    let changed = |name: &str, change: fn(&mut Vec<u8>)| {
        let files = tiny::model_files().into_iter();
        let files = files.map(|file| {
            let mut bytes = read(&file);
            if file.name() == name {
                change(&mut bytes);
            }
            MemoryFile::source(file.name(), bytes)
        });
        files.collect::<Vec<_>>()
    };
    let error = refusal(&goes_on(
        &sink,
        with(
            changed("model.safetensors", |bytes| *bytes.last_mut().expect("weights") ^= 1),
            tiny::data_file(),
        ),
        same(),
    ));
    assert!(
        error
            .what
            .english()
            .contains("model_name_or_path names a model with other weights"),
        "{error}"
    );
    let theta = changed("config.json", |bytes| {
        let text = String::from_utf8(bytes.clone()).expect("text");
        *bytes = text.replace("10000.0", "20000.0").into_bytes();
    });
    let error = refusal(&goes_on(&sink, with(theta, tiny::data_file()), same()));
    assert!(error.what.english().contains("model_name_or_path"), "{error}");
    let mut rows = read(&tiny::data_file());
    let letter = rows.iter().rposition(u8::is_ascii_lowercase).expect("a letter");
    rows[letter] = if rows[letter] == b'a' { b'b' } else { b'a' };
    let data = MemoryFile::source(tiny::data_file().name(), rows);
    let error = refusal(&goes_on(&sink, with(tiny::model_files(), data), same()));
    let text = error.what.english();
    assert!(
        text.contains("train_file holds other data") && text.contains("row 24 differs"),
        "{error}"
    );
    let error = refusal(&goes_on(&sink, with(tiny::model_files(), tiny::rows(20)), same()));
    assert!(error.what.english().contains("20 rows in place of 24"), "{error}");
    let mut session = TestSession::open();
    block_on(session.inner.load_validation(vec![tiny::data_file()])).expect("it is read");
    let error = refusal(&goes_on(&sink, session, same()));
    assert!(
        error.what.english().contains("validation_file was not given"),
        "{error}"
    );
    let mut session = TestSession::open();
    let adapter = in_folder(&sink, 4).into_iter();
    let adapter = adapter.map(|(name, bytes)| MemoryFile::source(name, bytes)).collect();
    let adapter = block_on(Adapter::open(adapter)).expect("an adapter");
    session.inner.load_adapter(adapter).expect("it fits");
    let error = refusal(&goes_on(&sink, session, same()));
    assert!(
        error.what.english().contains("adapter_name_or_path was not given"),
        "{error}"
    );
}

/// What was said that the engine did otherwise.
fn notes(session: &TestSession) -> Vec<String> {
    let notes = session.events.iter().filter_map(|event| match event {
        Event::Warning { message } => Some(message.english()),
        _ => None,
    });
    notes.collect()
}

#[test]
fn what_changes_no_step_may_change_and_is_said() {
    let sink = run(1);
    let same = RunConfig { seed: 1, ..short() };
    let said = |session: &TestSession| notes(session).into_iter().find(|note| note.contains("was written"));
    let session = goes_on(&sink, TestSession::open(), same.clone());
    assert!(session.summary().finished && session.steps().len() == 2);
    assert_eq!(said(&session), None);
    let changed = RunConfig {
        // It is not asked for where max_steps is given.
        num_train_epochs: 9.0,
        save_steps: 0.0,
        eval_steps: 3.0,
        save_total_limit: Some(1),
        output_dir: "elsewhere".into(),
        ..same
    };
    let other = goes_on(&sink, TestSession::open(), changed);
    assert_eq!(other.numbers(), session.numbers());
    let said = said(&other).expect("it is said");
    for difference in [
        "eval_steps was 1, is 3",
        "save_steps was 2, is 0",
        "save_total_limit was not given, is 1",
    ] {
        assert!(said.contains(difference), "{difference}: {said}");
    }
    assert!(!said.contains("output_dir") && !said.contains("epochs"), "{said}");
}

#[test]
fn a_run_gets_longer_only_where_its_schedule_does_not_follow_its_length() {
    let with = |kind, max_steps| RunConfig {
        seed: 1,
        lr_scheduler_type: kind,
        // Else the two steps that are done are those of the warm-up, which is as long in both.
        warmup_ratio: 0.0,
        max_steps,
        ..short()
    };
    let saved = |kind, max_steps| {
        let sink = Rc::new(MemorySink::new());
        let mut session = TestSession::open();
        session.inner.sink = Some(sink.clone());
        session.train(with(kind, max_steps));
        (session, sink)
    };
    let (whole, _) = saved(SchedulerType::Constant, 6);
    let (_, sink) = saved(SchedulerType::Constant, 4);
    let longer = goes_on(&sink, TestSession::open(), with(SchedulerType::Constant, 6));
    assert_eq!(
        longer.numbers(),
        whole.numbers()[2..],
        "as if it had been so long from the beginning"
    );
    assert!(
        notes(&longer).iter().any(|note| note.contains("had 4 when")),
        "{:?}",
        notes(&longer)
    );
    let shorter = goes_on(&sink, TestSession::open(), with(SchedulerType::Constant, 3));
    assert_eq!(shorter.summary().steps, 3);
    let error = refusal(&goes_on(&sink, TestSession::open(), with(SchedulerType::Constant, 1)));
    assert!(error.what.english().contains("has done 2 steps"), "{error}");

    let (_, sink) = saved(SchedulerType::Cosine, 4);
    for max_steps in [3, 6] {
        let error = refusal(&goes_on(
            &sink,
            TestSession::open(),
            with(SchedulerType::Cosine, max_steps),
        ));
        let text = error.to_string();
        assert!(
            text.contains(&format!("{max_steps} steps instead of 4")) && text.contains("cosine"),
            "{text}"
        );
        assert!(
            text.contains("Set it back to 4 steps") && text.contains("adapter_name_or_path"),
            "{text}"
        );
        assert_eq!(error.field_name(), Some("max_steps"));
    }
    let by_epochs = RunConfig {
        num_train_epochs: 50.0,
        ..with(SchedulerType::Cosine, -1)
    };
    let error = refusal(&goes_on(&sink, TestSession::open(), by_epochs));
    assert_eq!(error.field_name(), Some("num_train_epochs"), "{error}");
}
