//! Column types: one module per type says how its bytes become values (docs/format.md §7).
//!
//! A decoder reads rows of a [`ColumnSource`] and hands them to a [`ColumnSink`]. There are two sinks,
//! DuckDB's vectors (in the extension) and Arrow's arrays ([`crate::arrow`]), and one decoder per
//! type, so the two cannot disagree. Adding a type is adding a module and its line in [`decode`],
//! [`ColumnType::value_type`] and [`ColumnType::from_code`].

mod array;
mod binary;
mod boolean;
mod char;
mod column_type;
mod decimal;
mod discard;
mod float;
mod geohash;
mod integer;
mod ipv4;
mod long128;
mod long256;
mod sink;
mod source;
mod storage;
mod string;
mod symbol;
mod text;
mod timestamp;
mod uuid;
mod value_type;
mod varchar;

pub(crate) use array::{push_array, push_list};
pub use column_type::{ColumnType, TimeUnit};
pub(crate) use discard::Discard;
pub(crate) use sink::inline;
pub use sink::INLINE;
pub use sink::{ColumnSink, Fixed, HeapAddress, NestedDoubles, NullMask, StringSlots, View};
pub use source::{ColumnSource, Rows, Scratch};
pub use storage::Storage;
pub(crate) use symbol::{check as check_keys, NULL_KEY};
pub(crate) use uuid::NULL as UUID_NULL;
pub use value_type::ValueType;

use crate::error::{Error, Result};

/// Decodes `rows` of a column into `sink`, in order.
///
/// # Errors
/// Whatever contradicts the format: short files, offsets and keys out of range, text that is not UTF-8;
/// with the file and the offset.
pub fn decode<S: ColumnSink>(
    column_type: ColumnType,
    raw: bool,
    source: &ColumnSource,
    rows: Rows<'_>,
    scratch: &mut Scratch,
    sink: &mut S,
) -> Result<()> {
    match column_type {
        ColumnType::Boolean => boolean::decode(source, rows, sink),
        ColumnType::Byte => integer::decode_byte(source, rows, sink),
        ColumnType::Short => integer::decode_short(source, rows, sink),
        ColumnType::Int => integer::decode_int(source, rows, sink),
        ColumnType::Long => integer::decode_long(source, rows, sink),
        ColumnType::Date | ColumnType::Timestamp(_) => timestamp::decode(source, rows, sink),
        ColumnType::Float => float::decode_float(source, rows, sink),
        ColumnType::Double => float::decode_double(source, rows, sink),
        ColumnType::Char => char::decode(source, rows, scratch, sink),
        ColumnType::String => string::decode(source, rows, scratch, sink),
        ColumnType::Varchar => varchar::decode(source, rows, scratch, sink),
        ColumnType::Symbol => symbol::decode(source, rows, sink),
        ColumnType::Binary => binary::decode(source, rows, scratch, sink),
        ColumnType::Uuid => uuid::decode(source, rows, sink),
        ColumnType::Long128 => long128::decode(source, rows, sink),
        ColumnType::Long256 => long256::decode(source, rows, raw, scratch, sink),
        ColumnType::Ipv4 => ipv4::decode(source, rows, raw, scratch, sink),
        ColumnType::Geohash { bits } => geohash::decode(source, rows, bits, raw, scratch, sink),
        ColumnType::DoubleArray { dims } => array::decode(source, rows, dims, scratch, sink),
        ColumnType::Decimal { precision, scale } => {
            decimal::decode(source, rows, precision, scale, scratch, sink)
        }
        ColumnType::Unknown(code) => Err(unknown(code)),
    }
}

/// Appends `n` rows that have no stored value: above a column top, or of an absent column.
pub fn missing<S: ColumnSink>(column_type: ColumnType, n: usize, sink: &mut S) -> Result<()> {
    match column_type {
        ColumnType::Boolean => sink.fixed::<u8>(n, zeros, |_| false),
        ColumnType::Byte => sink.fixed::<i8>(n, zeros, |_| false),
        ColumnType::Short => sink.fixed::<i16>(n, zeros, |_| false),
        _ => sink.nulls(n),
    }
}

fn zeros<T: Fixed>(values: &mut [T]) -> Result<()> {
    values.fill(T::default());
    Ok(())
}

/// The error of reading a column whose type this version does not know.
pub fn unknown(code: i32) -> Error {
    Error::unsupported("column type is not supported")
        .expected("a type of QuestDB 9.3")
        .found(format_args!("type code {code}"))
        .hint("Leave the column out of the query, or use a newer version of this extension.")
}
