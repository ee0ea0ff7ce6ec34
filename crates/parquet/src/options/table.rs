//! The one table of options. Parsing, error texts, `docs/options.md` and the tests are made from it.

/// Where an option comes from when it has two names for two callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// `COPY … TO … (FORMAT questdb_parquet, …)`.
    Copy,
    /// `questdb_export(…)`, `questdb_export_query(…)`.
    Function,
}

/// What an option's value is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// An integer in a range, ends included.
    Int(i64, i64),
    /// A number strictly between two.
    Float(f64, f64),
    /// Bytes: an integer or `'40MB'`.
    Size,
    /// One word of a list.
    Choice(&'static [&'static str]),
    /// Free text.
    Text,
    /// A list of column names.
    Names,
    /// A struct of column or key → value.
    Pairs,
    /// An object store and its credentials.
    Storage,
    /// Accepted and ignored, with a notice: why it has no meaning here.
    Obsolete(&'static str),
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Spec {
    /// The canonical name.
    pub name: &'static str,
    /// Other spellings, of DuckDB, QuestDB and ClickHouse.
    pub aliases: &'static [&'static str],
    /// The kind of value.
    pub kind: Kind,
    /// The default, as text.
    pub default: &'static str,
    /// What it does.
    pub text: &'static str,
}

/// Codecs by the names QuestDB gives them; `lz4` is the old framed LZ4.
pub(crate) const CODECS: &[&str] = &["uncompressed", "snappy", "gzip", "brotli", "zstd", "lz4_raw", "lz4"];
/// Units of partitioning.
pub(crate) const UNITS: &[&str] = &["none", "hour", "day", "week", "month", "year"];
/// Layouts of the destination.
pub(crate) const LAYOUTS: &[&str] = &["questdb", "hive", "parts"];
/// Values of `encoding`.
pub(crate) const POLICIES: &[&str] = &["questdb", "smallest", "plain"];
/// Values of `column_encoding`.
pub(crate) const ENCODINGS: &[&str] = &[
    "plain",
    "dictionary",
    "delta_binary_packed",
    "delta_length_byte_array",
    "delta_byte_array",
    "byte_stream_split",
];

/// Options that mean something for JSON lines.
pub(crate) const JSONL: &[&str] = &[
    "compression_codec",
    "compression_level",
    "row_group_size",
    "row_group_size_bytes",
    "max_row_groups_per_file",
    "target_file_size_bytes",
    "mode",
    "partition_unit",
    "timestamp",
    "layout",
    "format",
    "include_metrics",
    "storage",
    "overwrite",
    "overwrite_or_ignore",
    "append",
];

/// Rows in a row group when nothing is said (QuestDB's default).
pub const DEFAULT_ROW_GROUP_SIZE: i64 = 100_000;
/// Encoded bytes in a row group when only `mode` is said (the export API's default).
pub const DEFAULT_ROW_GROUP_SIZE_BYTES: u64 = 40_000_000;
/// Raw bytes in a data page.
pub const DEFAULT_DATA_PAGE_SIZE: u64 = 1_048_576;
/// Encoded bytes of a dictionary before a string column falls back to its other encoding.
pub const DEFAULT_DICTIONARY_PAGE_SIZE: u64 = 1_048_576;
/// False positives of a bloom filter.
pub const DEFAULT_BLOOM_FILTER_FPP: f64 = 0.01;
/// zstd's level when the codec is given without one.
pub const DEFAULT_ZSTD_LEVEL: i64 = 9;
/// The same for JSON lines, whose text shrinks well at low levels.
pub const DEFAULT_JSONL_ZSTD_LEVEL: i64 = 3;

const fn spec(
    name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
    default: &'static str,
    text: &'static str,
) -> Spec {
    Spec { name, aliases, kind, default, text }
}

const ENGINE: &str = "the writer decides this itself";
const OWN_TYPES: &str = "types are written as docs/types.md says";

/// Every option. ClickHouse's names are accepted with and without their prefix `output_format_parquet_`.
pub static TABLE: &[Spec] = &[
    spec("compression_codec", &["compression", "codec", "compression_method"], Kind::Choice(CODECS), "lz4_raw", "Codec of all pages, dictionary pages included. `none` is `uncompressed`."),
    spec("compression_level", &[], Kind::Int(0, 22), "zstd 9, gzip 6, brotli 1", "gzip 0–9, brotli 0–11, zstd 1–22. The other codecs have no levels and refuse one."),
    spec("row_group_size", &["row_group_rows", "chunk_size"], Kind::Int(1, i64::MAX), "100000", "Rows of a row group, exact; only the last one of a file is shorter. Not limited when only `row_group_size_bytes` is given. In COPY, say `row_group_rows`: DuckDB's engine keeps `ROW_GROUP_SIZE` for itself and rounds it up to a multiple of 2048."),
    spec("row_group_size_bytes", &["row_group_bytes"], Kind::Size, "none; 40000000 when `mode` is given without `row_group_size`", "Encoded, uncompressed bytes of a row group, met within 5 %, or one row if that is larger. With `row_group_size` too, whichever comes first ends the group. In COPY, say `row_group_bytes`."),
    spec("max_row_groups_per_file", &["row_groups_per_file"], Kind::Int(1, i64::MAX), "none", "Row groups of a file; then the next file begins."),
    spec("target_file_size_bytes", &["file_size_bytes"], Kind::Size, "none", "Bytes of a file on disk, met within 10 % when a row group is smaller than that; then the next file begins. The first of this and `max_row_groups_per_file` ends a file."),
    spec("mode", &[], Kind::Choice(&["multi_file", "single_file"]), "by layout", "`single_file`: exactly one file, no partitions, no rotation. `multi_file`: always a directory of files."),
    spec("partition_unit", &["partition_by"], Kind::Choice(UNITS), "the table's own; `none` for queries", "One file (or more, when files rotate) for each unit of the timestamp column. COPY takes only the name `partition_unit`, because `PARTITION_BY` belongs to DuckDB's engine."),
    spec("timestamp", &["timestamp_column"], Kind::Text, "the designated one, else the only timestamp column", "Column that partitions: TIMESTAMP (s, ms, µs, ns) or DATE. Rows where it is NULL go to the partition `null` (hive: `__HIVE_DEFAULT_PARTITION__`)."),
    spec("layout", &[], Kind::Choice(LAYOUTS), "questdb", "`questdb`: `<dest>/<partition>.parquet`, a single file is `<dest>.parquet`. `hive`: `<dest>/year=…/month=…/data.parquet`. `parts`: `<dest>/part-00000.parquet`. Further files of a partition are numbered: `2024-01-01.1.parquet`."),
    spec("data_page_size", &[], Kind::Size, "1048576", "Raw bytes of a data page, at most."),
    spec("batch_size", &[], Kind::Int(1, 1 << 30), "1024", "Values between two checks of the page size."),
    spec("dictionary_page_size", &["string_dictionary_page_size_limit", "max_dictionary_size"], Kind::Size, "1048576", "Bytes of a string dictionary, at most; a column that needs more is written without one. Symbols always keep theirs."),
    spec("statistics_enabled", &["write_statistics"], Kind::Bool, "true", "Minimum, maximum and NULL count of chunks and pages. The designated timestamp keeps its own when this is false."),
    spec("parquet_version", &["version", "data_page_version"], Kind::Choice(&["1", "2"]), "1", "Version of file and data pages. ClickHouse's `1.0`, `2.4`, `2.6`, DuckDB's `V1`, `V2` are accepted."),
    spec("raw_array_encoding", &[], Kind::Bool, "false", "Arrays of doubles as one BYTE_ARRAY in QuestDB's own form instead of nested lists."),
    spec("bloom_filter_columns", &[], Kind::Names, "none", "Columns that get a bloom filter: a list, or one text with commas."),
    spec("bloom_filter_fpp", &["bloom_filter_false_positive_ratio"], Kind::Float(0.0, 1.0), "0.01", "False positives of the bloom filters, between 0 and 1 (exclusive)."),
    spec("write_page_index", &[], Kind::Bool, "true", "Column index and offset index."),
    spec("encoding", &[], Kind::Choice(POLICIES), "questdb", "`questdb`: the best encoding that the server's own reader takes for the type. `smallest`: any encoding that DuckDB, pyarrow, polars and ClickHouse read. `plain`: no encoding except for symbols."),
    spec("column_encoding", &["column_encodings"], Kind::Pairs, "by `encoding`", "Encoding of single columns: `{'price': 'byte_stream_split'}`; plain, dictionary, delta_binary_packed, delta_length_byte_array, delta_byte_array or byte_stream_split."),
    spec("column_compression", &["column_compressions"], Kind::Pairs, "by `compression_codec`", "Codec of single columns, with a level after a colon: `{'note': 'zstd:3'}`."),
    spec("kv_metadata", &["key_value_metadata"], Kind::Pairs, "none", "Key-value metadata of the files. The key `questdb` is taken."),
    spec("field_ids", &[], Kind::Pairs, "the table's own", "Field ids of columns: `{'ts': 0}`. `auto` numbers all columns from 0, `none` writes none."),
    spec("sorted", &["sorting_columns"], Kind::Names, "the designated timestamp", "Columns that the rows are promised to be sorted by; `-` before a name means descending. Goes to `sorting_columns`; nothing is sorted."),
    spec("format", &[], Kind::Choice(&["parquet", "jsonl"]), "parquet", "`jsonl`: one JSON object for each row, values as DuckDB's `COPY … (FORMAT json)` renders them. Of the other options it takes `compression_codec` (uncompressed, which is its default, gzip, zstd), `compression_level`, and those on row groups (here: blocks of lines), files, partitions and the destination. COPY has the format `questdb_jsonl` instead."),
    spec("copy_row_groups", &[], Kind::Bool, "true", "Row groups of a table's Parquet partitions are copied as they are where rows, types, codec and the other options allow; false: everything is encoded anew. Tables only."),
    spec("include_metrics", &[], Kind::Bool, "false", "Elapsed time and peak memory in the result."),
    spec("storage", &[], Kind::Storage, "none", "An S3 bucket instead of local files: `{'type': 'S3', 'bucket': …, 'credentials': {'access_key': …, 'secret_key': …, 'session_token': …}, 'options': {'endpoint': …, 'region': …, 'allow_http': …, 'virtual_hosted_style': …, 'max_retries': …}}`. The destination is a prefix in the bucket, or `s3://bucket/prefix`. Without `endpoint`, AWS; `region` is us-east-1 when it is left out; `max_retries` is 8."),
    spec("overwrite", &[], Kind::Bool, "false", "Replaces the destination: files that were there before are gone."),
    spec("overwrite_or_ignore", &[], Kind::Bool, "false", "Replaces files of the same name, leaves others."),
    spec("append", &[], Kind::Bool, "false", "Adds files beside those that are there, under new names."),
    spec("root_name", &[], Kind::Text, "schema", "Name of the schema's root group; QuestDB writes the table name."),
    spec("use_custom_encoder", &[], Kind::Obsolete(ENGINE), "", "ClickHouse."),
    spec("parallel_encoding", &[], Kind::Obsolete(ENGINE), "", "ClickHouse."),
    spec("compliant_nested_types", &[], Kind::Obsolete("nested types are always compliant"), "", "ClickHouse."),
    spec("string_as_string", &[], Kind::Obsolete(OWN_TYPES), "", "ClickHouse."),
    spec("fixed_string_as_fixed_byte_array", &[], Kind::Obsolete(OWN_TYPES), "", "ClickHouse."),
    spec("enum_as_byte_array", &[], Kind::Obsolete(OWN_TYPES), "", "ClickHouse."),
    spec("date_as_uint16", &[], Kind::Obsolete(OWN_TYPES), "", "ClickHouse."),
    spec("datetime_as_uint32", &[], Kind::Obsolete(OWN_TYPES), "", "ClickHouse."),
    spec("bloom_filter_bits_per_value", &[], Kind::Obsolete("use bloom_filter_fpp"), "", "ClickHouse."),
    spec("bloom_filter_flush_threshold_bytes", &[], Kind::Obsolete(ENGINE), "", "ClickHouse."),
    spec("write_bloom_filter", &[], Kind::Obsolete("use bloom_filter_columns"), "", "ClickHouse, DuckDB."),
    spec("geometadata", &[], Kind::Obsolete("there are no geographic types"), "", "ClickHouse."),
    spec("write_checksums", &[], Kind::Obsolete("pages carry no checksum, as the server's"), "", "ClickHouse."),
    spec("dictionary_size_limit", &[], Kind::Obsolete("use dictionary_page_size"), "", "DuckDB."),
    spec("dictionary_compression_ratio_threshold", &[], Kind::Obsolete(ENGINE), "", "DuckDB."),
];

/// What ClickHouse calls its settings, in full.
pub static CLICKHOUSE: &[&str] = &[
    "output_format_parquet_batch_size",
    "output_format_parquet_bloom_filter_bits_per_value",
    "output_format_parquet_bloom_filter_flush_threshold_bytes",
    "output_format_parquet_compliant_nested_types",
    "output_format_parquet_compression_method",
    "output_format_parquet_data_page_size",
    "output_format_parquet_date_as_uint16",
    "output_format_parquet_datetime_as_uint32",
    "output_format_parquet_enum_as_byte_array",
    "output_format_parquet_fixed_string_as_fixed_byte_array",
    "output_format_parquet_geometadata",
    "output_format_parquet_max_dictionary_size",
    "output_format_parquet_parallel_encoding",
    "output_format_parquet_row_group_size",
    "output_format_parquet_row_group_size_bytes",
    "output_format_parquet_string_as_string",
    "output_format_parquet_use_custom_encoder",
    "output_format_parquet_version",
    "output_format_parquet_write_bloom_filter",
    "output_format_parquet_write_checksums",
    "output_format_parquet_write_page_index",
];

/// The row of `name`, an alias, or one of [`CLICKHOUSE`], in any case.
pub fn find(name: &str, context: Context) -> Option<&'static Spec> {
    let name = name.to_ascii_lowercase();
    let name = match CLICKHOUSE.contains(&name.as_str()) {
        true => name.trim_start_matches("output_format_parquet_"),
        false => name.as_str(),
    };
    if context == Context::Copy && name == "partition_by" {
        return None;
    }
    TABLE.iter().find(|spec| spec.name == name || spec.aliases.contains(&name))
}

/// All canonical names that mean something.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|spec| !matches!(spec.kind, Kind::Obsolete(_))).map(|spec| spec.name)
}
