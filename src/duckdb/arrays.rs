//! Arrow arrays of plain values, written to vectors. Nested and odd ones go through DuckDB's importer
//! ([`super::arrow`]), which costs more for each chunk.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, Int8Type, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use questdb_storage::types::{ColumnSink, Fixed, ValueType};
use questdb_storage::{Error, Result};

use super::vectors::VectorSink;

/// What a sink has to be made for, to take arrays of this type; `None` when they go through the importer. `uuid` says
/// that the bytes are UUIDs.
pub fn sink_type(data_type: &DataType, uuid: bool) -> Option<ValueType> {
    use DataType as D;
    match data_type {
        D::Boolean
        | D::Int8
        | D::Int16
        | D::Int32
        | D::Int64
        | D::UInt8
        | D::UInt16
        | D::UInt32
        | D::UInt64 => Some(ValueType::Int64),
        D::Float32 | D::Float64 | D::Date32 | D::Decimal128(..) => Some(ValueType::Int64),
        D::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _) | D::Time64(_) => {
            Some(ValueType::Int64)
        }
        D::FixedSizeBinary(16) if uuid => Some(ValueType::Uuid),
        D::Utf8View => Some(ValueType::Text),
        D::BinaryView => Some(ValueType::Blob),
        _ => None,
    }
}

/// Appends all rows of `array` to a sink that was made for [`sink_type`].
pub fn write(array: &ArrayRef, sink: &mut VectorSink<'_>) -> Result<()> {
    use DataType as D;
    match array.data_type() {
        D::Boolean => {
            let values = array.as_boolean().values();
            let fill = |slots: &mut [u8]| {
                slots.iter_mut().zip(values.iter()).for_each(|(slot, value)| *slot = u8::from(value));
                Ok(())
            };
            sink.fixed::<u8>(array.len(), fill, |_| false)?;
        }
        D::Int8 => plain::<Int8Type>(array, sink)?,
        D::Int16 => plain::<Int16Type>(array, sink)?,
        D::Int32 => plain::<Int32Type>(array, sink)?,
        D::Int64 => plain::<Int64Type>(array, sink)?,
        D::UInt8 => plain::<UInt8Type>(array, sink)?,
        D::UInt16 => plain::<UInt16Type>(array, sink)?,
        D::UInt32 => plain::<UInt32Type>(array, sink)?,
        D::UInt64 => plain::<UInt64Type>(array, sink)?,
        D::Float32 => plain::<Float32Type>(array, sink)?,
        D::Float64 => plain::<Float64Type>(array, sink)?,
        D::Date32 => plain::<Date32Type>(array, sink)?,
        D::Timestamp(TimeUnit::Microsecond, _) => plain::<TimestampMicrosecondType>(array, sink)?,
        D::Timestamp(TimeUnit::Nanosecond, _) => plain::<TimestampNanosecondType>(array, sink)?,
        D::Time64(TimeUnit::Microsecond) => plain::<Time64MicrosecondType>(array, sink)?,
        D::Time64(TimeUnit::Nanosecond) => plain::<Time64NanosecondType>(array, sink)?,
        D::Decimal128(precision, _) => match precision {
            0..=4 => narrow(array, sink, |v| v as i16)?,
            5..=9 => narrow(array, sink, |v| v as i32)?,
            10..=18 => narrow(array, sink, |v| v as i64)?,
            _ => narrow(array, sink, |v| v)?,
        },
        D::FixedSizeBinary(16) => {
            let values = array.as_fixed_size_binary();
            let fill = |slots: &mut [u128]| {
                for (row, slot) in slots.iter_mut().enumerate() {
                    *slot = values.value(row).first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
                }
                Ok(())
            };
            sink.fixed::<u128>(array.len(), fill, |_| false)?;
        }
        D::Utf8View => {
            let values = array.as_string_view();
            texts(array, values.views(), |row| values.value(row).as_bytes(), sink)?;
        }
        D::BinaryView => {
            let values = array.as_binary_view();
            texts(array, values.views(), |row| values.value(row), sink)?;
        }
        other => return Err(Error::invalid_input(format!("arrays of {other} go through the importer"))),
    }
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        sink.mark_nulls(array.len(), (0..nulls.len()).filter(|row| nulls.is_null(*row)));
    }
    Ok(())
}

fn plain<T: ArrowPrimitiveType>(array: &ArrayRef, sink: &mut VectorSink<'_>) -> Result<()>
where
    T::Native: Fixed,
{
    let values = array.as_primitive::<T>().values();
    let fill = |slots: &mut [T::Native]| {
        slots.copy_from_slice(values);
        Ok(())
    };
    sink.fixed::<T::Native>(array.len(), fill, |_| false)
}

/// Unscaled decimals in the width that DuckDB has for their precision, which was checked.
fn narrow<T: Fixed>(array: &ArrayRef, sink: &mut VectorSink<'_>, cast: impl Fn(i128) -> T) -> Result<()> {
    let values = array.as_primitive::<Decimal128Type>().values();
    let fill = |slots: &mut [T]| {
        slots.iter_mut().zip(values.iter()).for_each(|(slot, value)| *slot = cast(*value));
        Ok(())
    };
    sink.fixed::<T>(array.len(), fill, |_| false)
}

/// Views are as DuckDB's, apart from where long ones point: their bytes are copied.
fn texts<'a>(
    array: &ArrayRef,
    views: &[u128],
    value: impl Fn(usize) -> &'a [u8],
    sink: &mut VectorSink<'_>,
) -> Result<()> {
    const INLINE: usize = questdb_storage::types::INLINE;
    let len = |view: &u128| *view as u32 as usize;
    let is_long = |row: usize, view: &u128| len(view) > INLINE && array.is_valid(row);
    let heap =
        views.iter().enumerate().filter(|(row, view)| is_long(*row, view)).map(|(_, view)| len(view)).sum();
    sink.strings(array.len(), heap, |slots| {
        for (row, view) in views.iter().enumerate() {
            if is_long(row, view) {
                slots.push(row, value(row));
            } else if array.is_valid(row) {
                slots.set_view(row, [*view as u64, (*view >> 64) as u64]);
            } else {
                slots.set_null(row);
            }
        }
        Ok(())
    })
}
