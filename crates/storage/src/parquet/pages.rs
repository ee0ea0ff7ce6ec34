//! Page headers of a column chunk: all of them are walked before the chunk is decoded, because the decoder allocates
//! by the numbers that they hold.
//!
//! ```text
//! page header (Thrift compact protocol)
//!   1 type  2 uncompressed size  3 compressed size  5 data page { 1 values  2 encoding  3 encoding of definition levels }
//!   7 dictionary { 1 values  2 encoding }
//!   8 data page v2 { 1 values  2 nulls  3 rows  4 encoding  5, 6 bytes of definition, repetition levels  7 compressed }
//! ```

use std::ops::Range;

use super::stored::Stored;
use super::thrift::Thrift;
use crate::error::{Error, Result};

/// Thrift's deepest nesting in a page header (statistics in a data page) is far below.
const DEEPEST: u32 = 16;

/// A page cannot be larger when decompressed than its compressed bytes times this; with room for codecs whose
/// ratio has no bound (a chunk of one value repeated).
const LARGEST_RATIO: u64 = 100_000;

/// Bytes that a page header seldom exceeds: it grows with the statistics in it.
const HEADER: usize = 256;

/// Kinds of pages.
pub(super) const DATA: i64 = 0;
pub(super) const DICTIONARY: i64 = 2;
pub(super) const DATA_V2: i64 = 3;

/// What a page header says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// [`DATA`], [`DICTIONARY`] or [`DATA_V2`].
    pub(super) kind: i64,
    pub(super) uncompressed: i64,
    pub(super) compressed: i64,
    /// Values of a data page or a dictionary.
    pub(super) values: i64,
    /// Parquet's number of the encoding of the values.
    pub(super) encoding: i64,
    /// The encoding of definition levels, in a data page.
    pub(super) level_encoding: i64,
    /// Bytes of definition and repetition levels, in a data page v2.
    pub(super) level_bytes: (i64, i64),
    /// Whether the values of a data page v2 are stored as they are.
    pub(super) plain: bool,
    /// Where its bytes are in the chunk.
    pub(super) body: Range<usize>,
}

/// Encodings whose values are ids of a dictionary.
const DICTIONARY_ENCODINGS: [i64; 2] = [2, 8];

/// The pages of a chunk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Entries of the dictionary, if all values are in it.
    pub(crate) dictionary: Option<u64>,
    /// Each page.
    pub(crate) places: Vec<PagePlace>,
    /// Their headers.
    pub(crate) headers: Vec<Header>,
}

/// What its header says of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PagePlace {
    /// First byte behind it in the chunk.
    pub(crate) end: usize,
    /// Values of a data page or a dictionary.
    pub(crate) values: u64,
    /// Whether it is a dictionary.
    pub(crate) dictionary: bool,
}

/// Walks the pages of a chunk; see [`walk`].
pub(crate) fn check(bytes: &[u8], values: Option<u64>) -> Result<Pages> {
    let headers = walk(bytes, values)?;
    let place = |header: &Header| PagePlace {
        end: header.body.end,
        values: header.values.unsigned_abs(),
        dictionary: header.kind == DICTIONARY,
    };
    let places: Vec<PagePlace> = headers.iter().map(place).collect();
    let mut others = headers.iter().filter(|header| header.kind != DICTIONARY);
    let all_in_dictionary = others.all(|header| DICTIONARY_ENCODINGS.contains(&header.encoding));
    let entries = places.iter().rev().find(|place| place.dictionary).map(|place| place.values);
    Ok(Pages { dictionary: entries.filter(|_| all_in_dictionary), places, headers })
}

/// The headers of the pages of a chunk whose bytes are `bytes`, and which holds `values` values (`None` for nested ones).
pub(super) fn walk(bytes: &[u8], values: Option<u64>) -> Result<Vec<Header>> {
    walk_by(bytes.len(), values, |at| parse(bytes.get(at..).unwrap_or_default()))
}

/// As [`walk`], for a chunk of which only the headers are read.
pub(super) fn walk_stored(chunk: &Stored, values: Option<u64>) -> Result<Vec<Header>> {
    let mut window = Vec::new();
    walk_by(chunk.len(), values, |at| {
        let left = chunk.len() - at;
        let mut size = left.min(HEADER);
        loop {
            window.resize(size, 0);
            chunk.copy(at, &mut window)?;
            match parse(&window) {
                // There may be more of it.
                Err(_) if size < left => size = left.min(size.saturating_mul(64)),
                parsed => return parsed,
            }
        }
    })
}

/// The header at the start of `bytes`, and its size.
fn parse(bytes: &[u8]) -> Result<(Header, usize)> {
    let mut reader = Thrift::new(bytes, "Parquet page header");
    let header = page_header(&mut reader)?;
    Ok((header, reader.position()))
}

fn walk_by(
    len: usize,
    values: Option<u64>,
    mut header_at: impl FnMut(usize) -> Result<(Header, usize)>,
) -> Result<Vec<Header>> {
    let mut headers = Vec::new();
    let mut at = 0usize;
    while at < len {
        let place = |e: Error| e.at(at as u64);
        let (mut header, size) = header_at(at).map_err(place)?;
        let left = len.saturating_sub(at).saturating_sub(size) as u64;
        let Some(compressed) = u64::try_from(header.compressed).ok().filter(|size| *size <= left) else {
            let expected = format!("0 to {left} bytes");
            return Err(place(impossible("compressed size", expected, header.compressed)));
        };
        let largest = compressed.saturating_mul(LARGEST_RATIO).min(i32::MAX as u64);
        if !u64::try_from(header.uncompressed).is_ok_and(|size| size <= largest) {
            let expected = format!("0 to {largest} bytes");
            return Err(place(impossible("uncompressed size", expected, header.uncompressed)));
        }
        // A data page has no more values than its chunk. A dictionary has none that no row uses, except the
        // symbols below the largest key: each takes four bytes at least.
        let most = values.unwrap_or(u64::MAX).max(header.uncompressed.unsigned_abs()).min(i32::MAX as u64);
        if !u64::try_from(header.values).is_ok_and(|values| values <= most) {
            return Err(place(impossible("number of values", format!("0 to {most}"), header.values)));
        }
        at += size;
        header.body = at..at + compressed as usize;
        at = header.body.end;
        headers.push(header);
    }
    Ok(headers)
}

fn impossible(what: &str, expected: String, found: i64) -> Error {
    Error::corrupt(format!("Parquet page has an impossible {what}"), expected, found)
}

/// Reads a page header.
fn page_header(thrift: &mut Thrift<'_>) -> Result<Header> {
    let mut header = Header { kind: -1, uncompressed: -1, compressed: -1, encoding: -1, ..Header::default() };
    thrift.fields(DEEPEST, &mut |thrift, id, kind, depth| {
        match id {
            1 if kind == 5 => header.kind = thrift.zigzag()?,
            2 if kind == 5 => header.uncompressed = thrift.zigzag()?,
            3 if kind == 5 => header.compressed = thrift.zigzag()?,
            5 | 7 | 8 if kind == 12 => {
                let v2 = id == 8;
                thrift.fields(depth, &mut |thrift, id, kind, depth| {
                    let place = match (id, kind, v2) {
                        (1, 5, _) => &mut header.values,
                        (2, 5, false) | (4, 5, true) => &mut header.encoding,
                        (3, 5, false) => &mut header.level_encoding,
                        (5, 5, true) => &mut header.level_bytes.0,
                        (6, 5, true) => &mut header.level_bytes.1,
                        (7, 2, true) => {
                            header.plain = true;
                            return Ok(());
                        }
                        _ => return thrift.skip(kind, depth),
                    };
                    *place = thrift.zigzag()?;
                    Ok(())
                })?
            }
            _ => thrift.skip(kind, depth)?,
        }
        Ok(())
    })?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page header with these sizes and number of values, and `body` bytes behind it.
    fn page(uncompressed: i32, compressed: i32, values: i32, body: usize) -> Vec<u8> {
        let zigzag = |v: i32| {
            let mut v = ((v << 1) ^ (v >> 31)) as u32;
            let mut bytes = Vec::new();
            while v >= 0x80 {
                bytes.push(v as u8 | 0x80);
                v >>= 7;
            }
            bytes.push(v as u8);
            bytes
        };
        let mut bytes = vec![0x15, 0x00, 0x15];
        bytes.extend(zigzag(uncompressed));
        bytes.push(0x15);
        bytes.extend(zigzag(compressed));
        bytes.extend([0x2c, 0x15]);
        bytes.extend(zigzag(values));
        bytes.extend([0x15, 0x00, 0x15, 0x06, 0x15, 0x06, 0x00, 0x00]);
        bytes.resize(bytes.len() + body, 7);
        bytes
    }

    #[test]
    fn good_pages_pass_one_after_the_other() {
        let pages = [page(100, 40, 12, 40), page(50, 50, 3, 50)].concat();
        check(&pages, Some(12)).unwrap();
        check(&[], Some(0)).unwrap();
    }

    #[test]
    fn impossible_numbers_are_refused_before_anything_is_allocated() {
        let problem = |bytes: &[u8]| check(bytes, Some(12)).unwrap_err().to_string();
        assert!(problem(&page(100, 41, 12, 40)).contains("compressed size"));
        assert!(problem(&page(100, -1, 12, 40)).contains("compressed size"));
        assert!(problem(&page(i32::MAX, 40, 12, 40)).contains("uncompressed size"));
        assert!(problem(&page(100, 40, i32::MAX, 40)).contains("number of values"));
        assert!(problem(&page(100, 40, -5, 40)).contains("number of values"));
        assert!(problem(&[0xff; 30]).contains("malformed"));
        assert!(problem(&[0x15, 0x80]).contains("malformed"));
        assert!(problem(&[0x1c; 64]).contains("malformed"));
    }
}
