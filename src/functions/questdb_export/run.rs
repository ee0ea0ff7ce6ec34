//! An export in progress.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::ArrayRef;
use duckdb_neo::connection::Context;
use duckdb_neo::error::{DuckDBError, Error};
use duckdb_neo::Result;
use questdb_parquet::layout::Partition;
use questdb_parquet::options::{Layout, Mode, PartitionUnit};
use questdb_parquet::sink::{LocalSink, PathOf, Shape};
use questdb_parquet::{Export, OrderedWriter, Plan, RowGroupEncoder, RowGroupResult};
use questdb_storage::scan::{Projected, Reader, ScanPlan, Scanner};

use super::bind::BindData;
use super::columns::Columns;
use super::partitions::{are_several, groups};
use crate::duckdb::errors::{export_error, to_duckdb};
use crate::duckdb::listing::Cell;
use crate::duckdb::session;
use crate::duckdb::vectors::CHUNK_ROWS;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 32_768;

/// New starts that a conflict before the first row may cause.
const MOST_STARTS: u32 = 5;

/// What one thread keeps.
pub struct LocalState {
    reader: Reader,
}

/// What all threads share.
pub struct GlobalState {
    columns: Columns,
    dictionaries: Vec<Option<ArrayRef>>,
    scanner: Arc<Scanner>,
    threads: usize,
    /// Declared columns that are wanted.
    projection: Vec<usize>,
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
}

/// Where files will be when they are published.
struct Paths {
    shape: Shape,
    path_of: PathOf,
}

impl GlobalState {
    /// Plans the export and makes its staging directory.
    pub fn new(bound: &BindData, context: &Context, projection: Vec<usize>) -> Result<Self> {
        let threads = session::threads(context)?;
        let mut starts = 0;
        loop {
            starts += 1;
            match Self::start(bound, threads, projection.clone()) {
                Err(error) if error.code == DuckDBError::DatabaseTransaction && starts < MOST_STARTS => {
                    std::thread::sleep(std::time::Duration::from_millis(1 << starts));
                }
                outcome => return outcome,
            }
        }
    }

    fn start(bound: &BindData, threads: usize, projection: Vec<usize>) -> Result<Self> {
        let (snapshot, columns) = bound.snapshot()?;
        let dictionaries = columns.dictionaries(&snapshot)?;
        let projected: Vec<Projected> =
            columns.list.iter().map(|column| Projected::Column(column.index)).collect();
        let plan = bound.plan(&columns)?;
        let options = &bound.options;
        let rotates = options.rotation.row_groups.is_some() || options.rotation.bytes.is_some();
        let rows = options.row_group.rows.filter(|_| bound.is_planned());
        let (scanner, partitions, several) = match rows {
            Some(rows) => {
                let groups = groups(&snapshot, projected, bound.filter.clone(), bound.unit);
                let several = rotates || are_several(&groups)?;
                let partitions: Vec<Partition> = groups.iter().map(|group| group.partition).collect();
                let plans = groups.into_iter().map(|group| group.plan).collect();
                (Scanner::exact(plans, rows), partitions, several)
            }
            None => {
                let plan = ScanPlan::with(&snapshot, projected, bound.filter.clone(), true);
                let several = rotates || bound.unit != PartitionUnit::None;
                (Scanner::exact(vec![plan], u64::MAX), Vec::new(), several)
            }
        };
        let scanner = scanner.map_err(to_duckdb)?;
        let mut plan = plan;
        if several && options.mode.is_none() {
            let mut options = (*plan.options).clone();
            options.mode = Some(Mode::MultiFile);
            plan.options = Arc::new(options);
        }
        let sink = LocalSink::create(&bound.destination, &bound.options).map_err(export_error)?;
        let shape = match (plan.options.mode, plan.options.layout.unwrap_or_default()) {
            (Some(Mode::MultiFile), _) => Shape::Directory,
            (Some(Mode::SingleFile), _) | (None, Layout::Questdb) => Shape::File,
            (None, _) => Shape::Directory,
        };
        let paths = Paths { shape, path_of: sink.paths() };
        let parallel = scanner.parallelism().min(threads.max(1));
        let sink = Box::new(sink);
        let (work, threads) = match rows {
            Some(_) => {
                let writer = Box::new(OrderedWriter::new(&plan, sink, bound.unit, 2 * threads));
                (Work::Planned { plan, writer, partitions }, parallel)
            }
            None => {
                let export = Export::to_sink(plan, sink, threads).map_err(export_error)?;
                (Work::Streamed(Mutex::new(Some(export))), 1)
            }
        };
        Ok(Self {
            columns,
            dictionaries,
            scanner,
            threads,
            projection,
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

    /// Declared columns that are wanted.
    pub fn projection(&self) -> &[usize] {
        &self.projection
    }

    /// From 0 to 1.
    pub fn progress(&self) -> f64 {
        self.scanner.progress()
    }

    /// The state of one thread.
    pub fn local(&self) -> LocalState {
        LocalState { reader: Reader::new(&self.scanner) }
    }

    /// The next rows of the result; none at the end.
    pub fn next(&self, local: &mut LocalState) -> Result<Vec<Vec<Cell>>> {
        loop {
            let rows = self.take_ready();
            if !rows.is_empty() {
                return Ok(rows);
            }
            let more = match &self.work {
                Work::Planned { plan, writer, partitions } => {
                    self.encode_next(local, plan, writer, partitions)
                }
                Work::Streamed(export) => self.stream_next(local, export),
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
                self.encode(local, number, plan, writer, partitions)?;
                Ok(true)
            }
            None => Ok(false),
        });
        let mut state = self.state();
        state.active = state.active.saturating_sub(1);
        let more = encoded?;
        state.exhausted |= !more;
        state.ready.extend(writer.take_results());
        let last = state.exhausted && state.active == 0 && !self.finished.load(Ordering::Acquire);
        drop(state);
        if last {
            writer.finish().map_err(export_error)?;
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
    ) -> Result<()> {
        let mut encoder: Option<RowGroupEncoder> = None;
        while let Some(chunk) = local.reader.chunk_of_morsel(BATCH_ROWS).map_err(to_duckdb)? {
            plan.control.check().map_err(export_error)?;
            let table = chunk.segments().first().map_or(0, |segment| segment.table());
            let partition = partitions.get(table).copied().unwrap_or_default();
            let batch = self.columns.read(&mut local.reader, &chunk, &self.dictionaries)?;
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

    /// Reads until a row group is written; `false` at the end.
    fn stream_next(&self, local: &mut LocalState, export: &Mutex<Option<Export>>) -> Result<bool> {
        let mut slot = export.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(export) = slot.as_mut() else { return Ok(false) };
        while let Some(chunk) = local.reader.next_chunk(BATCH_ROWS).map_err(to_duckdb)? {
            let batch = self.columns.read(&mut local.reader, &chunk, &self.dictionaries)?;
            export.write(&batch).map_err(export_error)?;
            let written = export.take_results();
            if !written.is_empty() {
                self.state().ready.extend(written);
                return Ok(true);
            }
        }
        if let Some(export) = slot.take() {
            let result = export.finish_with(|written| self.state().ready.extend(written));
            result.map_err(export_error)?;
            self.finished.store(true, Ordering::Release);
        }
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the other threads, and returns the error that came first.
    fn fail(&self, error: Error) -> Error {
        let mut state = self.state();
        let first = state.failure.get_or_insert_with(|| Error { message: error.message.clone(), ..error });
        let error = Error { code: first.code, message: first.message.clone() };
        state.exhausted = true;
        state.ready.clear();
        drop(state);
        self.abort();
        error
    }

    fn abort(&self) {
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

    fn take_ready(&self) -> Vec<Vec<Cell>> {
        let mut state = self.state();
        let count = state.ready.len().min(CHUNK_ROWS);
        let rows: Vec<RowGroupResult> = state.ready.drain(..count).collect();
        drop(state);
        rows.into_iter().map(|row| self.cells(row)).collect()
    }

    fn cells(&self, row: RowGroupResult) -> Vec<Cell> {
        let path = (self.paths.path_of)(&row.relative, self.paths.shape);
        vec![
            Cell::Text(path.to_string_lossy().into_owned()),
            row.partition.into(),
            row.index.into(),
            row.rows.into(),
            row.uncompressed.into(),
            row.bytes.into(),
        ]
    }
}

impl Drop for GlobalState {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::Acquire) {
            self.abort();
        }
    }
}
