//! A table of a real server in which the bytes of one file are others.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use questdb_storage::check::Check;
use questdb_storage::format::column_versions::ColumnVersions;
use questdb_storage::format::meta::Meta;
use questdb_storage::format::txn::Txn;
use questdb_storage::scan::Filter;
use questdb_storage::source::Files;
use questdb_storage::Database;

use crate::memory::{patched, Bytes, Memory};
use crate::{scans, table_directory};

/// Tables with all types, indexes, NULLs, column tops and splits; native, and with Parquet partitions.
const CASES: [&str; 7] = [
    "all_types_bypass",
    "sym_edge",
    "weird_columns",
    "evo_type_twice",
    "pq_tops",
    "pq_codecs",
    "o3_split_bypass",
];

/// The files that say which rows there are. Those that do not fit together make a reader wait for a server.
const RECORDS: [&str; 3] = ["_meta", "_txn", "_cv"];

/// Where a table is in memory. Its records are those of a checkpoint: nothing waits for a server that could explain an error.
const TABLE: &str = "/root/db/t~1";
const CHECKPOINT: &str = "/root/.checkpoint/db";

/// A table, and its files that can be changed.
struct Fixture {
    files: Memory,
    changeable: Vec<PathBuf>,
}

fn fixtures() -> &'static [Fixture] {
    static FIXTURES: OnceLock<Vec<Fixture>> = OnceLock::new();
    FIXTURES.get_or_init(|| CASES.iter().map(|case| load(case)).collect())
}

fn load(case: &str) -> Fixture {
    let mut files = Memory::default();
    let wanted = |name: &str| !name.starts_with("wal") && name != "seq" && name != "txn_seq";
    files.load(&table_directory(case), Path::new(TABLE), &wanted);
    files.put(Path::new(CHECKPOINT).join("_checkpoint_meta.d"), Vec::new());
    let mut changeable: Vec<PathBuf> =
        files.paths().filter(|path| path.starts_with(TABLE)).map(Path::to_owned).collect();
    changeable.retain(|path| !RECORDS.iter().any(|name| path.ends_with(name)));
    for name in RECORDS {
        let copy = Path::new(CHECKPOINT).join("t~1").join(name);
        files.put(&copy, files.get(&Path::new(TABLE).join(name)).unwrap().to_vec());
        changeable.push(copy);
    }
    Fixture { files, changeable }
}

/// Table (1 byte), file (2 bytes), whether what follows are patches or the whole file (1 byte).
pub fn run(bytes: &[u8]) {
    let Some(([table, low, high, whole], rest)) = bytes.split_first_chunk::<4>() else { return };
    let fixture = &fixtures()[usize::from(*table) % CASES.len()];
    let file = usize::from(u16::from_le_bytes([*low, *high])) % fixture.changeable.len();
    let path = &fixture.changeable[file];
    let old = fixture.files.get(path).unwrap();
    let new = if whole % 4 == 3 { rest.to_vec() } else { patched(old, rest) };
    let mut files = fixture.files.clone();
    files.put(path, new);
    let is_record = RECORDS.iter().any(|name| path.ends_with(name));
    if is_record && !agree(&files) {
        return;
    }
    let files: Arc<dyn Files> = Arc::new(files);
    read(&files, path, rest);
}

/// Whether the records can be read, and are of one state.
fn agree(files: &Memory) -> bool {
    let [meta, txn, versions] =
        RECORDS.map(|name| files.get(&Path::new(CHECKPOINT).join("t~1").join(name)).unwrap());
    let (Ok(meta), Ok(txn)) = (Meta::parse(meta), Txn::read(&Bytes::new(txn))) else { return false };
    let Ok(versions) = ColumnVersions::read(&Bytes::new(versions)) else { return false };
    txn.meta_version == meta.version as u32 && txn.column_version == versions.version
}

/// Reads what the file at `path` is about.
fn read(files: &Arc<dyn Files>, path: &Path, bytes: &[u8]) {
    let records = Path::new(CHECKPOINT).join("t~1");
    if let Ok(snapshot) = scans::snapshot(&records, Arc::clone(files)) {
        let file = path.file_name().unwrap().to_str().unwrap();
        let of_column = |name: &str| file.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        let all = 0..snapshot.columns().len();
        let mut columns: Vec<usize> =
            all.clone().filter(|index| of_column(&snapshot.columns()[*index].name)).collect();
        if columns.is_empty() {
            columns = all.collect();
        }
        scans::all_ways(&snapshot, &columns, (&Filter::all(), snapshot.rows()), bytes);
    }
    let _ = Check { deep: bytes.len() % 4 == 2, ..Check::default() }
        .run_with(Path::new(TABLE), Arc::clone(files));
    if let Ok(database) = Database::open_with(Path::new("/root"), Arc::clone(files)) {
        let _ = database.list();
    }
}

/// One for each file of each table, with a change where it hurts.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (table, fixture) in fixtures().iter().enumerate() {
        for file in 0..fixture.changeable.len() {
            let [low, high] = (file as u16).to_le_bytes();
            seeds.push(vec![table as u8, low, high, 0, 8, 0, 0, 2, 1, 0]);
        }
    }
    seeds
}
