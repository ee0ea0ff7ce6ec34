//! An export in progress, on any threads: DuckDB's, or those of a job.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, RecordBatch};
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_parquet::encode::copied::{self, Source};
use questdb_parquet::layout::Partition;
use questdb_parquet::options::{Format, PartitionUnit};
use questdb_parquet::raw_size::array_bytes;
use questdb_parquet::{
    EncodedRowGroup, Export, ExportResult, OrderedWriter, Plan, RowGroupEncoder, RowGroupResult,
};
use questdb_storage::parquet::RawChunk;
use questdb_storage::scan::{Projected, Reader, ScanPlan, Scanner};

use super::bind::Request;
use super::columns::Columns;
use super::partitions::{are_several, groups, restrict};
use super::paths::{open, Paths};
use crate::duckdb::errors::{export_error, to_duckdb};
use crate::duckdb::listing::Cell;
use crate::duckdb::vectors::CHUNK_ROWS;
use crate::jobs::{Job, JobSink, MOST_STARTS};

/// Rows that are decoded at once, at most.
const BATCH_ROWS: usize = 32_768;

/// Rows that are decoded first, when their width is not known.
const FIRST_ROWS: usize = 16;

/// How many times as many rows may be decoded next as before.
const GROWTH: usize = 16;

/// Bytes that are decoded at once, by the width of the rows before.
const BATCH_BYTES: u64 = 16 << 20;

/// What one thread keeps.
pub struct LocalState {
    reader: Reader,
    /// Rows to decode next.
    rows: usize,
    /// When [`Pulse`] was asked.
    asked: Instant,
}

/// Says, by an error, that nobody waits for the export any more. Asked now and then between row groups and inside.
pub type Pulse<'a> = &'a dyn Fn() -> Result<()>;

/// How often [`Pulse`] is asked.
const PULSE: Duration = Duration::from_millis(100);

impl LocalState {
    fn ask(&mut self, pulse: Pulse<'_>) -> Result<()> {
        if self.asked.elapsed() >= PULSE {
            self.asked = Instant::now();
            pulse()?;
        }
        Ok(())
    }

    /// Learns from `batch` how wide rows are.
    fn learn(&mut self, batch: &RecordBatch) {
        let bytes: u64 = batch.columns().iter().map(array_bytes).sum();
        let rows = BATCH_BYTES.saturating_mul(batch.num_rows() as u64) / bytes.max(1);
        let most = BATCH_ROWS.min(self.rows.saturating_mul(GROWTH)).max(1);
        self.rows = usize::try_from(rows).unwrap_or(most).clamp(1, most);
    }
}

/// What all threads share. Dropped before the end, it leaves nothing behind.
pub struct Run {
    job: Arc<Job>,
    columns: Columns,
    dictionaries: Vec<Option<ArrayRef>>,
    scanner: Arc<Scanner>,
    threads: usize,
    paths: Paths,
    work: Work,
    state: Mutex<State>,
    finished: AtomicBool,
}

/// How row groups are made.
enum Work {
    /// Each thread claims a row group, whose rows are known beforehand.
    Planned { plan: Plan, writer: Box<OrderedWriter>, partitions: Vec<Partition> },
    /// One thread reads, and the writer's threads encode: where a row group ends depends on what was encoded before.
    Streamed(Mutex<Option<Export>>),
}

#[derive(Default)]
struct State {
    /// Row groups that were written and not returned yet.
    ready: VecDeque<RowGroupResult>,
    /// Threads that hold a row group.
    active: usize,
    /// There are no more rows.
    exhausted: bool,
    /// The first failure; those of other threads are its consequences.
    failure: Option<Error>,
    /// The published files.
    result: Option<ExportResult>,
}

impl Run {
    /// Plans the export of `job` and makes its staging directory. A server that gets in the way meanwhile makes it begin
    /// again.
    pub fn new(request: &Request, threads: usize, job: &Arc<Job>) -> Result<Self> {
        let mut starts = 0;
        loop {
            starts += 1;
            match Self::start(request, threads, job) {
                Err(error) if is_conflict(&error) && starts < MOST_STARTS => pause(starts),
                outcome => return outcome,
            }
        }
    }

    fn start(bound: &Request, threads: usize, job: &Arc<Job>) -> Result<Self> {
        let (snapshot, columns) = bound.snapshot()?;
        let dictionaries = columns.dictionaries(&snapshot)?;
        let projected: Vec<Projected> =
            columns.list.iter().map(|column| Projected::Column(column.index)).collect();
        let plan = bound.plan(&columns, job.cancel_token())?;
        let options = &bound.options;
        let rotates = options.rotation.row_groups.is_some() || options.rotation.bytes.is_some();
        let rows = options.row_group.rows.filter(|_| bound.is_planned());
        // JSON has the text forms of types, Parquet their bits.
        let raw = options.format == Format::Parquet;
        let mut base = ScanPlan::with(&snapshot, projected, bound.filter.clone(), raw);
        if let Some(names) = &bound.partitions {
            restrict(&mut base, names)?;
        }
        let (scanner, partitions, several) = match rows {
            Some(rows) => {
                let groups = groups(&snapshot, base, bound.unit);
                let several = rotates || are_several(&groups)?;
                let partitions: Vec<Partition> = groups.iter().map(|group| group.partition).collect();
                let plans = groups.into_iter().map(|group| group.plan).collect();
                (Scanner::exact(plans, rows), partitions, several)
            }
            None => {
                let several = rotates || bound.unit != PartitionUnit::None;
                (Scanner::exact(vec![base], u64::MAX), Vec::new(), several)
            }
        };
        let scanner = scanner.map_err(to_duckdb)?;
        let (plan, sink, paths) = open(&bound.destination, plan, several)?;
        let parallel = scanner.parallelism().min(threads.max(1));
        let sink = Box::new(JobSink::new(sink, job));
        let (work, threads) = match rows {
            Some(_) => {
                // Pages of a row group that do not fit in memory wait on the disk of the destination.
                let plan = plan.with_scratch(sink.as_ref());
                let writer = Box::new(OrderedWriter::new(&plan, sink, bound.unit, 2 * threads));
                (Work::Planned { plan, writer, partitions }, parallel)
            }
            None => {
                let export = Export::to_sink(plan, sink, threads).map_err(export_error)?;
                (Work::Streamed(Mutex::new(Some(export))), 1)
            }
        };
        Ok(Self {
            job: Arc::clone(job),
            columns,
            dictionaries,
            scanner,
            threads,
            paths,
            work,
            state: Mutex::default(),
            finished: AtomicBool::new(false),
        })
    }

    /// Threads that can work at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// From 0 to 1.
    pub fn progress(&self) -> f64 {
        self.scanner.progress()
    }

    /// The state of one thread.
    pub fn local(&self) -> LocalState {
        LocalState { reader: Reader::new(&self.scanner), rows: FIRST_ROWS, asked: Instant::now() }
    }

    /// The next row groups that were written; none at the end.
    pub fn next(&self, local: &mut LocalState, pulse: Pulse<'_>) -> Result<Vec<RowGroupResult>> {
        loop {
            let rows = self.take_ready();
            if !rows.is_empty() {
                return Ok(rows);
            }
            let more = match &self.work {
                Work::Planned { plan, writer, partitions } => {
                    self.encode_next(local, plan, writer, partitions, pulse)
                }
                Work::Streamed(export) => self.stream_next(local, export, pulse),
            };
            if !more.map_err(|error| self.fail(error))? {
                return Ok(self.take_ready());
            }
        }
    }

    /// Encodes the next row group; `false` when this thread has nothing left to do.
    fn encode_next(
        &self,
        local: &mut LocalState,
        plan: &Plan,
        writer: &OrderedWriter,
        partitions: &[Partition],
        pulse: Pulse<'_>,
    ) -> Result<bool> {
        {
            let mut state = self.state();
            if state.exhausted {
                return Ok(false);
            }
            state.active += 1;
        }
        let claimed = local.reader.next_morsel().map_err(to_duckdb);
        let encoded = claimed.and_then(|number| match number {
            Some(number) => {
                self.encode(local, number, plan, writer, partitions, pulse)?;
                Ok(true)
            }
            None => Ok(false),
        });
        let mut state = self.state();
        state.active = state.active.saturating_sub(1);
        let more = encoded?;
        state.exhausted |= !more;
        let written = writer.take_results();
        self.job.record(&written, self.progress());
        state.ready.extend(written);
        let last = state.exhausted && state.active == 0 && !self.finished.load(Ordering::Acquire);
        drop(state);
        if last {
            let result = writer.finish().map_err(export_error)?;
            self.state().result = Some(result);
            self.finished.store(true, Ordering::Release);
        }
        Ok(more)
    }

    fn encode(
        &self,
        local: &mut LocalState,
        number: u64,
        plan: &Plan,
        writer: &OrderedWriter,
        partitions: &[Partition],
        pulse: Pulse<'_>,
    ) -> Result<()> {
        if let Some(group) = self.copy(local, plan, partitions)? {
            return writer.push(number, group).map_err(export_error);
        }
        let mut encoder: Option<RowGroupEncoder> = None;
        while let Some(chunk) = local.reader.chunk_of_morsel(local.rows).map_err(to_duckdb)? {
            plan.control.check().map_err(export_error)?;
            local.ask(pulse)?;
            let table = chunk.segments().first().map_or(0, |segment| segment.table());
            let partition = partitions.get(table).copied().unwrap_or_default();
            let batch = self.columns.read(&mut local.reader, &chunk, &self.dictionaries)?;
            local.learn(&batch);
            let encoder = encoder.get_or_insert_with(|| RowGroupEncoder::new(plan, partition));
            encoder.append(&batch).map_err(export_error)?;
        }
        let finished = encoder.map(RowGroupEncoder::finish).transpose().map_err(export_error)?;
        match finished.flatten() {
            Some(group) => writer.push(number, group),
            None => writer.skip(number),
        }
        .map_err(export_error)
    }

    /// The row group as the source's own, if it is one.
    fn copy(
        &self,
        local: &mut LocalState,
        plan: &Plan,
        partitions: &[Partition],
    ) -> Result<Option<EncodedRowGroup>> {
        if !copied::is_allowed(&plan.options) {
            return Ok(None);
        }
        let wanted = |index: usize, chunk: &_| copied::is_copy(plan, index, chunk);
        let Some((table, group)) = local.reader.raw_group(wanted).map_err(to_duckdb)? else {
            return Ok(None);
        };
        let chunks = group.chunks.into_iter().enumerate().map(|(index, chunk)| {
            let RawChunk { metadata, start, bytes, column_index, offset_index } = chunk;
            copied::chunk(plan, index, Source { metadata, start, bytes, column_index, offset_index })
        });
        let chunks = chunks.collect::<questdb_parquet::Result<_>>().map_err(export_error)?;
        let partition = partitions.get(table).copied().unwrap_or_default();
        Ok(Some(EncodedRowGroup { rows: group.rows, partition, chunks }))
    }

    /// Reads until a row group is written; `false` at the end.
    fn stream_next(
        &self,
        local: &mut LocalState,
        export: &Mutex<Option<Export>>,
        pulse: Pulse<'_>,
    ) -> Result<bool> {
        let mut slot = export.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(export) = slot.as_mut() else { return Ok(false) };
        while let Some(chunk) = local.reader.next_chunk(local.rows).map_err(to_duckdb)? {
            local.ask(pulse)?;
            let batch = self.columns.read(&mut local.reader, &chunk, &self.dictionaries)?;
            local.learn(&batch);
            export.write(&batch).map_err(export_error)?;
            let written = export.take_results();
            if !written.is_empty() {
                self.written(written);
                return Ok(true);
            }
        }
        if let Some(export) = slot.take() {
            let result = export.finish_with(|written| self.written(written));
            self.state().result = Some(result.map_err(export_error)?);
            self.finished.store(true, Ordering::Release);
        }
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the other threads, and returns the error that came first.
    pub fn fail(&self, error: Error) -> Error {
        let mut state = self.state();
        let error = copy(state.failure.get_or_insert(error));
        state.exhausted = true;
        state.ready.clear();
        drop(state);
        self.abort();
        error
    }

    /// Stops all threads and drops what was written.
    pub fn abort(&self) {
        match &self.work {
            Work::Planned { plan, writer, .. } => {
                plan.control.fail(questdb_parquet::Error::cancelled());
                writer.abort();
            }
            Work::Streamed(export) => {
                if let Ok(mut export) = export.try_lock() {
                    *export = None;
                }
            }
        }
    }

    /// The published files; once.
    pub fn take_result(&self) -> Option<ExportResult> {
        self.state().result.take()
    }

    /// What went wrong first.
    pub fn failure(&self) -> Option<Error> {
        self.state().failure.as_ref().map(copy)
    }

    fn take_ready(&self) -> Vec<RowGroupResult> {
        let mut state = self.state();
        let count = state.ready.len().min(CHUNK_ROWS);
        let rows: Vec<RowGroupResult> = state.ready.drain(..count).collect();
        rows
    }

    fn written(&self, groups: Vec<RowGroupResult>) {
        self.job.record(&groups, self.progress());
        self.state().ready.extend(groups);
    }

    /// The result row of a row group.
    pub fn cells(&self, row: RowGroupResult) -> Vec<Cell> {
        self.paths.cells(row)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::Acquire) {
            self.abort();
        }
    }
}

/// Whether the same export can succeed with a newer state of the table.
pub fn is_conflict(error: &Error) -> bool {
    error.code == DuckDBError::DatabaseTransaction
}

/// Waits before another start.
pub fn pause(starts: u32) {
    std::thread::sleep(std::time::Duration::from_millis(1 << starts.min(6)));
}

fn copy(error: &Error) -> Error {
    Error { code: error.code, message: error.message.clone() }
}
