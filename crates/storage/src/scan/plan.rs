//! The plan of a scan: which partitions, and why the others are left out. Pure: no file is touched.

use std::fmt;

use super::filter::Filter;
use super::interval::IntervalSet;
use crate::table::{Partition, Snapshot};

/// A column that the scan returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projected {
    /// A column of the snapshot, by position.
    Column(usize),
    /// A column that this table does not have: NULL in every row.
    Missing,
}

/// Why a partition is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// It has no rows.
    Empty,
    /// No row's timestamp can satisfy the filter.
    OutsideTimeRange,
}

/// What happens with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Every row is looked at.
    Whole,
    /// Rows within these intervals are looked at; a binary search finds them.
    Search(IntervalSet),
    /// It is not opened.
    Skip(SkipReason),
}

/// A partition of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedPartition {
    /// Position in the snapshot.
    pub index: usize,
    /// What to do with it.
    pub decision: Decision,
}

/// What to read of one snapshot.
#[derive(Debug, Clone)]
pub struct ScanPlan {
    /// The state of the table.
    pub snapshot: Snapshot,
    /// Columns to return, in this order.
    pub projection: Vec<Projected>,
    /// Hint which rows are needed.
    pub filter: Filter,
    /// Every partition of the snapshot, in order.
    pub partitions: Vec<PlannedPartition>,
    /// Numbers and bytes instead of the text of LONG256, IPv4 and GEOHASH.
    pub raw_types: bool,
}

impl ScanPlan {
    /// Plans a scan of the columns at positions `projection`.
    pub fn new(snapshot: &Snapshot, projection: &[usize], filter: &Filter) -> Self {
        Self::with(
            snapshot,
            projection.iter().map(|c| Projected::Column(*c)).collect(),
            filter.clone(),
            false,
        )
    }

    /// Plans a scan, with columns that the table may lack.
    pub fn with(snapshot: &Snapshot, projection: Vec<Projected>, filter: Filter, raw_types: bool) -> Self {
        let intervals = snapshot.timestamp().map_or_else(IntervalSet::all, |ts| filter.intervals(ts));
        let partitions = snapshot.partitions().iter().map(|p| decide(snapshot, p, &intervals)).collect();
        Self { snapshot: snapshot.clone(), projection, filter, partitions, raw_types }
    }

    /// Columns of the snapshot that are returned, by position, each once.
    pub fn columns(&self) -> impl Iterator<Item = usize> {
        let mut columns: Vec<usize> = self
            .projection
            .iter()
            .filter_map(|projected| match projected {
                Projected::Column(column) => Some(*column),
                Projected::Missing => None,
            })
            .collect();
        columns.sort_unstable();
        columns.dedup();
        columns.into_iter()
    }

    /// Partitions that are read.
    pub fn selected(&self) -> impl Iterator<Item = &PlannedPartition> {
        self.partitions.iter().filter(|p| !matches!(p.decision, Decision::Skip(_)))
    }

    /// Rows of the selected partitions: an upper bound of the rows returned, exact without a filter.
    pub fn row_bound(&self) -> u64 {
        let rows = self.selected().filter_map(|p| self.snapshot.partitions().get(p.index));
        rows.fold(0u64, |sum, p| sum.saturating_add(p.rows()))
    }
}

fn decide(snapshot: &Snapshot, partition: &Partition, intervals: &IntervalSet) -> PlannedPartition {
    let index = partition.index;
    if partition.rows() == 0 {
        return PlannedPartition { index, decision: Decision::Skip(SkipReason::Empty) };
    }
    if intervals.is_all() {
        return PlannedPartition { index, decision: Decision::Whole };
    }
    // The table's own ends are sharper than those of its first and last units. A detached partition is not in it.
    let ends = Some(snapshot.txn()).filter(|_| snapshot.loose_partition().is_none());
    let lower =
        ends.and_then(|txn| txn.min_timestamp).map_or(partition.lower, |min| partition.lower.max(min));
    let upper =
        ends.and_then(|txn| txn.max_timestamp).map_or(partition.upper, |max| partition.upper.min(max));
    let inside = intervals.within(lower, upper);
    let decision = if inside.is_empty() {
        Decision::Skip(SkipReason::OutsideTimeRange)
    } else if inside == IntervalSet::between(lower, upper) {
        Decision::Whole
    } else {
        Decision::Search(inside)
    };
    PlannedPartition { index, decision }
}

impl fmt::Display for ScanPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped = self.partitions.len() - self.selected().count();
        writeln!(
            f,
            "scan of \"{}\" at transaction {}: {} of {} partitions, at most {} rows",
            self.snapshot.name(),
            self.snapshot.txn().txn,
            self.partitions.len() - skipped,
            self.partitions.len(),
            self.row_bound()
        )?;
        for planned in &self.partitions {
            let Some(partition) = self.snapshot.partitions().get(planned.index) else { continue };
            let what = match &planned.decision {
                Decision::Whole => "read".to_owned(),
                Decision::Search(set) => format!("search {} time intervals", set.iter().count()),
                Decision::Skip(SkipReason::Empty) => "skip: no rows".to_owned(),
                Decision::Skip(SkipReason::OutsideTimeRange) => "skip: outside the time range".to_owned(),
            };
            writeln!(f, "  {} ({} rows): {what}", partition.directory(), partition.rows())?;
        }
        Ok(())
    }
}
