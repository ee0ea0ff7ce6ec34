//! The query's rows → the writer, on a thread of our own.

use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use arrow_array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use duckdb_neo::connection::Connection;
use duckdb_neo::error::Error;
use duckdb_neo::query_progress::QueryProgressTracker;
use duckdb_neo::{Parameters, Result};
use questdb_parquet::options::PartitionUnit;
use questdb_parquet::{Export, ExportResult, RowGroupResult};

use super::bind::{explain, Request};
use crate::duckdb::arrow;
use crate::duckdb::errors::export_error;
use crate::duckdb::listing::Cell;
use crate::functions::questdb_export::paths::open;
use crate::functions::questdb_export::run::{is_conflict, pause};
use crate::jobs::{Job, JobSink, MOST_STARTS};

/// Rows of an array: small enough for 2 GiB of text in it.
const ARRAY_ROWS: usize = 16_384;

/// How often a cancellation is looked for.
const POLL: Duration = Duration::from_millis(50);

/// Takes the rows that describe what was written.
pub type Listener<'a> = &'a mut dyn FnMut(Vec<Vec<Cell>>);

/// Runs the whole export. A server that gets in the way makes it begin again, unless a `listener` has heard of rows.
pub fn run(request: &Request, job: &Arc<Job>, mut listener: Option<Listener<'_>>) -> Result<ExportResult> {
    let mut starts = 0;
    let mut heard = false;
    loop {
        starts += 1;
        let outcome = attempt(request, job, &mut |rows| {
            if let Some(listener) = &mut listener {
                heard = true;
                listener(rows);
            }
        });
        match outcome {
            Err(error) if is_conflict(&error) && !heard && starts < MOST_STARTS && !job.is_cancelled() => {
                job.begin_again(&error);
                pause(starts);
            }
            outcome => return outcome,
        }
    }
}

fn attempt(request: &Request, job: &Arc<Job>, listener: Listener<'_>) -> Result<ExportResult> {
    let connection = request.connection()?;
    let options = &request.options;
    let several = options.rotation.row_groups.is_some()
        || options.rotation.bytes.is_some()
        || options.partition_unit.is_some_and(|unit| unit != PartitionUnit::None);
    let plan = request.plan(job.cancel_token())?;
    let (plan, sink, paths) = open(&request.destination, plan, several)?;
    let sink = Box::new(JobSink::new(sink, job));
    let mut export = Export::to_sink(plan, sink, job.settings().threads).map_err(export_error)?;
    let mut written = |groups: Vec<RowGroupResult>, part: f64| {
        job.record(&groups, part);
        if !groups.is_empty() {
            listener(groups.into_iter().map(|group| paths.cells(group)).collect());
        }
    };
    rows(request, &connection, job, |batch, part| {
        export.write(batch).map_err(export_error)?;
        written(export.take_results(), part);
        Ok(())
    })?;
    export.finish_with(|groups| written(groups, 1.0)).map_err(export_error)
}

/// Gives every batch of the query, and the part of it that is done, to `take`.
fn rows(
    request: &Request,
    connection: &Connection,
    job: &Arc<Job>,
    take: impl FnMut(&RecordBatch, f64) -> Result<()>,
) -> Result<()> {
    let handle = connection.interrupt_handle();
    std::thread::scope(|scope| {
        // Closed when this block is left, by whatever way.
        let (_alive, ended) = channel::<()>();
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(POLL) {
                if job.is_cancelled() {
                    // Again and again: an interrupt before the query has begun has no effect.
                    let _ = handle.interrupt();
                }
            }
        };
        let thread = Builder::new().name("questdb-export-watch".to_owned()).spawn_scoped(scope, watch);
        thread.map_err(|e| Error::invalid_input(format!("cannot start a thread for the export: {e}")))?;
        read(request, connection, job, take)
    })
}

fn read(
    request: &Request,
    connection: &Connection,
    job: &Arc<Job>,
    mut take: impl FnMut(&RecordBatch, f64) -> Result<()>,
) -> Result<()> {
    let progress = QueryProgressTracker::new(connection)?;
    let part = || match progress.snapshot() {
        Ok(Some(progress)) => progress.percentage / 100.0,
        _ => 0.0,
    };
    let statement = request.statement(connection)?;
    let mut result =
        connection.arrow_query(statement, Parameters::None, Some(ARRAY_ROWS)).map_err(explain)?;
    let data_type = arrow::query_type(&result)?;
    while let Some(array) = arrow::next_of_query(&mut result, &data_type).map_err(explain)? {
        if job.is_cancelled() {
            return Err(export_error(questdb_parquet::Error::cancelled()));
        }
        take(&batch(request, connection, &array)?, part())?;
    }
    Ok(())
}

fn batch(request: &Request, connection: &Connection, array: &StructArray) -> Result<RecordBatch> {
    let columns = request.targets.iter().zip(array.columns());
    let columns =
        columns.map(|(target, column)| target.convert(connection, column)).collect::<Result<Vec<_>>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(array.len()));
    RecordBatch::try_new_with_options(Arc::clone(&request.schema), columns, &rows)
        .map_err(|e| Error::internal(format!("cannot build a record batch: {e}")))
}
