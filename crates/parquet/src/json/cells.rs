//! Arrow arrays → JSON values, each type as DuckDB's own writer of JSON renders it.

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, BooleanArray, FixedSizeListArray, MapArray, PrimitiveArray, StructArray};
use arrow_schema::{DataType, Field, TimeUnit};

use super::time::{self, Unit, MICROS, MILLIS, NANOS, SECONDS};
use super::{document, number, text};
use crate::annotation;
use crate::error::{Error, Result};

/// The values of one array.
pub trait Cells {
    /// Appends the value of a row.
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()>;
}

type Boxed<'a> = Box<dyn Cells + 'a>;

/// Where a value stands: names of members are strings, and have the text of a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Value,
    Key,
}

/// The cells of a column.
pub fn cells<'a>(field: &Field, array: &'a dyn Array) -> Result<Boxed<'a>> {
    of(field, array, Place::Value)
}

/// Whether values of a type can be written.
pub fn check(field: &Field) -> Result<()> {
    cells(field, arrow_array::new_empty_array(field.data_type()).as_ref()).map(drop)
}

struct Each<'a, A: Array, W> {
    array: &'a A,
    write: W,
}

impl<A: Array, W: Fn(&A, usize, &mut Vec<u8>) -> Result<()>> Cells for Each<'_, A, W> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if self.array.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        (self.write)(self.array, row, out)
    }
}

fn each<'a, A: Array + 'static>(
    array: &'a dyn Array,
    write: impl Fn(&A, usize, &mut Vec<u8>) -> Result<()> + 'a,
) -> Result<Boxed<'a>> {
    let odd = || Error::internal(format!("an array of type {} has another form", array.data_type()));
    Ok(Box::new(Each { array: array.as_any().downcast_ref::<A>().ok_or_else(odd)?, write }))
}

/// Values whose text needs no escapes; in quotes if `quoted`.
fn plain<'a, A: Array + 'static>(
    array: &'a dyn Array,
    quoted: bool,
    write: impl Fn(&A, usize, &mut Vec<u8>) + 'a,
) -> Result<Boxed<'a>> {
    each(array, move |array: &A, row, out| {
        if quoted {
            out.push(b'"');
        }
        write(array, row, out);
        if quoted {
            out.push(b'"');
        }
        Ok(())
    })
}

fn integers<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, place: Place) -> Result<Boxed<'a>>
where
    T::Native: itoa::Integer,
{
    let write = |array: &PrimitiveArray<T>, row: usize, out: &mut Vec<u8>| {
        number::integer(array.value(row), out);
    };
    plain(array, place == Place::Key, write)
}

fn instants<'a, T: ArrowTimestampType>(array: &'a dyn Array, unit: Unit, utc: bool) -> Result<Boxed<'a>> {
    plain(array, true, move |array: &PrimitiveArray<T>, row, out| {
        let write = if utc { time::timestamp_utc } else { time::timestamp };
        write(array.value(row), unit, out);
    })
}

fn times<'a, T: ArrowPrimitiveType>(array: &'a dyn Array, unit: Unit) -> Result<Boxed<'a>>
where
    T::Native: Into<i64>,
{
    plain(array, true, move |array: &PrimitiveArray<T>, row, out| {
        let value: i64 = array.value(row).into();
        time::clock(u64::try_from(value).unwrap_or(0), unit, out);
    })
}

fn of<'a>(field: &Field, array: &'a dyn Array, place: Place) -> Result<Boxed<'a>> {
    use DataType as T;
    let annotated = field.metadata().get(annotation::KEY).map(String::as_str);
    let key = place == Place::Key;
    match (field.data_type(), annotated) {
        (T::Null, _) => each(array, |_: &arrow_array::NullArray, _, out| {
            out.extend_from_slice(b"null");
            Ok(())
        }),
        (T::Boolean, _) => plain(array, key, |array: &BooleanArray, row, out| {
            out.extend_from_slice(if array.value(row) { b"true" } else { b"false" });
        }),
        (T::Int8, _) => integers::<Int8Type>(array, place),
        (T::Int16, _) => integers::<Int16Type>(array, place),
        (T::Int32, _) => integers::<Int32Type>(array, place),
        (T::Int64, _) => integers::<Int64Type>(array, place),
        (T::UInt8, _) => integers::<UInt8Type>(array, place),
        (T::UInt16, _) => integers::<UInt16Type>(array, place),
        (T::UInt32, _) => integers::<UInt32Type>(array, place),
        (T::UInt64, _) => integers::<UInt64Type>(array, place),
        (T::Float32, _) => plain(array, key, move |array: &PrimitiveArray<Float32Type>, row, out| {
            let value = array.value(row);
            if key {
                number::text_float(value, out);
            } else {
                number::json_double(f64::from(value), out);
            }
        }),
        (T::Float64, _) => plain(array, key, move |array: &PrimitiveArray<Float64Type>, row, out| {
            let write = if key { number::text_double } else { number::json_double };
            write(array.value(row), out);
        }),
        (T::Decimal128(digits, scale), _) => {
            let double = *digits <= number::DOUBLE_DIGITS && !key;
            let scale = usize::try_from(*scale).map_err(|_| unsupported(field))?;
            plain(array, key, move |array: &PrimitiveArray<Decimal128Type>, row, out| {
                let value = array.value(row);
                if double {
                    number::json_double(number::decimal_double(value, scale), out);
                } else {
                    number::decimal(value, scale, out);
                }
            })
        }
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, mark) => texts(array, mark == Some(annotation::JSON) && !key),
        (T::Binary | T::LargeBinary | T::BinaryView, _) => blobs(array),
        (T::FixedSizeBinary(width), mark) => fixed(array, *width, mark, key),
        (T::Date32, _) => plain(array, true, |array: &PrimitiveArray<Date32Type>, row, out| {
            time::date(array.value(row), out);
        }),
        (T::Time32(TimeUnit::Second), _) => times::<Time32SecondType>(array, SECONDS),
        (T::Time32(_), _) => times::<Time32MillisecondType>(array, MILLIS),
        (T::Time64(TimeUnit::Microsecond), _) => times::<Time64MicrosecondType>(array, MICROS),
        (T::Time64(_), _) => times::<Time64NanosecondType>(array, NANOS),
        (T::Timestamp(unit, zone), mark) => {
            let utc = zone.is_some() && mark != Some(annotation::NO_ZONE);
            match unit {
                TimeUnit::Second => instants::<TimestampSecondType>(array, SECONDS, utc),
                TimeUnit::Millisecond => instants::<TimestampMillisecondType>(array, MILLIS, utc),
                TimeUnit::Microsecond => instants::<TimestampMicrosecondType>(array, MICROS, utc),
                TimeUnit::Nanosecond => instants::<TimestampNanosecondType>(array, NANOS, utc),
            }
        }
        (T::Interval(arrow_schema::IntervalUnit::MonthDayNano), _) => {
            plain(array, true, |array: &PrimitiveArray<IntervalMonthDayNanoType>, row, out| {
                let value = array.value(row);
                time::interval(value.months, value.days, value.nanoseconds / 1000, out);
            })
        }
        (T::Dictionary(_, values), mark) => {
            let item = Field::new(field.name(), values.as_ref().clone(), true);
            let item = match mark {
                Some(mark) => annotation::put(item, mark),
                None => item,
            };
            let dictionary = array.as_any_dictionary_opt().ok_or_else(|| unsupported(field))?;
            let inner = of(&item, dictionary.values().as_ref(), place)?;
            let keys = match dictionary.values().len() {
                0 => vec![0; array.len()],
                _ => dictionary.normalized_keys(),
            };
            Ok(Box::new(Indirect { array, keys, inner }))
        }
        _ if key => Err(unsupported(field).hint("Cast the keys to VARCHAR.")),
        (T::List(item), _) => {
            let inner = of(item, array.as_list::<i32>().values().as_ref(), Place::Value)?;
            each(array, move |array: &arrow_array::ListArray, row, out| {
                let offsets = array.value_offsets();
                list(inner.as_ref(), range(offsets, row), out)
            })
        }
        (T::LargeList(item), _) => {
            let inner = of(item, array.as_list::<i64>().values().as_ref(), Place::Value)?;
            each(array, move |array: &arrow_array::LargeListArray, row, out| {
                let offsets = array.value_offsets();
                list(inner.as_ref(), range(offsets, row), out)
            })
        }
        (T::FixedSizeList(item, length), _) => {
            let length = usize::try_from(*length).map_err(|_| unsupported(field))?;
            let inner = of(item, array.as_fixed_size_list().values().as_ref(), Place::Value)?;
            each(array, move |array: &FixedSizeListArray, row, out| {
                let start = array.value_offset_at(row);
                list(inner.as_ref(), start..start + length, out)
            })
        }
        (T::Struct(members), mark) => {
            let columns = array.as_struct().columns().iter();
            let members = members.iter().zip(columns).map(|(member, column)| {
                let mut name = Vec::new();
                if mark != Some(annotation::TUPLE) {
                    text::string(member.name(), &mut name);
                    name.push(b':');
                }
                Ok((name, of(member, column.as_ref(), Place::Value)?))
            });
            let members: Vec<(Vec<u8>, Boxed<'a>)> = members.collect::<Result<_>>()?;
            let (open, close) = if mark == Some(annotation::TUPLE) { (b'[', b']') } else { (b'{', b'}') };
            each(array, move |_: &StructArray, row, out| {
                out.push(open);
                for (index, (name, member)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(name);
                    member.write(row, out)?;
                }
                out.push(close);
                Ok(())
            })
        }
        (T::Map(entries, _), _) => {
            let map = array.as_map();
            let T::Struct(pair) = entries.data_type() else { return Err(unsupported(field)) };
            let [key, value] = pair.as_ref() else { return Err(unsupported(field)) };
            let keys = of(key, map.keys().as_ref(), Place::Key)?;
            let values = of(value, map.values().as_ref(), Place::Value)?;
            each(array, move |array: &MapArray, row, out| {
                out.push(b'{');
                for (index, entry) in range(array.value_offsets(), row).enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    keys.write(entry, out)?;
                    out.push(b':');
                    values.write(entry, out)?;
                }
                out.push(b'}');
                Ok(())
            })
        }
        _ => Err(unsupported(field)),
    }
}

fn unsupported(field: &Field) -> Error {
    Error::unsupported(format!("Arrow type {} is not written as JSON", field.data_type()))
}

/// Values of a dictionary by key.
struct Indirect<'a> {
    array: &'a dyn Array,
    keys: Vec<usize>,
    inner: Boxed<'a>,
}

impl Cells for Indirect<'_> {
    fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<()> {
        match self.keys.get(row) {
            Some(key) if self.array.is_valid(row) => self.inner.write(*key, out),
            _ => {
                out.extend_from_slice(b"null");
                Ok(())
            }
        }
    }
}

fn range<O: Copy + TryInto<usize>>(offsets: &[O], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| offsets.get(index).and_then(|offset| (*offset).try_into().ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

fn list(inner: &dyn Cells, rows: std::ops::Range<usize>, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for (index, row) in rows.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        inner.write(row, out)?;
    }
    out.push(b']');
    Ok(())
}

fn texts(array: &dyn Array, json: bool) -> Result<Boxed<'_>> {
    fn write(text: &str, json: bool, out: &mut Vec<u8>) -> Result<()> {
        if json {
            return document::document(text, out);
        }
        text::string(text, out);
        Ok(())
    }
    match array.data_type() {
        DataType::Utf8 => {
            each(array, move |a: &arrow_array::StringArray, row, out| write(a.value(row), json, out))
        }
        DataType::LargeUtf8 => {
            each(array, move |a: &arrow_array::LargeStringArray, row, out| write(a.value(row), json, out))
        }
        _ => each(array, move |a: &arrow_array::StringViewArray, row, out| write(a.value(row), json, out)),
    }
}

fn blobs(array: &dyn Array) -> Result<Boxed<'_>> {
    fn write(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        text::blob(bytes, out);
        Ok(())
    }
    match array.data_type() {
        DataType::Binary => each(array, |a: &arrow_array::BinaryArray, row, out| write(a.value(row), out)),
        DataType::LargeBinary => {
            each(array, |a: &arrow_array::LargeBinaryArray, row, out| write(a.value(row), out))
        }
        _ => each(array, |a: &arrow_array::BinaryViewArray, row, out| write(a.value(row), out)),
    }
}

/// Bytes of one width: UUID, 128-bit integers, TIME WITH TIME ZONE, or a blob.
fn fixed<'a>(array: &'a dyn Array, width: i32, mark: Option<&str>, key: bool) -> Result<Boxed<'a>> {
    type Fixed = arrow_array::FixedSizeBinaryArray;
    let whole = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).map_or(0, u128::from_le_bytes);
    match (width, mark) {
        (16, Some(annotation::UUID)) => each(array, |array: &Fixed, row, out| {
            text::uuid(array.value(row), out);
            Ok(())
        }),
        (16, Some(annotation::HUGEINT)) => plain(array, key, move |array: &Fixed, row, out| {
            number::integer(whole(array.value(row)) as i128, out);
        }),
        (16, Some(annotation::UHUGEINT)) => plain(array, key, move |array: &Fixed, row, out| {
            number::integer(whole(array.value(row)), out);
        }),
        (8, Some(annotation::TIME_TZ)) => plain(array, true, |array: &Fixed, row, out| {
            let bits = <[u8; 8]>::try_from(array.value(row)).map_or(0, u64::from_le_bytes);
            time::time_tz(bits, out);
        }),
        _ => each(array, |array: &Fixed, row, out| {
            text::blob(array.value(row), out);
            Ok(())
        }),
    }
}
