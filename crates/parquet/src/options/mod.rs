//! Options: text and numbers from SQL become types once, here; nothing below sees a sentinel.

mod choices;
mod docs;
mod given;
mod parse;
mod storage;
mod table;
mod value;

pub use docs::markdown;
pub use storage::{Secret, Storage};
pub use table::{
    find, Context, Kind, Spec, CLICKHOUSE, DEFAULT_BLOOM_FILTER_FPP, DEFAULT_DATA_PAGE_SIZE,
    DEFAULT_DICTIONARY_PAGE_SIZE, DEFAULT_JSONL_ZSTD_LEVEL, DEFAULT_ROW_GROUP_SIZE,
    DEFAULT_ROW_GROUP_SIZE_BYTES, DEFAULT_ZSTD_LEVEL, TABLE,
};
pub use value::OptionValue;

use std::path::Path;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};

/// Which encodings a column gets when it has no choice of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EncodingPolicy {
    /// The best that the server's reader takes.
    #[default]
    Questdb,
    /// The smallest of the whole standard.
    Smallest,
    /// PLAIN, except for symbols.
    Plain,
}

/// An encoding asked for one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnEncoding {
    /// PLAIN.
    Plain,
    /// RLE_DICTIONARY.
    Dictionary,
    /// DELTA_BINARY_PACKED.
    DeltaBinaryPacked,
    /// DELTA_LENGTH_BYTE_ARRAY.
    DeltaLengthByteArray,
    /// DELTA_BYTE_ARRAY.
    DeltaByteArray,
    /// BYTE_STREAM_SPLIT.
    ByteStreamSplit,
}

/// Unit of time that makes a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PartitionUnit {
    /// No partitions.
    #[default]
    None,
    /// Full hours, UTC.
    Hour,
    /// Days, UTC.
    Day,
    /// ISO weeks from Monday.
    Week,
    /// Months.
    Month,
    /// Years.
    Year,
}

/// How the destination looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// `<dest>/<partition>.parquet`; a single file is `<dest>.parquet`.
    #[default]
    Questdb,
    /// `<dest>/year=…/month=…/data.parquet`.
    Hive,
    /// `<dest>/part-00000.parquet`.
    Parts,
}

/// What files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Parquet.
    #[default]
    Parquet,
    /// One JSON object for each row.
    Jsonl,
}

/// One file or a directory of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Always a directory.
    MultiFile,
    /// Exactly one file.
    SingleFile,
}

/// What happens to files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// A destination that is not empty is an error.
    #[default]
    Refuse,
    /// They are removed when the new files are complete.
    Overwrite,
    /// Same names are replaced, others stay.
    OverwriteOrIgnore,
    /// The new files get names that are free.
    Append,
}

/// When a row group ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowGroupLimits {
    /// Rows, exact.
    pub rows: Option<u64>,
    /// Encoded, uncompressed bytes.
    pub bytes: Option<u64>,
}

/// When a file ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// Row groups.
    pub row_groups: Option<u64>,
    /// Bytes on disk.
    pub bytes: Option<u64>,
}

/// Field ids of the columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum FieldIds {
    /// Those of the hints, none where a column has none.
    #[default]
    Hints,
    /// 0, 1, 2, …
    Auto,
    /// None at all.
    None,
    /// As said by name; the others as hinted.
    Named(Vec<(String, i32)>),
}

/// One column that the rows are sorted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedBy {
    /// The column's name.
    pub column: String,
    /// Largest first.
    pub descending: bool,
}

/// Every option, parsed and checked against each other. [`Options::default`] is what no options give.
#[derive(Debug, Clone)]
pub struct Options {
    /// `format`.
    pub format: Format,
    /// `compression_codec` with `compression_level`.
    pub compression: Compression,
    /// Whether `compression_codec` was said.
    pub compression_given: bool,
    /// `row_group_size`, `row_group_size_bytes`.
    pub row_group: RowGroupLimits,
    /// `max_row_groups_per_file`, `target_file_size_bytes`.
    pub rotation: Rotation,
    /// `mode`.
    pub mode: Option<Mode>,
    /// `partition_unit`; `None` when not said, so that the caller can put the table's own.
    pub partition_unit: Option<PartitionUnit>,
    /// `timestamp`.
    pub timestamp: Option<String>,
    /// `layout`; `None` when not said.
    pub layout: Option<Layout>,
    /// `data_page_size`.
    pub data_page_size: u64,
    /// `batch_size`.
    pub batch_size: Option<u64>,
    /// `dictionary_page_size`.
    pub dictionary_page_size: u64,
    /// `statistics_enabled`.
    pub statistics: bool,
    /// `parquet_version`: 1 or 2.
    pub parquet_version: u8,
    /// `raw_array_encoding`.
    pub raw_arrays: bool,
    /// `bloom_filter_columns`.
    pub bloom_filter_columns: Vec<String>,
    /// `bloom_filter_fpp`.
    pub bloom_filter_fpp: f64,
    /// `write_page_index`.
    pub page_index: bool,
    /// `encoding`.
    pub encoding: EncodingPolicy,
    /// `column_encoding`.
    pub column_encoding: Vec<(String, ColumnEncoding)>,
    /// `column_compression`.
    pub column_compression: Vec<(String, Compression)>,
    /// `kv_metadata`.
    pub kv_metadata: Vec<(String, String)>,
    /// `field_ids`.
    pub field_ids: FieldIds,
    /// `sorted`; `None` when not said.
    pub sorted: Option<Vec<SortedBy>>,
    /// `copy_row_groups`.
    pub copy_row_groups: bool,
    /// `include_metrics`.
    pub include_metrics: bool,
    /// `storage`.
    pub storage: Option<Storage>,
    /// `overwrite`, `overwrite_or_ignore`, `append`.
    pub existing: Existing,
    /// `root_name`.
    pub root_name: String,
    /// A file that turns out to be the only one is written to exactly the destination's path (COPY), instead of
    /// `<destination>.parquet`.
    pub exact_path: bool,
    /// What was accepted and ignored, one sentence each, for the caller's log.
    pub notices: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Parquet,
            compression: Compression::LZ4_RAW,
            compression_given: false,
            row_group: RowGroupLimits { rows: Some(DEFAULT_ROW_GROUP_SIZE as u64), bytes: None },
            rotation: Rotation::default(),
            mode: None,
            partition_unit: None,
            timestamp: None,
            layout: None,
            data_page_size: DEFAULT_DATA_PAGE_SIZE,
            batch_size: None,
            dictionary_page_size: DEFAULT_DICTIONARY_PAGE_SIZE,
            statistics: true,
            parquet_version: 1,
            raw_arrays: false,
            bloom_filter_columns: Vec::new(),
            bloom_filter_fpp: DEFAULT_BLOOM_FILTER_FPP,
            page_index: true,
            encoding: EncodingPolicy::default(),
            column_encoding: Vec::new(),
            column_compression: Vec::new(),
            kv_metadata: Vec::new(),
            field_ids: FieldIds::default(),
            sorted: None,
            copy_row_groups: true,
            include_metrics: false,
            storage: None,
            existing: Existing::default(),
            root_name: "schema".to_owned(),
            exact_path: false,
            notices: Vec::new(),
        }
    }
}

impl Options {
    /// JSON lines without a codec get the one that the name of their file tells, as DuckDB's formats do.
    pub fn compress_by_name(&mut self, path: &Path) {
        if self.format != Format::Jsonl || self.compression_given {
            return;
        }
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        self.compression = match extension.as_deref() {
            Some("gz") => Compression::GZIP(GzipLevel::default()),
            Some("zst") => ZstdLevel::try_new(DEFAULT_JSONL_ZSTD_LEVEL as i32)
                .map_or(self.compression, Compression::ZSTD),
            _ => return,
        };
    }

    /// What names of files end with.
    pub fn suffix(&self) -> &'static str {
        match (self.format, self.compression) {
            (Format::Parquet, _) => ".parquet",
            (Format::Jsonl, Compression::GZIP(_)) => ".jsonl.gz",
            (Format::Jsonl, Compression::ZSTD(_)) => ".jsonl.zst",
            (Format::Jsonl, _) => ".jsonl",
        }
    }
}
