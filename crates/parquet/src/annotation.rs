//! What the values of an Arrow field are where its type does not say it. Annotations stand in the metadata of a field, at any
//! depth, under [`KEY`].

use arrow_schema::Field;

/// Key in the metadata of a field.
pub const KEY: &str = "questdb:annotation";

/// 16 bytes in the order of the text form.
pub const UUID: &str = "uuid";
/// 12 bytes: months, days, milliseconds. Parquet only.
pub const INTERVAL: &str = "interval";
/// Text that is a JSON document.
pub const JSON: &str = "json";
/// Microseconds of the day in UTC. Parquet only.
pub const TIME_UTC: &str = "time_utc";
/// A signed integer of 128 bits, as 16 little-endian bytes. JSON only.
pub const HUGEINT: &str = "hugeint";
/// An unsigned one, as 16 little-endian bytes. JSON only.
pub const UHUGEINT: &str = "uhugeint";
/// 8 bytes with time and offset, as DuckDB packs them. JSON only.
pub const TIME_TZ: &str = "time_tz";
/// A timestamp that is written without its zone. JSON only.
pub const NO_ZONE: &str = "no_zone";
/// A struct whose members have no names. JSON only.
pub const TUPLE: &str = "tuple";

/// `field` with an annotation.
pub fn put(field: Field, annotation: &str) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(KEY.to_owned(), annotation.to_owned());
    field.with_metadata(metadata)
}
