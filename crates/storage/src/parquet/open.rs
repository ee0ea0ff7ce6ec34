//! A column chunk: decoded in spans of its pages if it is of the usual kind, as a whole if it is not.

use std::ops::Range;

use super::column::GroupColumn;
use super::file::{FileColumn, ParquetFile, RowGroup};
use super::flat::{Decoded, FlatChunk};
use super::pool::Pool;
use super::stored::Stored;
use super::{chunk, pages};
use crate::error::{Error, Result};
use crate::types::ColumnType;

/// A column chunk whose page headers were checked.
#[derive(Debug)]
pub(super) struct OpenChunk {
    /// Position of the column in the snapshot.
    index: usize,
    column: FileColumn,
    group: RowGroup,
    stored: Stored,
    /// `None` for a chunk that Arrow decodes.
    flat: Option<FlatChunk>,
}

impl OpenChunk {
    /// Checks the pages of a chunk, whose bytes are `stored`, and decodes its dictionary.
    pub(super) fn new(file: &ParquetFile, index: usize, group: RowGroup, stored: Stored) -> Result<Self> {
        let (column, chunk) = file.column_chunk(index, group)?;
        let flat = !matches!(column.column_type, ColumnType::DoubleArray { .. });
        let pages = pages::walk_stored(&stored, flat.then_some(group.rows));
        let pages = pages.map_err(|e| e.shift_offset(stored.start()))?;
        let flat = match file.data_type(column) {
            Some(data_type) => {
                let bytes = (&stored, pages);
                let symbols = file.symbols(index)?;
                FlatChunk::open(column.column_type, data_type, chunk, bytes, group.rows, symbols)
            }
            None => Ok(None),
        };
        let flat = flat.map_err(|e| place(e, &stored, group))?;
        Ok(Self { index, column, group, stored, flat })
    }

    /// Position of the column in the snapshot.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The span that has row `row` of the row group: its position, and its rows, counted from the start of the group.
    pub(super) fn span_of(&self, row: u64) -> Result<(usize, Range<u64>)> {
        let span = match &self.flat {
            Some(flat) => flat.span_of(row),
            None => Some((0, 0..self.group.rows)).filter(|_| row < self.group.rows),
        };
        span.ok_or_else(|| Error::invalid_input(format!("row group {} has no row {row}", self.group.index)))
    }

    /// Decodes the span at `position`.
    pub(super) fn decode(&self, file: &ParquetFile, position: usize, pool: &mut Pool) -> Result<Decoded> {
        let decoded = match &self.flat {
            Some(flat) => flat.decode(position, self.column.designated, file.source.path(), pool),
            None => self.decode_whole(file).map(|column| Decoded { column, memory: Vec::new() }),
        };
        decoded.map_err(|e| place(e, &self.stored, self.group))
    }

    fn decode_whole(&self, file: &ParquetFile) -> Result<GroupColumn> {
        let rows = usize::try_from(self.group.rows).unwrap_or(usize::MAX);
        let (root, group) = (self.column.root, self.group.index);
        let array = chunk::decode(self.stored.read()?, &file.metadata, root, group, rows)?;
        let (column_type, ascending) = (self.column.column_type, self.column.designated);
        GroupColumn::new(column_type, ascending, &array, file.symbols(self.index)?, file.source.path())
    }
}

fn place(error: Error, stored: &Stored, group: RowGroup) -> Error {
    error.at(stored.start()).hint(format!("The damage is in row group {}.", group.index))
}
