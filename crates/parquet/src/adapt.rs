//! Batches' arrays → the arrays that the encoders take.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float64Type, TimestampMillisecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, ListArray, PrimitiveArray};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::DataType;

use crate::error::{Error, Result};

/// How a batch's array becomes what the encoder takes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Adapter {
    /// It is that already.
    None,
    /// TIMESTAMP_S → milliseconds: Parquet has no seconds.
    SecondsToMillis,
    /// Decimals → big-endian two's complement of a fixed width.
    DecimalToFixed(i32),
    /// Nested lists under the field names of the target type; no data moves.
    Relabel(DataType),
    /// Nested lists of doubles → QuestDB's array bytes.
    RawArrays,
}

impl Adapter {
    /// Converts one array.
    pub fn apply(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match self {
            Self::None => Arc::clone(array),
            Self::SecondsToMillis => seconds_to_millis(array)?,
            Self::DecimalToFixed(width) => decimal_to_fixed(array, *width)?,
            Self::Relabel(target) => relabel(array, target)?,
            Self::RawArrays => raw_arrays(array)?,
        })
    }
}

fn seconds_to_millis(array: &ArrayRef) -> Result<ArrayRef> {
    let seconds = array
        .as_primitive_opt::<TimestampSecondType>()
        .ok_or_else(|| Error::internal("an array that is not TIMESTAMP_S"))?;
    let millis: PrimitiveArray<TimestampMillisecondType> = seconds.try_unary(|value| {
        value.checked_mul(1000).ok_or_else(|| {
            Error::invalid_input("a TIMESTAMP_S is out of range")
                .expected("a number of milliseconds in 64 bits")
                .found(value)
        })
    })?;
    Ok(Arc::new(millis.with_timezone_opt(zone(seconds.data_type()))))
}

fn zone(data_type: &DataType) -> Option<Arc<str>> {
    match data_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}

fn decimal_to_fixed(array: &ArrayRef, width: i32) -> Result<ArrayRef> {
    let size = usize::try_from(width).map_err(|_| Error::internal("a negative width"))?;
    let mut bytes = Vec::with_capacity(array.len() * size);
    let mut push = |row: usize, big_endian: &[u8]| -> Result<()> {
        if array.is_null(row) {
            bytes.resize(bytes.len() + size, 0);
            return Ok(());
        }
        let sign = if big_endian.first().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        if size >= big_endian.len() {
            bytes.resize(bytes.len() + size - big_endian.len(), sign);
            bytes.extend_from_slice(big_endian);
            return Ok(());
        }
        let (cut, kept) = big_endian.split_at(big_endian.len() - size);
        let same_sign = kept.first().is_some_and(|byte| (byte & 0x80 != 0) == (sign != 0));
        if cut.iter().any(|byte| *byte != sign) || !same_sign {
            return Err(Error::invalid_input("a DECIMAL does not fit its column")
                .expected(format_args!("{size} bytes")));
        }
        bytes.extend_from_slice(kept);
        Ok(())
    };
    if let Some(decimals) = array.as_primitive_opt::<Decimal128Type>() {
        for (row, value) in decimals.values().iter().enumerate() {
            push(row, &big_endian_128(*value))?;
        }
    } else if let Some(decimals) = array.as_primitive_opt::<Decimal256Type>() {
        for (row, value) in decimals.values().iter().enumerate() {
            let (low, high) = value.to_parts();
            let mut whole = [0; 32];
            let (head, tail) = whole.split_at_mut(16);
            head.copy_from_slice(&big_endian_128(high));
            tail.copy_from_slice(&big_endian_128(low as i128));
            push(row, &whole)?;
        }
    } else {
        return Err(Error::internal("an array that is not DECIMAL"));
    }
    Ok(Arc::new(FixedSizeBinaryArray::try_new(width, Buffer::from(bytes), array.nulls().cloned())?))
}

/// Parquet stores decimals with the highest byte first.
fn big_endian_128(value: i128) -> [u8; 16] {
    let mut bytes = value.to_le_bytes();
    bytes.reverse();
    bytes
}

/// The same lists under other field names.
fn relabel(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    match (target, array.as_list_opt::<i32>()) {
        (DataType::List(field), Some(list)) => {
            let values = relabel(list.values(), field.data_type())?;
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(field),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            )?))
        }
        _ => Ok(Arc::clone(array)),
    }
}

/// QuestDB's form of an array: a 32-bit length for each dimension, zeros up to a multiple of 8 bytes, then the doubles row by
/// row, NaN for NULL.
fn raw_arrays(array: &ArrayRef) -> Result<ArrayRef> {
    let list = array.as_list_opt::<i32>().ok_or_else(|| Error::internal("an array that is not a list"))?;
    let mut data: Vec<u8> = Vec::new();
    let mut lengths = Vec::with_capacity(list.len());
    let dimensions = depth(list.data_type());
    for row in 0..list.len() {
        let start = data.len();
        if list.is_valid(row) {
            let mut shape = Vec::new();
            let mut doubles = Vec::new();
            flatten(&list.value(row), 0, &mut shape, &mut doubles)?;
            // Below an empty dimension there is nothing that shows a length.
            shape.resize(shape.len().max(dimensions), 0);
            for length in &shape {
                data.extend_from_slice(&length.to_le_bytes());
            }
            data.resize(start + (data.len() - start).next_multiple_of(8), 0);
            doubles.iter().for_each(|double| data.extend_from_slice(&double.to_le_bytes()));
        }
        lengths.push(data.len() - start);
    }
    let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
    Ok(Arc::new(BinaryArray::try_new(offsets, Buffer::from(data), list.nulls().cloned())?))
}

/// Lists inside lists.
fn depth(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(field) => 1 + depth(field.data_type()),
        _ => 0,
    }
}

fn flatten(values: &ArrayRef, depth: usize, shape: &mut Vec<i32>, doubles: &mut Vec<f64>) -> Result<()> {
    let length = i32::try_from(values.len()).map_err(|_| Error::invalid_input("an array is too long"))?;
    match shape.get(depth) {
        None => shape.push(length),
        Some(expected) if *expected == length => {}
        Some(expected) => {
            return Err(Error::invalid_input("an array is ragged")
                .expected(format_args!("{expected} elements"))
                .found(length));
        }
    }
    if let Some(list) = values.as_list_opt::<i32>() {
        for row in 0..list.len() {
            if list.is_null(row) {
                return Err(Error::invalid_input("an array has a NULL row"));
            }
            flatten(&list.value(row), depth + 1, shape, doubles)?;
        }
        return Ok(());
    }
    let leaf = values
        .as_primitive_opt::<Float64Type>()
        .ok_or_else(|| Error::internal("an array that is not of doubles"))?;
    doubles.extend(leaf.iter().map(|value| value.unwrap_or(f64::NAN)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Decimal128Array;

    #[test]
    fn decimals_get_their_width() {
        let decimals: ArrayRef = Arc::new(Decimal128Array::from(vec![Some(-2), None, Some(513)]));
        let fixed = Adapter::DecimalToFixed(4).apply(&decimals).unwrap();
        let fixed = fixed.as_fixed_size_binary();
        assert_eq!(fixed.value(0), [0xff, 0xff, 0xff, 0xfe]);
        assert!(fixed.is_null(1));
        assert_eq!(fixed.value(2), [0, 0, 2, 1]);
        let error = Adapter::DecimalToFixed(1).apply(&decimals).unwrap_err().to_string();
        assert!(error.contains("does not fit"), "{error}");
        let edge: ArrayRef = Arc::new(Decimal128Array::from(vec![128]));
        assert!(Adapter::DecimalToFixed(1).apply(&edge).is_err());
    }

    #[test]
    fn raw_arrays_have_shape_and_padding() {
        let list = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
            Some(vec![Some(1.0), None]),
            None,
            Some(vec![]),
        ]);
        let raw = Adapter::RawArrays.apply(&(Arc::new(list) as ArrayRef)).unwrap();
        let raw = raw.as_binary::<i32>();
        assert_eq!(raw.value(0).len(), 8 + 16);
        assert_eq!(raw.value(0)[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
        assert!(raw.is_null(1));
        assert_eq!(raw.value(2), [0; 8]);
    }

    #[test]
    fn raw_arrays_have_all_lengths_when_one_is_zero() {
        let of_lists = |list: ListArray| {
            let field = arrow_schema::Field::new("item", list.data_type().clone(), true);
            let offsets = OffsetBuffer::from_lengths([list.len(), 0]);
            ListArray::try_new(Arc::new(field), offsets, Arc::new(list), None).unwrap()
        };
        let empty: Vec<Option<Vec<Option<f64>>>> = vec![Some(vec![]), Some(vec![])];
        let cubes = of_lists(of_lists(ListArray::from_iter_primitive::<Float64Type, _, _>(empty)));
        let raw = Adapter::RawArrays.apply(&(Arc::new(cubes.slice(1, 1)) as ArrayRef)).unwrap();
        // Three lengths and padding, of [0, 0, 0].
        assert_eq!(raw.as_binary::<i32>().value(0), [0; 16]);
    }
}
