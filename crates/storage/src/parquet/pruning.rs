//! What a file tells about the values of its row groups and pages: statistics, indexes and bloom filters.
//!
//! Only orders that Parquet and QuestDB agree on are used: signed integers, floats (NaN is NULL, and in no statistics)
//! and the bytes of text. Geohashes, addresses, decimals and UUIDs have min and max too, in an order that depends on
//! the writer.

use std::sync::Arc;

use ::parquet::bloom_filter::Sbbf;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::statistics::Statistics;

use super::cache::GroupCache;
use super::chunk::{guarded, Stretch};
use super::file::ParquetFile;
use super::footer;
use super::page_index::{self, PageIndex};
use crate::error::Result;
use crate::source::Source;
use crate::types::ColumnType;

/// A bloom filter larger than this is not worth reading.
const LARGEST_BLOOM_FILTER: u64 = 32 << 20;

/// Smallest and largest value of a column chunk.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Range {
    Ints(i64, i64),
    Floats(f64, f64),
    /// UTF-8.
    Texts(Vec<u8>, Vec<u8>),
}

impl ParquetFile {
    /// Smallest and largest value of column `index` in a row group, when the footer has them.
    pub(crate) fn range(&self, index: usize, group: usize) -> Option<Range> {
        let (chunk, column_type) = self.chunk_of(index, group)?;
        range(chunk.statistics()?, column_type)
    }

    /// First and last value of the designated timestamp in a row group.
    pub fn time_range(&self, timestamp: usize, group: usize) -> Option<(i64, i64)> {
        match self.range(timestamp, group)? {
            Range::Ints(min, max) if min <= max => Some((min, max)),
            _ => None,
        }
    }

    /// First and last value of the designated timestamp in the file, from statistics or, without these, from the
    /// values themselves. `None` without rows.
    pub fn first_and_last(self: &Arc<Self>, timestamp: usize) -> Result<Option<(i64, i64)>> {
        let filled = || self.groups().iter().enumerate().filter(|(_, group)| group.rows > 0);
        let range = |position: usize, rows: u64| match self.time_range(timestamp, position) {
            Some(range) => Ok(Some(range)),
            None => {
                let mut cache = GroupCache::default();
                let mut at = |row: u64| cache.time(self, timestamp, position, row);
                Ok(Some((at(0)?, at(rows.saturating_sub(1))?)))
            }
        };
        let (Some((first, start)), Some((last, end))) = (filled().next(), filled().next_back()) else {
            return Ok(None);
        };
        Ok(range(first, start.rows)?.zip(range(last, end.rows)?).map(|(a, b)| (a.0, b.1)))
    }

    /// What is known of column `index` in a row group.
    pub(crate) fn known(&self, index: usize, group: usize) -> Option<Known<'_>> {
        let (chunk, column_type) = self.chunk_of(index, group)?;
        let rows = self.groups().get(group)?.rows;
        let exact_nulls = self.counts_nulls(chunk);
        Some(Known { column_type, statistics: chunk.statistics(), rows, exact_nulls })
    }

    /// The pages of column `index` in a row group and what is known of each; `None` when the file does not tell, or tells
    /// of one page only. Symbols are left out: ends of texts may be cut.
    pub(crate) fn known_pages(&self, index: usize, group: usize) -> Option<KnownPages> {
        let (chunk, column_type) = self.chunk_of(index, group)?;
        if column_type == ColumnType::Symbol {
            return None;
        }
        let pages = PageIndex::bounds(self.source(), chunk, self.groups().get(group)?.rows)?;
        let known = KnownPages { column_type, pages, exact_nulls: self.counts_nulls(chunk) };
        known.agree_with(chunk.statistics()).then_some(known)
    }

    /// Whether null counts are exact. The server's are; in other files a number can stand for NULL without being one.
    fn counts_nulls(&self, chunk: &ColumnChunkMetaData) -> bool {
        chunk.column_descr().max_def_level() == 1 && footer::is_of_server(self.metadata.metadata())
    }

    /// The bloom filter of a column chunk.
    pub(crate) fn bloom_filter(&self, index: usize, group: usize) -> Option<Sbbf> {
        let (chunk, _) = self.chunk_of(index, group)?;
        bloom_filter(self.source(), chunk)
    }

    fn chunk_of(&self, index: usize, group: usize) -> Option<(&ColumnChunkMetaData, ColumnType)> {
        let column = self.column(index)?;
        let group = self.groups().get(group)?;
        Some((self.chunk(column, group.index)?, column.column_type))
    }
}

/// The bloom filter of a column chunk. One that cannot be read is as good as none.
pub(crate) fn bloom_filter(source: &dyn Source, chunk: &ColumnChunkMetaData) -> Option<Sbbf> {
    let start = u64::try_from(chunk.bloom_filter_offset()?).ok()?;
    // Without a length the filter ends anywhere before the footer.
    let len = match chunk.bloom_filter_length() {
        Some(len) => u64::try_from(len).ok()?,
        None => source.len().saturating_sub(start).min(LARGEST_BLOOM_FILTER),
    };
    if len > LARGEST_BLOOM_FILTER {
        return None;
    }
    let stretch = Stretch::read(source, start, len, Vec::new()).ok()?;
    let filter = guarded("bloom filter", || Sbbf::read_from_column_chunk(chunk, &stretch)).ok()?;
    // One without bits cannot be asked.
    filter.filter(|filter| filter.num_blocks() > 0)
}

/// What is known of the values of a column chunk, or of one of its pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    column_type: ColumnType,
    statistics: Option<&'a Statistics>,
    rows: u64,
    exact_nulls: bool,
}

impl Known<'_> {
    /// Smallest and largest value.
    pub(crate) fn range(&self) -> Option<Range> {
        range(self.statistics?, self.column_type)
    }

    /// Whether every value is NULL.
    pub(crate) fn is_all_null(&self) -> bool {
        // The server counts rows above a column top as NULL also where they read as zero.
        !self.column_type.missing_is_zero() && self.nulls() == Some(self.rows)
    }

    /// Whether no value reads as NULL.
    pub(crate) fn has_no_null(&self) -> bool {
        self.exact_nulls && self.nulls() == Some(0)
    }

    fn nulls(&self) -> Option<u64> {
        self.statistics?.null_count_opt()
    }
}

/// The pages of a column chunk, and what is known of each.
#[derive(Debug)]
pub(crate) struct KnownPages {
    column_type: ColumnType,
    /// Rows, counted from the start of the row group.
    pages: Vec<(std::ops::Range<u64>, Statistics)>,
    exact_nulls: bool,
}

impl KnownPages {
    /// Each page: its rows, counted from the start of the row group, and what is known of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (std::ops::Range<u64>, Known<'_>)> {
        let Self { column_type, exact_nulls, .. } = *self;
        self.pages.iter().map(move |(rows, statistics)| {
            let statistics = Some(statistics);
            (rows.clone(), Known { column_type, statistics, rows: rows.end - rows.start, exact_nulls })
        })
    }

    /// Whether the bounds of the pages are together those of the column chunk; otherwise the index is of something else.
    fn agree_with(&self, chunk: Option<&Statistics>) -> bool {
        let Some(Range::Ints(min, max)) = chunk.and_then(|chunk| range(chunk, self.column_type)) else {
            return true;
        };
        let pages = self.iter().filter(|(_, page)| !page.is_all_null());
        let ints = |(_, page): (_, Known<'_>)| match page.range() {
            Some(Range::Ints(low, high)) => Some((low, high)),
            _ => None,
        };
        page_index::agree((min, max), pages.map(ints))
    }
}

/// Smallest and largest value of a `column_type` column by its statistics.
pub(crate) fn range(statistics: &Statistics, column_type: ColumnType) -> Option<Range> {
    use ColumnType::{Byte, Date, Double, Float, Int, Long, Short, Symbol, Timestamp};
    match (column_type, statistics) {
        // The server's statistics leave out the rows above a column top, which are 0 in the file.
        (Byte | Short, Statistics::Int32(s)) => {
            Some(Range::Ints(i64::from(*s.min_opt()?).min(0), i64::from(*s.max_opt()?).max(0)))
        }
        (Int, Statistics::Int32(s)) => Some(Range::Ints(i64::from(*s.min_opt()?), i64::from(*s.max_opt()?))),
        (Long | Date | Timestamp(_), Statistics::Int64(s)) => Some(Range::Ints(*s.min_opt()?, *s.max_opt()?)),
        (Float, Statistics::Float(s)) => {
            Some(Range::Floats(f64::from(*s.min_opt()?), f64::from(*s.max_opt()?)))
        }
        (Double, Statistics::Double(s)) => Some(Range::Floats(*s.min_opt()?, *s.max_opt()?)),
        (Symbol, Statistics::ByteArray(s)) => {
            // A largest text that was cut is smaller than the texts it stands for, unless the writer took care.
            let exact = s.min_is_exact() && s.max_is_exact();
            exact.then_some(Range::Texts(s.min_opt()?.data().to_vec(), s.max_opt()?.data().to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_orders_that_are_certain_are_used() {
        let ints = Statistics::int32(Some(-5), Some(7), None, Some(0), false);
        assert_eq!(range(&ints, ColumnType::Int), Some(Range::Ints(-5, 7)));
        let positive = Statistics::int32(Some(5), Some(7), None, Some(0), false);
        assert_eq!(
            range(&positive, ColumnType::Short),
            Some(Range::Ints(0, 7)),
            "rows above a column top are 0"
        );
        assert_eq!(range(&ints, ColumnType::Ipv4), None);
        assert_eq!(range(&ints, ColumnType::Geohash { bits: 20 }), None);
        assert_eq!(range(&ints, ColumnType::Long), None, "of another physical type");
        let half = Statistics::int64(Some(1), None, None, None, false);
        assert_eq!(range(&half, ColumnType::Long), None);
    }
}
