//! The scan of files: global and local state, chunks.

use std::sync::Arc;

use arrow_array::{new_null_array, ArrayRef};
use arrow_schema::FieldRef;
use duckdb_neo::connection::Context;
use duckdb_neo::data_chunk::DataChunkRef;
use duckdb_neo::Result;
use questdb_storage::dataset::{ColumnKind, FileChunk, FileReader, FileScan, Values};
use questdb_storage::scan::Literal;
use questdb_storage::types::{ColumnSink, ValueType};

use super::bind::BoundFiles;
use super::columns::{FileColumn, FileContent};
use super::keys::KeyType;
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::symbols::SymbolForm;
use crate::duckdb::vectors::{ColumnState, Output, VectorSink, CHUNK_ROWS};
use crate::duckdb::{arrays, arrow};
use crate::functions::read_partitions::columns::undeclared;
use crate::functions::read_partitions::scan::repeat;

/// What all threads of a scan share.
pub struct FilesGlobal {
    scan: Arc<FileScan>,
    /// Declared columns that are wanted, in order.
    projection: Arc<Vec<(usize, FileColumn)>>,
}

impl FilesGlobal {
    /// Starts a scan of the declared columns `columns`.
    pub fn new(bound: &BoundFiles, columns: Vec<usize>) -> Result<Self> {
        let column = |index: usize| bound.columns.get(index).cloned().ok_or_else(|| undeclared(index));
        let projection: Vec<(usize, FileColumn)> =
            columns.into_iter().map(|index| Ok((index, column(index)?))).collect::<Result<_>>()?;
        let is_data = |(_, column): &&(usize, FileColumn)| matches!(column.content, FileContent::Data(_));
        let needed = projection.iter().filter(is_data).map(|(index, _)| *index).collect();
        let scan = FileScan::new(
            Arc::clone(&bound.fs),
            Arc::clone(&bound.files),
            Arc::clone(&bound.scan_columns),
            needed,
            bound.filter(),
            bound.reading,
            bound.opened.clone(),
        );
        Ok(Self { scan, projection: Arc::new(projection) })
    }

    /// How many threads can work at once.
    pub fn parallelism(&self) -> usize {
        self.scan.parallelism()
    }

    /// What was found damaged since the last call.
    pub fn damage(&self) -> Vec<questdb_storage::Error> {
        self.scan.damage().take()
    }

    /// The part that was handed out, from 0 to 1.
    pub fn progress(&self) -> f64 {
        self.scan.progress()
    }
}

/// What one thread keeps from chunk to chunk.
pub struct FilesLocal {
    reader: FileReader,
    raw_types: bool,
    projection: Arc<Vec<(usize, FileColumn)>>,
    states: Vec<ColumnState>,
    /// Row group of the last chunk: its position in the order of rows.
    pub batch: u64,
}

impl FilesLocal {
    /// A thread's state.
    pub fn new(bound: &BoundFiles, global: &FilesGlobal) -> Self {
        let projection = Arc::clone(&global.projection);
        let states = projection.iter().map(|_| ColumnState::for_symbols(SymbolForm::Strings)).collect();
        Self {
            reader: FileReader::new(&global.scan),
            raw_types: bound.reading.raw_types,
            projection,
            states,
            batch: 0,
        }
    }

    /// Fills the next chunk; an empty one at the end of the scan.
    pub fn fill(&mut self, context: &Context, output: &DataChunkRef<'_>) -> Result<()> {
        let Some(chunk) = self.reader.next_chunk(CHUNK_ROWS).map_err(to_duckdb)? else {
            return Output::new(output, 0)?.end();
        };
        self.batch = chunk.batch();
        let output = Output::new(output, chunk.len())?;
        let mut arrays: Vec<(usize, FieldRef, ArrayRef)> = Vec::new();
        let projection = Arc::clone(&self.projection);
        for (index, (declared, column)) in projection.iter().enumerate() {
            let source = self.source(&chunk, *declared, column)?;
            let sink_type = match &source {
                Source::Import(field, array) => {
                    arrays.push((index, Arc::clone(field), Arc::clone(array)));
                    continue;
                }
                Source::Array(value_type, _) | Source::Sink(value_type) | Source::Nulls(value_type) => {
                    *value_type
                }
                Source::Added => added_type(column),
            };
            let state = self.states.get_mut(index).ok_or_else(|| undeclared(index))?;
            let mut sink = output.column(index, sink_type, state)?;
            match source {
                Source::Array(_, array) => arrays::write(&array, &mut sink),
                Source::Sink(_) => self.reader.read(&chunk, *declared, &mut sink),
                Source::Nulls(_) => sink.nulls(chunk.len()),
                Source::Added | Source::Import(..) => write_added(&self.reader, &chunk, column, &mut sink),
            }
            .map_err(to_duckdb)?;
            sink.finish(context)?;
        }
        arrow::write(context, &output, arrays, chunk.len())
    }

    /// Where the values of a column come from.
    fn source(&self, chunk: &FileChunk, declared: usize, column: &FileColumn) -> Result<Source> {
        let FileContent::Data(column) = &column.content else { return Ok(Source::Added) };
        let values = self.reader.values(chunk, declared).map_err(to_duckdb)?;
        let plain = match &column.kind {
            ColumnKind::Plain(plain) => Some(plain),
            _ => None,
        };
        Ok(match (values, plain) {
            (Values::Sink(value_type), _) => Source::Sink(value_type),
            (Values::Array(array), plain) => {
                let uuid = plain.is_some_and(|plain| plain.sql == UUID);
                match (arrays::sink_type(array.data_type(), uuid), plain) {
                    (Some(value_type), _) => Source::Array(value_type, array),
                    (None, Some(plain)) => Source::Import(Arc::clone(&plain.field), array),
                    (None, None) => return Err(undeclared(declared)),
                }
            }
            (Values::Missing, Some(plain)) => {
                let data_type = plain.field.data_type();
                match arrays::sink_type(data_type, plain.sql == UUID) {
                    Some(value_type) => Source::Nulls(value_type),
                    None => Source::Import(Arc::clone(&plain.field), new_null_array(data_type, chunk.len())),
                }
            }
            (Values::Missing, None) => match &column.kind {
                ColumnKind::Quest(column_type) => {
                    Source::Nulls(column_type.value_type(self.raw_types).unwrap_or(ValueType::Blob))
                }
                _ => Source::Nulls(ValueType::Blob),
            },
        })
    }
}

const UUID: &str = "UUID";

/// Where the values of a column come from in one chunk.
enum Source {
    /// The reader writes them to a sink.
    Sink(ValueType),
    /// An array that is written to a sink.
    Array(ValueType, ArrayRef),
    /// An array for DuckDB's importer.
    Import(FieldRef, ArrayRef),
    /// The file lacks the column.
    Nulls(ValueType),
    /// They are not the file's: keys, names, numbers.
    Added,
}

/// What the sink of a column takes that is not the file's.
fn added_type(column: &FileColumn) -> ValueType {
    match &column.content {
        FileContent::RowNumber => ValueType::Int64,
        FileContent::Key(key) if key.key_type != KeyType::Text => key.key_type.comparable(),
        _ => ValueType::Text,
    }
}

fn write_added(
    reader: &FileReader,
    chunk: &FileChunk,
    column: &FileColumn,
    sink: &mut VectorSink<'_>,
) -> questdb_storage::Result<()> {
    let n = chunk.len();
    let found = reader.found(chunk);
    match &column.content {
        FileContent::Data(_) => Err(questdb_storage::Error::invalid_input("column is the file's")),
        FileContent::RowNumber => {
            let first = chunk.first_row() as i64;
            let fill = |slots: &mut [i64]| {
                slots.iter_mut().zip(first..).for_each(|(slot, row)| *slot = row);
                Ok(())
            };
            sink.fixed::<i64>(n, fill, |_| false)
        }
        FileContent::Filename => {
            let path = found.map(|file| file.path.to_string_lossy().into_owned()).unwrap_or_default();
            repeat(&path, n, sink)
        }
        FileContent::PartitionName => match found.and_then(|file| file.partition.as_deref()) {
            Some(name) => repeat(name, n, sink),
            None => sink.nulls(n),
        },
        FileContent::PartitionFormat => repeat("parquet", n, sink),
        FileContent::Key(key) => {
            match (key.values.get(chunk.file()).and_then(Option::as_ref), key.key_type) {
                (Some(Literal::Text(text)), _) => repeat(text, n, sink),
                (Some(Literal::Int(value)), KeyType::Date) => {
                    let days = i32::try_from(*value).unwrap_or_default();
                    sink.fixed::<i32>(n, |slots| filled(slots, days), |_| false)
                }
                (Some(Literal::Int(value)), _) => {
                    let value = i64::try_from(*value).unwrap_or_default();
                    sink.fixed::<i64>(n, |slots| filled(slots, value), |_| false)
                }
                _ => sink.nulls(n),
            }
        }
    }
}

fn filled<T: Copy>(slots: &mut [T], value: T) -> questdb_storage::Result<()> {
    slots.fill(value);
    Ok(())
}
