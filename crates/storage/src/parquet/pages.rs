//! Page headers of a column chunk: all of them are walked before the chunk is decoded, because the decoder allocates
//! by the numbers that they hold.
//!
//! ```text
//! page header (Thrift compact protocol)
//!   1 type  2 uncompressed size  3 compressed size  5 data page { 1 values  2 encoding }  7 dictionary { 1 values }
//!   8 data page v2 { 1 values  2 nulls  3 rows  4 encoding }
//! ```

use crate::error::{Error, Result};

/// Thrift's deepest nesting in a page header (statistics in a data page) is far below.
const DEEPEST: u32 = 16;

/// A page cannot be larger when decompressed than its compressed bytes times this; with room for codecs whose
/// ratio has no bound (a chunk of one value repeated).
const LARGEST_RATIO: u64 = 100_000;

/// What a page header says.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Header {
    uncompressed: i64,
    compressed: i64,
    /// Values of a data page or a dictionary.
    values: i64,
    /// Encoding of a data page.
    encoding: Option<i64>,
    is_dictionary: bool,
}

/// Encodings whose values are ids of a dictionary.
const DICTIONARY_ENCODINGS: [i64; 2] = [2, 8];

/// What the pages of a chunk have in common.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pages {
    /// Entries of the dictionary, if all values are in it.
    pub(crate) dictionary: Option<u64>,
}

/// Walks the pages of a chunk whose bytes are `bytes`, and which holds `values` values (`None` for nested ones).
pub(crate) fn check(bytes: &[u8], values: Option<u64>) -> Result<Pages> {
    let mut at = 0usize;
    let (mut entries, mut all_in_dictionary) = (None, true);
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let mut reader = Thrift { bytes: rest, at: 0 };
        let place = |e: Error| e.at(at as u64);
        let header = reader.page_header().map_err(place)?;
        let left = (rest.len() - reader.at) as u64;
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
        let most = values.unwrap_or(u64::MAX).max(header.uncompressed.unsigned_abs());
        if !u64::try_from(header.values).is_ok_and(|values| values <= most) {
            return Err(place(impossible("number of values", format!("0 to {most}"), header.values)));
        }
        if header.is_dictionary {
            entries = Some(header.values.unsigned_abs());
        }
        all_in_dictionary &= header.encoding.is_none_or(|encoding| DICTIONARY_ENCODINGS.contains(&encoding));
        at += reader.at + compressed as usize;
    }
    Ok(Pages { dictionary: entries.filter(|_| all_in_dictionary) })
}

fn impossible(what: &str, expected: String, found: i64) -> Error {
    Error::corrupt(format!("Parquet page has an impossible {what}"), expected, found)
}

/// A reader of the Thrift compact protocol, as far as page headers need it.
struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Thrift<'_> {
    fn page_header(&mut self) -> Result<Header> {
        let mut header = Header { uncompressed: -1, compressed: -1, ..Header::default() };
        self.fields(DEEPEST, &mut |thrift, id, kind, depth| {
            match id {
                2 if kind == 5 => header.uncompressed = thrift.zigzag()?,
                3 if kind == 5 => header.compressed = thrift.zigzag()?,
                page @ (5 | 7 | 8) if kind == 12 => {
                    header.is_dictionary = page == 7;
                    thrift.fields(depth, &mut |thrift, id, kind, depth| {
                        match (page, id, kind) {
                            (_, 1, 5) => header.values = thrift.zigzag()?,
                            (5, 2, 5) | (8, 4, 5) => header.encoding = Some(thrift.zigzag()?),
                            _ => thrift.skip(kind, depth)?,
                        }
                        Ok(())
                    })?
                }
                _ => thrift.skip(kind, depth)?,
            }
            Ok(())
        })?;
        Ok(header)
    }

    /// Calls `visit` with id and type of each field of a struct; it must consume the value.
    fn fields(
        &mut self,
        depth: u32,
        visit: &mut dyn FnMut(&mut Self, i64, u8, u32) -> Result<()>,
    ) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("values nested too deeply"))?;
        let mut id = 0i64;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                0 => self.zigzag()?,
                delta => id.saturating_add(i64::from(delta)),
            };
            visit(self, id, byte & 0xf, depth)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: u32) -> Result<()> {
        match kind {
            // The value of a boolean field is its type.
            1 | 2 => Ok(()),
            3 => self.advance(1),
            4..=6 => self.varint().map(drop),
            7 => self.advance(8),
            8 => {
                let len = self.varint()?;
                self.advance(usize::try_from(len).unwrap_or(usize::MAX))
            }
            9 | 10 => {
                let depth = depth.checked_sub(1).ok_or_else(|| malformed("values nested too deeply"))?;
                let head = self.byte()?;
                let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                // In a list, each boolean takes a byte.
                let kind = if matches!(head & 0xf, 1 | 2) { 3 } else { head & 0xf };
                (0..len).try_for_each(|_| self.skip(kind, depth))
            }
            12 => self.fields(depth, &mut |thrift, _, kind, depth| thrift.skip(kind, depth)),
            _ => Err(malformed("a value of unknown type")),
        }
    }

    fn byte(&mut self) -> Result<u8> {
        let byte =
            self.bytes.get(self.at).copied().ok_or_else(|| malformed("the end of the column chunk"))?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, bytes: usize) -> Result<()> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.bytes.len());
        self.at = end.ok_or_else(|| malformed("a value beyond the end of the column chunk"))?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("a number without end"))
    }

    fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

fn malformed(found: &str) -> Error {
    Error::corrupt("Parquet page header is malformed", "a page header", found)
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
