//! Runs that are killed, have no room, or find their files damaged, and end as if nothing had been. `cargo xtask test endurance`
//! does the same more often.

use super::{AGAIN, FIRST, Place};
use lorakeet_core::random::Generator;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// What the stage sets.
const AT_LENGTH: &str = "LORAKEET_ENDURANCE";
/// The longest wait between a step that is waited for and the kill.
const MOST_MICROSECONDS: usize = 4000;
const SEED: u64 = 20_261;

/// How often something is done: `short` times, and `long` times where the stage asks for it.
fn times(short: usize, long: usize) -> usize {
    match std::env::var_os(AT_LENGTH) {
        Some(_) => long,
        None => short,
    }
}

/// A line that the stage prints again at its end.
fn figure(what: &str) {
    println!("endurance: {what}");
}

impl Place {
    /// What the next process of the run is told.
    fn next_words(&self) -> &'static [&'static str] {
        if self.checkpoints().is_empty() { FIRST } else { AGAIN }
    }

    /// How many files and folders in `out` were begun and not ended.
    fn unfinished(&self) -> usize {
        let entries = fs::read_dir(self.0.join("out")).into_iter().flatten().flatten();
        let is_part = |name: PathBuf| name.extension().is_some_and(|ending| ending == "part");
        entries.filter(|entry| is_part(entry.path())).count()
    }

    fn forget_out(&self) {
        let _ = fs::remove_dir_all(self.0.join("out"));
    }
}

/// The run of a small network in place of its files.
fn network(place: &Place, steps: usize) {
    place.run(&format!(
        "train_file: rows.csv\noutput_dir: out\nmax_steps: {steps}\nsave_steps: 3\nsave_total_limit: 2\n"
    ));
}

/// An adapter of the page's own model.
pub(super) fn adapter(place: &Place, steps: usize) {
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/model");
    let rows: String = (0..40)
        .map(|row| format!("{{\"text\": \"Row {row} says that parrots repeat what they hear {row} times.\"}}\n"))
        .collect();
    fs::write(place.0.join("texts.jsonl"), rows).expect("it is written");
    let text = format!(
        "model_name_or_path: {}\ntrain_file: texts.jsonl\noutput_dir: out\nmax_steps: {steps}\nval_size: 4\ncutoff_len: 32\n\
         per_device_train_batch_size: 2\ngradient_accumulation_steps: 1\nlearning_rate: 0.002\nlora_r: 4\nlora_dropout: 0.1\n\
         eval_steps: 20\nsave_steps: 4\nsave_total_limit: 2\n",
        public.display()
    );
    fs::write(place.0.join("run.yaml"), text).expect("it is written");
}

/// A run is killed at moments spread over it, in saves and between them, and goes on each time; it ends with these files.
fn is_killed_again_and_again(name: &str, write: fn(&Place, usize), steps_a_kill: usize, files: &[&str]) {
    let kills = times(5, 50);
    let steps = steps_a_kill * (kills + 1);
    let whole = Place::new(&format!("whole-{name}"));
    write(&whole, steps);
    whole.says(0, FIRST);
    let place = Place::new(&format!("killed-{name}"));
    write(&place, steps);
    let ends_alike = |place: &Place| {
        assert_eq!(place.steps(), whole.steps(), "each step once, with the same loss");
        assert_eq!(place.steps().len(), steps);
        for file in files {
            let path = format!("out/{file}");
            assert!(place.read(&path) == whole.read(&path), "{file}");
        }
        assert_eq!(place.checkpoints(), whole.checkpoints());
        assert_eq!(place.unfinished(), 0);
    };
    let mut chance = Generator::new(SEED, name);
    let started = Instant::now();
    let (mut killed, mut over, mut resumed, mut in_a_write) = (0, 0, 0, 0);
    while killed < kills {
        let words = place.next_words();
        let mut child = place.command(words).stderr(Stdio::null()).spawn().expect("it starts");
        place.wait_for_steps(&mut child, killed * steps_a_kill + chance.below(steps_a_kill));
        std::thread::sleep(Duration::from_micros(chance.below(MOST_MICROSECONDS) as u64));
        let _ = child.kill();
        let ended = child.wait().expect("it ends");
        if ended.success() {
            // It was quicker than the kill: another run takes its place.
            ends_alike(&place);
            place.forget_out();
            over += 1;
            assert!(over <= kills, "no run lasts until it is killed");
            continue;
        }
        assert!(cfg!(windows) || ended.code().is_none(), "{words:?} is refused: {ended}");
        killed += 1;
        resumed += usize::from(words == AGAIN);
        in_a_write += usize::from(place.unfinished() > 0);
    }
    place.says(0, place.next_words());
    ends_alike(&place);
    figure(&format!(
        "{name}, `lorakeet train`: {killed} kills, {resumed} of them in a run that had gone on, {in_a_write} in the middle of a write; \
         {steps} losses and {} are those of the uninterrupted run; {:.0} s",
        files.join(", "),
        started.elapsed().as_secs_f64()
    ));
}

#[test]
fn a_run_that_is_killed_again_and_again_ends_as_one_that_is_not() {
    is_killed_again_and_again("network", network, 12, &["model.safetensors", "predictions.csv"]);
}

#[test]
fn an_adapter_whose_run_is_killed_again_and_again_is_that_of_one_that_is_not() {
    let files = ["adapter_model.safetensors", "adapter_config.json"];
    is_killed_again_and_again("adapter", adapter, 6, &files);
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Missing,
    Cut,
    Longer,
    Flipped,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Missing, Self::Cut, Self::Longer, Self::Flipped];

    fn happens(self, path: &Path, chance: &mut Generator) {
        let mut bytes = fs::read(path).expect("it is there");
        match self {
            Self::Missing => return fs::remove_file(path).expect("it is removed"),
            Self::Cut => bytes.truncate(chance.below(bytes.len())),
            Self::Longer => bytes.push(b'\n'),
            Self::Flipped => {
                let place = chance.below(bytes.len());
                bytes[place] ^= 1 << chance.below(8);
            }
        }
        fs::write(path, bytes).expect("it is written");
    }
}

#[test]
fn a_run_goes_on_from_the_newest_checkpoint_without_damage_whichever_file_has_it() {
    let place = Place::new("damaged");
    let lines = "train_file: rows.csv\noutput_dir: out\nmax_steps: 6\nsave_steps: 2\n";
    place.run(lines);
    place.says(0, FIRST);
    let results = ["model.safetensors", "predictions.csv"].map(|file| format!("out/{file}"));
    let wanted = results.clone().map(|path| place.read(&path));
    let steps = place.steps();
    let mut names: Vec<String> = fs::read_dir(place.0.join("out/checkpoint-6"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    let mut chance = Generator::new(SEED, "damage");
    let started = Instant::now();
    let rounds = times(1, 6);
    let mut damaged = 0;
    for round in 0..rounds {
        for (at, name) in names.iter().enumerate() {
            // In the short form each file is damaged in one way.
            let chosen = [Damage::ALL[(at + round) % Damage::ALL.len()]];
            let ways: &[Damage] = if rounds == 1 { &chosen } else { &Damage::ALL };
            for way in ways {
                // The newest one; in every second round the one before, too.
                let slots: &[u64] = if round % 2 == 0 { &[6] } else { &[6, 4] };
                for slot in slots {
                    way.happens(&place.0.join(format!("out/checkpoint-{slot}/{name}")), &mut chance);
                }
                let said = place.says(0, AGAIN);
                let what = format!("{way:?} {name} of {slots:?}: {said}");
                for slot in slots {
                    assert!(said.contains(&format!("out/checkpoint-{slot} is skipped: ")), "{what}");
                }
                let from = 6 - 2 * slots.len();
                assert!(said.contains(&format!("continues after step {from}")), "{what}");
                assert_eq!(place.steps(), steps, "{what}");
                assert!(results.clone().map(|path| place.read(&path)) == wanted, "{what}");
                damaged += slots.len();
            }
        }
    }
    // Where no checkpoint is whole, nothing is taken for one.
    for slot in [2, 4, 6] {
        Damage::Cut.happens(
            &place.0.join(format!("out/checkpoint-{slot}/optimizer.safetensors")),
            &mut chance,
        );
    }
    let output = place.output(AGAIN);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("no checkpoint in out is complete"),
        "{said}"
    );
    figure(&format!(
        "{damaged} damaged files of checkpoints on disk: each skipped by its name, the run as it was; {:.0} s",
        started.elapsed().as_secs_f64()
    ));
}

/// The command in a process whose files may have at most so many blocks of 512 bytes.
#[cfg(target_os = "linux")]
fn with_small_files(place: &Place, blocks: usize, words: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\""])
        .arg(blocks.to_string())
        .arg(env!("CARGO_BIN_EXE_lorakeet"))
        .args(["--device", "cpu"])
        .args(words)
        .current_dir(&place.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_without_room_for_its_files_says_so_and_goes_on_when_there_is_room() {
    let whole = Place::new("whole-room");
    network(&whole, 30);
    whole.says(0, FIRST);
    let place = Place::new("room");
    network(&place, 30);
    let started = Instant::now();
    let (tries, mut refused) = (times(4, 24), 0);
    for blocks in 1..=tries {
        place.forget_out();
        let mut limited = with_small_files(&place, blocks, FIRST);
        let output = limited.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            assert!(
                output.status.code().is_some(),
                "{blocks} blocks: {}: {said}",
                output.status
            );
            assert!(said.contains("out") && said.contains("writ"), "{blocks} blocks: {said}");
            refused += 1;
        }
        if output.status.success() {
            place.forget_out();
        }
        place.says(0, place.next_words());
        for file in ["out/model.safetensors", "out/predictions.csv"] {
            assert!(place.read(file) == whole.read(file), "{blocks} blocks: {file}");
        }
        assert_eq!(place.unfinished(), 0);
    }
    assert!(refused > 0, "no file was longer than {tries} blocks");
    figure(&format!(
        "{refused} runs of {tries} whose files had no room: each said so and ended as it should when there was; {:.0} s",
        started.elapsed().as_secs_f64()
    ));
}
