//! The body of a page: decompressed, and split into levels and values.
//!
//! ```text
//! data page      compressed ( length u32 │ definition levels │ values )     levels only where values can be NULL
//! data page v2   definition levels │ compressed ( values )
//! ```

use arrow_buffer::Buffer;
use bytes::Bytes;

use super::pages::{Header, DATA, DATA_V2};
use super::pool::Pool;
use super::rle;
use crate::error::{Error, Result};

/// Parquet's number of the run-length encoding.
const RLE: i64 = 3;

/// A byte of LZ4 stands for at most so many.
const LZ4_RATIO: usize = 255;

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

/// The bytes `body` of a page, decompressed into memory of `pool`. What is not compressed stays where it is.
pub(super) fn decompress(codec: Codec, body: &Bytes, uncompressed: i64, pool: &mut Pool) -> Result<Buffer> {
    let size = usize::try_from(uncompressed).unwrap_or(usize::MAX);
    let failed = |found: String| {
        let found = format!("a page of {size} bytes: {found}");
        Err(Error::corrupt("cannot decode the Parquet column chunk", "valid Parquet", found))
    };
    match codec {
        Codec::None => Ok(Buffer::from(body.clone())),
        // Nothing is allocated for a page that cannot be true.
        Codec::Lz4 if size > body.len().saturating_mul(LZ4_RATIO).saturating_add(LZ4_RATIO) => {
            failed(format!("more than LZ4 makes of {} bytes", body.len()))
        }
        Codec::Lz4 => {
            let mut bytes = pool.bytes(size);
            match lz4_flex::block::decompress_into(body, &mut bytes) {
                Ok(found) if found == size => Ok(Buffer::from_vec(bytes)),
                Ok(found) => failed(format!("only {found} are there")),
                Err(error) => failed(error.to_string()),
            }
        }
    }
}

/// Splits a data page of a column that is `optional` or not.
pub(super) fn data(
    codec: Codec,
    chunk: &Bytes,
    header: &Header,
    optional: bool,
    pool: &mut Pool,
) -> Result<DataPage> {
    let body = if header.body.end <= chunk.len() { chunk.slice(header.body.clone()) } else { Bytes::new() };
    let rows = usize::try_from(header.values).unwrap_or_default();
    if header.kind == DATA_V2 {
        let len = usize::try_from(header.level_bytes.0).unwrap_or(usize::MAX);
        if len > body.len() {
            return Err(outside(len, body.len()));
        }
        let size = header.uncompressed.saturating_sub(header.level_bytes.0);
        let values = body.slice(len..);
        // A page without values may have no bytes to decompress either.
        let codec = if header.plain || values.is_empty() { Codec::None } else { codec };
        let memory = decompress(codec, &values, size, pool)?;
        let levels = levels(body.get(..len).unwrap_or_default(), rows, optional, pool)?;
        return Ok(DataPage { rows, levels, memory, start: 0 });
    }
    let memory = decompress(codec, &body, header.uncompressed, pool)?;
    if !optional {
        return Ok(DataPage { rows, levels: None, memory, start: 0 });
    }
    let (len, rest) = memory.split_first_chunk::<4>().ok_or_else(|| outside(4, memory.len()))?;
    let len = u32::from_le_bytes(*len) as usize;
    let levels = levels(rest.get(..len).ok_or_else(|| outside(len, rest.len()))?, rows, optional, pool)?;
    Ok(DataPage { rows, levels, memory, start: 4 + len })
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
    use super::*;

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

    fn page(codec: Codec, bytes: &[u8], header: &Header, optional: bool) -> Result<DataPage> {
        data(codec, &Bytes::copy_from_slice(bytes), header, optional, &mut Pool::default())
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
