//! The columns that a scan of files declares.

use std::sync::Arc;

use duckdb_neo::connection::Context;
use duckdb_neo::error::Error;
use duckdb_neo::Result;
use questdb_storage::dataset::{ColumnKind, DataColumn, ExportFile, FoundFile, ReadOptions, ScanColumn};
use questdb_storage::types::{ColumnType, ValueType};

use super::keys::KeyColumn;
use crate::duckdb::errors::{binder, to_duckdb};
use crate::functions::read_partitions::columns::ColumnOptions;

/// What a declared column holds.
#[derive(Debug, Clone)]
pub enum FileContent {
    /// Values of the files.
    Data(DataColumn),
    /// A key of the directories.
    Key(KeyColumn),
    /// The file's path.
    Filename,
    /// The row's position in its file.
    RowNumber,
    /// The partition's name.
    PartitionName,
    /// Always `parquet`.
    PartitionFormat,
}

/// A declared column.
#[derive(Debug, Clone)]
pub struct FileColumn {
    pub name: String,
    pub content: FileContent,
}

impl FileColumn {
    /// The DuckDB type.
    pub fn sql(&self, raw: bool) -> String {
        match &self.content {
            FileContent::Data(column) => column.kind.sql(raw),
            FileContent::Key(key) => key.key_type.sql().to_owned(),
            FileContent::RowNumber => "BIGINT".to_owned(),
            _ => "VARCHAR".to_owned(),
        }
    }

    /// The type of constants that it is compared with.
    pub fn comparable(&self, raw: bool) -> Option<ValueType> {
        match &self.content {
            FileContent::Data(column) => column.kind.comparable(raw),
            FileContent::Key(key) => Some(key.key_type.comparable()),
            _ => None,
        }
    }

    /// What the scan has to know about it.
    pub fn scan_column(&self) -> ScanColumn {
        match &self.content {
            FileContent::Data(column) => ScanColumn::Data(column.clone()),
            FileContent::Key(key) => ScanColumn::Key(key.values.clone()),
            _ => ScanColumn::Other,
        }
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// The columns of `files`. Those of the `opened` ones are looked at: the first file, or all of them.
pub fn declare(
    context: &Context,
    files: &[FoundFile],
    opened: &[Option<Arc<ExportFile>>],
    options: ColumnOptions,
    reading: ReadOptions,
    skip_unsupported: bool,
) -> Result<Vec<FileColumn>> {
    let mut columns: Vec<FileColumn> = Vec::new();
    for file in opened.iter().flatten() {
        for column in file.columns() {
            if columns.iter().any(|known| same_name(&known.name, &column.name))
                || (skip_unsupported && refused(&column.kind))
            {
                continue;
            }
            let data = DataColumn {
                name: column.name.clone(),
                kind: column.kind.clone(),
                origin: file.path().to_owned(),
            };
            columns.push(FileColumn { name: column.name.clone(), content: FileContent::Data(data) });
        }
    }
    for file in opened.iter().flatten() {
        for column in &columns {
            if let FileContent::Data(column) = &column.content {
                column.position(file, reading).map_err(to_duckdb)?;
            }
        }
    }
    let quest = opened
        .iter()
        .flatten()
        .flat_map(|file| file.columns())
        .any(|c| matches!(c.kind, ColumnKind::Quest(_)));
    for name in keys(files, reading.allow_missing)? {
        let key = || Ok::<_, Error>(FileContent::Key(KeyColumn::new(context, files, &name)?));
        match columns.iter_mut().find(|column| same_name(&column.name, &name)) {
            // A table keeps its columns; otherwise the directory counts, as for read_parquet.
            Some(_) if quest => {}
            Some(column) => column.content = key()?,
            None => columns.push(FileColumn { name: name.clone(), content: key()? }),
        }
    }
    let extra = [
        (options.filename, "filename", FileContent::Filename),
        (options.file_row_number, "file_row_number", FileContent::RowNumber),
        (options.partition, "partition", FileContent::PartitionName),
        (options.partition, "partition_format", FileContent::PartitionFormat),
    ];
    for (_, name, content) in extra.into_iter().filter(|(wanted, ..)| *wanted) {
        if columns.iter().any(|column| same_name(&column.name, name)) {
            return Err(binder(format!(
                "The files have a column \"{name}\" of their own: the column of that name cannot be added"
            )));
        }
        columns.push(FileColumn { name: name.to_owned(), content });
    }
    if columns.is_empty() {
        return Err(binder("The files have no column that can be read"));
    }
    Ok(columns)
}

fn refused(kind: &ColumnKind) -> bool {
    matches!(kind, ColumnKind::Refused(_) | ColumnKind::Quest(ColumnType::Unknown(_)))
}

/// The keys of the directories, which all files must share.
fn keys(files: &[FoundFile], allow_missing: bool) -> Result<Vec<String>> {
    let mut names: Vec<&str> = Vec::new();
    let has = |file: &FoundFile, name: &str| file.keys.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    for file in files {
        for (key, _) in &file.keys {
            if !names.iter().any(|name| name.eq_ignore_ascii_case(key)) {
                names.push(key);
            }
        }
    }
    for name in names.iter().filter(|_| !allow_missing) {
        let with = files.iter().find(|file| has(file, name));
        let without = files.iter().find(|file| !has(file, name));
        if let (Some(with), Some(without)) = (with, without) {
            return Err(binder(format!(
                "The path of \"{}\" has a key \"{name}\", and that of \"{}\" has none: set allow_missing_columns := true \
                 to read NULL there",
                with.path.display(),
                without.path.display()
            )));
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}
