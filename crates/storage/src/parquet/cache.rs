//! What one thread has decoded.

use std::ops::Range;
use std::sync::Arc;

use super::column::GroupColumn;
use super::file::ParquetFile;
use super::flat::Decoded;
use super::open::OpenChunk;
use super::pool::Pool;
use crate::error::{Error, Result};

/// The column chunks of one thread: per column the one that was used last, and of that the pages that were used last, so
/// that memory is bounded by some pages per column and thread, however large a row group is.
#[derive(Debug, Default)]
pub(crate) struct GroupCache {
    columns: Vec<ColumnCache>,
}

#[derive(Debug, Default)]
struct ColumnCache {
    span: Option<Span>,
    chunk: Option<Chunk>,
    /// Memory of the last span.
    pool: Pool,
}

#[derive(Debug)]
struct Chunk {
    file: Arc<ParquetFile>,
    group: usize,
    /// A failure stays one: a lenient scan asks again for each chunk of rows.
    open: Result<OpenChunk>,
}

#[derive(Debug)]
struct Span {
    rows: Range<u64>,
    decoded: Result<Decoded>,
}

impl GroupCache {
    /// Values of column `column` of row group `group` that include row `row` of the group, decoded on first use; and their
    /// rows, counted from the start of the group.
    pub(crate) fn values(
        &mut self,
        file: &Arc<ParquetFile>,
        column: usize,
        group: usize,
        row: u64,
    ) -> Result<(&GroupColumn, Range<u64>)> {
        if column >= self.columns.len() {
            self.columns.resize_with(column + 1, ColumnCache::default);
        }
        let missing = || Error::invalid_input(format!("table has no column {column}"));
        let cache = self.columns.get_mut(column).ok_or_else(missing)?;
        cache.open(file, column, group);
        cache.decode(row)?;
        let span = cache.span.as_ref().ok_or_else(missing)?;
        let decoded = span.decoded.as_ref().map_err(Clone::clone)?;
        Ok((&decoded.column, span.rows.clone()))
    }

    /// The timestamp of row `row` of row group `group`; `column` is the designated timestamp.
    pub(crate) fn time(
        &mut self,
        file: &Arc<ParquetFile>,
        column: usize,
        group: usize,
        row: u64,
    ) -> Result<i64> {
        let (values, rows) = self.values(file, column, group, row)?;
        let times = values.native();
        let times = times.ok_or_else(|| Error::invalid_input("timestamps are not of a fixed width"))?;
        Ok(times.load_u64(row.saturating_sub(rows.start).saturating_mul(8))? as i64)
    }

    /// The rows of the span of row `row`, also where its values cannot be decoded; without a chunk, all of the group.
    pub(crate) fn rows_around(&self, column: usize, row: u64) -> Option<Range<u64>> {
        let open = self.columns.get(column)?.chunk.as_ref()?.open.as_ref().ok()?;
        open.span_of(row).ok().map(|(_, rows)| rows)
    }
}

impl ColumnCache {
    /// Makes the chunk the one of row group `group`.
    fn open(&mut self, file: &Arc<ParquetFile>, column: usize, group: usize) {
        let is_open = |chunk: &Chunk| chunk.group == group && Arc::ptr_eq(&chunk.file, file);
        if self.chunk.as_ref().is_some_and(is_open) {
            return;
        }
        // The old chunk goes before the new one is made.
        self.forget_span();
        self.chunk = None;
        let open = file.open_chunk(column, group);
        self.chunk = Some(Chunk { file: Arc::clone(file), group, open });
    }

    /// Makes the span the one of row `row`.
    fn decode(&mut self, row: u64) -> Result<()> {
        if self.span.as_ref().is_some_and(|span| span.rows.contains(&row)) {
            return Ok(());
        }
        self.forget_span();
        let Some(Chunk { file, open, .. }) = &self.chunk else { return Ok(()) };
        let open = open.as_ref().map_err(Clone::clone)?;
        let (position, rows) = open.span_of(row)?;
        let decoded = file.decode_span(open, position, &mut self.pool);
        self.span = Some(Span { rows, decoded });
        Ok(())
    }

    fn forget_span(&mut self) {
        if let Some(Span { decoded: Ok(decoded), .. }) = self.span.take() {
            let Decoded { column, memory } = decoded;
            drop(column);
            memory.into_iter().for_each(|memory| self.pool.put(memory));
        }
    }
}
