//! Formats of `COPY`.

mod questdb_parquet;
mod types;

use duckdb_neo::{extension::Extension, Result};

/// Registers the formats.
pub fn register(extension: &Extension) -> Result<()> {
    questdb_parquet::register(extension)
}
