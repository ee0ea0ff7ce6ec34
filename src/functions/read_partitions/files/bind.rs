//! Bind: files → declared columns.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use duckdb_neo::connection::Context;
use duckdb_neo::logical_type::LogicalType;
use duckdb_neo::table_function::BindFunctionHandle;
use duckdb_neo::Result;
use questdb_storage::dataset::{ExportFile, FoundFile, ReadOptions, ScanColumn};
use questdb_storage::scan::Filter;
use questdb_storage::source::{Files, LocalFiles};
use questdb_storage::types::ValueType;

use super::columns::{declare, FileColumn};
use super::options::FileArguments;
use crate::duckdb::errors::{binder, to_duckdb};
use crate::duckdb::paths;
use crate::functions::read_partitions::columns::ColumnOptions;

/// A bound scan of files.
pub struct BoundFiles {
    pub fs: Arc<dyn Files>,
    pub files: Arc<Vec<FoundFile>>,
    /// Files that are open already, by position.
    pub opened: Vec<Option<Arc<ExportFile>>>,
    pub columns: Vec<FileColumn>,
    pub scan_columns: Arc<Vec<ScanColumn>>,
    pub reading: ReadOptions,
    /// What the query asked for, in terms of declared columns.
    filter: Mutex<Filter>,
}

/// Binds a scan of the files `found`, in this order.
pub fn bind(
    context: &Context,
    found: Vec<PathBuf>,
    options: ColumnOptions,
    lenient: bool,
    arguments: FileArguments,
    handle: &BindFunctionHandle<'_>,
) -> Result<BoundFiles> {
    if options.enums {
        return Err(binder(
            "symbols := 'enum' needs a table: Parquet files without one keep no list of all symbols",
        ));
    }
    for path in &found {
        paths::ask(context, path)?;
    }
    let files = FoundFile::describe(found);
    let reading = ReadOptions {
        case_insensitive: arguments.case_insensitive_columns || options.union_by_name,
        allow_missing: arguments.allow_missing_columns || options.union_by_name,
        filter_pushdown: arguments.filter_pushdown,
        bloom_filters: arguments.bloom_filter_pushdown,
        local_time_as_utc: arguments.local_time_as_utc,
        block_rows: arguments.max_block_size,
        raw_types: options.raw_types,
        lenient,
    };
    let fs: Arc<dyn Files> = Arc::new(LocalFiles);
    // The first file tells the columns; the others are opened when their turn comes, unless they can add some. A lenient scan
    // takes the first one that can be opened; the scan says what is wrong with those before.
    let mut opened = Vec::with_capacity(files.len());
    let mut failed = None;
    for file in &files {
        if !options.union_by_name && opened.iter().any(Option::is_some) {
            opened.push(None);
            continue;
        }
        let open = ExportFile::open(&file.path, fs.as_ref(), reading.local_time_as_utc);
        match open {
            Ok(open) => opened.push(Some(Arc::new(open))),
            Err(error) if !lenient => return Err(to_duckdb(error)),
            Err(error) => {
                failed.get_or_insert(error);
                opened.push(None);
            }
        }
    }
    if let Some(error) = failed.filter(|_| opened.iter().all(Option::is_none)) {
        return Err(to_duckdb(error));
    }
    let columns = declare(context, &files, &opened, options, reading, arguments.skip_unsupported_columns)?;
    for column in &columns {
        let logical_type = LogicalType::from_text(context, &column.sql(options.raw_types))?;
        handle.add_result_column(&column.name, &logical_type)?;
    }
    let known = opened.iter().flatten().fold(0u64, |sum, file| sum.saturating_add(file.rows()));
    let exact = !lenient && opened.iter().all(Option::is_some);
    let rows = if exact { known } else { known.saturating_mul(files.len() as u64) };
    handle.set_cardinality(usize::try_from(rows).unwrap_or(usize::MAX), exact)?;
    let scan_columns = Arc::new(columns.iter().map(FileColumn::scan_column).collect());
    let filter = Mutex::new(Filter::all());
    Ok(BoundFiles { fs, files: Arc::new(files), opened, columns, scan_columns, reading, filter })
}

impl BoundFiles {
    /// What the query asked for.
    pub fn filter(&self) -> Filter {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what the query asked for.
    pub fn set_filter(&self, filter: Filter) {
        *self.filter.lock().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// The type of constants that a declared column is compared with.
    pub fn filter_type(&self, column: usize) -> Option<ValueType> {
        self.columns.get(column)?.comparable(self.reading.raw_types)
    }
}
