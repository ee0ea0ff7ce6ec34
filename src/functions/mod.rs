//! One module per SQL function.

mod copy_from;
mod questdb_attach;
mod questdb_check;
mod questdb_columns;
mod questdb_export;
mod questdb_partitions;
mod questdb_symbols;
mod questdb_tables;
mod read_partitions;
mod replacement;
mod resolve;

use crate::duckdb::session;
use duckdb_neo::{extension::Extension, Result};

/// Registers everything.
pub fn register(extension: &Extension) -> Result<()> {
    session::register(extension)?;
    read_partitions::register(extension)?;
    questdb_tables::register(extension)?;
    questdb_columns::register(extension)?;
    questdb_export::register(extension)?;
    questdb_partitions::register(extension)?;
    questdb_symbols::register(extension)?;
    copy_from::register(extension)?;
    questdb_check::register(extension)?;
    questdb_attach::register(extension)?;
    replacement::register(extension)
}
