//! A row group at work: its needed rows, column by column.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::column::{ColumnAtWork, Instructions, Kept, Values};
use super::fetch::{fetch, Fetched, FetchedColumn};
use super::file::{ColumnKind, FileColumn};
use super::scan::{FileScan, Piece};
use crate::error::{Error, Result};
use crate::scan::IntervalSet;
use crate::types::ColumnType;

/// The row group at work.
pub(super) struct Group {
    pub(super) piece: Piece,
    /// Columns that the file has and that could be read, in the order of the file.
    columns: Vec<ColumnAtWork>,
    /// The memory of the column chunks.
    parts: Vec<Bytes>,
    /// First row in the file.
    first_row: u64,
    /// Needed rows that were not handed out yet, counted from the start of the group, the next ones last.
    left: Vec<Range<u64>>,
    /// Rows of the present chunk.
    rows: usize,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("piece", &self.piece).field("left", &self.left).finish_non_exhaustive()
    }
}

impl Group {
    /// Opens a row group. `buffers` is memory for its column chunks.
    pub(super) fn new(piece: Piece, scan: &FileScan, buffers: &mut Vec<Vec<u8>>) -> Result<Self> {
        let file = Arc::clone(&piece.file);
        let place = |e: Error| e.in_file(file.file.path());
        Self::try_new(piece, scan, buffers).map_err(place)
    }

    fn try_new(piece: Piece, scan: &FileScan, buffers: &mut Vec<Vec<u8>>) -> Result<Self> {
        let file = &piece.file.file;
        let group = file.groups().get(piece.group).copied();
        let group =
            group.ok_or_else(|| Error::invalid_input(format!("file has no row group {}", piece.group)))?;
        let mut wanted: Vec<(usize, &FileColumn)> = Vec::new();
        for declared in scan.needed() {
            let Some(column) = piece.file.column(*declared) else { continue };
            if let ColumnKind::Refused(reason) = &column.kind {
                return Err(Error::unsupported(format!("Parquet type cannot be read: {reason}"))
                    .in_column(&column.name)
                    .hint("Leave the column out of the query, or set skip_unsupported_columns := true."));
            }
            if let ColumnKind::Quest(ColumnType::Unknown(code)) = column.kind {
                return Err(crate::types::unknown(code).in_column(&column.name));
            }
            wanted.push((*declared, column));
        }
        wanted.sort_by_key(|(_, column)| column.root);
        let mut selection = scan.selection(&piece.file, piece.group, group.rows);
        let (mut columns, mut parts) = (Vec::new(), Vec::new());
        if !wanted.is_empty() && selection.as_ref().is_none_or(|selection| !selection.is_empty()) {
            let roots: Vec<&FileColumn> = wanted.iter().map(|(_, column)| *column).collect();
            let fetched = match &selection {
                None => None,
                // Damage to an index, or to what it is of: all pages tell.
                Some(some) => fetch(&piece, &roots, group.rows, Some(some), buffers).ok(),
            };
            let Fetched { chunks, columns: read, dictionaries, pages } = match fetched {
                Some(fetched) => fetched,
                None => {
                    selection = None;
                    fetch(&piece, &roots, group.rows, None, buffers)?
                }
            };
            let needed: Option<Vec<Range<u64>>> = selection.as_ref().map(|s| rows_of(s).collect());
            let (reader, position) = match pages {
                None => (file.with_dictionaries(&dictionaries)?, piece.group),
                Some(pages) => (file.with_pages(piece.group, pages, &dictionaries)?, 0),
            };
            let how = Instructions {
                source: &file.source,
                reader,
                group: position,
                rows: group.rows,
                needed: needed.as_deref(),
                block_rows: scan.options.block_rows,
            };
            for ((declared, column), FetchedColumn { parts: memory, flat }) in wanted.into_iter().zip(read) {
                parts.extend(memory);
                let repeats = dictionaries.contains(&column.root);
                columns.push(ColumnAtWork::new(declared, column, &chunks, flat, repeats, &how)?);
            }
        }
        let mut left: Vec<Range<u64>> = match &selection {
            None => std::iter::once(0..group.rows).collect(),
            Some(selection) => rows_of(selection).collect(),
        };
        left.reverse();
        Ok(Self { piece, columns, parts, first_row: group.first_row, left, rows: 0 })
    }

    /// The next rows, at most `max_rows`, which follow each other: the first one in the file, and their number. `None` at the
    /// end of the group.
    pub(super) fn next_rows(
        &mut self,
        max_rows: usize,
        kept: &mut Vec<Kept>,
    ) -> Result<Option<(u64, usize)>> {
        let done = std::mem::take(&mut self.rows);
        let Some(range) = self.left.last_mut() else { return Ok(None) };
        let first_row = self.first_row.saturating_add(range.start);
        let together = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut rows = together.min(max_rows.max(1));
        let file = &self.piece.file;
        for column in &mut self.columns {
            let Some(described) = file.column(column.declared) else { continue };
            if kept.len() <= column.declared {
                kept.resize_with(column.declared + 1, Kept::default);
            }
            let Some(kept) = kept.get_mut(column.declared) else { continue };
            let follow = column.next(range.start, done, described, kept, file.file.path());
            let follow = follow.map_err(|error| {
                let hint = format!("The damage is in row group {}.", self.piece.group);
                error.in_file(file.file.path()).hint(hint)
            })?;
            rows = rows.min(follow);
        }
        self.rows = rows;
        range.start += rows as u64;
        if range.is_empty() {
            self.left.pop();
        }
        Ok(Some((first_row, rows)))
    }

    /// The values of a declared column in the present block, and where the rows of the present chunk begin.
    pub(super) fn values(&self, declared: usize) -> Option<(&Values, usize)> {
        self.columns.iter().find(|column| column.declared == declared)?.values()
    }

    /// The memory of the column chunks, as far as no array refers to it any more.
    pub(super) fn into_buffers(self, kept: &mut [Kept]) -> Vec<Vec<u8>> {
        let Self { columns, parts, .. } = self;
        for column in columns {
            if let Some(kept) = kept.get_mut(column.declared) {
                column.put_back(kept);
            }
        }
        parts.into_iter().filter(Bytes::is_unique).map(Vec::from).collect()
    }
}

/// The rows of a selection, range by range.
fn rows_of(selection: &IntervalSet) -> impl Iterator<Item = Range<u64>> + '_ {
    let row = |row: i64| u64::try_from(row).unwrap_or_default();
    selection.iter().map(move |interval| row(interval.start)..row(interval.end).saturating_add(1))
}
