//! Column chunks as they are in the file, for copies that decode nothing.

use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::page_index::column_index::ColumnIndexMetaData;
use ::parquet::file::page_index::index_reader::decode_column_index;
use ::parquet::file::page_index::offset_index::OffsetIndexMetaData;
use bytes::Bytes;

use super::chunk::guarded;
use super::file::ParquetFile;
use super::open::OpenChunk;
use super::page_index;
use super::pool::Pool;
use super::stored::Stored;
use crate::error::{Error, Result};

/// Bytes of an index, at most: 16 MiB describe more pages than a row group of any use has.
const LARGEST_INDEX: u64 = 16 << 20;

/// A column chunk with its indexes.
#[derive(Debug)]
pub struct RawChunk {
    /// What the footer says; offsets count from the start of the file.
    pub metadata: ColumnChunkMetaData,
    /// First byte in the file.
    pub start: u64,
    /// The pages, from the dictionary page on.
    pub bytes: Bytes,
    /// Bounds of the pages.
    pub column_index: ColumnIndexMetaData,
    /// Places of the pages, counted from the start of the file.
    pub offset_index: OffsetIndexMetaData,
}

/// A row group of a Parquet partition, undecoded.
#[derive(Debug)]
pub struct RawGroup {
    /// Its rows.
    pub rows: u64,
    /// The projected columns.
    pub chunks: Vec<RawChunk>,
}

impl ParquetFile {
    /// What the footer says of column `index` of the snapshot in the row group at position `group`; `None` when the file
    /// does not have the column.
    pub(crate) fn chunk_metadata(&self, index: usize, group: usize) -> Option<&ColumnChunkMetaData> {
        self.chunk(self.column(index)?, self.groups().get(group)?.index)
    }

    /// Reads a column chunk, and decodes it once, so that damage is found and not handed on. `None` when the file lacks one
    /// of the indexes.
    pub(crate) fn raw_chunk(&self, index: usize, group: usize) -> Result<Option<RawChunk>> {
        let found = self.chunk_metadata(index, group).zip(self.groups().get(group).copied());
        let Some((metadata, row_group)) = found else { return Ok(None) };
        let (Some(column_range), Some(offset_range)) =
            (metadata.column_index_range(), metadata.offset_index_range())
        else {
            return Ok(None);
        };
        let stretch = self.stored(metadata)?.read()?;
        let (start, bytes) = (stretch.start, stretch.bytes.clone());
        let open = OpenChunk::new(self, index, row_group, Stored::of(&self.source, stretch))?;
        let (mut row, mut pool) = (0, Pool::default());
        while row < row_group.rows {
            let (position, rows) = open.span_of(row)?;
            drop(self.decode_span(&open, position, &mut pool)?);
            row = rows.end;
        }
        let column_index = self.index_bytes(column_range)?;
        let column_index =
            guarded("column index", || decode_column_index(&column_index, metadata.column_type()))?;
        let offset_index = self.index_bytes(offset_range)?;
        let offset_index = page_index::offsets(&offset_index)?;
        let end = start.saturating_add(bytes.len() as u64);
        for location in offset_index.page_locations() {
            let first = u64::try_from(location.offset).unwrap_or(u64::MAX);
            let last = first.saturating_add(u64::try_from(location.compressed_page_size).unwrap_or(u64::MAX));
            if first < start || last > end {
                let found = format!("bytes {first} to {last}");
                return Err(Error::corrupt(
                    "offset index has a page outside its column chunk",
                    format_args!("bytes {start} to {end}"),
                    found,
                ));
            }
        }
        Ok(Some(RawChunk { metadata: metadata.clone(), start, bytes, column_index, offset_index }))
    }

    fn index_bytes(&self, range: std::ops::Range<u64>) -> Result<Vec<u8>> {
        let length = range.end.saturating_sub(range.start);
        let end = self.source.len();
        if range.end > end || length > LARGEST_INDEX {
            let expected = format!("at most {LARGEST_INDEX} bytes before byte {end}");
            return Err(Error::corrupt(
                "page index is outside the file",
                expected,
                format_args!("bytes {} to {}", range.start, range.end),
            ));
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.source.read_into(range.start, &mut bytes)?;
        Ok(bytes)
    }
}
