//! Feeds each parser its seeds, and changes of them that are the same each time. `make fuzz` looks further.
//!
//! Needs the fixtures (`make fixtures`), as all tests do. `QUESTDB_REPLAY_TIMES=100` for a thorough run.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

use questdb_fuzzing::{target, Random};

/// Time for one input; only a hang takes so long.
const LONGEST: Duration = Duration::from_secs(20);

/// Memory that the whole process may ever have asked for, used or not.
const MOST_MEMORY: u64 = 2 << 30;

/// Feeds `inputs` inputs to the target `name`: all seeds in turn, each changed differently.
fn replay(name: &str, inputs: usize) {
    let times: usize = std::env::var("QUESTDB_REPLAY_TIMES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let target = target(name);
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let feed = |bytes: &[u8], what: String| {
        let started = Instant::now();
        if catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))).is_err() {
            let path = std::env::temp_dir().join(format!("questdb-{name}-{}", std::process::id()));
            std::fs::write(&path, bytes).unwrap();
            panic!("{name}, {what}: the bytes are in {}", path.display());
        }
        assert!(started.elapsed() < LONGEST, "{name}, {what}: {:?}", started.elapsed());
    };
    let step = seeds.len().div_ceil(inputs).max(1);
    for (number, seed) in seeds.iter().enumerate().step_by(step) {
        feed(seed, format!("seed {number}"));
    }
    for number in 0..inputs * times {
        let seed = number * 7 % seeds.len();
        let bytes = Random::new((name, number)).changed(seeds.get(seed).unwrap());
        feed(&bytes, format!("change {number} of seed {seed}"));
    }
    if let Some(peak) = peak() {
        assert!(peak < MOST_MEMORY, "{name}: {} MiB", peak >> 20);
    }
}

/// Most memory that the process has had, also where it was never written.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

macro_rules! replays {
    ($($target:ident: $inputs:literal,)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), $inputs);
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($target)),*];
            assert_eq!(replayed.to_vec(), questdb_fuzzing::TARGETS.iter().map(|t| t.name).collect::<Vec<_>>());
        }
    };
}

/// libFuzzer's side of each target is there.
#[test]
fn every_target_is_fuzzed() {
    let fuzz = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let sources = std::fs::read_dir(fuzz.join("fuzz_targets")).unwrap();
    assert_eq!(sources.count(), questdb_fuzzing::TARGETS.len());
    for target in questdb_fuzzing::TARGETS {
        let file = format!("fuzz_targets/{}.rs", target.name);
        assert!(
            manifest.contains(&format!("name = \"{}\"\npath = \"{file}\"", target.name)),
            "{}",
            target.name
        );
        let source = std::fs::read_to_string(fuzz.join(file)).unwrap();
        assert!(
            source.contains(&format!("questdb_fuzzing::fuzz(\"{}\", bytes)", target.name)),
            "{}",
            target.name
        );
    }
}

replays! {
    meta: 2000,
    txn: 500,
    column_versions: 500,
    registry: 2000,
    symbols: 2000,
    names: 1000,
    parquet_file: 400,
    parquet_chunk: 60,
    table_file: 40,
    options: 2000,
}
