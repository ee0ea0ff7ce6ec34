//! The columns of an export: how each is decoded, and what it becomes in Parquet or JSON (docs/types.md).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, Decimal256Array, FixedSizeBinaryArray, Int16Array, Int32Array, Int8Array, RecordBatch,
    RecordBatchOptions, UInt16Array,
};
use arrow_buffer::{i256, Buffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_parquet::options::Format;
use questdb_parquet::{annotation, ColumnHint};
use questdb_storage::arrow::{data_type, symbol_values, ArrowSink};
use questdb_storage::scan::{Chunk, Reader};
use questdb_storage::types::{ColumnType, ValueType};
use questdb_storage::Snapshot;

use crate::duckdb::errors::{binder, to_duckdb};

/// Bytes of a LONG256.
const LONG256_BYTES: i32 = 32;

/// How a decoded array becomes the exported one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Convert {
    /// It is that already.
    None,
    /// CHAR: text → its UTF-16 unit, NULL → 0.
    Char,
    /// LONG256: blob → 32 bytes.
    Long256,
    /// GEOHASH: 64 bits → 8.
    Byte,
    /// GEOHASH: 64 bits → 16.
    Short,
    /// GEOHASH: 64 bits → 32.
    Int,
    /// DECIMAL of more than 38 digits: text → 256 bits.
    Decimal256(u8, u8),
}

/// A column of an export.
#[derive(Debug, Clone)]
pub struct ExportColumn {
    /// Position in the snapshot.
    pub index: usize,
    /// Name.
    pub name: String,
    /// Type in the table.
    pub column_type: ColumnType,
    value_type: ValueType,
    convert: Convert,
    /// What the writer is told.
    pub hint: ColumnHint,
}

impl ExportColumn {
    fn new(snapshot: &Snapshot, index: usize, format: Format) -> Result<Self> {
        let column = snapshot.columns().get(index);
        let column = column.ok_or_else(|| Error::internal(format!("table has no column {index}")))?;
        let column_type = column.column_type;
        let value_type = column_type.value_type(format == Format::Parquet).ok_or_else(|| Error {
            code: DuckDBError::QueryNotImplemented,
            message: format!(
                "Column \"{}\" of table \"{}\" has type {column_type}, which cannot be exported\nName the other \
                 columns with the parameter columns to leave it out.",
                column.name,
                snapshot.name()
            ),
        })?;
        // The decoders have checked the text; an array of text would check it again.
        let value_type = match (column_type, value_type) {
            (ColumnType::String | ColumnType::Varchar, _) if format == Format::Parquet => ValueType::Blob,
            _ => value_type,
        };
        let convert = match column_type {
            // As read_partitions returns it.
            _ if format == Format::Jsonl => Convert::None,
            ColumnType::Char => Convert::Char,
            ColumnType::Long256 => Convert::Long256,
            ColumnType::Geohash { bits: 0..=7 } => Convert::Byte,
            ColumnType::Geohash { bits: 8..=15 } => Convert::Short,
            ColumnType::Geohash { bits: 16..=31 } => Convert::Int,
            ColumnType::Decimal { precision, scale } if precision > 38 => {
                Convert::Decimal256(precision, scale)
            }
            _ => Convert::None,
        };
        let hint = ColumnHint {
            questdb_type: Some(column_type.code()),
            designated: column.designated,
            field_id: i32::try_from(column.writer_index).ok(),
            symbol: column_type == ColumnType::Symbol,
            uuid: column_type == ColumnType::Uuid,
            ..ColumnHint::default()
        };
        Ok(Self { index, name: column.name.clone(), column_type, value_type, convert, hint })
    }

    fn arrow_type(&self) -> DataType {
        match self.convert {
            Convert::None => data_type(self.value_type),
            Convert::Char => DataType::UInt16,
            Convert::Long256 => DataType::FixedSizeBinary(LONG256_BYTES),
            Convert::Byte => DataType::Int8,
            Convert::Short => DataType::Int16,
            Convert::Int => DataType::Int32,
            Convert::Decimal256(precision, scale) => DataType::Decimal256(precision, scale as i8),
        }
    }

    fn field(&self, format: Format) -> Field {
        let field = Field::new(&self.name, self.arrow_type(), true);
        match self.value_type {
            ValueType::UInt128 if format == Format::Jsonl => annotation::put(field, annotation::UHUGEINT),
            _ => field,
        }
    }

    fn converted(&self, array: ArrayRef) -> Result<ArrayRef> {
        let failed = |what: &str| Error::invalid_input(format!("{what}, column \"{}\"", self.name));
        let integers = || array.as_primitive::<Int64Type>().iter();
        Ok(match self.convert {
            Convert::None => array,
            Convert::Byte => Arc::new(integers().map(|v| v.map(|v| v as i8)).collect::<Int8Array>()),
            Convert::Short => Arc::new(integers().map(|v| v.map(|v| v as i16)).collect::<Int16Array>()),
            Convert::Int => Arc::new(integers().map(|v| v.map(|v| v as i32)).collect::<Int32Array>()),
            Convert::Char => {
                let unit = |text: Option<&str>| text.and_then(|t| t.encode_utf16().next()).unwrap_or(0);
                Arc::new(UInt16Array::from_iter_values(array.as_string_view().iter().map(unit)))
            }
            Convert::Long256 => {
                let blobs = array.as_binary_view();
                let zero = [0; LONG256_BYTES as usize];
                let mut bytes = Vec::with_capacity(blobs.len() * zero.len());
                blobs.iter().for_each(|blob| bytes.extend_from_slice(blob.unwrap_or(&zero)));
                let nulls = blobs.nulls().cloned();
                let fixed = FixedSizeBinaryArray::try_new(LONG256_BYTES, Buffer::from(bytes), nulls);
                Arc::new(fixed.map_err(|_| failed("A LONG256 does not have 32 bytes"))?)
            }
            Convert::Decimal256(precision, scale) => {
                let unscaled = |text: &str| {
                    let digits: String = text.chars().filter(|c| *c != '.').collect();
                    i256::from_string(&digits).ok_or_else(|| failed("A DECIMAL is out of range"))
                };
                let texts = array.as_string_view().iter();
                let values: Vec<Option<i256>> =
                    texts.map(|text| text.map(unscaled).transpose()).collect::<Result<_>>()?;
                let decimals = Decimal256Array::from(values).with_precision_and_scale(precision, scale as i8);
                Arc::new(decimals.map_err(|e| failed(&e.to_string()))?)
            }
        })
    }
}

/// The columns of an export, in order.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Each column.
    pub list: Vec<ExportColumn>,
    /// What batches look like.
    pub schema: SchemaRef,
}

impl Columns {
    /// The columns named, or all.
    pub fn new(snapshot: &Snapshot, names: Option<&[String]>, format: Format) -> Result<Self> {
        let all = 0..snapshot.columns().len();
        let positions: Vec<usize> = match names {
            None => all.collect(),
            Some(names) => names.iter().map(|name| position(snapshot, name)).collect::<Result<_>>()?,
        };
        for (i, position) in positions.iter().enumerate() {
            if positions.iter().skip(i + 1).any(|other| other == position) {
                let name = snapshot.columns().get(*position).map_or("", |column| &column.name);
                return Err(binder(format!("Column \"{name}\" is named twice in \"columns\"")));
            }
        }
        if positions.is_empty() {
            return Err(binder("Argument \"columns\" of questdb_export is empty: name at least one column"));
        }
        let list: Vec<ExportColumn> = positions
            .into_iter()
            .map(|index| ExportColumn::new(snapshot, index, format))
            .collect::<Result<_>>()?;
        let fields = list.iter().map(|column| column.field(format));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Ok(Self { list, schema })
    }

    /// What the writer is told, by column.
    pub fn hints(&self) -> Vec<ColumnHint> {
        self.list.iter().map(|column| column.hint.clone()).collect()
    }

    /// Whether two tables' columns are the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&ExportColumn, &ExportColumn)| {
            a.index == b.index && a.name == b.name && a.column_type == b.column_type && a.hint == b.hint
        };
        self.list.len() == other.list.len() && self.list.iter().zip(&other.list).all(same)
    }

    /// The dictionaries of the SYMBOL columns, by column.
    pub fn dictionaries(&self, snapshot: &Snapshot) -> Result<Vec<Option<ArrayRef>>> {
        let dictionary = |column: &ExportColumn| match column.value_type {
            ValueType::Symbol => Ok(snapshot.symbols(column.index)?.map(|table| symbol_values(&table))),
            _ => Ok(None),
        };
        self.list.iter().map(dictionary).collect::<questdb_storage::Result<_>>().map_err(to_duckdb)
    }

    /// Decodes `chunk`, and checks that what was read belongs to the snapshot.
    pub fn read(
        &self,
        reader: &mut Reader,
        chunk: &Chunk,
        dictionaries: &[Option<ArrayRef>],
    ) -> Result<RecordBatch> {
        let mut arrays = Vec::with_capacity(self.list.len());
        for (index, column) in self.list.iter().enumerate() {
            let mut sink = ArrowSink::new(column.value_type);
            if let Some(Some(values)) = dictionaries.get(index) {
                sink = sink.with_symbol_values(Arc::clone(values));
            }
            reader.read(chunk, index, &mut sink).map_err(to_duckdb)?;
            arrays.push(sink.finish().map_err(to_duckdb)?);
        }
        reader.check(chunk).map_err(to_duckdb)?;
        let columns = self.list.iter().zip(arrays);
        let arrays = columns.map(|(column, array)| column.converted(array)).collect::<Result<_>>()?;
        let rows = RecordBatchOptions::new().with_row_count(Some(chunk.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &rows)
            .map_err(|e| Error::internal(format!("cannot build a record batch: {e}")))
    }
}

fn position(snapshot: &Snapshot, name: &str) -> Result<usize> {
    snapshot.column_index(name).ok_or_else(|| {
        let names: Vec<String> = snapshot.columns().iter().map(|c| format!("\"{}\"", c.name)).collect();
        binder(format!(
            "Table \"{}\" has no column \"{name}\"\nCandidate columns: {}",
            snapshot.name(),
            names.join(", ")
        ))
    })
}
