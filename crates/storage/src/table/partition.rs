//! A partition of a snapshot, and where the rows of its columns are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::column::Column;
use super::snapshot::Snapshot;
use super::table::directory_size;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bitmap_index::BitmapIndex;
use crate::format::column_versions::{ColumnState, ColumnVersions};
use crate::format::meta::{self, Meta};
use crate::format::partition_name;
use crate::format::symbol_table::SymbolTable;
use crate::format::txn::{PartitionEntry, Txn};
use crate::parquet::ParquetFile;
use crate::source::{Access, FileKind, Files};
use crate::types::{ColumnSource, ColumnType, Storage, TimeUnit};

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
        match snapshot.loose_partition() {
            Some(dir) => dir.to_owned(),
            None => snapshot.dir().join(self.directory()),
        }
    }

    /// Total length of the files in the directory; 0 when there is none.
    pub fn disk_size(&self, snapshot: &Snapshot) -> u64 {
        directory_size(&self.path(snapshot), snapshot.files(), 0)
    }

    /// First and last value of the designated timestamp, in its unit, as the column's file has them, or the
    /// statistics of a Parquet partition. `None` without rows and without a designated timestamp.
    ///
    /// # Errors
    /// A file that is missing, too short, or whose values are not those of this partition.
    pub fn time_range(&self, snapshot: &Snapshot) -> Result<Option<(i64, i64)>> {
        let designated = snapshot.timestamp().and_then(|i| Some((i, snapshot.columns().get(i)?)));
        let Some((index, column)) = designated.filter(|_| self.rows() > 0) else {
            return Ok(None);
        };
        if self.entry.parquet {
            let file = Arc::new(ParquetFile::open(snapshot, self)?);
            let place = |e: Error| e.in_partition(&self.directory()).in_table(snapshot.name());
            return file.first_and_last(index).map_err(place);
        }
        self.try_time_range(snapshot, column)
            .map(Some)
            .map_err(|e| e.in_column(&column.name).in_partition(&self.directory()).in_table(snapshot.name()))
    }

    fn try_time_range(&self, snapshot: &Snapshot, column: &Column) -> Result<(i64, i64)> {
        let state = snapshot.column_versions().state(self.entry.timestamp, column.writer_index)?;
        let ColumnState::Present { name_txn, top: 0 } = state else {
            return Err(Error::corrupt(
                "designated timestamp has no values",
                "one in each row",
                "a column top",
            ));
        };
        let path = self.path(snapshot).join(column.file_name("d", name_txn));
        let (first, last) = first_and_last(snapshot.files(), &path, self.rows())?;
        if first < self.lower || last > self.upper {
            return Err(Error::corrupt(
                "timestamps lie outside their partition",
                format_args!("{} to {}", self.lower, self.upper),
                format_args!("{first} to {last}"),
            )
            .in_file(&path));
        }
        Ok((first, last))
    }

    /// Opens the files of `column` in a native partition ([`crate::parquet`] reads the others). `symbols` is the
    /// table of a SYMBOL column.
    ///
    /// # Errors
    /// Parquet partitions, unknown types, missing and short files.
    pub fn open_column(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        symbols: Option<Arc<SymbolTable>>,
    ) -> Result<ColumnRows> {
        self.try_open(snapshot, column, symbols, true)
            .map_err(|e| e.in_column(&column.name).in_partition(&self.directory()).in_table(snapshot.name()))
    }

    /// Opens the column's files; `whole` demands that they hold all rows.
    pub(super) fn try_open(
        &self,
        snapshot: &Snapshot,
        column: &Column,
        symbols: Option<Arc<SymbolTable>>,
        whole: bool,
    ) -> Result<ColumnRows> {
        if self.entry.parquet {
            return Err(Error::invalid_input("a Parquet partition has no column files")
                .in_file(&self.path(snapshot).join(PARQUET_FILE)));
        }
        let storage = match (column.column_type.storage(), column.column_type) {
            (Some(storage), _) => storage,
            (None, ColumnType::Unknown(code)) => return Err(crate::types::unknown(code)),
            (None, other) => return Err(Error::unsupported(format!("type {other} cannot be read"))),
        };
        let (name_txn, top) =
            match snapshot.column_versions().state(self.entry.timestamp, column.writer_index)? {
                ColumnState::Absent => return Ok(ColumnRows::Absent),
                // Nothing is stored, so the files need not exist.
                ColumnState::Present { top, .. } if top >= self.rows() => return Ok(ColumnRows::Absent),
                ColumnState::Present { name_txn, top } => (name_txn, top),
            };
        let dir = self.path(snapshot);
        let files = snapshot.files();
        let needed = storage.needed(self.rows().saturating_sub(top));
        let entries = if whole { Access::Column { needed } } else { Access::ColumnOpenEnded };
        let open = |kind: &str, access: Access| {
            files
                .open(&dir.join(column.file_name(kind, name_txn)), access)
                .map_err(|e| missing(e, files, &dir))
        };
        let source = match storage {
            Storage::Fixed(_) => {
                ColumnSource { data: open("d", entries)?, aux: None, symbols, ascending: column.designated }
            }
            Storage::Offsets | Storage::Entries => {
                let aux = open("i", entries)?;
                ColumnSource {
                    data: open("d", Access::ColumnOpenEnded)?,
                    aux: Some(aux),
                    symbols,
                    ascending: false,
                }
            }
        };
        snapshot.note_opened();
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
        let open = |kind: &str| {
            files.open(&dir.join(column.file_name(kind, name_txn)), Access::ColumnOpenEnded).ok()
        };
        let (Some(k), Some(v)) = (open("k"), open("v")) else { return Ok(None) };
        snapshot.note_opened();
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

/// A directory that holds a partition, but not one of the table's: detached, or waiting to be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedPartition {
    /// Directory below the table's, which is the name that the server shows: `2024-02-28.detached`.
    pub directory: String,
    /// Whether it waits to be attached (`.attachable`).
    pub attachable: bool,
    /// What the directory's own `_txn` says; `None` when it has none that can be read. A directory that
    /// came from elsewhere need not have one.
    pub entry: Option<PartitionEntry>,
    /// First and last value of the designated timestamp; `None` where that cannot be told.
    pub time_range: Option<(i64, i64)>,
    /// Total length of the files.
    pub disk_size: u64,
}

impl DetachedPartition {
    /// All such directories of the table, sorted by name.
    pub fn list(snapshot: &Snapshot) -> Result<Vec<Self>> {
        let files = snapshot.files();
        let entries = files.list(snapshot.dir()).map_err(|e| e.in_table(snapshot.name()))?;
        let directories = entries.into_iter().filter(|e| e.kind == Some(FileKind::Directory));
        Ok(directories.filter_map(|e| Self::read(files, snapshot.dir(), e.name)).collect())
    }

    fn read(files: &dyn Files, table: &Path, directory: String) -> Option<Self> {
        let (name, kind) = directory.rsplit_once('.')?;
        let attachable = match kind {
            "detached" => false,
            "attachable" => true,
            _ => return None,
        };
        let dir = table.join(&directory);
        // The table does not depend on such a directory, so nothing in it may keep the others from being listed.
        let own = own_state(files, &dir, name).ok().flatten();
        let time_range =
            own.as_ref().and_then(|(meta, entry)| own_time_range(files, &dir, meta, entry).ok().flatten());
        let disk_size = directory_size(&dir, files, 0);
        Some(Self { attachable, entry: own.map(|(_, entry)| entry), time_range, disk_size, directory })
    }
}

/// What the metadata that the server left in the detached directory `dir` says about partition `name`.
fn own_state(files: &dyn Files, dir: &Path, name: &str) -> Result<Option<(Meta, PartitionEntry)>> {
    let meta = Meta::parse(&files.read_small(&dir.join("_meta"), meta::MAX_FILE_SIZE)?)?;
    let txn = Txn::read(files.open(&dir.join("_txn"), Access::Record)?.as_ref())?;
    let designated = meta.timestamp.and_then(|w| meta.records.get(w)).map(|r| r.column_type);
    let Some(ColumnType::Timestamp(unit)) = designated else { return Ok(None) };
    let is_it = |entry: &&PartitionEntry| is_named(entry, name, &meta, unit);
    Ok(txn.partitions.iter().find(is_it).copied().map(|entry| (meta, entry)))
}

fn is_named(entry: &PartitionEntry, name: &str, meta: &Meta, unit: TimeUnit) -> bool {
    partition_name::name(entry.timestamp, meta.partition_by, unit)
        .is_some_and(|own| own == name || partition_name::directory(&own, entry.name_txn) == name)
}

fn own_time_range(
    files: &dyn Files,
    dir: &Path,
    meta: &Meta,
    entry: &PartitionEntry,
) -> Result<Option<(i64, i64)>> {
    let designated = meta.timestamp.and_then(|w| Some((w, meta.records.get(w)?)));
    let Some((w, record)) = designated.filter(|_| entry.rows > 0 && !entry.parquet) else { return Ok(None) };
    let versions = ColumnVersions::read(files.open(&dir.join("_cv"), Access::Record)?.as_ref())?;
    let ColumnState::Present { name_txn, top: 0 } = versions.state(entry.timestamp, w)? else {
        return Ok(None);
    };
    let file = partition_name::directory(&format!("{}.d", record.name), name_txn);
    first_and_last(files, &dir.join(file), entry.rows).map(Some)
}

/// First and last of the `rows` timestamps in the file at `path`; there is at least one.
fn first_and_last(files: &dyn Files, path: &Path, rows: u64) -> Result<(i64, i64)> {
    let dir = path.parent().unwrap_or(path);
    // Two reads: mapping a file for them would cost more.
    let source = files.open(path, Access::Record).map_err(|e| missing(e, files, dir))?;
    let needed = Storage::Fixed(8).needed(rows);
    if source.len() < needed {
        return Err(Error::too_short(path, needed, source.len()));
    }
    let at = |offset: u64| {
        let mut value = [0u8; 8];
        source.read_into(offset, &mut value)?;
        Ok::<_, Error>(i64::from_le_bytes(value))
    };
    let last_offset = needed.saturating_sub(8);
    let (first, last) = (at(0)?, at(last_offset)?);
    if first > last {
        return Err(Error::corrupt(
            "timestamps must ascend",
            format_args!("{first} or more in the last row"),
            last,
        )
        .at(last_offset)
        .in_file(path));
    }
    Ok((first, last))
}

/// Says what is really missing when a column file could not be opened.
pub(crate) fn missing(error: Error, files: &dyn Files, dir: &Path) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    match files.kind(dir) {
        Ok(Some(FileKind::Directory)) => error.hint("The file is missing from its partition."),
        Ok(Some(_)) => Error::corrupt("partition is not a directory", "a directory", "a file").in_file(dir),
        Ok(None) => Error::new(ErrorKind::NotFound, "partition directory does not exist").in_file(dir),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::txn::tests::file as txn;
    use crate::table::table::tests::{meta, MemoryFiles};
    use crate::table::Table;

    const DAY: i64 = 86_400_000_000;

    fn timestamps(values: &[i64]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// A `_cv` without records.
    fn no_versions() -> Vec<u8> {
        vec![0; 40]
    }

    /// Two days: 2 rows as `1970-01-02`, 3 rows as `1970-01-03`.
    fn table() -> MemoryFiles {
        let mut files = MemoryFiles::default();
        files.add("/db/t~1/_meta", meta(true));
        files.add("/db/t~1/_cv", no_versions());
        files.add("/db/t~1/_txn", txn(1, 3, 2, &[(DAY, 2), (2 * DAY, 0)]));
        files.add("/db/t~1/1970-01-02/ts.d", timestamps(&[DAY + 5, DAY + 6, i64::MIN]));
        files.add("/db/t~1/1970-01-03/ts.d", timestamps(&[2 * DAY, 2 * DAY + 1, 2 * DAY + 2]));
        files
    }

    fn snapshot(files: MemoryFiles) -> Snapshot {
        Table::open_with(Path::new("/db/t~1"), Arc::new(files)).unwrap().snapshot().unwrap()
    }

    #[test]
    fn time_range_is_first_and_last_of_the_committed_rows() {
        let snapshot = snapshot(table());
        let ranges: Vec<_> = snapshot.partitions().iter().map(|p| p.time_range(&snapshot).unwrap()).collect();
        assert_eq!(ranges, [Some((DAY + 5, DAY + 6)), Some((2 * DAY, 2 * DAY + 2))]);
        assert_eq!(snapshot.partitions()[0].disk_size(&snapshot), 24);
    }

    #[test]
    fn rows_that_are_not_there_have_no_time_range() {
        let mut files = table();
        files.add("/db/t~1/_txn", txn(1, 0, 2, &[(DAY, 2 | 1 << 61), (2 * DAY, 0)]));
        let snapshot = snapshot(files);
        assert!(snapshot.partitions()[1].time_range(&snapshot).unwrap().is_none(), "no rows");
        let missing = snapshot.partitions()[0].time_range(&snapshot).unwrap_err().to_string();
        assert!(missing.contains("data.parquet"), "a Parquet partition's range is in its footer: {missing}");
    }

    #[test]
    fn timestamps_of_another_partition_and_descending_ones_are_refused() {
        for (values, text) in [
            (&[DAY + 5, 2 * DAY][..], "outside their partition: expected 86400000000 to 172799999999"),
            (&[DAY - 1, DAY], "outside their partition"),
            (&[DAY + 7, DAY + 6], "timestamps must ascend"),
            (&[DAY + 5], "file is too short: expected at least 16 bytes, found 8 bytes"),
        ] {
            let mut files = table();
            files.add("/db/t~1/1970-01-02/ts.d", timestamps(values));
            let snapshot = snapshot(files);
            let error = snapshot.partitions()[0].time_range(&snapshot).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
            let place =
                "(table \"t\", partition \"1970-01-02\", column \"ts\", file \"/db/t~1/1970-01-02/ts.d\"";
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn detached_directories_speak_for_themselves() {
        let mut files = table();
        for dir in ["1970-01-05.detached", "1970-01-06.attachable", "1970-01-07.detached"] {
            files.add(&format!("/db/t~1/{dir}/ts.d"), timestamps(&[4 * DAY, 4 * DAY + 9]));
        }
        let own = "/db/t~1/1970-01-05.detached";
        files.add(&format!("{own}/_meta"), meta(true));
        files.add(&format!("{own}/_cv"), no_versions());
        files.add(&format!("{own}/_txn"), txn(3, 7, 4, &[(DAY, 2), (4 * DAY, 2), (5 * DAY, 0)]));
        files.add("/db/t~1/1970-01-07.detached/_txn", vec![1; 100]);
        files.add("/db/t~1/notes.detached.txt/readme", Vec::new());
        files.add("/db/t~1/file.detached", Vec::new());
        let found = DetachedPartition::list(&snapshot(files)).unwrap();
        let shown = |p: &DetachedPartition| {
            (p.directory.clone(), p.attachable, p.entry.map(|e| e.rows), p.time_range, p.disk_size > 16)
        };
        assert_eq!(
            found.iter().map(shown).collect::<Vec<_>>(),
            [
                ("1970-01-05.detached".to_owned(), false, Some(2), Some((4 * DAY, 4 * DAY + 9)), true),
                ("1970-01-06.attachable".to_owned(), true, None, None, false),
                ("1970-01-07.detached".to_owned(), false, None, None, true),
            ]
        );
    }
}
