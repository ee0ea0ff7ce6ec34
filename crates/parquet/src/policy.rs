//! Which encoding each column gets, and why.
//!
//! | values | `questdb` | `smallest` |
//! |---|---|---|
//! | timestamps, integers | DELTA_BINARY_PACKED | dictionary when few values repeat, else DELTA_BINARY_PACKED |
//! | doubles, floats | PLAIN: random mantissas do not repeat, and the server takes nothing else that helps | dictionary or BYTE_STREAM_SPLIT |
//! | SYMBOL | dictionary in the order of the symbol table | same |
//! | STRING, BINARY | DELTA_LENGTH_BYTE_ARRAY | dictionary or DELTA_LENGTH / DELTA_BYTE_ARRAY |
//! | VARCHAR and other text | dictionary when a sample repeats, else DELTA_LENGTH_BYTE_ARRAY | same, DELTA_BYTE_ARRAY for common prefixes |
//! | UUID, LONG256, DECIMAL, BOOLEAN | PLAIN | dictionary or PLAIN: DuckDB reads no BYTE_STREAM_SPLIT of fixed-length bytes |

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::schema::types::ColumnDescriptor;

use crate::error::{any_of, Error, Result};
use crate::options::{ColumnEncoding, EncodingPolicy, Options};
use crate::schema::{code, Column, ExportSchema};

/// Values looked at to choose between a dictionary and none.
const SAMPLE: usize = 2048;
/// Values in a page, at most: what a reader must decode to get at one row.
pub const PAGE_ROWS: usize = 20_000;
/// Pages a row group of limited bytes has at least, over all columns: what is not yet in a page is only estimated.
const PAGES_OF_A_GROUP: u64 = 32;

/// What a look at the first values of a chunk says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Values repeat: a dictionary pays.
    pub repeats: bool,
    /// Neighbours begin alike.
    pub prefixes: bool,
}

impl Sample {
    /// Looks at the first array of a chunk.
    pub fn of(array: &ArrayRef) -> Self {
        let array = array.slice(0, array.len().min(SAMPLE));
        match array.data_type() {
            DataType::Dictionary(..) => Self { repeats: true, prefixes: false },
            DataType::Utf8 => Self::of_bytes(array.as_string::<i32>().iter().flatten().map(str::as_bytes)),
            DataType::LargeUtf8 => {
                Self::of_bytes(array.as_string::<i64>().iter().flatten().map(str::as_bytes))
            }
            DataType::Utf8View => Self::of_bytes(array.as_string_view().iter().flatten().map(str::as_bytes)),
            DataType::Binary => Self::of_bytes(array.as_binary::<i32>().iter().flatten()),
            DataType::LargeBinary => Self::of_bytes(array.as_binary::<i64>().iter().flatten()),
            DataType::BinaryView => Self::of_bytes(array.as_binary_view().iter().flatten()),
            DataType::FixedSizeBinary(_) => Self::of_bytes(array.as_fixed_size_binary().iter().flatten()),
            other => match other.primitive_width() {
                Some(width) => {
                    let data = array.to_data();
                    let bytes = data.buffers().first().map(|buffer| buffer.as_slice()).unwrap_or_default();
                    let start = (data.offset() * width).min(bytes.len());
                    let end = ((data.offset() + data.len()) * width).min(bytes.len());
                    Self::of_bytes(bytes.get(start..end).unwrap_or_default().chunks_exact(width))
                }
                None => Self::default(),
            },
        }
    }

    fn of_bytes<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut distinct = HashSet::new();
        let (mut count, mut common) = (0usize, 0usize);
        let mut previous: &[u8] = &[];
        for value in values {
            distinct.insert(value);
            common += value.iter().zip(previous).take_while(|(a, b)| a == b).count();
            previous = value;
            count += 1;
        }
        Self {
            repeats: count >= 8 && distinct.len() * 3 <= count,
            prefixes: count > 0 && common >= count * 4,
        }
    }
}

/// Sizes of pages; smaller when a row group of limited bytes must be measured finely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSizes {
    /// Raw bytes.
    pub bytes: usize,
    /// Values between two checks.
    pub batch: usize,
}

impl PageSizes {
    /// The sizes for a schema with `leaves` columns.
    pub fn new(options: &Options, leaves: usize) -> Self {
        let mut bytes = options.data_page_size;
        if let Some(target) = options.row_group.bytes {
            bytes = bytes.min((target / (leaves.max(1) as u64 * PAGES_OF_A_GROUP)).max(1024));
        }
        let batch = options.batch_size.unwrap_or_else(|| (bytes / 64).clamp(16, 1024));
        let cap = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self { bytes: cap(bytes), batch: cap(batch) }
    }
}

/// The dictionary or other encoding of one leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// RLE_DICTIONARY first; `encoding` when the dictionary grows too large.
    pub dictionary: bool,
    /// Never give the dictionary up.
    pub keep_dictionary: bool,
    /// Encoding of values outside a dictionary.
    pub encoding: Encoding,
}

/// Whether the choice for a column depends on its values.
pub fn needs_sample(column: &Column, options: &Options) -> bool {
    let is_text = |leaf: &Arc<ColumnDescriptor>| leaf.physical_type() == Physical::BYTE_ARRAY;
    options.encoding == EncodingPolicy::Smallest || column.descr.columns().iter().any(is_text)
}

/// Chooses for one leaf of a column.
pub fn choose(column: &Column, leaf: &ColumnDescriptor, options: &Options, sample: Sample) -> Choice {
    let physical = leaf.physical_type();
    let plain = Choice { dictionary: false, keep_dictionary: false, encoding: Encoding::PLAIN };
    if column.hint.is_symbol() && physical == Physical::BYTE_ARRAY {
        return Choice { dictionary: true, keep_dictionary: true, encoding: Encoding::PLAIN };
    }
    if let Some(asked) = asked(options, &column.name) {
        return explicit(asked);
    }
    let smallest = match options.encoding {
        EncodingPolicy::Plain => return plain,
        EncodingPolicy::Smallest => true,
        EncodingPolicy::Questdb => false,
    };
    match physical {
        Physical::INT32 | Physical::INT64 => Choice {
            dictionary: smallest && sample.repeats,
            encoding: Encoding::DELTA_BINARY_PACKED,
            ..plain
        },
        Physical::FLOAT | Physical::DOUBLE if smallest => {
            Choice { dictionary: sample.repeats, encoding: Encoding::BYTE_STREAM_SPLIT, ..plain }
        }
        // DuckDB reads no BYTE_STREAM_SPLIT of these.
        Physical::FIXED_LEN_BYTE_ARRAY if smallest => Choice { dictionary: sample.repeats, ..plain },
        Physical::BYTE_ARRAY => {
            let tag = column.hint.tag();
            if tag == Some(code::ARRAY) && !smallest {
                return plain;
            }
            let may_repeat = smallest || !matches!(tag, Some(code::STRING | code::BINARY));
            let prefixes = smallest && sample.prefixes;
            Choice {
                dictionary: may_repeat && sample.repeats,
                encoding: if prefixes {
                    Encoding::DELTA_BYTE_ARRAY
                } else {
                    Encoding::DELTA_LENGTH_BYTE_ARRAY
                },
                ..plain
            }
        }
        _ => plain,
    }
}

/// Whether a bloom filter was asked for.
pub fn has_bloom_filter(column: &Column, options: &Options) -> bool {
    options.bloom_filter_columns.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
}

/// The encoding that was asked for a column by name.
pub fn asked(options: &Options, column: &str) -> Option<ColumnEncoding> {
    options
        .column_encoding
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(column))
        .map(|(_, encoding)| *encoding)
}

fn explicit(asked: ColumnEncoding) -> Choice {
    let (dictionary, encoding) = match asked {
        ColumnEncoding::Plain => (false, Encoding::PLAIN),
        ColumnEncoding::Dictionary => (true, Encoding::PLAIN),
        ColumnEncoding::DeltaBinaryPacked => (false, Encoding::DELTA_BINARY_PACKED),
        ColumnEncoding::DeltaLengthByteArray => (false, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ColumnEncoding::DeltaByteArray => (false, Encoding::DELTA_BYTE_ARRAY),
        ColumnEncoding::ByteStreamSplit => (false, Encoding::BYTE_STREAM_SPLIT),
    };
    Choice { dictionary, keep_dictionary: dictionary, encoding }
}

/// Refuses encodings that a column's type cannot have.
pub fn check(schema: &ExportSchema, options: &Options) -> Result<()> {
    for (name, asked) in &options.column_encoding {
        let Some(column) = schema.index_of(name).and_then(|index| schema.columns.get(index)) else {
            continue;
        };
        let fail = |accepted: &[&'static str], physical: Physical| {
            Error::option("column_encoding", format!("type {physical} cannot have this encoding"))
                .in_column(name)
                .expected(any_of(accepted.iter().copied()))
                .found(format!("{asked:?}"))
        };
        if column.hint.is_symbol() && *asked != ColumnEncoding::Dictionary {
            return Err(fail(&["dictionary"], Physical::BYTE_ARRAY));
        }
        for leaf in column.descr.columns() {
            let physical = leaf.physical_type();
            let accepted: &[&'static str] = match physical {
                Physical::BOOLEAN => &["plain"],
                Physical::INT32 | Physical::INT64 => {
                    &["plain", "dictionary", "delta_binary_packed", "byte_stream_split"]
                }
                Physical::BYTE_ARRAY => {
                    &["plain", "dictionary", "delta_length_byte_array", "delta_byte_array"]
                }
                Physical::FIXED_LEN_BYTE_ARRAY => &["plain", "dictionary", "byte_stream_split"],
                _ => &["plain", "dictionary", "byte_stream_split"],
            };
            let word = match asked {
                ColumnEncoding::Plain => "plain",
                ColumnEncoding::Dictionary => "dictionary",
                ColumnEncoding::DeltaBinaryPacked => "delta_binary_packed",
                ColumnEncoding::DeltaLengthByteArray => "delta_length_byte_array",
                ColumnEncoding::DeltaByteArray => "delta_byte_array",
                ColumnEncoding::ByteStreamSplit => "byte_stream_split",
            };
            if !accepted.contains(&word) {
                return Err(fail(accepted, physical));
            }
        }
    }
    Ok(())
}

/// The library's properties for the chunks of one column.
pub fn properties(
    column: &Column,
    options: &Options,
    pages: PageSizes,
    sample: Sample,
) -> WriterPropertiesPtr {
    let mut builder = WriterProperties::builder()
        .set_writer_version(writer_version(options))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_data_page_size_limit(pages.bytes)
        .set_write_batch_size(pages.batch)
        .set_coerce_types(true)
        .set_statistics_enabled(statistics(column, options))
        .set_offset_index_disabled(!options.page_index)
        .set_compression(compression(column, options));
    for leaf in column.descr.columns() {
        let choice = choose(column, leaf, options, sample);
        let path = leaf.path().clone();
        let limit = if choice.keep_dictionary { usize::MAX } else { options.dictionary_page_size as usize };
        builder = builder
            .set_column_dictionary_enabled(path.clone(), choice.dictionary)
            .set_column_dictionary_page_size_limit(path.clone(), limit)
            .set_column_encoding(path.clone(), choice.encoding);
        if has_bloom_filter(column, options) {
            builder = builder
                .set_column_bloom_filter_enabled(path.clone(), true)
                .set_column_bloom_filter_fpp(path.clone(), options.bloom_filter_fpp)
                .set_column_bloom_filter_max_ndv(
                    path,
                    options.row_group.rows.unwrap_or(1 << 20).min(1 << 24),
                );
        }
    }
    Arc::new(builder.build())
}

/// The codec of a column.
pub fn compression(column: &Column, options: &Options) -> parquet::basic::Compression {
    options
        .column_compression
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&column.name))
        .map_or(options.compression, |(_, codec)| *codec)
}

/// Page statistics feed the column index.
pub fn statistics(column: &Column, options: &Options) -> EnabledStatistics {
    match (options.statistics || column.hint.designated, options.page_index) {
        (false, _) => EnabledStatistics::None,
        (true, true) => EnabledStatistics::Page,
        (true, false) => EnabledStatistics::Chunk,
    }
}

/// File and page version.
pub fn writer_version(options: &Options) -> WriterVersion {
    match options.parquet_version {
        2 => WriterVersion::PARQUET_2_0,
        _ => WriterVersion::PARQUET_1_0,
    }
}
