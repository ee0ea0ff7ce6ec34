//! One table: its record files, its symbol tables, its partitions.

use super::partition;
use super::Report;
use crate::error::{Error, ErrorKind};
use crate::format::column_versions::ColumnVersions;
use crate::format::meta::{self, Meta};
use crate::format::txn::Txn;
use crate::source::Access;
use crate::table::{Snapshot, Table};

/// How often a table is checked again because a server has committed meanwhile.
const ATTEMPTS: u32 = 5;

pub(super) fn check(table: &Table, deep: bool, report: &mut Report) {
    let before = report.findings.len();
    records(table, report);
    if report.findings.len() > before {
        // Nothing else can be read without them.
        return;
    }
    for attempt in 1..=ATTEMPTS {
        report.findings.truncate(before);
        let snapshot = match table.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => return report.error(error),
        };
        contents(&snapshot, deep, report);
        // What was found may be the trace of a change: a server deletes files that it has replaced.
        if report.findings.len() == before || snapshot.is_current().unwrap_or(false) {
            return;
        }
        if attempt < ATTEMPTS {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// Each record file by itself, so that damage to one does not hide that to another.
fn records(table: &Table, report: &mut Report) {
    let files = table.files();
    let meta_path = table.dir().join("_meta");
    let meta = files.read_small(&meta_path, meta::MAX_FILE_SIZE);
    let meta = meta.and_then(|bytes| Meta::parse(&bytes)).map(drop);
    let open = |name: &str| files.open(&table.dir().join(name), Access::Record);
    let txn = open("_txn").and_then(|source| Txn::read(source.as_ref())).map(drop);
    let versions = open("_cv").and_then(|source| ColumnVersions::read(source.as_ref())).map(drop);
    for (name, result) in [("_meta", meta), ("_txn", txn), ("_cv", versions)] {
        match result {
            Ok(()) => {}
            // A server at work: the snapshot waits for it.
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => report.error(error.in_file(&table.dir().join(name)).in_table(table.name())),
        }
    }
}

fn contents(snapshot: &Snapshot, deep: bool, report: &mut Report) {
    for (index, column) in snapshot.columns().iter().enumerate() {
        if let crate::types::ColumnType::Unknown(code) = column.column_type {
            report.error(
                crate::types::unknown(code)
                    .in_column(&column.name)
                    .in_file(&snapshot.record_dir().join("_meta"))
                    .in_table(snapshot.name()),
            );
        }
        if let Err(error) = snapshot.symbols(index) {
            report.error(error);
        }
    }
    let mut previous_end = None;
    for partition in snapshot.partitions().iter().filter(|partition| partition.rows() > 0) {
        let times = partition::check(snapshot, partition, deep, report);
        if let (Some(end), Some((first, _))) = (previous_end, times) {
            if first < end {
                let error =
                    Error::corrupt("partitions overlap in time", format_args!("{end} or later"), first);
                report.error(partition::place(error, snapshot, partition));
            }
        }
        previous_end = times.map(|(_, last)| last).or(previous_end);
    }
    if let (Some(end), Some(max)) = (previous_end, snapshot.txn().max_timestamp) {
        if end != max && snapshot.timestamp().is_some() && snapshot.loose_partition().is_none() {
            report.warning(
                Error::corrupt("largest timestamp in _txn is not that of the last row", max, end)
                    .in_file(&snapshot.record_dir().join("_txn"))
                    .in_table(snapshot.name()),
            );
        }
    }
}
