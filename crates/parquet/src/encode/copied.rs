//! Chunks of other Parquet files that go into ours as they are.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::spill::PageBuffer;
use super::{ChunkBytes, EncodedChunk};
use crate::error::{Error, Result};
use crate::options::{EncodingPolicy, Options, DEFAULT_DATA_PAGE_SIZE, DEFAULT_DICTIONARY_PAGE_SIZE};
use crate::policy;
use crate::schema::Column;
use crate::{statistics, Plan};

/// A chunk of another file.
#[derive(Debug)]
pub struct Source {
    /// What its footer says.
    pub metadata: ColumnChunkMetaData,
    /// Its first byte in that file.
    pub start: u64,
    /// Its bytes.
    pub bytes: Bytes,
    /// Bounds of its pages.
    pub column_index: ColumnIndexMetaData,
    /// Places of its pages in that file.
    pub offset_index: OffsetIndexMetaData,
}

/// Whether the options leave open how pages are made.
pub fn is_allowed(options: &Options) -> bool {
    options.copy_row_groups
        && options.encoding == EncodingPolicy::Questdb
        && options.parquet_version == 1
        && options.data_page_size == DEFAULT_DATA_PAGE_SIZE
        && options.dictionary_page_size == DEFAULT_DICTIONARY_PAGE_SIZE
        && options.bloom_filter_columns.is_empty()
        && options.statistics
        && options.page_index
}

/// Whether a chunk can stand for column `index`: same type, NULLs and codec, with statistics. A codec that has levels is always
/// encoded anew, because a file does not tell its level; chunks that the server left uncompressed are taken.
pub fn is_copy(plan: &Plan, index: usize, source: &ColumnChunkMetaData) -> bool {
    let Some(column) = plan.schema.columns.get(index) else { return false };
    let [ours] = column.descr.columns() else { return false };
    let theirs = source.column_descr();
    let chosen = policy::asked(&plan.options, &column.name).is_some();
    let codec = policy::compression(column, &plan.options);
    let without_level = matches!(
        codec,
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::LZ4_RAW | Compression::LZ4
    );
    let same_type = ours.physical_type() == theirs.physical_type()
        && ours.type_length() == theirs.type_length()
        && ours.logical_type_ref() == theirs.logical_type_ref()
        && ours.converted_type() == theirs.converted_type()
        && ours.max_def_level() == theirs.max_def_level()
        && ours.max_rep_level() == 0
        && theirs.max_rep_level() == 0;
    let same_codec = source.compression() == codec || source.compression() == Compression::UNCOMPRESSED;
    same_type && !chosen && without_level && same_codec && source.statistics().is_some()
}

/// The chunk as one of ours.
pub fn chunk(plan: &Plan, index: usize, source: Source) -> Result<EncodedChunk> {
    let column = plan.schema.columns.get(index).ok_or_else(|| Error::internal("a chunk without a column"))?;
    let moved = |offset: i64| i64::try_from(source.start).ok().and_then(|start| offset.checked_sub(start));
    let outside = || Error::internal("a page outside its chunk");
    let mut offset_index = source.offset_index;
    for location in &mut offset_index.page_locations {
        location.offset = moved(location.offset).ok_or_else(outside)?;
    }
    let first_page = offset_index.page_locations.first().map_or(0, |location| location.offset);
    let mut close = ColumnCloseResult {
        bytes_written: source.bytes.len() as u64,
        rows_written: u64::try_from(source.metadata.num_values()).unwrap_or(0),
        metadata: metadata(column, &source.metadata, first_page)?,
        bloom_filter: None,
        column_index: Some(source.column_index),
        offset_index: Some(offset_index),
    };
    statistics::correct(&mut close)?;
    let length = source.bytes.len() as u64;
    let mut pages = PageBuffer::new(plan.scratch.clone(), plan.schema.parquet.num_columns());
    pages.put(source.bytes).map_err(|error| Error::internal(format!("cannot keep a page: {error}")))?;
    Ok(EncodedChunk::Ready { pages: ChunkBytes::new(None, pages, length), close: Box::new(close) })
}

/// The footer's words under our column, with offsets from the first byte of the chunk. Before the first data page lies the
/// dictionary page, whether the file says so or not.
fn metadata(column: &Column, source: &ColumnChunkMetaData, first_page: i64) -> Result<ColumnChunkMetaData> {
    let descr =
        column.descr.columns().first().ok_or_else(|| Error::internal("a column without a leaf"))?.clone();
    let mut encodings: Vec<Encoding> = source.encodings().collect();
    if first_page > 0 && !encodings.contains(&Encoding::PLAIN) {
        encodings.push(Encoding::PLAIN);
    }
    let mut builder = ColumnChunkMetaData::builder(descr)
        .set_compression(source.compression())
        .set_encodings(encodings)
        .set_total_compressed_size(source.compressed_size())
        .set_total_uncompressed_size(source.uncompressed_size())
        .set_num_values(source.num_values())
        .set_data_page_offset(first_page)
        .set_dictionary_page_offset((first_page > 0).then_some(0));
    if let Some(statistics) = source.statistics() {
        builder = builder.set_statistics(statistics.clone());
    }
    if let Some(stats) = source.page_encoding_stats() {
        builder = builder.set_page_encoding_stats(stats.clone());
    }
    Ok(builder.build()?)
}
