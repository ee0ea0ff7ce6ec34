//! The types of values that decoders make.

/// What a decoder hands to a sink: the physical values and their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// `u8`, 0 or 1.
    Boolean,
    /// `i8`.
    Int8,
    /// `i16`.
    Int16,
    /// `i32`.
    Int32,
    /// `i64`.
    Int64,
    /// `u32`.
    UInt32,
    /// `u128`.
    UInt128,
    /// `f32`.
    Float32,
    /// `f64`.
    Float64,
    /// `i64` milliseconds since 1970, UTC.
    TimestampMs,
    /// `i64` microseconds since 1970, UTC.
    TimestampUs,
    /// `i64` nanoseconds since 1970, UTC.
    TimestampNs,
    /// Unscaled `i16` up to 4 digits, `i32` up to 9, `i64` up to 18, `i128` up to 38.
    Decimal {
        /// 1 to 38.
        precision: u8,
        /// 0 to the precision.
        scale: u8,
    },
    /// `u128`, the 16 bytes of the text form read as one number.
    Uuid,
    /// UTF-8 strings.
    Text,
    /// Byte strings.
    Blob,
    /// Keys of a symbol table, whose texts are the values.
    Symbol,
    /// Nested lists of `f64`.
    Doubles {
        /// Depth.
        dims: u8,
    },
}

impl ValueType {
    /// Bytes of one value as decoders hand it to a sink: a number, a view or a symbol key; nested lists have none.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Boolean | Self::Int8 => 1,
            Self::Int16 | Self::Decimal { precision: 0..=4, .. } => 2,
            Self::Int32 | Self::UInt32 | Self::Float32 | Self::Symbol => 4,
            Self::Decimal { precision: 5..=9, .. } => 4,
            Self::Int64 | Self::Float64 | Self::Decimal { precision: 10..=18, .. } => 8,
            Self::TimestampMs | Self::TimestampUs | Self::TimestampNs => 8,
            Self::Uuid | Self::UInt128 | Self::Text | Self::Blob | Self::Decimal { .. } => 16,
            Self::Doubles { .. } => 0,
        }
    }

    /// The type in DuckDB's SQL. Symbols are VARCHAR here; ENUM is the extension's choice.
    pub fn sql(self) -> String {
        let name = match self {
            Self::Boolean => "BOOLEAN",
            Self::Int8 => "TINYINT",
            Self::Int16 => "SMALLINT",
            Self::Int32 => "INTEGER",
            Self::Int64 => "BIGINT",
            Self::UInt32 => "UINTEGER",
            Self::UInt128 => "UHUGEINT",
            Self::Float32 => "FLOAT",
            Self::Float64 => "DOUBLE",
            Self::TimestampMs => "TIMESTAMP_MS",
            Self::TimestampUs => "TIMESTAMP",
            Self::TimestampNs => "TIMESTAMP_NS",
            Self::Decimal { precision, scale } => return format!("DECIMAL({precision},{scale})"),
            Self::Uuid => "UUID",
            Self::Text | Self::Symbol => "VARCHAR",
            Self::Blob => "BLOB",
            Self::Doubles { dims } => return format!("DOUBLE{}", "[]".repeat(usize::from(dims))),
        };
        name.to_owned()
    }
}
