//! Record files.

use std::path::Path;

use questdb_storage::format::bitmap_index::BitmapIndex;
use questdb_storage::format::column_versions::ColumnVersions;
use questdb_storage::format::meta::{Meta, PartitionBy};
use questdb_storage::format::registry::{file_version, Registry};
use questdb_storage::format::symbol_table::{null_flag, SymbolTable};
use questdb_storage::format::txn::Txn;
use questdb_storage::format::{partition_name, sequencer, table_name};
use questdb_storage::types::TimeUnit;

use crate::memory::{entries, Bytes};
use crate::{fixtures, table_directory};

/// Fixtures whose records are seeds.
const CASES: [&str; 6] =
    ["all_types_wal", "pq_tops", "o3_split_bypass", "evo_type_twice", "part_week", "part_none_ts"];

/// Symbol tables and indexes larger than this are no seeds.
const LARGEST_SEED: usize = 20_000;

const UNITS: [PartitionBy; 6] = [
    PartitionBy::None,
    PartitionBy::Hour,
    PartitionBy::Day,
    PartitionBy::Week,
    PartitionBy::Month,
    PartitionBy::Year,
];

/// `_meta`.
pub fn meta(bytes: &[u8]) {
    let Ok(meta) = Meta::parse(bytes) else { return };
    assert!(meta.records.len() * 32 <= bytes.len(), "more columns than bytes");
    let live = meta.records.iter().filter(|record| !record.deleted).count();
    assert_eq!(meta.order.len(), live, "each live column is visible once");
    let mut seen = vec![false; meta.records.len()];
    for w in &meta.order {
        assert!(!meta.records[*w].deleted && !std::mem::replace(&mut seen[*w], true));
        assert!(meta.dense_symbol_index(*w) <= *w);
    }
    assert!(meta.timestamp.is_none_or(|w| meta.order.contains(&w)));
    for record in &meta.records {
        let column_type = record.column_type;
        assert!(!record.name.contains(['/', '\0']) && !record.name.starts_with('.'));
        let _ = (column_type.to_string(), column_type.code());
        let _ = column_type.storage().map(|storage| (storage.needed(1 << 40), storage.rows_in(u64::MAX)));
        let _ = [true, false].map(|raw| column_type.value_type(raw).map(|value_type| value_type.sql()));
    }
    let _ = (meta.dedup(), meta.ttl.value_and_unit());
}

/// `_txn`.
pub fn txn(bytes: &[u8]) {
    let Ok(txn) = Txn::read(&Bytes::new(bytes)) else { return };
    assert!(txn.partitions.len() * 32 <= bytes.len() && txn.symbol_counts.len() * 8 <= bytes.len());
    if !txn.partitions.is_empty() {
        assert_eq!(txn.partitions.iter().map(|partition| partition.rows).sum::<u64>(), txn.rows());
    }
    for entry in txn.partitions.iter().take(16) {
        for unit in [TimeUnit::Micros, TimeUnit::Nanos] {
            for by in UNITS {
                let Some(name) = partition_name::name(entry.timestamp, by, unit) else { continue };
                let directory = partition_name::directory(&name, entry.name_txn);
                assert!(directory.starts_with(&name) && !directory.contains('/'));
                assert!(partition_name::end_of_unit(entry.timestamp, by, unit) > entry.timestamp);
            }
        }
    }
}

/// `_cv`.
pub fn column_versions(bytes: &[u8]) {
    let source = Bytes::new(bytes);
    for versions in
        [ColumnVersions::read(&source), ColumnVersions::read_before(&source)].into_iter().flatten()
    {
        for partition in [i64::MIN, 0, 1_709_164_800_000_000, i64::MAX] {
            for column in [0, 1, 7, usize::MAX] {
                let _ = (versions.state(partition, column), versions.symbol_files(column));
            }
        }
    }
}

/// `tables.d.N`, `_name` and `_txnlog`; the name of the first, too.
pub fn registry(bytes: &[u8]) {
    if let Ok(registry) = Registry::parse(bytes) {
        for table in &registry.tables {
            assert!(!registry.dropped.contains(&table.directory), "live and dropped");
            let _ = (table.kind.name(), table_name::from_directory(&table.directory));
        }
    }
    let _ = table_name::parse(bytes);
    let _ = sequencer::last_txn(&Bytes::new(bytes));
    let _ = file_version(&format!("tables.d.{}", String::from_utf8_lossy(bytes)));
}

/// Two files, as symbol table and as index: number of symbols or key (4 bytes), length of the first file (4 bytes), both files.
pub fn symbols(bytes: &[u8]) {
    let Some((count, rest)) = bytes.split_first_chunk::<4>() else { return };
    let Some((split, rest)) = rest.split_first_chunk::<4>() else { return };
    let count = u32::from_le_bytes(*count);
    let split = u32::from_le_bytes(*split) as usize % (rest.len() + 1);
    let (first, second) = (Bytes::new(&rest[..split]), Bytes::new(&rest[split..]));
    let _ = null_flag(&first);
    if let Ok(table) = SymbolTable::read(&first, &second, count) {
        assert_eq!(table.len(), count as usize);
        assert!((0..table.len()).all(|key| table.get(key).is_some()) && table.get(table.len()).is_none());
        assert_eq!(table.iter().map(str::len).sum::<usize>(), table.parts().0.len());
    }
    if let Ok(index) = BitmapIndex::open(&first, &second) {
        for key in [count, 0, u32::MAX] {
            let (mut rows, limit) = (Vec::new(), u64::from(count).max(100));
            if index.rows(key, limit, &mut rows).is_ok() {
                assert!(rows.len() as u64 <= index.count(key).unwrap());
                assert!(rows.iter().all(|row| u64::from(*row) < limit) && rows.is_sorted_by(|a, b| a < b));
            }
        }
    }
}

pub fn meta_seeds() -> Vec<Vec<u8>> {
    files("_meta")
}

pub fn txn_seeds() -> Vec<Vec<u8>> {
    files("_txn")
}

pub fn column_versions_seeds() -> Vec<Vec<u8>> {
    files("_cv")
}

pub fn registry_seeds() -> Vec<Vec<u8>> {
    let mut seeds = files("_name");
    seeds.extend(
        CASES.iter().filter_map(|case| std::fs::read(table_directory(case).join("txn_seq/_txnlog")).ok()),
    );
    let roots = ["whole_root", "all_types_wal"].map(|case| fixtures().join(case).join("db"));
    let named = |path: &Path| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|n| file_version(n).is_some())
    };
    seeds.extend(
        roots.iter().flat_map(|root| entries(root)).filter(|path| named(path)).map(|path| read(&path)),
    );
    seeds
}

pub fn symbols_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for case in ["sym_edge", "evo_symbol_flags", "weird_columns"] {
        let table = table_directory(case);
        let dirs = entries(&table).into_iter().filter(|path| path.is_dir()).chain([table.clone()]);
        for first in dirs.flat_map(|dir| entries(&dir)) {
            let name = first.file_name().unwrap().to_str().unwrap().to_owned();
            let other = [(".o", ".c"), (".k", ".v")].into_iter().find(|(kind, _)| name.contains(kind));
            let Some((kind, other)) = other else { continue };
            let second = first.with_file_name(name.replace(kind, other));
            let (Ok(mut first), Ok(mut second)) = (std::fs::read(first), std::fs::read(second)) else {
                continue;
            };
            // The files end with zeros that the server has allocated.
            [&mut first, &mut second].into_iter().for_each(cut_zeros);
            if first.len() + second.len() < LARGEST_SEED {
                let count = first.len().saturating_sub(64) as u32 / 8;
                seeds.push(
                    [&count.to_le_bytes(), &(first.len() as u32).to_le_bytes(), &first[..], &second].concat(),
                );
            }
        }
    }
    seeds
}

/// Cuts off the zeros at the end, but for a few.
fn cut_zeros(bytes: &mut Vec<u8>) {
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate((used + 64).next_multiple_of(8));
}

/// The record `name` of the cases.
fn files(name: &str) -> Vec<Vec<u8>> {
    let cut = |mut bytes: Vec<u8>| {
        cut_zeros(&mut bytes);
        bytes
    };
    let all = CASES.iter().filter_map(|case| std::fs::read(table_directory(case).join(name)).ok());
    all.map(cut).collect()
}

fn read(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap();
    cut_zeros(&mut bytes);
    bytes
}
