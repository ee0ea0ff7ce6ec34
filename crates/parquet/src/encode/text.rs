//! Text and blobs.
//!
//! ```text
//! RLE_DICTIONARY            levels | bit width | keys, RLE / bit-packed
//! DELTA_LENGTH_BYTE_ARRAY   levels | lengths, DELTA_BINARY_PACKED | all bytes
//! PLAIN                     levels | length (u32), bytes | length, bytes …
//! ```
//!
//! A chunk that begins with a dictionary ends without one when it grows too large: later pages have the other encoding.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use parquet::basic::{Encoding, Type as Physical};
use parquet::data_type::ByteArray;
use parquet::file::properties::EnabledStatistics;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::bounds::{head, lower_bound, order, upper_bound};
use super::chunk::{Body, Bounds, ChunkBuilder, Summary};
use super::dictionary::Dictionary;
use super::levels::Levels;
use super::{delta, rle, ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::policy::{self, PageSizes, Sample, PAGE_ROWS};
use crate::schema::Column;
use crate::Plan;

/// Bytes of a key, give or take.
const KEY_BYTES: usize = 2;

/// Encodes text and blobs of any Arrow form.
pub struct TextEncoder {
    chunk: ChunkBuilder,
    encoding: Encoding,
    dictionary: Option<Dictionary>,
    /// New values go to the dictionary.
    in_dictionary: bool,
    statistics: EnabledStatistics,
    page_bytes: usize,
    page: PageInProgress,
    nulls: u64,
    range: Range,
    page_bounds: Vec<Option<Bounds>>,
}

struct PageInProgress {
    levels: Levels,
    keys: Vec<u32>,
    lengths: Vec<i32>,
    bytes: Vec<u8>,
    range: Range,
}

impl TextEncoder {
    /// An empty chunk; `None` when another encoder must take the column.
    pub fn new(column: &Column, plan: &Plan, pages: PageSizes, sample: Sample) -> Result<Option<Self>> {
        use DataType::{Binary, BinaryView, LargeBinary, LargeUtf8, Utf8, Utf8View};
        let flat = matches!(
            column.field.data_type(),
            Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | BinaryView
        );
        let [leaf] = column.descr.columns() else { return Ok(None) };
        let choice = policy::choose(column, leaf, &plan.options, sample);
        let encoding = matches!(choice.encoding, Encoding::PLAIN | Encoding::DELTA_LENGTH_BYTE_ARRAY);
        let bloom = policy::has_bloom_filter(column, &plan.options);
        if !flat || leaf.physical_type() != Physical::BYTE_ARRAY || !encoding || bloom {
            return Ok(None);
        }
        let limit = match choice.keep_dictionary {
            true => usize::MAX,
            false => usize::try_from(plan.options.dictionary_page_size).unwrap_or(usize::MAX),
        };
        Ok(Some(Self {
            chunk: ChunkBuilder::new(column, plan)?,
            encoding: choice.encoding,
            dictionary: choice.dictionary.then(|| Dictionary::new(limit)),
            in_dictionary: choice.dictionary,
            statistics: policy::statistics(column, &plan.options),
            page_bytes: pages.bytes,
            page: PageInProgress {
                levels: Levels::new(column.field.is_nullable()),
                keys: Vec::new(),
                lengths: Vec::new(),
                bytes: Vec::new(),
                range: Range::default(),
            },
            nulls: 0,
            range: Range::default(),
            page_bounds: Vec::new(),
        }))
    }

    fn add<'a>(&mut self, values: impl Iterator<Item = Option<&'a [u8]>>) -> Result<()> {
        for value in values {
            match value {
                Some(value) if self.in_dictionary => self.add_key(value)?,
                Some(value) => self.add_value(value)?,
                None => self.page.levels.nulls(1)?,
            }
            let page = &self.page;
            let bytes = page.bytes.len() + page.keys.len() * KEY_BYTES;
            if bytes >= self.page_bytes || page.levels.rows() == PAGE_ROWS {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn add_key(&mut self, value: &[u8]) -> Result<()> {
        let number = self.page_bounds.len() as u32 + 1;
        let key = self.dictionary.as_mut().and_then(|dictionary| dictionary.key(value, number));
        let Some(key) = key else {
            self.flush()?;
            self.in_dictionary = false;
            return self.add_value(value);
        };
        let page = &mut self.page;
        page.levels.values(1);
        page.keys.push(key.key);
        if key.is_new_in_page && self.statistics != EnabledStatistics::None {
            page.range.add(value);
        }
        Ok(())
    }

    fn add_value(&mut self, value: &[u8]) -> Result<()> {
        let page = &mut self.page;
        let length = i32::try_from(value.len()).map_err(|_| too_long(value.len()))?;
        page.levels.values(1);
        match self.encoding {
            Encoding::PLAIN => page.bytes.extend_from_slice(&length.to_le_bytes()),
            _ => page.lengths.push(length),
        }
        page.bytes.extend_from_slice(value);
        if self.statistics != EnabledStatistics::None {
            page.range.add(value);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let page = &mut self.page;
        let (rows, nulls, levels) = page.levels.take();
        if rows == 0 {
            return Ok(());
        }
        let encoding = if self.in_dictionary { Encoding::RLE_DICTIONARY } else { self.encoding };
        let values = match encoding {
            Encoding::RLE_DICTIONARY => rle::keys(&page.keys),
            Encoding::PLAIN => std::mem::take(&mut page.bytes),
            _ => {
                let mut values = Vec::with_capacity(page.bytes.len() + page.lengths.len() * 2 + 64);
                delta::encode(&page.lengths, &mut values);
                values.extend_from_slice(&page.bytes);
                values
            }
        };
        self.chunk.push(Body { rows, nulls, levels, values, encoding })?;
        self.nulls += nulls as u64;
        self.page_bounds.push(page.range.bounds());
        self.range.merge(&page.range);
        page.keys.clear();
        page.lengths.clear();
        page.bytes.clear();
        page.range.clear();
        Ok(())
    }

    fn summary(&mut self) -> Summary {
        let page_bounds = std::mem::take(&mut self.page_bounds);
        let statistics = (self.statistics != EnabledStatistics::None).then(|| {
            let min = self.range.min().map(lower_bound);
            let max = self.range.max().map(upper_bound);
            let exact = (min.is_some_and(|min| min.1), max.as_ref().is_some_and(|max| max.1));
            let min = min.map(|min| ByteArray::from(min.0.to_vec()));
            let max = max.map(|max| ByteArray::from(max.0));
            Statistics::ByteArray(
                ValueStatistics::new(min, max, None, Some(self.nulls), false)
                    .with_min_is_exact(exact.0)
                    .with_max_is_exact(exact.1),
            )
        });
        let order = order(&page_bounds);
        Summary {
            dictionary: self.dictionary.take().map(Dictionary::into_page),
            statistics,
            page_bounds: (self.statistics == EnabledStatistics::Page).then_some(page_bounds),
            order,
            bloom_filter: None,
        }
    }
}

impl ColumnEncoder for TextEncoder {
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        match array.data_type() {
            DataType::Utf8 => self.add(array.as_string::<i32>().iter().map(|v| v.map(str::as_bytes))),
            DataType::LargeUtf8 => self.add(array.as_string::<i64>().iter().map(|v| v.map(str::as_bytes))),
            DataType::Utf8View => self.add(array.as_string_view().iter().map(|v| v.map(str::as_bytes))),
            DataType::Binary => self.add(array.as_binary::<i32>().iter()),
            DataType::LargeBinary => self.add(array.as_binary::<i64>().iter()),
            DataType::BinaryView => self.add(array.as_binary_view().iter()),
            other => Err(Error::internal(format!("{other} is neither text nor a blob"))),
        }
    }

    fn size(&self) -> u64 {
        let page = &self.page;
        let dictionary = self.dictionary.as_ref().map_or(0, Dictionary::size);
        let open = page.bytes.len() + page.levels.size() + page.lengths.len() + page.keys.len() * KEY_BYTES;
        self.chunk.size() + (dictionary + open) as u64
    }

    fn close(mut self: Box<Self>) -> Result<Vec<EncodedChunk>> {
        self.flush()?;
        let summary = self.summary();
        Ok(vec![self.chunk.finish(summary)?])
    }
}

fn too_long(length: usize) -> Error {
    Error::invalid_input("a value is too long for Parquet").expected("less than 2 GiB").found(length)
}

/// Smallest and largest value, each with its first bytes as a number: most values are told apart by those.
#[derive(Default)]
struct Range {
    values: Option<[Vec<u8>; 2]>,
    heads: [u64; 2],
}

impl Range {
    fn add(&mut self, value: &[u8]) {
        let head = head(value);
        let [low, high] = self.heads;
        let Some([min, max]) = &mut self.values else {
            self.values = Some([value.to_vec(), value.to_vec()]);
            self.heads = [head; 2];
            return;
        };
        if head < low || head == low && value < min.as_slice() {
            replace(min, value);
            self.heads = [head, high];
        } else if head > high || head == high && value > max.as_slice() {
            replace(max, value);
            self.heads = [low, head];
        }
    }

    fn merge(&mut self, other: &Self) {
        for value in other.values.iter().flatten() {
            self.add(value);
        }
    }

    fn clear(&mut self) {
        self.values = None;
    }

    fn min(&self) -> Option<&[u8]> {
        self.values.as_ref().map(|[min, _]| min.as_slice())
    }

    fn max(&self) -> Option<&[u8]> {
        self.values.as_ref().map(|[_, max]| max.as_slice())
    }

    /// As they are written for a page.
    fn bounds(&self) -> Option<Bounds> {
        let (min, max) = self.min().zip(self.max())?;
        Some((lower_bound(min).0.to_vec(), upper_bound(max).0))
    }
}

fn replace(bound: &mut Vec<u8>, value: &[u8]) {
    bound.clear();
    bound.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_has_the_extremes_of_values_that_begin_alike() {
        let mut range = Range::default();
        for value in ["order 10", "order 1", "order 100", "a", "order 99", "a\0"] {
            range.add(value.as_bytes());
        }
        assert_eq!(range.min(), Some(b"a".as_slice()));
        assert_eq!(range.max(), Some(b"order 99".as_slice()));
    }
}
