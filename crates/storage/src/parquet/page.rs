//! The body of a page: decompressed, and split into levels and values.
//!
//! ```text
//! data page      compressed ( length u32 │ definition levels │ values )     levels only where values can be NULL
//! data page v2   definition levels │ compressed ( values )
//! ```

use arrow_buffer::Buffer;

use super::pages::{Header, DATA, DATA_V2};
use super::pool::Pool;
use super::rle;
use super::stored::Stored;
use crate::error::{Error, Result};

/// Parquet's number of the run-length encoding.
const RLE: i64 = 3;

/// A byte of LZ4 stands for at most so many.
const LZ4_RATIO: usize = 255;

/// Bytes of the levels of rows that all have a value, at most.
const LEVELS: usize = 16;

/// Codecs that are decoded here; the crate `parquet` knows the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    None,
    Lz4,
}

/// A data page, ready to be decoded.
#[derive(Debug)]
pub(super) struct DataPage {
    /// Rows.
    pub(super) rows: usize,
    /// 1 for each row that has a value; `None` when all have.
    pub(super) levels: Option<Vec<u32>>,
    /// The page, decompressed.
    pub(super) memory: Buffer,
    /// First byte of the values in it.
    start: usize,
}

impl DataPage {
    /// Encoded values, of the rows that have one.
    pub(super) fn values(&self) -> &[u8] {
        self.memory.as_slice().get(self.start..).unwrap_or_default()
    }

    /// The values as a buffer of their own, which `len` bytes must fit in.
    pub(super) fn values_buffer(&self, len: usize) -> Option<Buffer> {
        let fits = self.start.checked_add(len).is_some_and(|end| end <= self.memory.len());
        fits.then(|| self.memory.slice_with_length(self.start, len))
    }

    /// Gives its memory back, which nothing refers to any more.
    pub(super) fn put_back(self, pool: &mut Pool) {
        if let Some(levels) = self.levels {
            pool.put_words(levels);
        }
        pool.put(self.memory);
    }

    /// Rows that have a value.
    pub(super) fn present(&self) -> usize {
        self.levels.as_ref().map_or(self.rows, |levels| levels.iter().map(|level| *level as usize).sum())
    }
}

/// Whether [`data`] knows the page.
pub(super) fn is_known(header: &Header) -> bool {
    match header.kind {
        DATA => header.level_encoding == RLE,
        DATA_V2 => header.level_bytes.1 == 0,
        _ => false,
    }
}

/// Reads and decompresses the page that `header` is of into memory of `pool`.
pub(super) fn read(codec: Codec, chunk: &Stored, header: &Header, pool: &mut Pool) -> Result<Buffer> {
    let body = body(chunk, header, pool)?;
    decompress(codec, body, 0, header.uncompressed, pool)
}

fn body(chunk: &Stored, header: &Header, pool: &mut Pool) -> Result<Vec<u8>> {
    let mut body = pool.bytes(header.body.len());
    chunk.copy(header.body.start, &mut body)?;
    Ok(body)
}

/// Decompresses what is in `body` from `start` on; without a codec all of it stays as it is.
fn decompress(codec: Codec, body: Vec<u8>, start: usize, size: i64, pool: &mut Pool) -> Result<Buffer> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let failed = |found: String| {
        let found = format!("a page of {size} bytes: {found}");
        Err(Error::corrupt("cannot decode the Parquet column chunk", "valid Parquet", found))
    };
    let compressed = body.get(start..).unwrap_or_default();
    match codec {
        Codec::None => Ok(Buffer::from_vec(body)),
        // Nothing is allocated for a page that cannot be true.
        Codec::Lz4 if size > compressed.len().saturating_mul(LZ4_RATIO).saturating_add(LZ4_RATIO) => {
            failed(format!("more than LZ4 makes of {} bytes", compressed.len()))
        }
        Codec::Lz4 => {
            let mut bytes = pool.bytes(size);
            let found = lz4_flex::block::decompress_into(compressed, &mut bytes);
            pool.put_bytes(body);
            match found {
                Ok(found) if found == size => Ok(Buffer::from_vec(bytes)),
                Ok(found) => failed(format!("only {found} are there")),
                Err(error) => failed(error.to_string()),
            }
        }
    }
}

/// Reads a data page of a column that is `optional` or not, and splits it.
pub(super) fn data(
    codec: Codec,
    chunk: &Stored,
    header: &Header,
    optional: bool,
    pool: &mut Pool,
) -> Result<DataPage> {
    let rows = usize::try_from(header.values).unwrap_or_default();
    if header.kind == DATA_V2 {
        let body = body(chunk, header, pool)?;
        let len = usize::try_from(header.level_bytes.0).unwrap_or(usize::MAX);
        let stored = body.get(..len).ok_or_else(|| outside(len, body.len()))?;
        let levels = levels(stored, rows, optional, pool)?;
        // A page without values may have no bytes to decompress either.
        if header.plain || body.len() == len || codec == Codec::None {
            let memory = Buffer::from_vec(body);
            return Ok(DataPage { rows, levels, memory, start: len });
        }
        let size = header.uncompressed.saturating_sub(header.level_bytes.0);
        let memory = decompress(codec, body, len, size, pool)?;
        return Ok(DataPage { rows, levels, memory, start: 0 });
    }
    let memory = read(codec, chunk, header, pool)?;
    if !optional {
        return Ok(DataPage { rows, levels: None, memory, start: 0 });
    }
    let (len, rest) = memory.split_first_chunk::<4>().ok_or_else(|| outside(4, memory.len()))?;
    let len = u32::from_le_bytes(*len) as usize;
    let levels = levels(rest.get(..len).ok_or_else(|| outside(len, rest.len()))?, rows, optional, pool)?;
    Ok(DataPage { rows, levels, memory, start: 4 + len })
}

/// Where the values of a data page begin in its chunk, if they are stored as they are and every row has one.
pub(super) fn plain_values(
    codec: Codec,
    chunk: &Stored,
    header: &Header,
    optional: bool,
) -> Result<Option<usize>> {
    let v2 = header.kind == DATA_V2;
    if !(codec == Codec::None || v2 && header.plain) {
        return Ok(None);
    }
    let rows = usize::try_from(header.values).unwrap_or_default();
    let mut start = header.body.start;
    let len = match (v2, optional) {
        (true, _) => usize::try_from(header.level_bytes.0).unwrap_or(usize::MAX),
        (false, false) => 0,
        (false, true) => {
            let mut len = [0; 4];
            if header.body.len() < len.len() {
                return Ok(None);
            }
            chunk.copy(start, &mut len)?;
            start += len.len();
            u32::from_le_bytes(len) as usize
        }
    };
    // The levels of rows that all have a value are one run; whatever is longer or wrong is left to `data`.
    let mut levels = [0; LEVELS];
    let Some(levels) = levels.get_mut(..len).filter(|_| len <= header.body.end.saturating_sub(start)) else {
        return Ok(None);
    };
    chunk.copy(start, levels)?;
    let all = !optional || rle::is_all_ones(levels, rows);
    Ok(all.then_some(start + len))
}

/// The definition levels of a page; `None` when all rows have a value.
fn levels(bytes: &[u8], rows: usize, optional: bool, pool: &mut Pool) -> Result<Option<Vec<u32>>> {
    if !optional || rle::is_all_ones(bytes, rows) {
        return Ok(None);
    }
    let mut levels = pool.words(rows);
    rle::decode(bytes, 1, rows, &mut levels)?;
    Ok(Some(levels))
}

fn outside(expected: usize, found: usize) -> Error {
    Error::corrupt(
        "Parquet page is too short",
        format_args!("at least {expected} bytes"),
        format_args!("{found} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::source::tests::Memory;
    use crate::source::Source;

    fn header(kind: i64, values: i64, uncompressed: usize, body: usize) -> Header {
        Header {
            kind,
            values,
            uncompressed: uncompressed as i64,
            level_encoding: RLE,
            body: 0..body,
            ..Header::default()
        }
    }

    fn stored(bytes: &[u8]) -> Stored {
        let file: Arc<dyn Source> = Arc::new(Memory::new(bytes.to_vec()));
        Stored::new(&file, 0, bytes.len() as u64).unwrap()
    }

    fn page(codec: Codec, bytes: &[u8], header: &Header, optional: bool) -> Result<DataPage> {
        data(codec, &stored(bytes), header, optional, &mut Pool::default())
    }

    #[test]
    fn both_kinds_of_data_pages_give_levels_and_values() {
        // Three rows, the second without a value, as one packed group.
        let (levels, values) = ([3u8, 0b101], [7u8; 16]);
        let v1 = [&2u32.to_le_bytes()[..], &levels, &values].concat();
        let packed = lz4_flex::block::compress(&v1);
        let found = page(Codec::Lz4, &packed, &header(DATA, 3, v1.len(), packed.len()), true).unwrap();
        assert_eq!((found.rows, found.present(), found.values()), (3, 2, &values[..]));
        assert_eq!(found.levels.unwrap(), [1, 0, 1]);
        let v2 = [&levels[..], &lz4_flex::block::compress(&values)].concat();
        let v2_header = Header { level_bytes: (2, 0), ..header(DATA_V2, 3, 18, v2.len()) };
        let found = page(Codec::Lz4, &v2, &v2_header, true).unwrap();
        assert_eq!((found.rows, found.present(), found.values()), (3, 2, &values[..]));
        let found = page(Codec::None, &values, &header(DATA, 2, 16, 16), false).unwrap();
        assert_eq!((&found.levels, found.values()), (&None, &values[..]));
        assert!(found.values_buffer(16).is_some() && found.values_buffer(17).is_none());
    }

    #[test]
    fn values_that_are_stored_as_they_are_are_found() {
        let values = [7u8; 16];
        // Two rows with a value: a run of two ones.
        let v1 = [&2u32.to_le_bytes()[..], &[4, 1], &values].concat();
        let find = |bytes: &[u8], header: &Header, codec, optional| {
            plain_values(codec, &stored(bytes), header, optional).unwrap()
        };
        let of_v1 = header(DATA, 2, v1.len(), v1.len());
        assert_eq!(find(&v1, &of_v1, Codec::None, true), Some(6));
        assert_eq!(find(&v1, &of_v1, Codec::Lz4, true), None);
        assert_eq!(find(&values, &header(DATA, 2, 16, 16), Codec::None, false), Some(0));
        assert_eq!(find(&v1, &header(DATA, 3, v1.len(), v1.len()), Codec::None, true), None, "a NULL");
        let v2 = [&[4, 1][..], &values].concat();
        let of_v2 = Header { level_bytes: (2, 0), plain: true, ..header(DATA_V2, 2, 18, 18) };
        assert_eq!(find(&v2, &of_v2, Codec::Lz4, true), Some(2));
        assert_eq!(find(&v2, &Header { plain: false, ..of_v2 }, Codec::Lz4, true), None);
        for bytes in [&[][..], &[1, 0], &[0xff, 0xff, 0, 0, 1, 1], &[9, 0, 0, 0, 4, 1]] {
            assert_eq!(find(bytes, &header(DATA, 2, 16, bytes.len()), Codec::None, true), None, "{bytes:?}");
        }
    }

    #[test]
    fn damage_is_an_error() {
        for (codec, kind, size, body) in [
            (Codec::None, DATA, 3, &[1u8, 0, 0][..]),
            (Codec::None, DATA, 5, &[9, 0, 0, 0, 1]),
            (Codec::Lz4, DATA, 50, &[0xff; 20]),
            (Codec::Lz4, DATA, usize::MAX / 2, &[0xff; 20]),
            (Codec::Lz4, DATA, 5, &[]),
            (Codec::None, DATA_V2, 5, &[0; 5]),
        ] {
            let header = Header { level_bytes: (6, 0), ..header(kind, 4, size, body.len()) };
            assert!(page(codec, body, &header, true).is_err(), "{body:?}");
        }
    }
}
