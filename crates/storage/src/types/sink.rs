//! The seam between decoders and their two destinations.

use std::sync::Arc;

use bytemuck::Pod;

use crate::error::Result;
use crate::format::symbol_table::SymbolTable;

/// A plain fixed-width value.
pub trait Fixed: Pod + Default + PartialEq + Send + Sync {}

impl<T: Pod + Default + PartialEq + Send + Sync> Fixed for T {}

/// Collects the rows of one column; each call appends `n` rows.
///
/// The sink owns the destination memory and lends it to the decoder, so that values are copied from the
/// file straight to where they are used.
pub trait ColumnSink {
    /// Appends fixed-width values: `fill` writes them, `is_null` tells which of them mean NULL.
    fn fixed<T: Fixed>(
        &mut self,
        n: usize,
        fill: impl FnOnce(&mut [T]) -> Result<()>,
        is_null: impl Fn(&T) -> bool,
    ) -> Result<()>;

    /// Appends strings (or blobs) whose bytes beyond inline ones fill `heap` bytes.
    fn strings(
        &mut self,
        n: usize,
        heap: usize,
        fill: impl FnOnce(&mut StringSlots<'_>) -> Result<()>,
    ) -> Result<()>;

    /// Appends symbol keys; `fill` leaves only keys of `table` and `i32::MIN` for NULL.
    fn symbols(
        &mut self,
        n: usize,
        table: &Arc<SymbolTable>,
        fill: impl FnOnce(&mut [i32]) -> Result<()>,
    ) -> Result<()>;

    /// Appends nested lists.
    fn doubles(&mut self, rows: &NestedDoubles) -> Result<()>;

    /// Appends `n` NULLs.
    fn nulls(&mut self, n: usize) -> Result<()>;
}

/// A string as DuckDB's `string_t` and Arrow's string views hold it: length and first four bytes, then
/// either the rest (up to 12 bytes in all) or where the bytes are.
pub type View = [u64; 2];

/// Longest string that a view holds itself.
pub const INLINE: usize = 12;

/// How a view names a place on the heap: `base + (offset << shift)`.
#[derive(Debug, Clone, Copy)]
pub struct HeapAddress {
    /// An address, or a buffer number.
    pub base: u64,
    /// 0 for addresses, 32 for offsets behind a buffer number.
    pub shift: u32,
}

/// Rows marked as NULL: bit set = NULL. Words are created on the first mark.
#[derive(Debug, Default)]
pub struct NullMask {
    words: Vec<u64>,
}

impl NullMask {
    /// Forgets all marks.
    pub fn clear(&mut self) {
        self.words.clear();
    }

    /// Marks row `row`.
    #[inline]
    pub fn set(&mut self, row: usize) {
        self.set_word(row / 64, 1 << (row % 64));
    }

    /// Marks the rows of word `index` (64 rows) whose bit is set.
    #[inline]
    pub fn set_word(&mut self, index: usize, bits: u64) {
        if bits == 0 {
            return;
        }
        if index >= self.words.len() {
            self.words.resize(index + 1, 0);
        }
        if let Some(word) = self.words.get_mut(index) {
            *word |= bits;
        }
    }

    /// Whether any row is marked.
    pub fn any(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether row `row` is marked.
    pub fn get(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 != 0)
    }

    /// The marked rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
                word &= word - 1;
                Some(i * 64 + bit)
            })
        })
    }

    /// Marks the rows whose value `is_null`. The common case, none, costs one vectorised pass.
    pub fn mark<T>(&mut self, values: &[T], is_null: impl Fn(&T) -> bool) {
        if !values.iter().fold(false, |any, v| any | is_null(v)) {
            return;
        }
        for (row, value) in values.iter().enumerate() {
            if is_null(value) {
                self.set(row);
            }
        }
    }
}

/// Strings being written: one view per row, and the heap for those that do not fit in a view.
#[derive(Debug)]
pub struct StringSlots<'a> {
    views: &'a mut [View],
    heap: &'a mut [u8],
    used: usize,
    address: HeapAddress,
    nulls: &'a mut NullMask,
}

impl<'a> StringSlots<'a> {
    /// Lends a sink's memory to a decoder. All views must be zero or overwritten by the decoder.
    pub fn new(
        views: &'a mut [View],
        heap: &'a mut [u8],
        address: HeapAddress,
        nulls: &'a mut NullMask,
    ) -> Self {
        Self { views, heap, used: 0, address, nulls }
    }

    /// The whole heap, to be filled in bulk and then named by [`Self::set_range`].
    pub fn heap(&mut self) -> &mut [u8] {
        self.heap
    }

    /// Views, heap and null marks, for decoders that build views themselves.
    pub fn parts(&mut self) -> (&mut [View], &[u8], HeapAddress, &mut NullMask) {
        (self.views, self.heap, self.address, self.nulls)
    }

    /// Row `row` is `heap[start .. start + len]`; out-of-range parts read as the empty string.
    #[inline]
    pub fn set_range(&mut self, row: usize, start: usize, len: usize) {
        let bytes = self.heap.get(start..start.saturating_add(len)).unwrap_or_default();
        let view = if bytes.len() <= INLINE { inline(bytes) } else { long(bytes, self.address, start) };
        self.set_view(row, view);
    }

    /// Row `row` is the text in the heap from `start` on whose length and first four bytes are `head`.
    #[inline]
    pub fn set_long(&mut self, row: usize, head: u64, start: usize) {
        let len = head as u32 as usize;
        let inside = start.checked_add(len).is_some_and(|end| end <= self.heap.len());
        let start = (start as u64) << self.address.shift;
        self.set_view(row, if inside { [head, self.address.base.wrapping_add(start)] } else { [0, 0] });
    }

    /// Row `row` is a copy of `bytes`; there must be heap left for those longer than [`INLINE`].
    #[inline]
    pub fn push(&mut self, row: usize, bytes: &[u8]) {
        if bytes.len() <= INLINE {
            self.set_view(row, inline(bytes));
        } else if let Some(slot) = self.heap.get_mut(self.used..self.used.saturating_add(bytes.len())) {
            copy(slot, bytes);
            self.set_view(row, long(bytes, self.address, self.used));
            self.used += bytes.len();
        }
    }

    /// Row `row` is this finished view of at most [`INLINE`] bytes.
    #[inline]
    pub fn set_view(&mut self, row: usize, view: View) {
        if let Some(slot) = self.views.get_mut(row) {
            *slot = view;
        }
    }

    /// Row `row` is NULL.
    #[inline]
    pub fn set_null(&mut self, row: usize) {
        self.set_view(row, [0, 0]);
        self.nulls.set(row);
    }
}

/// Copies `bytes` to `slot`, which is as long. Up to 32 bytes are two words that overlap, which is faster than a call.
#[inline]
fn copy(slot: &mut [u8], bytes: &[u8]) {
    fn ends<const N: usize>(slot: &mut [u8], bytes: &[u8]) -> Option<()> {
        let (first, last) = (bytes.first_chunk::<N>()?, bytes.last_chunk::<N>()?);
        *slot.first_chunk_mut::<N>()? = *first;
        *slot.last_chunk_mut::<N>()? = *last;
        Some(())
    }
    let copied = match bytes.len() {
        8..=16 => ends::<8>(slot, bytes),
        17..=32 => ends::<16>(slot, bytes),
        _ => None,
    };
    if copied.is_none() {
        slot.copy_from_slice(bytes);
    }
}

/// The view of a short string.
#[inline]
pub(crate) fn inline(bytes: &[u8]) -> View {
    let mut padded = [0u8; 16];
    if let Some(slot) = padded.get_mut(..bytes.len().min(INLINE)) {
        slot.copy_from_slice(bytes.get(..slot.len()).unwrap_or_default());
    }
    let text = u128::from_le_bytes(padded);
    [bytes.len() as u64 | (text as u64) << 32, (text >> 32) as u64]
}

#[inline]
fn long(bytes: &[u8], address: HeapAddress, start: usize) -> View {
    let prefix = bytes.first_chunk::<4>().map_or(0, |p| u32::from_le_bytes(*p));
    [bytes.len() as u64 | u64::from(prefix) << 32, address.base.wrapping_add((start as u64) << address.shift)]
}

/// Rows of nested lists: `levels[0]` has one (offset, length) per row that points into `levels[1]`, and so
/// on; the last level points into `values`. A NaN is a NULL element.
#[derive(Debug, Default)]
pub struct NestedDoubles {
    /// Depth first: offset and length of each list.
    pub levels: Vec<Vec<(u64, u64)>>,
    /// All elements.
    pub values: Vec<f64>,
    /// Rows that are NULL.
    pub nulls: NullMask,
}

impl NestedDoubles {
    /// Empties the rows and sets the depth.
    pub fn reset(&mut self, dims: usize) {
        self.levels.resize_with(dims, Vec::new);
        self.levels.iter_mut().for_each(Vec::clear);
        self.values.clear();
        self.nulls.clear();
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_hold_short_strings_and_name_long_ones() {
        assert_eq!(inline(b"abc"), [3 | u64::from(u32::from_le_bytes(*b"abc\0")) << 32, 0]);
        let (mut views, mut heap, mut nulls) = ([[0; 2]; 3], [0u8; 13], NullMask::default());
        let mut slots =
            StringSlots::new(&mut views, &mut heap, HeapAddress { base: 7, shift: 32 }, &mut nulls);
        slots.push(0, b"exactly12byt");
        slots.push(1, b"thirteen byte");
        slots.set_null(2);
        assert_eq!(views[0][1], u64::from_le_bytes(*b"tly12byt"));
        assert_eq!(views[1], [13 | u64::from(u32::from_le_bytes(*b"thir")) << 32, 7]);
        assert_eq!(nulls.iter().collect::<Vec<_>>(), [2]);
        assert_eq!(&heap, b"thirteen byte");
    }

    #[test]
    fn texts_of_every_length_are_copied_whole() {
        let text: Vec<u8> = (0..70).collect();
        for len in 13..text.len() {
            let (mut views, mut heap, mut nulls) = ([[0; 2]; 1], vec![0xff; len], NullMask::default());
            let address = HeapAddress { base: 0, shift: 0 };
            StringSlots::new(&mut views, &mut heap, address, &mut nulls).push(0, &text[..len]);
            assert_eq!(heap, text[..len]);
        }
    }

    #[test]
    fn masks_mark_only_what_is_null() {
        let mut mask = NullMask::default();
        mask.mark(&[1, 2, 3], |v| *v == 9);
        assert!(!mask.any());
        let values: Vec<i32> = (0..200).collect();
        mask.mark(&values, |v| v % 63 == 0);
        assert_eq!(mask.iter().collect::<Vec<_>>(), [0, 63, 126, 189]);
        assert!(mask.get(126) && !mask.get(127) && !mask.get(10_000));
    }
}
