//! `COPY … TO … (FORMAT questdb_jsonl, …)`: one JSON object for each row, with the files, partitions and destinations of
//! `questdb_parquet`.

use duckdb_neo::copy_function::CopyFunctionBuilder;
use duckdb_neo::{extension::Extension, Result};
use questdb_parquet::options::Format;

use super::questdb_parquet::CopyTo;

/// Name of the format.
const NAME: &str = "questdb_jsonl";

/// Registers the format.
pub fn register(extension: &Extension) -> Result<()> {
    CopyFunctionBuilder::new(NAME, CopyTo { name: NAME, format: Format::Jsonl })
        .with_fallback_extension("jsonl")
        .with_statistics()
        .register(extension)
}
