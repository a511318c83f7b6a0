//! Files of torch.save: tensors come out, and programs stay where they are.
//!
//! `torch_files/pytorch_model.bin` is a state_dict in the layout that PyTorch 2 writes: CPython's pickler on torch's names, entries at
//! multiples of 64 bytes, a ZIP64 end. Others are made here.

use crate::common::now;
use lorakeet_core::Error;
use lorakeet_core::formats::inspect::{FileKind, inspect};
use lorakeet_core::formats::peft::Adapter;
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::store::{MemoryFile, Source};

const CONFIG: &[u8] = br#"{"model_type":"llama"}"#;
const WHOLE: &str = "pytorch_model.bin";

fn saved() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/native/torch_files/pytorch_model.bin"
    );
    std::fs::read(path).expect("the file is in the repository")
}

fn model(files: &[(&str, &[u8])]) -> Result<ModelFiles, Error> {
    let files = files.iter().chain([&("config.json", CONFIG)]);
    let files: Vec<Source> = files.map(|(name, bytes)| MemoryFile::source(*name, *bytes)).collect();
    now(ModelFiles::open(files))
}

fn values(model: &ModelFiles, name: &str) -> (Vec<usize>, Vec<f32>) {
    now(model.read_f32(name)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_state_dict_is_read_without_being_run() {
    let model = model(&[(WHOLE, &saved())]).unwrap_or_else(|error| panic!("{error}"));
    for (name, shape, wanted) in [
        ("w", &[2, 3][..], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]),
        ("turned", &[3, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
        ("end", &[3], &[4.0, 5.0, 6.0]),
        ("half", &[2], &[0.5, -2.0]),
        ("bf", &[1, 2], &[1.5, -3.0]),
        ("none", &[0, 3], &[]),
        ("param", &[6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
    ] {
        assert_eq!(values(&model, name), (shape.to_vec(), wanted.to_vec()), "{name}");
    }
    let count = model.entry("count").expect("a tensor");
    assert_eq!((count.storage, count.shape.len()), (Storage::I64, 0));
    assert_eq!(now(model.read_bytes("count")).expect("bytes"), 7i64.to_le_bytes());
    assert_eq!(model.entries().len(), 8);
    let note = model.torch_files.as_ref().expect("a note").english();
    assert!(note.contains(WHOLE), "{note}");
    let found = now(inspect(&[MemoryFile::source(WHOLE, saved())])).expect("it is described");
    assert_eq!((found.kind, found.tensors.len()), (FileKind::Tensors, 8));
}

/// A text, pickled.
fn text(text: &str) -> Vec<u8> {
    [&b"X"[..], &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// An integer, pickled.
fn integer(number: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &number.to_le_bytes()[..]].concat()
}

fn integers(numbers: &[i64]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| integer(*number)).collect();
    [&b"("[..], &numbers[..], b"t"].concat()
}

/// A tensor in the storage `0` of so many 32-bit floats, pickled.
fn tensor(elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let storage = [
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
    ]
    .concat();
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n(("[..],
        &storage[..],
        &integer(elements),
        b"tQ",
        &integer(offset),
        &integers(shape),
        &integers(strides),
        b"\x89}tR",
    ]
    .concat()
}

/// A dict, pickled.
fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [&b"\x80\x02}("[..], &items[..], b"u."].concat()
}

/// A ZIP archive of these entries; where they are to be `packed`, the first says that it is compressed.
fn archive(entries: &[(&str, &[u8])], packed: bool) -> Vec<u8> {
    let (mut file, mut directory): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for (i, (name, bytes)) in entries.iter().enumerate() {
        let method = if packed && i == 0 { 8u16 } else { 0 };
        let start = file.len() as u32;
        let mut common = [0u16, 0, method, 0, 0].map(u16::to_le_bytes).concat();
        common.extend(
            [0u32, bytes.len() as u32, bytes.len() as u32]
                .map(u32::to_le_bytes)
                .concat(),
        );
        common.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
        file.extend([&b"PK\x03\x04"[..], &common[..], name.as_bytes(), bytes].concat());
        directory.extend(
            [
                &b"PK\x01\x02\0\0"[..],
                &common[..],
                &[0; 10],
                &start.to_le_bytes(),
                name.as_bytes(),
            ]
            .concat(),
        );
    }
    let (start, size, count) = (file.len() as u32, directory.len() as u32, entries.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([count, count].map(u16::to_le_bytes).concat());
    file.extend([size, start].map(u32::to_le_bytes).concat());
    file.extend([0; 2]);
    file
}

/// A file of torch.save's with this pickle and four floats in the storage `0`.
fn file(pickle: &[u8]) -> Vec<u8> {
    let numbers: Vec<u8> = (0..4).flat_map(|i| (i as f32).to_le_bytes()).collect();
    archive(&[("m/data.pkl", pickle), ("m/data/0", &numbers)], false)
}

fn refused(bytes: &[u8]) -> String {
    model(&[(WHOLE, bytes)])
        .map(drop)
        .expect_err("it is refused")
        .to_string()
}

#[test]
fn a_program_is_refused_by_its_name() {
    let call = [&b"\x80\x02cos\nsystem\n("[..], &text("echo")[..], b"tR."].concat();
    assert!(refused(&file(&call)).contains("os.system"), "{}", refused(&file(&call)));
    let by_stack = [&b"\x80\x04"[..], &text("builtins")[..], &text("eval"), b"\x93."].concat();
    assert!(refused(&file(&by_stack)).contains("builtins.eval"));
    let beside = dict(&[
        ("a", tensor(4, 0, &[4], &[1])),
        ("b", b"ctorch._tensor\n_rebuild_from_type_v2\n".to_vec()),
    ]);
    assert!(refused(&file(&beside)).contains("torch._tensor._rebuild_from_type_v2"));
    // What an allowed name is given is looked at, too.
    let dict_of_pairs = [&b"\x80\x02ccollections\nOrderedDict\n("[..], &text("x")[..], b"tR."].concat();
    assert!(refused(&file(&dict_of_pairs)).contains("pickle"));
    for extension in [b"\x82\x01".as_slice(), b"i", b"o", b"\x81", b"\x92", b"\xff"] {
        assert!(refused(&file(&[&b"\x80\x02"[..], extension, b"."].concat())).contains("pickle"));
    }
}

#[test]
fn what_reaches_past_its_storage_is_refused_by_the_tensor() {
    let of = |tensor: Vec<u8>| refused(&file(&dict(&[("bad.weight", tensor)])));
    let sound = file(&dict(&[("good.weight", tensor(4, 1, &[3], &[1]))]));
    let read = model(&[(WHOLE, &sound)]).expect("it is read");
    assert_eq!(values(&read, "good.weight").1, [1.0, 2.0, 3.0]);
    for (what, tensor) in [
        ("offset", tensor(4, 4, &[1], &[1])),
        ("offset", tensor(4, i64::MAX, &[1], &[1])),
        ("length", tensor(4, 0, &[5], &[1])),
        ("stride", tensor(4, 0, &[2, 2], &[3, 1])),
        ("stride", tensor(4, 0, &[2, 2], &[i64::MAX, i64::MAX])),
        ("product", tensor(4, 0, &[i64::MAX, 4], &[0, 1])),
        ("repeated", tensor(4, 0, &[1 << 40, 4], &[0, 1])),
        ("storage", tensor(1 << 40, 0, &[1 << 40], &[1])),
    ] {
        let said = of(tensor);
        assert!(said.contains("bad.weight"), "{what}: {said}");
    }
    for tensor in [
        tensor(4, -1, &[1], &[1]),
        tensor(4, 0, &[-1], &[1]),
        tensor(-4, 0, &[1], &[1]),
        tensor(4, 0, &[2, 2], &[2]),
        tensor(4, 0, &[1; 9], &[1; 9]),
    ] {
        assert!(of(tensor).contains("pickle"));
    }
    assert!(of(text("no tensor")).contains("bad.weight"));
    let twice = dict(&[("a", tensor(4, 0, &[4], &[1])), ("a", tensor(4, 0, &[4], &[1]))]);
    assert!(refused(&file(&twice)).contains("twice"));
}

#[test]
fn broken_archives_and_pickles_are_refused() {
    let pickle = dict(&[("a", tensor(4, 0, &[4], &[1]))]);
    let sound = file(&pickle);
    for cut in [0, 1, 21, sound.len() / 2, sound.len() - 1] {
        refused(&sound[..cut]);
    }
    for cut in 0..pickle.len() {
        refused(&file(&pickle[..cut]));
    }
    assert!(refused(&file(&[&pickle[..], b"."].concat())).contains("pickle"));
    let packed = archive(&[("m/data.pkl", &pickle), ("m/data/0", &[0; 16])], true);
    assert!(refused(&packed).contains("compressed"), "{}", refused(&packed));
    let without = archive(&[("m/data.pkl", &pickle)], false);
    assert!(refused(&without).contains("m/data/0"), "{}", refused(&without));
    let short = archive(&[("m/data.pkl", &pickle), ("m/data/0", &[0; 15])], false);
    assert!(refused(&short).contains("cut off"));
    let two = archive(&[("m/data.pkl", &pickle), ("n/data.pkl", &pickle)], false);
    assert!(refused(&two).contains("data.pkl"));
    let big = [
        ("m/byteorder", &b"big"[..]),
        ("m/data.pkl", &pickle),
        ("m/data/0", &[0; 16]),
    ];
    assert!(refused(&archive(&big, false)).contains("big"));
    assert!(refused(&[&b"\x80\x02"[..], &[b'x'; 100]].concat()).contains("1.6"));
    // Depth and counts cost nothing that was not paid for in bytes.
    let deep = [b"\x80\x02".as_slice(), &vec![b'('; 5 << 20]].concat();
    assert!(refused(&file(&deep)).contains("values"));
    let text_of_4_gb = b"\x80\x02X\xff\xff\xff\xffabc.".to_vec();
    assert!(refused(&file(&text_of_4_gb)).contains("pickle"));
    let itself = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.".to_vec();
    assert!(refused(&file(&itself)).contains('a'));
}

#[test]
fn tensors_that_share_a_storage_are_not_many_times_the_file() {
    let numbers = vec![0u8; 64 << 10];
    let elements = numbers.len() as i64 / 4;
    let of = |count: usize, shape: &[i64], strides: &[i64]| {
        let names: Vec<String> = (0..count).map(|i| format!("t{i}")).collect();
        let tensors = names
            .iter()
            .map(|name| (name.as_str(), tensor(elements, 0, shape, strides)));
        let pickle = dict(&tensors.collect::<Vec<_>>());
        archive(&[("m/data.pkl", &pickle), ("m/data/0", &numbers)], false)
    };
    // Read as they are asked for, whole ones cost nothing.
    let whole = of(400, &[elements], &[1]);
    assert_eq!(model(&[(WHOLE, &whole)]).expect("it is read").entries().len(), 400);
    let config = br#"{"peft_type":"LORA","target_modules":["q_proj"],"r":2}"#;
    let adapter = |bytes: &[u8]| {
        let files = vec![
            MemoryFile::source("adapter_config.json", config.to_vec()),
            MemoryFile::source("adapter_model.bin", bytes),
        ];
        now(Adapter::open(files)).map(|adapter| adapter.tensors.len())
    };
    assert_eq!(adapter(&of(2, &[elements], &[1])), Ok(2));
    let error = adapter(&whole).expect_err("a hundred times the file");
    assert!(error.to_string().contains("too large"), "{error}");
    // Two numbers that lie far apart are read with what is between them.
    let apart = of(400, &[2], &[elements - 1]);
    assert!(refused(&apart).contains("too large"), "{}", refused(&apart));
    assert!(model(&[(WHOLE, &of(4, &[2], &[elements - 1]))]).is_ok());
    // One tensor under many names.
    let names = b"h\x01h\x00".repeat((1 << 18) + 1);
    let many = [
        &b"\x80\x02"[..],
        &tensor(4, 0, &[4], &[1]),
        b"q\x00",
        &text("a"),
        b"q\x01",
    ]
    .concat();
    let many = [&many[..], b"00}(", &names, b"u."].concat();
    assert!(refused(&file(&many)).contains("values"), "{}", refused(&file(&many)));
}

#[test]
fn shards_and_adapters_are_read_as_well() {
    let first = file(&dict(&[("a", tensor(4, 0, &[4], &[1]))]));
    let second = file(&dict(&[("b", tensor(4, 2, &[2], &[1]))]));
    let index = br#"{"weight_map": {"a": "pytorch_model-1.bin", "b": "pytorch_model-2.bin"}}"#;
    let files: [(&str, &[u8]); 3] = [
        ("pytorch_model-1.bin", &first),
        ("pytorch_model-2.bin", &second),
        ("pytorch_model.bin.index.json", index),
    ];
    let read = model(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(values(&read, "b").1, [2.0, 3.0]);
    let missing = model(&files[1..]).map(drop).expect_err("a shard is missing");
    assert!(missing.to_string().contains("pytorch_model-1.bin"), "{missing}");

    let key = |part: &str| format!("base_model.model.x.q_proj.lora_{part}.weight");
    let tensors = dict(&[
        (&key("A"), tensor(4, 0, &[2, 2], &[2, 1])),
        (&key("B"), tensor(4, 0, &[2, 2], &[1, 2])),
    ]);
    let config = br#"{"peft_type":"LORA","target_modules":["q_proj"],"r":2}"#;
    let files = vec![
        MemoryFile::source("adapter_config.json", config.to_vec()),
        MemoryFile::source("adapter_model.bin", file(&tensors)),
    ];
    let adapter = now(Adapter::open(files)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(adapter.tensors[0].2, [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(adapter.tensors[1].2, [0.0, 2.0, 1.0, 3.0]);
}
