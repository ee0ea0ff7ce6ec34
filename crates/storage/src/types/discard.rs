//! A sink that takes values and forgets them: decoding is the check.

use std::sync::Arc;

use super::{ColumnSink, Fixed, HeapAddress, NestedDoubles, NullMask, StringSlots, View};
use crate::error::Result;
use crate::format::symbol_table::SymbolTable;

/// See the module. Its memory is reused.
#[derive(Debug, Default)]
pub(crate) struct Discard {
    /// Aligned for every fixed-width type.
    values: Vec<u128>,
    views: Vec<View>,
    heap: Vec<u8>,
    nulls: NullMask,
}

impl ColumnSink for Discard {
    fn fixed<T: Fixed>(
        &mut self,
        n: usize,
        fill: impl FnOnce(&mut [T]) -> Result<()>,
        _is_null: impl Fn(&T) -> bool,
    ) -> Result<()> {
        self.values.resize((n * size_of::<T>()).div_ceil(16), 0);
        let values: &mut [T] = bytemuck::cast_slice_mut(self.values.as_mut_slice());
        fill(values.get_mut(..n).unwrap_or_default())
    }

    fn strings(
        &mut self,
        n: usize,
        heap: usize,
        fill: impl FnOnce(&mut StringSlots<'_>) -> Result<()>,
    ) -> Result<()> {
        self.views.clear();
        self.views.resize(n, [0; 2]);
        self.heap.resize(heap, 0);
        self.nulls.clear();
        let address = HeapAddress { base: 0, shift: 32 };
        fill(&mut StringSlots::new(&mut self.views, &mut self.heap, address, &mut self.nulls))
    }

    fn symbols(
        &mut self,
        n: usize,
        _table: &Arc<SymbolTable>,
        fill: impl FnOnce(&mut [i32]) -> Result<()>,
    ) -> Result<()> {
        self.fixed::<i32>(n, fill, |_| false)
    }

    fn doubles(&mut self, _rows: &NestedDoubles) -> Result<()> {
        Ok(())
    }

    fn nulls(&mut self, _n: usize) -> Result<()> {
        Ok(())
    }
}
