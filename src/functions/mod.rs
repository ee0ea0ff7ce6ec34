//! One module per SQL function.

mod copy_from;
mod questdb_attach;
mod questdb_check;
mod questdb_columns;
mod questdb_export;
mod questdb_export_api;
mod questdb_export_cancel;
mod questdb_export_log;
mod questdb_export_query;
mod questdb_exports;
mod questdb_partitions;
mod questdb_symbols;
mod questdb_tables;
mod read_partitions;
mod replacement;
mod resolve;

use std::sync::Arc;

use crate::duckdb::host::Host;
use crate::duckdb::session;
use crate::jobs::{self, Queue};
use duckdb_neo::{extension::Extension, Result};

/// Registers everything.
pub fn register(extension: &Extension) -> Result<()> {
    // DuckDB owns the functions, and they the queue: it ends with the database.
    let queue = Arc::new(Queue::default());
    register_readers(extension)?;
    jobs::register(extension)?;
    questdb_export::register(extension, &queue)?;
    questdb_export_query::register(extension, &queue)?;
    questdb_export_api::register(extension)?;
    questdb_exports::register(extension)?;
    questdb_export_log::register(extension)?;
    questdb_export_cancel::register(extension)?;
    copy_from::register(extension)?;
    questdb_attach::register(extension)
}

/// Registers what a query needs that only reads.
pub fn register_readers(host: &impl Host) -> Result<()> {
    session::register(host)?;
    read_partitions::register(host)?;
    questdb_tables::register(host)?;
    questdb_columns::register(host)?;
    questdb_partitions::register(host)?;
    questdb_symbols::register(host)?;
    questdb_check::register(host)?;
    replacement::register(host)
}
