//! What the functions about tables share: from a path argument to a table, its state, its times.

use std::time::Duration;

use duckdb_neo::connection::Context;
use duckdb_neo::signature::FunctionParameter;
use duckdb_neo::Result;
use questdb_storage::types::TimeUnit;
use questdb_storage::{Database, Snapshot, Table};

use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::listing::Cell;
use crate::duckdb::paths;

/// How often a catalogue function starts again because a server has committed meanwhile.
const ATTEMPTS: u32 = 5;

/// What descriptions say about [`path_parameter`] and [`table_name_parameter`].
pub const PATH_HELP: &str = "path: a table directory, or a database root (with table_name). \
                             table_name: the table of a database root, by its current name.";

/// The parameter `path` of a function about one table.
pub fn path_parameter() -> FunctionParameter {
    FunctionParameter::new::<String>("path")
}

/// The parameter `table_name` of a function about one table.
pub fn table_name_parameter() -> FunctionParameter {
    named("table_name", String::new())
}

/// The argument `table_name`. The default, the empty text, stands for "not given"; NULL is refused.
pub fn table_name(arguments: &mut Arguments) -> Result<Option<String>> {
    Ok(Some(arguments.required::<String>("table_name")?).filter(|name| !name.is_empty()))
}

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

/// What `read` makes of the table's state now. A server may delete or overwrite what is read, so it is read again
/// when a partition was touched meanwhile; a server that never rests does not keep the answer away.
pub fn current<T>(
    table: &Table,
    read: impl Fn(&Snapshot) -> questdb_storage::Result<T>,
) -> questdb_storage::Result<T> {
    let mut left = ATTEMPTS;
    loop {
        let snapshot = table.snapshot()?;
        let result = read(&snapshot);
        left -= 1;
        let untouched = || snapshot.partitions().iter().all(|partition| snapshot.check(partition).is_ok());
        if left == 0 || snapshot.is_current()? || (result.is_ok() && untouched()) {
            return result;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A timestamp as TIMESTAMP_NS; NULL where that type cannot hold it (in microseconds, from 2262 on).
pub fn time_cell(value: Option<i64>, unit: TimeUnit) -> Cell {
    match unit {
        TimeUnit::Nanos => value,
        TimeUnit::Micros => value.and_then(|micros| micros.checked_mul(1000)),
    }
    .into()
}
