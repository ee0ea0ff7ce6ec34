//! A decoded column chunk, in the layout of a native column file where there is one (docs/format.md §9.3).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteViewType, Int32Type};
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;
use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::source::{out_of_bounds, Source};
use crate::types::{
    self, ColumnSink, ColumnSource, ColumnType, NestedDoubles, Rows, Scratch, TimeUnit, INLINE, NULL_KEY,
};

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

/// Strings or blobs, as Arrow's views.
#[derive(Debug)]
pub(crate) struct Views {
    views: ScalarBuffer<u128>,
    buffers: Vec<Buffer>,
    nulls: Option<NullBuffer>,
}

/// Arrays: the server's blobs, or nested lists.
#[derive(Debug)]
pub(crate) enum Doubles {
    /// Shape and elements, as in a native file.
    Raw(Views),
    /// LIST of … DOUBLE.
    Lists(ArrayRef),
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

/// Fixed-width values as a native `.d` file holds them, with the type's NULL where the chunk has none.
fn native_bytes(column_type: ColumnType, array: &ArrayRef) -> Result<Buffer> {
    let mismatch = || {
        Error::corrupt(
            "column has an unexpected Parquet type",
            format_args!("that of {column_type}"),
            array.data_type(),
        )
    };
    let value_type = array.data_type().clone();
    let is = |expected: bool| if expected { Ok(()) } else { Err(mismatch()) };
    let timestamp = |unit| matches!(&value_type, DataType::Timestamp(found, _) if *found == unit);
    match column_type {
        ColumnType::Boolean => {
            let values = array.as_boolean_opt().ok_or_else(mismatch)?;
            Ok(Buffer::from_vec(values.iter().map(|v| u8::from(v == Some(true))).collect::<Vec<u8>>()))
        }
        ColumnType::Byte => is(value_type == DataType::Int8).and_then(|()| plain::<i8>(array, 0)),
        ColumnType::Short => is(value_type == DataType::Int16).and_then(|()| plain::<i16>(array, 0)),
        ColumnType::Char => is(value_type == DataType::UInt16).and_then(|()| plain::<u16>(array, 0)),
        ColumnType::Int => is(value_type == DataType::Int32).and_then(|()| plain(array, i32::MIN)),
        ColumnType::Long => is(value_type == DataType::Int64).and_then(|()| plain(array, i64::MIN)),
        ColumnType::Date => {
            is(timestamp(arrow_schema::TimeUnit::Millisecond)).and_then(|()| plain(array, i64::MIN))
        }
        ColumnType::Timestamp(TimeUnit::Micros) => {
            is(timestamp(arrow_schema::TimeUnit::Microsecond)).and_then(|()| plain(array, i64::MIN))
        }
        ColumnType::Timestamp(TimeUnit::Nanos) => {
            is(timestamp(arrow_schema::TimeUnit::Nanosecond)).and_then(|()| plain(array, i64::MIN))
        }
        ColumnType::Float => is(value_type == DataType::Float32).and_then(|()| plain(array, f32::NAN)),
        ColumnType::Double => is(value_type == DataType::Float64).and_then(|()| plain(array, f64::NAN)),
        ColumnType::Ipv4 => is(value_type == DataType::UInt32).and_then(|()| plain::<u32>(array, 0)),
        ColumnType::Geohash { bits } => match (bits, &value_type) {
            (..=7, DataType::Int8) => plain::<i8>(array, -1),
            (8..=15, DataType::Int16) => plain::<i16>(array, -1),
            (16..=31, DataType::Int32) => plain::<i32>(array, -1),
            (32.., DataType::Int64) => plain::<i64>(array, -1),
            _ => Err(mismatch()),
        },
        // Big-endian in the file, the order of the text.
        ColumnType::Uuid => wide::<16>(array, types::UUID_NULL.to_le_bytes(), |bytes| bytes.reverse()),
        ColumnType::Long128 => wide::<16>(array, types::UUID_NULL.to_le_bytes(), |_| {}),
        ColumnType::Long256 => {
            let mut null = [0; 32];
            null.chunks_exact_mut(8).filter_map(|word| word.last_mut()).for_each(|byte| *byte = 0x80);
            wide::<32>(array, null, |_| {})
        }
        ColumnType::Decimal { precision, scale } => decimals(precision, scale, array)?.ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

/// Values of one buffer, whose NULLs become `null`.
fn plain<T: Pod + ArrowNativeType>(array: &ArrayRef, null: T) -> Result<Buffer> {
    let data = array.to_data();
    let Some(buffer) = data.buffers().first() else {
        return Err(Error::invalid_input("array without values"));
    };
    let values = ScalarBuffer::<T>::new(buffer.clone(), data.offset(), data.len());
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(values.into_inner());
    };
    Ok(Buffer::from_vec(
        values.iter().zip(nulls).map(|(v, valid)| if valid { *v } else { null }).collect::<Vec<T>>(),
    ))
}

/// Values of `N` bytes, each turned into its native form by `convert`.
fn wide<const N: usize>(array: &ArrayRef, null: [u8; N], convert: impl Fn(&mut [u8; N])) -> Result<Buffer> {
    let values = array.as_fixed_size_binary_opt().filter(|values| values.value_length() == N as i32);
    let values = values.ok_or_else(|| {
        Error::corrupt("column has an unexpected Parquet type", format_args!("{N} bytes"), array.data_type())
    })?;
    let mut bytes = Vec::with_capacity(values.len() * N);
    for value in values.iter() {
        let mut value = value.and_then(|value| value.first_chunk::<N>().copied());
        if let Some(value) = &mut value {
            convert(value);
        }
        bytes.extend_from_slice(&value.unwrap_or(null));
    }
    Ok(Buffer::from_vec(bytes))
}

/// Decimals in their native width; `None` when the array holds others.
fn decimals(precision: u8, scale: u8, array: &ArrayRef) -> Result<Option<Buffer>> {
    let same = |p: &u8, s: &i8| *p == precision && i16::from(*s) == i16::from(scale);
    Ok(Some(match array.data_type() {
        DataType::Decimal128(p, s) if same(p, s) && precision <= 38 => {
            let values = array.as_primitive::<arrow_array::types::Decimal128Type>();
            match precision {
                0..=2 => narrow(values.iter(), i8::MIN)?,
                3..=4 => narrow(values.iter(), i16::MIN)?,
                5..=9 => narrow(values.iter(), i32::MIN)?,
                10..=18 => narrow(values.iter(), i64::MIN)?,
                // The more significant word stands first.
                _ => Buffer::from_vec(
                    values.iter().map(|v| v.unwrap_or(i128::MIN).rotate_left(64)).collect::<Vec<i128>>(),
                ),
            }
        }
        DataType::Decimal256(p, s) if same(p, s) && precision > 38 => {
            let values = array.as_primitive::<arrow_array::types::Decimal256Type>();
            let words = |value: arrow_buffer::i256| {
                let (low, high) = value.to_parts();
                [(high as u128 >> 64) as u64, high as u64, (low >> 64) as u64, low as u64]
            };
            let words = values.iter().flat_map(|v| words(v.unwrap_or(arrow_buffer::i256::MIN)));
            Buffer::from_vec(words.collect::<Vec<u64>>())
        }
        _ => return Ok(None),
    }))
}

fn narrow<T: ArrowNativeType + TryFrom<i128>>(
    values: impl Iterator<Item = Option<i128>>,
    null: T,
) -> Result<Buffer> {
    let fit = |value: i128| {
        T::try_from(value)
            .map_err(|_| Error::corrupt("decimal is too large", "a value of its precision", value))
    };
    let values: Result<Vec<T>> = values.map(|value| value.map_or(Ok(null), fit)).collect();
    values.map(Buffer::from_vec)
}

/// Keys of `table` for the dictionary ids of a chunk. The server's dictionaries list the symbols in order of their
/// keys (`"format":1`); others, and rows after the symbols were made anew, are looked up by their text.
fn symbol_keys(array: &ArrayRef, table: &SymbolTable) -> Result<Buffer> {
    let mismatch =
        || Error::corrupt("column has an unexpected Parquet type", "that of SYMBOL", array.data_type());
    let dictionary = array.as_dictionary_opt::<Int32Type>().ok_or_else(mismatch)?;
    let texts = dictionary.values().as_string_opt::<i32>().ok_or_else(mismatch)?;
    let texts: Vec<&str> = (0..texts.len()).map(|id| texts.value(id)).collect();
    let ids = dictionary.keys();
    let nulls = ids.nulls().filter(|nulls| nulls.null_count() > 0);
    let keys = match nulls {
        None => ids.values().clone(),
        Some(nulls) => {
            ids.values().iter().zip(nulls).map(|(id, valid)| if valid { *id } else { NULL_KEY }).collect()
        }
    };
    keys_of_ids(keys, &texts, table)
}

/// Keys of `table` for ids of a dictionary of `texts`, and for NULL.
pub(super) fn keys_of_ids(ids: ScalarBuffer<i32>, texts: &[&str], table: &SymbolTable) -> Result<Buffer> {
    types::check_keys(&ids, texts.len()).map_err(|(_, e)| e)?;
    let text = |id: usize| texts.get(id).copied().unwrap_or_default();
    if texts.len() <= table.len() && texts.iter().enumerate().all(|(id, text)| table.get(id) == Some(text)) {
        return Ok(ids.into_inner());
    }
    let known: HashMap<&str, i32> = table.iter().zip(0..).collect();
    let map: Vec<Option<i32>> = (0..texts.len()).map(|id| known.get(text(id)).copied()).collect();
    let key = |id: i32| match usize::try_from(id) {
        Err(_) => Ok(NULL_KEY),
        Ok(id) => map.get(id).copied().flatten().ok_or_else(|| {
            let known = format!("one of the {} symbols of the table", table.len());
            Error::corrupt("symbol is not in the symbol table", known, format_args!("{:?}", text(id)))
        }),
    };
    ids.iter().map(|id| key(*id)).collect::<Result<Vec<i32>>>().map(Buffer::from_vec)
}

impl Views {
    fn new<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Self {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        Self::from_parts(array.views().clone(), array.data_buffers().to_vec(), nulls)
    }

    /// Views into `buffers`.
    pub(super) fn from_parts(
        views: ScalarBuffer<u128>,
        buffers: Vec<Buffer>,
        nulls: Option<NullBuffer>,
    ) -> Self {
        Self { views, buffers, nulls }
    }

    /// The view of a row; `None` for NULL.
    #[inline]
    fn get(&self, row: usize) -> Option<u128> {
        let view = self.views.get(row)?;
        match &self.nulls {
            Some(nulls) if !nulls.is_valid(row) => None,
            _ => Some(*view),
        }
    }

    /// The bytes of a view that does not hold them itself.
    #[inline]
    fn stored(&self, view: u128) -> &[u8] {
        let (len, buffer, start) =
            (view as u32 as usize, (view >> 64) as u32 as usize, (view >> 96) as usize);
        let buffer = self.buffers.get(buffer).map(Buffer::as_slice).unwrap_or_default();
        buffer.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    fn read<S: ColumnSink>(&self, rows: Rows<'_>, sink: &mut S) -> Result<()> {
        match (rows, &self.nulls) {
            (Rows::Range { start, len }, None) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let views = self.views.get(start..start.saturating_add(len)).unwrap_or_default();
                self.append(views.len(), || views.iter().map(|view| Some(*view)), sink)
            }
            (Rows::Range { start, len }, _) => {
                self.append(len, || (0..len).map(|i| self.get(start as usize + i)), sink)
            }
            (Rows::List { rows, base }, _) => self.append(
                rows.len(),
                || rows.iter().map(|row| self.get(row.saturating_sub(base) as usize)),
                sink,
            ),
        }
    }

    /// Appends `n` views, twice given: their bytes are counted first.
    fn append<S: ColumnSink, I: Iterator<Item = Option<u128>>>(
        &self,
        n: usize,
        views: impl Fn() -> I,
        sink: &mut S,
    ) -> Result<()> {
        let long = |view: u128| Some(view as u32 as usize).filter(|len| *len > INLINE).unwrap_or(0);
        let heap = views().map(|view| view.map_or(0, long)).sum();
        sink.strings(n, heap, |slots| {
            for (slot, view) in views().enumerate() {
                match view {
                    None => slots.set_null(slot),
                    Some(view) if long(view) == 0 => slots.set_view(slot, [view as u64, (view >> 64) as u64]),
                    Some(view) => slots.push(slot, self.stored(view)),
                }
            }
            Ok(())
        })
    }
}

impl Doubles {
    fn read<S: ColumnSink>(
        &self,
        dims: usize,
        rows: Rows<'_>,
        scratch: &mut Scratch,
        sink: &mut S,
    ) -> Result<()> {
        let doubles = &mut scratch.doubles;
        doubles.reset(dims);
        let mut result = Ok(());
        each(rows, |_, row| {
            if result.is_ok() {
                result = self.push(dims, row, doubles);
            }
        });
        result?;
        sink.doubles(doubles)
    }

    fn push(&self, dims: usize, row: usize, doubles: &mut NestedDoubles) -> Result<()> {
        let null = |doubles: &mut NestedDoubles| {
            doubles.nulls.set(doubles.len());
            types::push_list(doubles, 0, 0);
        };
        match self {
            Self::Raw(views) => match views.get(row) {
                Some(view) if view as u32 as usize > INLINE => {
                    types::push_array(views.stored(view), 0, dims, doubles)
                }
                Some(view) if view as u32 != 0 => {
                    let bytes = view.to_le_bytes();
                    let value = bytes.get(4..4 + view as u32 as usize).unwrap_or_default();
                    types::push_array(value, 0, dims, doubles)
                }
                _ => {
                    null(doubles);
                    Ok(())
                }
            },
            Self::Lists(array) if array.is_null(row) => {
                null(doubles);
                Ok(())
            }
            Self::Lists(array) => push_lists(array, row, dims, doubles),
        }
    }
}

/// Appends the list at `row`, level by level. An array without elements is an empty list, as in native files.
fn push_lists(array: &ArrayRef, row: usize, dims: usize, doubles: &mut NestedDoubles) -> Result<()> {
    let mut levels = Vec::with_capacity(dims);
    let (mut current, mut range) = (Arc::clone(array), row..row + 1);
    for _ in 0..dims {
        let lists =
            current.as_list_opt::<i32>().ok_or_else(|| Error::invalid_input("array is not a list"))?;
        let offsets = lists.value_offsets();
        let bounds = offsets.get(range.start..range.end + 1).unwrap_or_default();
        levels.push(
            bounds
                .windows(2)
                .filter_map(|pair| Some((pair.last()? - pair.first()?) as u64))
                .collect::<Vec<_>>(),
        );
        let (start, end) = (bounds.first().copied().unwrap_or(0), bounds.last().copied().unwrap_or(0));
        range = start as usize..end as usize;
        current = Arc::clone(lists.values());
    }
    if range.is_empty() {
        types::push_list(doubles, 0, 0);
        return Ok(());
    }
    for (level, lengths) in levels.iter().enumerate() {
        lengths.iter().for_each(|length| types::push_list(doubles, level, *length));
    }
    let values = current.as_primitive_opt::<arrow_array::types::Float64Type>();
    let values = values.ok_or_else(|| Error::invalid_input("array has no doubles"))?;
    doubles.values.extend(range.map(|i| if values.is_null(i) { f64::NAN } else { values.value(i) }));
    Ok(())
}

/// How deep lists of doubles are nested.
fn list_depth(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::List(field) if field.data_type() == &DataType::Float64 => Some(1),
        DataType::List(field) => list_depth(field.data_type())?.checked_add(1),
        _ => None,
    }
}

/// Calls `visit` with position and row of each of `rows`.
#[inline]
fn each(rows: Rows<'_>, mut visit: impl FnMut(usize, usize)) {
    match rows {
        Rows::Range { start, len } => (0..len).for_each(|i| visit(i, start as usize + i)),
        Rows::List { rows, base } => {
            rows.iter().enumerate().for_each(|(i, row)| visit(i, row.saturating_sub(base) as usize));
        }
    }
}
