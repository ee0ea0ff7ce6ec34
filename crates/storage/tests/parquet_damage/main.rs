//! Bytes of Parquet partitions are changed, cut off and added: no panic, no hang, no memory beyond need; an error, or rows in the
//! number that the table says. What a length can tell, is an error; what is behind the file's end, changes nothing.
//!
//! Needs the fixtures (`make fixtures`), as all tests do.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use files::{Changed, Random};
use questdb_storage::scan::{Damage, Filter, ScanPlan, Scanner};
use questdb_storage::source::{Files, LocalFiles};
use questdb_storage::table::SnapshotMode;
use questdb_storage::{arrow, Result, Table};

/// Changes to each file. `QUESTDB_DAMAGE_TIMES=50` for a thorough run.
const CHANGES: u64 = 8;

/// A scan of a small table; only a hang takes so long.
const LONGEST: Duration = Duration::from_secs(60);

/// Resident memory that the whole test may take.
const MOST_MEMORY: u64 = 1 << 30;

/// The tables with Parquet partitions: name, directory, their `data.parquet`.
fn tables() -> Vec<(String, PathBuf, Vec<PathBuf>)> {
    let fixtures = std::env::var_os("QUESTDB_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/fixtures"), PathBuf::from);
    let mut tables = Vec::new();
    for case in list(&fixtures) {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("pq_") {
            continue;
        }
        for table in list(&case.join("db")).into_iter().filter(|dir| dir.join("_txn").exists()) {
            let files: Vec<PathBuf> = list(&table)
                .iter()
                .map(|dir| dir.join("data.parquet"))
                .filter(|file| file.exists())
                .collect();
            tables.push((name.clone(), table, files));
        }
    }
    assert!(tables.len() >= 13, "fixtures are not unpacked in {}", fixtures.display());
    tables
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// All rows of a table.
fn rows(table: &Path, files: Arc<dyn Files>, lenient: bool) -> Result<Vec<RecordBatch>> {
    // Nobody writes: no error waits for a change that could explain it.
    let snapshot = Table::open_with(table, files)?.snapshot_in(SnapshotMode::Unchecked)?;
    let columns: Vec<usize> = (0..snapshot.columns().len()).collect();
    let plan = ScanPlan::new(&snapshot, &columns, &Filter::all());
    let damage = if lenient { Damage::lenient() } else { Damage::default() };
    let scanner = Scanner::with_damage(vec![plan], Arc::new(damage))?;
    arrow::batches(&scanner, 2048)?.collect()
}

fn count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[test]
fn changed_files_are_an_error_or_as_many_rows() {
    let times: u64 = std::env::var("QUESTDB_DAMAGE_TIMES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (mut errors, mut answers) = (0, 0);
    for (name, table, files) in tables() {
        let truth = rows(&table, Arc::new(LocalFiles), false).unwrap();
        for file in files {
            let whole = std::fs::read(&file).unwrap();
            for seed in 0..CHANGES * times {
                let mut random = Random::new(&format!("{name}/{}/{seed}", file.display()));
                let (bytes, how) = random.change(&whole);
                let what = format!("{name}: {} {how}, seed {seed}", file.display());
                let started = Instant::now();
                let changed: Arc<dyn Files> = Arc::new(Changed::new(&file, bytes.clone()));
                match rows(&table, Arc::clone(&changed), false) {
                    Ok(found) => {
                        answers += 1;
                        assert_eq!(count(&found), count(&truth), "{what}");
                        if bytes.starts_with(&whole) {
                            assert_eq!(found, truth, "{what}");
                        }
                    }
                    Err(error) => {
                        errors += 1;
                        assert!(!bytes.starts_with(&whole), "{what}: {error}");
                        let text = error.to_string();
                        assert!(text.contains("data.parquet"), "{what}: {text}");
                    }
                }
                let around = rows(&table, changed, true).map_err(|error| format!("{what}: {error}")).unwrap();
                assert!(count(&around) <= count(&truth), "{what}");
                assert!(started.elapsed() < LONGEST, "{what}: {:?}", started.elapsed());
            }
        }
    }
    // Neither kind of outcome may be the only one: then nothing would be tested.
    assert!(errors > 50 && answers > 50, "{errors} errors, {answers} answers");
    if let Some(peak) = peak() {
        assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);
    }
}

#[test]
fn files_that_are_cut_off_are_errors() {
    for (name, table, files) in tables() {
        for file in files {
            let whole = std::fs::read(&file).unwrap();
            // The last byte first, then everywhere.
            for len in
                [1, 4, 9].into_iter().map(|n| whole.len() - n).chain((0..3).map(|n| whole.len() * n / 3))
            {
                let changed = Arc::new(Changed::new(&file, whole[..len].to_vec()));
                // A file can be longer than the table's state of it.
                if let Err(error) = rows(&table, changed, false) {
                    assert!(error.to_string().contains("too short"), "{name}: {len} bytes: {error}");
                } else {
                    let longest = files::size_in_txn(&table, &file);
                    assert!(len as u64 >= longest, "{name}: {} of {longest} bytes pass", len);
                }
            }
        }
    }
}

#[test]
fn a_schema_of_a_million_groups_does_not_use_up_the_stack() {
    let (_, table, files) = tables().into_iter().find(|(name, ..)| name == "pq_all").unwrap();
    let size = files::size_in_txn(&table, &files[0]) as usize;
    // Field 2, a list of structs: as many groups of one child as fit into the file.
    let groups = (size - 64) / 6;
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    let mut count = groups;
    while count >= 0x80 {
        footer.push(count as u8 | 0x80);
        count >>= 7;
    }
    footer.push(count as u8);
    (0..groups).for_each(|_| footer.extend([0x48, 1, b'a', 0x15, 2, 0]));
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    let mut bytes = vec![0; size];
    bytes[..4].copy_from_slice(b"PAR1");
    bytes[size - 8 - footer.len()..size - 8].copy_from_slice(&footer);
    bytes[size - 8..size - 4].copy_from_slice(&(footer.len() as u32).to_le_bytes());
    bytes[size - 4..].copy_from_slice(b"PAR1");
    let error = rows(&table, Arc::new(Changed::new(&files[0], bytes)), false).unwrap_err().to_string();
    assert!(error.contains("nested too deeply"), "{error}");
}
