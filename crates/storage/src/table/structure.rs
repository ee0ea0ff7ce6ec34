//! What a table's records say of its columns and partitions.

use std::path::Path;

use super::column::{Column, SymbolFiles};
use super::partition::Partition;
use crate::error::{Error, ErrorKind, Result};
use crate::format::column_versions::ColumnVersions;
use crate::format::meta::{self, Meta, PartitionBy};
use crate::format::partition_name;
use crate::format::txn::{PartitionEntry, Txn};
use crate::source::{FileKind, Files};
use crate::types::{ColumnType, TimeUnit};

/// Which `_meta` to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Structure {
    /// The present one.
    Current,
    /// The one before: a server that is killed while it replaces `_meta` leaves it as `_meta.prev`.
    LeftOver,
}

impl Structure {
    /// Whether `error` can come from a `_meta` that is missing, or is ahead of `_txn`.
    pub(super) fn is_behind(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound)
            && error.place().file.as_ref().is_some_and(|file| file.ends_with("_meta"))
    }

    /// A server replaces the file by renaming, so for a moment it can be missing.
    pub(super) fn read(self, files: &dyn Files, records: &Path) -> Result<Meta> {
        let path = records.join(match self {
            Self::Current => "_meta",
            Self::LeftOver => "_meta.prev",
        });
        let bytes = match files.read_small(&path, meta::MAX_FILE_SIZE) {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let swap = files.kind(&records.join("_meta.swp"));
                let being_replaced = matches!(swap, Ok(Some(FileKind::File(_))));
                return Err(if being_replaced { e.with_kind(ErrorKind::Conflict) } else { e });
            }
            other => other?,
        };
        Meta::parse(&bytes).map_err(|e| e.in_file(&path))
    }
}

pub(super) fn disagree(file: &str, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Conflict, format!("{file} and _txn do not belong together"))
        .expected(format_args!("version {expected}"))
        .found(format_args!("version {found}"))
        .hint(
            "A server was changing the table; run the query again. If nobody writes, the copy is incomplete.",
        )
}

pub(super) fn time_unit(meta: &Meta) -> TimeUnit {
    let record = meta.timestamp.and_then(|w| meta.records.get(w));
    match record.map(|r| r.column_type) {
        Some(ColumnType::Timestamp(unit)) => unit,
        _ => TimeUnit::Micros,
    }
}

pub(super) fn columns(meta: &Meta, txn: &Txn, versions: &ColumnVersions, dir: &Path) -> Result<Vec<Column>> {
    let mut columns = Vec::with_capacity(meta.order.len());
    for w in &meta.order {
        let Some(record) = meta.records.get(*w) else { continue };
        let mut column = Column {
            name: record.name.clone(),
            column_type: record.column_type,
            writer_index: *w,
            designated: meta.timestamp == Some(*w),
            record: record.clone(),
            symbols: None,
        };
        if record.column_type == ColumnType::Symbol {
            let dense = meta.dense_symbol_index(*w);
            let count = *txn.symbol_counts.get(dense).ok_or_else(|| {
                Error::corrupt(
                    "symbol column has no count",
                    format_args!("more than {dense} counts"),
                    format_args!("{} counts", txn.symbol_counts.len()),
                )
                .in_column(&record.name)
            })?;
            column.symbols = Some(SymbolFiles::new(&column, dir, count, versions.symbol_files(*w)));
        }
        columns.push(column);
    }
    Ok(columns)
}

pub(super) fn partitions(meta: &Meta, txn: &Txn) -> Result<Vec<Partition>> {
    let unit = time_unit(meta);
    if meta.partition_by == PartitionBy::None {
        let entry = PartitionEntry {
            timestamp: 0,
            rows: txn.transient_rows,
            squash_count: 0,
            parquet: false,
            read_only: false,
            name_txn: None,
            parquet_size: None,
        };
        let name = partition_name::UNPARTITIONED.to_owned();
        return Ok(vec![Partition { index: 0, name, entry, first_row: 0, lower: i64::MIN, upper: i64::MAX }]);
    }
    let mut first_row = 0u64;
    let mut partitions = Vec::with_capacity(txn.partitions.len());
    for (index, entry) in txn.partitions.iter().enumerate() {
        let name = partition_name::name(entry.timestamp, meta.partition_by, unit).ok_or_else(|| {
            Error::corrupt("partition timestamp has no date", "a date from 1970 on", entry.timestamp)
        })?;
        let unit_end = partition_name::end_of_unit(entry.timestamp, meta.partition_by, unit);
        let next = txn.partitions.get(index.saturating_add(1)).map_or(i64::MAX, |next| next.timestamp);
        partitions.push(Partition {
            index,
            name,
            entry: *entry,
            first_row,
            lower: entry.timestamp,
            // The unit's end is exclusive; at the end of the range there is no instant behind it.
            upper: match unit_end.min(next) {
                i64::MAX => i64::MAX,
                end => end.saturating_sub(1),
            },
        });
        first_row = first_row.saturating_add(entry.rows);
    }
    Ok(partitions)
}

/// The partition that a detached directory named `only` holds, as its own `_txn` describes it.
pub(super) fn loose(partitions: Vec<Partition>, only: &str) -> Result<Vec<Partition>> {
    let partition = partitions.into_iter().find(|p| p.name == only || p.directory() == only);
    let Some(mut partition) = partition else {
        return Err(Error::corrupt(
            "detached partition is not in its own transaction file",
            format_args!("partition {only}"),
            "others",
        ));
    };
    (partition.index, partition.first_row) = (0, 0);
    Ok(vec![partition])
}
