//! Fixed-width values of an Arrow array as a native column file holds them (docs/format.md §9.3).

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer};
use arrow_schema::DataType;
use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::types::{self, ColumnType, TimeUnit};

/// Fixed-width values as a native `.d` file holds them, with the type's NULL where the chunk has none.
pub(super) fn native_bytes(column_type: ColumnType, array: &ArrayRef) -> Result<Buffer> {
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
