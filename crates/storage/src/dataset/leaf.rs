//! Parquet's types → the types that are handed on.

use std::collections::HashMap;
use std::sync::Arc;

use ::parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use ::parquet::schema::types::ColumnDescriptor;
use arrow_schema::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};

use crate::types::ValueType;

/// Key and values of Arrow's extension types.
const EXTENSION: &str = "ARROW:extension:name";
const EXTENSION_METADATA: &str = "ARROW:extension:metadata";

/// A column that is handed on as an Arrow array.
#[derive(Debug, Clone)]
pub struct Plain {
    /// Name and type of the array.
    pub field: FieldRef,
    /// The type in DuckDB's SQL.
    pub sql: String,
    /// The type of constants that it is compared with, where statistics can tell something about it.
    pub comparable: Option<ValueType>,
    pub(super) convert: Convert,
}

/// How the decoder's array becomes the one that is handed on.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Convert {
    Same,
    /// FLOAT16.
    Half,
    /// TIMESTAMP in milliseconds; times of the zone UTC if the flag is set.
    Millis {
        utc: bool,
    },
    /// TIMESTAMP whose zone was not noted, taken as UTC.
    Utc,
    /// TIME in milliseconds.
    TimeMillis,
    /// TIME in microseconds or nanoseconds, which must be one of a day.
    Time,
    /// TIME of the zone UTC in milliseconds or microseconds.
    TimeUtc,
    /// Months, days, milliseconds.
    Interval,
    /// DECIMAL of up to 38 digits, which must not have more.
    Decimal,
    /// The same in more than 16 bytes.
    NarrowDecimal,
    /// DECIMAL of more than 38 digits: its text.
    DecimalText,
    /// Only NULLs.
    Nulls,
    List(Box<Convert>),
    /// Of keys and of values.
    Map(Box<(Convert, Convert)>),
    Struct(Vec<Convert>),
}

impl Convert {
    fn simple(parts: Vec<Self>, make: impl FnOnce(Vec<Self>) -> Self) -> Self {
        match parts.iter().all(|part| *part == Self::Same) {
            true => Self::Same,
            false => make(parts),
        }
    }
}

/// Walks the leaves of a column in order.
pub(super) struct Leaves<'a> {
    pub(super) descriptors: std::slice::Iter<'a, ::parquet::schema::types::ColumnDescPtr>,
    /// Timestamps without zone are UTC.
    pub(super) local_time_as_utc: bool,
}

/// The target of one type.
struct Target {
    data_type: DataType,
    sql: String,
    convert: Convert,
    comparable: Option<ValueType>,
    extension: Option<(&'static str, &'static str)>,
}

/// The type that the decoder is asked for: text and bytes as views, and old timestamps in microseconds.
pub(super) fn requested(field: &Field, leaves: &mut Leaves<'_>) -> Field {
    let data_type = match field.data_type() {
        DataType::List(child) => DataType::List(Arc::new(requested(child, leaves))),
        DataType::Map(entries, sorted) => DataType::Map(Arc::new(requested(entries, leaves)), *sorted),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|child| Arc::new(requested(child, leaves))).collect())
        }
        leaf => {
            let int96 = leaves.descriptors.next().is_some_and(|leaf| leaf.physical_type() == Physical::INT96);
            match leaf {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                DataType::Timestamp(_, zone) if int96 => {
                    DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                }
                other => other.clone(),
            }
        }
    };
    field.clone().with_data_type(data_type)
}

/// What becomes of a column that the decoder returns as `field`; the reason when it cannot be read.
pub(super) fn plan(field: &Field, leaves: &mut Leaves<'_>) -> Result<Plain, String> {
    let Target { data_type, sql, convert, comparable, extension } = target(field, leaves)?;
    Ok(Plain { field: Arc::new(named(field.name(), data_type, extension)), sql, comparable, convert })
}

fn named(name: &str, data_type: DataType, extension: Option<(&str, &str)>) -> Field {
    let field = Field::new(name, data_type, true);
    match extension {
        None => field,
        Some((name, metadata)) => field.with_metadata(HashMap::from([
            (EXTENSION.to_owned(), name.to_owned()),
            (EXTENSION_METADATA.to_owned(), metadata.to_owned()),
        ])),
    }
}

fn child(field: &Field, leaves: &mut Leaves<'_>) -> Result<(FieldRef, String, Convert), String> {
    let Target { data_type, sql, convert, extension, .. } = target(field, leaves)?;
    Ok((Arc::new(named(field.name(), data_type, extension)), sql, convert))
}

fn target(field: &Field, leaves: &mut Leaves<'_>) -> Result<Target, String> {
    let nested =
        |data_type, sql, convert| Target { data_type, sql, convert, comparable: None, extension: None };
    match field.data_type() {
        DataType::List(element) => {
            let (element, sql, convert) = child(element, leaves)?;
            let convert = Convert::simple(vec![convert], |mut parts| {
                Convert::List(Box::new(parts.pop().unwrap_or(Convert::Same)))
            });
            Ok(nested(DataType::List(element), format!("{sql}[]"), convert))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err("MAP without entries".to_owned());
            };
            let [key, value] = pair.as_ref() else { return Err("MAP without values".to_owned()) };
            let (key, key_sql, key_convert) = child(key, leaves)?;
            let (value, value_sql, value_convert) = child(value, leaves)?;
            let convert = Convert::simple(vec![key_convert, value_convert], |mut parts| {
                let value = parts.pop().unwrap_or(Convert::Same);
                Convert::Map(Box::new((parts.pop().unwrap_or(Convert::Same), value)))
            });
            // Keys are never NULL, in either world.
            let key = Arc::new(key.as_ref().clone().with_nullable(false));
            let pair = DataType::Struct(Fields::from(vec![key, value]));
            let entries = Arc::new(Field::new(entries.name(), pair, false));
            Ok(nested(DataType::Map(entries, false), format!("MAP({key_sql}, {value_sql})"), convert))
        }
        DataType::Struct(fields) => {
            let mut children = Vec::with_capacity(fields.len());
            let mut texts = Vec::with_capacity(fields.len());
            let mut parts = Vec::with_capacity(fields.len());
            for field in fields {
                let (child, sql, convert) = child(field, leaves)?;
                texts.push(format!("\"{}\" {sql}", field.name().replace('"', "\"\"")));
                children.push(child);
                parts.push(convert);
            }
            let convert = Convert::simple(parts, Convert::Struct);
            Ok(nested(DataType::Struct(children.into()), format!("STRUCT({})", texts.join(", ")), convert))
        }
        found => {
            let leaf = leaves.descriptors.next().ok_or_else(|| "a schema without leaves".to_owned())?;
            flat(found, leaf, leaves.local_time_as_utc)
        }
    }
}

fn flat(found: &DataType, leaf: &ColumnDescriptor, local_time_as_utc: bool) -> Result<Target, String> {
    use DataType as D;
    let same = |sql: &str, comparable: Option<ValueType>| Target {
        data_type: found.clone(),
        sql: sql.to_owned(),
        convert: Convert::Same,
        comparable,
        extension: None,
    };
    let changed = |data_type: DataType, sql: &str, convert: Convert, comparable: Option<ValueType>| Target {
        data_type,
        sql: sql.to_owned(),
        convert,
        comparable,
        extension: None,
    };
    let zone = || Some("UTC".into());
    let with_unit = |unit, utc| D::Timestamp(unit, if utc { zone() } else { None });
    Ok(match found {
        D::Boolean => same("BOOLEAN", Some(ValueType::Boolean)),
        D::Int8 => same("TINYINT", Some(ValueType::Int8)),
        D::Int16 => same("SMALLINT", Some(ValueType::Int16)),
        D::Int32 => same("INTEGER", Some(ValueType::Int32)),
        D::Int64 => same("BIGINT", Some(ValueType::Int64)),
        D::UInt8 => same("UTINYINT", Some(ValueType::Int64)),
        D::UInt16 => same("USMALLINT", Some(ValueType::Int64)),
        D::UInt32 => same("UINTEGER", Some(ValueType::UInt32)),
        D::UInt64 => same("UBIGINT", Some(ValueType::Int64)),
        D::Float16 => changed(D::Float32, "FLOAT", Convert::Half, None),
        D::Float32 => same("FLOAT", Some(ValueType::Float32)),
        D::Float64 => same("DOUBLE", Some(ValueType::Float64)),
        D::Utf8 | D::Utf8View if is_json(leaf) => {
            Target { extension: Some(("arrow.json", "")), ..same("JSON", None) }
        }
        D::Utf8 | D::Utf8View => same("VARCHAR", Some(ValueType::Symbol)),
        D::Binary | D::BinaryView => same("BLOB", None),
        D::FixedSizeBinary(16) if matches!(leaf.logical_type_ref(), Some(LogicalType::Uuid)) => {
            Target { extension: Some(("arrow.uuid", "")), ..same("UUID", Some(ValueType::Uuid)) }
        }
        D::FixedSizeBinary(12) if leaf.converted_type() == ConvertedType::INTERVAL => {
            changed(D::Interval(IntervalUnit::MonthDayNano), "INTERVAL", Convert::Interval, None)
        }
        D::FixedSizeBinary(_) => same("BLOB", None),
        D::Date32 => same("DATE", Some(ValueType::Int32)),
        D::Timestamp(unit, zone) => {
            let utc = zone.is_some() || local_time_as_utc;
            let target = match unit {
                TimeUnit::Nanosecond => TimeUnit::Nanosecond,
                _ => TimeUnit::Microsecond,
            };
            let (sql, comparable) = match (target, utc) {
                (TimeUnit::Nanosecond, true) => ("TIMESTAMPTZ_NS", None),
                (TimeUnit::Nanosecond, false) => ("TIMESTAMP_NS", Some(ValueType::TimestampNs)),
                (_, true) => ("TIMESTAMP WITH TIME ZONE", Some(ValueType::TimestampUs)),
                (_, false) => ("TIMESTAMP", Some(ValueType::TimestampUs)),
            };
            let convert = match unit {
                TimeUnit::Millisecond => Convert::Millis { utc },
                TimeUnit::Second => return Err("TIMESTAMP in seconds".to_owned()),
                _ if utc && zone.is_none() => Convert::Utc,
                _ => Convert::Same,
            };
            changed(with_unit(target, utc), sql, convert, comparable)
        }
        D::Time32(TimeUnit::Millisecond) if is_utc_time(leaf) => time_of_utc(),
        D::Time64(TimeUnit::Microsecond) if is_utc_time(leaf) => time_of_utc(),
        D::Time32(TimeUnit::Millisecond) => {
            changed(D::Time64(TimeUnit::Microsecond), "TIME", Convert::TimeMillis, None)
        }
        D::Time64(TimeUnit::Microsecond) => changed(found.clone(), "TIME", Convert::Time, None),
        D::Time64(TimeUnit::Nanosecond) => changed(found.clone(), "TIME_NS", Convert::Time, None),
        D::Decimal128(precision, scale) | D::Decimal256(precision, scale) => {
            let digits =
                u8::try_from(*scale).ok().filter(|scale| (1..=76).contains(precision) && scale <= precision);
            let Some(scale) = digits else { return Err(format!("DECIMAL({precision},{scale})")) };
            let value_type = ValueType::Decimal { precision: *precision, scale };
            let sql = value_type.sql();
            match (found, precision) {
                (_, 39..) => changed(D::Utf8View, "VARCHAR", Convert::DecimalText, None),
                (D::Decimal128(..), _) => changed(found.clone(), &sql, Convert::Decimal, Some(value_type)),
                _ => changed(D::Decimal128(*precision, scale as i8), &sql, Convert::NarrowDecimal, None),
            }
        }
        D::Null => changed(D::Int32, "INTEGER", Convert::Nulls, None),
        other => return Err(other.to_string()),
    })
}

fn time_of_utc() -> Target {
    Target {
        data_type: DataType::FixedSizeBinary(8),
        sql: "TIME WITH TIME ZONE".to_owned(),
        convert: Convert::TimeUtc,
        comparable: None,
        extension: Some(("arrow.opaque", r#"{"type_name":"time_tz","vendor_name":"DuckDB"}"#)),
    }
}

fn is_json(leaf: &ColumnDescriptor) -> bool {
    match leaf.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::Json),
        None => leaf.converted_type() == ConvertedType::JSON,
    }
}

fn is_utc_time(leaf: &ColumnDescriptor) -> bool {
    match leaf.logical_type_ref() {
        Some(LogicalType::Time(time)) => time.is_adjusted_to_u_t_c,
        // The old annotations are of UTC by definition, but were written for any time.
        _ => false,
    }
}
