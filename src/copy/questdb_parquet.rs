//! `COPY … TO … (FORMAT questdb_parquet, …)`, and what it shares with `FORMAT questdb_jsonl`.
//!
//! The API calls a format on one thread for a single file, so its callbacks only convert rows to Arrow and hand them
//! over; the writer's own threads encode. Options of DuckDB's engine (PARTITION_BY, PER_THREAD_OUTPUT, …) never arrive
//! here: each of their files is an export of its own.
//!
//! ROW_GROUP_SIZE is such an option too, and DuckDB does not say its value, only that there was one: it does not ask for a
//! batch size then. A batch, which has that many rows rounded up to a multiple of 2048, is a row group in that case, as in
//! DuckDB's own Parquet files. `row_group_rows` is exact.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use duckdb_neo::column_data_collection::ColumnDataCollection;
use duckdb_neo::connection::Context;
use duckdb_neo::copy_function::{
    CopyFunctionBuilder, CopyToBindInfo, CopyToFunctionCallbacks, CopyToStatistics, CopyToStatisticsCallbacks,
};
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::{extension::Extension, Result};
use questdb_parquet::options::{find, Context as OptionsOf, Existing, Format, Mode, PartitionUnit};
use questdb_parquet::sink;
use questdb_parquet::{Export, ExportResult, Options, Plan};

use super::json_types::JsonSession;
use super::types::Target;
use crate::duckdb::errors::{export_error, guard};
use crate::duckdb::options::option_value;
use crate::duckdb::vectors::CHUNK_ROWS;
use crate::duckdb::{arrow, log, paths, session};

/// Rows of an array, at most.
const ARRAY_ROWS: usize = 16_384;

/// Rows that DuckDB collects before they are handed over, at most.
const BATCH_ROWS: usize = 61_440;

/// Bytes of these rows, as far as their types say.
const BATCH_BYTES: usize = 64 << 20;

/// Bytes of a batch above which it is not converted as a whole, but array by array as the writer takes it.
const WIDE_BATCH: usize = 256 << 20;

/// Bytes of an array above which it is converted in pieces.
const PIECE_BYTES: usize = 256 << 20;

/// A format of COPY.
pub struct CopyTo {
    /// Its name.
    pub name: &'static str,
    /// What it writes.
    pub format: Format,
}

/// Registers the format.
pub fn register(extension: &Extension) -> Result<()> {
    CopyFunctionBuilder::new("questdb_parquet", CopyTo { name: "questdb_parquet", format: Format::Parquet })
        .with_fallback_extension("parquet")
        .with_statistics()
        .register(extension)
}

/// A checked request.
pub struct BindData {
    targets: Vec<Target>,
    schema: SchemaRef,
    destination: PathBuf,
    options: Options,
    /// The size of row groups was said in our own words.
    sized: bool,
    /// DuckDB asked for a batch size, so the statement has none.
    asked: AtomicBool,
}

impl BindData {
    /// An array of DuckDB's as batches of the export's schema.
    fn batches(&self, context: &Context, array: &StructArray) -> Result<Vec<RecordBatch>> {
        let pieces = array.get_array_memory_size().div_ceil(PIECE_BYTES).clamp(1, array.len().max(1));
        let rows = array.len().div_ceil(pieces).max(1);
        let starts = (0..array.len()).step_by(rows);
        let pieces = starts.map(|start| array.slice(start, rows.min(array.len() - start)));
        pieces.map(|piece| self.batch(context, &piece)).collect()
    }

    fn batch(&self, context: &Context, array: &StructArray) -> Result<RecordBatch> {
        let columns = self.targets.iter().zip(array.columns());
        let columns = columns.map(|(target, column)| target.convert(context, column));
        let rows = RecordBatchOptions::new().with_row_count(Some(array.len()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &rows)
            .map_err(|e| Error::internal(format!("cannot build a record batch: {e}")))
    }

    fn names(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// Each batch is a row group.
    fn batches_are_row_groups(&self) -> bool {
        !self.sized && !self.asked.load(Ordering::Acquire)
    }
}

/// One file, or one directory of files.
pub struct InitData {
    export: Mutex<Option<Export>>,
    result: Mutex<Option<ExportResult>>,
}

impl CopyToFunctionCallbacks for CopyTo {
    type InitData = InitData;
    type BindData = BindData;
    /// A converted batch; `None` for a wide one, which is converted when it is written.
    type BatchData = Mutex<Option<Vec<RecordBatch>>>;

    fn bind(&self, context: &Context, info: &CopyToBindInfo) -> Result<Self::BindData> {
        guard(|| bind(self, context, info))
    }

    fn init(&self, context: &Context, bound: &Self::BindData, file_path: &str) -> Result<Self::InitData> {
        guard(|| {
            let path = destination(context, file_path, &bound.options)?;
            if bound.options.storage.is_some() && path != bound.destination {
                return Err(not_one_destination(&path, &bound.destination));
            }
            let threads = session::threads(context)?;
            let schema = Arc::clone(&bound.schema);
            let cancel = Arc::new(AtomicBool::new(false));
            let mut options = bound.options.clone();
            if bound.batches_are_row_groups() {
                options.row_group.rows = None;
            }
            let export = Export::create(path, schema, &[], options, threads, cancel);
            let export = Mutex::new(Some(export.map_err(export_error)?));
            Ok(InitData { export, result: Mutex::new(None) })
        })
    }

    fn batch(
        &self,
        context: &Context,
        bound: &Self::BindData,
        _init: &Self::InitData,
        input: &ColumnDataCollection<'_>,
    ) -> Result<Self::BatchData> {
        guard(|| {
            let (mut batches, mut bytes) = (Some(Vec::new()), 0);
            arrow::export(context, &bound.names(), input, ARRAY_ROWS, |array| {
                bytes += array.get_array_memory_size();
                if bytes > WIDE_BATCH {
                    batches = None;
                    return Ok(ControlFlow::Break(()));
                }
                if let Some(batches) = &mut batches {
                    batches.extend(bound.batches(context, &array)?);
                }
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(Mutex::new(batches))
        })
    }

    fn batch_size(&self, _context: &Context, bound: &Self::BindData) -> Result<Option<NonZeroUsize>> {
        bound.asked.store(true, Ordering::Release);
        let width = |field: &FieldRef| field.data_type().primitive_width().unwrap_or(16);
        let row: usize = bound.schema.fields().iter().map(width).sum();
        Ok(NonZeroUsize::new((BATCH_BYTES / row.max(1)).clamp(CHUNK_ROWS, BATCH_ROWS)))
    }

    fn flush(
        &self,
        context: &Context,
        bound: &Self::BindData,
        init: &Self::InitData,
        input: &ColumnDataCollection<'_>,
        batch_data: &mut Self::BatchData,
    ) -> Result<()> {
        guard(|| {
            let batches = std::mem::take(batch_data.get_mut().unwrap_or_else(PoisonError::into_inner));
            let mut export = init.export.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(writer) = export.as_mut() else {
                return Err(Error::internal("rows arrived after the end of the file"));
            };
            let mut write = |batch: &RecordBatch| writer.write(batch).map_err(export_error);
            let written = match batches {
                Some(batches) => batches.iter().try_for_each(write),
                None => arrow::export(context, &bound.names(), input, ARRAY_ROWS, |array| {
                    bound.batches(context, &array)?.iter().try_for_each(&mut write)?;
                    Ok(ControlFlow::Continue(()))
                }),
            };
            let written = match bound.batches_are_row_groups() {
                true => written.and_then(|()| writer.end_row_groups().map_err(export_error)),
                false => written,
            };
            if written.is_err() {
                // Nothing stays behind while DuckDB unwinds the query.
                *export = None;
            }
            written
        })
    }

    fn finalize(&self, _context: &Context, _bound: &Self::BindData, init: &Self::InitData) -> Result<()> {
        guard(|| {
            let export = init.export.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(export) = export else { return Ok(()) };
            let result = export.finish().map_err(export_error)?;
            *init.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            Ok(())
        })
    }
}

impl CopyToStatisticsCallbacks for CopyTo {
    fn statistics(
        &self,
        _context: &Context,
        _bound: &Self::BindData,
        init: &Self::InitData,
    ) -> Result<CopyToStatistics> {
        let result = init.result.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |value: fn(&ExportResult) -> u64| result.as_ref().map(|result| value(result) as usize);
        Ok(CopyToStatistics { file_size: size(|r| r.bytes), row_count: size(|r| r.rows) })
    }
}

fn bind(copy: &CopyTo, context: &Context, info: &CopyToBindInfo) -> Result<BindData> {
    let mut given = Vec::new();
    let json = match copy.format {
        Format::Parquet => None,
        Format::Jsonl => {
            given.push(("format".to_owned(), "jsonl".into()));
            Some(JsonSession::of(context)?)
        }
    };
    for index in 0..info.option_count()? {
        let (name, value) = info.get_option(index)?;
        given.push((name.to_owned(), option_value(context, name, &value)?));
    }
    let is_size = |name: &str| {
        let name = find(name, OptionsOf::Copy).map(|spec| spec.name);
        matches!(name, Some("row_group_size" | "row_group_size_bytes" | "mode"))
    };
    let sized = given.iter().any(|(name, _)| is_size(name));
    let mut options = Options::parse(given, OptionsOf::Copy).map_err(export_error)?;
    log::warn(context, &options.notices)?;
    let mut targets = Vec::new();
    let mut fields = Vec::new();
    for index in 0..info.column_count()? {
        let (name, logical_type) = info.get_column(index)?;
        let target = Target::new(&logical_type, json.as_ref()).map_err(|type_text| Error {
            code: DuckDBError::QueryNotImplemented,
            message: format!(
                "Column \"{name}\" has type {type_text}, which format {} cannot write\nCast it to VARCHAR, or leave it \
                 out.",
                copy.name
            ),
        })?;
        fields.push(target.field(name, true));
        targets.push(target);
    }
    let schema = Arc::new(Schema::new(fields));
    options.exact_path = true;
    let path = destination(context, &info.file_path()?, &options)?;
    options.compress_by_name(&path);
    if has_several_files(&options) {
        sink::check(&path, &options).map_err(export_error)?;
    } else {
        // As COPY does with its other formats.
        options.existing = Existing::OverwriteOrIgnore;
        sink::check(&path, &options).map_err(export_error)?;
    }
    // Whatever is wrong with the options for these columns, it is said before anything is written.
    let cancel = Arc::new(AtomicBool::new(false));
    Plan::new(Arc::clone(&schema), &[], options.clone(), cancel).map_err(export_error)?;
    Ok(BindData { targets, schema, destination: path, options, sized, asked: AtomicBool::new(false) })
}

/// DuckDB's engine makes up names of its own, for several files or beside a local one.
fn not_one_destination(path: &Path, destination: &Path) -> Error {
    Error {
        code: DuckDBError::QueryNotImplemented,
        message: format!(
            "DuckDB asks for the file \"{}\", but with the option storage everything goes to \"{}\"\nUse partition_unit or \
             max_row_groups_per_file instead of PARTITION_BY, PER_THREAD_OUTPUT and FILE_SIZE_BYTES, and a name that no \
             local file has.",
            path.display(),
            destination.display()
        ),
    }
}

/// The destination: a local path, or a place in a bucket.
fn destination(context: &Context, path: &str, options: &Options) -> Result<PathBuf> {
    if options.storage.is_some() {
        paths::ask_network(context, path)?;
        return Ok(PathBuf::from(path));
    }
    paths::refuse_remote(context, path)?;
    let path = paths::expand(context, path)?;
    paths::ask(context, &path)?;
    Ok(path)
}

/// Whether the destination can become a directory.
fn has_several_files(options: &Options) -> bool {
    options.partition_unit.is_some_and(|unit| unit != PartitionUnit::None)
        || options.rotation.row_groups.is_some()
        || options.rotation.bytes.is_some()
        || options.mode == Some(Mode::MultiFile)
        || options.layout.is_some()
}
