//! Texts and blobs of a decoded chunk, as Arrow's views.

use arrow_array::types::ByteViewType;
use arrow_array::{Array, GenericByteViewArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};

use crate::error::{Error, Result};
use crate::types::{ColumnSink, Rows, StringSlots, INLINE};

/// Texts or blobs.
#[derive(Debug)]
pub(crate) struct Views {
    /// 0 where NULL.
    views: ScalarBuffer<u128>,
    buffers: Vec<Buffer>,
    nulls: Option<NullBuffer>,
    /// The texts that are not in their views lie in the buffers in the order of rows.
    in_order: bool,
}

impl Views {
    pub(super) fn new<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Self {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0).cloned();
        let views = match &nulls {
            None => array.views().clone(),
            Some(nulls) => {
                array.views().iter().zip(nulls).map(|(view, valid)| if valid { *view } else { 0 }).collect()
            }
        };
        Self::from_parts(views, array.data_buffers().to_vec(), nulls, false)
    }

    /// Views into `buffers`, 0 where `nulls` says so. `in_order` promises that their texts follow each other in the buffers.
    pub(super) fn from_parts(
        views: ScalarBuffer<u128>,
        buffers: Vec<Buffer>,
        nulls: Option<NullBuffer>,
        in_order: bool,
    ) -> Self {
        Self { views, buffers, nulls, in_order }
    }

    /// The view of a row; `None` for NULL.
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<u128> {
        self.views.get(row).copied().filter(|_| !self.is_null(row))
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| !nulls.is_valid(row))
    }

    /// The bytes of a view that does not hold them itself.
    #[inline]
    pub(super) fn stored(&self, view: u128) -> &[u8] {
        let (len, buffer, start) = parts(view);
        let buffer = self.buffers.get(buffer).map(Buffer::as_slice).unwrap_or_default();
        buffer.get(start..start.saturating_add(len)).unwrap_or_default()
    }

    /// Appends `rows` to `sink`.
    pub(super) fn read<S: ColumnSink>(&self, rows: Rows<'_>, sink: &mut S) -> Result<()> {
        match rows {
            Rows::Range { start, len } => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let views = self.views.get(start..start.saturating_add(len));
                let views = views.ok_or_else(|| Error::invalid_input("rows are not those of the page"))?;
                let nulls = self.nulls.as_ref().map(|nulls| nulls.slice(start, len));
                let mark = |slots: &mut StringSlots<'_>| {
                    if let Some(nulls) = &nulls {
                        mark_nulls(nulls, slots);
                    }
                };
                self.append(views, self.together(views), mark, sink)
            }
            Rows::List { rows, base } => {
                let row = |row: &u32| row.saturating_sub(base) as usize;
                let view = |at: &u32| self.views.get(row(at)).copied().unwrap_or_default();
                let views: Vec<u128> = rows.iter().map(view).collect();
                let mark = |slots: &mut StringSlots<'_>| {
                    if self.nulls.is_some() {
                        let nulls = rows.iter().enumerate().filter(|(_, at)| self.is_null(row(at)));
                        nulls.for_each(|(slot, _)| slots.set_null(slot));
                    }
                };
                self.append(&views, None, mark, sink)
            }
        }
    }

    /// The bytes that all texts of `views` lie in, if they lie close together, and their place in the buffer.
    fn together(&self, views: &[u128]) -> Option<(&[u8], usize)> {
        let mut long = views.iter().filter(|view| is_long(**view));
        let (_, buffer, start) = parts(*long.next().filter(|_| self.in_order)?);
        let (len, last_buffer, last) = parts(*long.next_back()?);
        let bytes = self.buffers.get(buffer).filter(|_| buffer == last_buffer)?;
        Some((bytes.get(start..last.checked_add(len)?)?, start))
    }

    fn append<S: ColumnSink>(
        &self,
        views: &[u128],
        together: Option<(&[u8], usize)>,
        mark_nulls: impl FnOnce(&mut StringSlots<'_>),
        sink: &mut S,
    ) -> Result<()> {
        let len = |view: &u128| if is_long(*view) { *view as u32 as usize } else { 0 };
        let bytes = views.iter().map(len).sum();
        // Texts of a page are copied as they lie there, with the lengths and the short texts between them.
        let together = together.filter(|(all, _)| all.len() / 2 <= bytes);
        sink.strings(views.len(), together.map_or(bytes, |(all, _)| all.len()), |slots| {
            if let Some((all, _)) = together {
                slots.heap().copy_from_slice(all);
            }
            for (slot, view) in views.iter().enumerate() {
                if !is_long(*view) {
                    slots.set_view(slot, [*view as u64, (*view >> 64) as u64]);
                } else if let Some((_, first)) = together {
                    slots.set_long(slot, *view as u64, parts(*view).2.wrapping_sub(first));
                } else {
                    slots.push(slot, self.stored(*view));
                }
            }
            mark_nulls(slots);
            Ok(())
        })
    }
}

/// Whether a view does not hold its text itself.
#[inline]
fn is_long(view: u128) -> bool {
    view as u32 as usize > INLINE
}

/// Length, buffer and first byte of a long text.
#[inline]
fn parts(view: u128) -> (usize, usize, usize) {
    (view as u32 as usize, (view >> 64) as u32 as usize, (view >> 96) as usize)
}

/// Marks 64 rows at a time; their views are 0 already.
fn mark_nulls(nulls: &NullBuffer, slots: &mut StringSlots<'_>) {
    let chunks = nulls.inner().bit_chunks();
    let (_, _, _, mask) = slots.parts();
    chunks.iter().enumerate().for_each(|(i, valid)| mask.set_word(i, !valid));
    let rest = (1u64 << chunks.remainder_len()) - 1;
    mask.set_word(chunks.chunk_len(), !chunks.remainder_bits() & rest);
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::StringViewArray;

    use super::*;
    use crate::arrow::ArrowSink;
    use crate::parquet::values::text_views;
    use crate::types::ValueType;

    fn read(views: &Views, rows: Rows<'_>) -> Vec<Option<String>> {
        let mut sink = ArrowSink::new(ValueType::Text);
        views.read(rows, &mut sink).unwrap();
        let array = sink.finish().unwrap();
        array.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn text(row: usize) -> Option<String> {
        match row % 5 {
            0 => None,
            1 => Some(format!("short {row}")),
            _ => Some(format!("a text that is too long for its view, number {row}")),
        }
    }

    fn expected(rows: impl Iterator<Item = usize>) -> Vec<Option<String>> {
        rows.map(text).collect()
    }

    /// A page of `rows` rows as the decoder makes it.
    fn page(rows: usize) -> Views {
        let mut bytes = Vec::new();
        for text in (0..rows).filter_map(text) {
            bytes.extend((text.len() as u32).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let (mut stored, valid) = (Vec::new(), (0..rows).map(|row| text(row).is_some()).collect::<Vec<_>>());
        text_views(&bytes, valid.iter().filter(|valid| **valid).count(), 0, &mut stored).unwrap();
        let mut stored = stored.into_iter();
        let views: Vec<u128> =
            valid.iter().map(|valid| if *valid { stored.next().unwrap() } else { 0 }).collect();
        Views::from_parts(views.into(), vec![Buffer::from_vec(bytes)], Some(valid.into()), true)
    }

    #[test]
    fn ranges_and_lists_of_a_page_give_its_texts() {
        let views = page(300);
        for (start, len) in [(0, 300), (7, 130), (64, 64), (299, 1), (5, 0), (1, 1)] {
            let rows = Rows::Range { start: start as u64, len };
            assert_eq!(read(&views, rows), expected(start..start + len), "{start} {len}");
        }
        let list = [3, 4, 100, 255, 299].map(|row| row + 1000);
        let found = read(&views, Rows::List { rows: &list, base: 1000 });
        assert_eq!(found, expected([3, 4, 100, 255, 299].into_iter()));
    }

    #[test]
    fn texts_that_are_in_no_order_are_copied_one_by_one() {
        let array: StringViewArray = (0..100).rev().map(text).collect();
        let views = Views::new(&array);
        assert_eq!(read(&views, Rows::Range { start: 0, len: 100 }), expected((0..100).rev()));
    }

    #[test]
    fn rows_beyond_the_page_are_an_error() {
        let mut sink = ArrowSink::new(ValueType::Text);
        assert!(page(10).read(Rows::Range { start: 5, len: 6 }, &mut sink).is_err());
    }
}
