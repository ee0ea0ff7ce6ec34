//! Thrift's compact protocol, read without allocating.

use crate::error::{Error, Result};

/// A reader of the Thrift compact protocol, as far as page headers and schemas need it.
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What is being read, for errors.
    what: &'static str,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, at: 0, what }
    }

    /// Bytes that were read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Calls `visit` with id and type of each field of a struct; it must consume the value.
    pub(super) fn fields(
        &mut self,
        depth: u32,
        visit: &mut dyn FnMut(&mut Self, i64, u8, u32) -> Result<()>,
    ) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.malformed("values nested too deeply"))?;
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

    pub(super) fn skip(&mut self, kind: u8, depth: u32) -> Result<()> {
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
            9 | 10 => self.list(depth, &mut |thrift, kind, depth| thrift.skip(kind, depth)),
            11 => {
                let depth = depth.checked_sub(1).ok_or_else(|| self.malformed("values nested too deeply"))?;
                let len = self.varint()?;
                let kinds = if len > 0 { self.byte()? } else { 0 };
                (0..len).try_for_each(|_| {
                    self.skip(element(kinds >> 4), depth)?;
                    self.skip(element(kinds & 0xf), depth)
                })
            }
            12 => self.fields(depth, &mut |thrift, _, kind, depth| thrift.skip(kind, depth)),
            _ => Err(self.malformed("a value of unknown type")),
        }
    }

    /// Calls `visit` with the type of each element of a list; it must consume the element.
    pub(super) fn list(
        &mut self,
        depth: u32,
        visit: &mut dyn FnMut(&mut Self, u8, u32) -> Result<()>,
    ) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.malformed("values nested too deeply"))?;
        let head = self.byte()?;
        let len = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        (0..len).try_for_each(|_| visit(self, element(head & 0xf), depth))
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at).copied().ok_or_else(|| self.malformed("the end of its bytes"))?;
        self.at += 1;
        Ok(byte)
    }

    fn advance(&mut self, bytes: usize) -> Result<()> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.bytes.len());
        self.at = end.ok_or_else(|| self.malformed("a value beyond the end of its bytes"))?;
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
        Err(self.malformed("a number without end"))
    }

    pub(super) fn zigzag(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn malformed(&self, found: &str) -> Error {
        Error::corrupt(format!("{} is malformed", self.what), "Thrift's compact protocol", found)
    }
}

/// The type of an element: in a collection, each boolean takes a byte.
fn element(kind: u8) -> u8 {
    if matches!(kind, 1 | 2) {
        3
    } else {
        kind
    }
}
