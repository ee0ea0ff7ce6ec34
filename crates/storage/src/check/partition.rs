//! One partition: its directory, its files and, when the check is deep, every value.

use std::path::Path;
use std::sync::Arc;

use super::Report;
use crate::error::{Error, ErrorKind, Result};
use crate::format::bitmap_index::BitmapIndex;
use crate::format::column_versions::ColumnState;
use crate::parquet::{GroupCache, ParquetFile};
use crate::source::{Access, FileKind, Source};
use crate::table::{Column, ColumnRows, Partition, Snapshot};
use crate::types::{self, ColumnType, Discard, Rows, Scratch, NULL_KEY};

/// Rows that are read at once.
const BATCH: u64 = 16 * 1024;

/// First and last timestamp of a partition, when they were read.
pub(super) type Times = Option<(i64, i64)>;

/// Adds table and partition to an error.
pub(super) fn place(error: Error, snapshot: &Snapshot, partition: &Partition) -> Error {
    error.in_partition(&partition.directory()).in_table(snapshot.name())
}

pub(super) fn check(snapshot: &Snapshot, partition: &Partition, deep: bool, report: &mut Report) -> Times {
    let dir = partition.path(snapshot);
    let mut times = None;
    let mut note = |result: Result<Times>| match result {
        Ok(found) => times = found.or(times),
        Err(error) => report.error(place(error, snapshot, partition)),
    };
    if let Err(error) = directory(snapshot, &dir) {
        note(Err(error));
        return times;
    }
    if partition.entry.parquet {
        match ParquetFile::open(snapshot, partition) {
            Ok(file) => {
                let file = Arc::new(file);
                if deep {
                    parquet_values(snapshot, partition, &file, &mut note);
                }
                if let Some(shortfall) = file.shortfall() {
                    report.warning(shortfall.clone());
                }
            }
            Err(error) => note(Err(error)),
        }
        return times;
    }
    for (index, column) in snapshot.columns().iter().enumerate() {
        // Damage to the symbol table was found before.
        let Ok(symbols) = snapshot.symbols(index) else { continue };
        let opened = match partition.open_column(snapshot, column, symbols) {
            Ok(opened) => opened,
            // Unknown types were found before.
            Err(error) if error.kind() == ErrorKind::Unsupported => continue,
            Err(error) => {
                note(Err(error));
                continue;
            }
        };
        let ColumnRows::Stored { top, source } = &opened else {
            if column.designated {
                let error = Error::corrupt("designated timestamp has no values", "one in each row", "none");
                note(Err(error.in_column(&column.name)));
            }
            continue;
        };
        let stored = partition.rows().saturating_sub(*top);
        let found = native_values(column, source, stored, if deep { stored } else { BATCH.min(stored) });
        note(found.map(|()| None).map_err(|e| e.in_column(&column.name)));
        if deep && column.designated {
            let path = source.data.path().to_owned();
            let found = timestamps(source.data.as_ref(), partition.rows(), None, partition);
            note(found.map_err(|e| e.in_file(&path).in_column(&column.name)));
        }
        if deep && column.record.indexed {
            let found = index_agrees(snapshot, partition, column, *top, source.data.as_ref());
            note(found.map(|()| None).map_err(|e| e.in_column(&column.name)));
        }
    }
    times
}

fn directory(snapshot: &Snapshot, dir: &Path) -> Result<()> {
    match snapshot.files().kind(dir)? {
        Some(FileKind::Directory) => Ok(()),
        Some(_) => Err(Error::corrupt("partition is not a directory", "a directory", "a file").in_file(dir)),
        None => Err(Error::new(ErrorKind::NotFound, "partition directory does not exist").in_file(dir)),
    }
}

/// Decodes the first `rows` of the `stored` values of a column, and the last one.
fn native_values(column: &Column, source: &types::ColumnSource, stored: u64, rows: u64) -> Result<()> {
    let (mut scratch, mut sink) = (Scratch::default(), Discard::default());
    let mut read = |start: u64, len: u64| {
        let rows = Rows::Range { start, len: len as usize };
        types::decode(column.column_type, false, source, rows, &mut scratch, &mut sink)
    };
    let mut start = 0;
    while start < rows {
        let len = BATCH.min(rows - start);
        read(start, len)?;
        start += len;
    }
    if rows < stored {
        read(stored - 1, 1)?;
    }
    Ok(())
}

/// Timestamps ascend from `previous` on and stay in the partition's unit of time. Returns the first and the last.
fn timestamps(source: &dyn Source, rows: u64, previous: Times, partition: &Partition) -> Result<Times> {
    let mut times = previous;
    let mut bytes = Vec::new();
    let mut row = 0;
    while row < rows {
        let len = BATCH.min(rows - row);
        bytes.resize(len as usize * 8, 0);
        source.read_into(row * 8, &mut bytes)?;
        for (i, value) in bytes.as_chunks::<8>().0.iter().enumerate() {
            let (value, at) = (i64::from_le_bytes(*value), (row + i as u64) * 8);
            let (first, last) = times.unwrap_or((value, value));
            if value < last {
                return Err(
                    Error::corrupt("timestamps must ascend", format_args!("{last} or later"), value).at(at)
                );
            }
            if value < partition.lower || value > partition.upper {
                let expected = format!("{} to {}", partition.lower, partition.upper);
                return Err(Error::corrupt("timestamp is outside its partition", expected, value).at(at));
            }
            times = Some((first, value));
        }
        row += len;
    }
    Ok(times)
}

fn parquet_values(
    snapshot: &Snapshot,
    partition: &Partition,
    file: &Arc<ParquetFile>,
    note: &mut dyn FnMut(Result<Times>),
) {
    let (mut scratch, mut sink) = (Scratch::default(), Discard::default());
    for (index, column) in snapshot.columns().iter().enumerate() {
        if !file.has_column(index) || matches!(column.column_type, ColumnType::Unknown(_)) {
            continue;
        }
        let mut cache = GroupCache::default();
        let mut times = None;
        let mut read = || -> Result<Times> {
            for (position, group) in file.groups().iter().enumerate() {
                let mut row = 0;
                while row < group.rows {
                    let (decoded, span) = cache.values(file, index, position, row)?;
                    let len = span.end - span.start;
                    let rows = Rows::Range { start: 0, len: len as usize };
                    decoded.read(column.column_type, false, rows, &mut scratch, &mut sink)?;
                    if let Some(source) = decoded.native().filter(|_| column.designated) {
                        // The place in the decoded column says nothing about the file.
                        times = timestamps(source, len, times, partition).map_err(Error::without_offset)?;
                    }
                    row = span.end;
                }
            }
            Ok(times)
        };
        note(read().map_err(|e| e.in_file(file.source().path()).in_column(&column.name)));
    }
}

/// The bitmap index lists, for each symbol, the rows that hold it (docs/format.md §8.3).
fn index_agrees(
    snapshot: &Snapshot,
    partition: &Partition,
    column: &Column,
    top: u64,
    keys: &dyn Source,
) -> Result<()> {
    let versions = snapshot.column_versions();
    let ColumnState::Present { name_txn, .. } =
        versions.state(partition.entry.timestamp, column.writer_index)?
    else {
        return Ok(());
    };
    let dir = partition.path(snapshot);
    let open = |kind: &str| {
        let path = dir.join(column.file_name(kind, name_txn));
        match snapshot.files().kind(&path)? {
            None => Ok(None),
            Some(_) => snapshot.files().open(&path, Access::ColumnOpenEnded).map(Some),
        }
    };
    // Other kinds of indexes have other files; a reader needs none.
    let (Some(k), Some(v)) = (open("k")?, open("v")?) else { return Ok(()) };
    let index = BitmapIndex::open(k.as_ref(), v.as_ref())?;
    let symbols = column.symbols.as_ref().map_or(0, |symbols| symbols.count) as usize;
    let mut by_key: Vec<Vec<u32>> = vec![Vec::new(); symbols];
    let mut bytes = vec![0; usize::try_from(partition.rows().saturating_sub(top) * 4).unwrap_or_default()];
    keys.read_into(0, &mut bytes)?;
    for (row, key) in (top..).zip(bytes.as_chunks::<4>().0) {
        let key = i32::from_le_bytes(*key);
        if key != NULL_KEY {
            // Keys that are out of range were found before.
            if let Some(rows) = by_key.get_mut(key as u32 as usize) {
                rows.push(row as u32);
            }
        }
    }
    let mut listed = Vec::new();
    for (key, rows) in (0u32..).zip(&by_key) {
        listed.clear();
        index.rows(key, partition.rows(), &mut listed)?;
        if listed != *rows {
            let differs = listed.iter().zip(rows).take_while(|(a, b)| a == b).count();
            let row =
                |rows: &[u32]| rows.get(differs).map_or("no more row".to_owned(), |row| format!("row {row}"));
            let expected = format!("{} for symbol {key}", row(rows));
            return Err(
                Error::corrupt("index disagrees with its column", expected, row(&listed)).in_file(k.path())
            );
        }
    }
    Ok(())
}
