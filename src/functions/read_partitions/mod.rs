//! `read_partitions(path, …)`: the rows of table directories, and of exported Parquet files.

mod bind;
mod columns;
mod files;
mod moment;
mod paths;
mod run;
mod scan;
mod snapshots;

use duckdb_neo::signature::{FunctionDocumentationBuilder, FunctionParameter, SignatureBuilder};
use duckdb_neo::table_function::TableFunctionBuilder;
use duckdb_neo::types::Any;
use duckdb_neo::Result;

use crate::duckdb::arguments::named;
use crate::duckdb::host::Host;
use crate::functions::resolve;

/// SQL name.
pub const NAME: &str = "read_partitions";

/// The function; its callbacks are in [`bind`] and [`scan`].
struct ReadPartitions;

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    let builder = TableFunctionBuilder::new(NAME, signature(), ReadPartitions)
        .with_projection_pushdown(true)
        .with_filter_pushdown()
        .with_partitioning()
        .with_progress();
    host.table_function(builder)
}

/// Parameters, in the order in which [`bind`] takes them.
fn signature() -> SignatureBuilder {
    let signature = SignatureBuilder::new()
        .param(FunctionParameter::new::<Any>("path"))
        .param(resolve::table_name_parameter())
        .param(named("symbols", "varchar".to_owned()))
        .param(named("raw_types", false))
        .param(named("filename", false))
        .param(named("file_row_number", false))
        .param(named("partition", false))
        .param(named("union_by_name", false))
        .param(named("snapshot", "auto".to_owned()))
        .param(named("lenient", false));
    files::FileArguments::declare(signature)
        .documentation(
            FunctionDocumentationBuilder::new()
                .description(
                    "Reads QuestDB tables from their directories, the server running or not: the rows that were \
                     committed when the query was bound, in the order of the table. Reads exported Parquet files \
                     without a table around them as well. path: a table directory, a database root (with \
                     table_name), a directory of Parquet files, such a file, a glob pattern, or a list of these. table_name: the table \
                     of a database root, by its current name. symbols: SYMBOL columns as 'varchar' (default) or \
                     'enum'. raw_types: LONG256 as BLOB, IPv4 as UINTEGER, GEOHASH as BIGINT instead of text. \
                     filename: adds the directory of the table, or the file. file_row_number: adds the row's position in the \
                     table or file. partition: adds the partition's name and format ('native' or 'parquet'). \
                     union_by_name: unites the columns of several tables by name, NULL where one lacks a column. snapshot: how the \
                     state stays true while a server writes: 'auto' (default) uses the server's checkpoint when \
                     there is one and 'validate' otherwise; 'validate' checks what was read against later \
                     commits; 'checkpoint' demands a checkpoint; 'none' checks nothing. lenient: reads around damage: NULL \
                     where a file is damaged, and a warning of type QuestDB in DuckDB's log. For Parquet files only: \
                     case_insensitive_columns: matches columns of several files without regard to case. \
                     allow_missing_columns: NULL where a file lacks a column of the first one. \
                     skip_unsupported_columns: leaves out columns whose Parquet type cannot be read. \
                     filter_pushdown: leaves out files, row groups and pages that the filter excludes (default true). \
                     bloom_filter_pushdown: looks constants up in bloom filters (default true). \
                     local_time_as_utc: timestamps without a time zone are of UTC. max_block_size: rows that are \
                     decoded at once (default 16384).",
                )
                .add_example("A table", "FROM read_partitions('db/trades~12') WHERE ts >= '2024-01-03'")
                .add_example("By name", "FROM read_partitions('db', table_name := 'trades')")
                .add_example("Several tables", "FROM read_partitions('db/trades*', union_by_name := true)")
                .add_example("Exported files", "FROM read_partitions('export/trades') WHERE ts >= '2024-01-03'")
                .add_category("questdb"),
        )
}
