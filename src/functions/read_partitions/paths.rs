//! Which tables a `path` argument names.

use std::path::Path;

use duckdb_neo::connection::Context;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::value::Value;
use duckdb_neo::Result;
use questdb_storage::source::LocalFiles;
use questdb_storage::Table;

use super::snapshots;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, to_duckdb};
use crate::duckdb::paths;
use crate::functions::resolve;

/// The tables of a path or a list of paths, in the order given; matches of a pattern in order of their names.
pub fn tables(
    context: &Context,
    arguments: &Arguments,
    path: &Value,
    table_name: Option<&str>,
) -> Result<Vec<Table>> {
    let mut tables = Vec::new();
    for path in texts(arguments, path)? {
        tables.extend(of_path(context, &path, table_name)?);
    }
    Ok(tables)
}

fn texts(arguments: &Arguments, path: &Value) -> Result<Vec<String>> {
    let not_text = || binder("Argument \"path\" of read_partitions must be a VARCHAR or a list of VARCHAR");
    let type_text = path.logical_type()?.to_text()?;
    if type_text == "VARCHAR" {
        return Ok(vec![path.get::<String>()?.ok_or_else(|| arguments.null("path"))?]);
    }
    if !type_text.ends_with("[]") || (type_text != "VARCHAR[]" && path.child_count()? > 0) {
        return Err(not_text());
    }
    let paths: Vec<String> = path
        .children()?
        .iter()
        .map(|child| child.get::<String>()?.ok_or_else(|| arguments.null("path")))
        .collect::<Result<_>>()?;
    if paths.is_empty() {
        return Err(binder("Argument \"path\" of read_partitions is an empty list: give at least one path"));
    }
    Ok(paths)
}

fn of_path(context: &Context, path: &str, table_name: Option<&str>) -> Result<Vec<Table>> {
    let expanded = paths::expand(context, path)?;
    let one = |dir: &Path| match table_name {
        Some(name) => snapshots::named(context, dir, name),
        None => resolve::table(context, &dir.to_string_lossy(), None),
    };
    if !path.contains(['*', '?', '[']) {
        return Ok(vec![one(&expanded)?]);
    }
    // Without permission, not even whether something matches may show.
    paths::check_access(context, &paths::pattern_root(&expanded))?;
    // A directory may have a name that looks like a pattern, so what exists comes first.
    if expanded.exists() {
        return Ok(vec![one(&expanded)?]);
    }
    let pattern = expanded.to_string_lossy().into_owned();
    let matches = glob::glob(&pattern).map_err(|e| {
        Error::invalid_input(format!("Pattern \"{path}\" is malformed at position {}: {}", e.pos, e.msg))
    })?;
    let mut tables = Vec::new();
    for dir in matches.flatten().filter(|dir| dir.is_dir()) {
        paths::check_access(context, &dir)?;
        match table_name {
            Some(_) => tables.push(one(&dir)?),
            None if is_table(&dir) => tables.push(Table::open(&dir).map_err(to_duckdb)?),
            // Other directories match as well: logs, views, partitions.
            None => {}
        }
    }
    if tables.is_empty() {
        return Err(Error {
            code: DuckDBError::IoGeneral,
            message: format!("No table directories found that match the pattern \"{path}\""),
        });
    }
    Ok(tables)
}

fn is_table(dir: &Path) -> bool {
    Table::is_table(dir, &LocalFiles) && !dir.join("_view").exists()
}
