//! Where a column's rows of one partition come from.

use std::sync::Arc;

use bytemuck::Pod;

use crate::error::{Error, Result};
use crate::format::symbol_table::SymbolTable;
use crate::source::Source;

use super::sink::NestedDoubles;

/// The open files of a column in one native partition.
#[derive(Debug)]
pub struct ColumnSource {
    /// `.d`.
    pub data: Arc<dyn Source>,
    /// `.i`, for types of variable size.
    pub aux: Option<Arc<dyn Source>>,
    /// The table of a SYMBOL column.
    pub symbols: Option<Arc<SymbolTable>>,
    /// The designated timestamp: values must ascend.
    pub ascending: bool,
}

impl ColumnSource {
    /// The auxiliary file; its absence is a mistake of the caller.
    pub(crate) fn aux(&self) -> Result<&dyn Source> {
        self.aux
            .as_deref()
            .ok_or_else(|| Error::invalid_input("column was opened without its auxiliary file"))
    }

    /// Copies the fixed-width values of `rows` from the data file.
    pub(crate) fn read<T: Pod>(&self, rows: Rows<'_>, dst: &mut [T]) -> Result<()> {
        read_values(self.data.as_ref(), rows, dst)
    }
}

/// Stored rows to read: positions in the files, so a column top is already subtracted.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// `len` rows from `start` on.
    Range {
        /// First row.
        start: u64,
        /// Number of rows.
        len: usize,
    },
    /// These rows, ascending; `base` is subtracted from each.
    List {
        /// Row numbers.
        rows: &'a [u32],
        /// What to subtract.
        base: u32,
    },
}

impl Rows<'_> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Range { len, .. } => *len,
            Self::List { rows, .. } => rows.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// File position of the `i`-th row, for errors.
    pub fn position(&self, i: usize) -> u64 {
        match self {
            Self::Range { start, .. } => start.saturating_add(i as u64),
            Self::List { rows, base } => u64::from(rows.get(i).copied().unwrap_or(0).saturating_sub(*base)),
        }
    }
}

/// Copies fixed-width values of `rows` from `source` into `dst`, which has one slot per row.
pub(crate) fn read_values<T: Pod>(source: &dyn Source, rows: Rows<'_>, dst: &mut [T]) -> Result<()> {
    let width = size_of::<T>();
    let bytes = bytemuck::cast_slice_mut(dst);
    match rows {
        Rows::Range { start, .. } => source.read_into(start.saturating_mul(width as u64), bytes),
        Rows::List { rows, base: 0 } => source.gather(0, width, rows, bytes),
        Rows::List { rows, base } => {
            let shifted: Vec<u32> = rows.iter().map(|row| row.saturating_sub(base)).collect();
            source.gather(0, width, &shifted, bytes)
        }
    }
}

/// Buffers that decoders reuse from chunk to chunk.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Fixed-width values, offsets or entries.
    pub(crate) words: Vec<u64>,
    /// Raw data of variable size.
    pub(crate) bytes: Vec<u8>,
    /// Converted text.
    pub(crate) text: Vec<u8>,
    /// Start and length of each row in `text` or `bytes`; `u32::MAX` length is NULL.
    pub(crate) ranges: Vec<(u32, u32)>,
    /// Nested lists.
    pub(crate) doubles: NestedDoubles,
}

/// Length that marks NULL in [`Scratch::ranges`].
pub(crate) const NULL_RANGE: u32 = u32::MAX;

impl Scratch {
    /// `words` as values of `T`, filled from the fixed-width file of `source`.
    pub(crate) fn fixed<'s, T: Pod>(
        words: &'s mut Vec<u64>,
        source: &ColumnSource,
        rows: Rows<'_>,
    ) -> Result<&'s [T]> {
        Self::values(words, source.data.as_ref(), rows)
    }

    /// `words` as values of `T`, filled from `source`. Words are reused without being cleared.
    pub(crate) fn values<'s, T: Pod>(
        words: &'s mut Vec<u64>,
        source: &dyn Source,
        rows: Rows<'_>,
    ) -> Result<&'s [T]> {
        let needed = rows.len().saturating_mul(size_of::<T>()).div_ceil(8);
        if words.len() < needed {
            words.resize(needed, 0);
        }
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.as_mut_slice());
        let bytes = bytes.get_mut(..rows.len().saturating_mul(size_of::<T>())).unwrap_or_default();
        let values: &mut [T] = bytemuck::cast_slice_mut(bytes);
        read_values(source, rows, values)?;
        Ok(values)
    }
}
