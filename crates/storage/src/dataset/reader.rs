//! One thread's part of a scan: a row group is decoded in blocks, a block is handed out in chunks.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::column::{Kept, Values as Decoded};
use super::group::Group;
use super::scan::{FileScan, OpenFile, PATIENCE};
use super::FoundFile;
use crate::error::{Error, Result};
use crate::parquet::GroupColumn;
use crate::scan::{salvage, Damaged};
use crate::types::{ColumnSink, ColumnType, Discard, Rows, Scratch, ValueType};

/// Turns row groups into chunks of at most a given number of rows.
#[derive(Debug)]
pub struct FileReader {
    scan: Arc<FileScan>,
    group: Option<Group>,
    scratch: Scratch,
    kept: Vec<Kept>,
    /// Memory of column chunks that are done with.
    buffers: Vec<Vec<u8>>,
    /// Row groups in a row that ended since rows were returned.
    fruitless: usize,
}

/// Rows of one file.
#[derive(Debug, Clone)]
pub struct FileChunk {
    file: Arc<OpenFile>,
    batch: u64,
    /// First row in the file.
    first_row: u64,
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
            kept: Vec::new(),
            buffers: Vec::new(),
            fruitless: 0,
        }
    }

    /// The next chunk of at most `max_rows` rows; `None` at the end. It ends with the next call.
    pub fn next_chunk(&mut self, max_rows: usize) -> Result<Option<FileChunk>> {
        loop {
            let Some(group) = &mut self.group else {
                match self.scan.claim()? {
                    None => return Ok(None),
                    Some(piece) => {
                        let out_of_patience = self.fruitless >= PATIENCE;
                        let open = Group::new(piece, &self.scan, out_of_patience, &mut self.buffers);
                        self.group = Some(open?);
                        continue;
                    }
                }
            };
            if let Some((first_row, rows)) = group.next_rows(max_rows, &mut self.kept, self.scan.damage())? {
                let (file, batch) = (Arc::clone(&group.piece.file), group.piece.batch);
                self.fruitless = 0;
                return Ok(Some(FileChunk { file, batch, first_row, rows }));
            }
            self.fruitless += 1;
            if let Some(group) = self.group.take() {
                self.buffers = group.into_buffers(&mut self.kept);
            }
        }
    }

    /// The file of a chunk.
    pub fn found(&self, chunk: &FileChunk) -> Option<&FoundFile> {
        self.scan.found(chunk.file.index)
    }

    /// The values of the declared column `column` in `chunk`, which must be the last one.
    pub fn values(&self, chunk: &FileChunk, column: usize) -> Result<Values> {
        match self.group.as_ref().and_then(|group| group.values(column)) {
            Some((Decoded::Quest(column_type, _), _)) => {
                let value_type = column_type.value_type(self.scan.options.raw_types);
                Ok(Values::Sink(value_type.unwrap_or(ValueType::Blob)))
            }
            Some((Decoded::Plain(array), at)) if at.saturating_add(chunk.rows) <= array.len() => {
                Ok(Values::Array(array.slice(at, chunk.rows)))
            }
            Some((Decoded::Plain(_), _)) => Err(Error::invalid_input("chunk is not the last one")),
            None if self.scan.needed().contains(&column) => Ok(Values::Missing),
            None => Err(Error::invalid_input(format!("scan does not read column {column}"))),
        }
    }

    /// Appends the declared column `column` of `chunk`, which must be the last one, to `sink`.
    pub fn read<S: ColumnSink>(&mut self, chunk: &FileChunk, column: usize, sink: &mut S) -> Result<()> {
        let Self { group, scan, scratch, .. } = self;
        let values = group.as_ref().and_then(|group| group.values(column));
        let Some((Decoded::Quest(column_type, values), at)) = values else {
            return Err(Error::invalid_input(format!("column {column} is not for a sink")));
        };
        let rows = Rows::Range { start: at as u64, len: chunk.rows };
        let mut values =
            ChunkValues { scan, file: &chunk.file, column, column_type: *column_type, values, scratch };
        if scan.options.lenient {
            return salvage(&mut values, rows, &mut Discard::default(), sink);
        }
        values.decode(rows, sink).map_err(|e| values.place(e))
    }
}

/// Values of a declared column in a chunk.
struct ChunkValues<'a> {
    scan: &'a FileScan,
    file: &'a OpenFile,
    column: usize,
    column_type: ColumnType,
    values: &'a GroupColumn,
    scratch: &'a mut Scratch,
}

impl Damaged for ChunkValues<'_> {
    fn decode<S: ColumnSink>(&mut self, rows: Rows<'_>, sink: &mut S) -> Result<()> {
        self.values.read(self.column_type, self.scan.options.raw_types, rows, self.scratch, sink)
    }

    fn place(&self, error: Error) -> Error {
        let name = self.scan.declared(self.column).map(|column| column.name.as_str()).unwrap_or_default();
        error.in_column(name).in_file(self.file.file.path())
    }

    fn tolerate(&self, error: Error) -> Result<()> {
        self.scan.damage().tolerate(self.place(error), |e| e)
    }
}
