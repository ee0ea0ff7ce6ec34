//! A column chunk that was read: decoded in spans of its pages if it is of the usual kind, as a whole if it is not.

use std::ops::Range;

use super::column::GroupColumn;
use super::file::{FileColumn, ParquetFile, RowGroup};
use super::flat::{Decoded, FlatChunk};
use super::pool::Pool;
use super::{chunk, pages};
use crate::error::{Error, Result};
use crate::parquet::Stretch;
use crate::types::ColumnType;

/// A column chunk whose page headers were checked.
#[derive(Debug)]
pub(super) struct OpenChunk {
    /// Position of the column in the snapshot.
    index: usize,
    column: FileColumn,
    group: RowGroup,
    stretch: Stretch,
    /// `None` for a chunk that Arrow decodes.
    flat: Option<FlatChunk>,
}

impl OpenChunk {
    /// Checks the pages of a chunk, which is `stretch`, and decodes its dictionary.
    pub(super) fn new(file: &ParquetFile, index: usize, group: RowGroup, stretch: Stretch) -> Result<Self> {
        let (column, chunk) = file.column_chunk(index, group)?;
        let flat = !matches!(column.column_type, ColumnType::DoubleArray { .. });
        let pages = pages::walk(&stretch.bytes, flat.then_some(group.rows));
        let pages = pages.map_err(|e| e.shift_offset(stretch.start))?;
        let flat = match file.data_type(column) {
            Some(data_type) => {
                let bytes = (&stretch.bytes, pages);
                let symbols = file.symbols(index)?;
                FlatChunk::open(column.column_type, data_type, chunk, bytes, group.rows, symbols)
            }
            None => Ok(None),
        };
        let flat = flat.map_err(|e| place(e, &stretch, group))?;
        Ok(Self { index, column, group, stretch, flat })
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
        decoded.map_err(|e| place(e, &self.stretch, self.group))
    }

    fn decode_whole(&self, file: &ParquetFile) -> Result<GroupColumn> {
        let rows = usize::try_from(self.group.rows).unwrap_or(usize::MAX);
        let (root, group) = (self.column.root, self.group.index);
        let array = chunk::decode(self.stretch.clone(), &file.metadata, root, group, rows)?;
        let (column_type, ascending) = (self.column.column_type, self.column.designated);
        GroupColumn::new(column_type, ascending, &array, file.symbols(self.index)?, file.source.path())
    }

    /// The memory of its bytes, unless values refer to them.
    pub(super) fn into_memory(self) -> Option<Vec<u8>> {
        let Self { stretch, flat, .. } = self;
        drop(flat);
        stretch.bytes.is_unique().then(|| stretch.bytes.into())
    }
}

fn place(error: Error, stretch: &Stretch, group: RowGroup) -> Error {
    error.at(stretch.start).hint(format!("The damage is in row group {}.", group.index))
}
