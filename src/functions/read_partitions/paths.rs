//! Which tables, or Parquet files, a `path` argument names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use duckdb_neo::connection::Context;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::value::Value;
use duckdb_neo::Result;
use questdb_storage::source::{Access, FileKind, Files, LocalFiles};
use questdb_storage::{dataset, Table};

use super::snapshots;
use crate::duckdb::arguments::Arguments;
use crate::duckdb::errors::{binder, to_duckdb};
use crate::duckdb::paths;
use crate::functions::resolve;

/// What a path, or a list of paths, names.
pub enum Found {
    /// Tables.
    Tables(Vec<Table>),
    /// Parquet files without a table around them.
    Files(Vec<PathBuf>),
}

/// What a path or a list of paths names, in the order given; matches of a pattern in order of their names.
pub fn find(
    context: &Context,
    arguments: &Arguments,
    path: &Value,
    table_name: Option<&str>,
) -> Result<Found> {
    let (mut tables, mut files) = (Vec::new(), Vec::new());
    for path in texts(arguments, path)? {
        match of_path(context, &path, table_name)? {
            Found::Tables(found) => tables.extend(found),
            Found::Files(found) => files.extend(found),
        }
    }
    match (tables.first(), files.first()) {
        (Some(table), Some(file)) => Err(binder(format!(
            "Argument \"path\" of read_partitions names a table (\"{}\") and a Parquet file without one (\"{}\"): \
             read them apart and unite them with UNION ALL BY NAME",
            table.dir().display(),
            file.display()
        ))),
        (None, Some(_)) => Ok(Found::Files(files)),
        _ => Ok(Found::Tables(tables)),
    }
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

fn of_path(context: &Context, path: &str, table_name: Option<&str>) -> Result<Found> {
    let expanded = paths::expand(context, path)?;
    let one = |dir: &Path| {
        let table = match table_name {
            Some(name) => snapshots::named(context, dir, name),
            None => resolve::table(context, &dir.to_string_lossy(), None),
        };
        table.map_err(|error| {
            match table_name.is_none() && error.code == DuckDBError::InputInvalid && dir.is_dir() {
                true => {
                    Error { message: format!("{} It holds no Parquet files either.", error.message), ..error }
                }
                false => error,
            }
        })
    };
    let files_or_table = |dir: &Path| {
        let files = if table_name.is_none() { parquet_files(context, dir)? } else { None };
        files.map_or_else(|| Ok(Found::Tables(vec![one(dir)?])), |files| Ok(Found::Files(files)))
    };
    if !path.contains(['*', '?', '[']) {
        return files_or_table(&expanded);
    }
    // Without permission, not even whether something matches may show.
    paths::check_access(context, &paths::pattern_root(&expanded))?;
    // A directory may have a name that looks like a pattern, so what exists comes first.
    if expanded.exists() {
        return files_or_table(&expanded);
    }
    let pattern = expanded.to_string_lossy().into_owned();
    let matches = glob::glob(&pattern).map_err(|e| {
        Error::invalid_input(format!("Pattern \"{path}\" is malformed at position {}: {}", e.pos, e.msg))
    })?;
    let matches: Vec<PathBuf> = matches.flatten().collect();
    let mut tables = Vec::new();
    for dir in matches.iter().filter(|dir| dir.is_dir()) {
        paths::check_access(context, dir)?;
        match table_name {
            Some(_) => tables.push(one(dir)?),
            None if is_table(dir) => tables.push(Table::open(dir).map_err(to_duckdb)?),
            // Other directories match as well: logs, views, partitions.
            None => {}
        }
    }
    if !tables.is_empty() {
        return Ok(Found::Tables(tables));
    }
    let files = if table_name.is_none() { matching_files(context, &matches)? } else { Vec::new() };
    if files.is_empty() {
        return Err(Error {
            code: DuckDBError::IoGeneral,
            message: format!(
                "No table directories found that match the pattern \"{path}\", and no Parquet files either"
            ),
        });
    }
    Ok(Found::Files(files))
}

/// The Parquet files among `matches`; when there are none, those in the directories among them.
fn matching_files(context: &Context, matches: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let is_parquet = |path: &&PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(dataset::is_parquet_name)
            && path.is_file()
    };
    let mut files: Vec<PathBuf> = matches.iter().filter(is_parquet).cloned().collect();
    if files.is_empty() {
        for dir in matches.iter().filter(|path| path.is_dir()) {
            files.extend(parquet_files(context, dir)?.unwrap_or_default());
        }
        let mut seen = HashSet::new();
        files.retain(|file| seen.insert(file.clone()));
    }
    Ok(dataset::sorted(files))
}

/// The Parquet files that `path` is or holds; `None` when it is something else, or may not be touched.
fn parquet_files(context: &Context, path: &Path) -> Result<Option<Vec<PathBuf>>> {
    if paths::ask(context, path).is_err() && paths::check_access(context, path).is_err() {
        return Ok(None);
    }
    match LocalFiles.kind(path) {
        Ok(Some(FileKind::File(_))) if is_parquet_file(path) => Ok(Some(vec![path.to_owned()])),
        Ok(Some(FileKind::Directory))
            if !Table::is_table(path, &LocalFiles) && !path.join("_txn").exists() =>
        {
            match dataset::is_dataset(path, &LocalFiles) {
                true => dataset::files_of(path, &LocalFiles).map(Some).map_err(to_duckdb),
                false => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// By its name, or by how it begins.
fn is_parquet_file(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(dataset::is_parquet_name);
    let begins = || {
        let mut magic = [0; 4];
        let source = LocalFiles.open(path, Access::Record).ok()?;
        source.read_into(0, &mut magic).ok().map(|()| &magic == b"PAR1")
    };
    named || begins() == Some(true)
}

fn is_table(dir: &Path) -> bool {
    Table::is_table(dir, &LocalFiles) && !dir.join("_view").exists()
}
