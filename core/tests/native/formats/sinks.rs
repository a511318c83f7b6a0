//! Folders that are written to.

use crate::common::now;
use lorakeet_core::store::{DirectorySink, MemorySink, Sink};

#[test]
fn a_sink_writes_whole_files_inside_its_folder_only() {
    let memory = MemorySink::new();
    now(memory.write("a/b.bin", b"xyz")).unwrap();
    assert_eq!(memory.files()["a/b.bin"], b"xyz");
    let folder = std::env::temp_dir().join(format!("lorakeet-sink-{}", std::process::id()));
    let disk = DirectorySink::new(&folder);
    now(disk.write("a/b.bin", b"1")).unwrap();
    now(disk.write("a/b.bin", b"22")).unwrap();
    assert_eq!(std::fs::read(folder.join("a/b.bin")).unwrap(), b"22");
    assert_eq!(std::fs::read_dir(folder.join("a")).unwrap().count(), 1, "no leftovers");
    for path in ["../x", "/x", "a//b", "a\\b", "", "c:x"] {
        assert!(now(disk.write(path, b"")).is_err(), "{path}");
        assert!(now(memory.write(path, b"")).is_err(), "{path}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_sink_lists_and_removes_its_own_folders_only() {
    let root = std::env::temp_dir().join(format!("lorakeet-folders-{}", std::process::id()));
    let (memory, disk) = (MemorySink::new(), DirectorySink::new(root.join("sink")));
    for sink in [&memory as &dyn Sink, &disk] {
        assert_eq!(now(sink.folders()), Ok(Vec::new()), "nothing is written yet");
        for path in ["a/b.bin", "a/c/d.bin", "ab/e.bin", "f.bin"] {
            now(sink.write(path, b"1")).unwrap();
        }
        let listed = || {
            let mut folders = now(sink.folders()).unwrap();
            folders.sort();
            folders
        };
        assert_eq!(listed(), ["a", "ab"]);
        now(sink.remove_folder("a")).unwrap();
        assert_eq!(listed(), ["ab"]);
        for path in ["a", "../sink", "/", ""] {
            assert!(now(sink.remove_folder(path)).is_err(), "{path}");
        }
    }
    assert_eq!(memory.files().into_keys().collect::<Vec<_>>(), ["ab/e.bin", "f.bin"]);
    assert!(root.join("sink/f.bin").is_file());
    std::fs::remove_dir_all(&root).unwrap();
}

#[test]
fn a_sink_renames_its_own_folders_onto_nothing() {
    let root = std::env::temp_dir().join(format!("lorakeet-renames-{}", std::process::id()));
    let (memory, disk) = (MemorySink::new(), DirectorySink::new(root.join("sink")));
    for sink in [&memory as &dyn Sink, &disk] {
        for path in ["a/b.bin", "a/c/d.bin", "ab/e.bin"] {
            now(sink.write(path, path.as_bytes())).unwrap();
        }
        now(sink.rename_folder("a", "z")).unwrap();
        let mut folders = now(sink.folders()).unwrap();
        folders.sort();
        assert_eq!(folders, ["ab", "z"]);
        for (from, to) in [("z", "ab"), ("a", "b"), ("z", "../y"), ("../sink", "y"), ("z", "")] {
            assert!(now(sink.rename_folder(from, to)).is_err(), "{from} to {to}");
        }
    }
    let files = memory.files();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["ab/e.bin", "z/b.bin", "z/c/d.bin"]);
    assert_eq!(files["z/c/d.bin"], b"a/c/d.bin");
    assert_eq!(std::fs::read(root.join("sink/z/c/d.bin")).unwrap(), b"a/c/d.bin");
    std::fs::remove_dir_all(&root).unwrap();
}

/// Links under all the names that the next writes might take on their way.
#[cfg(unix)]
#[test]
fn a_link_in_the_folder_is_not_written_through_and_what_is_left_over_goes() {
    let folder = std::env::temp_dir().join(format!("lorakeet-links-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("out")).unwrap();
    let victim = folder.join("victim");
    std::fs::write(&victim, "mine").unwrap();
    for name in
        std::iter::once("x.part".to_owned()).chain((0..400).map(|i| format!("x.{}-{i}.part", std::process::id())))
    {
        std::os::unix::fs::symlink(&victim, folder.join("out").join(name)).unwrap();
    }
    let sink = DirectorySink::new(folder.join("out"));
    now(sink.write("x", b"new")).unwrap();
    assert_eq!(std::fs::read(folder.join("out/x")).unwrap(), b"new");
    drop(DirectorySink::claim(folder.join("out")).unwrap());
    let mut left: Vec<_> = std::fs::read_dir(folder.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [".lorakeet.lock", "x", "x.part"],
        "x.part is not of this program's form"
    );
    assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
    std::fs::remove_dir_all(&folder).unwrap();
}
