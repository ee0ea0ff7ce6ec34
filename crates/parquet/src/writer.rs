//! The whole export: batches in order, encoded by a pool, published at the end.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use arrow_array::{RecordBatch, UInt64Array};
use arrow_schema::SchemaRef;
use arrow_select::take::take_record_batch;

use crate::cancel::Progress;
use crate::error::{Error, Result};
use crate::lane::{Budget, Group, Shared};
use crate::layout::{Partition, Partitioner, Run};
use crate::limits::{next, Filled, Next};
use crate::options::Options;
use crate::ordered::OrderedWriter;
use crate::pool::Pool;
use crate::raw_size::array_bytes;
use crate::result::{ExportResult, RowGroupResult};
use crate::schema::ColumnHint;
use crate::sink::{self, Sink};
use crate::{unit, Plan};

/// Raw bytes that may wait for each thread.
const QUEUED_PER_THREAD: u64 = 32 << 20;
/// Raw bytes that are queued at once, at most, when rows are small enough.
const SLICE: u64 = 4 << 20;
/// Partitions that are filled at once.
const MAX_OPEN_PARTITIONS: usize = 64;
/// Encoded bytes in unfinished row groups before the oldest partition's is finished early.
const MAX_OPEN_BYTES: u64 = 256 << 20;

/// A row group that still takes rows.
struct Filling {
    group: Arc<Group>,
    partition: Partition,
    rows: u64,
    /// Raw bytes given to it: an upper bound, more or less, of what it holds.
    raw: u64,
    used: u64,
}

/// An export in progress. Dropped before [`Export::finish`], it leaves nothing behind.
///
/// Rows are written in the order they come. [`Export::write`] blocks when the queues are full, so memory stays within
/// threads × a row group + 32 MiB for each thread.
pub struct Export {
    plan: Plan,
    // Before `shared`: the threads end first.
    pool: Option<Pool>,
    shared: Arc<Shared>,
    partitioner: Option<Partitioner>,
    /// Partitions come in order, so the one before is finished when the next begins.
    ordered_partitions: bool,
    filling: Vec<Filling>,
    number: u64,
    clock: u64,
    finished: bool,
}

impl Export {
    /// Begins an export to `destination`, a local path or, with the option `storage`, a place in a bucket. `hints` is empty, or has one entry for each column of `schema`.
    pub fn create(
        destination: impl AsRef<Path>,
        schema: SchemaRef,
        hints: &[ColumnHint],
        options: Options,
        threads: usize,
        cancel: Arc<AtomicBool>,
    ) -> Result<Self> {
        let plan = Plan::new(schema, hints, options, cancel)?;
        let sink = sink::open(destination.as_ref(), &plan)?;
        Self::to_sink(plan, sink, threads)
    }

    /// Begins an export to any sink.
    pub fn to_sink(plan: Plan, sink: Box<dyn Sink>, threads: usize) -> Result<Self> {
        let plan = plan.with_scratch(sink.as_ref());
        let threads = threads.max(1);
        let partitioner = plan.partitioner()?;
        let unit = plan.unit();
        let ordered_partitions = partitioner
            .as_ref()
            .and_then(|partitioner| plan.schema.columns.get(partitioner.column))
            .is_some_and(|column| column.hint.designated);
        let shared = Arc::new(Shared {
            plan: plan.clone(),
            queued: Budget::new(QUEUED_PER_THREAD * threads as u64),
            closing: Budget::new(threads.max(2) as u64 - 1),
            output: OrderedWriter::new(&plan, sink, unit, threads + 1),
            groups: Mutex::default(),
        });
        let pool = Some(Pool::new(threads, plan.control.clone())?);
        Ok(Self {
            plan,
            pool,
            shared,
            partitioner,
            ordered_partitions,
            filling: Vec::new(),
            number: 0,
            clock: 0,
            finished: false,
        })
    }

    /// Counters that any thread may read.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(self.plan.control.progress())
    }

    /// The row groups written since the last call.
    pub fn take_results(&self) -> Vec<RowGroupResult> {
        self.shared.output.take_results()
    }

    /// Adds rows. After an error, which may be that of an earlier batch, the export can only be dropped.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.plan.control.check()?;
        self.check_batch(batch)?;
        match self.partitioner.clone() {
            None => self.write_partition(Partition::Whole, batch)?,
            Some(partitioner) => {
                let array = batch.column(partitioner.column);
                for (partition, rows) in by_partition(batch, &partitioner.runs(array)?)? {
                    self.write_partition(partition, &rows)?;
                }
            }
        }
        self.plan.control.progress().add_rows(batch.num_rows());
        Ok(())
    }

    fn check_batch(&self, batch: &RecordBatch) -> Result<()> {
        let expected = self.plan.schema.input.fields();
        let schema = batch.schema_ref();
        let found = schema.fields();
        if found.len() != expected.len() {
            return Err(Error::internal(format!(
                "a batch of {} columns, expected {}",
                found.len(),
                expected.len()
            )));
        }
        for (expected, found) in expected.iter().zip(found) {
            if expected.data_type() != found.data_type() {
                return Err(Error::invalid_input("a batch has another type")
                    .in_column(expected.name())
                    .expected(expected.data_type())
                    .found(found.data_type()));
            }
        }
        Ok(())
    }

    fn write_partition(&mut self, partition: Partition, batch: &RecordBatch) -> Result<()> {
        let limits = self.plan.options.row_group;
        let total: u64 = batch.columns().iter().map(array_bytes).sum();
        let by_row = limits.bytes.is_some() || total > SLICE;
        let raw = if by_row { unit::row_bytes(&self.plan, batch)? } else { Vec::new() };
        let mut done = 0;
        while done < batch.num_rows() {
            let position = self.open(partition)?;
            let filling =
                self.filling.get(position).ok_or_else(|| Error::internal("an open row group is gone"))?;
            let bytes = match limits.bytes {
                Some(target) if filling.raw >= target / 2 || filling.rows == 0 => filling.group.measure()?,
                // Far from full, whatever the encoding: no need to wait.
                Some(_) => filling.raw,
                None => 0,
            };
            let filled = Filled { rows: filling.rows, bytes };
            let rest = raw.get(done..).unwrap_or_default();
            match next(limits, filled, batch.num_rows() - done, rest) {
                Next::Close => self.close(position)?,
                Next::Take(rows) => {
                    let rows = if by_row { slice_rows(rest, rows) } else { rows };
                    let bytes = by_row.then(|| rest.iter().take(rows).sum());
                    self.push(position, &batch.slice(done, rows), bytes)?;
                    done += rows;
                }
            }
        }
        // A row group that is exactly full need not wait for the row that does not fit.
        if let (Some(rows), Some(position)) = (limits.rows, self.position(partition)) {
            if self.filling.get(position).is_some_and(|filling| filling.rows >= rows) {
                self.close(position)?;
            }
        }
        Ok(())
    }

    fn position(&self, partition: Partition) -> Option<usize> {
        self.filling.iter().position(|filling| filling.partition == partition)
    }

    /// The open row group of a partition.
    fn open(&mut self, partition: Partition) -> Result<usize> {
        self.clock += 1;
        if let Some(position) = self.position(partition) {
            if let Some(filling) = self.filling.get_mut(position) {
                filling.used = self.clock;
            }
            return Ok(position);
        }
        let most = if self.ordered_partitions { 1 } else { MAX_OPEN_PARTITIONS };
        loop {
            let bytes: u64 = self.filling.iter().map(|filling| filling.raw).sum();
            match self.oldest() {
                Some(oldest) if self.filling.len() >= most || bytes > MAX_OPEN_BYTES => self.close(oldest)?,
                _ => break,
            }
        }
        let group = Group::new(&self.shared, partition);
        self.filling.push(Filling { group, partition, rows: 0, raw: 0, used: self.clock });
        Ok(self.filling.len() - 1)
    }

    /// Queues rows; `bytes` are their raw bytes when those of the arrays do not say it.
    fn push(&mut self, position: usize, batch: &RecordBatch, bytes: Option<u64>) -> Result<()> {
        let pool = self.pool.as_ref().ok_or_else(|| Error::internal("the export has ended"))?;
        let filling =
            self.filling.get_mut(position).ok_or_else(|| Error::internal("an open row group is gone"))?;
        let mut queued = 0;
        for (unit, array) in unit::arrays(&self.plan, batch).into_iter().enumerate() {
            let bytes = array_bytes(&array);
            self.shared.queued.take(bytes, &self.plan)?;
            filling.group.push(pool, unit, array, bytes)?;
            queued += bytes;
        }
        filling.raw += bytes.unwrap_or(queued);
        filling.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the row groups in progress, whatever the limits.
    pub fn end_row_groups(&mut self) -> Result<()> {
        while let Some(oldest) = self.oldest() {
            self.close(oldest)?;
        }
        Ok(())
    }

    fn oldest(&self) -> Option<usize> {
        let oldest = self.filling.iter().enumerate().min_by_key(|(_, filling)| filling.used);
        oldest.map(|(position, _)| position)
    }

    fn close(&mut self, position: usize) -> Result<()> {
        let pool = self.pool.as_ref().ok_or_else(|| Error::internal("the export has ended"))?;
        let filling = self.filling.swap_remove(position);
        self.shared.closing.take(1, &self.plan)?;
        filling.group.close(pool, filling.rows, self.number);
        self.number += 1;
        Ok(())
    }

    /// Writes what is left, waits for the threads, and publishes the files.
    pub fn finish(self) -> Result<ExportResult> {
        self.finish_with(|_| ())
    }

    /// As [`Export::finish`]; `last` gets what [`Export::take_results`] would have returned next.
    pub fn finish_with(mut self, last: impl FnOnce(Vec<RowGroupResult>)) -> Result<ExportResult> {
        self.end_row_groups()?;
        // Every row group that was closed is written.
        self.shared.closing.drain(&self.plan)?;
        self.plan.control.check()?;
        let written = self.shared.output.take_results();
        let result = self.shared.output.finish()?;
        last(written);
        self.finished = true;
        Ok(result)
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        if !self.finished {
            self.plan.control.fail(Error::cancelled());
        }
        self.pool = None;
        self.filling.clear();
        self.shared.abandon();
        self.shared.output.abort();
    }
}

/// How many of the next rows are about [`SLICE`] bytes; at least one.
fn slice_rows(raw: &[u64], most: usize) -> usize {
    let mut sum = 0u64;
    let rows = raw
        .iter()
        .take(most)
        .take_while(|bytes| {
            sum = sum.saturating_add(**bytes);
            sum <= SLICE
        })
        .count();
    rows.clamp(1, most.max(1))
}

/// The rows of each partition, partitions in order of first appearance. Runs are slices; scattered rows are gathered.
fn by_partition(batch: &RecordBatch, runs: &[Run]) -> Result<Vec<(Partition, RecordBatch)>> {
    let mut partitions: Vec<Partition> = Vec::new();
    for run in runs {
        if !partitions.contains(&run.partition) {
            partitions.push(run.partition);
        }
    }
    if partitions.len() == runs.len() {
        return Ok(runs.iter().map(|run| (run.partition, batch.slice(run.start, run.rows))).collect());
    }
    partitions
        .into_iter()
        .map(|partition| {
            let rows = runs.iter().filter(|run| run.partition == partition);
            let indices = rows.flat_map(|run| run.start as u64..(run.start + run.rows) as u64);
            let gathered = take_record_batch(batch, &UInt64Array::from_iter_values(indices))?;
            Ok((partition, gathered))
        })
        .collect()
}
