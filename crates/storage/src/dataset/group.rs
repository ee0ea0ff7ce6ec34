//! A row group at work: its needed rows are decoded in blocks.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelectionPolicy,
};
use ::parquet::arrow::ProjectionMask;
use ::parquet::errors::ParquetError;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use bytes::Bytes;

use super::convert::convert;
use super::fetch::{fetch, Fetched};
use super::file::ColumnKind;
use super::scan::{FileScan, Piece};
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::parquet::{check_text, guarded, GroupColumn};
use crate::scan::IntervalSet;
use crate::types::ColumnType;

/// The row group at work.
pub(super) struct Group {
    pub(super) piece: Piece,
    decoder: Option<ParquetRecordBatchReader>,
    /// Declared columns in the order of the decoder's.
    order: Vec<usize>,
    /// The memory of the column chunks.
    parts: Vec<Bytes>,
    /// First row in the file.
    first_row: u64,
    /// Needed rows that were not handed out yet, counted from the start of the group, the next ones last.
    ranges: Vec<Range<u64>>,
    /// Needed rows that are in no block yet.
    left: u64,
    block: Block,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("piece", &self.piece).field("left", &self.left).finish_non_exhaustive()
    }
}

/// Rows that are decoded.
#[derive(Debug, Default)]
struct Block {
    rows: usize,
    used: usize,
    /// By declared column.
    columns: Vec<Option<BlockColumn>>,
}

/// A column of a block.
#[derive(Debug)]
pub(super) enum BlockColumn {
    Quest(ColumnType, GroupColumn),
    Plain(ArrayRef),
}

/// The symbols of the last block of a column: blocks of a row group share their dictionary.
#[derive(Debug)]
pub(super) struct KnownSymbols {
    texts: ArrayRef,
    table: Arc<SymbolTable>,
}

/// Rows of a group that follow each other in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    /// First row in the file, and in the block.
    pub(super) first_row: u64,
    pub(super) start: usize,
    pub(super) rows: usize,
}

impl BlockColumn {
    fn quest(
        column_type: ColumnType,
        array: &ArrayRef,
        table: Option<Arc<SymbolTable>>,
        path: &Path,
    ) -> Result<Self> {
        GroupColumn::new(column_type, false, array, table, path)
            .map(|column| Self::Quest(column_type, column))
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
        // Declared column and position in the file, in the order of the file.
        let mut wanted: Vec<(usize, usize)> = Vec::new();
        for declared in scan.needed() {
            let Some(index) = piece.file.columns.get(*declared).copied().flatten() else { continue };
            let Some(column) = file.columns().get(index) else { continue };
            if let ColumnKind::Refused(reason) = &column.kind {
                return Err(Error::unsupported(format!("Parquet type cannot be read: {reason}"))
                    .in_column(&column.name)
                    .hint("Leave the column out of the query, or set skip_unsupported_columns := true."));
            }
            if let ColumnKind::Quest(ColumnType::Unknown(code)) = column.kind {
                return Err(crate::types::unknown(code).in_column(&column.name));
            }
            wanted.push((*declared, column.root));
        }
        wanted.sort_by_key(|(_, root)| *root);
        let roots: Vec<usize> = wanted.iter().map(|(_, root)| *root).collect();
        let order = wanted.into_iter().map(|(declared, _)| declared).collect();
        let mut selection = scan.selection(&piece.file, piece.group, group.rows);
        let (mut decoder, mut parts) = (None, Vec::new());
        if !roots.is_empty() && selection.as_ref().is_none_or(|selection| !selection.is_empty()) {
            let fetched = match &selection {
                None => None,
                // Damage to an index, or to what it is of: all pages tell.
                Some(some) => fetch(&piece, &roots, group.rows, Some(some), buffers).ok(),
            };
            let fetched = match fetched {
                Some(fetched) => fetched,
                None => {
                    selection = None;
                    fetch(&piece, &roots, group.rows, None, buffers)?
                }
            };
            parts = fetched.parts.clone();
            let block_rows = scan.options.block_rows;
            decoder =
                Some(make_decoder(&piece, &roots, group.rows, selection.as_ref(), block_rows, fetched)?);
        }
        let ranges = match &selection {
            None => std::iter::once(0..group.rows).collect(),
            Some(selection) => {
                let mut ranges: Vec<Range<u64>> = rows_of(selection).collect();
                ranges.reverse();
                ranges
            }
        };
        let left = ranges.iter().map(|range| range.end - range.start).sum();
        let block = Block::default();
        Ok(Self { piece, decoder, order, parts, first_row: group.first_row, ranges, left, block })
    }

    /// The next rows of the block, at most `max_rows`; `None` when it has no more.
    pub(super) fn next_rows(&mut self, max_rows: usize) -> Option<Stretch> {
        let range = self.ranges.last_mut()?;
        let (start, first_row) = (self.block.used, self.first_row.saturating_add(range.start));
        let together = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let rows = (self.block.rows - start).min(together).min(max_rows.max(1));
        if rows == 0 {
            return None;
        }
        self.block.used += rows;
        range.start += rows as u64;
        if range.is_empty() {
            self.ranges.pop();
        }
        Some(Stretch { first_row, start, rows })
    }

    /// Whether all rows are in blocks.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// A column of the block.
    pub(super) fn column(&self, declared: usize) -> Option<&BlockColumn> {
        self.block.columns.get(declared)?.as_ref()
    }

    /// The memory of the column chunks, as far as no array refers to it any more.
    pub(super) fn into_buffers(self) -> Vec<Vec<u8>> {
        let Self { decoder, block, parts, .. } = self;
        drop((decoder, block));
        parts.into_iter().filter(Bytes::is_unique).map(Vec::from).collect()
    }

    /// Decodes the next block.
    pub(super) fn next_block(&mut self, symbols: &mut Vec<Option<KnownSymbols>>) -> Result<()> {
        // The old block goes before the new one is made.
        self.block.columns.clear();
        self.try_next_block(symbols).map_err(|error| {
            let group = self.piece.group;
            let hint = format!("The damage is in row group {group}.");
            error.in_file(self.piece.file.file.path()).hint(hint)
        })
    }

    fn try_next_block(&mut self, symbols: &mut Vec<Option<KnownSymbols>>) -> Result<()> {
        self.block.used = 0;
        let Some(decoder) = &mut self.decoder else {
            self.block.rows = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.left = 0;
            return Ok(());
        };
        let batch = guarded("column chunk", || decoder.next().transpose().map_err(ParquetError::from))?;
        let left = self.left;
        let short = || {
            let expected = format!("{left} more rows");
            Error::corrupt("column chunk has another number of rows than its row group", expected, "others")
        };
        let batch = batch.filter(|batch| batch.num_rows() > 0).ok_or_else(short)?;
        let rows = batch.num_rows();
        self.left = self.left.checked_sub(rows as u64).ok_or_else(short)?;
        self.block.rows = rows;
        let file = &self.piece.file;
        for (declared, array) in self.order.iter().zip(batch.columns()) {
            let column = file.columns.get(*declared).copied().flatten();
            let Some(column) = column.and_then(|index| file.file.columns().get(index)) else { continue };
            let place = |e: Error| e.in_column(&column.name);
            check_text(array.as_ref()).map_err(place)?;
            let decoded = match &column.kind {
                kind if kind.is_text() && matches!(array.data_type(), DataType::Dictionary(..)) => {
                    let table = symbol_table(symbols, *declared, array).map_err(place)?;
                    BlockColumn::quest(ColumnType::Symbol, array, Some(table), file.file.path())
                        .map_err(place)?
                }
                ColumnKind::Quest(ColumnType::Symbol) => {
                    BlockColumn::quest(ColumnType::Varchar, array, None, file.file.path()).map_err(place)?
                }
                ColumnKind::Quest(column_type) => {
                    BlockColumn::quest(*column_type, array, None, file.file.path()).map_err(place)?
                }
                ColumnKind::Plain(plain) => BlockColumn::Plain(
                    convert(array, &plain.convert, plain.field.data_type()).map_err(place)?,
                ),
                ColumnKind::Refused(_) => continue,
            };
            if self.block.columns.len() <= *declared {
                self.block.columns.resize_with(*declared + 1, || None);
            }
            if let Some(slot) = self.block.columns.get_mut(*declared) {
                *slot = Some(decoded);
            }
        }
        Ok(())
    }
}

/// The rows of a selection, range by range.
fn rows_of(selection: &IntervalSet) -> impl Iterator<Item = Range<u64>> + '_ {
    let row = |row: i64| u64::try_from(row).unwrap_or_default();
    selection.iter().map(move |interval| row(interval.start)..row(interval.end).saturating_add(1))
}

/// The decoder of what was read of a row group of `rows` rows.
fn make_decoder(
    piece: &Piece,
    roots: &[usize],
    rows: u64,
    selection: Option<&IntervalSet>,
    block_rows: usize,
    fetched: Fetched,
) -> Result<ParquetRecordBatchReader> {
    let file = &piece.file.file;
    let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
    let mask = ProjectionMask::roots(file.reader.parquet_schema(), roots.iter().copied());
    let (reader, group) = match fetched.pages {
        None => (file.with_dictionaries(&fetched.dictionaries)?, piece.group),
        Some(pages) => (file.with_pages(piece.group, pages, &fetched.dictionaries)?, 0),
    };
    guarded("row group", || {
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(fetched.chunks, reader)
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(row(rows).min(block_rows).max(1));
        if let Some(selection) = selection {
            let ranges = rows_of(selection).map(|range| row(range.start)..row(range.end));
            // A mask would decode what it leaves out.
            builder = builder
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, row(rows)));
        }
        builder.build()
    })
}

/// The dictionary of a block as a symbol table.
fn symbol_table(
    known: &mut Vec<Option<KnownSymbols>>,
    column: usize,
    array: &ArrayRef,
) -> Result<Arc<SymbolTable>> {
    let wrong =
        || Error::corrupt("column has an unexpected Parquet type", "that of SYMBOL", array.data_type());
    let texts = array.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?.values();
    if known.len() <= column {
        known.resize_with(column + 1, || None);
    }
    let slot = known.get_mut(column).ok_or_else(wrong)?;
    if let Some(known) = slot.as_ref().filter(|known| Arc::ptr_eq(&known.texts, texts)) {
        return Ok(Arc::clone(&known.table));
    }
    let values = texts.as_string_opt::<i32>().ok_or_else(wrong)?;
    let table = Arc::new(SymbolTable::from_values(values.iter().map(Option::unwrap_or_default)));
    *slot = Some(KnownSymbols { texts: Arc::clone(texts), table: Arc::clone(&table) });
    Ok(table)
}
