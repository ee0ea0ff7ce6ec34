//! What one thread has decoded.

use std::sync::Arc;

use super::column::GroupColumn;
use super::file::ParquetFile;
use crate::error::{Error, Result};

/// The decoded column chunks of one thread: per column the one that was used last, so that memory is bounded by
/// one row group per thread, however large the partition is.
#[derive(Debug, Default)]
pub(crate) struct GroupCache {
    slots: Vec<Option<Slot>>,
    /// Memory of the last chunk's bytes.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Slot {
    file: Arc<ParquetFile>,
    group: usize,
    /// A failure stays one: a lenient scan asks again for each chunk.
    column: Result<GroupColumn>,
}

impl GroupCache {
    /// Column `column` of row group `group`, decoded on first use.
    pub(crate) fn column(
        &mut self,
        file: &Arc<ParquetFile>,
        column: usize,
        group: usize,
    ) -> Result<&GroupColumn> {
        if column >= self.slots.len() {
            self.slots.resize_with(column + 1, || None);
        }
        let missing = || Error::invalid_input(format!("table has no column {column}"));
        let slot = self.slots.get_mut(column).ok_or_else(missing)?;
        if !slot.as_ref().is_some_and(|slot| slot.group == group && Arc::ptr_eq(&slot.file, file)) {
            // The old chunk goes before the new one is made.
            *slot = None;
            let decoded = file.decode(column, group, &mut self.buffer);
            *slot = Some(Slot { file: Arc::clone(file), group, column: decoded });
        }
        slot.as_ref().ok_or_else(missing)?.column.as_ref().map_err(Clone::clone)
    }
}
