//! DuckDB's types that JSON holds exactly and Parquet does not, and those whose text depends on the session.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTimestampType, Decimal128Type, IntervalMonthDayNanoType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::Buffer;
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use duckdb_neo::connection::{Context, FFILink};
use duckdb_neo::logical_type::{LogicalType, LogicalTypeID};
use duckdb_neo::types::{TimestampTzNsValue, TimestampTzValue};
use duckdb_neo::value::Value;
use duckdb_neo::{Error, Result, ToValue};
use questdb_parquet::annotation;

/// What of the session's settings the text depends on.
pub struct JsonSession {
    utc: bool,
    lossless: bool,
}

impl JsonSession {
    /// Reads the settings.
    pub fn of(context: &Context) -> Result<Self> {
        let config = context.config()?;
        let (zone, _) = config.get_value("TimeZone")?;
        let (lossless, _) = config.get_value("arrow_lossless_conversion")?;
        let zone = zone.get::<String>()?.unwrap_or_default();
        Ok(Self {
            utc: ["UTC", "Etc/UTC", "GMT"].iter().any(|name| name.eq_ignore_ascii_case(&zone)),
            lossless: lossless.get::<bool>()?.unwrap_or_default(),
        })
    }
}

/// How values of one DuckDB type reach JSON.
#[derive(Debug, Clone)]
pub enum JsonTarget {
    /// 128 bits, little-endian.
    Whole {
        /// UHUGEINT.
        unsigned: bool,
    },
    /// Seconds as they are.
    Seconds,
    /// Months, days, nanoseconds.
    Interval,
    /// Time and offset, packed.
    TimeTz,
    /// Text of 0 and 1.
    Bits,
    /// The text that DuckDB makes of a TIMESTAMPTZ in the session's zone.
    Zoned {
        /// Nanoseconds.
        nanos: bool,
    },
}

impl JsonTarget {
    /// The target of a type that JSON treats in its own way; an error says why a type cannot be written.
    pub fn of(id: LogicalTypeID, session: &JsonSession) -> std::result::Result<Option<Self>, String> {
        use LogicalTypeID as T;
        Ok(Some(match id {
            T::HugeInt => Self::Whole { unsigned: false },
            T::UHugeInt => Self::Whole { unsigned: true },
            T::TimestampSec => Self::Seconds,
            T::Interval => Self::Interval,
            T::Bit => Self::Bits,
            T::TimestampTz if !session.utc => Self::Zoned { nanos: false },
            T::TimestampTzNs if !session.utc => Self::Zoned { nanos: true },
            T::TimeTz if session.lossless => Self::TimeTz,
            // DuckDB hands it over without its offset.
            T::TimeTz => {
                return Err("TIME WITH TIME ZONE, while arrow_lossless_conversion is false".to_owned());
            }
            _ => return Ok(None),
        }))
    }

    /// The Arrow type that is written.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Whole { .. } => DataType::FixedSizeBinary(16),
            Self::Seconds => DataType::Timestamp(TimeUnit::Second, None),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::TimeTz => DataType::FixedSizeBinary(8),
            Self::Bits | Self::Zoned { .. } => DataType::Utf8,
        }
    }

    /// What the writer must know beyond that.
    pub fn annotation(&self) -> Option<&'static str> {
        match self {
            Self::Whole { unsigned: true } => Some(annotation::UHUGEINT),
            Self::Whole { unsigned: false } => Some(annotation::HUGEINT),
            Self::TimeTz => Some(annotation::TIME_TZ),
            _ => None,
        }
    }

    /// Brings an array to [`Self::data_type`]; `None` when it is not one of this type.
    pub fn convert(&self, context: &impl FFILink, array: &ArrayRef) -> Result<Option<ArrayRef>> {
        Ok(match self {
            Self::Whole { .. } => whole(array),
            Self::Seconds | Self::TimeTz => Some(Arc::clone(array)),
            Self::Interval => array.as_primitive_opt::<IntervalMonthDayNanoType>().map(|_| Arc::clone(array)),
            Self::Bits => bits(array),
            Self::Zoned { nanos: false } => {
                let sql = LogicalType::from_text(context, "VARCHAR")?;
                zoned::<TimestampMicrosecondType>(array, |micros| {
                    text_of(context, TimestampTzValue(micros).value(context)?, &sql)
                })?
            }
            Self::Zoned { nanos: true } => {
                let sql = LogicalType::from_text(context, "VARCHAR")?;
                zoned::<TimestampNanosecondType>(array, |nanos| {
                    text_of(context, TimestampTzNsValue(nanos).value(context)?, &sql)
                })?
            }
        })
    }
}

fn text_of(context: &impl FFILink, value: Value, varchar: &LogicalType) -> Result<String> {
    Ok(value.cast(context, varchar)?.get::<String>()?.unwrap_or_default())
}

/// 128-bit integers, which DuckDB hands over as bytes or as decimals.
fn whole(array: &ArrayRef) -> Option<ArrayRef> {
    if array.as_fixed_size_binary_opt().is_some() {
        return Some(Arc::clone(array));
    }
    let numbers = array.as_primitive_opt::<Decimal128Type>()?;
    let bytes: Vec<u8> = numbers.values().iter().flat_map(|number| number.to_le_bytes()).collect();
    let fixed = FixedSizeBinaryArray::try_new(16, Buffer::from(bytes), numbers.nulls().cloned()).ok()?;
    Some(Arc::new(fixed))
}

/// BIT: a byte that says how many bits of the next are padding, then the bits, highest first.
fn bits(array: &ArrayRef) -> Option<ArrayRef> {
    let text = |bytes: &[u8]| -> String {
        let Some((padding, bytes)) = bytes.split_first() else { return String::new() };
        let all = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
        all.skip(usize::from(*padding)).map(|bit| if bit { '1' } else { '0' }).collect()
    };
    let texts: StringArray = match array.data_type() {
        DataType::Binary => array.as_binary::<i32>().iter().map(|value| value.map(text)).collect(),
        DataType::LargeBinary => array.as_binary::<i64>().iter().map(|value| value.map(text)).collect(),
        DataType::BinaryView => array.as_binary_view().iter().map(|value| value.map(text)).collect(),
        DataType::Utf8 => return Some(Arc::clone(array)),
        _ => return None,
    };
    Some(Arc::new(texts))
}

fn zoned<T: ArrowTimestampType>(
    array: &ArrayRef,
    text: impl Fn(i64) -> Result<String>,
) -> Result<Option<ArrayRef>> {
    let Some(instants) = array.as_any().downcast_ref::<PrimitiveArray<T>>() else { return Ok(None) };
    let texts = instants.iter().map(|instant| instant.map(&text).transpose());
    let texts: StringArray = texts.collect::<std::result::Result<Vec<_>, Error>>()?.into_iter().collect();
    Ok(Some(Arc::new(texts)))
}
