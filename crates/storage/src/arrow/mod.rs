//! Rows as Arrow arrays: the second sink of the decoders, and the crate's public batch API.

mod batches;
mod sink;

pub use batches::{batches, schema, Batches};
pub use sink::{symbol_values, ArrowSink};

use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};

use crate::types::ValueType;

/// The Arrow type of a value type. UUID and UHUGEINT are 16 bytes: big-endian (text order) and
/// little-endian. Text and blobs are views, symbols dictionaries of `Utf8`.
pub fn data_type(value_type: ValueType) -> DataType {
    let utc = || Some("UTC".into());
    match value_type {
        ValueType::Boolean => DataType::Boolean,
        ValueType::Int8 => DataType::Int8,
        ValueType::Int16 => DataType::Int16,
        ValueType::Int32 => DataType::Int32,
        ValueType::Int64 => DataType::Int64,
        ValueType::UInt32 => DataType::UInt32,
        ValueType::Float32 => DataType::Float32,
        ValueType::Float64 => DataType::Float64,
        ValueType::TimestampMs => DataType::Timestamp(TimeUnit::Millisecond, utc()),
        ValueType::TimestampUs => DataType::Timestamp(TimeUnit::Microsecond, utc()),
        ValueType::TimestampNs => DataType::Timestamp(TimeUnit::Nanosecond, utc()),
        ValueType::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
        ValueType::Uuid | ValueType::UInt128 => DataType::FixedSizeBinary(16),
        ValueType::Text => DataType::Utf8View,
        ValueType::Blob => DataType::BinaryView,
        ValueType::Symbol => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ValueType::Doubles { dims } => (0..dims)
            .fold(DataType::Float64, |inner, _| DataType::List(Arc::new(Field::new("element", inner, true)))),
    }
}
