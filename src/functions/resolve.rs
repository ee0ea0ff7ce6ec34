//! From a path argument to a table.

use duckdb_neo::connection::Context;
use duckdb_neo::Result;
use questdb_storage::{Database, Table};

use crate::duckdb::errors::to_duckdb;
use crate::duckdb::paths;

/// The table in directory `path`, or the table `table_name` of the database root `path`.
pub fn table(context: &Context, path: &str, table_name: Option<&str>) -> Result<Table> {
    let dir = paths::expand(context, path)?;
    paths::check_access(context, &dir)?;
    match table_name {
        None => Table::open(&dir),
        Some(name) => Database::open(&dir).and_then(|db| db.table(name)),
    }
    .map_err(to_duckdb)
}
