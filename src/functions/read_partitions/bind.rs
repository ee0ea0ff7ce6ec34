//! Bind: arguments → snapshots → declared columns.

use std::sync::Mutex;

use duckdb_neo::bind_arguments::BindArgument;
use duckdb_neo::connection::Context;
use duckdb_neo::table_function::BindFunctionHandle;
use duckdb_neo::Result;
use questdb_storage::scan::Filter;
use questdb_storage::{Snapshot, Table};

use super::columns::{declare, ColumnOptions, OutputColumn};
use super::{paths, NAME};
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, test_panic, to_duckdb};

/// A bound scan: all of its executions and threads see the same snapshots.
pub struct BindData {
    /// One state per table.
    pub tables: Vec<Snapshot>,
    /// Declared columns.
    pub columns: Vec<OutputColumn>,
    /// Numbers and bytes instead of text forms.
    pub raw_types: bool,
    /// What the query asked for, in terms of declared columns. Set by the optimizer between bind and init.
    pub filter: Mutex<Filter>,
}

pub fn bind(
    context: &Context,
    arguments: Vec<BindArgument>,
    handle: &BindFunctionHandle<'_>,
) -> Result<BindData> {
    test_panic("bind");
    let mut arguments = Arguments::new(NAME, arguments);
    let path = arguments.next("path")?.ok_or_else(|| arguments.null("path"))?;
    // The default, the empty text, stands for "not given"; NULL is refused like everywhere else.
    let table_name = Some(arguments.required::<String>("table_name")?).filter(|name| !name.is_empty());
    let enums = symbols_as_enums(&arguments.required::<String>("symbols")?)?;
    let raw_types = arguments.switch("raw_types")?;
    let options = ColumnOptions {
        enums,
        raw_types,
        filename: arguments.switch("filename")?,
        file_row_number: arguments.switch("file_row_number")?,
        partition: arguments.switch("partition")?,
        union_by_name: arguments.switch("union_by_name")?,
    };
    let tables = paths::tables(context, &arguments, &path, table_name.as_deref())?;
    let tables: Vec<Snapshot> =
        tables.iter().map(Table::snapshot).collect::<questdb_storage::Result<_>>().map_err(to_duckdb)?;
    let columns = declare(&tables, options)?;
    for column in &columns {
        handle.add_result_column(&column.name, &column.logical_type(context)?)?;
    }
    let rows = tables.iter().fold(0u64, |sum, t| sum.saturating_add(t.rows()));
    handle.set_cardinality(usize::try_from(rows).unwrap_or(usize::MAX), true)?;
    Ok(BindData { tables, columns, raw_types, filter: Mutex::new(Filter::all()) })
}

fn symbols_as_enums(value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "varchar" => Ok(false),
        "enum" => Ok(true),
        _ => Err(binder(format!(
            "Expected \"symbols\" argument to be any of [varchar or enum], found \"{value}\""
        ))),
    }
}
