//! QuestDB's column types and their codes (docs/format.md §7).

use std::fmt;

use super::{array, decimal, geohash, Storage, ValueType};

/// Unit of a TIMESTAMP column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
}

impl TimeUnit {
    /// Ticks per second.
    pub fn per_second(self) -> i64 {
        match self {
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// A QuestDB column type with its parameters (docs/format.md §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// BOOLEAN, without NULL.
    Boolean,
    /// BYTE, without NULL.
    Byte,
    /// SHORT, without NULL.
    Short,
    /// CHAR: one UTF-16 unit.
    Char,
    /// INT.
    Int,
    /// LONG.
    Long,
    /// DATE: milliseconds.
    Date,
    /// TIMESTAMP or TIMESTAMP_NS.
    Timestamp(TimeUnit),
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// STRING: UTF-16.
    String,
    /// SYMBOL: keys of a symbol table.
    Symbol,
    /// LONG256.
    Long256,
    /// GEOHASH of so many bits.
    Geohash {
        /// 1 to 60.
        bits: u8,
    },
    /// BINARY.
    Binary,
    /// UUID.
    Uuid,
    /// LONG128.
    Long128,
    /// IPv4.
    Ipv4,
    /// VARCHAR: UTF-8.
    Varchar,
    /// DOUBLE array.
    DoubleArray {
        /// 1 to 32.
        dims: u8,
    },
    /// DECIMAL.
    Decimal {
        /// 1 to 76.
        precision: u8,
        /// 0 to the precision.
        scale: u8,
    },
    /// A code of another version; the column is listed, but cannot be read.
    Unknown(i32),
}

impl ColumnType {
    /// The type of a `_meta` code. Inconsistent parameters make it [`ColumnType::Unknown`].
    pub fn from_code(code: i32) -> Self {
        let bits_8_15 = (code >> 8 & 0xff) as u8;
        match code & 0xff {
            1 => Self::Boolean,
            2 => Self::Byte,
            3 => Self::Short,
            4 => Self::Char,
            5 => Self::Int,
            6 => Self::Long,
            7 => Self::Date,
            8 => match code >> 17 & 0b111 {
                // Bit 17 marks the designated timestamp in Parquet metadata.
                0 | 1 => Self::Timestamp(TimeUnit::Micros),
                2 | 3 => Self::Timestamp(TimeUnit::Nanos),
                _ => Self::Unknown(code),
            },
            9 => Self::Float,
            10 => Self::Double,
            11 => Self::String,
            12 => Self::Symbol,
            13 => Self::Long256,
            tag @ 14..=17 => geohash::from_parts(tag, bits_8_15).unwrap_or(Self::Unknown(code)),
            18 => Self::Binary,
            19 => Self::Uuid,
            24 => Self::Long128,
            25 => Self::Ipv4,
            26 => Self::Varchar,
            27 => array::from_code(code).unwrap_or(Self::Unknown(code)),
            tag @ 28..=33 => {
                decimal::from_parts(tag, bits_8_15, (code >> 18 & 0xff) as u8).unwrap_or(Self::Unknown(code))
            }
            _ => Self::Unknown(code),
        }
    }

    /// The `_meta` code of the type, without the bit of a designated timestamp.
    pub fn code(self) -> i32 {
        match self {
            Self::Boolean => 1,
            Self::Byte => 2,
            Self::Short => 3,
            Self::Char => 4,
            Self::Int => 5,
            Self::Long => 6,
            Self::Date => 7,
            Self::Timestamp(TimeUnit::Micros) => 8,
            Self::Timestamp(TimeUnit::Nanos) => 8 | 2 << 17,
            Self::Float => 9,
            Self::Double => 10,
            Self::String => 11,
            Self::Symbol => 12,
            Self::Long256 => 13,
            Self::Geohash { bits } => (14 + log2(geohash::width(bits))) | i32::from(bits) << 8,
            Self::Binary => 18,
            Self::Uuid => 19,
            Self::Long128 => 24,
            Self::Ipv4 => 25,
            Self::Varchar => 26,
            Self::DoubleArray { dims } => array::code(dims),
            Self::Decimal { precision, scale } => {
                (28 + log2(decimal::width(precision))) | i32::from(precision) << 8 | i32::from(scale) << 18
            }
            Self::Unknown(code) => code,
        }
    }

    /// What its values are. `raw` asks for numbers and bytes in place of the text forms of LONG256,
    /// IPv4 and GEOHASH. `None` for unknown types.
    pub fn value_type(self, raw: bool) -> Option<ValueType> {
        Some(match self {
            Self::Boolean => ValueType::Boolean,
            Self::Byte => ValueType::Int8,
            Self::Short => ValueType::Int16,
            Self::Int => ValueType::Int32,
            Self::Long => ValueType::Int64,
            Self::Date => ValueType::TimestampMs,
            Self::Timestamp(TimeUnit::Micros) => ValueType::TimestampUs,
            Self::Timestamp(TimeUnit::Nanos) => ValueType::TimestampNs,
            Self::Float => ValueType::Float32,
            Self::Double => ValueType::Float64,
            Self::Char | Self::String | Self::Varchar => ValueType::Text,
            Self::Symbol => ValueType::Symbol,
            Self::Binary => ValueType::Blob,
            Self::Uuid => ValueType::Uuid,
            Self::Long128 => ValueType::UInt128,
            Self::Long256 if raw => ValueType::Blob,
            Self::Ipv4 if raw => ValueType::UInt32,
            Self::Geohash { .. } if raw => ValueType::Int64,
            Self::Long256 | Self::Ipv4 | Self::Geohash { .. } => ValueType::Text,
            Self::DoubleArray { dims } => ValueType::Doubles { dims },
            Self::Decimal { precision, scale } if precision <= 38 => ValueType::Decimal { precision, scale },
            Self::Decimal { .. } => ValueType::Text,
            Self::Unknown(_) => return None,
        })
    }

    /// How the type is stored; `None` for unknown types.
    pub fn storage(self) -> Option<Storage> {
        Some(match self {
            Self::Boolean | Self::Byte => Storage::Fixed(1),
            Self::Short | Self::Char => Storage::Fixed(2),
            Self::Int | Self::Float | Self::Symbol | Self::Ipv4 => Storage::Fixed(4),
            Self::Long | Self::Date | Self::Timestamp(_) | Self::Double => Storage::Fixed(8),
            Self::Uuid | Self::Long128 => Storage::Fixed(16),
            Self::Long256 => Storage::Fixed(32),
            Self::Geohash { bits } => Storage::Fixed(geohash::width(bits)),
            Self::Decimal { precision, .. } => Storage::Fixed(decimal::width(precision)),
            Self::String | Self::Binary => Storage::Offsets,
            Self::Varchar | Self::DoubleArray { .. } => Storage::Entries,
            Self::Unknown(_) => return None,
        })
    }

    /// Whether rows without a value read as zero (or false), because the type has no NULL.
    pub fn missing_is_zero(self) -> bool {
        matches!(self, Self::Boolean | Self::Byte | Self::Short)
    }
}

/// 1, 2, 4, … → 0, 1, 2, …
fn log2(width: usize) -> i32 {
    width.trailing_zeros() as i32
}

impl fmt::Display for ColumnType {
    /// QuestDB's name of the type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Boolean => "BOOLEAN",
            Self::Byte => "BYTE",
            Self::Short => "SHORT",
            Self::Char => "CHAR",
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::Date => "DATE",
            Self::Timestamp(TimeUnit::Micros) => "TIMESTAMP",
            Self::Timestamp(TimeUnit::Nanos) => "TIMESTAMP_NS",
            Self::Float => "FLOAT",
            Self::Double => "DOUBLE",
            Self::String => "STRING",
            Self::Symbol => "SYMBOL",
            Self::Long256 => "LONG256",
            Self::Geohash { bits } if bits % 5 == 0 => return write!(f, "GEOHASH({}c)", bits / 5),
            Self::Geohash { bits } => return write!(f, "GEOHASH({bits}b)"),
            Self::Binary => "BINARY",
            Self::Uuid => "UUID",
            Self::Long128 => "LONG128",
            Self::Ipv4 => "IPv4",
            Self::Varchar => "VARCHAR",
            Self::DoubleArray { dims } => {
                f.write_str("DOUBLE")?;
                return (0..*dims).try_for_each(|_| f.write_str("[]"));
            }
            Self::Decimal { precision, scale } => return write!(f, "DECIMAL({precision},{scale})"),
            Self::Unknown(code) => return write!(f, "UNKNOWN({code})"),
        };
        f.write_str(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_carry_their_parameters() {
        for (code, text, sql) in [
            (8, "TIMESTAMP", "TIMESTAMP"),
            (0x40008, "TIMESTAMP_NS", "TIMESTAMP_NS"),
            (0x20008, "TIMESTAMP", "TIMESTAMP"),
            (0x0A1B, "DOUBLE[]", "DOUBLE[]"),
            (0x8A1B, "DOUBLE[][][]", "DOUBLE[][][]"),
            (14 | 7 << 8 | 1 << 16, "GEOHASH(7b)", "VARCHAR"),
            (16 | 30 << 8 | 1 << 16, "GEOHASH(6c)", "VARCHAR"),
            (31 | 18 << 8 | 3 << 18, "DECIMAL(18,3)", "DECIMAL(18,3)"),
            (33 | 76 << 8 | 10 << 18, "DECIMAL(76,10)", "VARCHAR"),
        ] {
            let parsed = ColumnType::from_code(code);
            assert_eq!(ColumnType::from_code(parsed.code()), parsed, "{code:#x}");
            let column_type = ColumnType::from_code(code);
            assert_eq!(column_type.to_string(), text);
            assert_eq!(column_type.value_type(false).unwrap().sql(), sql);
        }
        for code in [0, 20, 39, 250, 14 | 40 << 8, 31 | 80 << 8, 0x0C1B] {
            assert_eq!(ColumnType::from_code(code), ColumnType::Unknown(code));
        }
    }
}
