//! A row group at work: its needed rows, column by column.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::column::{ColumnAtWork, Instructions, Kept, Values};
use super::fetch::{fetch, Fetched, FetchedColumn};
use super::file::{ColumnKind, FileColumn};
use super::scan::{FileScan, Piece};
use crate::error::{Error, Result};
use crate::scan::{Damage, IntervalSet};
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
    /// Opens a row group. `buffers` is memory for its column chunks; `out_of_patience` asks for its first row if none is needed.
    pub(super) fn new(
        piece: Piece,
        scan: &FileScan,
        out_of_patience: bool,
        buffers: &mut Vec<Vec<u8>>,
    ) -> Result<Self> {
        let file = Arc::clone(&piece.file);
        let place = |e: Error| e.in_file(file.file.path());
        Self::try_new(piece, scan, out_of_patience, buffers).map_err(place)
    }

    fn try_new(
        mut piece: Piece,
        scan: &FileScan,
        out_of_patience: bool,
        buffers: &mut Vec<Vec<u8>>,
    ) -> Result<Self> {
        let file = &piece.file.file;
        let group = file.groups().get(piece.group).copied();
        let group =
            group.ok_or_else(|| Error::invalid_input(format!("file has no row group {}", piece.group)))?;
        let mut wanted: Vec<(usize, &FileColumn)> = Vec::new();
        for declared in scan.needed() {
            let Some(column) = piece.file.column(*declared) else { continue };
            match readable(column) {
                Ok(()) => wanted.push((*declared, column)),
                Err(error) => scan.damage().tolerate(error.in_file(file.path()), |e| e)?,
            }
        }
        wanted.sort_by_key(|(_, column)| column.root);
        let first_row = IntervalSet::between(0, 0);
        let mut selection = match piece.in_vain {
            true => Some(first_row),
            false => match scan.selection(&piece.file, piece.group, group.rows) {
                Some(none) if none.is_empty() && out_of_patience && !scan.damage().is_lenient() => {
                    piece.in_vain = true;
                    Some(first_row)
                }
                selection => selection,
            },
        };
        let (mut columns, mut parts) = (Vec::new(), Vec::new());
        let mut open = |wanted: &[(usize, &FileColumn)], selection: Option<&IntervalSet>| {
            let rows = (group.rows, selection, scan.options.block_rows);
            let (opened, memory) = open_columns(&piece, wanted, rows, buffers)?;
            columns.extend(opened);
            parts.extend(memory);
            Ok::<_, Error>(())
        };
        if scan.damage().is_lenient() {
            for column in &wanted {
                if let Err(error) = open(std::slice::from_ref(column), None) {
                    scan.damage().tolerate(error.in_file(file.path()), |e| e)?;
                }
            }
        } else if piece.in_vain {
            // What nobody asked for is no reason for an error.
            if open(&wanted, selection.as_ref()).is_err() {
                selection = Some(IntervalSet::none());
            }
        } else if selection.as_ref().is_none_or(|selection| !selection.is_empty()) {
            // Damage to an index, or to what it is of: all pages tell.
            if selection.as_ref().is_none_or(|some| open(&wanted, Some(some)).is_err()) {
                selection = None;
                open(&wanted, None)?;
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
        damage: &Damage,
    ) -> Result<Option<(u64, usize)>> {
        let next = self.try_next_rows(max_rows, kept, damage);
        match next {
            Err(_) if self.piece.in_vain => Ok(None),
            next => next,
        }
    }

    fn try_next_rows(
        &mut self,
        max_rows: usize,
        kept: &mut Vec<Kept>,
        damage: &Damage,
    ) -> Result<Option<(u64, usize)>> {
        let done = std::mem::take(&mut self.rows);
        let Some(range) = self.left.last_mut() else { return Ok(None) };
        let first_row = self.first_row.saturating_add(range.start);
        let together = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut rows = together.min(max_rows.max(1));
        let file = &self.piece.file;
        let mut damaged = Vec::new();
        for column in &mut self.columns {
            let Some(described) = file.column(column.declared) else { continue };
            if kept.len() <= column.declared {
                kept.resize_with(column.declared + 1, Kept::default);
            }
            let Some(kept) = kept.get_mut(column.declared) else { continue };
            let follow = column.next(range.start, done, described, kept, file.file.path());
            match follow.map_err(|e| e.in_column(&described.name)) {
                Ok(follow) => rows = rows.min(follow),
                Err(error) => {
                    let hint = format!("The damage is in row group {}.", self.piece.group);
                    damage.tolerate(error.in_file(file.file.path()).hint(hint), |e| e)?;
                    damaged.push(column.declared);
                }
            }
        }
        // NULL in the other rows of the group.
        self.columns.retain(|column| !damaged.contains(&column.declared));
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

/// Refuses a column that nobody can read.
fn readable(column: &FileColumn) -> Result<()> {
    match &column.kind {
        ColumnKind::Refused(reason) => {
            Err(Error::unsupported(format!("Parquet type cannot be read: {reason}"))
                .in_column(&column.name)
                .hint("Leave the column out of the query, or set skip_unsupported_columns := true."))
        }
        ColumnKind::Quest(ColumnType::Unknown(code)) => {
            Err(crate::types::unknown(*code).in_column(&column.name))
        }
        _ => Ok(()),
    }
}

/// Reads the columns `wanted` of a row group, with their declared positions, and makes their decoders; `rows` is the number of
/// its rows, those that are needed, and how many a block has. Returns the memory of their chunks as well.
fn open_columns(
    piece: &Piece,
    wanted: &[(usize, &FileColumn)],
    (rows, selection, block_rows): (u64, Option<&IntervalSet>, usize),
    buffers: &mut Vec<Vec<u8>>,
) -> Result<(Vec<ColumnAtWork>, Vec<Bytes>)> {
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let file = &piece.file.file;
    let described: Vec<&FileColumn> = wanted.iter().map(|(_, column)| *column).collect();
    let Fetched { chunks, columns: read, dictionaries, pages } =
        fetch(piece, &described, rows, selection, buffers)?;
    let needed: Option<Vec<Range<u64>>> = selection.map(|selection| rows_of(selection).collect());
    let (reader, group) = match pages {
        None => (file.with_dictionaries(&dictionaries)?, piece.group),
        Some(pages) => (file.with_pages(piece.group, pages, &dictionaries)?, 0),
    };
    let source = &file.source;
    let how = Instructions { source, reader, group, rows, needed: needed.as_deref(), block_rows };
    let (mut columns, mut parts) = (Vec::new(), Vec::new());
    for ((declared, column), FetchedColumn { parts: memory, flat }) in wanted.iter().zip(read) {
        parts.extend(memory);
        let repeats = dictionaries.contains(&column.root);
        columns.push(ColumnAtWork::new(*declared, column, &chunks, flat, repeats, &how)?);
    }
    Ok((columns, parts))
}

/// The rows of a selection, range by range.
fn rows_of(selection: &IntervalSet) -> impl Iterator<Item = Range<u64>> + '_ {
    let row = |row: i64| u64::try_from(row).unwrap_or_default();
    selection.iter().map(move |interval| row(interval.start)..row(interval.end).saturating_add(1))
}
