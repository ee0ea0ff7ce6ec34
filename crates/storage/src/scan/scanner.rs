//! The shared state of a scan: hands out morsels in the order of rows, to any number of threads.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::compiled::CompiledFilter;
use super::interval::{Interval, IntervalSet};
use super::morsel::{Morsel, OpenPartition, Part, Piece, RowSet};
use super::plan::{Decision, ScanPlan};
use crate::error::{Error, Result};
use crate::parquet::{GroupCache, ParquetFile};
use crate::source::Source;
use crate::table::{ColumnRows, Partition};

/// Rows of a morsel, before filtering: DuckDB's row group.
pub const MORSEL_ROWS: u64 = 122_880;

/// Partitions that a morsel spans at most, so that many tiny ones still spread over the threads.
const MORSEL_PARTITIONS: usize = 256;

/// Columns that are opened before the first row is read. Small files are copied at opening, so this bounds
/// memory as well.
const EARLY_FILES: usize = 512;

/// An index is used when it leaves at most one row in so many.
const INDEX_SELECTIVITY: u64 = 32;

/// A scan of one or more tables, one after the other.
#[derive(Debug)]
pub struct Scanner {
    tables: Vec<TableScan>,
    queue: Mutex<Queue>,
    total_rows: u64,
    claimed_rows: AtomicU64,
    morsel_rows: u64,
    morsel_partitions: usize,
    /// Every morsel but a plan's last one has exactly `morsel_rows` rows.
    exact: bool,
}

/// A table of the scan.
#[derive(Debug)]
pub(super) struct TableScan {
    pub(super) plan: ScanPlan,
    pub(super) filter: Option<CompiledFilter>,
    /// Partitions opened in advance, by position in the snapshot.
    opened: Mutex<HashMap<usize, Arc<OpenPartition>>>,
}

impl TableScan {
    /// The partition at `index`, opened in advance or now.
    fn open(&self, table: usize, index: usize, partition: &Partition) -> Arc<OpenPartition> {
        let early = self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
        early.unwrap_or_else(|| Arc::new(OpenPartition::new(table, &self.plan.snapshot, partition)))
    }
}

/// Opens the files of small scans before the first row is read, and reads all symbol tables: a server may
/// remove them, but what is open stays readable (docs/format.md §11.3).
fn open_early(tables: &[TableScan]) -> Result<()> {
    let mut left = EARLY_FILES;
    for (number, table) in tables.iter().enumerate() {
        if table.filter.as_ref().is_some_and(CompiledFilter::is_impossible) {
            continue;
        }
        let columns: Vec<usize> = table.plan.columns().collect();
        for column in &columns {
            table.plan.snapshot.symbols(*column)?;
        }
        if table.plan.snapshot.watch().is_none() {
            continue;
        }
        let partitions = table.plan.selected().filter_map(|p| table.plan.snapshot.partitions().get(p.index));
        for partition in partitions {
            let files = if partition.entry.parquet { 1 } else { columns.len() };
            left = match left.checked_sub(files) {
                Some(left) => left,
                None => return Ok(()),
            };
            let open = OpenPartition::new(number, &table.plan.snapshot, partition);
            // An error counts when the column is read, and only then.
            if partition.entry.parquet {
                drop(open.parquet());
            } else {
                columns.iter().for_each(|column| drop(open.column(*column)));
            }
            let mut opened = table.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.insert(partition.index, Arc::new(open));
        }
    }
    Ok(())
}

/// What has not been handed out yet.
#[derive(Debug, Default)]
struct Queue {
    next_morsel: u64,
    table: usize,
    /// Next entry of the table's plan.
    entry: usize,
    /// Rows of the partition that is being cut up.
    current: Option<(Arc<OpenPartition>, Vec<Part>)>,
    /// Set by an error: nothing is handed out any more.
    failed: bool,
}

impl Scanner {
    /// Prepares the scan of `plans`, in this order. Reads the symbol tables that filters need.
    pub fn new(plans: Vec<ScanPlan>) -> Result<Arc<Self>> {
        let total_rows = plans.iter().fold(0u64, |sum, plan| sum.saturating_add(plan.row_bound()));
        let mut tables = Vec::with_capacity(plans.len());
        for plan in plans {
            let filter = CompiledFilter::new(&plan.filter, &plan.snapshot, plan.raw_types)?;
            tables.push(TableScan { plan, filter, opened: Mutex::new(HashMap::new()) });
        }
        open_early(&tables)?;
        Ok(Arc::new(Self {
            tables,
            queue: Mutex::new(Queue::default()),
            total_rows,
            claimed_rows: AtomicU64::new(0),
            morsel_rows: MORSEL_ROWS,
            morsel_partitions: MORSEL_PARTITIONS,
            exact: false,
        }))
    }

    /// Prepares the scan of `plans` in morsels of exactly `rows` rows; only the last one of each plan is shorter.
    /// Filters must be about time alone, and are exact.
    pub fn exact(plans: Vec<ScanPlan>, rows: u64) -> Result<Arc<Self>> {
        let scanner = Self::new(plans)?;
        if scanner.tables.iter().any(|table| table.filter.is_some()) {
            return Err(Error::invalid_input(
                "morsels of an exact number of rows need a filter by time only",
            ));
        }
        let Self { tables, queue, total_rows, claimed_rows, .. } =
            Arc::into_inner(scanner).ok_or_else(|| Error::invalid_input("scan is in use already"))?;
        Ok(Arc::new(Self {
            tables,
            queue,
            total_rows,
            claimed_rows,
            morsel_rows: rows.max(1),
            morsel_partitions: usize::MAX,
            exact: true,
        }))
    }

    /// Rows that were planned: an upper bound of the rows returned.
    pub fn row_bound(&self) -> u64 {
        self.total_rows
    }

    /// How many threads can work at once.
    pub fn parallelism(&self) -> usize {
        usize::try_from(self.total_rows.div_ceil(self.morsel_rows)).unwrap_or(usize::MAX).max(1)
    }

    /// The part of the planned rows that was handed out, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match self.total_rows {
            0 => 1.0,
            total => self.claimed_rows.load(Ordering::Relaxed) as f64 / total as f64,
        }
    }

    /// The plans.
    pub fn plans(&self) -> impl Iterator<Item = &ScanPlan> {
        self.tables.iter().map(|table| &table.plan)
    }

    pub(super) fn table(&self, index: usize) -> Result<&TableScan> {
        self.tables.get(index).ok_or_else(|| Error::invalid_input(format!("scan has no table {index}")))
    }

    /// The next morsel; `None` when all rows were handed out.
    pub(super) fn claim(&self) -> Result<Option<Morsel>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.failed {
            return Ok(None);
        }
        let claimed = self.cut(&mut queue);
        queue.failed = claimed.is_err();
        claimed
    }

    fn cut(&self, queue: &mut Queue) -> Result<Option<Morsel>> {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rows = 0u64;
        while rows < self.morsel_rows && pieces.len() < self.morsel_partitions {
            let Some((partition, left)) = &mut queue.current else {
                let table = queue.table;
                match self.next_partition(queue)? {
                    // A morsel never mixes tables.
                    _ if queue.table != table && !pieces.is_empty() => break,
                    true => continue,
                    false => break,
                }
            };
            let Some(part) = left.pop() else {
                queue.current = None;
                continue;
            };
            if part.whole && !self.exact {
                let len = part.rows.len() as u64;
                if rows > 0 && rows + len > self.morsel_rows {
                    left.push(part);
                    break;
                }
                rows += len;
                pieces.push(Piece { partition: Arc::clone(partition), part });
                continue;
            }
            let (now, later) = split(part.rows, self.morsel_rows - rows);
            left.extend(later.map(Part::native));
            rows += now.len() as u64;
            pieces.push(Piece { partition: Arc::clone(partition), part: Part::native(now) });
        }
        self.claimed_rows.fetch_add(rows, Ordering::Relaxed);
        if pieces.is_empty() {
            return Ok(None);
        }
        let index = queue.next_morsel;
        queue.next_morsel += 1;
        Ok(Some(Morsel { index, pieces }))
    }

    /// Opens the next partition that is needed; `false` when there is none.
    fn next_partition(&self, queue: &mut Queue) -> Result<bool> {
        while let Some(table) = self.tables.get(queue.table) {
            let impossible = table.filter.as_ref().is_some_and(CompiledFilter::is_impossible);
            let Some(planned) = table.plan.partitions.get(queue.entry).filter(|_| !impossible) else {
                queue.table += 1;
                queue.entry = 0;
                continue;
            };
            queue.entry += 1;
            let Some(partition) = table.plan.snapshot.partitions().get(planned.index) else { continue };
            let intervals = match &planned.decision {
                Decision::Skip(_) => continue,
                Decision::Whole => None,
                Decision::Search(intervals) => Some(intervals),
            };
            let open = table.open(queue.table, planned.index, partition);
            let needed = open.parquet().and_then(|file| match file {
                None => needed_rows(table, &open, intervals)
                    .map(|sets| sets.into_iter().map(Part::native).collect()),
                Some(file) => needed_groups(table, file, intervals),
            });
            let needed = match self.exact {
                true => needed.and_then(|parts| resolve(&open, parts)),
                false => needed,
            };
            let found: Result<Vec<Part>> = needed.map_err(|e| open.place(e));
            let mut parts = found.map_err(|e| open.snapshot.explain(e, Some(&open.partition)))?;
            if intervals.is_some() || table.filter.is_some() {
                open.check()?;
            }
            let needed = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.rows.len() as u64));
            self.claimed_rows.fetch_add(partition.rows().saturating_sub(needed), Ordering::Relaxed);
            parts.reverse();
            queue.current = Some((open, parts));
            return Ok(true);
        }
        Ok(false)
    }
}

/// The first `limit` rows of `set`, and the rest.
fn split(set: RowSet, limit: u64) -> (RowSet, Option<RowSet>) {
    if set.len() as u64 <= limit {
        return (set, None);
    }
    match set {
        RowSet::Range(range) => {
            let middle = range.start + limit;
            (RowSet::Range(range.start..middle), Some(RowSet::Range(middle..range.end)))
        }
        RowSet::List(mut rows) => {
            let rest = rows.split_off(limit as usize);
            (RowSet::List(rows), Some(RowSet::List(rest)))
        }
    }
}

/// Finds the rows of row groups of which only some time is needed.
fn resolve(open: &Arc<OpenPartition>, parts: Vec<Part>) -> Result<Vec<Part>> {
    let mut groups = GroupCache::default();
    let mut resolved = Vec::with_capacity(parts.len());
    for mut part in parts {
        match narrow(open, &mut part, &mut groups)? {
            Some(ranges) => {
                resolved.extend(ranges.into_iter().map(|range| Part::native(RowSet::Range(range))))
            }
            None => resolved.push(part),
        }
    }
    Ok(resolved)
}

/// The rows of a row group of which only some time is needed; `None` when all of it is.
pub(super) fn narrow(
    open: &OpenPartition,
    part: &mut Part,
    groups: &mut GroupCache,
) -> Result<Option<Vec<Range<u64>>>> {
    let (Some(intervals), RowSet::Range(range)) = (part.narrow.take(), &part.rows) else { return Ok(None) };
    let (Some(timestamp), Some(file)) = (open.snapshot.timestamp(), open.parquet()?) else { return Ok(None) };
    let first_row = range.start;
    let mut find = || {
        let (position, group) = file.group_of(first_row)?;
        let column = groups.column(file, timestamp, position)?;
        column.native().map(|times| search(times, group.rows, &intervals)).transpose()
    };
    let ranges = find().map_err(|e| open.place(e))?;
    Ok(ranges.map(|ranges| ranges.into_iter().map(|r| first_row + r.start..first_row + r.end).collect()))
}

/// Row groups of a Parquet partition that can hold rows of the filter, in order.
fn needed_groups(
    table: &TableScan,
    file: &ParquetFile,
    intervals: Option<&IntervalSet>,
) -> Result<Vec<Part>> {
    let snapshot = &table.plan.snapshot;
    let mut parts = Vec::with_capacity(file.groups().len());
    for (index, group) in file.groups().iter().enumerate().filter(|(_, group)| group.rows > 0) {
        let known = snapshot.timestamp().and_then(|timestamp| file.time_range(timestamp, index));
        let narrow = match (intervals, known) {
            (None, _) => None,
            (Some(intervals), None) => Some(intervals.clone()),
            (Some(intervals), Some((first, last))) => {
                let inside = intervals.within(first, last);
                if inside.is_empty() {
                    continue;
                }
                Some(inside).filter(|inside| *inside != IntervalSet::between(first, last))
            }
        };
        if let Some(filter) = &table.filter {
            if !filter.may_match(file, snapshot, index)? {
                continue;
            }
        }
        let rows = RowSet::Range(group.first_row..group.first_row.saturating_add(group.rows));
        parts.push(Part { rows, narrow, whole: true });
    }
    Ok(parts)
}

/// Rows of a partition that can satisfy the filter, as far as time and indexes tell, in order.
fn needed_rows(
    table: &TableScan,
    open: &OpenPartition,
    intervals: Option<&IntervalSet>,
) -> Result<Vec<RowSet>> {
    let ranges = match intervals {
        None => std::iter::once(0..open.partition.rows()).collect(),
        Some(set) => time_ranges(open, set)?,
    };
    let ranged: u64 = ranges.iter().fold(0, |sum, r| sum + (r.end - r.start));
    let Some(filter) = &table.filter else {
        return Ok(ranges.into_iter().map(RowSet::Range).collect());
    };
    for (column, keys) in filter.required_keys() {
        let Some(column) = open.snapshot.columns().get(column) else { continue };
        let limit = ranged / INDEX_SELECTIVITY;
        if let Some(rows) = open.partition.indexed_rows(&open.snapshot, column, &keys, limit)? {
            let inside = |row: &u32| ranges.iter().any(|r| r.contains(&u64::from(*row)));
            let rows: Vec<u32> = rows.into_iter().filter(inside).collect();
            return Ok(if rows.is_empty() { Vec::new() } else { vec![RowSet::List(rows)] });
        }
    }
    Ok(ranges.into_iter().map(RowSet::Range).collect())
}

/// Finds the rows of each interval by binary search of the designated timestamp.
fn time_ranges(open: &OpenPartition, intervals: &IntervalSet) -> Result<Vec<Range<u64>>> {
    let rows = open.partition.rows();
    let Some(timestamp) = open.snapshot.timestamp() else { return Ok(std::iter::once(0..rows).collect()) };
    let name = open.snapshot.columns().get(timestamp).map(|c| c.name.clone()).unwrap_or_default();
    let source = match open.column(timestamp)? {
        ColumnRows::Stored { top: 0, source } => source.data.as_ref(),
        _ => {
            return Err(Error::corrupt(
                "designated timestamp has no values",
                "one in each row",
                "a column top",
            )
            .in_column(&name))
        }
    };
    search(source, rows, intervals).map_err(|e| e.in_column(&name))
}

/// The rows of each interval among the first `rows` of a file of timestamps.
pub(super) fn search(source: &dyn Source, rows: u64, intervals: &IntervalSet) -> Result<Vec<Range<u64>>> {
    let at = |row: u64| {
        let mut value = [0u8; 8];
        source.read_into(row.saturating_mul(8), &mut value)?;
        Ok::<_, Error>(i64::from_le_bytes(value))
    };
    let (first, last) = (at(0)?, at(rows.saturating_sub(1))?);
    if first > last {
        return Err(Error::corrupt(
            "timestamps must ascend",
            format_args!("{first} or more in the last row"),
            last,
        )
        .at(rows.saturating_sub(1).saturating_mul(8))
        .in_file(source.path()));
    }
    // The first row whose timestamp is not below `bound`.
    let lower_bound = |bound: i64, from: u64| {
        let (mut low, mut high) = (from, rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if at(middle)? < bound {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok::<_, Error>(low)
    };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let mut from = 0;
    for Interval { start, end } in intervals.iter() {
        let begin = lower_bound(*start, from)?;
        let stop = if *end == i64::MAX { rows } else { lower_bound(*end + 1, begin)? };
        from = stop;
        match ranges.last_mut() {
            Some(previous) if previous.end == begin => previous.end = stop,
            _ if begin < stop => ranges.push(begin..stop),
            _ => {}
        }
    }
    Ok(ranges)
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "lists of one range are what is expected")]
mod tests {
    use super::*;
    use crate::source::tests::Memory;

    fn find(values: &[i64], intervals: &[(i64, i64)]) -> Result<Vec<Range<u64>>> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let set = IntervalSet::union(intervals.iter().map(|(a, b)| IntervalSet::between(*a, *b)));
        search(&Memory::new(bytes), values.len() as u64, &set)
    }

    #[test]
    fn search_finds_every_row_of_an_interval_with_ties() {
        let values = [10, 20, 20, 20, 30, 40];
        assert_eq!(find(&values, &[(20, 20)]).unwrap(), [1..4]);
        assert_eq!(find(&values, &[(i64::MIN, 10), (35, i64::MAX)]).unwrap(), [0..1, 5..6]);
        assert_eq!(find(&values, &[(11, 19)]).unwrap(), []);
        assert_eq!(find(&values, &[(0, 100)]).unwrap(), [0..6]);
    }

    #[test]
    fn descending_timestamps_are_refused() {
        assert!(find(&[3, 2, 1], &[(2, 2)]).is_err());
    }

    #[test]
    fn row_sets_split_at_the_limit() {
        let (now, later) = split(RowSet::Range(5..15), 4);
        assert!(matches!(now, RowSet::Range(r) if r == (5..9)));
        assert!(matches!(later, Some(RowSet::Range(r)) if r == (9..15)));
        let (now, later) = split(RowSet::List(vec![1, 2, 3]), 2);
        assert!(matches!(now, RowSet::List(r) if r == [1, 2]));
        assert!(matches!(later, Some(RowSet::List(r)) if r == [3]));
    }
}
