//! A column chunk of flat rows built from finished page bodies: headers, compression, offsets, indexes, metadata.

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Encoding, PageType};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::codec::Codec;
use super::spill::PageBuffer;
use super::{ChunkBytes, EncodedChunk};
use crate::error::{Error, Result};
use crate::policy;
use crate::schema::Column;
use crate::Plan;

/// A page body before compression.
pub struct Body {
    /// Rows, NULLs included.
    pub rows: usize,
    /// NULLs.
    pub nulls: usize,
    /// Definition levels without a length before them; empty when the column is required.
    pub levels: Vec<u8>,
    /// Encoded values.
    pub values: Vec<u8>,
    /// Their encoding.
    pub encoding: Encoding,
}

struct Written {
    size: usize,
    rows: usize,
    nulls: usize,
    encoding: Encoding,
}

/// Collects the pages of one chunk.
pub struct ChunkBuilder {
    descr: ColumnDescPtr,
    codec: Codec,
    compression: parquet::basic::Compression,
    v2: bool,
    page_index: bool,
    buffer: PageBuffer,
    pages: Vec<Written>,
    uncompressed: u64,
}

/// Smallest and largest value of a page, PLAIN.
pub type Bounds = (Vec<u8>, Vec<u8>);

/// What is known of a chunk's values at its end.
pub struct Summary {
    /// The dictionary page's body and its number of values.
    pub dictionary: Option<(Vec<u8>, usize)>,
    /// Chunk statistics.
    pub statistics: Option<Statistics>,
    /// Minimum and maximum of each page, in order; `None` for pages of NULLs. Absent: no column index.
    pub page_bounds: Option<Vec<Option<Bounds>>>,
    /// Order of the page bounds.
    pub order: BoundaryOrder,
    /// Bloom filter.
    pub bloom_filter: Option<Sbbf>,
}

impl ChunkBuilder {
    /// An empty chunk of a column with one leaf.
    pub fn new(column: &Column, plan: &Plan) -> Result<Self> {
        let options = &plan.options;
        let descr = column
            .descr
            .columns()
            .first()
            .cloned()
            .ok_or_else(|| Error::internal("a column without a leaf"))?;
        let compression = policy::compression(column, options);
        Ok(Self {
            descr,
            codec: Codec::new(compression)?,
            compression,
            v2: options.parquet_version == 2,
            page_index: options.page_index,
            buffer: PageBuffer::new(plan.scratch.clone(), plan.schema.parquet.num_columns()),
            pages: Vec::new(),
            uncompressed: 0,
        })
    }

    /// Encoded bytes of the pages so far, with headers.
    pub fn size(&self) -> u64 {
        self.uncompressed
    }

    /// Adds a data page.
    pub fn push(&mut self, body: Body) -> Result<()> {
        let has_levels = self.descr.max_def_level() > 0;
        let rows = count(body.rows)?;
        let (page, raw_len) = if self.v2 {
            let raw = body.levels.len() + body.values.len();
            let compressed =
                if self.codec.is_uncompressed() { None } else { Some(self.codec.compress(&body.values)?) };
            let smaller = compressed.filter(|compressed| compressed.len() < body.values.len());
            let is_compressed = smaller.is_some();
            let mut buffer = body.levels.clone();
            buffer.extend_from_slice(smaller.as_deref().unwrap_or(&body.values));
            let page = Page::DataPageV2 {
                buf: buffer.into(),
                num_values: rows,
                encoding: body.encoding,
                num_nulls: count(body.nulls)?,
                num_rows: rows,
                def_levels_byte_len: count(body.levels.len())?,
                rep_levels_byte_len: 0,
                is_compressed,
                statistics: None,
            };
            (page, raw)
        } else {
            let mut raw = Vec::with_capacity(body.levels.len() + body.values.len() + 4);
            if has_levels {
                raw.extend_from_slice(&count(body.levels.len())?.to_le_bytes());
                raw.extend_from_slice(&body.levels);
            }
            raw.extend_from_slice(&body.values);
            let raw_len = raw.len();
            let buffer = if self.codec.is_uncompressed() { raw } else { self.codec.compress(&raw)? };
            let page = Page::DataPage {
                buf: buffer.into(),
                num_values: rows,
                encoding: body.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            (page, raw_len)
        };
        let (bytes, uncompressed) = serialize(page, raw_len)?;
        self.uncompressed += uncompressed;
        let written =
            Written { size: bytes.len(), rows: body.rows, nulls: body.nulls, encoding: body.encoding };
        self.pages.push(written);
        self.buffer.put(bytes).map_err(|error| Error::internal(format!("cannot keep a page: {error}")))?;
        Ok(())
    }

    /// Puts dictionary and data pages together.
    pub fn finish(mut self, summary: Summary) -> Result<EncodedChunk> {
        let mut dictionary = None;
        let mut encodings = vec![Encoding::RLE];
        let mut stats = Vec::new();
        let mut offset = 0i64;
        let has_dictionary = summary.dictionary.is_some();
        if let Some((body, values)) = summary.dictionary {
            let raw_len = body.len();
            let buffer = if self.codec.is_uncompressed() { body } else { self.codec.compress(&body)? };
            let page = Page::DictionaryPage {
                buf: buffer.into(),
                num_values: count(values)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let (bytes, uncompressed) = serialize(page, raw_len)?;
            self.uncompressed += uncompressed;
            offset += bytes.len() as i64;
            dictionary = Some(bytes);
            encodings.push(Encoding::PLAIN);
            stats.push(PageEncodingStats {
                page_type: PageType::DICTIONARY_PAGE,
                encoding: Encoding::PLAIN,
                count: 1,
            });
        }
        let data_page_offset = offset;
        let mut offsets = OffsetIndexBuilder::new();
        let mut index = ColumnIndexBuilder::new(self.descr.physical_type());
        let (mut rows, mut bounds) = (0usize, summary.page_bounds.map(Vec::into_iter));
        let data_type = if self.v2 { PageType::DATA_PAGE_V2 } else { PageType::DATA_PAGE };
        for page in self.pages {
            let size = page.size;
            offsets.append_row_count(page.rows as i64);
            offsets.append_offset_and_size(offset, i32::try_from(size).map_err(|_| too_large())?);
            if let Some(bounds) = &mut bounds {
                let nulls = page.nulls as i64;
                match bounds.next().flatten() {
                    Some((min, max)) => index.append(false, min, max, nulls, None),
                    None => index.append(true, Vec::new(), Vec::new(), nulls, None),
                }
            }
            if !encodings.contains(&page.encoding) {
                encodings.push(page.encoding);
            }
            match stats.iter_mut().find(|stats: &&mut PageEncodingStats| {
                stats.page_type == data_type && stats.encoding == page.encoding
            }) {
                Some(stats) => stats.count += 1,
                None => {
                    stats.push(PageEncodingStats { page_type: data_type, encoding: page.encoding, count: 1 })
                }
            }
            offset += size as i64;
            rows += page.rows;
        }
        let mut metadata = ColumnChunkMetaData::builder(self.descr)
            .set_compression(self.compression)
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_total_compressed_size(offset)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(rows as i64)
            .set_data_page_offset(data_page_offset)
            .set_dictionary_page_offset(has_dictionary.then_some(0));
        if let Some(statistics) = summary.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        index.set_boundary_order(summary.order);
        let has_index = self.page_index && bounds.is_some();
        let close = ColumnCloseResult {
            bytes_written: offset as u64,
            rows_written: rows as u64,
            metadata: metadata.build()?,
            bloom_filter: summary.bloom_filter,
            column_index: if has_index { Some(index.build()?) } else { None },
            offset_index: self.page_index.then(|| offsets.build()),
        };
        let pages = ChunkBytes::new(dictionary, self.buffer, offset as u64);
        Ok(EncodedChunk::Ready { pages, close: Box::new(close) })
    }
}

fn serialize(page: Page, raw_len: usize) -> Result<(Bytes, u64)> {
    let mut sink = TrackedWrite::new(Vec::with_capacity(page.buffer().len() + 64));
    let body = page.buffer().len();
    SerializedPageWriter::new(&mut sink).write_page(CompressedPage::new(page, raw_len))?;
    let bytes = sink.into_inner()?;
    let header = bytes.len() - body;
    Ok((bytes.into(), (header + raw_len) as u64))
}

fn count(value: usize) -> Result<u32> {
    u32::try_from(value).ok().filter(|value| i32::try_from(*value).is_ok()).ok_or_else(too_large)
}

fn too_large() -> Error {
    Error::invalid_input("a page is larger than 2 GiB")
        .hint("Use smaller values of data_page_size or row_group_size.")
}
