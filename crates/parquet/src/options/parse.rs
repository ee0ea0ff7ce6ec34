//! Pairs of names and values → [`Options`].

use std::collections::HashMap;

use super::choices::{
    codec, column_compressions, column_encodings, existing, field_ids, kv_metadata, sorted_by, unit,
};
use super::given::{check, Checked, Given};
use super::table::{find, names, Context, Kind, JSONL, TABLE};
use super::*;
use crate::error::{any_of, did_you_mean, Error, Result};

impl Options {
    /// Parses options. Names in any case; an option given twice, unknown or out of range is an error.
    pub fn parse(pairs: impl IntoIterator<Item = (String, OptionValue)>, context: Context) -> Result<Self> {
        let mut given: HashMap<&'static str, Checked> = HashMap::new();
        let mut notices = Vec::new();
        for (name, value) in pairs {
            let spec = find(&name, context).ok_or_else(|| unknown(&name, context))?;
            if let Kind::Obsolete(why) = spec.kind {
                notices.push(format!("Option \"{}\" is ignored: {why}.", spec.name));
                continue;
            }
            if given.insert(spec.name, check(spec, &value)?).is_some() {
                return Err(Error::option(spec.name, "given more than once")
                    .hint(format!("\"{name}\" is another name of it, or it stands twice.")));
            }
        }
        let options = assemble(&Given(given), context, notices)?;
        options.check_together()?;
        Ok(options)
    }

    fn check_together(&self) -> Result<()> {
        if self.mode == Some(Mode::SingleFile) {
            let clash = if self.rotation.row_groups.is_some() {
                Some("max_row_groups_per_file")
            } else if self.rotation.bytes.is_some() {
                Some("target_file_size_bytes")
            } else if self.partition_unit.is_some_and(|unit| unit != PartitionUnit::None) {
                Some("partition_unit")
            } else {
                None
            };
            if let Some(other) = clash {
                return Err(Error::option("mode", format!("single_file contradicts \"{other}\""))
                    .hint("Use mode multi_file, or leave the other option out."));
            }
        }
        Ok(())
    }
}

fn unknown(name: &str, context: Context) -> Error {
    if context == Context::Copy && name.eq_ignore_ascii_case("partition_by") {
        return Error::option("partition_by", "belongs to DuckDB's engine")
            .hint("Use partition_unit to partition by a unit of time.");
    }
    let mut error = Error::option(name, "unrecognized option");
    error = match did_you_mean(name, names()) {
        Some(candidate) => error.hint(format!("Did you mean: \"{candidate}\"?")),
        None => error.hint(format!("Candidate options: {}", names().collect::<Vec<_>>().join(", "))),
    };
    error
}

fn assemble(given: &Given, context: Context, notices: Vec<String>) -> Result<Options> {
    let default = Options::default();
    let format = match given.word("format") {
        Some("jsonl") => Format::Jsonl,
        _ => Format::Parquet,
    };
    check_format(given, format)?;
    let mode =
        given.word("mode").map(|word| if word == "single_file" { Mode::SingleFile } else { Mode::MultiFile });
    let rows = given.int("row_group_size").map(|rows| rows as u64);
    let bytes = given
        .size("row_group_size_bytes")
        .or((mode.is_some() && rows.is_none()).then_some(DEFAULT_ROW_GROUP_SIZE_BYTES));
    let row_group =
        RowGroupLimits { rows: if bytes.is_some() { rows } else { rows.or(default.row_group.rows) }, bytes };
    let codec_word = match (given.word("compression_codec"), format) {
        (Some(word), _) => word,
        (None, Format::Parquet) => "lz4_raw",
        (None, Format::Jsonl) => "uncompressed",
    };
    let level = match (given.int("compression_level"), codec_word, format) {
        (None, "zstd", Format::Jsonl) => Some(DEFAULT_JSONL_ZSTD_LEVEL),
        (level, ..) => level,
    };
    Ok(Options {
        format,
        compression: codec("compression_codec", codec_word, level)?,
        compression_given: given.word("compression_codec").is_some(),
        row_group,
        rotation: Rotation {
            row_groups: given.int("max_row_groups_per_file").map(|n| n as u64),
            bytes: given.size("target_file_size_bytes"),
        },
        mode,
        partition_unit: given.word("partition_unit").map(unit),
        timestamp: given.text("timestamp"),
        layout: given.word("layout").map(|word| match word {
            "hive" => Layout::Hive,
            "parts" => Layout::Parts,
            _ => Layout::Questdb,
        }),
        data_page_size: given.size("data_page_size").unwrap_or(default.data_page_size),
        batch_size: given.int("batch_size").map(|n| n as u64),
        dictionary_page_size: given.size("dictionary_page_size").unwrap_or(default.dictionary_page_size),
        statistics: given.bool("statistics_enabled").unwrap_or(true),
        parquet_version: if given.word("parquet_version") == Some("2") { 2 } else { 1 },
        raw_arrays: given.bool("raw_array_encoding").unwrap_or(false),
        bloom_filter_columns: given.names("bloom_filter_columns").unwrap_or_default(),
        bloom_filter_fpp: given.float("bloom_filter_fpp").unwrap_or(default.bloom_filter_fpp),
        page_index: given.bool("write_page_index").unwrap_or(true),
        encoding: match given.word("encoding") {
            Some("smallest") => EncodingPolicy::Smallest,
            Some("plain") => EncodingPolicy::Plain,
            _ => EncodingPolicy::Questdb,
        },
        column_encoding: column_encodings(given)?,
        column_compression: column_compressions(given)?,
        kv_metadata: kv_metadata(given)?,
        field_ids: field_ids(given)?,
        sorted: given.names("sorted").map(|names| names.iter().map(|name| sorted_by(name)).collect()),
        copy_row_groups: given.bool("copy_row_groups").unwrap_or(true),
        include_metrics: given.bool("include_metrics").unwrap_or(false),
        storage: given.storage("storage"),
        existing: existing(given)?,
        root_name: given.text("root_name").unwrap_or(default.root_name),
        exact_path: context == Context::Copy,
        notices,
    })
}

/// Options that JSON lines have no use for are refused, as an option that does nothing is a mistake.
fn check_format(given: &Given, format: Format) -> Result<()> {
    if format == Format::Parquet {
        return Ok(());
    }
    // In the order of the table, so that the error does not depend on the map's.
    let useless = TABLE.iter().find(|spec| given.0.contains_key(spec.name) && !JSONL.contains(&spec.name));
    if let Some(spec) = useless {
        return Err(Error::option(spec.name, "has no meaning for JSON lines")
            .hint("Leave it out, or choose the format parquet."));
    }
    match given.word("compression_codec") {
        None | Some("uncompressed" | "gzip" | "zstd") => Ok(()),
        Some(other) => {
            Err(Error::option("compression_codec", "JSON lines are not compressed with this codec")
                .expected(any_of(["none", "gzip", "zstd"]))
                .found(format_args!("\"{other}\"")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, OptionValue)]) -> Result<Options> {
        Options::parse(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())), Context::Copy)
    }

    fn error(pairs: &[(&str, OptionValue)]) -> String {
        parse(pairs).unwrap_err().to_string()
    }

    #[test]
    fn row_group_limits_follow_what_was_given() {
        assert_eq!(parse(&[]).unwrap().row_group, RowGroupLimits { rows: Some(100_000), bytes: None });
        let bytes = parse(&[("ROW_GROUP_SIZE_BYTES", "40MB".into())]).unwrap().row_group;
        assert_eq!(bytes, RowGroupLimits { rows: None, bytes: Some(40_000_000) });
        let both =
            parse(&[("row_group_size", 7.into()), ("row_group_size_bytes", 1000.into())]).unwrap().row_group;
        assert_eq!(both, RowGroupLimits { rows: Some(7), bytes: Some(1000) });
        let api = parse(&[("mode", "multi_file".into())]).unwrap().row_group;
        assert_eq!(api, RowGroupLimits { rows: None, bytes: Some(40_000_000) });
    }

    #[test]
    fn codecs_and_levels() {
        assert_eq!(parse(&[("compression", "none".into())]).unwrap().compression, Compression::UNCOMPRESSED);
        let zstd = parse(&[("codec", "ZSTD".into())]).unwrap().compression;
        assert_eq!(zstd, Compression::ZSTD(ZstdLevel::try_new(9).unwrap()));
        assert!(error(&[("compression_level", 3.into())]).contains("codec lz4_raw has no levels"));
        assert!(error(&[("codec", "zstd".into()), ("compression_level", 0.into())])
            .contains("ZSTD compression level must be between 1 and 22; found 0"));
        assert!(
            error(&[("codec", "gzip".into()), ("compression_level", 10.into())]).contains("between 0 and 9")
        );
        let columns =
            parse(&[("column_compression", "a=zstd:3, b=snappy".into())]).unwrap().column_compression;
        assert_eq!(columns.len(), 2);
    }

    #[test]
    fn errors_name_candidates() {
        assert_eq!(
            error(&[("row_group_sise", 1.into())]),
            "Option \"row_group_sise\": unrecognized option\nDid you mean: \"row_group_size\"?"
        );
        assert!(error(&[("compression_codec", "lzo".into())]).contains(
            "expected any of [uncompressed, snappy, gzip, brotli, zstd, lz4_raw, lz4], found \"lzo\""
        ));
        assert!(error(&[("partition_by", "day".into())]).contains("Use partition_unit"));
        assert!(error(&[("overwrite", true.into()), ("append", true.into())]).contains("contradicts"));
        assert!(error(&[("codec", "zstd".into()), ("compression", "zstd".into())])
            .contains("given more than once"));
        assert!(error(&[("mode", "single_file".into()), ("partition_unit", "day".into())])
            .contains("contradicts"));
        assert!(error(&[("bloom_filter_fpp", 1.0.into())]).contains("must be between 0 and 1 (exclusive)"));
        assert!(error(&[("row_group_size", 0.into())]).contains("an integer ≥ 1, found 0"));
    }

    #[test]
    fn obsolete_options_leave_a_notice() {
        let options = parse(&[("output_format_parquet_use_custom_encoder", true.into())]).unwrap();
        assert_eq!(options.notices.len(), 1);
        assert!(options.notices.iter().all(|notice| notice.contains("is ignored")));
        let function =
            Options::parse([("partition_by".to_owned(), "day".into())], Context::Function).unwrap();
        assert_eq!(function.partition_unit, Some(PartitionUnit::Day));
    }

    #[test]
    fn every_choice_and_bound_of_the_table_parses() {
        for spec in TABLE {
            let values: Vec<OptionValue> = match spec.kind {
                Kind::Choice(words) => words.iter().map(|word| (*word).into()).collect(),
                Kind::Bool => vec![true.into(), false.into()],
                Kind::Int(min, _) if spec.name != "compression_level" => vec![min.into()],
                Kind::Size => vec![1.into(), "1MB".into()],
                Kind::Float(..) => vec![0.5.into()],
                _ => continue,
            };
            for value in values {
                parse(&[(spec.name, value.clone())])
                    .unwrap_or_else(|error| panic!("{} = {value}: {error}", spec.name));
            }
        }
    }

    #[test]
    fn json_lines_take_only_options_that_mean_something() {
        let lines = |name: &str, value: OptionValue| parse(&[("format", "jsonl".into()), (name, value)]);
        assert_eq!(parse(&[("format", "jsonl".into())]).unwrap().suffix(), ".jsonl");
        assert_eq!(lines("compression", "zstd".into()).unwrap().suffix(), ".jsonl.zst");
        assert_eq!(lines("compression", "gzip".into()).unwrap().suffix(), ".jsonl.gz");
        assert!(lines("compression", "snappy".into())
            .unwrap_err()
            .to_string()
            .contains("any of [none, gzip, zstd]"));
        assert!(lines("write_page_index", true.into())
            .unwrap_err()
            .to_string()
            .contains("no meaning for JSON lines"));
        for name in JSONL {
            assert!(find(name, Context::Copy).is_some_and(|spec| spec.name == *name), "{name}");
        }
    }

    #[test]
    fn every_name_of_clickhouse_is_an_option_in_full_and_in_short() {
        for name in CLICKHOUSE {
            let short = name.trim_start_matches("output_format_parquet_");
            let spec = find(name, Context::Function).unwrap_or_else(|| panic!("{name} is not in the table"));
            assert_eq!(find(short, Context::Copy).map(|spec| spec.name), Some(spec.name), "{name}");
        }
        assert!(error(&[("output_format_parquet_kv_metadata", "x".into())]).contains("unrecognized option"));
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for name in TABLE.iter().flat_map(|spec| std::iter::once(&spec.name).chain(spec.aliases)) {
            assert!(seen.insert(name), "{name}");
        }
    }
}
