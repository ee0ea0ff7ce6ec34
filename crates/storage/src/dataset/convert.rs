//! The decoder's Arrow arrays → those that are handed on.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, StringViewBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Decimal256Type, Float16Type, Float32Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    Time32MillisecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow_array::{
    new_null_array, Array, ArrayRef, IntervalMonthDayNanoArray, ListArray, MapArray, PrimitiveArray,
    StructArray,
};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use super::leaf::Convert;
use crate::error::{Error, Result};

/// Seconds of the zone that DuckDB's TIMETZ counts down from.
const WEST_OF_ALL: u64 = 16 * 60 * 60 - 1;

/// Converts `array` to `target`.
pub(super) fn convert(array: &ArrayRef, how: &Convert, target: &DataType) -> Result<ArrayRef> {
    if *how == Convert::Same && array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    converted(array, how, target)
        .and_then(|converted| converted.ok_or_else(|| unexpected(array)))
        .map_err(|error| Error::corrupt("value is out of range", target, error))
}

fn unexpected(array: &ArrayRef) -> ArrowError {
    ArrowError::CastError(format!("an array of {}", array.data_type()))
}

/// `None` when the array is not of the type that `how` is about.
fn converted(
    array: &ArrayRef,
    how: &Convert,
    target: &DataType,
) -> std::result::Result<Option<ArrayRef>, ArrowError> {
    Ok(match how {
        Convert::Same => renamed(array, target)?,
        Convert::Half => array
            .as_primitive_opt::<Float16Type>()
            .map(|halves| Arc::new(halves.unary::<_, Float32Type>(|half| half.to_f32())) as ArrayRef),
        Convert::Millis { utc } => match array.as_primitive_opt::<TimestampMillisecondType>() {
            None => None,
            Some(millis) => {
                let micros: PrimitiveArray<TimestampMicrosecondType> = millis.try_unary(|millis| {
                    millis
                        .checked_mul(1000)
                        .ok_or_else(|| ArrowError::CastError(format!("{millis} milliseconds since 1970")))
                })?;
                Some(Arc::new(micros.with_timezone_opt(utc.then_some("UTC"))))
            }
        },
        Convert::Utc => match array.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, _) => array
                .as_primitive_opt::<TimestampMicrosecondType>()
                .map(|times| Arc::new(times.clone().with_timezone("UTC")) as ArrayRef),
            _ => array
                .as_primitive_opt::<TimestampNanosecondType>()
                .map(|times| Arc::new(times.clone().with_timezone("UTC")) as ArrayRef),
        },
        Convert::TimeMillis => match array.as_primitive_opt::<Time32MillisecondType>() {
            None => None,
            Some(times) => {
                let micros: PrimitiveArray<Time64MicrosecondType> = times
                    .try_unary(|millis| time_of_day(i64::from(millis), 1000).map(|millis| millis * 1000))?;
                Some(Arc::new(micros))
            }
        },
        // DuckDB takes the values as they are, and fails on others later.
        Convert::Time => {
            if let Some(times) = array.as_primitive_opt::<Time64MicrosecondType>() {
                times.iter().flatten().try_for_each(|time| time_of_day(time, 1_000_000).map(drop))?;
                Some(Arc::clone(array))
            } else if let Some(times) = array.as_primitive_opt::<Time64NanosecondType>() {
                times.iter().flatten().try_for_each(|time| time_of_day(time, 1_000_000_000).map(drop))?;
                Some(Arc::clone(array))
            } else {
                None
            }
        }
        Convert::Decimal => match array.as_primitive_opt::<Decimal128Type>() {
            None => None,
            Some(values) => {
                values.validate_decimal_precision(values.precision())?;
                Some(Arc::clone(array))
            }
        },
        Convert::TimeUtc => times_of_utc(array)?,
        Convert::Interval => array.as_fixed_size_binary_opt().map(|values| {
            let word = |bytes: &[u8], at: usize| {
                bytes
                    .get(at..)
                    .and_then(|rest| rest.first_chunk::<4>())
                    .map_or(0, |word| u32::from_le_bytes(*word))
            };
            let interval = |bytes: &[u8]| {
                let (months, days, millis) = (word(bytes, 0), word(bytes, 4), word(bytes, 8));
                IntervalMonthDayNano::new(months as i32, days as i32, i64::from(millis) * 1_000_000)
            };
            let intervals: PrimitiveArray<IntervalMonthDayNanoType> =
                values.iter().map(|value| value.map(interval)).collect::<IntervalMonthDayNanoArray>();
            Arc::new(intervals) as ArrayRef
        }),
        Convert::NarrowDecimal => match array.as_primitive_opt::<Decimal256Type>() {
            None => None,
            Some(wide) => {
                let narrow: PrimitiveArray<Decimal128Type> = wide.try_unary(|value| {
                    value.to_i128().ok_or_else(|| ArrowError::CastError(value.to_string()))
                })?;
                let narrow = narrow.with_data_type(target.clone());
                narrow.validate_decimal_precision(narrow.precision())?;
                Some(Arc::new(narrow))
            }
        },
        Convert::DecimalText => decimal_texts(array),
        Convert::Nulls => Some(new_null_array(target, array.len())),
        Convert::List(element) => match (array.as_list_opt::<i32>(), target) {
            (Some(lists), DataType::List(field)) => {
                let values = inner(lists.values(), element, field.data_type())?;
                let nulls = lists.nulls().cloned();
                Some(Arc::new(ListArray::try_new(Arc::clone(field), lists.offsets().clone(), values, nulls)?))
            }
            _ => None,
        },
        Convert::Map(parts) => match (array.as_map_opt(), target) {
            (Some(maps), DataType::Map(field, sorted)) => {
                let DataType::Struct(pair) = field.data_type() else { return Ok(None) };
                let [key, value] = pair.as_ref() else { return Ok(None) };
                let keys = inner(maps.keys(), &parts.0, key.data_type())?;
                let values = inner(maps.values(), &parts.1, value.data_type())?;
                let entries = StructArray::try_new(pair.clone(), vec![keys, values], None)?;
                let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
                Some(Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)?))
            }
            _ => None,
        },
        Convert::Struct(parts) => match (array.as_struct_opt(), target) {
            (Some(rows), DataType::Struct(fields)) if rows.num_columns() == parts.len() => {
                let columns = rows.columns().iter().zip(parts).zip(fields);
                let columns = columns
                    .map(|((column, part), field)| inner(column, part, field.data_type()))
                    .collect::<std::result::Result<Vec<_>, _>>()?;
                let nulls = rows.nulls().cloned();
                Some(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, rows.len())?))
            }
            _ => None,
        },
    })
}

fn inner(array: &ArrayRef, how: &Convert, target: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    if *how == Convert::Same && array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    converted(array, how, target)?.ok_or_else(|| unexpected(array))
}

/// The same values under a type that differs only in the names and notes of nested fields.
fn renamed(array: &ArrayRef, target: &DataType) -> std::result::Result<Option<ArrayRef>, ArrowError> {
    let same = Convert::Same;
    match target {
        DataType::List(_) => converted(array, &Convert::List(Box::new(same)), target),
        DataType::Map(..) => converted(array, &Convert::Map(Box::new((same.clone(), same))), target),
        DataType::Struct(fields) => converted(array, &Convert::Struct(vec![same; fields.len()]), target),
        _ => Ok(None),
    }
}

/// `time`, which must lie in a day of `per_second` ticks a second; its end counts.
fn time_of_day(time: i64, per_second: i64) -> std::result::Result<i64, ArrowError> {
    match (0..=per_second * 86_400).contains(&time) {
        true => Ok(time),
        false => Err(ArrowError::CastError(format!("the time {time}, of {per_second} a second"))),
    }
}

/// TIMETZ as DuckDB holds it: microseconds in the upper 40 bits, the zone in the lower 24.
fn times_of_utc(array: &ArrayRef) -> std::result::Result<Option<ArrayRef>, ArrowError> {
    let micros: Vec<Option<i64>> = match array.data_type() {
        DataType::Time32(_) => match array.as_primitive_opt::<Time32MillisecondType>() {
            Some(times) => times.iter().map(|time| time.map(|millis| i64::from(millis) * 1000)).collect(),
            None => return Ok(None),
        },
        _ => match array.as_primitive_opt::<Time64MicrosecondType>() {
            Some(times) => times.iter().collect(),
            None => return Ok(None),
        },
    };
    let mut bits = FixedSizeBinaryBuilder::with_capacity(micros.len(), 8);
    for time in micros {
        match time.map(|micros| time_of_day(micros, 1_000_000)).transpose()? {
            Some(micros) => bits.append_value(((micros as u64) << 24 | WEST_OF_ALL).to_le_bytes())?,
            None => bits.append_null(),
        }
    }
    Ok(Some(Arc::new(bits.finish())))
}

/// Exact digits, with as many behind the point as the scale says.
fn decimal_texts(array: &ArrayRef) -> Option<ArrayRef> {
    let scale = match array.data_type() {
        DataType::Decimal256(_, scale) | DataType::Decimal128(_, scale) => usize::try_from(*scale).ok()?,
        _ => return None,
    };
    let mut texts = StringViewBuilder::with_capacity(array.len());
    let mut append = |value: Option<String>| match value {
        Some(digits) => texts.append_value(with_point(&digits, scale)),
        None => texts.append_null(),
    };
    if let Some(values) = array.as_primitive_opt::<Decimal256Type>() {
        values.iter().for_each(|value| append(value.map(|value| value.to_string())));
    } else {
        let values = array.as_primitive_opt::<Decimal128Type>()?;
        values.iter().for_each(|value| append(value.map(|value| value.to_string())));
    }
    Some(Arc::new(texts.finish()))
}

fn with_point(digits: &str, scale: usize) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Decimal256Array, FixedSizeBinaryArray, TimestampMillisecondArray};
    use arrow_buffer::i256;

    #[test]
    fn decimals_keep_every_digit() {
        assert_eq!(with_point("-5", 3), "-0.005");
        assert_eq!(with_point("12345", 2), "123.45");
        assert_eq!(with_point("7", 0), "7");
        let values = Decimal256Array::from_iter([
            Some(i256::from_string("-12345678901234567890123456789012345678901").unwrap()),
            None,
        ])
        .with_precision_and_scale(50, 40)
        .unwrap();
        let texts =
            convert(&(Arc::new(values) as ArrayRef), &Convert::DecimalText, &DataType::Utf8View).unwrap();
        assert_eq!(texts.as_string_view().value(0), "-1.2345678901234567890123456789012345678901");
        assert!(texts.is_null(1));
    }

    #[test]
    fn intervals_keep_their_months() {
        let bytes = [1u32, 2, 3500].map(u32::to_le_bytes).concat();
        let array = FixedSizeBinaryArray::try_from_iter(std::iter::once(bytes)).unwrap();
        let target = DataType::Interval(arrow_schema::IntervalUnit::MonthDayNano);
        let converted = convert(&(Arc::new(array) as ArrayRef), &Convert::Interval, &target).unwrap();
        let value = converted.as_primitive::<IntervalMonthDayNanoType>().value(0);
        assert_eq!((value.months, value.days, value.nanoseconds), (1, 2, 3_500_000_000));
    }

    #[test]
    fn times_that_do_not_fit_are_errors() {
        let array = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX])) as ArrayRef;
        let target = DataType::Timestamp(TimeUnit::Microsecond, None);
        let error = convert(&array, &Convert::Millis { utc: false }, &target).unwrap_err().to_string();
        assert!(error.contains("milliseconds since 1970"), "{error}");
    }
}
