//! One thread's part of a scan: a row group is decoded in blocks, a block is handed out in chunks.

use std::path::Path;
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::arrow::ProjectionMask;
use ::parquet::errors::ParquetError;
use ::parquet::file::reader::{ChunkReader, Length};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use bytes::{Buf, Bytes};

use super::convert::convert;
use super::file::ColumnKind;
use super::scan::{FileScan, OpenFile, Piece};
use super::FoundFile;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::parquet::{check_pages, guarded, GroupColumn, Stretch};
use crate::types::{ColumnSink, ColumnType, Rows, Scratch, ValueType};

/// Text is handed out by its dictionary when each entry stands in so many rows at least.
const LEAST_REPETITION: u64 = 4;

/// Turns row groups into chunks of at most a given number of rows.
#[derive(Debug)]
pub struct FileReader {
    scan: Arc<FileScan>,
    group: Option<Group>,
    scratch: Scratch,
    symbols: Vec<Option<KnownSymbols>>,
    /// Memory of column chunks that are done with.
    buffers: Vec<Vec<u8>>,
}

/// The symbols of the last block of a column: blocks of a row group share their dictionary.
#[derive(Debug)]
struct KnownSymbols {
    texts: ArrayRef,
    table: Arc<SymbolTable>,
}

/// The row group at work.
struct Group {
    piece: Piece,
    decoder: Option<ParquetRecordBatchReader>,
    /// Declared columns in the order of the decoder's.
    order: Vec<usize>,
    /// The column chunks.
    parts: Vec<Bytes>,
    /// Rows of the group that are in no block yet.
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
    /// First row in the file.
    first_row: u64,
    rows: usize,
    used: usize,
    /// By declared column.
    columns: Vec<Option<BlockColumn>>,
}

#[derive(Debug)]
enum BlockColumn {
    Quest(ColumnType, GroupColumn),
    Plain(ArrayRef),
}

/// Rows of one file.
#[derive(Debug, Clone)]
pub struct FileChunk {
    file: Arc<OpenFile>,
    batch: u64,
    /// First row in the file, and in the block.
    first_row: u64,
    start: usize,
    rows: usize,
}

/// Where the values of a column are.
#[derive(Debug)]
pub enum Values {
    /// To be read into a sink for values of this type.
    Sink(ValueType),
    /// An array of the chunk's rows.
    Array(ArrayRef),
    /// The file does not have the column: NULL in every row.
    Missing,
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

impl FileChunk {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Position of its row group in the order of rows.
    pub fn batch(&self) -> u64 {
        self.batch
    }

    /// First row, counted from the start of the file; the others follow.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// Position of the file in the scan.
    pub fn file(&self) -> usize {
        self.file.index
    }
}

impl FileReader {
    /// A reader for one thread.
    pub fn new(scan: &Arc<FileScan>) -> Self {
        Self {
            scan: Arc::clone(scan),
            group: None,
            scratch: Scratch::default(),
            symbols: Vec::new(),
            buffers: Vec::new(),
        }
    }

    /// The next chunk of at most `max_rows` rows; `None` at the end. It ends with the next call.
    pub fn next_chunk(&mut self, max_rows: usize) -> Result<Option<FileChunk>> {
        loop {
            let Some(group) = &mut self.group else {
                match self.scan.claim()? {
                    None => return Ok(None),
                    Some(piece) => {
                        let open = Group::new(piece, &self.scan, &mut self.buffers);
                        self.group = Some(open?);
                        continue;
                    }
                }
            };
            if group.block.used < group.block.rows {
                let (start, block) = (group.block.used, &mut group.block);
                let rows = (block.rows - start).min(max_rows.max(1));
                block.used += rows;
                return Ok(Some(FileChunk {
                    file: Arc::clone(&group.piece.file),
                    batch: group.piece.batch,
                    first_row: block.first_row.saturating_add(start as u64),
                    start,
                    rows,
                }));
            }
            if group.left == 0 {
                if let Some(group) = self.group.take() {
                    self.buffers = group.into_buffers();
                }
                continue;
            }
            // The old block goes before the new one is made.
            group.block.columns.clear();
            group.next_block(&mut self.symbols).map_err(|e| group.place(e))?;
        }
    }

    /// The file of a chunk.
    pub fn found(&self, chunk: &FileChunk) -> Option<&FoundFile> {
        self.scan.found(chunk.file.index)
    }

    /// The values of the declared column `column` in `chunk`, which must be the last one.
    pub fn values(&self, chunk: &FileChunk, column: usize) -> Result<Values> {
        match self.column(column) {
            Some(BlockColumn::Quest(column_type, _)) => {
                let value_type = column_type.value_type(self.scan.options.raw_types);
                Ok(Values::Sink(value_type.unwrap_or(ValueType::Blob)))
            }
            Some(BlockColumn::Plain(array)) if chunk.start.saturating_add(chunk.rows) <= array.len() => {
                Ok(Values::Array(array.slice(chunk.start, chunk.rows)))
            }
            Some(BlockColumn::Plain(_)) => Err(Error::invalid_input("chunk is not that of the block")),
            None if self.scan.needed().contains(&column) => Ok(Values::Missing),
            None => Err(Error::invalid_input(format!("scan does not read column {column}"))),
        }
    }

    /// Appends the declared column `column` of `chunk`, which must be the last one, to `sink`.
    pub fn read<S: ColumnSink>(&mut self, chunk: &FileChunk, column: usize, sink: &mut S) -> Result<()> {
        let Self { group, scan, scratch, .. } = self;
        let block = group.as_ref().and_then(|group| group.block.columns.get(column));
        let Some(Some(BlockColumn::Quest(column_type, values))) = block else {
            return Err(Error::invalid_input(format!("column {column} is not for a sink")));
        };
        let rows = Rows::Range { start: chunk.start as u64, len: chunk.rows };
        let name = scan.declared(column).map(|column| column.name.as_str()).unwrap_or_default();
        values.read(*column_type, scan.options.raw_types, rows, scratch, sink).map_err(|e| e.in_column(name))
    }

    fn column(&self, column: usize) -> Option<&BlockColumn> {
        self.group.as_ref()?.block.columns.get(column)?.as_ref()
    }
}

impl Group {
    fn new(piece: Piece, scan: &FileScan, buffers: &mut Vec<Vec<u8>>) -> Result<Self> {
        let file = Arc::clone(&piece.file);
        let place = |e: Error| e.in_file(file.file.path());
        Self::try_new(piece, scan, buffers).map_err(place)
    }

    fn try_new(piece: Piece, scan: &FileScan, buffers: &mut Vec<Vec<u8>>) -> Result<Self> {
        let file = &piece.file.file;
        let rows = file.groups().get(piece.group).copied();
        let rows =
            rows.ok_or_else(|| Error::invalid_input(format!("file has no row group {}", piece.group)))?;
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
        let (decoder, parts) = match wanted.is_empty() {
            true => (None, Vec::new()),
            false => {
                let (decoder, parts) = decoder(&piece, &wanted, rows.rows, scan.options.block_rows, buffers)?;
                (Some(decoder), parts)
            }
        };
        let order = wanted.into_iter().map(|(declared, _)| declared).collect();
        let block = Block { first_row: rows.first_row, ..Block::default() };
        Ok(Self { piece, decoder, order, parts, left: rows.rows, block })
    }

    /// The memory of the column chunks, as far as no array refers to it any more.
    fn into_buffers(self) -> Vec<Vec<u8>> {
        let Self { decoder, block, parts, .. } = self;
        drop((decoder, block));
        parts.into_iter().filter(Bytes::is_unique).map(Vec::from).collect()
    }

    fn place(&self, error: Error) -> Error {
        let group = self.piece.group;
        error.in_file(self.piece.file.file.path()).hint(format!("The damage is in row group {group}."))
    }

    fn next_block(&mut self, symbols: &mut Vec<Option<KnownSymbols>>) -> Result<()> {
        self.block.first_row = self.block.first_row.saturating_add(self.block.rows as u64);
        self.block.used = 0;
        let Some(decoder) = &mut self.decoder else {
            self.block.rows = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.left = 0;
            return Ok(());
        };
        let batch = guarded("column chunk", || decoder.next().transpose().map_err(ParquetError::from))?;
        let short = |found: u64| {
            Error::corrupt("column chunk has another number of rows than its row group", "more rows", found)
        };
        let batch = batch.filter(|batch| batch.num_rows() > 0).ok_or_else(|| short(self.block.first_row))?;
        let rows = batch.num_rows();
        self.left = self.left.checked_sub(rows as u64).ok_or_else(|| short(self.left))?;
        self.block.rows = rows;
        let file = &self.piece.file;
        for (declared, array) in self.order.iter().zip(batch.columns()) {
            let column = file.columns.get(*declared).copied().flatten();
            let Some(column) = column.and_then(|index| file.file.columns().get(index)) else { continue };
            let place = |e: Error| e.in_column(&column.name);
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

/// Reads and checks the column chunks of a row group, and makes the decoder for them.
fn decoder(
    piece: &Piece,
    wanted: &[(usize, usize)],
    rows: u64,
    block_rows: usize,
    buffers: &mut Vec<Vec<u8>>,
) -> Result<(ParquetRecordBatchReader, Vec<Bytes>)> {
    let file = &piece.file.file;
    let metadata = file.reader.metadata();
    let absent = || Error::corrupt("row group lacks column chunks", "one for each column", "fewer");
    let group = metadata.row_groups().get(piece.group).ok_or_else(absent)?;
    let mut parts = Vec::new();
    let mut dictionaries = Vec::new();
    for (_, root) in wanted {
        let Some(column) = file.columns().iter().find(|column| column.root == *root) else { continue };
        for leaf in column.leaves.clone() {
            let chunk = group.columns().get(leaf).ok_or_else(absent)?;
            if let Some(other) = chunk.file_path().filter(|other| !other.is_empty()) {
                return Err(Error::unsupported(format!("column chunk is in another file, \"{other}\""))
                    .in_column(&column.name)
                    .hint("Read that file instead."));
            }
            let start = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
            let start = start.unwrap_or_else(|| chunk.data_page_offset());
            let (start, len) = (
                u64::try_from(start).unwrap_or(u64::MAX),
                u64::try_from(chunk.compressed_size()).unwrap_or(u64::MAX),
            );
            let place = |e: Error| e.in_column(&column.name);
            let buffer = buffers.pop().unwrap_or_default();
            let stretch = Stretch::read(file.source.as_ref(), start, len, buffer).map_err(place)?;
            let flat = file
                .reader
                .parquet_schema()
                .columns()
                .get(leaf)
                .is_some_and(|leaf| leaf.max_rep_level() == 0);
            let pages = check_pages(&stretch.bytes, flat.then_some(rows))
                .map_err(|e| place(e.shift_offset(start)))?;
            let repeats =
                pages.dictionary.is_some_and(|entries| entries.saturating_mul(LEAST_REPETITION) <= rows);
            if flat && repeats && column.kind.is_text() {
                dictionaries.push(*root);
            }
            parts.push(stretch);
        }
    }
    parts.sort_by_key(|part: &Stretch| part.start);
    let bytes = parts.iter().map(|part| part.bytes.clone()).collect();
    let chunks = Chunks { parts: parts.into(), len: file.source.len() };
    let roots = wanted.iter().map(|(_, root)| *root);
    let mask = ProjectionMask::roots(file.reader.parquet_schema(), roots);
    let batch = usize::try_from(rows).unwrap_or(usize::MAX).min(block_rows).max(1);
    let reader = file.with_dictionaries(&dictionaries)?;
    let decoder = guarded("row group", || {
        ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, reader)
            .with_projection(mask)
            .with_row_groups(vec![piece.group])
            .with_batch_size(batch)
            .build()
    })?;
    Ok((decoder, bytes))
}

/// The column chunks of a row group, by their offsets in the file.
#[derive(Debug, Clone)]
struct Chunks {
    parts: Arc<[Stretch]>,
    len: u64,
}

impl Chunks {
    fn part(&self, start: u64) -> std::result::Result<&Stretch, ParquetError> {
        let behind = self.parts.partition_point(|part| part.start <= start);
        let part = behind.checked_sub(1).and_then(|index| self.parts.get(index));
        part.ok_or_else(|| ParquetError::EOF(format!("read at {start} leaves the column chunks")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> std::result::Result<Self::T, ParquetError> {
        let part = self.part(start)?;
        let from = usize::try_from(start - part.start).unwrap_or(usize::MAX).min(part.bytes.len());
        Ok(part.bytes.slice(from..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, ParquetError> {
        self.part(start)?.get_bytes(start, length)
    }
}
