//! Which rows of a partition a scan needs: by time, by index, by the statistics of row groups and pages.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::compiled::CompiledFilter;
use super::interval::{Interval, IntervalSet};
use super::morsel::{OpenPartition, Part, RowSet};
use super::scanner::TableScan;
use crate::error::{Error, Result};
use crate::parquet::{GroupCache, ParquetFile};
use crate::table::ColumnRows;

/// An index is used when it leaves at most one row in so many.
const INDEX_SELECTIVITY: u64 = 32;

/// Rows of a partition that can satisfy the filter, in order.
pub(super) fn needed(
    table: &TableScan,
    open: &OpenPartition,
    intervals: Option<&IntervalSet>,
) -> Result<Vec<Part>> {
    let Some(file) = open.parquet()? else {
        return Ok(needed_rows(table, open, intervals)?.into_iter().map(Part::native).collect());
    };
    if let Some(shortfall) = file.shortfall() {
        table.damage.note(shortfall);
    }
    needed_groups(table, file, intervals)
}

/// All rows of a partition that can be read. What else would tell which ones are needed, such as the order of timestamps,
/// indexes and statistics, may be damaged, too.
pub(super) fn surviving(open: &OpenPartition) -> Result<Vec<Part>> {
    let tolerate = |error: Error| {
        open.damage.tolerate(open.place(error), |e| open.snapshot.explain(e, Some(&open.partition)))
    };
    let file = match open.parquet() {
        Ok(file) => file,
        Err(error) => return tolerate(error).map(|()| Vec::new()),
    };
    let Some(file) = file else {
        let (rows, error) = open.partition.surviving_rows(&open.snapshot);
        error.map_or(Ok(()), tolerate)?;
        return Ok(if rows > 0 { vec![Part::native(RowSet::Range(0..rows))] } else { Vec::new() });
    };
    if let Some(shortfall) = file.shortfall() {
        open.damage.note(shortfall);
    }
    let groups = file.groups().iter().filter(|group| group.rows > 0);
    let rows = groups.map(|group| group.first_row..group.first_row.saturating_add(group.rows));
    Ok(rows.map(|rows| Part { rows: RowSet::Range(rows), narrow: None, pages: false, whole: true }).collect())
}

/// Finds the rows of row groups of which only some time is needed.
pub(super) fn resolve(open: &Arc<OpenPartition>, parts: Vec<Part>) -> Result<Vec<Part>> {
    let mut groups = GroupCache::default();
    let mut resolved = Vec::with_capacity(parts.len());
    for mut part in parts {
        match narrow(open, &mut part, None, &mut groups)? {
            Some(ranges) => {
                resolved.extend(ranges.into_iter().map(|range| Part::native(RowSet::Range(range))))
            }
            None => resolved.push(part),
        }
    }
    Ok(resolved)
}

/// The rows of a row group that are needed by their time and by the bounds of their pages; `None` for all.
pub(super) fn narrow(
    open: &OpenPartition,
    part: &mut Part,
    filter: Option<&CompiledFilter>,
    groups: &mut GroupCache,
) -> Result<Option<Vec<Range<u64>>>> {
    let (times, filter) = (part.narrow.take(), filter.filter(|_| std::mem::take(&mut part.pages)));
    let RowSet::Range(range) = &part.rows else { return Ok(None) };
    if times.is_none() && filter.is_none() {
        return Ok(None);
    }
    let Some(file) = open.parquet()? else { return Ok(None) };
    let mut find = || {
        let (position, group) = file.group_of(range.start)?;
        let in_time = match open.snapshot.timestamp().zip(times.as_ref()) {
            Some((timestamp, intervals)) => {
                let at = |row| groups.time(file, timestamp, position, row);
                Some(search(group.rows, intervals, file.source().path(), at)?)
            }
            None => None,
        };
        let in_pages = match filter {
            Some(filter) => filter.matching_rows(file, &open.snapshot, position, group.rows)?,
            None => None,
        };
        Ok(match (in_time, in_pages) {
            (Some(ranges), None) => Some(ranges),
            (Some(ranges), Some(pages)) => Some(ranges_of(&set_of(&ranges).intersect(&pages))),
            (None, pages) => pages.as_ref().map(ranges_of),
        })
    };
    let ranges = find().map_err(|e| open.place(e))?;
    let absolute = |r: Range<u64>| range.start + r.start..range.start + r.end;
    Ok(ranges.map(|ranges| ranges.into_iter().map(absolute).collect()))
}

fn set_of(ranges: &[Range<u64>]) -> IntervalSet {
    let number = |row: u64| i64::try_from(row).unwrap_or(i64::MAX);
    IntervalSet::union(ranges.iter().map(|r| IntervalSet::between(number(r.start), number(r.end) - 1)))
}

fn ranges_of(rows: &IntervalSet) -> Vec<Range<u64>> {
    rows.iter().map(|rows| rows.start.unsigned_abs()..rows.end.unsigned_abs() + 1).collect()
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
        parts.push(Part { rows, narrow, pages: table.filter.is_some(), whole: true });
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
    let at = |row: u64| Ok(source.load_u64(row.saturating_mul(8))? as i64);
    search(rows, intervals, source.path(), at).map_err(|e| e.in_column(&name))
}

/// The rows of each interval among the first `rows` timestamps of a file; `at` reads one.
fn search(
    rows: u64,
    intervals: &IntervalSet,
    path: &Path,
    mut at: impl FnMut(u64) -> Result<i64>,
) -> Result<Vec<Range<u64>>> {
    let (first, last) = (at(0)?, at(rows.saturating_sub(1))?);
    if first > last {
        return Err(Error::corrupt(
            "timestamps must ascend",
            format_args!("{first} or more in the last row"),
            last,
        )
        .at(rows.saturating_sub(1).saturating_mul(8))
        .in_file(path));
    }
    // The first row whose timestamp is not below `bound`.
    let mut lower_bound = |bound: i64, from: u64| {
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
    use crate::source::Source;

    fn find(values: &[i64], intervals: &[(i64, i64)]) -> Result<Vec<Range<u64>>> {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let set = IntervalSet::union(intervals.iter().map(|(a, b)| IntervalSet::between(*a, *b)));
        let file = Memory::new(bytes);
        search(values.len() as u64, &set, file.path(), |row| Ok(file.load_u64(row * 8)? as i64))
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
    fn rows_of_time_and_of_pages_meet() {
        let both = set_of(&[5..10, 20..30]).intersect(&IntervalSet::between(8, 24));
        assert_eq!(ranges_of(&both), [8..10, 20..25]);
        assert_eq!(ranges_of(&set_of(&[])), []);
    }

    #[test]
    fn descending_timestamps_are_refused() {
        assert!(find(&[3, 2, 1], &[(2, 2)]).is_err());
    }
}
