//! The corpus, and a minute of changes to it.
//!
//! Each target runs in a process of its own, with bounded memory and time: what ends that process, however it does, is
//! told with the input that did it and with how to repeat it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{TARGETS, Target, target};

/// Seconds for all targets together, unless `FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 60;
/// The seed, unless `FUZZ_SEED` says otherwise: what a change breaks is told by that change's own run, and not by another's.
const SEED: u64 = 1;
/// The memory that a target's process may address, in KiB; code and threads of the tests are in it.
const ADDRESSED_KIB: u64 = 6 << 20;
/// What one input may take; far more than any does, since others use the machine too.
const INPUT_SECONDS_MAX: u64 = 20;
/// The longest input that is made.
const INPUT_BYTES_MAX: usize = 16 << 10;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(ROOT).join("fuzz/corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn every_target_has_a_small_corpus_and_survives_it() {
    for target in TARGETS {
        let corpus = corpus(&target);
        assert!(corpus.len() >= 5, "{} has {} seeds", target.name, corpus.len());
        let bytes: usize = corpus.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 256 << 10, "the corpus of {} has {bytes} bytes", target.name);
        for (path, bytes) in corpus {
            let ran = std::panic::catch_unwind(|| target.run(&bytes));
            assert!(ran.is_ok(), "{} breaks {}", path.display(), target.name);
        }
    }
    let folders = fs::read_dir(Path::new(ROOT).join("fuzz/corpus")).unwrap().count();
    assert_eq!(folders, TARGETS.len(), "a corpus without a target");
}

/// With `FUZZ_TARGET`, that target alone, in this process: from `FUZZ_SEED`, or the one file that `FUZZ_FILE` names.
#[test]
fn a_minute_of_changes_breaks_nothing() {
    let given = |name| std::env::var(name).ok();
    let seed = given("FUZZ_SEED").and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(SEED);
    if let Some(name) = given("FUZZ_TARGET") {
        let target = target(&name).unwrap_or_else(|| panic!("there is no target {name}"));
        return match given("FUZZ_FILE") {
            Some(file) => target.run(&fs::read(file).unwrap()),
            None => run_changes(&target, seed, seconds()),
        };
    }
    let share = (seconds() / TARGETS.len() as u64).max(1);
    let broken: Vec<String> =
        TARGETS.iter().filter_map(|target| in_own_process(target, seed, share).err()).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}

fn seconds() -> u64 {
    std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS)
}

fn in_own_process(target: &Target, seed: u64, seconds: u64) -> Result<(), String> {
    // In memory where there is such a place: it is written thousands of times a second.
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(above).unwrap();
    let input = folder.path().join("input");
    let name = "fuzz::tests::a_minute_of_changes_breaks_nothing";
    let limit = seconds + 2 * INPUT_SECONDS_MAX;
    let script = format!("ulimit -v {ADDRESSED_KIB}; exec timeout {limit} \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("FUZZ_TARGET", target.name)
        .env("FUZZ_SEED", seed.to_string())
        .env("FUZZ_SECONDS", seconds.to_string())
        .env("FUZZ_INPUT", &input)
        .output()
        .unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for line in told.lines().filter(|line| line.starts_with("fuzz:") || line.starts_with("a library panics"))
    {
        println!("{line}");
    }
    if output.status.success() {
        // Else the filter found no test, and nothing ran.
        assert!(told.contains("fuzz: "), "{told}");
        return Ok(());
    }
    let kept = std::env::temp_dir().join(format!("landbridge-fuzz-{}-{seed}", target.name));
    let where_kept = match fs::copy(&input, &kept) {
        Ok(_) => format!("FUZZ_FILE={}", kept.display()),
        Err(_) => format!("FUZZ_SEED={seed} FUZZ_SECONDS={seconds}"),
    };
    let name = target.name;
    Err(format!(
        "{name} breaks ({}):\n{told}\nrepeat it with\n  FUZZ_TARGET={name} {where_kept} cargo test --lib a_minute_of_changes -- --nocapture",
        output.status
    ))
}

/// Changes files of the corpus, as the seed says, and runs the target on each. The input that is being run is in the file
/// that `FUZZ_INPUT` names.
// Time here is the time that a person waits.
#[allow(clippy::disallowed_methods)]
fn run_changes(target: &Target, seed: u64, seconds: u64) {
    let mut changes = Changes {
        random: SmallRng::seed_from_u64(seed),
        corpus: corpus(target).into_iter().map(|(_, bytes)| bytes).collect(),
    };
    let input = std::env::var_os("FUZZ_INPUT").map(PathBuf::from);
    let start = std::time::Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        let bytes = changes.next();
        if let Some(path) = &input {
            fs::write(path, &bytes).unwrap();
        }
        let before = std::time::Instant::now();
        target.run(&bytes);
        assert!(before.elapsed().as_secs() < INPUT_SECONDS_MAX, "an input takes {:?}", before.elapsed());
        count += 1;
    }
    println!("fuzz: {:<16} {count:>8} inputs in {seconds} s, seed {seed}", target.name);
}

/// Makes inputs.
struct Changes {
    random: SmallRng,
    corpus: Vec<Vec<u8>>,
}

impl Changes {
    fn below(&mut self, limit: usize) -> usize {
        self.random.random_range(0..limit.max(1))
    }

    fn next(&mut self) -> Vec<u8> {
        let one = self.below(self.corpus.len());
        let mut bytes = self.corpus[one].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let place = self.below(bytes.len() + 1);
        let end = (place + 1 + self.below(16)).min(bytes.len());
        match self.below(8) {
            0 => {
                let piece: Vec<u8> =
                    (0..=self.below(8)).map(|_| self.random.random_range(0..=u8::MAX)).collect();
                drop(bytes.splice(place..place, piece));
            }
            1 if place < end => drop(bytes.drain(place..end)),
            2 if place < end => {
                let piece = bytes[place..end].to_vec();
                drop(bytes.splice(place..place, piece));
            }
            3 => {
                // A piece of another.
                let other = self.below(self.corpus.len());
                let from = self.below(self.corpus[other].len() + 1);
                let to = (from + 1 + self.below(64)).min(self.corpus[other].len());
                let piece = self.corpus[other].get(from..to).unwrap_or_default().to_vec();
                drop(bytes.splice(place..place, piece));
            }
            4 if place < bytes.len() => {
                bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, b'"', b'\\', b'/'][self.below(8)]
            }
            5 if place < bytes.len() => bytes[place] = self.random.random_range(0..=u8::MAX),
            _ if place < bytes.len() => bytes[place] ^= 1 << self.below(8),
            _ => {}
        }
    }
}
