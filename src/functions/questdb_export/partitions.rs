//! Rows of the table → files: one scan plan for each partition of the export, in order of time.

use duckdb_neo::Result;
use questdb_parquet::layout::Partition;
use questdb_parquet::options::PartitionUnit;
use questdb_storage::format::meta::PartitionBy;
use questdb_storage::scan::{Decision, IntervalSet, PlannedPartition, ScanPlan, Scanner};
use questdb_storage::table::{closest, Partition as TablePartition};
use questdb_storage::Snapshot;

use crate::duckdb::errors::{binder, to_duckdb};

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

/// Leaves only the named partitions of the table in `base`: what `questdb_partitions` calls `name`. The name of a unit of
/// time stands for all parts that the server has split off it, too.
///
/// # Errors
/// A name that the table has no partition for.
pub fn restrict(base: &mut ScanPlan, names: &[String]) -> Result<()> {
    let snapshot = base.snapshot.clone();
    let shortest = unit_length(snapshot.meta().partition_by);
    let is_named = |partition: &TablePartition, name: &str| {
        partition.name == name || name.len() == shortest && partition.name.starts_with(name)
    };
    for name in names {
        let mut partitions = snapshot.partitions().iter();
        if !partitions.any(|partition| is_named(partition, name)) {
            let hint = match closest(name, snapshot.partitions().iter().map(|p| p.name.as_str())) {
                Some(close) => format!("Did you mean \"{close}\"?"),
                None => "questdb_partitions lists them.".to_owned(),
            };
            let table = snapshot.name();
            return Err(binder(format!(
                "Argument \"partitions\": table \"{table}\" has no partition \"{name}\"\n{hint}"
            )));
        }
    }
    base.partitions.retain(|planned| {
        let partition = snapshot.partitions().get(planned.index);
        partition.is_some_and(|partition| names.iter().any(|name| is_named(partition, name)))
    });
    Ok(())
}

/// Characters of a partition's name that say its unit of time; what follows is a split.
fn unit_length(by: PartitionBy) -> usize {
    match by {
        PartitionBy::Year => "2024".len(),
        PartitionBy::Month => "2024-01".len(),
        PartitionBy::Week => "2024-W01".len(),
        PartitionBy::Day => "2024-01-01".len(),
        PartitionBy::Hour => "2024-01-01T00".len(),
        PartitionBy::None | PartitionBy::NotApplicable => "default".len(),
    }
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
