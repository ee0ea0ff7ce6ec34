//! The bytes of a row group's columns, read and checked: whole column chunks, or of each the dictionary and the pages that
//! hold needed rows.

use std::ops::Range;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ColumnChunkMetaData;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::{Buf, Bytes};

use super::file::FileColumn;
use super::scan::Piece;
use crate::error::{Error, Result};
use crate::parquet::{check_pages, chunk_bytes, GroupPages, PageHeader, PageIndex, Pages, Stretch};
use crate::scan::IntervalSet;
use crate::source::Source;

/// Text is handed out by its dictionary when each entry stands in so many rows at least.
const LEAST_REPETITION: u64 = 4;

/// What was read of a row group.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) chunks: Chunks,
    /// What was read of each column.
    pub(super) columns: Vec<FetchedColumn>,
    /// Roots of text columns whose values repeat.
    pub(super) dictionaries: Vec<usize>,
    /// Where the pages are, unless all of them were read.
    pub(super) pages: Option<GroupPages>,
}

/// What was read of a column.
#[derive(Debug, Default)]
pub(super) struct FetchedColumn {
    /// The memory of its chunks.
    pub(super) parts: Vec<Bytes>,
    /// The pages of a column of one flat chunk.
    pub(super) flat: Option<FlatPages>,
}

/// Pages of a chunk.
#[derive(Debug)]
pub(super) struct FlatPages {
    pub(super) leaf: usize,
    pub(super) bytes: Bytes,
    pub(super) headers: Vec<PageHeader>,
    /// Rows of the data pages that were read, counted from the start of the row group.
    pub(super) rows: Vec<Range<u64>>,
}

/// Reads `columns` of a row group of `rows` rows: pages that hold rows of `selection`, or all.
///
/// # Errors
/// Chunks outside the file, pages that cannot be. With a selection also pages that are not what their index says.
pub(super) fn fetch(
    piece: &Piece,
    columns: &[&FileColumn],
    rows: u64,
    selection: Option<&IntervalSet>,
    buffers: &mut Vec<Vec<u8>>,
) -> Result<Fetched> {
    let file = &piece.file.file;
    let metadata = file.reader.metadata();
    let absent = || Error::corrupt("row group lacks column chunks", "one for each column", "fewer");
    let group = metadata.row_groups().get(piece.group).ok_or_else(absent)?;
    let (mut read_columns, mut stretches, mut dictionaries) = (Vec::new(), Vec::new(), Vec::new());
    let mut pages = GroupPages::default();
    for column in columns {
        let mut read_column = FetchedColumn::default();
        for leaf in column.leaves.clone() {
            let chunk = group.columns().get(leaf).ok_or_else(absent)?;
            let place = |e: Error| e.in_column(&column.name);
            if let Some(other) = chunk.file_path().filter(|other| !other.is_empty()) {
                let error = Error::unsupported(format!("column chunk is in another file, \"{other}\""));
                return Err(place(error).hint("Read that file instead."));
            }
            if chunk.compression() == Compression::LZO {
                let hint = "Write the file again with another codec, such as snappy, zstd or lz4_raw.";
                return Err(place(Error::unsupported("Parquet codec LZO is not supported")).hint(hint));
            }
            let leaves = file.reader.parquet_schema().columns();
            let flat = leaves.get(leaf).is_some_and(|leaf| leaf.max_rep_level() == 0);
            let index = selection.and_then(|_| PageIndex::read(file.source.as_ref(), chunk, rows));
            let part = Part { source: file.source.as_ref(), chunk, rows, flat };
            let buffer = buffers.pop().unwrap_or_default();
            let read = match (&index, selection) {
                (Some(index), Some(selection)) => part.pages(index, selection, buffer, &mut stretches),
                _ => part.whole(buffer, &mut stretches),
            };
            let ReadPart { bytes, pages: found, rows: of_pages } = read.map_err(place)?;
            let entries = found.dictionary;
            let repeats = entries.is_some_and(|entries| entries.saturating_mul(LEAST_REPETITION) <= rows);
            if repeats && flat && column.kind.is_text() {
                dictionaries.push(column.root);
            }
            read_column.parts.push(bytes.clone());
            if flat && column.leaves.len() == 1 {
                read_column.flat = Some(FlatPages { leaf, bytes, headers: found.headers, rows: of_pages });
            }
            pages.set(leaf, index);
        }
        read_columns.push(read_column);
    }
    stretches.sort_by_key(|part: &Stretch| part.start);
    let chunks = Chunks { parts: stretches.into(), len: file.source.len() };
    Ok(Fetched { chunks, columns: read_columns, dictionaries, pages: selection.map(|_| pages) })
}

/// One column chunk.
struct Part<'a> {
    source: &'a dyn Source,
    chunk: &'a ColumnChunkMetaData,
    /// Of the row group.
    rows: u64,
    flat: bool,
}

/// Pages of a chunk, one behind the other.
struct ReadPart {
    bytes: Bytes,
    pages: Pages,
    /// Rows of the data pages, counted from the start of the row group; of pages side by side together.
    rows: Vec<Range<u64>>,
}

impl Part<'_> {
    fn whole(&self, buffer: Vec<u8>, stretches: &mut Vec<Stretch>) -> Result<ReadPart> {
        let place = chunk_bytes(self.chunk);
        let stretch = Stretch::read(self.source, place.start, place.end - place.start, buffer)?;
        let values = self.flat.then_some(self.rows);
        let pages = check_pages(&stretch.bytes, values).map_err(|e| {
            e.shift_offset(place.start)
                .hint("It is damaged, or the column is encrypted, which cannot be read.")
        })?;
        let bytes = stretch.bytes.clone();
        stretches.push(stretch);
        let rows = std::iter::once(0..self.rows).collect();
        Ok(ReadPart { bytes, pages, rows })
    }

    /// The dictionary, and the pages with rows of `selection`, one behind the other in memory.
    fn pages(
        &self,
        index: &PageIndex,
        selection: &IntervalSet,
        mut buffer: Vec<u8>,
        stretches: &mut Vec<Stretch>,
    ) -> Result<ReadPart> {
        let start = chunk_bytes(self.chunk).start;
        let first = index.pages().first().map_or(start, |(bytes, _)| bytes.start);
        let dictionary = Some(start..first).filter(|range| !range.is_empty());
        let is_needed =
            |rows: &Range<u64>| !selection.within(rows.start as i64, rows.end as i64 - 1).is_empty();
        let needed: Vec<_> = index.pages().iter().filter(|(_, rows)| is_needed(rows)).collect();
        // Pages that lie side by side are read at once.
        let mut runs: Vec<Range<u64>> = Vec::new();
        for range in dictionary.iter().chain(needed.iter().map(|(bytes, _)| bytes)) {
            match runs.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => runs.push(range.clone()),
            }
        }
        let size = |range: &Range<u64>| usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        if runs.last().is_some_and(|last| last.end > self.source.len()) {
            return Err(Error::too_short(self.source.path(), chunk_bytes(self.chunk).end, self.source.len()));
        }
        buffer.resize(runs.iter().map(size).sum(), 0);
        let mut rest = buffer.as_mut_slice();
        for run in &runs {
            let (place, behind) = std::mem::take(&mut rest).split_at_mut(size(run));
            self.source.read_into(run.start, place)?;
            rest = behind;
        }
        let bytes = Bytes::from(buffer);
        let mut at = 0;
        for run in &runs {
            stretches.push(Stretch { start: run.start, bytes: bytes.slice(at..at + size(run)) });
            at += size(run);
        }
        let pages = check_pages(&bytes, self.flat.then_some(self.rows))?;
        let lengths = dictionary.iter().map(|range| (range, None));
        let lengths = lengths.chain(needed.iter().map(|(bytes, rows)| (bytes, Some(rows))));
        let mut end = 0;
        let expected = lengths.map(|(range, rows)| {
            end += size(range);
            (end, rows)
        });
        let all = pages.places.len() == needed.len() + usize::from(dictionary.is_some());
        let as_said = all
            && pages.places.iter().zip(expected).all(|(page, (end, rows))| {
                let values = rows.map(|rows| rows.end - rows.start).filter(|_| self.flat);
                page.end == end
                    && page.dictionary == rows.is_none()
                    && values.is_none_or(|values| page.values == values)
            });
        if !as_said {
            return Err(Error::corrupt(
                "pages are not what their index says",
                "the pages of the index",
                "others",
            ));
        }
        let rows = needed.into_iter().map(|(_, rows)| rows.clone()).collect();
        Ok(ReadPart { bytes, pages, rows })
    }
}

/// Column chunks of a row group, or parts of them, by their offsets in the file.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    parts: Arc<[Stretch]>,
    len: u64,
}

impl Chunks {
    fn part(&self, start: u64) -> std::result::Result<&Stretch, ParquetError> {
        let behind = self.parts.partition_point(|part| part.start <= start);
        let part = behind.checked_sub(1).and_then(|index| self.parts.get(index));
        part.ok_or_else(|| ParquetError::EOF(format!("read at {start} leaves the column chunks")))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> std::result::Result<Self::T, ParquetError> {
        let part = self.part(start)?;
        let from = usize::try_from(start - part.start).unwrap_or(usize::MAX).min(part.bytes.len());
        Ok(part.bytes.slice(from..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> std::result::Result<Bytes, ParquetError> {
        self.part(start)?.get_bytes(start, length)
    }
}
