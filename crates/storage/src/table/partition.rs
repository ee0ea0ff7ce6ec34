//! A partition of a snapshot, and where the rows of its columns are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::column::Column;
use super::snapshot::Snapshot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bitmap_index::BitmapIndex;
use crate::format::column_versions::ColumnState;
use crate::format::partition_name;
use crate::format::symbol_table::SymbolTable;
use crate::format::txn::PartitionEntry;
use crate::source::{Access, FileKind, Files};
use crate::types::{ColumnSource, Storage};

/// Name of a Parquet partition's only file.
pub const PARQUET_FILE: &str = "data.parquet";

/// One partition.
#[derive(Debug, Clone)]
pub struct Partition {
    /// Position in the table.
    pub index: usize,
    /// Directory name without name txn.
    pub name: String,
    /// The record in `_txn`.
    pub entry: PartitionEntry,
    /// Rows of the table before this partition.
    pub first_row: u64,
    /// Smallest timestamp that a row can have; unpartitioned tables: `i64::MIN`.
    pub lower: i64,
    /// Largest timestamp that a row can have; unpartitioned tables: `i64::MAX`.
    pub upper: i64,
}

/// Where the rows of one column of one partition come from.
#[derive(Debug)]
pub enum ColumnRows {
    /// No files: every row is NULL (or zero).
    Absent,
    /// The first `top` rows are NULL (or zero), the others are in the files.
    Stored {
        /// Rows that are not stored.
        top: u64,
        /// The files.
        source: ColumnSource,
    },
}

impl Partition {
    /// Committed rows.
    pub fn rows(&self) -> u64 {
        self.entry.rows
    }

    /// Directory below the table's.
    pub fn directory(&self) -> String {
        partition_name::directory(&self.name, self.entry.name_txn)
    }

    /// Full path of the directory.
    pub fn path(&self, snapshot: &Snapshot) -> PathBuf {
        snapshot.dir().join(self.directory())
    }

    /// Opens the files of `column`. `symbols` is its table, for a SYMBOL column.
    ///
    /// # Errors
    /// Parquet partitions, unknown types, missing and short files.
    pub fn open_column(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        symbols: Option<Arc<SymbolTable>>,
    ) -> Result<ColumnRows> {
        self.try_open(snapshot, column, symbols)
            .map_err(|e| e.in_column(&column.name).in_partition(&self.directory()).in_table(snapshot.name()))
    }

    fn try_open(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        symbols: Option<Arc<SymbolTable>>,
    ) -> Result<ColumnRows> {
        if self.entry.parquet {
            return Err(Error::unsupported("partition is stored as Parquet, which is not supported yet")
                .in_file(&self.path(snapshot).join(PARQUET_FILE))
                .hint("Restrict the query to native partitions, or read the file itself with read_parquet."));
        }
        let storage = match (column.column_type.storage(), column.column_type) {
            (Some(storage), _) => storage,
            (None, crate::types::ColumnType::Unknown(code)) => return Err(crate::types::unknown(code)),
            (None, other) => return Err(Error::unsupported(format!("type {other} cannot be read"))),
        };
        let (name_txn, top) = match snapshot.column_versions().state(self.entry.timestamp, column.writer_index)? {
            ColumnState::Absent => return Ok(ColumnRows::Absent),
            // Nothing is stored, so the files need not exist.
            ColumnState::Present { top, .. } if top >= self.rows() => return Ok(ColumnRows::Absent),
            ColumnState::Present { name_txn, top } => (name_txn, top),
        };
        let dir = self.path(snapshot);
        let files = snapshot.files();
        let needed = storage.needed(self.rows().saturating_sub(top));
        let open = |kind: &str, access: Access| {
            files.open(&dir.join(column.file_name(kind, name_txn)), access).map_err(|e| missing(e, files, &dir))
        };
        let source = match storage {
            Storage::Fixed(_) => ColumnSource { data: open("d", Access::Column { needed })?, aux: None, symbols },
            Storage::Offsets | Storage::Entries => {
                let aux = open("i", Access::Column { needed })?;
                ColumnSource { data: open("d", Access::ColumnOpenEnded)?, aux: Some(aux), symbols }
            }
        };
        Ok(ColumnRows::Stored { top, source })
    }

    /// Rows, ascending, that hold one of the symbol `keys`, from the bitmap index. `None` when there is no
    /// usable index, or when it lists more than `limit` rows.
    pub fn indexed_rows(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        keys: &[u32],
        limit: u64,
    ) -> Result<Option<Vec<u32>>> {
        if !column.record.indexed || self.entry.parquet {
            return Ok(None);
        }
        let ColumnState::Present { name_txn, .. } =
            snapshot.column_versions().state(self.entry.timestamp, column.writer_index)?
        else {
            return Ok(Some(Vec::new()));
        };
        let (dir, files) = (self.path(snapshot), snapshot.files());
        // Newer servers have other kinds of indexes, and a reader needs none: use it only when it is there.
        let open = |kind: &str| files.open(&dir.join(column.file_name(kind, name_txn)), Access::ColumnOpenEnded).ok();
        let (Some(k), Some(v)) = (open("k"), open("v")) else { return Ok(None) };
        let Ok(index) = BitmapIndex::open(k.as_ref(), v.as_ref()) else { return Ok(None) };
        let mut rows = Vec::new();
        let read = keys.iter().try_for_each(|key| {
            let listed = index.count(*key)?.saturating_add(rows.len() as u64);
            if listed > limit {
                return Err(Error::unsupported("index is not selective"));
            }
            index.rows(*key, self.rows(), &mut rows)
        });
        if read.is_err() {
            return Ok(None);
        }
        rows.sort_unstable();
        Ok(Some(rows))
    }
}

/// Says what is really missing when a column file could not be opened.
fn missing(error: Error, files: &dyn Files, dir: &Path) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    match files.kind(dir) {
        Ok(Some(FileKind::Directory)) => error.hint("The column file is missing from its partition."),
        Ok(Some(_)) => Error::corrupt("partition is not a directory", "a directory", "a file").in_file(dir),
        Ok(None) => Error::new(ErrorKind::NotFound, "partition directory does not exist").in_file(dir),
        Err(error) => error,
    }
}
