//! `questdb_tables(root)`: the tables of a database, as the server's `tables()` and `wal_tables()` show them.

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::Result;
use questdb_storage::format::registry::TableKind;
use questdb_storage::table::{Listed, Partition};
use questdb_storage::types::ValueType;
use questdb_storage::{Database, Snapshot, Table};

use super::resolve::{self, time_cell};
use crate::duckdb::arguments::{named, Arguments};
use crate::duckdb::errors::to_duckdb;
use crate::duckdb::host::Host;
use crate::duckdb::listing::{self, Cell, Listing};
use crate::duckdb::paths;

/// The function.
struct QuestdbTables;

/// Whose tables.
struct Request {
    database: Database,
    /// With the server's own tables.
    system: bool,
}

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    listing::register(host, QuestdbTables)
}

impl Listing for QuestdbTables {
    type Request = Request;

    const NAME: &'static str = "questdb_tables";

    const COLUMNS: &'static [(&'static str, ValueType)] = &[
        ("id", ValueType::Int32),
        ("table_name", ValueType::Text),
        ("directory", ValueType::Text),
        ("kind", ValueType::Text),
        ("partition_by", ValueType::Text),
        ("designated_timestamp", ValueType::Text),
        ("wal", ValueType::Boolean),
        ("dedup", ValueType::Boolean),
        ("ttl_value", ValueType::Int32),
        ("ttl_unit", ValueType::Text),
        ("row_count", ValueType::Int64),
        ("min_timestamp", ValueType::TimestampNs),
        ("max_timestamp", ValueType::TimestampNs),
        ("txn", ValueType::Int64),
        ("wal_txn", ValueType::Int64),
        ("pending_wal_txns", ValueType::Int64),
        ("disk_size", ValueType::Int64),
        ("max_uncommitted_rows", ValueType::Int32),
        ("o3_max_lag_us", ValueType::Int64),
        ("error", ValueType::Text),
    ];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new()
            .param(FunctionParameter::new::<String>("root"))
            .param(named("system", false))
            .documentation(
                FunctionDocumentationBuilder::new()
                    .description(
                        "Lists the tables, materialized views and views of a QuestDB database by name, one row each: \
                         how it is partitioned, rows, time range, transactions, WAL transactions that are not \
                         applied yet, and size of all files. A table that cannot be read has the reason in error and \
                         NULL elsewhere. root: a QuestDB server's root directory, or the db directory in it. system: \
                         lists the server's own tables as well (default false).",
                    )
                    .add_example("All tables", "FROM questdb_tables('/var/lib/questdb/db')")
                    .add_example(
                        "Tables that lag behind",
                        "SELECT table_name, pending_wal_txns FROM questdb_tables('db') WHERE pending_wal_txns > 0",
                    )
                    .add_category("questdb"),
            )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Request> {
        let root: String = arguments.required("root")?;
        let system = arguments.switch("system")?;
        let dir = paths::expand(context, &root)?;
        paths::check_access(context, &dir)?;
        Ok(Request { database: Database::open(&dir).map_err(to_duckdb)?, system })
    }

    fn rows(&self, request: &Request) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        let listing = request.database.list()?;
        let wanted = listing.iter().filter(|listed| request.system || !listed.is_system());
        Ok(wanted.filter_map(|listed| row(&request.database, listed)).collect())
    }
}

/// What a table's own files say.
struct Facts {
    id: i32,
    /// The columns from `partition_by` to `o3_max_lag_us`.
    cells: Vec<Cell>,
}

/// `None` for a table that was dropped since it was listed.
fn row(database: &Database, listed: &Listed) -> Option<Vec<Cell>> {
    let table = database.open_listed(listed);
    let (facts, error) = match listed.kind {
        TableKind::View => (None, None),
        _ => match resolve::current(&table, |snapshot| facts(&table, snapshot)) {
            Ok(facts) => (Some(facts), None),
            Err(_) if !listed.is_link && !table.dir().exists() => return None,
            Err(error) if !table.dir().exists() => {
                (None, Some(error.hint("The directory is a symbolic link to a place that is not there.")))
            }
            Err(error) => (None, Some(error)),
        },
    };
    let link = if listed.is_link { " (->)" } else { "" };
    let mut row: Vec<Cell> = vec![
        facts.as_ref().map(|facts| facts.id).or(listed.id).into(),
        listed.name.as_str().into(),
        format!("{}{link}", listed.directory).into(),
        listed.kind.name().into(),
    ];
    row.extend(facts.into_iter().flat_map(|facts| facts.cells));
    row.resize(QuestdbTables::COLUMNS.len() - 1, Cell::Null);
    row.push(error.map(|error| error.to_string()).into());
    Some(row)
}

fn facts(table: &Table, snapshot: &Snapshot) -> questdb_storage::Result<Facts> {
    let (meta, txn, unit) = (snapshot.meta(), snapshot.txn(), snapshot.time_unit());
    let designated = snapshot.timestamp().and_then(|index| snapshot.columns().get(index));
    let (min, max) = time_range(snapshot)?;
    let (ttl, ttl_unit) = meta.ttl.value_and_unit();
    // A table whose sequencer cannot be read is as readable as any other.
    let wal_txn = if meta.wal { table.last_wal_txn().ok().flatten() } else { None };
    let cells = vec![
        meta.partition_by.name().into(),
        designated.map(|column| column.name.as_str()).into(),
        meta.wal.into(),
        meta.dedup().into(),
        i64::from(ttl).into(),
        ttl_unit.into(),
        snapshot.rows().into(),
        time_cell(min, unit),
        time_cell(max, unit),
        txn.txn.into(),
        wal_txn.into(),
        wal_txn.map(|last| last.saturating_sub(txn.seq_txn).max(0)).into(),
        table.disk_size().into(),
        meta.max_uncommitted_rows.into(),
        meta.o3_max_lag_us.into(),
    ];
    Ok(Facts { id: meta.table_id, cells })
}

/// Smallest and largest designated timestamp.
fn time_range(snapshot: &Snapshot) -> questdb_storage::Result<(Option<i64>, Option<i64>)> {
    let txn = snapshot.txn();
    if snapshot.rows() == 0 {
        return Ok((None, None));
    }
    // The server keeps no smallest timestamp of a table without partitions.
    let first = match (txn.min_timestamp, snapshot.partitions().first()) {
        (None, Some(partition)) => Partition::time_range(partition, snapshot)?.map(|range| range.0),
        (min, _) => min,
    };
    Ok((first, txn.max_timestamp))
}
