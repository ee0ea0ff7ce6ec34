//! Offset index and column index of a column chunk: where its data pages are, which rows they hold, what they hold at
//! most. An index that cannot be true is as good as none; one that is true makes nothing wrong and much faster.

use std::any::Any;
use std::ops::Range;

use ::parquet::data_type::{ByteArray, FixedLenByteArray};
use ::parquet::file::metadata::page_index::PageIndexProvider;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::page_index::column_index::ColumnIndexMetaData;
use ::parquet::file::page_index::index_reader::{decode_column_index, decode_offset_index};
use ::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use ::parquet::file::statistics::Statistics;

use super::chunk::guarded;
use crate::error::{Error, Result};
use crate::source::Source;

/// Indexes above this are not worth reading. Decoded they take up to 32 times as much.
const LARGEST_INDEX: u64 = 2 << 20;

/// Bytes of a page's place in an offset index, at least.
const SMALLEST_PLACE: usize = 7;

/// The data pages of a column chunk.
#[derive(Debug)]
pub(crate) struct PageIndex {
    offsets: OffsetIndexMetaData,
    /// Bytes and rows of each page; rows count from the start of the row group.
    pages: Vec<(Range<u64>, Range<u64>)>,
}

/// The bytes of a column chunk in its file, from the dictionary page on.
pub(crate) fn chunk_bytes(chunk: &ColumnChunkMetaData) -> Range<u64> {
    let start = chunk.dictionary_page_offset().filter(|offset| *offset > 0);
    let start = u64::try_from(start.unwrap_or_else(|| chunk.data_page_offset())).unwrap_or(u64::MAX);
    start..start.saturating_add(u64::try_from(chunk.compressed_size()).unwrap_or(u64::MAX))
}

impl PageIndex {
    /// The index of a chunk in a row group of `rows` rows; `None` without one that can be true.
    pub(crate) fn read(source: &dyn Source, chunk: &ColumnChunkMetaData, rows: u64) -> Option<Self> {
        let bytes = index_bytes(source, chunk.offset_index_range()?)?;
        let offsets = offsets(&bytes).ok()?;
        let inside = chunk_bytes(chunk);
        let mut pages = Vec::with_capacity(offsets.page_locations().len());
        let (mut free, mut next_row) = (inside.start, 0);
        for (number, place) in offsets.page_locations().iter().enumerate() {
            let start = u64::try_from(place.offset).ok().filter(|start| *start >= free)?;
            let size = u64::try_from(place.compressed_page_size).ok().filter(|size| *size > 0)?;
            free = start.checked_add(size).filter(|end| *end <= inside.end)?;
            let first = u64::try_from(place.first_row_index).ok().filter(|first| *first == next_row)?;
            let following = offsets.page_locations().get(number + 1);
            let end = following.map_or(Some(rows), |next| u64::try_from(next.first_row_index).ok())?;
            next_row = Some(end).filter(|end| *end > first && *end <= rows)?;
            pages.push((start..free, first..next_row));
        }
        (next_row == rows).then_some(Self { offsets, pages })
    }

    /// Bytes and rows of each page.
    pub(crate) fn pages(&self) -> &[(Range<u64>, Range<u64>)] {
        &self.pages
    }

    /// Rows of each page of a flat column, and what the column index says of it; `None` without an index that can be true, and
    /// for a single page, of which it says what the chunk's statistics do.
    pub(crate) fn bounds(
        source: &dyn Source,
        chunk: &ColumnChunkMetaData,
        rows: u64,
    ) -> Option<Vec<(Range<u64>, Statistics)>> {
        let index = Self::read(source, chunk, rows).filter(|index| index.pages.len() > 1)?;
        let statistics = index.statistics(source, chunk)?;
        Some(index.pages.into_iter().map(|(_, rows)| rows).zip(statistics).collect())
    }

    fn statistics(&self, source: &dyn Source, chunk: &ColumnChunkMetaData) -> Option<Vec<Statistics>> {
        let bytes = index_bytes(source, chunk.column_index_range()?)?;
        let index = guarded("column index", || decode_column_index(&bytes, chunk.column_type())).ok()?;
        if index.num_pages() != self.pages.len() as u64 {
            return None;
        }
        let page = |(number, (_, rows)): (usize, &(Range<u64>, Range<u64>))| {
            let rows = rows.end - rows.start;
            let nulls = match index.null_counts() {
                Some(counts) => {
                    Some(u64::try_from(*counts.get(number)?).ok().filter(|nulls| *nulls <= rows)?)
                }
                None => None,
            };
            match (index.is_null_page(number), nulls) {
                (true, None) => Some(statistics(&index, number, Some(rows))),
                (null_page, Some(nulls)) if null_page != (nulls == rows) => None,
                (_, nulls) => Some(statistics(&index, number, nulls)),
            }
        };
        self.pages.iter().enumerate().map(page).collect()
    }
}

/// Whether the bounds of pages are together those of their column chunk. Pages of which it is not true, or whose bounds
/// are not known, are described by an index of something else.
pub(crate) fn agree<T: Ord + Copy>(chunk: (T, T), pages: impl IntoIterator<Item = Option<(T, T)>>) -> bool {
    let mut whole: Option<(T, T)> = None;
    for page in pages {
        let Some((low, high)) = page else { return false };
        whole = Some(whole.map_or((low, high), |(min, max)| (min.min(low), max.max(high))));
    }
    whole == Some(chunk)
}

fn statistics(index: &ColumnIndexMetaData, page: usize, nulls: Option<u64>) -> Statistics {
    use ColumnIndexMetaData as Index;
    match index {
        Index::BOOLEAN(i) => {
            Statistics::boolean(i.min_value(page).copied(), i.max_value(page).copied(), None, nulls, false)
        }
        Index::INT32(i) => {
            Statistics::int32(i.min_value(page).copied(), i.max_value(page).copied(), None, nulls, false)
        }
        Index::INT64(i) => {
            Statistics::int64(i.min_value(page).copied(), i.max_value(page).copied(), None, nulls, false)
        }
        Index::INT96(_) => Statistics::int96(None, None, None, nulls, false),
        Index::FLOAT(i) => {
            Statistics::float(i.min_value(page).copied(), i.max_value(page).copied(), None, nulls, false)
        }
        Index::DOUBLE(i) => {
            Statistics::double(i.min_value(page).copied(), i.max_value(page).copied(), None, nulls, false)
        }
        Index::BYTE_ARRAY(i) => {
            let bytes = |bytes: Option<&[u8]>| bytes.map(|bytes| ByteArray::from(bytes.to_vec()));
            Statistics::byte_array(bytes(i.min_value(page)), bytes(i.max_value(page)), None, nulls, false)
        }
        Index::FIXED_LEN_BYTE_ARRAY(i) => {
            let bytes = |bytes: Option<&[u8]>| bytes.map(|b| FixedLenByteArray::from(b.to_vec()));
            let (min, max) = (bytes(i.min_value(page)), bytes(i.max_value(page)));
            Statistics::fixed_len_byte_array(min, max, None, nulls, false)
        }
    }
}

fn index_bytes(source: &dyn Source, range: Range<u64>) -> Option<Vec<u8>> {
    let size = range.end.checked_sub(range.start).filter(|size| *size <= LARGEST_INDEX)?;
    if range.end > source.len() {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    source.read_into(range.start, &mut bytes).ok()?;
    Some(bytes)
}

/// Decodes an offset index.
pub(super) fn offsets(bytes: &[u8]) -> Result<OffsetIndexMetaData> {
    if !has_room(bytes) {
        let room = format!("as many as {} bytes have room for", bytes.len());
        return Err(Error::corrupt("offset index has an impossible number of pages", room, "more"));
    }
    guarded("offset index", || decode_offset_index(bytes))
}

/// Whether an offset index has room for as many places as it says: the decoder allocates by that number.
fn has_room(bytes: &[u8]) -> bool {
    // Of a list as the first field the decoder trusts the length, of any other it does not.
    let [0x19, header, rest @ ..] = bytes else { return true };
    let mut places = usize::from(header >> 4);
    if places == 15 {
        let mut shift = 0;
        places = 0;
        for byte in rest.iter().take(5) {
            places |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if *byte < 0x80 {
                break;
            }
        }
    }
    places <= rest.len() / SMALLEST_PLACE
}

/// The offset indexes of the columns of one row group, by leaf, for the decoder.
#[derive(Debug, Default)]
pub(crate) struct GroupPages(Vec<Option<PageIndex>>);

impl GroupPages {
    /// Sets the index of a leaf; without one the decoder walks the pages of its whole chunk.
    pub(crate) fn set(&mut self, leaf: usize, index: Option<PageIndex>) {
        if self.0.len() <= leaf {
            self.0.resize_with(leaf + 1, || None);
        }
        if let Some(slot) = self.0.get_mut(leaf) {
            *slot = index;
        }
    }
}

impl PageIndexProvider for GroupPages {
    fn has_offset_indexes(&self) -> bool {
        true
    }

    fn has_column_indexes(&self) -> bool {
        false
    }

    fn column_index(&self, _group: usize, _leaf: usize) -> Option<&ColumnIndexMetaData> {
        None
    }

    fn offset_index(&self, _group: usize, leaf: usize) -> Option<&OffsetIndexMetaData> {
        self.0.get(leaf)?.as_ref().map(|index| &index.offsets)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_numbers_of_pages_allocate_nothing() {
        assert!(!has_room(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0]));
        assert!(!has_room(&[0x19, 0x3c, 0x16, 0, 0]));
        // Without the check the decoder would ask for 48 GiB, and the process would end.
        let problem = offsets(&[0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0]).unwrap_err().to_string();
        assert!(problem.contains("number of pages"), "{problem}");
        let one = [0x19, 0x1c, 0x16, 8, 0x15, 20, 0x16, 0, 0, 0];
        assert!(has_room(&one));
        assert_eq!(decode_offset_index(&one).unwrap().page_locations().len(), 1);
        assert!(has_room(&[]));
    }
}
