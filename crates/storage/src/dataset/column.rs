//! One column of a row group at work: decoded block by block, each when its first row is asked for.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelectionPolicy,
};
use ::parquet::arrow::ProjectionMask;
use ::parquet::errors::ParquetError;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::convert::convert;
use super::fetch::{Chunks, FlatPages};
use super::file::{ColumnKind, FileColumn};
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::parquet::{
    check_text, chunk_bytes, guarded, Decoded, FlatChunk, GroupColumn, Pool, Stored, Stretch,
};
use crate::source::Source;
use crate::types::ColumnType;

/// A column of a row group.
pub(super) struct ColumnAtWork {
    /// Position among the declared columns.
    pub(super) declared: usize,
    decoder: Decoder,
    block: Option<Values>,
    /// Which span of the pages the block is, and the memory that it lies in.
    span: Option<usize>,
    memory: Vec<Buffer>,
    /// Rows of the block, and where in it the rows of the present chunk begin.
    rows: usize,
    at: usize,
}

/// How a column is decoded.
enum Decoder {
    Arrow(Box<ParquetRecordBatchReader>),
    /// As in Parquet partitions.
    Flat(Box<FlatColumn>),
}

/// Pages of the kind that [`FlatChunk`] decodes.
struct FlatColumn {
    chunk: FlatChunk,
    column_type: ColumnType,
    /// Rows of the pages that were read, and how many rows of such pages there are before.
    places: Vec<(Range<u64>, u64)>,
}

impl FlatColumn {
    fn open(
        column: &FileColumn,
        pages: FlatPages,
        repeats: bool,
        how: &Instructions<'_>,
    ) -> Result<Option<Self>> {
        let column_type = match &column.kind {
            // Symbols are text that may have a dictionary, like any other.
            kind if kind.is_text() && repeats => ColumnType::Symbol,
            kind if kind.is_text() => ColumnType::Varchar,
            ColumnKind::Quest(column_type) => *column_type,
            _ => return Ok(None),
        };
        let group = how.reader.metadata().row_groups().get(how.group);
        let chunk = group.and_then(|group| group.columns().get(pages.leaf));
        let field = how.reader.schema().fields().get(column.root);
        let Some((chunk, field)) = chunk.zip(field) else { return Ok(None) };
        let mut before = 0;
        let mut places = Vec::with_capacity(pages.rows.len());
        for rows in pages.rows {
            let len = rows.end - rows.start;
            places.push((rows, before));
            before += len;
        }
        let start = chunk_bytes(chunk).start;
        let stored = Stored::of(how.source, Stretch { start, bytes: pages.bytes });
        let pages = (&stored, pages.headers);
        let chunk = FlatChunk::open(column_type, field.data_type(), chunk, pages, before, None)?;
        Ok(chunk.map(|chunk| Self { chunk, column_type, places }))
    }

    /// The place of row `row` of the row group among the rows of the pages.
    fn place(&self, row: u64) -> Option<u64> {
        let position = self.places.partition_point(|(rows, _)| rows.end <= row);
        let (rows, before) = self.places.get(position)?;
        Some(row.checked_sub(rows.start)? + before)
    }
}

/// Rows of a column, decoded.
#[derive(Debug)]
pub(super) enum Values {
    Quest(ColumnType, GroupColumn),
    Plain(ArrayRef),
}

/// The symbols of the last block of a column: blocks of a row group share their dictionary.
#[derive(Debug)]
struct KnownSymbols {
    texts: ArrayRef,
    table: Arc<SymbolTable>,
}

/// What a thread keeps of a column from row group to row group.
#[derive(Debug, Default)]
pub(super) struct Kept {
    symbols: Option<KnownSymbols>,
    pool: Pool,
}

/// What is decoded of a row group.
pub(super) struct Instructions<'a> {
    pub(super) source: &'a Arc<dyn Source>,
    pub(super) reader: ArrowReaderMetadata,
    /// Position of the row group in `reader`, and its rows.
    pub(super) group: usize,
    pub(super) rows: u64,
    /// Needed rows, unless all are needed.
    pub(super) needed: Option<&'a [Range<u64>]>,
    /// Rows of a block, at most.
    pub(super) block_rows: usize,
}

impl ColumnAtWork {
    /// Makes the decoder of `column`, whose chunks are among `chunks`. `repeats` says that it is text with few values.
    pub(super) fn new(
        declared: usize,
        column: &FileColumn,
        chunks: &Chunks,
        pages: Option<FlatPages>,
        repeats: bool,
        how: &Instructions<'_>,
    ) -> Result<Self> {
        let place = |e: Error| e.in_column(&column.name);
        let flat = match pages {
            Some(pages) => FlatColumn::open(column, pages, repeats, how).map_err(place)?,
            None => None,
        };
        let decoder = match flat {
            Some(flat) => Decoder::Flat(Box::new(flat)),
            None => Decoder::Arrow(Box::new(arrow_decoder(column, chunks.clone(), how).map_err(place)?)),
        };
        Ok(Self { declared, decoder, block: None, span: None, memory: Vec::new(), rows: 0, at: 0 })
    }

    /// Goes on with row `row` of the row group, `done` rows behind the last one; returns how many rows follow in the block,
    /// which is decoded if it is a new one.
    pub(super) fn next(
        &mut self,
        row: u64,
        done: usize,
        column: &FileColumn,
        kept: &mut Kept,
        path: &Path,
    ) -> Result<usize> {
        self.at += done;
        match &mut self.decoder {
            Decoder::Arrow(decoder) => {
                if self.at >= self.rows {
                    // The old block goes before the new one is made.
                    self.block = None;
                    (self.at, self.rows) = (0, 0);
                    let array = decode(decoder)?;
                    check_text(array.as_ref())?;
                    self.rows = array.len();
                    self.block = Some(values(&array, column, &mut kept.symbols, path)?);
                }
            }
            Decoder::Flat(flat) => {
                let missing = || Error::invalid_input(format!("no page has row {row}"));
                let place = flat.place(row).ok_or_else(missing)?;
                let (position, rows) = flat.chunk.span_of(place).ok_or_else(missing)?;
                let at = usize::try_from(place - rows.start).unwrap_or(usize::MAX);
                if self.span != Some(position) {
                    self.block = None;
                    self.memory.drain(..).for_each(|memory| kept.pool.put(memory));
                    let Decoded { column, memory } =
                        flat.chunk.decode(position, false, path, &mut kept.pool)?;
                    (self.memory, self.span) = (memory, Some(position));
                    self.block = Some(Values::Quest(flat.column_type, column));
                }
                self.at = at;
                self.rows = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
            }
        }
        Ok(self.rows - self.at)
    }

    /// Gives the memory of its block back.
    pub(super) fn put_back(self, kept: &mut Kept) {
        drop(self.block);
        self.memory.into_iter().for_each(|memory| kept.pool.put(memory));
    }

    /// The values of the block, and where the rows of the present chunk begin.
    pub(super) fn values(&self) -> Option<(&Values, usize)> {
        self.block.as_ref().map(|block| (block, self.at))
    }
}

fn arrow_decoder(
    column: &FileColumn,
    chunks: Chunks,
    how: &Instructions<'_>,
) -> Result<ParquetRecordBatchReader> {
    let row = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
    let mask = ProjectionMask::roots(how.reader.parquet_schema(), [column.root]);
    guarded("row group", || {
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, how.reader.clone())
            .with_projection(mask)
            .with_row_groups(vec![how.group])
            .with_batch_size(row(how.rows).min(how.block_rows).max(1));
        if let Some(needed) = how.needed {
            let ranges = needed.iter().map(|range| row(range.start)..row(range.end));
            // A mask would decode what it leaves out.
            builder = builder
                .with_row_selection_policy(RowSelectionPolicy::Selectors)
                .with_row_selection(RowSelection::from_consecutive_ranges(ranges, row(how.rows)));
        }
        builder.build()
    })
}

fn decode(decoder: &mut ParquetRecordBatchReader) -> Result<ArrayRef> {
    let batch = guarded("column chunk", || decoder.next().transpose().map_err(ParquetError::from))?;
    let array = batch.and_then(|batch| batch.columns().first().map(Arc::clone));
    array.filter(|array| !array.is_empty()).ok_or_else(|| {
        let what = "column chunk has another number of rows than its row group";
        Error::corrupt(what, "more rows", "an end")
    })
}

/// Brings a decoded array into the form that is handed on.
fn values(
    array: &ArrayRef,
    column: &FileColumn,
    symbols: &mut Option<KnownSymbols>,
    path: &Path,
) -> Result<Values> {
    let quest = |column_type: ColumnType, table: Option<Arc<SymbolTable>>| {
        GroupColumn::new(column_type, false, array, table, path)
            .map(|column| Values::Quest(column_type, column))
    };
    match &column.kind {
        kind if kind.is_text() && matches!(array.data_type(), DataType::Dictionary(..)) => {
            quest(ColumnType::Symbol, Some(symbol_table(symbols, array)?))
        }
        ColumnKind::Quest(ColumnType::Symbol) => quest(ColumnType::Varchar, None),
        ColumnKind::Quest(column_type) => quest(*column_type, None),
        ColumnKind::Plain(plain) => {
            convert(array, &plain.convert, plain.field.data_type()).map(Values::Plain)
        }
        ColumnKind::Refused(reason) => Err(Error::unsupported(reason.clone())),
    }
}

/// The dictionary of a block as a symbol table.
fn symbol_table(known: &mut Option<KnownSymbols>, array: &ArrayRef) -> Result<Arc<SymbolTable>> {
    let wrong =
        || Error::corrupt("column has an unexpected Parquet type", "that of SYMBOL", array.data_type());
    let texts = array.as_dictionary_opt::<Int32Type>().ok_or_else(wrong)?.values();
    if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.texts, texts)) {
        return Ok(Arc::clone(&known.table));
    }
    let values = texts.as_string_opt::<i32>().ok_or_else(wrong)?;
    let table = Arc::new(SymbolTable::from_values(values.iter().map(Option::unwrap_or_default)));
    *known = Some(KnownSymbols { texts: Arc::clone(texts), table: Arc::clone(&table) });
    Ok(table)
}
