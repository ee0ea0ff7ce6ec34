//! What can be read of a damaged native partition.

use std::sync::Arc;

use super::column::Column;
use super::partition::{ColumnRows, Partition};
use super::snapshot::Snapshot;
use crate::error::Error;
use crate::format::column_versions::ColumnState;
use crate::format::symbol_table::SymbolTable;
use crate::source::FileKind;
use crate::types::{ColumnSource, Storage};

/// What is left of a damaged column.
#[derive(Debug)]
pub struct Remains {
    /// Rows that are not stored.
    pub top: u64,
    /// Rows behind these that the files hold.
    pub readable: u64,
    /// The files.
    pub source: ColumnSource,
}

impl Partition {
    /// Opens what is there of a column's files, however short they are; `None` when that is nothing.
    pub fn open_remains(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        symbols: Option<Arc<SymbolTable>>,
    ) -> Option<Remains> {
        let ColumnRows::Stored { top, source } = self.try_open(snapshot, column, symbols, false).ok()? else {
            return None;
        };
        let length = source.aux.as_ref().unwrap_or(&source.data).len();
        let readable = column.column_type.storage()?.rows_in(length);
        Some(Remains { top, readable, source })
    }

    /// Rows that the files have, for a partition whose files may be damaged. As long as one column has all the rows
    /// that `_txn` counts, these are believed. If none has, the rows count up to the last whose timestamp can be
    /// one of this partition: files are longer than their rows. Says then what the strict error would be.
    pub fn surviving_rows(&self, snapshot: &Snapshot) -> (u64, Option<Error>) {
        let length = |column: &Column| {
            let state = snapshot.column_versions().state(self.entry.timestamp, column.writer_index).ok()?;
            let ColumnState::Present { name_txn, top } = state else { return None };
            let storage = column.column_type.storage()?;
            let kind = if matches!(storage, Storage::Fixed(_)) { "d" } else { "i" };
            let path = self.path(snapshot).join(column.file_name(kind, name_txn));
            let Ok(Some(FileKind::File(length))) = snapshot.files().kind(&path) else { return None };
            Some(top.saturating_add(storage.rows_in(length)))
        };
        // The designated timestamp first: it is in every partition.
        let timestamp = snapshot.timestamp().and_then(|index| snapshot.columns().get(index));
        let mut columns = timestamp.into_iter().chain(snapshot.columns());
        if columns.any(|column| length(column).is_some_and(|rows| rows >= self.rows())) {
            return (self.rows(), None);
        }
        let first = timestamp.or(snapshot.columns().first());
        let Some(error) = first.and_then(|column| self.open_column(snapshot, column, None).err()) else {
            return (self.rows(), None);
        };
        let remains = timestamp.and_then(|column| self.open_remains(snapshot, column, None));
        let rows = remains.map_or(0, |remains| self.plausible_rows(&remains));
        (rows.min(self.rows()), Some(error))
    }

    /// Timestamps from the start on that ascend and lie in the partition.
    fn plausible_rows(&self, timestamps: &Remains) -> u64 {
        let mut last = self.lower;
        let mut value = [0; 8];
        for row in 0..timestamps.readable {
            let read = timestamps.source.data.read_into(row.saturating_mul(8), &mut value);
            let time = i64::from_le_bytes(value);
            if read.is_err() || time < last || time > self.upper {
                return row;
            }
            last = time;
        }
        timestamps.readable
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::format::txn::tests::file as txn;
    use crate::table::table::tests::{meta, MemoryFiles};
    use crate::table::Table;

    const DAY: i64 = 86_400_000_000;

    /// A partition of which `_txn` counts five rows, with these timestamps and so many symbol keys.
    fn surviving(timestamps: &[i64], keys: usize) -> (u64, Option<String>) {
        let mut files = MemoryFiles::default();
        files.add("/db/t~1/_meta", meta(true));
        files.add("/db/t~1/_cv", vec![0; 40]);
        files.add("/db/t~1/_txn", txn(1, 1, 5, &[(DAY, 5), (2 * DAY, 0)]));
        files.add("/db/t~1/1970-01-02/ts.d", timestamps.iter().flat_map(|v| v.to_le_bytes()).collect());
        files.add("/db/t~1/1970-01-02/sym.d", vec![0; 4 * keys]);
        let snapshot = Table::open_with(Path::new("/db/t~1"), Arc::new(files)).unwrap().snapshot().unwrap();
        let (rows, error) = snapshot.partitions()[0].surviving_rows(&snapshot);
        (rows, error.map(|e| e.to_string()))
    }

    #[test]
    fn rows_are_believed_as_long_as_one_file_has_them() {
        assert_eq!(surviving(&[DAY; 5], 0), (5, None));
        assert_eq!(surviving(&[], 5), (5, None));
        assert_eq!(surviving(&[DAY; 9], 9), (5, None), "files are longer than their rows");
    }

    #[test]
    fn rows_that_no_file_has_end_with_the_last_time_of_the_partition() {
        for (timestamps, rows) in [
            (&[DAY, DAY + 1, 0, 0][..], 2),
            (&[DAY, DAY + 1, 2 * DAY], 2),
            (&[DAY + 1, DAY], 1),
            (&[DAY, DAY, DAY], 3),
            (&[], 0),
        ] {
            let (found, error) = surviving(timestamps, 4);
            assert_eq!(found, rows, "{timestamps:?}");
            assert!(error.is_some_and(|e| e.contains("ts.d") && e.contains("at least 40 bytes")));
        }
    }
}
