//! The shared state of a scan: hands out morsels in the order of rows, to any number of threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::compiled::CompiledFilter;
use super::damage::Damage;
use super::morsel::{Morsel, OpenPartition, Part, Piece, RowSet};
use super::needed::{needed, resolve, surviving};
use super::plan::{Decision, ScanPlan};
use crate::error::{Error, Result};
use crate::table::Partition;

/// Rows of a morsel, before filtering: DuckDB's row group.
pub const MORSEL_ROWS: u64 = 122_880;

/// Partitions that a morsel spans at most, so that many tiny ones still spread over the threads.
const MORSEL_PARTITIONS: usize = 256;

/// Columns that are opened before the first row is read. Small files are copied at opening, so this bounds
/// memory as well.
const EARLY_FILES: usize = 512;

/// A scan of one or more tables, one after the other.
#[derive(Debug)]
pub struct Scanner {
    tables: Vec<TableScan>,
    damage: Arc<Damage>,
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
    pub(super) damage: Arc<Damage>,
    /// Partitions opened in advance, by position in the snapshot.
    opened: Mutex<HashMap<usize, Arc<OpenPartition>>>,
}

impl TableScan {
    /// The partition at `index`, opened in advance or now.
    fn open(&self, table: usize, index: usize, partition: &Partition) -> Arc<OpenPartition> {
        let early = self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&index);
        early.unwrap_or_else(|| {
            Arc::new(OpenPartition::new(table, &self.plan.snapshot, partition, &self.damage))
        })
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
            if let Err(error) = table.plan.snapshot.symbols(*column) {
                table.damage.tolerate(error, |e| e)?;
            }
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
            let open = OpenPartition::new(number, &table.plan.snapshot, partition, &table.damage);
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
        Self::with_damage(plans, Arc::default())
    }

    /// As [`Self::new`]; `damage` says whether to go on where files are damaged, and keeps what was found.
    pub fn with_damage(plans: Vec<ScanPlan>, damage: Arc<Damage>) -> Result<Arc<Self>> {
        let total_rows = plans.iter().fold(0u64, |sum, plan| sum.saturating_add(plan.row_bound()));
        let mut tables = Vec::with_capacity(plans.len());
        for plan in plans {
            let filter = match CompiledFilter::new(&plan.filter, &plan.snapshot, plan.raw_types) {
                Ok(filter) => filter,
                // A symbol table that cannot be read: all rows pass.
                Err(error) => {
                    damage.tolerate(error, |e| e)?;
                    None
                }
            };
            let damage = Arc::clone(&damage);
            tables.push(TableScan { plan, filter, damage, opened: Mutex::new(HashMap::new()) });
        }
        open_early(&tables)?;
        Ok(Arc::new(Self {
            tables,
            damage,
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
        let Self { tables, damage, queue, total_rows, claimed_rows, .. } =
            Arc::into_inner(scanner).ok_or_else(|| Error::invalid_input("scan is in use already"))?;
        Ok(Arc::new(Self {
            tables,
            damage,
            queue,
            total_rows,
            claimed_rows,
            morsel_rows: rows.max(1),
            morsel_partitions: usize::MAX,
            exact: true,
        }))
    }

    /// What was found damaged.
    pub fn damage(&self) -> &Damage {
        &self.damage
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
            let needed =
                if self.damage.is_lenient() { surviving(&open) } else { needed(table, &open, intervals) };
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

#[cfg(test)]
mod tests {
    use super::*;

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
