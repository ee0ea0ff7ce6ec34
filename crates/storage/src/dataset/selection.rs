//! Which rows of a row group can satisfy the filter, as far as the indexes of its pages tell.

use std::ops::Range;

use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::statistics::Statistics;

use super::file::{ExportFile, FileColumn};
use super::pruning::{agrees, GroupColumn};
use crate::parquet::PageIndex;
use crate::scan::{Filter, IntervalSet};

/// The rows that can satisfy `filter`, given what `of` says about its parts.
pub(super) fn rows_of(
    filter: &Filter,
    all: &IntervalSet,
    of: &mut dyn FnMut(usize, &Filter) -> IntervalSet,
) -> IntervalSet {
    match filter {
        Filter::Unknown => all.clone(),
        Filter::And(parts) => {
            let mut rows = all.clone();
            for part in parts {
                if rows.is_empty() {
                    break;
                }
                rows = rows.intersect(&rows_of(part, all, of));
            }
            rows
        }
        Filter::Or(parts) => IntervalSet::union(parts.iter().map(|part| rows_of(part, all, of))),
        Filter::Compare { column, .. }
        | Filter::In { column, .. }
        | Filter::IsNull { column, .. }
        | Filter::StartsWith { column, .. } => of(*column, filter),
    }
}

/// A flat column of a row group with the bounds of its pages.
pub(super) struct ColumnPages<'a> {
    file: &'a ExportFile,
    column: &'a FileColumn,
    chunk: &'a ColumnChunkMetaData,
    pages: Vec<(Range<u64>, Statistics)>,
}

impl<'a> ColumnPages<'a> {
    /// `None` when the file does not tell.
    pub(super) fn read(
        file: &'a ExportFile,
        column: &'a FileColumn,
        chunk: &'a ColumnChunkMetaData,
        rows: u64,
    ) -> Option<Self> {
        let pages = PageIndex::bounds(file.source.as_ref(), chunk, rows)?;
        agrees(column, chunk.statistics(), &pages).then_some(Self { file, column, chunk, pages })
    }

    /// The rows of pages that can satisfy `condition`, which is on this column alone.
    pub(super) fn rows(&self, condition: &Filter) -> IntervalSet {
        IntervalSet::union(self.pages.iter().filter_map(|(rows, statistics)| {
            let page = GroupColumn {
                file: self.file,
                column: self.column,
                chunk: self.chunk,
                statistics: Some(statistics),
                rows: rows.end - rows.start,
                bloom_filters: false,
            };
            let last = i64::try_from(rows.end - 1).unwrap_or(i64::MAX);
            let first = i64::try_from(rows.start).unwrap_or(i64::MAX);
            page.may(condition).then(|| IntervalSet::between(first, last))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{CompareOp, Literal};

    #[test]
    fn rows_of_conditions_are_put_together() {
        let compare = |column| Filter::Compare { column, op: CompareOp::Eq, value: Literal::Int(1) };
        let all = IntervalSet::between(0, 99);
        let mut of = |column: usize, _: &Filter| match column {
            0 => IntervalSet::between(10, 39),
            1 => IntervalSet::union([IntervalSet::between(0, 19), IntervalSet::between(30, 99)]),
            _ => IntervalSet::none(),
        };
        let both = Filter::And(vec![compare(0), compare(1), Filter::Unknown]);
        let expected = IntervalSet::union([IntervalSet::between(10, 19), IntervalSet::between(30, 39)]);
        assert_eq!(rows_of(&both, &all, &mut of), expected);
        let any = Filter::Or(vec![compare(0), compare(2)]);
        assert_eq!(rows_of(&any, &all, &mut of), IntervalSet::between(10, 39));
        assert_eq!(rows_of(&Filter::Or(vec![compare(0), Filter::Unknown]), &all, &mut of), all);
        assert!(rows_of(&Filter::And(vec![compare(2), compare(0)]), &all, &mut of).is_empty());
    }
}
