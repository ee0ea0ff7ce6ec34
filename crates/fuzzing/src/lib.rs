//! The parsers of everything that comes from outside, each as a function of bytes: what they must hold to is asserted here.
//!
//! ```text
//! records   _meta, _txn, _cv, registry, _name, symbol tables, bitmap indexes
//! names     names of partitions, of exported files, of directories of keys
//! dataset   bytes as a Parquet file
//! table     a table of a real server in which the bytes of one file are others
//! chunk     … in which one column chunk of a Parquet partition is another: both decoders must agree
//! options   options and sizes as text
//! ```
//!
//! Two things use them. `fuzz/` gives each to libFuzzer (`make fuzz`). `tests/replay.rs` feeds them their seeds and changed
//! ones, the same each time, in `cargo test`: so they are compiled and run always.
//!
//! A function returns when the bytes are refused, or accepted and true to what is known of them. It panics when they are
//! accepted and wrong.

#![forbid(unsafe_code)]
// A panic is the result here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod arrays;
mod chunk;
mod dataset;
mod memory;
mod names;
mod options;
mod random;
mod records;
mod scans;
mod table;

use std::backtrace::Backtrace;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};

pub use random::Random;

/// A parser.
#[derive(Clone, Copy)]
pub struct Target {
    /// Name: the file in `fuzz/fuzz_targets`.
    pub name: &'static str,
    /// Feeds bytes to it.
    pub run: fn(&[u8]),
    /// Bytes to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "meta", run: records::meta, seeds: records::meta_seeds },
    Target { name: "txn", run: records::txn, seeds: records::txn_seeds },
    Target { name: "column_versions", run: records::column_versions, seeds: records::column_versions_seeds },
    Target { name: "registry", run: records::registry, seeds: records::registry_seeds },
    Target { name: "symbols", run: records::symbols, seeds: records::symbols_seeds },
    Target { name: "names", run: names::run, seeds: names::seeds },
    Target { name: "parquet_file", run: dataset::run, seeds: dataset::seeds },
    Target { name: "parquet_chunk", run: chunk::run, seeds: chunk::seeds },
    Target { name: "table_file", run: table::run, seeds: table::seeds },
    Target { name: "options", run: options::run, seeds: options::seeds },
];

/// The target of that name.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
}

/// Feeds bytes to the target `name`, for libFuzzer. Its hook ends the process at every panic; those of the crate `parquet`
/// that storage catches must not.
pub fn fuzz(name: &str, bytes: &[u8]) {
    static HOOK: Once = Once::new();
    static LAST: Mutex<String> = Mutex::new(String::new());
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            *LAST.lock().unwrap() = format!("{panic}\n{}", Backtrace::capture());
        }));
    });
    let run = target(name).run;
    if std::panic::catch_unwind(|| run(bytes)).is_err() {
        eprintln!("{name}: {}", LAST.lock().unwrap());
        std::process::abort();
    }
}

/// Where the fixtures are (`make fixtures`).
pub fn fixtures() -> PathBuf {
    std::env::var_os("QUESTDB_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/fixtures"), PathBuf::from)
}

/// The directory of the only table of a fixture.
fn table_directory(case: &str) -> PathBuf {
    let db = fixtures().join(case).join("db");
    let mut tables: Vec<PathBuf> =
        memory::entries(&db).into_iter().filter(|dir| dir.join("_txn").exists()).collect();
    assert!(!tables.is_empty(), "fixtures are not unpacked: no table in {}", db.display());
    tables.swap_remove(0)
}
