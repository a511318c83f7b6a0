//! Models from a hub, fetched over HTTP from one that speaks huggingface.co's protocol: what comes is what the hub has, nothing is
//! fetched twice but the piece that was cut off, and each refusal is told with its way out.
//! One file of 695 lines, because its tests share a hub, a client and a place for what they fetch.

use lorakeet_core::config::RunConfig;
use lorakeet_core::error::{Error, Kind, Result};
use lorakeet_core::host::{Control, Emit};
use lorakeet_core::hub::cache::{self, CachePlace};
use lorakeet_core::hub::native::NativeFetch;
use lorakeet_core::hub::{Hub, HubId, MemoryPlace, Pieces, Place, Repository, choose, download};
use lorakeet_core::protocol::{
    Command, DeviceChoice, Event, ExportCommand, ExportEvent, ExportForm, HubCommand, HubEvent, HubListing, HubSource,
    HubToken, StoredModel,
};
use lorakeet_core::store::{Shelf, Source};
use lorakeet_tests::fake_hub::{FakeHub, Faults};
use lorakeet_tests::golden::block_on;
use lorakeet_tests::memory_shelf::{Disk, MemoryShelf};
use lorakeet_tests::test_session::{HOST, TestSession, failure, find};
use lorakeet_tests::tiny::{self, config};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

const ID: &str = "lorakeet/tiny";
const WEIGHTS: &str = "model.safetensors";
/// What a piece has in these tests; the tiny model's weights are some of them.
const PIECE: u64 = 10_000;
/// More than settings and a header have.
const HEADER_BYTES: u64 = 32_000;

fn bytes_of(source: &Source) -> Vec<u8> {
    block_on(source.read_at(0, source.len_bytes() as usize)).expect("it is in memory")
}

/// The tiny model's files by name.
fn model() -> BTreeMap<String, Vec<u8>> {
    let file = |source: &Source| (source.name().to_owned(), bytes_of(source));
    tiny::model_files().iter().map(file).collect()
}

fn publish(hub: &FakeHub, id: &str, files: &BTreeMap<String, Vec<u8>>) -> String {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    hub.publish(id, &files)
}

/// A hub with the tiny model, and what else there is beside such files.
fn with_tiny() -> (FakeHub, BTreeMap<String, Vec<u8>>) {
    let hub = FakeHub::start().expect("there is a port");
    let mut files = model();
    files.insert("README.md".to_owned(), b"# Tiny".to_vec());
    files.insert("pytorch_model.bin".to_owned(), vec![1; 1000]);
    files.insert("onnx/model.safetensors".to_owned(), vec![2; 1000]);
    publish(&hub, ID, &files);
    (hub, files)
}

fn source(hub: &FakeHub, name: &str) -> HubSource {
    HubSource {
        name: name.to_owned(),
        endpoint: hub.endpoint(),
        token: None,
    }
}

fn session(shelf: Option<&Rc<MemoryShelf>>) -> TestSession {
    let mut session = TestSession::empty();
    session.ask(
        Command::Open {
            device: DeviceChoice::Cpu,
        },
        Vec::new(),
    );
    session.inner.shelf = shelf.map(|shelf| shelf.clone() as Rc<dyn Shelf>);
    session.inner.fetch = Some(Rc::new(NativeFetch::new()));
    session
}

fn look(session: &mut TestSession, from: HubSource) {
    let config = Box::new(config());
    session.ask(Command::Hub(HubCommand::Look { from, config }), Vec::new());
}

fn ask(session: &mut TestSession, command: HubCommand) {
    session.ask(Command::Hub(command), Vec::new());
}

fn listing(session: &TestSession) -> HubListing {
    find(session, |event| match event {
        Event::Hub(HubEvent::Listing(listing)) => Some(*listing.clone()),
        _ => None,
    })
}

fn folder(session: &TestSession) -> String {
    find(session, |event| match event {
        Event::Hub(HubEvent::Downloaded { folder }) => Some(folder.clone()),
        _ => None,
    })
}

fn models(session: &mut TestSession) -> Vec<StoredModel> {
    ask(session, HubCommand::Models);
    match session.events.last() {
        Some(Event::Hub(HubEvent::Models { models })) => models.clone(),
        other => panic!("the models were not told: {other:?}"),
    }
}

/// The model card of what was trained.
fn card(session: &mut TestSession) -> String {
    let command = ExportCommand::Write {
        form: ExportForm::Peft,
        dtype: None,
        dequantized: false,
        ahead: 0,
        license: None,
    };
    let mut card = Vec::new();
    let mut take = |event: Event, bytes: Option<Vec<u8>>| match event {
        Event::Export(ExportEvent::Piece { path, .. }) if path == "README.md" => card.extend(bytes.unwrap_or_default()),
        _ => {}
    };
    block_on(session.inner.handle(Command::Export(command), Vec::new(), &mut take));
    String::from_utf8(card).expect("text")
}

/// Loads what was fetched, and trains on it.
fn train(session: &mut TestSession, folder: String) {
    ask(session, HubCommand::Load { folder });
    let file = "rows.jsonl".to_owned();
    session.ask(Command::LoadData { file }, vec![tiny::data_file()]);
    session.train(RunConfig {
        max_steps: 3,
        ..config()
    });
    assert_eq!(session.summary().steps, 3);
}

#[test]
fn a_model_is_looked_at_fetched_and_trained() {
    let (hub, files) = with_tiny();
    let disk = Disk::default();
    let mut session = session(Some(&disk.open(None)));
    look(&mut session, source(&hub, ID));
    let listing = listing(&session);
    let names: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    let weights = listing
        .files
        .iter()
        .find(|file| file.path == WEIGHTS)
        .expect("it is chosen");
    assert_eq!(weights.bytes, files[WEIGHTS].len() as u64);
    assert!(
        weights.sha256.is_some() && listing.problem.is_none(),
        "{:?}",
        listing.problem
    );
    assert!(listing.memory.is_some_and(|memory| memory.base_bytes > 0));
    assert_eq!((listing.revision.as_str(), listing.there_bytes), ("main", 0));

    hub.forget();
    ask(&mut session, HubCommand::Download { from: source(&hub, ID) });
    let folder = folder(&session);
    for (name, bytes) in &files {
        let is_chosen = names.contains(&name.as_str());
        assert_eq!(hub.sent(name), if is_chosen { bytes.len() as u64 } else { 0 }, "{name}");
    }
    let stored = models(&mut session);
    assert_eq!(stored.len(), 1);
    assert!(stored[0].is_whole && !stored[0].is_under_way && stored[0].folder == folder);
    assert_eq!(stored[0].name(), format!("{ID}@main"));
    train(&mut session, folder.clone());
    let card = card(&mut session);
    let of_hub = [
        format!("base_model: \"{ID}\"\n"),
        "license: \"apache-2.0\"\n".to_owned(),
    ];
    assert!(of_hub.iter().all(|line| card.contains(line)), "{card}");

    // Once more: nothing is fetched.
    hub.forget();
    ask(&mut session, HubCommand::Download { from: source(&hub, ID) });
    assert_eq!(hub.sent(WEIGHTS), 0);
    ask(&mut session, HubCommand::Forget { folder: folder.clone() });
    assert!(models(&mut session).is_empty() && disk.folders().is_empty());
    ask(&mut session, HubCommand::Load { folder });
    assert!(failure(&session).to_string().contains("not stored any more"));
}

#[test]
fn of_a_large_model_the_header_is_read_before_the_download() {
    let hub = FakeHub::start().expect("there is a port");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../public/model");
    let file = |name: &str| {
        (
            name.to_owned(),
            std::fs::read(folder.join(name)).expect("it is in the repository"),
        )
    };
    let files: BTreeMap<String, Vec<u8>> = ["config.json", WEIGHTS, "tokenizer.json"].map(file).into();
    publish(&hub, ID, &files);
    let mut session = session(Some(&Disk::default().open(None)));
    look(&mut session, source(&hub, ID));
    assert!(listing(&session).memory.is_some());
    assert!(hub.sent(WEIGHTS) <= 128 << 10, "{} bytes", hub.sent(WEIGHTS));
}

#[test]
fn without_storage_it_goes_to_memory_and_that_is_said() {
    let (hub, _) = with_tiny();
    let mut session = session(None);
    look(&mut session, source(&hub, ID));
    assert!(listing(&session).in_memory);
    ask(&mut session, HubCommand::Download { from: source(&hub, ID) });
    let said = find(&session, |event| match event {
        Event::Warning { message } => Some(message.english()),
        _ => None,
    });
    assert!(said.contains("gone when the page is closed"), "{said}");
    assert_eq!(models(&mut session).len(), 1);
    let folder = folder(&session);
    train(&mut session, folder);
}

#[test]
fn what_does_not_fit_into_storage_is_refused_with_figures_before_it_is_fetched() {
    let (hub, _) = with_tiny();
    let shelf = Disk::default().open(None);
    shelf.available_bytes.set(Some(10_000));
    let mut session = session(Some(&shelf));
    look(&mut session, source(&hub, ID));
    assert_eq!(listing(&session).free_bytes, Some(10_000));
    hub.forget();
    ask(&mut session, HubCommand::Download { from: source(&hub, ID) });
    let error = failure(&session);
    assert!(error.to_string().contains("1 MB remain to be downloaded"), "{error}");
    // Settings and a header, by which it is known what a run takes.
    assert!(hub.sent(WEIGHTS) + hub.sent("config.json") < HEADER_BYTES);
}

/// A hub asked over HTTP, with short pieces.
fn client(hub: &FakeHub, token: Option<&str>) -> (Hub, Control) {
    let control = Control::default();
    let token = token.map(|token| HubToken(token.to_owned()));
    let mut client =
        Hub::new(Rc::new(NativeFetch::new()), &hub.endpoint(), token, control.clone()).expect("an address");
    client.pieces = Pieces {
        least: PIECE,
        most: PIECE,
    };
    (client, control)
}

/// Fetches a model into a place as the engine does; `watch` sees each report.
fn fetch(
    (client, control): &(Hub, Control),
    name: &str,
    place: &dyn Place,
    watch: &mut dyn FnMut(&Event),
) -> Result<Repository> {
    let mut receive = |event: Event, _: Option<Vec<u8>>| watch(&event);
    let mut emit = Emit::new(&mut receive, HOST, control.clone());
    block_on(async {
        let repository = client.repository(&HubId::parse(name)?).await?;
        let chosen = choose(client, &repository).await?;
        download(client, &repository, &chosen.files, place, &mut emit).await?;
        Ok(repository)
    })
}

/// The weights of a place are those of the hub.
fn assert_whole(place: &dyn Place, repository: &Repository, files: &BTreeMap<String, Vec<u8>>) {
    for name in ["config.json", WEIGHTS] {
        let file = repository.file(name).expect("it is listed");
        let whole = block_on(place.whole(file))
            .expect("storage works")
            .expect("it is whole");
        assert_eq!(bytes_of(&whole), files[name], "{name}");
    }
}

#[test]
fn a_cut_fetches_nothing_twice() {
    let (hub, files) = with_tiny();
    let place = MemoryPlace::new();
    hub.go_wrong(Faults {
        cuts: 3,
        cut_after: 4_321,
        ..Faults::default()
    });
    let repository = fetch(&client(&hub, None), ID, &place, &mut |_| ()).expect("it goes on by itself");
    assert_whole(&place, &repository, &files);
    assert_eq!(hub.sent(WEIGHTS), files[WEIGHTS].len() as u64);
    assert!(!hub.has_leaked());
}

#[test]
fn a_line_that_breaks_again_and_again_is_told_and_what_came_stays() {
    let (hub, files) = with_tiny();
    let place = MemoryPlace::new();
    hub.go_wrong(Faults {
        cuts: 5,
        cut_after: 100,
        ..Faults::default()
    });
    let client = client(&hub, None);
    let error = fetch(&client, ID, &place, &mut |_| ()).expect_err("it breaks too often");
    assert!(error.to_string().contains("broke off"), "{error}");
    assert!(error.to_string().contains("download again to resume"), "{error}");
    let repository = fetch(&client, ID, &place, &mut |_| ()).expect("now it holds");
    assert_whole(&place, &repository, &files);
    assert_eq!(hub.sent(WEIGHTS), files[WEIGHTS].len() as u64);
}

#[test]
fn a_cancelled_download_goes_on_where_it_was() {
    let (hub, files) = with_tiny();
    let place = MemoryPlace::new();
    let client = client(&hub, None);
    let control = client.1.clone();
    let mut reports = 0;
    let error = fetch(&client, ID, &place, &mut |_| {
        reports += 1;
        control.cancel_download();
    })
    .expect_err("it was cancelled");
    assert_eq!((error.kind, reports), (Kind::Stopped, 1), "{error}");
    control.begin_download();
    let repository = fetch(&client, ID, &place, &mut |_| ()).expect("it goes on");
    assert_whole(&place, &repository, &files);
    assert!(hub.sent(WEIGHTS) <= files[WEIGHTS].len() as u64 + PIECE);
}

/// A tab is closed, or a process killed, at every change that a download makes to its storage.
#[test]
fn killed_anywhere_it_fetches_at_most_a_piece_twice() {
    let (hub, files) = with_tiny();
    let length = files[WEIGHTS].len() as u64;
    let whole = |session: &mut TestSession| models(session).first().is_some_and(|model| model.is_whole);
    let mut changes = 1;
    loop {
        hub.forget();
        let disk = Disk::default();
        let shelf = disk.open(Some(changes));
        let outcome = {
            let mut session = session(Some(&shelf));
            ask(&mut session, HubCommand::Download { from: source(&hub, ID) });
            whole(&mut session)
        };
        let mut again = session(Some(&disk.open(None)));
        ask(&mut again, HubCommand::Download { from: source(&hub, ID) });
        assert!(whole(&mut again), "after {changes} changes");
        let folder = folder(&again);
        assert_eq!(disk.change(&folder, |files| files[WEIGHTS].clone()), files[WEIGHTS]);
        // The engine's pieces are longer than these weights: a piece is all of them.
        assert!(
            hub.sent(WEIGHTS) <= 2 * length,
            "{} bytes after {changes} changes",
            hub.sent(WEIGHTS)
        );
        if outcome {
            break;
        }
        changes += 1;
    }
    assert!(changes > 10, "{changes}");
}

/// The same with short pieces, in huggingface_hub's cache: of the weights, any part may be there.
#[test]
fn any_part_in_the_cache_is_gone_on_with() {
    let (hub, files) = with_tiny();
    let client = client(&hub, None);
    let repository = block_on(client.0.repository(&HubId::parse(ID).expect("a name"))).expect("it is there");
    let weights = repository.file(WEIGHTS).expect("it is listed");
    let length = files[WEIGHTS].len();
    for there in [0, 1, 9_999, 10_000, 12_345, length - 1, length, length + 1] {
        let root = temporary(&format!("part-{there}"));
        let blobs = root.join("models--lorakeet--tiny/blobs");
        std::fs::create_dir_all(&blobs).expect("a folder");
        let mut part = files[WEIGHTS].clone();
        part.resize(there, 0);
        std::fs::write(blobs.join(format!("{}.incomplete", weights.etag)), &part).expect("a file");
        hub.forget();
        let place = CachePlace::new(&root, ID, &repository.commit);
        fetch(&client, ID, &place, &mut |_| ()).expect("it goes on");
        assert_whole(&place, &repository, &files);
        let expected = if there > length { length } else { length - there };
        assert_eq!(hub.sent(WEIGHTS), expected as u64, "{there} bytes were there");
        std::fs::remove_dir_all(root).expect("it was made here");
    }
}

fn temporary(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("lorakeet-hub-{}-{name}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    folder
}

fn settings(hub: &FakeHub, cache: &std::path::Path) -> cache::Settings {
    cache::Settings {
        endpoint: hub.endpoint(),
        token: None,
        cache: cache.to_path_buf(),
        offline: false,
    }
}

/// Fetches into the cache as the command does; gives the path and the notes.
fn fetch_to_cache(hub: &FakeHub, settings: &cache::Settings, name: &str) -> Result<(PathBuf, Vec<String>)> {
    let (client, control) = client(hub, None);
    let mut notes = Vec::new();
    let mut receive = |event: Event, _: Option<Vec<u8>>| {
        if let Event::Warning { message } = event {
            notes.push(message.english());
        }
    };
    let mut emit = Emit::new(&mut receive, HOST, control);
    let path = block_on(cache::fetch(&client, settings, &HubId::parse(name)?, &mut emit))?;
    Ok((path, notes))
}

#[test]
fn the_cache_is_that_of_huggingface_hub() {
    let (hub, files) = with_tiny();
    let root = temporary("cache");
    let settings = settings(&hub, &root);
    let (path, _) = fetch_to_cache(&hub, &settings, ID).expect("it is fetched");
    let repository = root.join("models--lorakeet--tiny");
    let commit = std::fs::read_to_string(repository.join("refs/main")).expect("it is written");
    assert_eq!(path, repository.join("snapshots").join(&commit));
    for name in ["config.json", "tokenizer.json", WEIGHTS] {
        assert_eq!(
            std::fs::read(path.join(name)).expect("it is there"),
            files[name],
            "{name}"
        );
        #[cfg(unix)]
        {
            let target = std::fs::read_link(path.join(name)).expect("a link");
            assert!(target.starts_with("../../blobs"), "{}", target.display());
        }
    }
    // Once more nothing is fetched; where the hub is gone, or is not to be asked, what is there is used.
    hub.forget();
    fetch_to_cache(&hub, &settings, ID).expect("it is there");
    assert_eq!(hub.sent(WEIGHTS) + hub.sent("config.json"), 0);
    hub.go_wrong(Faults {
        unavailable: 99,
        ..Faults::default()
    });
    let (again, notes) = fetch_to_cache(&hub, &settings, ID).expect("it is there");
    assert_eq!(again, path);
    assert!(notes.iter().any(|note| note.contains("earlier is used")), "{notes:?}");
    let offline = cache::Settings {
        offline: true,
        ..settings
    };
    assert_eq!(fetch_to_cache(&hub, &offline, ID).expect("it is there").0, path);
    let error = fetch_to_cache(&hub, &offline, "lorakeet/other").expect_err("it is not");
    assert!(error.to_string().contains("HF_HUB_OFFLINE"), "{error}");
    std::fs::remove_dir_all(root).expect("it was made here");
}

#[test]
fn of_gguf_files_one_is_chosen() {
    let hub = FakeHub::start().expect("there is a port");
    let files: [(&str, &[u8]); 5] = [
        ("README.md", b"x"),
        ("m-Q8_0.gguf", b"GGUF eight"),
        ("m-Q4_K_M.gguf", b"GGUF four"),
        ("mmproj-m.gguf", b"GGUF eyes"),
        ("m-F32-00001-of-00002.gguf", b"GGUF half"),
    ];
    hub.publish(ID, &files);
    let chosen = |name: &str| -> Result<(Vec<String>, usize)> {
        let (client, _) = client(&hub, None);
        let repository = block_on(client.repository(&HubId::parse(name)?))?;
        let chosen = block_on(choose(&client, &repository))?;
        Ok((
            chosen.files.into_iter().map(|file| file.path).collect(),
            chosen.choices.len(),
        ))
    };
    assert_eq!(
        chosen(ID).expect("the usual one"),
        (vec!["m-Q4_K_M.gguf".to_owned()], 2)
    );
    assert_eq!(chosen("lorakeet/tiny:q8_0").expect("by its kind").0, ["m-Q8_0.gguf"]);
    assert_eq!(
        chosen("lorakeet/tiny:m-Q8_0.gguf").expect("by its name").0,
        ["m-Q8_0.gguf"]
    );
    let error = chosen("lorakeet/tiny:Q2_K").expect_err("there is none");
    assert!(error.to_string().contains("m-Q4_K_M.gguf, m-Q8_0.gguf"), "{error}");
}

#[test]
fn shards_are_those_that_the_index_names() {
    let hub = FakeHub::start().expect("there is a port");
    let index = br#"{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}"#;
    let files: [(&str, &[u8]); 5] = [
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("model-00001-of-00002.safetensors", b"one"),
        ("model-00002-of-00002.safetensors", b"two"),
        ("consolidated.safetensors", b"all of it once more"),
    ];
    hub.publish(ID, &files);
    hub.go_wrong(Faults {
        entries_a_page: 2,
        ..Faults::default()
    });
    let place = MemoryPlace::new();
    let client = client(&hub, None);
    let repository = fetch(&client, ID, &place, &mut |_| ()).expect("they are there");
    assert_eq!(repository.files.len(), 5);
    assert_eq!(hub.sent("model-00002-of-00002.safetensors"), 3);
    assert_eq!(hub.sent("consolidated.safetensors"), 0);
    hub.publish(ID, &files[..3]);
    let error = fetch(&client, ID, &place, &mut |_| ()).expect_err("a shard is missing");
    assert!(
        error.to_string().contains("model-00002-of-00002.safetensors"),
        "{error}"
    );
}

/// What goes wrong when the tiny model is fetched from a hub that was prepared.
fn refused(prepare: impl FnOnce(&FakeHub), name: &str, token: Option<&str>) -> Error {
    let (hub, _) = with_tiny();
    prepare(&hub);
    let outcome = fetch(&client(&hub, token), name, &MemoryPlace::new(), &mut |_| ());
    assert!(!hub.has_leaked(), "a token went to another host");
    outcome.map(|_| ()).expect_err("it is refused")
}

fn wrong(faults: Faults) -> impl FnOnce(&FakeHub) {
    move |hub| hub.go_wrong(faults)
}

#[test]
fn each_refusal_has_its_words_and_its_way_out() {
    let faults = Faults::default;
    let gated = |hub: &FakeHub| hub.close(ID, "secret", true);
    let hidden = |hub: &FakeHub| hub.close(ID, "secret", false);
    let nothing = |_: &FakeHub| ();
    let pickled = |hub: &FakeHub| drop(hub.publish(ID, &[("pytorch_model.bin", b"x")]));
    let empty = |hub: &FakeHub| drop(hub.publish(ID, &[("README.md", b"x")]));
    let cases: Vec<(Error, [&str; 2])> = vec![
        (refused(gated, ID, None), ["accepted its terms", "HF_TOKEN"]),
        (
            refused(gated, ID, Some("other")),
            ["accepted its terms", "account of the token"],
        ),
        (refused(hidden, ID, None), ["has no model lorakeet/tiny", "HF_TOKEN"]),
        (
            refused(hidden, ID, Some("other")),
            ["has no model lorakeet/tiny", "token's account"],
        ),
        (
            refused(nothing, "lorakeet/other", None),
            ["has no model lorakeet/other", "Check its name"],
        ),
        (
            refused(nothing, "lorakeet/tiny@v9", None),
            ["no revision v9", "branches and tags"],
        ),
        (refused(nothing, "not a name", None), ["is not the name", "ORG/NAME"]),
        (refused(pickled, ID, None), ["", "safetensors or GGUF"]),
        (refused(empty, ID, None), ["README.md", "safetensors or GGUF"]),
        (
            refused(
                wrong(Faults {
                    too_many: 9,
                    retry_after: 1000,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["1000 seconds", "Wait a while"],
        ),
        (
            refused(
                wrong(Faults {
                    unavailable: 9,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["answered 503", "Try again later"],
        ),
        (
            refused(
                wrong(Faults {
                    login_page: true,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["<!doctype html>", "asks for a login"],
        ),
        (
            refused(
                wrong(Faults {
                    expired: 99,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["answered 403", "Try again later"],
        ),
        (
            refused(
                wrong(Faults {
                    other_bytes: true,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["SHA-256", "download it again"],
        ),
        (
            refused(
                wrong(Faults {
                    other_small_bytes: true,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["git hash (SHA-1)", "download it again"],
        ),
        (
            refused(
                wrong(Faults {
                    no_ranges: true,
                    ..faults()
                }),
                ID,
                None,
            ),
            ["not given in parts", "hub's address"],
        ),
    ];
    for (error, words) in cases {
        let text = error.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
    }
}

#[test]
fn a_hub_that_is_not_there_is_told() {
    let gone = {
        let hub = FakeHub::start().expect("there is a port");
        hub.endpoint()
    };
    let client = Hub::new(Rc::new(NativeFetch::new()), &gone, None, Control::default()).expect("an address");
    let error = block_on(client.repository(&HubId::parse(ID).expect("a name"))).expect_err("it is gone");
    assert!(error.to_string().contains("could not be reached"), "{error}");
    assert!(error.to_string().contains("Check the connection"), "{error}");
}

#[test]
fn a_token_opens_what_is_gated_and_stays_with_the_hub() {
    let (hub, files) = with_tiny();
    hub.close(ID, "secret", true);
    hub.rename("lorakeet/old", ID);
    let place = MemoryPlace::new();
    let repository = fetch(&client(&hub, Some("secret")), "lorakeet/old", &place, &mut |_| ()).expect("it is open");
    assert_whole(&place, &repository, &files);
    assert!(!hub.has_leaked(), "the token went to another host");
}

#[test]
fn what_a_hub_asks_for_a_while_is_waited_and_an_expired_address_is_asked_for_again() {
    let (hub, files) = with_tiny();
    hub.go_wrong(Faults {
        too_many: 2,
        retry_after: 1,
        unavailable: 1,
        expired: 2,
        ..Faults::default()
    });
    let place = MemoryPlace::new();
    let repository = fetch(&client(&hub, None), ID, &place, &mut |_| ()).expect("it goes on by itself");
    assert_whole(&place, &repository, &files);
    assert_eq!(hub.sent(WEIGHTS), files[WEIGHTS].len() as u64);
}
