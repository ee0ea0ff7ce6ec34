//! One module per SQL function.

mod read_partitions;
mod resolve;

use duckdb_neo::{extension::Extension, Result};

/// Registers everything.
pub fn register(extension: &Extension) -> Result<()> {
    read_partitions::register(extension)
}
