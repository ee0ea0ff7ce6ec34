//! One thread's part of a scan.

use std::sync::Arc;

use ::parquet::file::metadata::ColumnChunkMetaData;

use super::compiled::CompiledFilter;
use super::morsel::{Buffers, Chunk, Morsel, Part, Piece, RowSet};
use super::needed::narrow;
use super::plan::Projected;
use super::scanner::Scanner;
use super::window::{FilterWindow, Mask, WINDOW};
use crate::error::{Error, Result};
use crate::parquet::RawGroup;
use crate::types::ColumnSink;

/// Windows in a row that may pass without a match before a chunk is returned all the same, so that the
/// caller can react to an interrupt.
const PATIENCE: usize = 256;

/// Turns morsels into chunks of at most a given number of rows, and decodes their columns.
#[derive(Debug)]
pub struct Reader {
    scanner: Arc<Scanner>,
    morsel: Option<Morsel>,
    /// Current piece of the morsel, and how much of it is done.
    piece: usize,
    done: usize,
    /// Windows without a match since the last chunk, over all morsels.
    fruitless: usize,
    window: FilterWindow,
    buffers: Buffers,
}

impl Reader {
    /// A reader for one thread.
    pub fn new(scanner: &Arc<Scanner>) -> Self {
        Self {
            scanner: Arc::clone(scanner),
            morsel: None,
            piece: 0,
            done: 0,
            fruitless: 0,
            window: FilterWindow::default(),
            buffers: Buffers::default(),
        }
    }

    /// Claims the next morsel, whose position in the order of rows it returns; `None` at the end. What is left of
    /// the present one is dropped.
    pub fn next_morsel(&mut self) -> Result<Option<u64>> {
        self.morsel = self.scanner.claim()?;
        (self.piece, self.done) = (0, 0);
        Ok(self.morsel.as_ref().map(|morsel| morsel.index))
    }

    /// The next chunk of the present morsel; `None` when it is used up.
    pub fn chunk_of_morsel(&mut self, max_rows: usize) -> Result<Option<Chunk>> {
        match self.morsel {
            Some(_) => self.next_in_morsel(max_rows),
            None => Ok(None),
        }
    }

    /// The next chunk of at most `max_rows` rows (at least 64), all of one morsel; `None` at the end.
    pub fn next_chunk(&mut self, max_rows: usize) -> Result<Option<Chunk>> {
        loop {
            if self.morsel.is_none() && self.next_morsel()?.is_none() {
                return Ok(None);
            }
            if let Some(chunk) = self.next_in_morsel(max_rows)? {
                return Ok(Some(chunk));
            }
        }
    }

    fn next_in_morsel(&mut self, max_rows: usize) -> Result<Option<Chunk>> {
        let Some(mut morsel) = self.morsel.take() else { return Ok(None) };
        let mut chunk = Chunk { morsel: morsel.index, ..Chunk::default() };
        if self.fill(&mut morsel, &mut chunk, max_rows)? {
            self.morsel = Some(morsel);
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        self.fruitless = 0;
        Ok(Some(chunk))
    }

    /// Adds rows of `morsel` to `chunk` until it is full enough; `false` when the morsel is used up.
    fn fill(&mut self, morsel: &mut Morsel, chunk: &mut Chunk, max_rows: usize) -> Result<bool> {
        let scanner = Arc::clone(&self.scanner);
        loop {
            self.narrow(morsel)?;
            let Some(piece) = morsel.pieces.get(self.piece) else { return Ok(false) };
            let all = &piece.part.rows;
            let left = all.len().saturating_sub(self.done);
            if left == 0 {
                self.piece += 1;
                self.done = 0;
                continue;
            }
            let room = max_rows.saturating_sub(chunk.len());
            let table = scanner.table(piece.partition.table)?;
            let Some(filter) = &table.filter else {
                if room == 0 {
                    return Ok(true);
                }
                let rows = slice(all, self.done, left.min(room));
                self.done += rows.len();
                chunk.push(&piece.partition, rows);
                continue;
            };
            // Half a chunk is enough: windows stay large.
            if room < max_rows.div_ceil(2) {
                return Ok(true);
            }
            let rows = slice(all, self.done, left.min(room).min(WINDOW));
            self.done += rows.len();
            let mask = self.test(filter, morsel, table.plan.raw_types, &rows)?;
            // Rows must not be left out because of values that were torn.
            piece.partition.check()?;
            match matching(&rows, &mask) {
                Some(matching) => chunk.push(&piece.partition, matching),
                None if self.fruitless >= PATIENCE && chunk.is_empty() => {
                    // Filters are hints, so a row that does not match does no harm.
                    chunk.push(&piece.partition, slice(&rows, 0, 1));
                    return Ok(true);
                }
                None => self.fruitless += 1,
            }
        }
    }

    /// Replaces a row group of which only some rows are needed by these.
    fn narrow(&mut self, morsel: &mut Morsel) -> Result<()> {
        let scanner = Arc::clone(&self.scanner);
        // Where no row is needed the next row group comes to stand here, and is looked at before any of it is read.
        while let Some(piece) = morsel.pieces.get_mut(self.piece) {
            let partition = Arc::clone(&piece.partition);
            let filter = scanner.table(partition.table)?.filter.as_ref();
            let Some(ranges) = narrow(&partition, &mut piece.part, filter, &mut self.buffers.groups)? else {
                return Ok(());
            };
            let pieces = ranges
                .into_iter()
                .map(|r| Piece { partition: Arc::clone(&partition), part: Part::native(RowSet::Range(r)) });
            morsel.pieces.splice(self.piece..=self.piece, pieces.collect::<Vec<_>>());
        }
        Ok(())
    }

    fn test(&mut self, filter: &CompiledFilter, morsel: &Morsel, raw: bool, rows: &RowSet) -> Result<Mask> {
        let Some(piece) = morsel.pieces.get(self.piece) else { return Ok([0; WINDOW / 64]) };
        filter.evaluate(&piece.partition, raw, rows, &mut self.window, &mut self.buffers)
    }

    /// The present morsel as the column chunks that its rows are, if they are a whole row group of a Parquet partition
    /// whose chunks are all `wanted` (asked with the position in the projection), after the position of its table. The morsel is used up then.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when a server has changed the partition; files that are damaged.
    pub fn raw_group(
        &mut self,
        wanted: impl Fn(usize, &ColumnChunkMetaData) -> bool,
    ) -> Result<Option<(usize, RawGroup)>> {
        let Some([piece]) = self.morsel.as_ref().map(|morsel| morsel.pieces.as_slice()) else {
            return Ok(None);
        };
        let (Some(file), RowSet::Range(rows), None) =
            (piece.partition.parquet()?, &piece.part.rows, &piece.part.narrow)
        else {
            return Ok(None);
        };
        let (position, group) = file.group_of(rows.start)?;
        if group.first_row != rows.start || group.rows != rows.end.saturating_sub(rows.start) {
            return Ok(None);
        }
        let projection = &self.scanner.table(piece.partition.table)?.plan.projection;
        let mut columns = Vec::with_capacity(projection.len());
        for (index, projected) in projection.iter().enumerate() {
            match projected {
                Projected::Column(column)
                    if file.chunk_metadata(*column, position).is_some_and(|chunk| wanted(index, chunk)) =>
                {
                    columns.push(*column);
                }
                _ => return Ok(None),
            }
        }
        let read = |column: usize| {
            let name = piece.partition.snapshot.columns().get(column).map_or("", |column| &column.name);
            let place = |e: Error| piece.partition.place(e.in_column(name).in_file(file.source().path()));
            let chunk = file.raw_chunk(column, position).map_err(place);
            chunk.map_err(|e| piece.partition.snapshot.explain(e, Some(&piece.partition.partition)))
        };
        let chunks = columns.into_iter().map(read).collect::<Result<Option<Vec<_>>>>()?;
        let Some(chunks) = chunks else { return Ok(None) };
        piece.partition.check()?;
        let table = piece.partition.table;
        self.morsel = None;
        Ok(Some((table, RawGroup { rows: group.rows, chunks })))
    }

    /// Whether the columns of `chunk` that were read belong to the snapshot: to be asked after reading the
    /// last one, and before any of them is used.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Conflict`] when a server has overwritten what was read.
    pub fn check(&self, chunk: &Chunk) -> Result<()> {
        // A chunk is of one table.
        match chunk.segments().first() {
            Some(first) if !first.snapshot().is_unchanged()? => {
                chunk.segments().iter().try_for_each(|segment| segment.partition.check())
            }
            _ => Ok(()),
        }
    }

    /// Appends column `index` of the projection, for all rows of `chunk`, to `sink`.
    pub fn read<S: ColumnSink>(&mut self, chunk: &Chunk, index: usize, sink: &mut S) -> Result<()> {
        for segment in chunk.segments() {
            let plan = &self.scanner.table(segment.table())?.plan;
            match plan.projection.get(index) {
                Some(Projected::Column(column)) => {
                    segment.partition.decode(
                        *column,
                        plan.raw_types,
                        &segment.rows,
                        &mut self.buffers,
                        sink,
                    )?;
                }
                Some(Projected::Missing) => sink.nulls(segment.rows.len())?,
                None => return Err(Error::invalid_input(format!("projection has no column {index}"))),
            }
        }
        Ok(())
    }
}

/// `len` rows of `set` from position `start` on.
fn slice(set: &RowSet, start: usize, len: usize) -> RowSet {
    match set {
        RowSet::Range(range) => {
            let first = range.start + start as u64;
            RowSet::Range(first..first + len as u64)
        }
        RowSet::List(rows) => RowSet::List(rows.get(start..start + len).unwrap_or_default().to_vec()),
    }
}

/// The rows of a window whose bit is set; all of them when nearly all are, because a contiguous copy is
/// cheaper than leaving a few out. `None` when there are none.
fn matching(rows: &RowSet, mask: &Mask) -> Option<RowSet> {
    let count: usize = mask.iter().map(|word| word.count_ones() as usize).sum();
    if count == 0 {
        return None;
    }
    // Lists hold 32-bit row numbers; rows beyond are returned unfiltered.
    let beyond = matches!(rows, RowSet::Range(range) if range.end > u64::from(u32::MAX));
    if beyond || count >= rows.len() - rows.len() / 8 {
        return Some(rows.clone());
    }
    let mut list = Vec::with_capacity(count);
    for (i, word) in mask.iter().enumerate() {
        let mut bits = *word;
        while bits != 0 {
            let position = i * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            match rows {
                RowSet::Range(range) => list.push((range.start + position as u64) as u32),
                RowSet::List(rows) => list.push(*rows.get(position)?),
            }
        }
    }
    Some(RowSet::List(list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_windows_become_lists_and_full_ones_stay_ranges() {
        let mut mask = [0u64; WINDOW / 64];
        assert!(matching(&RowSet::Range(100..164), &mask).is_none());
        mask[0] = 0b101;
        assert!(
            matches!(matching(&RowSet::Range(100..164), &mask), Some(RowSet::List(l)) if l == [100, 102])
        );
        mask[0] = u64::MAX;
        assert!(
            matches!(matching(&RowSet::Range(100..164), &mask), Some(RowSet::Range(r)) if r == (100..164))
        );
    }
}
