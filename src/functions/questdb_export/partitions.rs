//! Rows of the table → files: one scan plan for each partition of the export, in order of time.

use duckdb_neo::Result;
use questdb_parquet::layout::Partition;
use questdb_parquet::options::PartitionUnit;
use questdb_storage::scan::{Decision, IntervalSet, PlannedPartition, ScanPlan, Scanner};
use questdb_storage::Snapshot;

use crate::duckdb::errors::to_duckdb;

/// The rows of one partition of the export.
#[derive(Debug, Clone)]
pub struct Group {
    /// The partition.
    pub partition: Partition,
    /// What is read.
    pub plan: ScanPlan,
}

/// Splits the rows of `base` at the boundaries of `unit`. Without a unit, there is one group.
pub fn groups(snapshot: &Snapshot, base: ScanPlan, unit: PartitionUnit) -> Vec<Group> {
    if unit == PartitionUnit::None {
        return vec![Group { partition: Partition::Whole, plan: base }];
    }
    let mut groups: Vec<Group> = Vec::new();
    for planned in base.selected() {
        for (partition, decision) in split(snapshot, planned, unit) {
            let entry = PlannedPartition { index: planned.index, decision };
            match groups.last_mut() {
                Some(last) if last.partition == partition => last.plan.partitions.push(entry),
                _ => {
                    let plan = ScanPlan { partitions: vec![entry], ..empty(&base) };
                    groups.push(Group { partition, plan });
                }
            }
        }
    }
    groups
}

/// `base` without its partitions.
fn empty(base: &ScanPlan) -> ScanPlan {
    ScanPlan {
        snapshot: base.snapshot.clone(),
        projection: base.projection.clone(),
        filter: base.filter.clone(),
        partitions: Vec::new(),
        raw_types: base.raw_types,
    }
}

/// The units that rows of a partition of the table can belong to.
fn split(snapshot: &Snapshot, planned: &PlannedPartition, unit: PartitionUnit) -> Vec<(Partition, Decision)> {
    let Some(partition) = snapshot.partitions().get(planned.index) else { return Vec::new() };
    let txn = snapshot.txn();
    let lower = txn.min_timestamp.map_or(partition.lower, |min| partition.lower.max(min));
    let upper = txn.max_timestamp.map_or(partition.upper, |max| partition.upper.min(max));
    let wanted = match &planned.decision {
        Decision::Search(intervals) => intervals.within(lower, upper),
        _ => IntervalSet::between(lower, upper),
    };
    let (Some(first), Some(last)) = (wanted.iter().next(), wanted.iter().last()) else { return Vec::new() };
    let (lower, upper) = (first.start, last.end);
    let per_second = snapshot.time_unit().per_second();
    let second = |instant: i64| instant.div_euclid(per_second);
    let only = Partition::of(unit, second(lower));
    if only == Partition::of(unit, second(upper)) {
        return vec![(only, planned.decision.clone())];
    }
    let mut parts = Vec::new();
    let mut next = second(lower);
    while next <= second(upper) {
        let partition = Partition::of(unit, next);
        let Some((start, end)) = partition.seconds(unit) else { break };
        let inside =
            wanted.within(start.saturating_mul(per_second), end.saturating_mul(per_second).saturating_sub(1));
        if !inside.is_empty() {
            parts.push((partition, Decision::Search(inside)));
        }
        if end <= next {
            break;
        }
        next = end;
    }
    parts
}

/// Whether at least two groups have rows.
pub fn are_several(groups: &[Group]) -> Result<bool> {
    let mut found = 0;
    for group in groups {
        let whole = group.plan.selected().any(|planned| planned.decision == Decision::Whole);
        if whole || has_rows(&group.plan)? {
            found += 1;
        }
        if found == 2 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_rows(plan: &ScanPlan) -> Result<bool> {
    let scanner = Scanner::exact(vec![plan.clone()], 1).map_err(to_duckdb)?;
    let mut reader = questdb_storage::scan::Reader::new(&scanner);
    Ok(reader.next_morsel().map_err(to_duckdb)?.is_some())
}
