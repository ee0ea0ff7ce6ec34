//! Writes the bytes to begin with: `seeds fuzz/corpus` makes `fuzz/corpus/<target>/seed-<number>`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

fn main() {
    let corpus = PathBuf::from(std::env::args_os().nth(1).expect("the directory of the corpus"));
    for target in questdb_fuzzing::TARGETS {
        let dir = corpus.join(target.name);
        std::fs::create_dir_all(&dir).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(dir.join(format!("seed-{number:04}")), seed).unwrap();
        }
    }
}
