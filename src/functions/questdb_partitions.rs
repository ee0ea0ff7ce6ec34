//! `questdb_partitions(path)`: the partitions of a table, as the server's SHOW PARTITIONS lists them.

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::Result;
use questdb_storage::format::meta::PartitionBy;
use questdb_storage::table::{DetachedPartition, Partition};
use questdb_storage::types::ValueType;
use questdb_storage::{Error, Snapshot, Table};

use super::resolve::{self, time_cell};
use crate::duckdb::arguments::Arguments;
use crate::duckdb::host::Host;
use crate::duckdb::listing::{self, Cell, Listing};

/// `parquet_file_size` of a native partition, as the server shows it.
const NATIVE: i64 = -1;

/// The function.
struct QuestdbPartitions;

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    listing::register(host, QuestdbPartitions)
}

impl Listing for QuestdbPartitions {
    type Request = Table;

    const NAME: &'static str = "questdb_partitions";

    const COLUMNS: &'static [(&'static str, ValueType)] = &[
        ("index", ValueType::Int32),
        ("partition_by", ValueType::Text),
        ("name", ValueType::Text),
        ("min_timestamp", ValueType::TimestampNs),
        ("max_timestamp", ValueType::TimestampNs),
        ("num_rows", ValueType::Int64),
        ("disk_size", ValueType::Int64),
        ("read_only", ValueType::Boolean),
        ("active", ValueType::Boolean),
        ("attached", ValueType::Boolean),
        ("detached", ValueType::Boolean),
        ("attachable", ValueType::Boolean),
        ("is_parquet", ValueType::Boolean),
        ("parquet_file_size", ValueType::Int64),
        ("directory", ValueType::Text),
        ("name_txn", ValueType::Int64),
    ];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new()
            .param(resolve::path_parameter())
            .param(resolve::table_name_parameter())
            .documentation(
                FunctionDocumentationBuilder::new()
                    .description(format!(
                        "Lists the partitions of a QuestDB table in order of time, one row each, then the \
                         directories of detached partitions and of those waiting to be attached (their index is \
                         NULL): rows, time range (NULL for tables without partitions, and where it cannot be read, \
                         with a warning in DuckDB's log), size of the files, format, and the directory below the \
                         table's. {}",
                        resolve::PATH_HELP
                    ))
                    .add_example("A table", "FROM questdb_partitions('db/trades~12')")
                    .add_example("By name", "FROM questdb_partitions('db', table_name := 'trades') WHERE is_parquet")
                    .add_category("questdb"),
            )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Table> {
        let path: String = arguments.required("path")?;
        let table_name = resolve::table_name(&mut arguments)?;
        resolve::table(context, &path, table_name.as_deref())
    }

    fn rows(&self, table: &Table) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        self.rows_and_damage(table).map(|(rows, _)| rows)
    }

    fn rows_and_damage(&self, table: &Table) -> questdb_storage::Result<(Vec<Vec<Cell>>, Vec<Error>)> {
        resolve::current(table, |snapshot| {
            let mut damage = Vec::new();
            let mut rows: Vec<_> = snapshot
                .partitions()
                .iter()
                .map(|partition| attached_row(snapshot, partition, &mut damage))
                .collect();
            rows.extend(
                DetachedPartition::list(snapshot)?.iter().map(|partition| detached_row(snapshot, partition)),
            );
            Ok((rows, damage))
        })
    }
}

/// A damaged partition has no times; it must not hide the others.
fn attached_row(snapshot: &Snapshot, partition: &Partition, damage: &mut Vec<Error>) -> Vec<Cell> {
    let (entry, unit) = (&partition.entry, snapshot.time_unit());
    let by = snapshot.meta().partition_by;
    let range = match by {
        PartitionBy::None => None,
        _ => partition.time_range(snapshot).unwrap_or_else(|error| {
            damage.push(error);
            None
        }),
    };
    let active = partition.index.checked_add(1) == Some(snapshot.partitions().len());
    vec![
        partition.index.into(),
        by.name().into(),
        partition.name.as_str().into(),
        time_cell(range.map(|r| r.0), unit),
        time_cell(range.map(|r| r.1), unit),
        partition.rows().into(),
        partition.disk_size(snapshot).into(),
        entry.read_only.into(),
        active.into(),
        true.into(),
        false.into(),
        false.into(),
        entry.parquet.into(),
        entry.parquet_size.map_or(NATIVE.into(), Cell::from),
        partition.directory().into(),
        entry.name_txn.into(),
    ]
}

fn detached_row(snapshot: &Snapshot, partition: &DetachedPartition) -> Vec<Cell> {
    let (entry, unit) = (partition.entry.as_ref(), snapshot.time_unit());
    vec![
        Cell::Null,
        snapshot.meta().partition_by.name().into(),
        partition.directory.as_str().into(),
        time_cell(partition.time_range.map(|r| r.0), unit),
        time_cell(partition.time_range.map(|r| r.1), unit),
        entry.map(|e| e.rows).into(),
        partition.disk_size.into(),
        false.into(),
        false.into(),
        false.into(),
        (!partition.attachable).into(),
        partition.attachable.into(),
        entry.map(|e| e.parquet).into(),
        entry.map_or(Cell::Null, |e| e.parquet_size.map_or(NATIVE.into(), Cell::from)),
        partition.directory.as_str().into(),
        // Detaching takes the name txn off the directory's name.
        Cell::Null,
    ]
}
