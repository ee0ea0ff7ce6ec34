//! DuckDB's types → the Arrow types that are written, as DuckDB's own writers of Parquet and JSON map them.
//!
//! What the Arrow exporter hands over depends on the session (`arrow_lossless_conversion`, `arrow_large_buffer_size`,
//! `produce_arrow_string_view`, `arrow_output_list_view`, `arrow_output_version`); what is written must not. So each column
//! has a [`Target`], made from its DuckDB type alone, that takes every form.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Decimal32Type, Decimal64Type, Int8Type, IntervalMonthDayNanoType,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampNanosecondType, TimestampSecondType,
    UInt16Type, UInt32Type, UInt8Type,
};
use arrow_array::{
    new_null_array, Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float64Array, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, TimeUnit};
use duckdb_neo::connection::FFILink;
use duckdb_neo::logical_type::{LogicalType, LogicalTypeID};
use duckdb_neo::{Error, Result};
use questdb_parquet::annotation;

use super::json_types::{JsonSession, JsonTarget};

/// How values of one DuckDB type are written.
#[derive(Debug, Clone)]
pub enum Target {
    /// As the exporter gives them, always in this type.
    Same(DataType),
    /// Bits, or bytes of 0 and 1.
    Boolean,
    /// DOUBLE, as Parquet has no integers of 128 bits.
    HugeInt {
        /// UHUGEINT.
        unsigned: bool,
    },
    /// 16 bytes, or text.
    Uuid,
    /// UTF-8 with 32-bit offsets.
    Text {
        /// JSON.
        json: bool,
    },
    /// Bytes with 32-bit offsets.
    Blob,
    /// Microseconds of the day.
    TimeTz,
    /// Microseconds; TIMESTAMP_S too.
    Timestamp {
        /// Nanoseconds.
        nanos: bool,
        /// TIMESTAMPTZ.
        utc: bool,
    },
    /// Seconds → microseconds.
    Seconds,
    /// 128 bits.
    Decimal(u8, i8),
    /// A dictionary of text with keys of this type.
    Enum(DataType),
    /// 12 bytes: months, days, milliseconds.
    Interval,
    /// NULLs of type INTEGER.
    Null,
    /// Lists, of any offset size.
    List(Box<Target>),
    /// Lists of one length.
    Array(Box<Target>, i32),
    /// Members.
    Struct {
        /// Name and target of each.
        members: Vec<(String, Target)>,
        /// They have no names.
        tuple: bool,
    },
    /// Keys and values.
    Map(Box<Target>, Box<Target>),
    /// What JSON can say and Parquet cannot.
    Json(JsonTarget),
}

impl Target {
    /// The target of `logical_type`, for JSON with a session, for Parquet without; an error names the type when it cannot be written.
    pub fn new(
        logical_type: &LogicalType,
        session: Option<&JsonSession>,
    ) -> std::result::Result<Self, String> {
        let text = || logical_type.to_text().unwrap_or_else(|_| "of an unknown type".to_owned());
        let id = logical_type.id().map_err(|_| text())?;
        if let Some(session) = session {
            if let Some(target) = JsonTarget::of(id, session)? {
                return Ok(Self::Json(target));
            }
        }
        Self::of(logical_type, id, session).map_err(|error| error.unwrap_or_else(text))
    }

    fn of(
        logical_type: &LogicalType,
        id: LogicalTypeID,
        session: Option<&JsonSession>,
    ) -> std::result::Result<Self, Option<String>> {
        use LogicalTypeID as T;
        let params = || logical_type.get_params().map_err(|_| None);
        let types = || -> std::result::Result<Vec<(String, LogicalType)>, Option<String>> {
            let typed = params()?.into_iter().filter_map(|(name, value)| {
                value.get::<LogicalType>().ok().flatten().map(|inner| (name, inner))
            });
            Ok(typed.collect())
        };
        let child = |index: usize| -> std::result::Result<Box<Self>, Option<String>> {
            let types = types()?;
            let (_, inner) = types.get(index).ok_or(None)?;
            Ok(Box::new(Self::new(inner, session).map_err(Some)?))
        };
        let number = |index: usize| -> std::result::Result<i64, Option<String>> {
            let numbers = params()?;
            let (_, value) = numbers.get(index).ok_or(None)?;
            value.dbg_string().ok().and_then(|text| text.parse().ok()).ok_or(None)
        };
        Ok(match id {
            T::Boolean => Self::Boolean,
            T::TinyInt => Self::Same(DataType::Int8),
            T::SmallInt => Self::Same(DataType::Int16),
            T::Integer => Self::Same(DataType::Int32),
            T::BigInt => Self::Same(DataType::Int64),
            T::UTinyInt => Self::Same(DataType::UInt8),
            T::USmallInt => Self::Same(DataType::UInt16),
            T::UInteger => Self::Same(DataType::UInt32),
            T::UBigInt => Self::Same(DataType::UInt64),
            T::Float => Self::Same(DataType::Float32),
            T::Double => Self::Same(DataType::Float64),
            T::Date => Self::Same(DataType::Date32),
            T::Time => Self::Same(DataType::Time64(TimeUnit::Microsecond)),
            T::TimeNs => Self::Same(DataType::Time64(TimeUnit::Nanosecond)),
            T::TimestampMs => Self::Same(DataType::Timestamp(TimeUnit::Millisecond, None)),
            T::TimestampSec => Self::Seconds,
            T::Timestamp => Self::Timestamp { nanos: false, utc: false },
            T::TimestampNs => Self::Timestamp { nanos: true, utc: false },
            T::TimestampTz => Self::Timestamp { nanos: false, utc: true },
            T::TimestampTzNs => Self::Timestamp { nanos: true, utc: true },
            T::TimeTz => Self::TimeTz,
            T::HugeInt => Self::HugeInt { unsigned: false },
            T::UHugeInt => Self::HugeInt { unsigned: true },
            T::Uuid => Self::Uuid,
            T::Varchar => {
                Self::Text { json: logical_type.name().is_ok_and(|name| name.eq_ignore_ascii_case("json")) }
            }
            T::Blob => Self::Blob,
            T::Interval => Self::Interval,
            T::SqlNull => Self::Null,
            T::Decimal => Self::Decimal(
                u8::try_from(number(0)?).map_err(|_| None)?,
                i8::try_from(number(1)?).map_err(|_| None)?,
            ),
            T::Enum => Self::Enum(match logical_type.param_count().map_err(|_| None)? {
                0..=255 => DataType::UInt8,
                256..=65535 => DataType::UInt16,
                _ => DataType::UInt32,
            }),
            T::List => Self::List(child(0)?),
            T::Array => Self::Array(child(0)?, i32::try_from(number(1)?).map_err(|_| None)?),
            T::Map => Self::Map(child(0)?, child(1)?),
            // Parquet's members have names.
            T::Tuple if session.is_none() => return Err(None),
            T::Struct | T::Tuple => {
                let members = types()?.into_iter();
                let members =
                    members.map(|(name, inner)| Ok((name, Self::new(&inner, session).map_err(Some)?)));
                let members = members.collect::<std::result::Result<Vec<_>, Option<String>>>()?;
                Self::Struct { members, tuple: id == T::Tuple }
            }
            _ => return Err(None),
        })
    }

    /// The Arrow type that is written.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Same(data_type) => data_type.clone(),
            Self::Boolean => DataType::Boolean,
            Self::HugeInt { .. } => DataType::Float64,
            Self::Uuid => DataType::FixedSizeBinary(16),
            Self::Text { .. } => DataType::Utf8,
            Self::Blob => DataType::Binary,
            Self::TimeTz => DataType::Time64(TimeUnit::Microsecond),
            Self::Timestamp { nanos, utc } => {
                let unit = if *nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
                DataType::Timestamp(unit, utc.then(|| "UTC".into()))
            }
            Self::Seconds => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Enum(key) => DataType::Dictionary(Box::new(key.clone()), Box::new(DataType::Utf8)),
            Self::Interval => DataType::FixedSizeBinary(12),
            Self::Null => DataType::Int32,
            Self::List(item) => DataType::List(item.field("element", true)),
            Self::Array(item, length) => DataType::FixedSizeList(item.field("element", true), *length),
            Self::Struct { members, .. } => DataType::Struct(struct_fields(members)),
            Self::Map(key, value) => DataType::Map(entries(key, value), false),
            Self::Json(target) => target.data_type(),
        }
    }

    /// A field of this type.
    pub fn field(&self, name: &str, nullable: bool) -> FieldRef {
        let mark = match self {
            Self::Uuid => Some(annotation::UUID),
            Self::Interval => Some(annotation::INTERVAL),
            Self::TimeTz => Some(annotation::TIME_UTC),
            Self::Text { json: true } => Some(annotation::JSON),
            Self::Struct { tuple: true, .. } => Some(annotation::TUPLE),
            Self::Json(target) => target.annotation(),
            _ => None,
        };
        let field = Field::new(name, self.data_type(), nullable);
        Arc::new(match mark {
            Some(mark) => annotation::put(field, mark),
            None => field,
        })
    }

    /// Brings an array, in whatever form the session's settings make, to [`Self::data_type`].
    pub fn convert(&self, context: &impl FFILink, array: &ArrayRef) -> Result<ArrayRef> {
        let odd = || {
            Error::internal(format!(
                "DuckDB gave {} where {} is written",
                array.data_type(),
                self.data_type()
            ))
        };
        let nulls = || array.nulls().cloned();
        Ok(match self {
            Self::Same(data_type) if array.data_type() == data_type => Arc::clone(array),
            Self::Same(_) => return Err(odd()),
            Self::Boolean => match array.as_primitive_opt::<Int8Type>() {
                Some(bytes) => Arc::new(bytes.iter().map(|v| v.map(|v| v != 0)).collect::<BooleanArray>()),
                None => Arc::clone(array),
            },
            Self::HugeInt { unsigned } => {
                let double = |v: i128| if *unsigned { v as u128 as f64 } else { v as f64 };
                if let Some(values) = array.as_primitive_opt::<Decimal128Type>() {
                    Arc::new(values.iter().map(|v| v.map(double)).collect::<Float64Array>())
                } else {
                    let fixed = array.as_fixed_size_binary_opt().ok_or_else(odd)?;
                    let value = |bytes: &[u8]| {
                        <[u8; 16]>::try_from(bytes).map_or(0.0, |b| double(i128::from_le_bytes(b)))
                    };
                    Arc::new(fixed.iter().map(|v| v.map(value)).collect::<Float64Array>())
                }
            }
            Self::Uuid => match array.data_type() {
                DataType::FixedSizeBinary(16) => Arc::clone(array),
                _ => uuids(&text(array).ok_or_else(odd)?)?,
            },
            Self::Text { .. } => Arc::new(text(array).ok_or_else(odd)?),
            Self::Blob => Arc::new(blob(array).ok_or_else(odd)?),
            Self::TimeTz => match array.as_fixed_size_binary_opt() {
                Some(fixed) => {
                    let micros = |bytes: &[u8]| {
                        <[u8; 8]>::try_from(bytes).map_or(0, |b| (u64::from_le_bytes(b) >> 24) as i64)
                    };
                    let values = fixed.iter().map(|v| v.map(micros));
                    Arc::new(values.collect::<PrimitiveArray<Time64MicrosecondType>>())
                }
                None => Arc::clone(array),
            },
            Self::Timestamp { nanos, utc } => {
                let zone = utc.then(|| "UTC");
                if *nanos {
                    relabel::<TimestampNanosecondType>(array, |a| a.with_timezone_opt(zone))
                        .ok_or_else(odd)?
                } else {
                    relabel::<TimestampMicrosecondType>(array, |a| a.with_timezone_opt(zone))
                        .ok_or_else(odd)?
                }
            }
            Self::Seconds => {
                let seconds = array.as_primitive_opt::<TimestampSecondType>().ok_or_else(odd)?;
                // Infinity stays infinity.
                let micros = |v: i64| match v {
                    i64::MAX => i64::MAX,
                    v if v <= -i64::MAX => -i64::MAX,
                    v => v.saturating_mul(1_000_000),
                };
                Arc::new(seconds.unary::<_, TimestampMicrosecondType>(micros))
            }
            Self::Decimal(precision, scale) => {
                let decimals: Decimal128Array = if let Some(d) = array.as_primitive_opt::<Decimal128Type>() {
                    d.clone()
                } else if let Some(d) = array.as_primitive_opt::<Decimal64Type>() {
                    d.unary(i128::from)
                } else {
                    array.as_primitive_opt::<Decimal32Type>().ok_or_else(odd)?.unary(i128::from)
                };
                Arc::new(decimals.with_precision_and_scale(*precision, *scale).map_err(|_| odd())?)
            }
            Self::Enum(key) => match key {
                DataType::UInt8 => dictionary::<UInt8Type>(array).ok_or_else(odd)?,
                DataType::UInt16 => dictionary::<UInt16Type>(array).ok_or_else(odd)?,
                _ => dictionary::<UInt32Type>(array).ok_or_else(odd)?,
            },
            Self::Interval => intervals(array.as_primitive_opt().ok_or_else(odd)?)?,
            Self::Null => new_null_array(&DataType::Int32, array.len()),
            Self::List(item) => {
                let (offsets, values) = list_parts(array).ok_or_else(odd)?;
                let values = item.convert(context, &values)?;
                built(ListArray::try_new(item.field("element", true), offsets, values, nulls()))?
            }
            Self::Array(item, length) => {
                let list = array.as_fixed_size_list_opt().ok_or_else(odd)?;
                let values = item.convert(context, list.values())?;
                built(FixedSizeListArray::try_new(item.field("element", true), *length, values, nulls()))?
            }
            Self::Struct { members, .. } => {
                let given = array.as_struct_opt().ok_or_else(odd)?;
                let columns = members.iter().zip(given.columns());
                let columns = columns.map(|((_, member), column)| member.convert(context, column));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                built(StructArray::try_new(struct_fields(members), columns, nulls()))?
            }
            Self::Map(key, value) => {
                let map = array.as_map_opt().ok_or_else(odd)?;
                let field = entries(key, value);
                let DataType::Struct(fields) = field.data_type() else { return Err(odd()) };
                let columns = vec![key.convert(context, map.keys())?, value.convert(context, map.values())?];
                let pairs = StructArray::try_new(fields.clone(), columns, None).map_err(arrow_error)?;
                built(MapArray::try_new(field, map.offsets().clone(), pairs, nulls(), false))?
            }
            Self::Json(target) => target.convert(context, array)?.ok_or_else(odd)?,
        })
    }
}

fn struct_fields(members: &[(String, Target)]) -> Fields {
    members.iter().map(|(name, member)| member.field(name, true)).collect()
}

fn entries(key: &Target, value: &Target) -> FieldRef {
    let fields = Fields::from(vec![key.field("key", false), value.field("value", true)]);
    Arc::new(Field::new("key_value", DataType::Struct(fields), false))
}

fn built<A: Array + 'static>(array: std::result::Result<A, arrow_schema::ArrowError>) -> Result<ArrayRef> {
    array.map(|array| Arc::new(array) as ArrayRef).map_err(arrow_error)
}

fn arrow_error(error: arrow_schema::ArrowError) -> Error {
    Error::internal(format!("cannot build an array: {error}"))
}

fn relabel<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    label: impl FnOnce(PrimitiveArray<T>) -> PrimitiveArray<T>,
) -> Option<ArrayRef> {
    // The zone is part of the type, so it goes first.
    let data = array.to_data().into_builder().data_type(T::DATA_TYPE).build().ok()?;
    Some(Arc::new(label(PrimitiveArray::<T>::from(data))))
}

/// Text in any of Arrow's forms.
fn text(array: &ArrayRef) -> Option<StringArray> {
    match array.data_type() {
        DataType::Utf8 => array.as_string_opt::<i32>().cloned(),
        DataType::LargeUtf8 => array.as_string_opt::<i64>().map(|a| a.iter().collect()),
        DataType::Utf8View => array.as_string_view_opt().map(|a| a.iter().collect()),
        _ => None,
    }
}

/// Bytes in any of Arrow's forms.
fn blob(array: &ArrayRef) -> Option<BinaryArray> {
    match array.data_type() {
        DataType::Binary => array.as_binary_opt::<i32>().cloned(),
        DataType::LargeBinary => array.as_binary_opt::<i64>().map(|a| a.iter().collect()),
        DataType::BinaryView => array.as_binary_view_opt().map(|a| a.iter().collect()),
        _ => None,
    }
}

fn dictionary<K: arrow_array::types::ArrowDictionaryKeyType>(array: &ArrayRef) -> Option<ArrayRef> {
    let given = array.as_dictionary_opt::<K>()?;
    let values: ArrayRef = Arc::new(text(given.values())?);
    Some(Arc::new(DictionaryArray::<K>::try_new(given.keys().clone(), values).ok()?))
}

/// Offsets and values of lists in any of Arrow's forms.
fn list_parts(array: &ArrayRef) -> Option<(OffsetBuffer<i32>, ArrayRef)> {
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list_opt::<i32>()?;
            Some((list.offsets().clone(), Arc::clone(list.values())))
        }
        DataType::LargeList(_) => {
            let list = array.as_list_opt::<i64>()?;
            let offsets: Option<Vec<i32>> = list.offsets().iter().map(|o| i32::try_from(*o).ok()).collect();
            Some((OffsetBuffer::new(offsets?.into()), Arc::clone(list.values())))
        }
        DataType::ListView(_) => {
            let list = array.as_list_view_opt::<i32>()?;
            gathered(
                list.values(),
                list.offsets().iter().zip(list.sizes()).map(|(o, s)| (*o as usize, *s as usize)),
            )
        }
        DataType::LargeListView(_) => {
            let list = array.as_list_view_opt::<i64>()?;
            gathered(
                list.values(),
                list.offsets().iter().zip(list.sizes()).map(|(o, s)| (*o as usize, *s as usize)),
            )
        }
        _ => None,
    }
}

/// Lists that lie anywhere in `values`, put one after the other.
fn gathered(
    values: &ArrayRef,
    lists: impl Iterator<Item = (usize, usize)>,
) -> Option<(OffsetBuffer<i32>, ArrayRef)> {
    let lists: Vec<(usize, usize)> = lists.collect();
    let positions = lists.iter().flat_map(|(offset, size)| *offset as u64..(*offset + *size) as u64);
    let positions = arrow_array::UInt64Array::from_iter_values(positions);
    let taken = arrow_select::take::take(values.as_ref(), &positions, None).ok()?;
    Some((OffsetBuffer::from_lengths(lists.iter().map(|(_, size)| *size)), taken))
}

fn uuids(texts: &StringArray) -> Result<ArrayRef> {
    let mut bytes = Vec::with_capacity(texts.len() * 16);
    for text in texts {
        let digits: String = text.unwrap_or("0").chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16);
        let number = number.map_err(|_| Error::internal("DuckDB gave a UUID that is none"))?;
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    built(FixedSizeBinaryArray::try_new(16, Buffer::from(bytes), texts.nulls().cloned()))
}

fn intervals(values: &PrimitiveArray<IntervalMonthDayNanoType>) -> Result<ArrayRef> {
    let mut bytes = Vec::with_capacity(values.len() * 12);
    for value in values {
        let Some(value) = value else {
            bytes.extend_from_slice(&[0; 12]);
            continue;
        };
        let millis = u32::try_from(value.nanoseconds / 1_000_000);
        let parts = (u32::try_from(value.months), u32::try_from(value.days), millis);
        let (Ok(months), Ok(days), Ok(millis)) = parts else {
            return Err(Error::invalid_input(
                "Parquet files do not support negative intervals, or ones of more than 49 days of milliseconds",
            ));
        };
        [months, days, millis].iter().for_each(|part| bytes.extend_from_slice(&part.to_le_bytes()));
    }
    built(FixedSizeBinaryArray::try_new(12, Buffer::from(bytes), values.nulls().cloned()))
}
