//! SYMBOL chunks without hashing: the dictionary index *is* the symbol table's key.
//!
//! ```text
//! dictionary page   value of key 0, 1, … up to the largest key used; unused keys are empty strings
//! data page         definition levels | bit width | keys, RLE / bit-packed
//! ```
//!
//! A page of NULLs is levels, a bit width of 0 and a run of no literals, as the server writes it: its reader takes no other
//! form. A chunk of NULLs has a dictionary of no values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::DataType;
use parquet::basic::{BoundaryOrder, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::data_type::ByteArray;
use parquet::file::properties::EnabledStatistics;
use parquet::file::statistics::Statistics;

use super::bounds::{lower_bound, upper_bound};
use super::chunk::{Body, ChunkBuilder, Summary};
use super::levels::Levels;
use super::{rle, ColumnEncoder, EncodedChunk};
use crate::error::{Error, Result};
use crate::policy::{self, PageSizes};
use crate::schema::Column;
use crate::Plan;

/// Rows of a page, at most.
const PAGE_ROWS: usize = 20_000;

/// Encodes `Dictionary(Int32, Utf8)` arrays whose dictionary is a symbol table.
pub struct SymbolEncoder {
    chunk: ChunkBuilder,
    levels: Levels,
    statistics: EnabledStatistics,
    bloom_fpp: Option<f64>,
    page_rows: usize,
    symbols: Option<Arc<StringArray>>,
    /// Keys of the page in progress, NULLs left out.
    keys: Vec<u32>,
    nulls: u64,
    /// For each key the number of the last page that used it, from 1; 0 for none.
    last_page: Vec<u32>,
    page_keys: Vec<u32>,
    largest: Option<u32>,
    /// Bytes of all symbols used.
    used_bytes: u64,
    /// Smallest and largest key of each page, by value.
    page_bounds: Vec<Option<(u32, u32)>>,
}

impl SymbolEncoder {
    /// Whether the column is one that this encoder takes.
    pub fn takes(column: &Column) -> bool {
        let DataType::Dictionary(key, value) = column.field.data_type() else { return false };
        column.hint.is_symbol() && **key == DataType::Int32 && **value == DataType::Utf8
    }

    /// An empty chunk.
    pub fn new(column: &Column, plan: &Plan, pages: PageSizes) -> Result<Self> {
        let options = &plan.options;
        let bloom = policy::has_bloom_filter(column, options);
        // Keys are two bytes, give or take.
        let page_rows = (pages.bytes / 2).clamp(16, PAGE_ROWS);
        Ok(Self {
            chunk: ChunkBuilder::new(column, plan)?,
            levels: Levels::new(column.field.is_nullable()),
            statistics: policy::statistics(column, options),
            bloom_fpp: bloom.then_some(options.bloom_filter_fpp),
            page_rows,
            symbols: None,
            keys: Vec::with_capacity(page_rows),
            nulls: 0,
            last_page: Vec::new(),
            page_keys: Vec::new(),
            largest: None,
            used_bytes: 0,
            page_bounds: Vec::new(),
        })
    }

    /// Takes the symbol table of a batch: the same one, or one that has grown.
    fn adopt(&mut self, values: &ArrayRef) -> Result<()> {
        let values = values
            .as_string_opt::<i32>()
            .ok_or_else(|| Error::internal("a symbol table that is not text"))?;
        if let Some(known) = &self.symbols {
            let same = known.len() == values.len()
                && known.value_offsets().as_ptr() == values.value_offsets().as_ptr();
            if same {
                return Ok(());
            }
            let shared = known.len().min(values.len());
            if known.slice(0, shared) != values.slice(0, shared) {
                return Err(Error::invalid_input("the symbol table changed between two batches")
                    .expected("the same value for each key in all batches"));
            }
            if known.len() >= values.len() {
                return Ok(());
            }
        }
        if values.null_count() > 0 {
            return Err(Error::invalid_input("a symbol table has a NULL value"));
        }
        self.last_page.resize(values.len(), 0);
        self.symbols = Some(Arc::new(values.clone()));
        Ok(())
    }

    fn text(&self, key: u32) -> &str {
        match &self.symbols {
            Some(symbols) if (key as usize) < symbols.len() => symbols.value(key as usize),
            _ => "",
        }
    }

    /// Adds rows to the page in progress; they fit.
    fn add(&mut self, keys: &[i32], is_valid: impl Fn(usize) -> bool) -> Result<()> {
        let page = self.page_bounds.len() as u32 + 1;
        for (row, key) in keys.iter().enumerate() {
            if *key < 0 || !is_valid(row) {
                self.levels.nulls(1)?;
                continue;
            }
            self.levels.values(1);
            let key = *key as u32;
            let table = self.last_page.len();
            let last = self.last_page.get_mut(key as usize).ok_or_else(|| {
                Error::invalid_input("a symbol key is outside the symbol table")
                    .expected(format_args!("a key below {table}"))
                    .found(key)
            })?;
            if *last != page {
                if *last == 0 {
                    let length =
                        self.symbols.as_ref().map_or(0, |symbols| symbols.value_length(key as usize));
                    self.used_bytes += length.max(0) as u64;
                    self.largest = self.largest.max(Some(key));
                }
                *last = page;
                self.page_keys.push(key);
            }
            self.keys.push(key);
        }
        if self.levels.rows() == self.page_rows {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let (rows, nulls, levels) = self.levels.take();
        if rows == 0 {
            return Ok(());
        }
        let values = rle::keys(&self.keys);
        self.chunk.push(Body { rows, nulls, levels, values, encoding: Encoding::RLE_DICTIONARY })?;
        let by_value = |a: &&u32, b: &&u32| self.text(**a).cmp(self.text(**b));
        let bounds = self
            .page_keys
            .iter()
            .min_by(by_value)
            .copied()
            .zip(self.page_keys.iter().max_by(by_value).copied());
        self.page_bounds.push(bounds);
        self.nulls += nulls as u64;
        self.keys.clear();
        self.page_keys.clear();
        Ok(())
    }

    /// The dictionary page's body: lengths and bytes.
    fn dictionary(&self) -> (Vec<u8>, usize) {
        let count = self.largest.map_or(0, |largest| largest as usize + 1);
        let mut body = Vec::new();
        for (key, page) in self.last_page.iter().take(count).enumerate() {
            let text = if *page > 0 { self.text(key as u32) } else { "" };
            body.extend_from_slice(&(text.len() as u32).to_le_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        (body, count)
    }

    fn used(&self) -> impl Iterator<Item = &str> {
        self.last_page.iter().enumerate().filter(|(_, page)| **page > 0).map(|(key, _)| self.text(key as u32))
    }

    fn summary(&self) -> Result<Summary> {
        let bounds = |key: &Option<(u32, u32)>| {
            key.map(|(min, max)| {
                (lower_bound(self.text(min).as_bytes()).0.to_vec(), upper_bound(self.text(max).as_bytes()).0)
            })
        };
        let statistics = (self.statistics != EnabledStatistics::None).then(|| {
            let (min, max) = (self.used().min(), self.used().max());
            let exact = min.is_some_and(|min| lower_bound(min.as_bytes()).1)
                && max.is_some_and(|max| upper_bound(max.as_bytes()).1);
            let (min, max) = (
                min.map(|min| ByteArray::from(lower_bound(min.as_bytes()).0.to_vec())),
                max.map(|max| ByteArray::from(upper_bound(max.as_bytes()).0)),
            );
            let statistics =
                parquet::file::statistics::ValueStatistics::new(min, max, None, Some(self.nulls), false)
                    .with_min_is_exact(exact)
                    .with_max_is_exact(exact);
            Statistics::ByteArray(statistics)
        });
        let bloom_filter = match self.bloom_fpp {
            Some(fpp) => {
                let mut filter = Sbbf::new_with_ndv_fpp((self.used().count() as u64).max(1), fpp)?;
                self.used().for_each(|text| filter.insert(text));
                Some(filter)
            }
            None => None,
        };
        let with_index = self.statistics == EnabledStatistics::Page;
        Ok(Summary {
            dictionary: Some(self.dictionary()),
            statistics,
            page_bounds: with_index.then(|| self.page_bounds.iter().map(bounds).collect()),
            order: BoundaryOrder::UNORDERED,
            bloom_filter,
        })
    }
}

impl ColumnEncoder for SymbolEncoder {
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        let dictionary = array
            .as_dictionary_opt::<Int32Type>()
            .ok_or_else(|| Error::internal("a symbol column that is not a dictionary"))?;
        self.adopt(dictionary.values())?;
        let keys: &[i32] = dictionary.keys().values();
        let nulls = dictionary.keys().nulls();
        let mut at = 0;
        while at < keys.len() {
            let rows = (keys.len() - at).min(self.page_rows - self.levels.rows());
            let part = keys.get(at..at + rows).unwrap_or_default();
            match nulls {
                Some(nulls) => self.add(part, |row| nulls.is_valid(at + row))?,
                None => self.add(part, |_| true)?,
            }
            at += rows;
        }
        Ok(())
    }

    fn size(&self) -> u64 {
        let width = usize::from(rle::bit_width(self.largest.unwrap_or(0)));
        let open = self.keys.len() * width / 8 + self.levels.size();
        let lengths = self.largest.map_or(0, |largest| (u64::from(largest) + 1) * 4);
        self.chunk.size() + open as u64 + lengths + self.used_bytes
    }

    fn close(mut self: Box<Self>) -> Result<Vec<EncodedChunk>> {
        self.flush()?;
        let summary = self.summary()?;
        Ok(vec![self.chunk.finish(summary)?])
    }
}
