//! Options whose values are more than one word or number.

use parquet::basic::BrotliLevel;

use super::given::{choose, Given};
use super::table::{CODECS, ENCODINGS};
use super::*;
use crate::error::{any_of, Error, Result};

pub(super) fn unit(word: &'static str) -> PartitionUnit {
    match word {
        "hour" => PartitionUnit::Hour,
        "day" => PartitionUnit::Day,
        "week" => PartitionUnit::Week,
        "month" => PartitionUnit::Month,
        "year" => PartitionUnit::Year,
        _ => PartitionUnit::None,
    }
}

/// A codec with a level; levels where there are none are refused.
pub(super) fn codec(option: &str, word: &str, level: Option<i64>) -> Result<Compression> {
    let range = |name: &str, min: i64, max: i64| -> Result<Option<u32>> {
        match level {
            Some(level) if level < min || level > max => Err(Error::option(
                "compression_level",
                format!("{name} compression level must be between {min} and {max}"),
            )
            .found(level)),
            other => Ok(other.map(|level| level as u32)),
        }
    };
    if let (Some(level), "uncompressed" | "snappy" | "lz4_raw" | "lz4") = (level, word) {
        return Err(Error::option("compression_level", format!("codec {word} has no levels"))
            .found(level)
            .hint("Leave the level out, or choose gzip (0 to 9), brotli (0 to 11) or zstd (1 to 22)."));
    }
    Ok(match word {
        "uncompressed" => Compression::UNCOMPRESSED,
        "snappy" => Compression::SNAPPY,
        "gzip" => Compression::GZIP(match range("GZIP", 0, 9)? {
            Some(level) => GzipLevel::try_new(level)?,
            None => GzipLevel::default(),
        }),
        "brotli" => Compression::BROTLI(match range("Brotli", 0, 11)? {
            Some(level) => BrotliLevel::try_new(level)?,
            None => BrotliLevel::default(),
        }),
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(
            range("ZSTD", 1, 22)?.unwrap_or(DEFAULT_ZSTD_LEVEL as u32) as i32,
        )?),
        "lz4" => Compression::LZ4,
        "lz4_raw" => Compression::LZ4_RAW,
        _ => {
            return Err(Error::option(option, "unknown codec")
                .expected(any_of(CODECS.iter().copied()))
                .found(word))
        }
    })
}

pub(super) fn column_compressions(given: &Given) -> Result<Vec<(String, Compression)>> {
    const NAME: &str = "column_compression";
    let pairs = given.pairs(NAME).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(column, value)| {
            let text = value.as_text(NAME)?;
            let (word, level) = match text.split_once(':') {
                Some((word, level)) => (word, Some(OptionValue::from(level).as_int(NAME, 0, 22)?)),
                None => (text.as_str(), None),
            };
            Ok((column, codec(NAME, choose(NAME, word, CODECS)?, level)?))
        })
        .collect()
}

pub(super) fn column_encodings(given: &Given) -> Result<Vec<(String, ColumnEncoding)>> {
    const NAME: &str = "column_encoding";
    let pairs = given.pairs(NAME).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(column, value)| {
            let text = value.as_text(NAME)?;
            let text =
                if text.eq_ignore_ascii_case("rle_dictionary") { "dictionary".to_owned() } else { text };
            let encoding = match choose(NAME, &text, ENCODINGS)? {
                "dictionary" => ColumnEncoding::Dictionary,
                "delta_binary_packed" => ColumnEncoding::DeltaBinaryPacked,
                "delta_length_byte_array" => ColumnEncoding::DeltaLengthByteArray,
                "delta_byte_array" => ColumnEncoding::DeltaByteArray,
                "byte_stream_split" => ColumnEncoding::ByteStreamSplit,
                _ => ColumnEncoding::Plain,
            };
            Ok((column, encoding))
        })
        .collect()
}

pub(super) fn kv_metadata(given: &Given) -> Result<Vec<(String, String)>> {
    const NAME: &str = "kv_metadata";
    let pairs = given.pairs(NAME).unwrap_or_default();
    pairs
        .into_iter()
        .map(|(key, value)| {
            if key == crate::metadata::QUESTDB_KEY {
                return Err(Error::option(NAME, "the key \"questdb\" is written by the export itself"));
            }
            Ok((key, value.as_text(NAME)?))
        })
        .collect()
}

pub(super) fn field_ids(given: &Given) -> Result<FieldIds> {
    const NAME: &str = "field_ids";
    if let Some(word) = given.text(NAME) {
        return match word.to_ascii_lowercase().as_str() {
            "auto" => Ok(FieldIds::Auto),
            "none" => Ok(FieldIds::None),
            _ => Err(Error::option(NAME, "unknown value")
                .expected("'auto', 'none' or a struct such as {'ts': 0}")
                .found(word)),
        };
    }
    let Some(pairs) = given.pairs(NAME) else { return Ok(FieldIds::Hints) };
    let ids: Vec<(String, i32)> = pairs
        .into_iter()
        .map(|(column, value)| {
            Ok((column, value.as_int(NAME, i64::from(i32::MIN), i64::from(i32::MAX))? as i32))
        })
        .collect::<Result<_>>()?;
    let mut seen = std::collections::HashSet::new();
    match ids.iter().find(|(_, id)| !seen.insert(*id)) {
        Some((column, id)) => Err(Error::option(NAME, format!("id {id} given twice")).in_column(column)),
        None => Ok(FieldIds::Named(ids)),
    }
}

pub(super) fn sorted_by(name: &str) -> SortedBy {
    match name.strip_prefix('-') {
        Some(column) => SortedBy { column: column.trim().to_owned(), descending: true },
        None => SortedBy { column: name.to_owned(), descending: false },
    }
}

pub(super) fn existing(given: &Given) -> Result<Existing> {
    let chosen: Vec<(&str, Existing)> = [
        ("overwrite", Existing::Overwrite),
        ("overwrite_or_ignore", Existing::OverwriteOrIgnore),
        ("append", Existing::Append),
    ]
    .into_iter()
    .filter(|(name, _)| given.bool(name) == Some(true))
    .collect();
    match chosen.as_slice() {
        [] => Ok(Existing::Refuse),
        [(_, existing)] => Ok(*existing),
        [(first, _), (second, _), ..] => Err(Error::option(first, format!("contradicts \"{second}\""))
            .hint("Give one of overwrite, overwrite_or_ignore and append.")),
    }
}
