//! `questdb_columns(path)`: the columns of a table, as the server's `table_columns()` shows them.

use duckdb_neo::connection::Context;
use duckdb_neo::signature::{FunctionDocumentationBuilder, SignatureBuilder};
use duckdb_neo::Result;
use questdb_storage::table::Column;
use questdb_storage::types::{ColumnType, ValueType};
use questdb_storage::{Snapshot, Table};

use super::resolve;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::host::Host;
use crate::duckdb::listing::{self, Cell, Listing};

/// The function.
struct QuestdbColumns;

/// Registers the function.
pub fn register(host: &impl Host) -> Result<()> {
    listing::register(host, QuestdbColumns)
}

impl Listing for QuestdbColumns {
    type Request = Table;

    const NAME: &'static str = "questdb_columns";

    const COLUMNS: &'static [(&'static str, ValueType)] = &[
        ("column_name", ValueType::Text),
        ("type", ValueType::Text),
        ("duckdb_type", ValueType::Text),
        ("indexed", ValueType::Boolean),
        ("index_block_capacity", ValueType::Int32),
        ("symbol_cached", ValueType::Boolean),
        ("symbol_capacity", ValueType::Int32),
        ("symbol_table_size", ValueType::Int32),
        ("symbol_count", ValueType::Int32),
        ("designated", ValueType::Boolean),
        ("upsert_key", ValueType::Boolean),
        ("position", ValueType::Int32),
        ("writer_index", ValueType::Int32),
    ];

    fn signature() -> SignatureBuilder {
        SignatureBuilder::new()
            .param(resolve::path_parameter())
            .param(resolve::table_name_parameter())
            .documentation(
                FunctionDocumentationBuilder::new()
                    .description(format!(
                        "Lists the columns of a QuestDB table in their order, one row each: QuestDB's type and the \
                         DuckDB type it is read as (NULL when it cannot be read), index, symbol table, and whether \
                         it is the designated timestamp or part of the deduplication key. symbol_table_size counts \
                         NULL as the server does, symbol_count does not. {}",
                        resolve::PATH_HELP
                    ))
                    .add_example("A table", "FROM questdb_columns('db/trades~12')")
                    .add_example("By name", "FROM questdb_columns('db', table_name := 'trades')")
                    .add_category("questdb"),
            )
    }

    fn bind(&self, context: &Context, mut arguments: Arguments) -> Result<Table> {
        let path: String = arguments.required("path")?;
        let table_name = resolve::table_name(&mut arguments)?;
        resolve::table(context, &path, table_name.as_deref())
    }

    fn rows(&self, table: &Table) -> questdb_storage::Result<Vec<Vec<Cell>>> {
        resolve::current(table, |snapshot| {
            snapshot
                .columns()
                .iter()
                .enumerate()
                .map(|(position, column)| row(snapshot, position, column))
                .collect()
        })
    }
}

fn row(snapshot: &Snapshot, position: usize, column: &Column) -> questdb_storage::Result<Vec<Cell>> {
    let record = &column.record;
    let is_symbol = column.column_type == ColumnType::Symbol;
    let mut table_size = 0;
    if let Some(symbols) = &column.symbols {
        let has_null = symbols
            .null_flag(snapshot.files())
            .map_err(|e| e.in_column(&column.name).in_table(snapshot.name()))?;
        table_size = symbols.count.saturating_add(u32::from(has_null));
    }
    Ok(vec![
        column.name.as_str().into(),
        column.column_type.to_string().into(),
        column.column_type.value_type(false).map(ValueType::sql).into(),
        record.indexed.into(),
        record.index_block_capacity.into(),
        // What other types have in these places is left over.
        (is_symbol && record.symbol_cached).into(),
        (if is_symbol { record.symbol_capacity } else { 0 }).into(),
        integer(table_size),
        column.symbols.as_ref().map_or(Cell::Null, |symbols| integer(symbols.count)),
        column.designated.into(),
        record.dedup_key.into(),
        position.into(),
        column.writer_index.into(),
    ])
}

/// A count as INTEGER; the server's own are below its end.
fn integer(count: u32) -> Cell {
    i32::try_from(count).unwrap_or(i32::MAX).into()
}
