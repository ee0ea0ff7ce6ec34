//! Formats of `COPY`.

pub mod json_types;
mod questdb_jsonl;
mod questdb_parquet;
pub mod types;

use duckdb_neo::{extension::Extension, Result};

/// Registers the formats.
pub fn register(extension: &Extension) -> Result<()> {
    questdb_parquet::register(extension)?;
    questdb_jsonl::register(extension)
}
