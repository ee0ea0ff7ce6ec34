//! Checked little-endian access to a record's bytes.

use crate::error::{Error, Result};

/// A record, or part of one, whose fields are read by offset. Reads outside are errors.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8],
    /// Where `bytes` starts in its file, so that errors give file offsets.
    base: u64,
}

macro_rules! field {
    ($name:ident, $type:ty) => {
        /// The little-endian field at `offset`.
        pub fn $name(&self, offset: usize) -> Result<$type> {
            self.array(offset).map(<$type>::from_le_bytes)
        }
    };
}

impl<'a> Record<'a> {
    /// A record that starts at file offset `base`.
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, base }
    }

    field!(u8, u8);
    field!(u16, u16);
    field!(i32, i32);
    field!(i64, i64);

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the record has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// `N` bytes at `offset`.
    pub fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N]> {
        self.slice(offset, N)?.try_into().map_err(|_| self.outside(offset, N))
    }

    /// `len` bytes at `offset`.
    pub fn slice(&self, offset: usize, len: usize) -> Result<&'a [u8]> {
        offset
            .checked_add(len)
            .and_then(|end| self.bytes.get(offset..end))
            .ok_or_else(|| self.outside(offset, len))
    }

    /// A sub-record.
    pub fn part(&self, offset: usize, len: usize) -> Result<Record<'a>> {
        Ok(Record { bytes: self.slice(offset, len)?, base: self.base.saturating_add(offset as u64) })
    }

    /// File offset of `offset`, for errors.
    pub fn position(&self, offset: usize) -> u64 {
        self.base.saturating_add(offset as u64)
    }

    /// A `str` (docs/format.md, conventions): `i32` count of UTF-16 units, then the units. Returns the
    /// text and the offset behind it. The count must lie in `0..=max_units`.
    pub fn utf16(&self, offset: usize, max_units: i32) -> Result<(String, usize)> {
        let units = self.i32(offset)?;
        if !(0..=max_units).contains(&units) {
            return Err(Error::corrupt(
                "impossible length of a name",
                format_args!("0 to {max_units} UTF-16 units"),
                units,
            )
            .at(self.position(offset)));
        }
        let start = offset.saturating_add(4);
        let size = (units.unsigned_abs() as usize).saturating_mul(2);
        let text = decode_utf16(self.slice(start, size)?);
        Ok((text, start.saturating_add(size)))
    }

    fn outside(&self, offset: usize, len: usize) -> Error {
        Error::corrupt(
            "file is too short",
            format_args!("{len} bytes at offset {}", self.position(offset)),
            format_args!("the end at {}", self.position(self.bytes.len())),
        )
        .at(self.position(offset))
    }
}

/// UTF-16LE bytes as text; lone surrogates become U+FFFD, an odd last byte is ignored.
pub fn decode_utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|unit| match unit {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_little_endian_and_bounded() {
        let record = Record::new(&[0xaa, 0x01, 0, 0, 0xff], 100);
        assert_eq!(record.i32(0).unwrap(), 426);
        assert_eq!(record.u8(4).unwrap(), 255);
        let error = record.i32(2).unwrap_err();
        assert_eq!(error.place().offset, Some(102));
        assert!(record.slice(usize::MAX, 2).is_err());
    }

    #[test]
    fn names_are_utf16_with_a_bounded_length() {
        let record = Record::new(&[2, 0, 0, 0, b'h', 0, 0x16, 0x04], 0);
        assert_eq!(record.utf16(0, 255).unwrap(), ("hЖ".to_owned(), 8));
        assert!(Record::new(&[0, 0, 0, 0x40], 0).utf16(0, 255).is_err());
        assert!(Record::new(&[0xff, 0xff, 0xff, 0xff], 0).utf16(0, 255).is_err());
        assert_eq!(decode_utf16(&[0x00, 0xd8]), "\u{fffd}");
    }
}
