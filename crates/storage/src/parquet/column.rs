//! A decoded column chunk, in the layout of a native column file where there is one (docs/format.md §9.3).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::arrays::{list_depth, Doubles};
use super::native::native_bytes;
use super::symbols::symbol_keys;
use super::views::Views;
use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::source::{out_of_bounds, Source};
use crate::types::{self, ColumnSink, ColumnSource, ColumnType, Rows, Scratch, TimeUnit};

/// A column of one row group.
#[derive(Debug)]
pub(crate) enum GroupColumn {
    /// Values as a native `.d` file holds them; symbols as keys of the table's symbol table.
    Native(ColumnSource),
    /// Strings and blobs.
    Views(Views),
    /// Arrays.
    Doubles(Doubles),
}

/// A column file in memory.
#[derive(Debug)]
struct Decoded {
    bytes: Buffer,
    /// The Parquet file.
    path: PathBuf,
}

impl Source for Decoded {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn read_into(&self, offset: u64, dst: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.bytes.as_slice().get(start..start.saturating_add(dst.len()));
        dst.copy_from_slice(bytes.ok_or_else(|| out_of_bounds(&self.path, offset, dst.len(), self.len()))?);
        Ok(())
    }

    fn gather(&self, base: u64, width: usize, rows: &[u32], dst: &mut [u8]) -> Result<()> {
        let bytes = self.bytes.as_slice();
        for (row, slot) in rows.iter().zip(dst.chunks_exact_mut(width)) {
            let start = usize::try_from(base).unwrap_or(usize::MAX).saturating_add(*row as usize * width);
            let value = bytes.get(start..start.saturating_add(width));
            slot.copy_from_slice(
                value.ok_or_else(|| out_of_bounds(&self.path, start as u64, width, self.len()))?,
            );
        }
        Ok(())
    }
}

/// The Arrow type to ask the decoder for, where it differs from what it would choose.
pub(crate) fn wanted_type(column_type: ColumnType, found: &DataType) -> Option<DataType> {
    match (column_type, found) {
        (ColumnType::Symbol, DataType::Utf8) => {
            Some(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))
        }
        (ColumnType::String | ColumnType::Varchar, DataType::Utf8) => Some(DataType::Utf8View),
        (ColumnType::Binary | ColumnType::DoubleArray { .. }, DataType::Binary) => Some(DataType::BinaryView),
        _ => None,
    }
}

/// Whether the decoder's `found`, before [`wanted_type`] changes it, can be read as `column_type`.
pub(crate) fn fits(column_type: ColumnType, found: &DataType) -> bool {
    use ColumnType as C;
    use DataType as D;
    match column_type {
        C::Boolean => *found == D::Boolean,
        C::Byte => *found == D::Int8,
        C::Short => *found == D::Int16,
        C::Char => *found == D::UInt16,
        C::Int => *found == D::Int32,
        C::Long => *found == D::Int64,
        C::Date => matches!(found, D::Timestamp(arrow_schema::TimeUnit::Millisecond, _)),
        C::Timestamp(TimeUnit::Micros) => {
            matches!(found, D::Timestamp(arrow_schema::TimeUnit::Microsecond, _))
        }
        C::Timestamp(TimeUnit::Nanos) => matches!(found, D::Timestamp(arrow_schema::TimeUnit::Nanosecond, _)),
        C::Float => *found == D::Float32,
        C::Double => *found == D::Float64,
        C::Ipv4 => *found == D::UInt32,
        C::Geohash { bits } => match bits {
            ..=7 => *found == D::Int8,
            8..=15 => *found == D::Int16,
            16..=31 => *found == D::Int32,
            32.. => *found == D::Int64,
        },
        C::Symbol | C::String | C::Varchar => *found == D::Utf8,
        C::Binary => *found == D::Binary,
        C::Uuid | C::Long128 => *found == D::FixedSizeBinary(16),
        C::Long256 => *found == D::FixedSizeBinary(32),
        C::DoubleArray { dims } => *found == D::Binary || list_depth(found) == Some(dims),
        C::Decimal { precision, scale } => {
            let same = |p: &u8, s: &i8| *p == precision && i16::from(*s) == i16::from(scale);
            match found {
                D::Decimal128(p, s) => same(p, s) && precision <= 38,
                D::Decimal256(p, s) => same(p, s) && precision > 38,
                _ => false,
            }
        }
        C::Unknown(_) => false,
    }
}

impl GroupColumn {
    /// Brings a decoded chunk of a `column_type` column into its form. `symbols` is the table of a SYMBOL column;
    /// `ascending` says that this is the designated timestamp.
    pub(crate) fn new(
        column_type: ColumnType,
        ascending: bool,
        array: &ArrayRef,
        symbols: Option<Arc<SymbolTable>>,
        path: &Path,
    ) -> Result<Self> {
        let native = |bytes: Buffer, symbols| Ok(Self::in_memory(bytes, symbols, ascending, path));
        match (column_type, array.data_type()) {
            (ColumnType::Symbol, DataType::Dictionary(..)) => {
                let table = symbols
                    .ok_or_else(|| Error::invalid_input("symbol column was opened without its table"))?;
                let keys = symbol_keys(array, &table)?;
                native(keys, Some(table))
            }
            (ColumnType::String | ColumnType::Varchar, DataType::Utf8View) => {
                Ok(Self::Views(Views::new(array.as_string_view())))
            }
            (ColumnType::Binary, DataType::BinaryView) => Ok(Self::Views(Views::new(array.as_binary_view()))),
            (ColumnType::DoubleArray { .. }, DataType::BinaryView) => {
                Ok(Self::Doubles(Doubles::Raw(Views::new(array.as_binary_view()))))
            }
            (ColumnType::DoubleArray { dims }, found) if list_depth(found) == Some(dims) => {
                Ok(Self::Doubles(Doubles::Lists(Arc::clone(array))))
            }
            _ => native(native_bytes(column_type, array)?, None),
        }
    }

    /// A column whose native file would hold `bytes`.
    pub(super) fn in_memory(
        bytes: Buffer,
        symbols: Option<Arc<SymbolTable>>,
        ascending: bool,
        path: &Path,
    ) -> Self {
        let data: Arc<dyn Source> = Arc::new(Decoded { bytes, path: path.to_owned() });
        Self::Native(ColumnSource { data, aux: None, symbols, ascending })
    }

    /// Appends `rows` of the row group to `sink`.
    pub(crate) fn read<S: ColumnSink>(
        &self,
        column_type: ColumnType,
        raw: bool,
        rows: Rows<'_>,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        match self {
            Self::Native(source) => types::decode(column_type, raw, source, rows, scratch, sink),
            Self::Views(views) => views.read(rows, sink),
            Self::Doubles(doubles) => {
                let ColumnType::DoubleArray { dims } = column_type else {
                    return Err(Error::invalid_input("arrays in a column of another type"));
                };
                doubles.read(usize::from(dims), rows, scratch, sink)
            }
        }
    }

    /// The values as a native file, for a fixed-width column.
    pub(crate) fn native(&self) -> Option<&dyn Source> {
        match self {
            Self::Native(source) => Some(source.data.as_ref()),
            _ => None,
        }
    }
}
